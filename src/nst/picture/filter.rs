//! Bilinear resizing and box means of interleaved values.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;
use std::ops::Range;

/// The two pixels of a row of `from` pixels between which pixel `at` of a row of `to` pixels lies, and its distance
/// from the first in 0..1. Pixel centres lie at halves. A row that `wraps` goes on at its opposite side.
pub fn neighbours(at: usize, to: usize, from: usize, wraps: bool) -> (usize, usize, f32) {
    let centre = (at as f32 + 0.5) * from as f32 / to as f32 - 0.5;
    if wraps {
        let low = centre.floor();
        let index = (low as isize).rem_euclid(from as isize) as usize;
        return (index, (index + 1) % from, centre - low);
    }
    let centre = centre.clamp(0.0, (from - 1) as f32);
    let low = centre as usize;
    (low, (low + 1).min(from - 1), centre - low as f32)
}

/// Resizes `[height][width][N]` bilinearly from `size` to `to`.
pub fn bilinear<const N: usize>(data: &[f32], size: Size, to: Size) -> Vec<f32> {
    let resized = Interpolated::<N, _>::new(data, size, to);
    let mut out = vec![0.0; to.pixels() * N];
    let rows = out.par_chunks_mut(to.width * N).enumerate();
    rows.for_each(|(y, row)| resized.write_row(y, row.as_chunks_mut().0));
    out
}

/// `[height][width][N]` of a small size at a larger one, interpolated bilinearly where it is read.
pub struct Interpolated<const N: usize, D> {
    data: D,
    small: Size,
    full: Size,
    /// The pixels of the small size that each column lies between; see [`neighbours`].
    across: Vec<(usize, usize, f32)>,
}

impl<const N: usize, D: AsRef<[f32]>> Interpolated<N, D> {
    /// # Panics
    /// When `data` is not of the size `small`.
    pub fn new(data: D, small: Size, full: Size) -> Self {
        assert_eq!(data.as_ref().len(), small.pixels() * N, "data must be of the small size");
        let across = (0..full.width).map(|x| neighbours(x, full.width, small.width, false)).collect();
        Self { data, small, full, across }
    }

    /// Row `y`.
    pub fn row(&self, y: usize) -> Vec<[f32; N]> {
        let mut row = vec![[0.0; N]; self.full.width];
        self.write_row(y, &mut row);
        row
    }

    fn write_row(&self, y: usize, row: &mut [[f32; N]]) {
        let (top, bottom, down) = neighbours(y, self.full.height, self.small.height, false);
        let (stride, data) = (self.small.width * N, self.data.as_ref());
        let [top, bottom] = [top, bottom].map(|y| &data[y * stride..][..stride]);
        vectorized(
            #[inline(always)]
            || {
                let between: Vec<f32> =
                    top.iter().zip(bottom).map(|(&top, &bottom)| between(top, bottom, down)).collect();
                let pixels = between.as_chunks::<N>().0;
                for (values, &(left, right, aside)) in row.iter_mut().zip(&self.across) {
                    let (left, right) = (&pixels[left], &pixels[right]);
                    *values = std::array::from_fn(|n| self::between(left[n], right[n], aside));
                }
            },
        );
    }

    /// The pixel at row `y` and column `x`.
    pub fn at(&self, y: usize, x: usize) -> [f32; N] {
        let (top, bottom, down) = neighbours(y, self.full.height, self.small.height, false);
        let (left, right, aside) = self.across[x];
        let pixels = self.data.as_ref().as_chunks::<N>().0;
        let pixel = |x: usize, n: usize| {
            between(pixels[top * self.small.width + x][n], pixels[bottom * self.small.width + x][n], down)
        };
        std::array::from_fn(|n| between(pixel(left, n), pixel(right, n), aside))
    }
}

#[inline(always)]
fn between(from: f32, to: f32, share: f32) -> f32 {
    from + share * (to - from)
}

/// What a window reads beyond the border of a picture. Under [`Border::Mirrored`] and [`Border::Around`] smoothing is
/// symmetric: each pixel has the same weight in the mean of another as the other has in its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Nothing: the window is cut off.
    Cut,
    /// The mirrored picture.
    Mirrored,
    /// The opposite side of the picture.
    Around,
}

/// The indices, of `len`, that a window of `radius` around `at` reads. An index that it reads twice is there twice.
pub fn window(at: usize, len: usize, radius: usize, border: Border) -> impl ExactSizeIterator<Item = usize> {
    positions(at, len, radius, border).map(move |position| index(position, len, radius, border))
}

/// The positions of a window. They are indices under [`Border::Cut`]; else they are larger by `radius`, so that those
/// before the picture are not negative.
fn positions(at: usize, len: usize, radius: usize, border: Border) -> Range<usize> {
    match border {
        Border::Cut => at.saturating_sub(radius)..(at + radius + 1).min(len),
        Border::Mirrored | Border::Around => at..at + 2 * radius + 1,
    }
}

