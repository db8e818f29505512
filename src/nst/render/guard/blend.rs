//! Blends the stylized picture, behind the soft masks of boxes, towards the two pictures that ease them.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::patch::{Patch, RADIUS, Rect, cut, written_luma};
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
    /// All of a picture.
    pub const MOST: u8 = 8;

    /// Steps as a share of a picture, 0..=1.
    pub fn share(steps: u8) -> f32 {
        f32::from(steps) / f32::from(Self::MOST)
    }
}

/// The stylized picture with its boxes eased so far, as shares of three pictures per pixel. It is mixed only where it
/// is measured, and written once at the end.
pub struct Blend<'a> {
    size: Size,
    /// The lumas of the original.
    before: Vec<f32>,
    pictures: Pictures<'a>,
    /// For each pixel, the share of the plain start, and over it that of the original.
    shares: Vec<[f32; 2]>,
}

/// The three pictures that are mixed, of one size.
#[derive(Clone, Copy)]
struct Pictures<'a> {
    content: &'a Pixels,
    plain: &'a Pixels,
    result: &'a Pixels,
}

impl<'a> Blend<'a> {
    /// `before` are the lumas of the original; `content` is the original or its detail.
    ///
    /// # Panics
    /// When the pictures differ in size.
    pub fn new(before: Vec<f32>, plain: &'a Pixels, content: &'a Pixels, result: &'a Pixels) -> Self {
        let size = result.size();
        assert_eq!([plain.size(), content.size()], [size; 2], "pictures must be of one size");
        let pictures = Pictures { content, plain, result };
        Self { size, before, pictures, shares: vec![[0.0; 2]; size.pixels()] }
    }

    /// Raises the shares around the box `rect` to `step`, where they are lower.
    pub fn ease(&mut self, rect: Rect, step: Step) {
        let mask = Mask::new(rect, self.size);
        for y in mask.reach.top..mask.reach.bottom {
            let columns = mask.reach.left..mask.reach.right;
            let raised = self.raised(&mask, step, y, columns.clone());
            self.shares[y * self.size.width..][columns].copy_from_slice(&raised);
        }
    }

    /// The luma of `rect` in the original.
    pub fn original(&self, rect: Rect) -> Patch {
        Patch::of(&self.before, self.size, rect)
    }

    /// The luma of `rect` in the blend.
    pub fn eased(&self, rect: Rect) -> Patch {
        Patch::fill(rect, self.size, |y, columns, row| {
            self.mix_lumas(&self.shares[y * self.size.width..][columns.clone()], y, columns, row);
        })
    }

    /// The luma of the box `rect` as the blend would have it after [`Blend::ease`] with `step`.
    pub fn tried(&self, rect: Rect, step: Step) -> Patch {
        let mask = Mask::new(rect, self.size);
        Patch::fill(rect, self.size, |y, columns, row| {
            self.mix_lumas(&self.raised(&mask, step, y, columns.clone()), y, columns, row);
        })
    }

    /// The shares of a row under one more mask. Under several masks the largest share counts, so their order does not.
    fn raised(&self, mask: &Mask, step: Step, y: usize, columns: Range<usize>) -> Vec<[f32; 2]> {
        let shares = &self.shares[y * self.size.width..][columns.clone()];
        let (plain, content) = (Step::share(step.plain), Step::share(step.content));
        let raised = |(s, mask): (&[f32; 2], f32)| [s[0].max(plain * mask), s[1].max(content * mask)];
        shares.iter().zip(mask.row(y, columns)).map(raised).collect()
    }

    /// Writes the lumas of these columns of row `y` under `shares`.
    fn mix_lumas(&self, shares: &[[f32; 2]], y: usize, columns: Range<usize>, lumas: &mut [f32]) {
        let row = |picture: &'a Pixels| {
            let row = &picture.data()[y * self.size.width * 3..][columns.start * 3..columns.end * 3];
            row.as_chunks::<3>().0
        };
        let Pictures { content, plain, result } = self.pictures;
        let colours = row(content).iter().zip(row(plain)).zip(row(result));
        for ((to, shares), ((content, plain), result)) in lumas.iter_mut().zip(shares).zip(colours) {
            *to = written_luma(&mixed(content, plain, result, shares));
        }
    }

    /// The shares of all pixels, `[height][width]`.
    pub fn into_shares(self) -> Vec<[f32; 2]> {
        self.shares
    }
}

