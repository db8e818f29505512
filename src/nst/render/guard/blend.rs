//! Blends the stylized picture, behind the soft masks of objects, towards the pictures that ease them.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::render::guard::patch::{Patch, RADIUS, Rect, cut, written_luma};
use crate::nst::scene::shape::Owners;
use rayon::prelude::*;
use std::ops::Range;

/// Width of a mask's soft border, as a share of the mean side of its box. At 0.15, in fog over a dark road, straight
/// sides still show.
const FEATHER: f64 = 0.25;

/// The least width of a mask's soft border, in pixels.
const LEAST_FEATHER: f64 = 2.0;

/// How far a box is blended, in steps of 1 / [`BlendSteps::MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlendSteps {
    /// Towards the plain start.
    pub plain: u8,
    /// From there towards the detail of the original.
    pub content: u8,
}

impl BlendSteps {
    /// So many steps are the whole way to a picture.
    pub const MOST: u8 = 8;

    /// Steps as a share of a picture, 0..=1.
    pub fn share(steps: u8) -> f32 {
        f32::from(steps) / f32::from(Self::MOST)
    }

    /// The shares of a pixel that is this near to a box, of which the object has the share `shape`.
    fn shares(self) -> impl Fn(f32, f32) -> Shares {
        let steps = [self.plain, self.content].map(Self::share);
        move |near, shape| steps.map(|share| share * near * shape)
    }
}

/// The stylized picture with its boxes eased so far, as shares of its pictures per pixel. It is mixed only where it
/// is measured, and written once at the end.
pub struct Blend<'a> {
    size: Size,
    pictures: GuardPictures<'a>,
    /// For each pixel.
    shares: Vec<Shares>,
    /// The columns of each row outside of which all shares are 0.
    reach: Vec<Range<usize>>,
}

/// The shares of the plain start, and over it of the original's detail, each in 0..=1.
pub type Shares = [f32; 2];

/// The pictures that are mixed, of one size.
#[derive(Clone, Copy)]
pub struct GuardPictures<'a> {
    /// The stylized picture.
    pub result: &'a Pixels,
    /// The plain start, if it is another picture than the result.
    pub plain: Option<&'a Pixels>,
    /// The original's detail on the light of the stylized picture.
    pub detail: &'a Pixels,
}

impl<'a> Blend<'a> {
    /// # Panics
    /// When the pictures differ in size.
    pub fn new(pictures: GuardPictures<'a>) -> Self {
        let GuardPictures { result, plain, detail } = pictures;
        let size = result.size();
        assert!(
            [plain.unwrap_or(result), detail].iter().all(|picture| picture.size() == size),
            "all must be of one size"
        );
        Self { size, pictures, shares: vec![[0.0; 2]; size.pixels()], reach: vec![0..0; size.height] }
    }

    /// Whether a plain start can ease boxes.
    pub fn has_plain(&self) -> bool {
        self.pictures.plain.is_some()
    }

    /// Raises the shares under `mask` to `step`, where they are lower.
    pub fn ease(&mut self, mask: &Mask, step: BlendSteps) {
        for y in mask.rows() {
            let raised = self.raised(mask, step, y, mask.columns());
            let (columns, reach) = (mask.columns(), &mut self.reach[y]);
            self.shares[y * self.size.width..][columns.clone()].copy_from_slice(&raised);
            *reach = match reach.len() {
                0 => columns,
                _ => reach.start.min(columns.start)..reach.end.max(columns.end),
            };
        }
    }

    /// The luma of `rect` in the blend.
    pub fn eased(&self, rect: Rect) -> Patch {
        Patch::fill(rect, self.size, |y, columns, row| {
            self.mix_lumas(&self.shares[y * self.size.width..][columns.clone()], y, columns, row);
        })
    }

    /// The luma of the box of `mask` as the blend would have it after [`Blend::ease`] with `step`.
    pub fn tried(&self, mask: &Mask, step: BlendSteps) -> Patch {
        Patch::fill(mask.rect, self.size, |y, columns, row| {
            self.mix_lumas(&self.raised(mask, step, y, columns.clone()), y, columns, row);
        })
    }

