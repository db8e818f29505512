//! The luma of a rectangle and of the pixels around it, as it is written: cut to 0..1 and rounded to 256 steps.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use rayon::prelude::*;
use std::ops::Range;

/// Pixels from the centre of a local mean to its side. Its 5x5 pixels are no larger than the smallest labelled boxes,
/// so that the object is measured and not the road beside it.
pub const RADIUS: usize = 2;

const SIDE: usize = 2 * RADIUS + 1;

/// The pixels `top..bottom` by `left..right`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub left: usize,
    pub top: usize,
    pub right: usize,
    pub bottom: usize,
}

impl Rect {
    /// `area` to the nearest pixel, but at least one, inside a picture that is not empty.
    pub fn of(area: Area, size: Size) -> Self {
        let span = |low: f64, high: f64, len: usize| {
            let low = ((low * len as f64).round() as usize).min(len - 1);
            (low, ((high * len as f64).round() as usize).clamp(low + 1, len))
        };
        let (left, right) = span(area.left, area.right, size.width);
        let (top, bottom) = span(area.top, area.bottom, size.height);
        Self { left, top, right, bottom }
    }

    pub fn width(self) -> usize {
        self.right - self.left
    }

    pub fn height(self) -> usize {
        self.bottom - self.top
    }

    pub fn pixels(self) -> usize {
        self.width() * self.height()
    }

    /// The least rectangle that holds all `rects`; `None` without any.
    pub fn around(rects: impl IntoIterator<Item = Self>) -> Option<Self> {
        rects.into_iter().reduce(|a, b| Self {
            left: a.left.min(b.left),
            top: a.top.min(b.top),
            right: a.right.max(b.right),
            bottom: a.bottom.max(b.bottom),
        })
    }

    /// Whether both have a pixel in common.
    pub fn meets(self, other: Self) -> bool {
        let apart = self.right <= other.left || other.right <= self.left;
        !apart && self.top < other.bottom && other.top < self.bottom
    }

    /// Wider by `x` and higher by `y` pixels on each side, cut off at the border of the picture.
    pub fn grown(self, x: usize, y: usize, size: Size) -> Self {
        Self {
            left: self.left.saturating_sub(x),
            top: self.top.saturating_sub(y),
            right: (self.right + x).min(size.width),
            bottom: (self.bottom + y).min(size.height),
        }
    }
}

/// `v` cut to 0..1, and 0 if it is not a number. Two instructions; `clamp` would take more, to keep NaN.
#[inline(always)]
pub fn cut(v: f32) -> f32 {
    let v = if v > 0.0 { v } else { 0.0 };
    if v < 1.0 { v } else { 1.0 }
}

/// The luma (Rec. 601, 0..1) of a colour as it is written. What is not a number is black.
#[inline(always)]
pub fn written_luma(rgb: &[f32; 3]) -> f32 {
    // From 2^23 on, a float has no fraction, so this rounds. A conversion to an integer and back would be five times as
    // slow.
    const WHOLE: f32 = (1 << 23) as f32;
    luma(&rgb.map(|v| cut(v) * 255.0 + WHOLE - WHOLE)) / 255.0
}

/// The [`written_luma`] of all pixels, `[height][width]`.
pub fn written_lumas(picture: &Pixels) -> Vec<f32> {
    const CHUNK: usize = 1 << 13;
    let mut lumas = vec![0.0; picture.size().pixels()];
    let chunks = lumas.par_chunks_mut(CHUNK).zip(picture.data().as_chunks::<3>().0.par_chunks(CHUNK));
    chunks.for_each(|(lumas, pixels)| write_lumas(lumas, pixels));
    lumas
}

/// Writes the [`written_luma`] of each pixel.
pub fn write_lumas(lumas: &mut [f32], pixels: &[[f32; 3]]) {
    vectorized(
        #[inline(always)]
        || lumas.iter_mut().zip(pixels).for_each(|(luma, rgb)| *luma = written_luma(rgb)),
    );
}

/// The lumas of a rectangle and of [`RADIUS`] pixels around it.
///
/// Beyond the picture's border, the luma goes on as its point reflection. This keeps a slope a slope: central
/// differences become the one-sided ones of numpy.gradient, and no contrast appears that is not inside.
pub struct Patch {
    rect: Rect,
    /// `[height + 2 RADIUS][width + 2 RADIUS]`
    lumas: Vec<f32>,
}

impl Patch {
    /// Takes the patch around `rect` from the lumas of a picture of `size`, `[height][width]`.
    pub fn of(lumas: &[f32], size: Size, rect: Rect) -> Self {
        Self::fill(rect, size, |y, columns, row| {
            row.copy_from_slice(&lumas[y * size.width..][columns]);
        })
    }

    /// Takes the patch around `rect` from a picture.
    pub fn of_picture(picture: &Pixels, rect: Rect) -> Self {
        let size = picture.size();
        Self::fill(rect, size, |y, columns, row| {
            write_lumas(row, &picture.data().as_chunks::<3>().0[y * size.width..][columns]);
        })
    }

