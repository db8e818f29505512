//! The photoreal render: the stylized picture as a smooth field of affine colour maps, applied to the original.
//!
//! In each window the stylized colours are fitted as an affine function of the content's (the colour guided filter:
//! He, Sun and Tang 2010, section 3.5). The maps vary slowly, so the original's edges stay where they are, whatever
//! the optimizer painted, and they can be fitted small and applied at any size.

use super::conv::Size;
use super::pixels::Pixels;
use super::settings::Padding;
use rayon::prelude::*;

/// Pixels from a window's centre to its side, at the working size.
const RADIUS: usize = 6;
/// Added to the variance of the content, in units of 0..1 squared: how flat counts as flat.
const EPS: f64 = 1e-3;
/// One map's numbers: for each colour out, three factors and an offset.
const NUMBERS: usize = 12;
/// Moments of one window: means of content and stylized colours, of the six products of content colours, and of the
/// nine products of content and stylized ones.
const MOMENTS: usize = 3 + 3 + 6 + 9;
/// Where the product of content colours `i` and `j` stands among the six.
const SQUARE: [[usize; 3]; 3] = [[0, 1, 2], [1, 3, 4], [2, 4, 5]];

/// An affine map of RGB for every pixel of the working size.
pub struct AffineField {
    size: Size,
    wraps: bool,
    /// `[height][width][12]`
    maps: Vec<f32>,
}

impl AffineField {
    /// Fits the maps that take `content` to `stylized`, two pictures of one size.
    ///
    /// Under [`Padding::Wrap`] the field wraps around; else windows end at the border.
    pub fn fit(content: &Pixels, stylized: &Pixels, padding: Padding) -> Self {
        let (size, wraps) = (content.size(), padding == Padding::Wrap);
        let mut moments = vec![0.0; size.pixels() * MOMENTS];
        moments.par_chunks_mut(MOMENTS).zip(content.data().par_chunks(3).zip(stylized.data().par_chunks(3))).for_each(
            |(moments, (from, to))| {
                for i in 0..3 {
                    moments[i] = from[i];
                    moments[3 + i] = to[i];
                    for j in 0..3 {
                        moments[6 + SQUARE[i][j]] = from[i] * from[j];
                        moments[12 + i * 3 + j] = from[i] * to[j];
                    }
                }
            },
        );
        let moments = box_mean::<MOMENTS>(&moments, size, wraps);
        let mut maps = vec![0.0; size.pixels() * NUMBERS];
        maps.par_chunks_mut(NUMBERS)
            .zip(moments.par_chunks(MOMENTS))
            .for_each(|(map, moments)| map.copy_from_slice(&regression(moments)));
        Self { size, wraps, maps: box_mean::<NUMBERS>(&maps, size, wraps) }
    }

    /// Applies the maps, resized bilinearly, to `original`, in place.
    pub fn apply(&self, original: &mut Pixels) {
        let full = original.size();
        let across: Vec<_> = (0..full.width).map(|x| between(x, full.width, self.size.width, self.wraps)).collect();
        let row_len = self.size.width * NUMBERS;
        original.data_mut().par_chunks_mut(full.width * 3).enumerate().for_each(|(y, row)| {
            let (top, bottom, down) = between(y, full.height, self.size.height, self.wraps);
            // One row of maps, interpolated downwards once for all pixels of the row.
            let (top, bottom) = (&self.maps[top * row_len..][..row_len], &self.maps[bottom * row_len..][..row_len]);
            let maps: Vec<f32> = top.iter().zip(bottom).map(|(t, b)| t + down * (b - t)).collect();
            for (rgb, &(left, right, aside)) in row.chunks_exact_mut(3).zip(&across) {
                let (left, right) = (&maps[left * NUMBERS..][..NUMBERS], &maps[right * NUMBERS..][..NUMBERS]);
                let map: [f32; NUMBERS] = std::array::from_fn(|n| left[n] + aside * (right[n] - left[n]));
                let [r, g, b] = [rgb[0], rgb[1], rgb[2]];
                for (out, map) in rgb.iter_mut().zip(map.chunks_exact(4)) {
                    *out = map[0] * r + map[1] * g + map[2] * b + map[3];
                }
            }
        });
    }
}