    /// The shares of a row under one more mask. Under several masks the largest share counts, so their order does not.
    fn raised(&self, mask: &Mask, step: BlendSteps, y: usize, columns: Range<usize>) -> Vec<Shares> {
        let mut raised = self.shares[y * self.size.width..][columns.clone()].to_vec();
        let shape: Vec<f32> = mask.shares(y, columns.clone()).collect();
        let step = step.shares();
        vectorized(
            #[inline(always)]
            || {
                for ((shares, near), shape) in raised.iter_mut().zip(mask.nearness(y, columns)).zip(shape) {
                    let raised = step(near, shape);
                    (0..2).for_each(|i| shares[i] = f32::max(shares[i], raised[i]));
                }
            },
        );
        raised
    }

    /// Writes the lumas of these columns of row `y` under `shares`.
    fn mix_lumas(&self, shares: &[Shares], y: usize, columns: Range<usize>, lumas: &mut [f32]) {
        let colours = self.pictures.row(y, columns);
        vectorized(
            #[inline(always)]
            || {
                for ((luma, shares), colours) in lumas.iter_mut().zip(shares).zip(colours) {
                    *luma = written_luma(&mixed(colours, shares));
                }
            },
        );
    }

    /// The blend of all pixels that have a share.
    pub fn pixels(&self) -> Vec<(usize, [f32; 3])> {
        let row = |(y, columns): (usize, &Range<usize>)| {
            let from = y * self.size.width + columns.start;
            let shares = &self.shares[from..][..columns.len()];
            let pixels = (from..).zip(shares).zip(self.pictures.row(y, columns.clone()));
            let eased = pixels.filter(|((_, shares), _)| **shares != [0.0; 2]);
            eased.map(|((at, shares), colours)| (at, mixed(colours, shares))).collect::<Vec<_>>()
        };
        self.reach.par_iter().enumerate().flat_map_iter(row).collect()
    }
}

impl<'a> GuardPictures<'a> {
    /// The colours of all three pictures in these columns of row `y`: those of the result, and those over it.
    #[inline(always)]
    fn row(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = [&'a [f32; 3]; 3]> {
        let Self { result, plain, detail } = *self;
        let row =
            |picture: &'a Pixels| picture.data().as_chunks::<3>().0[y * picture.size().width..][columns.clone()].iter();
        let all = row(result).zip(row(plain.unwrap_or(result))).zip(row(detail));
        all.map(|((result, plain), detail)| [result, plain, detail])
    }
}

/// A pixel of the blend. Each picture is cut to 0..1 first: else what lies outside would outshine what is blended over it.
#[inline(always)]
fn mixed([result, plain, detail]: [&[f32; 3]; 3], shares: &Shares) -> [f32; 3] {
    // In this form a share of 1 gives exactly `to`.
    let towards = |from: f32, to: f32, share: f32| from * (1.0 - share) + to * share;
    std::array::from_fn(|i| {
        let plain = towards(cut(result[i]), cut(plain[i]), shares[0]);
        towards(plain, cut(detail[i]), shares[1])
    })
}

/// The shapes of all objects.
#[derive(Clone, Copy)]
pub struct ObjectShapes<'a> {
    /// The largest share that an object has in each pixel, 0..=1.
    pub share: &'a Plane,
    /// Which object that is.
    pub owners: &'a Owners,
    /// The distance from the camera in metres, where air hides objects.
    pub air: Option<&'a Plane>,
}

/// Where a box is eased: the object, and near its box.
pub struct Mask<'a> {
    /// The box.
    pub rect: Rect,
    full: Rect,
    /// Pixels from the full part to the first pixel that is not near.
    feather: f32,
    /// All pixels that are near.
    reach: Rect,
    /// The number of the object.
    object: usize,
    shapes: ObjectShapes<'a>,
    /// The largest share that the object has in a pixel of the box: soft shapes of slender objects reach 1 nowhere. 0 if no
    /// shape was found.
    most: f32,
}