    /// Takes the patch around `rect` of a picture of `size`; `fill(y, columns, row)` writes these columns of row `y`.
    pub fn fill(rect: Rect, size: Size, fill: impl Fn(usize, Range<usize>, &mut [f32])) -> Self {
        let (width, height) = (rect.width(), rect.height());
        let stride = width + 2 * RADIUS;
        let inside = rect.grown(RADIUS, RADIUS, size);
        // The part of the patch that lies in the picture.
        let (left, top) = (inside.left + RADIUS - rect.left, inside.top + RADIUS - rect.top);
        let (right, bottom) = (left + inside.width(), top + inside.height());
        let mut lumas = vec![0.0; stride * (height + 2 * RADIUS)];
        for (y, row) in (inside.top..inside.bottom).zip(lumas.chunks_exact_mut(stride).skip(top)) {
            fill(y, inside.left..inside.right, &mut row[left..right]);
            for (to, border, mirrored) in reflections(left, right, stride) {
                row[to] = 2.0 * row[border] - row[mirrored];
            }
        }
        for (to, border, mirrored) in reflections(top, bottom, height + 2 * RADIUS) {
            for x in 0..stride {
                lumas[to * stride + x] = 2.0 * lumas[border * stride + x] - lumas[mirrored * stride + x];
            }
        }
        Self { rect, lumas }
    }

    /// The patch around a `part` of the rectangle.
    pub fn part(&self, part: Rect) -> Self {
        let (left, top) = (part.left - self.rect.left, part.top - self.rect.top);
        let rows = (top..).take(part.height() + 2 * RADIUS);
        let lumas = rows.flat_map(|y| &self.row(y)[left..][..part.width() + 2 * RADIUS]).copied().collect();
        Self { rect: part, lumas }
    }

    /// Columns of the rectangle.
    pub fn width(&self) -> usize {
        self.rect.width()
    }

    /// Row `y` of the whole patch; both `y` and the row begin [`RADIUS`] pixels before the rectangle.
    pub fn row(&self, y: usize) -> &[f32] {
        let stride = self.width() + 2 * RADIUS;
        &self.lumas[y * stride..][..stride]
    }

    /// The absolute deviation of luma from its local mean in each pixel of the rectangle.
    pub fn deviations(&self) -> Deviations {
        let values = vectorized(
            #[inline(always)]
            || self.deviations_by_rows(),
        );
        Deviations { rect: self.rect, values }
    }

    #[inline(always)]
    fn deviations_by_rows(&self) -> Vec<f32> {
        let width = self.width();
        // The sums along each row of the last windows, in turns.
        let mut across = [(); SIDE].map(|()| vec![0.0; width]);
        let mut deviations = vec![0.0; self.rect.pixels()];
        for y in 0..self.rect.height() + 2 * RADIUS {
            let row: [&[f32]; SIDE] = std::array::from_fn(|shift| &self.row(y)[shift..][..width]);
            sum_of_five(&mut across[y % SIDE], row);
            let Some(above) = y.checked_sub(2 * RADIUS) else { continue };
            let centres = &self.row(above + RADIUS)[RADIUS..][..width];
            let window: [&[f32]; SIDE] = std::array::from_fn(|i| &across[(above + i) % SIDE][..]);
            let to = &mut deviations[above * width..][..width];
            sum_of_five(to, window);
            to.iter_mut().zip(centres).for_each(|(v, centre)| *v = (centre - *v / (SIDE * SIDE) as f32).abs());
        }
        deviations
    }
}

/// Writes the sums of five rows.
#[inline(always)]
fn sum_of_five(to: &mut [f32], [a, b, c, d, e]: [&[f32]; SIDE]) {
    for (((((to, a), b), c), d), e) in to.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e) {
        *to = a + b + c + d + e;
    }
}

/// The absolute deviations of luma from its local mean in the pixels of a rectangle.
pub struct Deviations {
    rect: Rect,
    /// `[height][width]`
    values: Vec<f32>,
}

impl Deviations {
    /// Their sum over a part of the rectangle.
    pub fn sum(&self, part: Rect) -> f64 {
        vectorized(
            #[inline(always)]
            || self.rows(part).map(|row| sums(row.len(), |x| [row[x]])[0]).sum(),
        )
    }

    /// Their sum over a part of the rectangle with `weights`, `[height][width]` of the part.
    pub fn weighted_sum(&self, part: Rect, weights: &[f32]) -> f64 {
        let weights = weights.chunks_exact(part.width());
        vectorized(
            #[inline(always)]
            || self.rows(part).zip(weights).map(|(row, weights)| sums(row.len(), |x| [weights[x] * row[x]])[0]).sum(),
        )
    }

    /// The rows of a part of the rectangle.
    #[inline(always)]
    fn rows(&self, part: Rect) -> impl Iterator<Item = &[f32]> {
        let (width, left) = (self.rect.width(), part.left - self.rect.left);
        let rows = self.values.chunks_exact(width).skip(part.top - self.rect.top).take(part.height());
        rows.map(move |row| &row[left..][..part.width()])
    }
}

/// For a row of `len` pixels of which only `low..high` lie in the picture: each pixel outside, the pixel at the border,
/// and the pixel inside that is reflected in it.
fn reflections(low: usize, high: usize, len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let before = (1..=low).map(move |far| (low - far, low, (low + far).min(high - 1)));
    let behind = (1..=len - high).map(move |far| (high - 1 + far, high - 1, (high - 1).saturating_sub(far).max(low)));
    before.chain(behind)
}

/// The sums of `values(0..count)`. Each is kept as eight running sums, which lets the compiler use vectors.
#[inline(always)]
pub fn sums<const N: usize>(count: usize, values: impl Fn(usize) -> [f32; N]) -> [f64; N] {
    const LANES: usize = 8;
    let mut lanes = [[0.0_f32; LANES]; N];
    let even = count - count % LANES;
    for start in (0..even).step_by(LANES) {
        for lane in 0..LANES {
            let values = values(start + lane);
            for n in 0..N {
                lanes[n][lane] += values[n];
            }
        }
    }
    let mut sums = lanes.map(|lanes| lanes.iter().map(|&v| f64::from(v)).sum());
    for at in even..count {
        for (sum, value) in sums.iter_mut().zip(values(at)) {
            *sum += f64::from(value);
        }
    }
    sums
}