/// The two neighbours of pixel `at` of `full` on a grid of `small`, and how far it lies towards the second; pixel
/// centres at halves.
fn between(at: usize, full: usize, small: usize, wraps: bool) -> (usize, usize, f32) {
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

/// The mean over the square window around each pixel, cut off at the border or wrapped, of `[height][width][N]`.
fn box_mean<const N: usize>(data: &[f32], size: Size, wraps: bool) -> Vec<f32> {
    let Size { height, width } = size;
    // Counted from whole pictures before the first, so that what wraps is no negative number.
    let window = |at: usize, len: usize| match wraps {
        true => at + len * RADIUS - RADIUS..at + len * RADIUS + RADIUS + 1,
        false => len * RADIUS + at.saturating_sub(RADIUS)..len * RADIUS + (at + RADIUS + 1).min(len),
    };
    let mut across = vec![0.0; data.len()];
    across.par_chunks_mut(width * N).zip(data.par_chunks(width * N)).for_each(|(to, from)| {
        for (x, to) in to.chunks_exact_mut(N).enumerate() {
            let window = window(x, width);
            let scale = 1.0 / window.len() as f32;
            let mut sum = [0.0; N];
            for column in window {
                for (sum, v) in sum.iter_mut().zip(&from[column % width * N..][..N]) {
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
        let window = window(y, height);
        let scale = 1.0 / window.len() as f32;
        for row in window {
            for (to, v) in to.iter_mut().zip(&across[row % height * width * N..][..width * N]) {
                *to += v;
            }
        }
        to.iter_mut().for_each(|v| *v *= scale);
    });
    out
}

/// Ridge regression of the stylized on the content colours from one window's moments.
fn regression(moments: &[f32]) -> [f32; NUMBERS] {
    // In double precision: for grey windows the covariance is almost singular, and its inverse a difference of likes.
    let moments: [f64; MOMENTS] = std::array::from_fn(|n| moments[n].into());
    let (from, to) = (&moments[0..3], &moments[3..6]);
    let covariance =
        |i: usize, j: usize| moments[6 + SQUARE[i][j]] - from[i] * from[j] + if i == j { EPS } else { 0.0 };
    let [xx, xy, xz] = [covariance(0, 0), covariance(0, 1), covariance(0, 2)];
    let [yy, yz, zz] = [covariance(1, 1), covariance(1, 2), covariance(2, 2)];
    // The adjugate of a symmetric matrix is symmetric; EPS keeps the determinant away from 0.
    let (a, b, c) = (yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy);
    let (d, e, f) = (xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy);
    let determinant = xx * a + xy * b + xz * c;
    let inverse = [[a, b, c], [b, d, e], [c, e, f]].map(|row| row.map(|v| v / determinant));
    let mut map = [0.0; NUMBERS];
    for (out, numbers) in map.chunks_exact_mut(4).enumerate() {
        let cross: [f64; 3] = std::array::from_fn(|i| moments[12 + i * 3 + out] - from[i] * to[out]);
        let factors: [f64; 3] = std::array::from_fn(|i| (0..3).map(|j| inverse[i][j] * cross[j]).sum());
        let offset = to[out] - (0..3).map(|i| factors[i] * from[i]).sum::<f64>();
        for (number, value) in numbers.iter_mut().zip(factors.into_iter().chain([offset])) {
            *number = value as f32;
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::Random;

    fn picture(size: Size) -> Pixels {
        let mut random = Random(9);
        Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform()).collect())
    }

    #[test]
    fn one_affine_map_everywhere_is_found_again_at_another_size() {
        let map = |rgb: &[f32]| [0.5 * rgb[0] + 0.1 * rgb[1] + 0.2, 0.6 * rgb[1] + 0.1, 0.3 * rgb[2] + 0.2 * rgb[0]];
        let content = picture(Size { height: 37, width: 53 });
        let stylized = content.data().chunks_exact(3).flat_map(map).collect();
        let field = AffineField::fit(&content, &Pixels::new(content.size(), stylized), Padding::Zero);
        let mut large = picture(Size { height: 75, width: 110 });
        let expected: Vec<f32> = large.data().chunks_exact(3).flat_map(map).collect();
        field.apply(&mut large);
        // EPS against the variance 1/12 of uniform noise pulls the factors towards 0 by 1.2 %.
        assert!(large.data().iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.01));
    }

    #[test]
    fn windows_are_cut_off_at_the_border_or_wrap() {
        let size = Size { height: 3, width: 20 };
        let data: Vec<f32> = (0..60).map(|i| (i % 20) as f32).collect();
        let around = box_mean::<1>(&data, size, true);
        assert!((around[0] - (0..=6).chain(14..20).sum::<i32>() as f32 / 13.0).abs() < 1e-5, "the mean around 0");
        let mean = box_mean::<1>(&data, size, false);
        assert!((mean[0] - 3.0).abs() < 1e-6, "the mean of 0..=6");
        assert!((mean[10] - 10.0).abs() < 1e-6);
        assert!((mean[59] - 16.0).abs() < 1e-6, "the mean of 13..=19");
    }
}
