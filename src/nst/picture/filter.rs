//! Resizing and filtering of planes.

use crate::nst::picture::geometry::Size;
use rayon::prelude::*;
use std::ops::Range;

/// The two neighbours of pixel `at` of `full` on a grid of `small`, and how far it lies towards the second; pixel
/// centres at halves. What `wraps` goes on at its opposite side.
pub fn between(at: usize, full: usize, small: usize, wraps: bool) -> (usize, usize, f32) {
    let place = (at as f32 + 0.5) * small as f32 / full as f32 - 0.5;
    if wraps {
        let low = place.floor();
        let index = (low as isize).rem_euclid(small as isize) as usize;
        return (index, (index + 1) % small, place - low);
    }
    let place = place.clamp(0.0, (small - 1) as f32);
    let low = place as usize;
    (low, (low + 1).min(small - 1), place - low as f32)
}

/// `N` interleaved values a pixel, `[height][width][N]`, resized bilinearly.
pub fn bilinear<const N: usize>(data: &[f32], size: Size, to: Size) -> Vec<f32> {
    let across: Vec<_> = (0..to.width).map(|x| between(x, to.width, size.width, false)).collect();
    let mut out = vec![0.0; to.pixels() * N];
    out.par_chunks_mut(to.width * N).enumerate().for_each(|(y, row)| {
        let (top, bottom, down) = between(y, to.height, size.height, false);
        for (values, &(left, right, aside)) in row.chunks_exact_mut(N).zip(&across) {
            for (n, value) in values.iter_mut().enumerate() {
                let at = |y: usize, x: usize| data[(y * size.width + x) * N + n];
                let mix = |y: usize| at(y, left) + aside * (at(y, right) - at(y, left));
                *value = mix(top) + down * (mix(bottom) - mix(top));
            }
        }
    });
    out
}

/// What a window that reaches over a border finds there. Under the last two, smoothing is symmetric: a pixel gives another
/// the share that it gets from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Nothing: the window is cut off.
    Cut,
    /// The picture in a mirror.
    Mirrored,
    /// The opposite side.
    Around,
}

/// The places among `len` that a window of `radius` around `at` reads; what it finds twice counts twice.
pub fn window(at: usize, len: usize, radius: usize, border: Border) -> impl ExactSizeIterator<Item = usize> {
    span(at, len, radius, border).map(move |at| place(at, len, radius, border))
}

/// A window, counted from `radius` places before the first where it may reach over a border.
fn span(at: usize, len: usize, radius: usize, border: Border) -> Range<usize> {
    match border {
        Border::Cut => at.saturating_sub(radius)..(at + radius + 1).min(len),
        Border::Mirrored | Border::Around => at..at + 2 * radius + 1,
    }
}

/// What lies where a window has counted to.
fn place(at: usize, len: usize, radius: usize, border: Border) -> usize {
    match border {
        Border::Cut => at,
        Border::Around => (at + len * radius - radius) % len,
        Border::Mirrored => {
            let at = (at + 2 * len * radius - radius) % (2 * len);
            at.min(2 * len - 1 - at)
        }
    }
}

/// The mean of each of `N` interleaved values over a square window of `radius` pixels.
pub fn box_mean<const N: usize>(data: &[f32], size: Size, radius: usize, border: Border) -> Vec<f32> {
    let Size { height, width } = size;
    let mut across = vec![0.0; data.len()];
    across.par_chunks_mut(width * N).zip(data.par_chunks(width * N)).for_each(|(to, from)| {
        if border != Border::Cut {
            let columns = (0..width + 2 * radius).map(|column| place(column, width, radius, border));
            let longer: Vec<f32> = columns.flat_map(|column| from[column * N..][..N].iter().copied()).collect();
            // All windows are of one length, so their first places are added at once, then the second, and so on.
            for shift in 0..=2 * radius {
                to.iter_mut().zip(&longer[shift * N..]).for_each(|(to, v)| *to += v);
            }
            let scale = 1.0 / (2 * radius + 1) as f32;
            to.iter_mut().for_each(|v| *v *= scale);
            return;
        }
        for (x, to) in to.chunks_exact_mut(N).enumerate() {
            let window = span(x, width, radius, border);
            let scale = 1.0 / window.len() as f32;
            let mut sum = [0.0; N];
            for from in from[window.start * N..window.end * N].chunks_exact(N) {
                for (sum, v) in sum.iter_mut().zip(from) {
                    *sum += v;
                }
            }
            for (to, sum) in to.iter_mut().zip(sum) {
                *to = sum * scale;
            }
        }
    });
    let mut out = vec![0.0; data.len()];
    out.par_chunks_mut(width * N).enumerate().for_each(|(y, to)| {
        let window = window(y, height, radius, border);
        let scale = 1.0 / window.len() as f32;
        for row in window {
            for (to, v) in to.iter_mut().zip(&across[row * width * N..][..width * N]) {
                *to += v;
            }
        }
        to.iter_mut().for_each(|v| *v *= scale);
    });
    out
}
