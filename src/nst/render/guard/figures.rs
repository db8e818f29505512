//! What is measured of one labelled object.

use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::{FLAT, RADIUS};
use rayon::prelude::*;
use std::ops::Range;

const SIDE: usize = 2 * RADIUS + 1;

/// What a box keeps of the original. One that is flat there has nothing to lose and keeps all: 1 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Local contrast over the original's; 0 and more. It is the mean absolute deviation of luma from its local mean:
    /// linear in the strength of a veil, and, unlike a root of squares, not to be held up by one bright lamp.
    pub contrast: f64,
    /// Correlation of luma gradients with the original's, in -1..=1.
    pub edges: f64,
}

impl Figures {
    pub(crate) const ALL: Self = Self { contrast: 1.0, edges: 1.0 };
}

/// What `boxes` keep of `content` in `result`.
///
/// # Panics
/// When the pictures differ in size.
pub fn figures(content: &Pixels, result: &Pixels, boxes: &[Area]) -> Vec<Figures> {
    assert_eq!(content.size(), result.size(), "pictures must be of one size");
    let size = content.size();
    if boxes.is_empty() || size.pixels() == 0 {
        return vec![Figures::ALL; boxes.len()];
    }
    let (before, after) = (lumas(content), lumas(result));
    let measured = |area: &Area| {
        let rect = Rect::of(*area, size);
        compare(&Patch::of(&before, size, rect), &Patch::of(&after, size, rect)).unwrap_or(Figures::ALL)
    };
    boxes.par_iter().map(measured).collect()
}

/// Pixels `top..bottom` by `left..right`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) right: usize,
    pub(crate) bottom: usize,
}

impl Rect {
    /// To the nearest pixel, but at least one, inside a picture that is not empty.
    pub(crate) fn of(area: Area, size: Size) -> Self {
        let span = |low: f64, high: f64, len: usize| {
            let low = ((low * len as f64).round() as usize).min(len - 1);
            (low, ((high * len as f64).round() as usize).clamp(low + 1, len))
        };
        let (left, right) = span(area.left, area.right, size.width);
        let (top, bottom) = span(area.top, area.bottom, size.height);
        Self { left, top, right, bottom }
    }

    pub(crate) fn width(self) -> usize {
        self.right - self.left
    }

    pub(crate) fn height(self) -> usize {
        self.bottom - self.top
    }

    pub(crate) fn pixels(self) -> usize {
        self.width() * self.height()
    }

    /// Wider by `x` and higher by `y` pixels on each side, inside the picture.
    pub(crate) fn grown(self, x: usize, y: usize, size: Size) -> Self {
        Self {
            left: self.left.saturating_sub(x),
            top: self.top.saturating_sub(y),
            right: (self.right + x).min(size.width),
            bottom: (self.bottom + y).min(size.height),
        }
    }
}

/// To 0..1, and 0 for what is no number; two instructions, where `clamp` has to keep that.
pub fn cut(v: f32) -> f32 {
    let v = if v > 0.0 { v } else { 0.0 };
    if v < 1.0 { v } else { 1.0 }
}

/// Rec. 601 luma of a colour as it is written: cut to 0..1 and rounded to 256 steps; what is no number is black.
pub fn luma(rgb: &[f32; 3]) -> f32 {
    // Beyond 2^23 a float has no fraction left. A conversion to whole numbers and back would be five times as slow.
    const WHOLE: f32 = (1 << 23) as f32;
    luma::luma(&rgb.map(|v| cut(v) * 255.0 + WHOLE - WHOLE)) / 255.0
}

pub fn lumas(picture: &Pixels) -> Vec<f32> {
    picture.data().as_chunks::<3>().0.par_iter().with_min_len(1 << 12).map(luma).collect()
}

/// The lumas of a rectangle and of [`RADIUS`] pixels around it.
///
/// Beyond the picture's border the luma goes on as its point reflection, which keeps a slope a slope: central
/// differences become the one-sided ones that numpy takes there, and nothing deviates that would not inside.
pub struct Patch {
    /// Of the rectangle.
    width: usize,
    height: usize,
    /// `[height + 2 RADIUS][width + 2 RADIUS]`
    lumas: Vec<f32>,
}