/// The index that a window reads at one of its [`positions`].
fn index(position: usize, len: usize, radius: usize, border: Border) -> usize {
    match border {
        Border::Cut => position,
        // A multiple of `len` keeps the sum from being negative.
        Border::Around => (position + len * radius - radius) % len,
        Border::Mirrored => {
            let at = (position + 2 * len * radius - radius) % (2 * len);
            at.min(2 * len - 1 - at)
        }
    }
}

/// The mean of each value of `[height][width][N]` over a square window that reaches `radius` pixels to each side.
pub fn box_mean<const N: usize>(data: &[f32], size: Size, radius: usize, border: Border) -> Vec<f32> {
    let Size { height, width } = size;
    let mut across = vec![0.0; data.len()];
    across.par_chunks_mut(width * N).zip(data.par_chunks(width * N)).for_each(|(to, from)| match border {
        Border::Cut => cut_row_mean::<N>(from, to, radius),
        Border::Mirrored | Border::Around => full_row_mean::<N>(from, to, radius, border),
    });
    let mut out = vec![0.0; data.len()];
    out.par_chunks_mut(width * N).enumerate().for_each(|(y, to)| {
        let window = window(y, height, radius, border);
        let scale = 1.0 / window.len() as f32;
        vectorized(
            #[inline(always)]
            || {
                add_rows(to, window.map(|row| &across[row * width * N..][..width * N]));
                to.iter_mut().for_each(|v| *v *= scale);
            },
        );
    });
    out
}

/// Adds rows to `to` one after the other, but three in each pass over it.
#[inline(always)]
fn add_rows<'a>(to: &mut [f32], mut rows: impl Iterator<Item = &'a [f32]>) {
    while let Some(a) = rows.next() {
        match (rows.next(), rows.next()) {
            (Some(b), Some(c)) => {
                let rows = to.iter_mut().zip(a).zip(b).zip(c);
                rows.for_each(|(((to, a), b), c)| *to = *to + a + b + c);
            }
            (Some(b), None) => to.iter_mut().zip(a).zip(b).for_each(|((to, a), b)| *to = *to + a + b),
            (None, _) => to.iter_mut().zip(a).for_each(|(to, a)| *to += a),
        }
    }
}

/// The means along one row, `[width][N]`, of windows that are cut off at its ends; `to` holds zeros.
fn cut_row_mean<const N: usize>(from: &[f32], to: &mut [f32], radius: usize) {
    let width = from.len() / N;
    let (from, to) = (from.as_chunks::<N>().0, to.as_chunks_mut::<N>().0);
    let whole = radius..width.saturating_sub(radius).max(radius);
    for x in (0..width).filter(|x| !whole.contains(x)) {
        let window = positions(x, width, radius, Border::Cut);
        let scale = 1.0 / window.len() as f32;
        for from in &from[window] {
            to[x].iter_mut().zip(from).for_each(|(to, v)| *to += v);
        }
        to[x].iter_mut().for_each(|v| *v *= scale);
    }
    if !whole.is_empty() {
        mean_of_shifted(from, &mut to[whole], radius);
    }
}

/// The mean of each window of `from`, which begins and ends `radius` values beyond `to`; `to` holds zeros. All windows
/// have one length, so the first values of all are added at once, then the second ones, and so on.
fn mean_of_shifted<const N: usize>(from: &[[f32; N]], to: &mut [[f32; N]], radius: usize) {
    let scale = 1.0 / (2 * radius + 1) as f32;
    vectorized(
        #[inline(always)]
        || {
            let to = to.as_flattened_mut();
            add_rows(to, (0..=2 * radius).map(|shift| from[shift..].as_flattened()));
            to.iter_mut().for_each(|v| *v *= scale);
        },
    );
}

/// The means along one row, `[width][N]`, of windows that go on beyond its ends; `to` holds zeros.
fn full_row_mean<const N: usize>(from: &[f32], to: &mut [f32], radius: usize, border: Border) {
    let width = from.len() / N;
    let columns = (0..width + 2 * radius).map(|position| index(position, width, radius, border));
    let from = from.as_chunks::<N>().0;
    let longer: Vec<[f32; N]> = columns.map(|column| from[column]).collect();
    mean_of_shifted(&longer, to.as_chunks_mut::<N>().0, radius);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_mean_is_cut_off_at_the_border_or_goes_on_beyond_it() {
        let size = Size { height: 3, width: 20 };
        let data: Vec<f32> = (0..60).map(|i| (i % 20) as f32).collect();
        let around = box_mean::<1>(&data, size, 6, Border::Around);
        assert!((around[0] - (0..=6).chain(14..20).sum::<i32>() as f32 / 13.0).abs() < 1e-5, "the mean around 0");
        let mirrored = box_mean::<1>(&data, size, 6, Border::Mirrored);
        assert!((mirrored[0] - (0..=6).chain(0..6).sum::<i32>() as f32 / 13.0).abs() < 1e-5, "0 and its mirror image");
        let mean = box_mean::<1>(&data, size, 6, Border::Cut);
        assert!((mean[0] - 3.0).abs() < 1e-6, "the mean of 0..=6");
        assert!((mean[10] - 10.0).abs() < 1e-6);
        assert!((mean[59] - 16.0).abs() < 1e-6, "the mean of 13..=19");
    }
}
