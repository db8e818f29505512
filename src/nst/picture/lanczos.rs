//! Resizing with a Lanczos window of three lobes.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;
use std::f64::consts::PI;

/// Lobes of the window to each side.
const LOBES: f64 = 3.0;

/// Pixels of a row that are added at once: their values fill whole registers.
const RUN: usize = 8;

/// Rows that are added at once.
const ROWS: usize = 4;

/// Resizes `[height][width][3]` from `size` to `to`. If it `wraps`, the picture goes on at its opposite side. The window
/// overshoots at edges.
pub fn resized(data: &[f32], size: Size, to: Size, wraps: bool) -> Vec<f32> {
    let rows = windows(size.height, to.height, wraps);
    let columns = Columns::of(windows(size.width, to.width, wraps), size.width, wraps);
    let row = |y: isize| &data[y.rem_euclid(size.height as isize) as usize * size.width * 3..][..size.width * 3];
    let mut out = vec![0.0; to.pixels() * 3];
    out.par_chunks_mut(to.width * 3).zip(rows).for_each(|(out, window)| {
        let mut between = vec![0.0; size.width * 3];
        vectorized(
            #[inline(always)]
            || add_rows(&mut between, &window, row),
        );
        let between = columns.with_margins(&between);
        vectorized(
            #[inline(always)]
            || columns.add(out.as_chunks_mut().0, &between),
        );
    });
    out
}

/// What one pixel of a resized row is made of.
struct Window {
    /// The place of its first pixel, which is negative where a picture that wraps goes on before its first one.
    first: isize,
    /// The weights of that pixel and of those after it. They sum to 1.
    weights: Vec<f32>,
}

/// The windows of `to` pixels of a row of `from`. At the ends of a row that does not wrap, they are cut off.
fn windows(from: usize, to: usize, wraps: bool) -> Vec<Window> {
    let ratio = from as f64 / to as f64;
    // A smaller result needs a wider window, or it would miss pixels.
    let scale = ratio.max(1.0);
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let weight = |x: f64| if x.abs() < LOBES { sinc(x) * sinc(x / LOBES) } else { 0.0 };
    let window = |pixel: usize| {
        let centre = (pixel as f64 + 0.5) * ratio - 0.5;
        let (first, last) = ((centre - LOBES * scale).ceil() as isize, (centre + LOBES * scale).floor() as isize);
        let (first, last) = if wraps { (first, last) } else { (first.max(0), last.min(from as isize - 1)) };
        let weights: Vec<f64> = (first..=last).map(|at| weight((at as f64 - centre) / scale)).collect();
        let sum: f64 = weights.iter().sum();
        Window { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..to).map(window).collect()
}

/// Adds the rows of a window to `sums`.
#[inline(always)]
fn add_rows<'a>(sums: &mut [f32], window: &Window, row: impl Fn(isize) -> &'a [f32]) {
    let (groups, rest) = window.weights.as_chunks::<ROWS>();
    let mut at = window.first;
    for weights in groups {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| row(at + n));
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (weights[0] * a + weights[1] * b) + (weights[2] * c + weights[3] * d);
        }
        at += ROWS as isize;
    }
    for (n, weight) in rest.iter().enumerate() {
        sums.iter_mut().zip(row(at + n as isize)).for_each(|(sum, v)| *sum += weight * v);
    }
}

/// The windows of the columns of a resized picture.
struct Columns {
    /// The first pixel of each window, counted with the margin before the row, and the weights of three colours each.
    windows: Vec<(usize, Vec<[f32; RUN * 3]>)>,
    /// Pixels before and after a row that windows reach.
    margins: (usize, usize),
    wraps: bool,
}

impl Columns {
    /// For rows of `width` pixels.
    fn of(windows: Vec<Window>, width: usize, wraps: bool) -> Self {
        let before = windows.iter().map(|window| -window.first).max().unwrap_or(0).max(0);
        let end = |window: &Window| window.first + window.weights.len().next_multiple_of(RUN) as isize;
        let after = windows.iter().map(end).max().unwrap_or(0) - width as isize;
        let in_runs = |window: Window| {
            let of_colours = |run: &[f32]| std::array::from_fn(|n| run.get(n / 3).copied().unwrap_or(0.0));
            ((window.first + before) as usize, window.weights.chunks(RUN).map(of_colours).collect())
        };
        let margins = (before as usize, after.max(0) as usize);
        Self { windows: windows.into_iter().map(in_runs).collect(), margins, wraps }
    }

    /// A row with what is before and after it: its opposite ends if it wraps, else zeros, which have no weight.
    fn with_margins(&self, row: &[f32]) -> Vec<f32> {
        let pixels = row.as_chunks::<3>().0;
        let beyond = |at: isize| match self.wraps {
            true => pixels[at.rem_euclid(pixels.len() as isize) as usize],
            false => [0.0; 3],
        };
        let (before, after) = (self.margins.0 as isize, self.margins.1 as isize);
        let mut wide = Vec::with_capacity(row.len() + 3 * (self.margins.0 + self.margins.1));
        (-before..0).for_each(|at| wide.extend(beyond(at)));
        wide.extend_from_slice(row);
        (0..after).for_each(|at| wide.extend(beyond(at)));
        wide
    }

    /// Adds the pixels of each window of a row with its margins.
    #[inline(always)]
    fn add(&self, out: &mut [[f32; 3]], row: &[f32]) {
        for (out, (first, weights)) in out.iter_mut().zip(&self.windows) {
            let runs = row[first * 3..].as_chunks::<{ RUN * 3 }>().0;
            let mut sums = [0.0; RUN * 3];
            for (run, weights) in runs.iter().zip(weights) {
                sums.iter_mut().zip(run).zip(weights).for_each(|((sum, v), weight)| *sum += weight * v);
            }
            for rgb in sums.as_chunks::<3>().0 {
                out.iter_mut().zip(rgb).for_each(|(out, v)| *out += v);
            }
        }
    }
}