impl Patch {
    pub(crate) fn of(lumas: &[f32], size: Size, rect: Rect) -> Self {
        Self::fill(rect, size, |y, columns, row| {
            row.copy_from_slice(&lumas[y * size.width..][columns]);
        })
    }

    /// From what `fill` writes for a row of the picture and a range of its columns.
    pub(crate) fn fill(rect: Rect, size: Size, fill: impl Fn(usize, Range<usize>, &mut [f32])) -> Self {
        let (width, height) = (rect.width(), rect.height());
        let stride = width + 2 * RADIUS;
        let inside = rect.grown(RADIUS, RADIUS, size);
        // Where the picture begins and ends in the patch.
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
        Self { width, height, lumas }
    }

    /// The row at `y`, from -[`RADIUS`] on, with the pixels around.
    fn row(&self, y: usize) -> &[f32] {
        let stride = self.width + 2 * RADIUS;
        &self.lumas[y * stride..][..stride]
    }

    /// The sum over the rectangle of the absolute deviation of luma from its local mean.
    pub(crate) fn deviation(&self) -> f64 {
        let width = self.width;
        let mut across = vec![0.0; width * (self.height + 2 * RADIUS)];
        for (y, to) in across.chunks_exact_mut(width).enumerate() {
            (0..SIDE).for_each(|i| add(to, &self.row(y)[i..i + width]));
        }
        let (mut window, mut sum) = (vec![0.0; width], 0.0);
        for y in 0..self.height {
            window.fill(0.0);
            (0..SIDE).for_each(|i| add(&mut window, &across[(y + i) * width..][..width]));
            let centres = &self.row(y + RADIUS)[RADIUS..RADIUS + width];
            let [row] = sums(width, |x| [(centres[x] - window[x] / (SIDE * SIDE) as f32).abs()]);
            sum += row;
        }
        sum
    }
}

fn add(to: &mut [f32], values: &[f32]) {
    to.iter_mut().zip(values).for_each(|(to, v)| *to += v);
}

/// Places of a row that holds the picture in `low..high` only: one outside, the border and what is reflected in it.
fn reflections(low: usize, high: usize, len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let before = (1..=low).map(move |far| (low - far, low, (low + far).min(high - 1)));
    let behind = (1..=len - high).map(move |far| (high - 1 + far, high - 1, (high - 1).saturating_sub(far).max(low)));
    before.chain(behind)
}

/// What a box keeps, or nothing where it is flat before.
pub fn compare(before: &Patch, after: &Patch) -> Option<Figures> {
    let had = before.deviation();
    let flat = had < FLAT * (before.width * before.height) as f64;
    (!flat).then(|| Figures { contrast: after.deviation() / had, edges: edges(before, after) })
}

/// The correlation of the gradients: not centred, since a gradient of 0 is no edge in both.
pub fn edges(before: &Patch, after: &Patch) -> f64 {
    let width = before.width;
    let [mut product, mut squares_before, mut squares_after] = [0.0; 3];
    for y in RADIUS..RADIUS + before.height {
        // The rows above, at and below, from one pixel further left to one further right.
        let rows = |patch| [y - 1, y, y + 1].map(|y| &Patch::row(patch, y)[RADIUS - 1..][..width + 2]);
        let (before, after) = (rows(before), rows(after));
        let [ab, aa, bb] = sums(width, |x| {
            // Twice the gradient, which the correlation does not see.
            let slopes = |rows: &[&[f32]; 3]| (rows[1][x + 2] - rows[1][x], rows[2][x + 1] - rows[0][x + 1]);
            let ((ax, ay), (bx, by)) = (slopes(&before), slopes(&after));
            [ax * bx + ay * by, ax * ax + ay * ay, bx * bx + by * by]
        });
        product += ab;
        squares_before += aa;
        squares_after += bb;
    }
    match (squares_before > 0.0, squares_after > 0.0) {
        (true, true) => product / (squares_before * squares_after).sqrt(),
        (true, false) => 0.0,
        // Fine checks deviate and have no central differences: nothing can be lost.
        (false, _) => 1.0,
    }
}

/// Sums of `values(0..count)`: eight running ones of each let the compiler use vectors.
fn sums<const N: usize>(count: usize, values: impl Fn(usize) -> [f32; N]) -> [f64; N] {
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