impl<'a> Mask<'a> {
    /// The mask of object `object`, whose box is `rect`.
    pub fn new(object: usize, rect: Rect, shapes: ObjectShapes<'a>) -> Self {
        /// A box with a lower share in all pixels shows no shape, as a small one does, and is eased as a whole.
        const LEAST: f32 = 0.05;
        let size = shapes.share.size();
        let feather = (FEATHER * (rect.width() + rect.height()) as f64 / 2.0).max(LEAST_FEATHER);
        let wide = RADIUS + feather.ceil() as usize;
        let mask = Self {
            rect,
            full: rect.grown(RADIUS, RADIUS, size),
            feather: feather as f32 + 1.0,
            reach: rect.grown(wide, wide, size),
            object,
            shapes,
            most: 1.0,
        };
        let rows = (rect.top..rect.bottom).flat_map(|y| mask.shares(y, rect.left..rect.right));
        let most = rows.fold(0.0, f32::max);
        let has_shape = most >= LEAST && shapes.owners.knows_shape(object);
        Self { most: if has_shape { most } else { 0.0 }, ..mask }
    }

    /// The shares of the object, 0..=1, in these columns of row `y`. Pixels of other objects have none.
    pub fn shares(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = f32> {
        let shares = &self.shapes.share.data()[y * self.size().width..][columns.clone()];
        let is_own = self.shapes.owners.may_belong_to(self.object, y, columns);
        shares.iter().zip(is_own).map(|(&share, is_own)| match is_own {
            _ if self.most == 0.0 => 1.0,
            true => (share / self.most).min(1.0),
            false => 0.0,
        })
    }

    /// Whether easing this object may change the figures of `other`.
    pub fn reaches(&self, other: &Self) -> bool {
        self.reach.meets(other.full)
    }

    /// The size of the picture.
    pub fn size(&self) -> Size {
        self.shapes.share.size()
    }

    /// The rows with pixels that are near.
    pub fn rows(&self) -> Range<usize> {
        self.reach.top..self.reach.bottom
    }

    /// The columns with pixels that are near.
    pub fn columns(&self) -> Range<usize> {
        self.reach.left..self.reach.right
    }

    /// How near these columns of row `y` are to the box. It is 1 in the box and on the pixels around it that its figures
    /// read. From there it falls smoothly to 0, with round corners.
    #[inline(always)]
    pub fn nearness(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = f32> {
        let Rect { left, top, right, bottom } = self.full;
        // Through `i32`: eight of these are converted at a time.
        let beyond = |at: usize, low: usize, high: usize| {
            let [at, low, high] = [at, low, high].map(|v| v as i32 as f32);
            (low - at).max(at - high).max(0.0)
        };
        let down = beyond(y, top, bottom - 1).powi(2);
        let feather = self.feather;
        columns.map(move |x| {
            let near = (1.0 - (beyond(x, left, right - 1).powi(2) + down).sqrt() / feather).max(0.0);
            near * near * (3.0 - 2.0 * near)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::render::guard::testing::Everywhere;

    #[test]
    fn nearness_is_1_in_a_box_and_falls_to_0_without_a_jump() {
        let size = Size { height: 400, width: 500 };
        let everywhere = Everywhere::of(size);
        for (width, height) in [(200, 120), (40, 40), (23, 24), (6, 6), (1, 1)] {
            let rect = Rect { left: 150, top: 140, right: 150 + width, bottom: 140 + height };
            let mask = Mask::new(0, rect, everywhere.shapes());
            let rows: Vec<Vec<f32>> = (0..size.height)
                .map(|y| {
                    let is_in_reach = |x: usize| mask.rows().contains(&y) && mask.columns().contains(&x);
                    let near = mask.nearness(y, 0..size.width).enumerate();
                    near.map(|(x, near)| if is_in_reach(x) { near } else { 0.0 }).collect()
                })
                .collect();
            // The steepest slope of the smoothstep is 1.5 over its length.
            let most = 1.5 / ((FEATHER * (width + height) as f64 / 2.0).max(LEAST_FEATHER) + 1.0) as f32 + 1e-6;
            for y in 1..size.height {
                for x in 1..size.width {
                    let jump = (rows[y][x] - rows[y - 1][x]).abs().max((rows[y][x] - rows[y][x - 1]).abs());
                    assert!(jump <= most, "{width}x{height}: {jump} at {x}, {y}");
                    let inside = (rect.top..rect.bottom).contains(&y) && (rect.left..rect.right).contains(&x);
                    assert!(!inside || rows[y][x] == 1.0, "{width}x{height} at {x}, {y}");
                }
            }
        }
    }
}
