//! Blends the stylized picture, behind the soft masks of objects, towards the pictures that ease them.

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

/// How far a box is blended, in steps of 1 / [`Step::MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Towards the plain start.
    pub plain: u8,
    /// From there towards the original.
    pub content: u8,
}

impl Step {
    /// So many steps are the whole way to a picture.
    pub const MOST: u8 = 8;

    /// Steps as a share of a picture, 0..=1.
    pub fn share(steps: u8) -> f32 {
        f32::from(steps) / f32::from(Self::MOST)
    }

    /// The shares of a pixel that is this near to a box, of which the object has the share `shape`. From half of the
    /// original's detail on, the original itself comes along, with what is behind the object, and at the last step it is
    /// all there: so a box always meets its floors.
    fn shares(self, near: f32, shape: f32) -> Shares {
        let [plain, detail] = [self.plain, self.content].map(Self::share);
        let original = (2.0 * detail - 1.0).max(0.0).powi(4);
        [plain * near * shape, detail * near * shape, original * near]
    }
}

/// The stylized picture with its boxes eased so far, as shares of its pictures per pixel. It is mixed only where it
/// is measured, and written once at the end.
pub struct Blend<'a> {
    size: Size,
    /// The lumas of the original.
    before: &'a [f32],
    pictures: Pictures<'a>,
    /// For each pixel.
    shares: Vec<Shares>,
}

/// The shares of the plain start, over it of the original's detail, and over that of the original, each in 0..=1.
pub type Shares = [f32; 3];

/// The pictures that are mixed, of one size.
#[derive(Clone, Copy)]
pub struct Pictures<'a> {
    /// The stylized picture.
    pub result: &'a Pixels,
    /// The plain start, if it is another picture than the result.
    pub plain: Option<&'a Pixels>,
    /// The original's detail on the light of the stylized picture.
    pub detail: &'a Pixels,
    pub original: &'a Pixels,
}

impl<'a> Blend<'a> {
    /// `before` are the lumas of the original.
    ///
    /// # Panics
    /// When the pictures differ in size.
    pub fn new(before: &'a [f32], pictures: Pictures<'a>) -> Self {
        let size = pictures.original.size();
        let Pictures { result, plain, detail, original } = pictures;
        let all = [result, plain.unwrap_or(result), detail, original];
        assert!(all.iter().all(|picture| picture.size() == size), "all must be of one size");
        Self { size, before, pictures, shares: vec![[0.0; 3]; size.pixels()] }
    }

    /// Whether a plain start can ease boxes.
    pub fn has_plain(&self) -> bool {
        self.pictures.plain.is_some()
    }

    /// Raises the shares under `mask` to `step`, where they are lower.
    pub fn ease(&mut self, mask: &Mask, step: Step) {
        for y in mask.rows() {
            let raised = self.raised(mask, step, y, mask.columns());
            self.shares[y * self.size.width..][mask.columns()].copy_from_slice(&raised);
        }
    }

    /// The luma of `rect` in the original.
    pub fn original(&self, rect: Rect) -> Patch {
        Patch::of(self.before, self.size, rect)
    }

    /// The luma of `rect` in the blend.
    pub fn eased(&self, rect: Rect) -> Patch {
        Patch::fill(rect, self.size, |y, columns, row| {
            self.mix_lumas(&self.shares[y * self.size.width..][columns.clone()], y, columns, row);
        })
    }

    /// The luma of the box of `mask` as the blend would have it after [`Blend::ease`] with `step`.
    pub fn tried(&self, mask: &Mask, step: Step) -> Patch {
        Patch::fill(mask.rect, self.size, |y, columns, row| {
            self.mix_lumas(&self.raised(mask, step, y, columns.clone()), y, columns, row);
        })
    }

    /// The shares of a row under one more mask. Under several masks the largest share counts, so their order does not.
    fn raised(&self, mask: &Mask, step: Step, y: usize, columns: Range<usize>) -> Vec<Shares> {
        let shares = &self.shares[y * self.size.width..][columns.clone()];
        let raised = |((&shares, near), shape): ((&Shares, f32), f32)| {
            let raised = step.shares(near, shape);
            std::array::from_fn(|i| f32::max(shares[i], raised[i]))
        };
        shares.iter().zip(mask.nearness(y, columns.clone())).zip(mask.shares(y, columns)).map(raised).collect()
    }

    /// Writes the lumas of these columns of row `y` under `shares`.
    fn mix_lumas(&self, shares: &[Shares], y: usize, columns: Range<usize>, lumas: &mut [f32]) {
        let from = y * self.size.width + columns.start;
        for (at, (to, shares)) in (from..).zip(lumas.iter_mut().zip(shares)) {
            *to = written_luma(&self.pictures.mixed(at, shares));
        }
    }

    /// The blend of all pixels that have a share.
    pub fn pixels(self) -> impl ParallelIterator<Item = (usize, [f32; 3])> {
        let Self { pictures, shares, .. } = self;
        let shares = shares.into_par_iter().enumerate().with_min_len(1 << 12);
        shares.filter(|(_, shares)| *shares != [0.0; 3]).map(move |(at, shares)| (at, pictures.mixed(at, &shares)))
    }
}

impl Pictures<'_> {
    /// Pixel `at` of the blend. Each picture is cut to 0..1 first: else what lies outside would outshine what is blended
    /// over it.
    #[inline]
    fn mixed(&self, at: usize, shares: &Shares) -> [f32; 3] {
        // In this form a share of 1 gives exactly `to`.
        let towards = |from: f32, to: f32, share: f32| from * (1.0 - share) + to * share;
        let Self { result, plain, detail, original } = self;
        let colour = |picture: &Pixels| picture.data().as_chunks::<3>().0[at];
        let over = [colour(plain.unwrap_or(result)), colour(detail), colour(original)];
        let result = colour(result);
        std::array::from_fn(|i| {
            over.iter().zip(shares).fold(cut(result[i]), |under, (over, &share)| towards(under, cut(over[i]), share))
        })
    }
}

/// The shapes of all objects.
#[derive(Clone, Copy)]
pub struct Shapes<'a> {
    /// The largest share that an object has in each pixel, 0..=1.
    pub share: &'a Plane,
    /// Which object that is.
    pub owners: &'a Owners,
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
    shapes: Shapes<'a>,
    /// The largest share that the object has in a pixel of the box: soft shapes of slender objects reach 1 nowhere. 0 if no
    /// shape was found.
    most: f32,
}

impl<'a> Mask<'a> {
    /// The mask of object `object`, whose box is `rect`.
    pub fn new(object: usize, rect: Rect, shapes: Shapes<'a>) -> Self {
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
        let has_shape = most >= LEAST && shapes.owners.may_have_shape(rect.height(), rect.width(), size);
        Self { most: if has_shape { most } else { 0.0 }, ..mask }
    }

    /// The shares of the object, 0..=1, in these columns of row `y`. Pixels of other objects have none.
    pub fn shares(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = f32> {
        let size = self.shapes.share.size();
        let shares = &self.shapes.share.data()[y * size.width..][columns.clone()];
        shares.iter().zip(self.shapes.owners.row(y, columns, size)).map(|(&share, owner)| match owner {
            _ if self.most == 0.0 => 1.0,
            Some(owner) if owner != self.object => 0.0,
            _ => (share / self.most).min(1.0),
        })
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
    /// read, so that all of the original always meets the floors. From there it falls smoothly to 0, with round corners.
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