/// One pixel of the blend. Each picture is cut to 0..1 first: else what lies outside would outshine what is blended
/// over it.
fn mixed(content: &[f32; 3], plain: &[f32; 3], result: &[f32; 3], shares: &[f32; 2]) -> [f32; 3] {
    // In this form a share of 1 gives exactly `to`.
    let towards = |from: f32, to: f32, share: f32| from * (1.0 - share) + to * share;
    std::array::from_fn(|i| {
        let eased = towards(cut(result[i]), cut(plain[i]), shares[0]);
        towards(eased, cut(content[i]), shares[1])
    })
}

/// Blends the pixels of `result` that have a share; the others keep their bits.
pub fn write(content: &Pixels, plain: &Pixels, result: &mut Pixels, shares: &[[f32; 2]]) {
    let (content, plain) = (content.data().as_chunks::<3>().0, plain.data().as_chunks::<3>().0);
    let result = result.data_mut().as_chunks_mut::<3>().0;
    let pixels = result.par_iter_mut().zip(content.par_iter().zip(plain)).zip(shares);
    pixels.with_min_len(1 << 12).for_each(|((result, (content, plain)), shares)| {
        if *shares != [0.0; 2] {
            *result = mixed(content, plain, result, shares);
        }
    });
}

/// The weight of a box's easing in each pixel. It is 1 in the box and on the pixels around it that its figures read, so
/// that all of the original always meets the floors. From there it falls smoothly to 0, with round corners.
pub struct Mask {
    full: Rect,
    /// Pixels from the full part to the first pixel with a weight of 0.
    feather: f32,
    /// All pixels with a weight above 0.
    pub reach: Rect,
}

impl Mask {
    /// The mask of the box `rect` in a picture of `size`.
    pub fn new(rect: Rect, size: Size) -> Self {
        let feather = (FEATHER * (rect.width() + rect.height()) as f64 / 2.0).max(LEAST_FEATHER);
        let wide = RADIUS + feather as usize;
        Self {
            full: rect.grown(RADIUS, RADIUS, size),
            feather: feather as f32 + 1.0,
            reach: rect.grown(wide, wide, size),
        }
    }

    /// The weights, 0..=1, of these columns of row `y`.
    fn row(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = f32> {
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

    #[test]
    fn a_mask_is_1_in_its_box_and_falls_to_0_without_a_jump() {
        let size = Size { height: 400, width: 500 };
        for (width, height) in [(200, 120), (40, 40), (6, 6), (1, 1)] {
            let rect = Rect { left: 150, top: 140, right: 150 + width, bottom: 140 + height };
            let mask = Mask::new(rect, size);
            let rows: Vec<Vec<f32>> = (0..size.height).map(|y| mask.row(y, 0..size.width).collect()).collect();
            // The steepest slope of the smoothstep is 1.5 over its length.
            let most = 1.5 / ((FEATHER * (width + height) as f64 / 2.0).max(LEAST_FEATHER) + 1.0) as f32 + 1e-6;
            for y in 1..size.height {
                for x in 1..size.width {
                    let jump = (rows[y][x] - rows[y - 1][x]).abs().max((rows[y][x] - rows[y][x - 1]).abs());
                    assert!(jump <= most, "{width}x{height}: {jump} at {x}, {y}");
                    let inside = (rect.top..rect.bottom).contains(&y) && (rect.left..rect.right).contains(&x);
                    assert!(!inside || rows[y][x] == 1.0, "{width}x{height} at {x}, {y}");
                    let reached = (mask.reach.top..mask.reach.bottom).contains(&y)
                        && (mask.reach.left..mask.reach.right).contains(&x);
                    assert!(reached || rows[y][x] == 0.0, "{width}x{height} at {x}, {y}");
                }
            }
        }
    }
}
