//! The photoreal render: affine colour maps, fitted to the stylized picture and applied to the original.
//!
//! In each window, the stylized colours are fitted as an affine function of the content's (the colour guided filter:
//! He, Sun and Tang 2010, section 3.5). The maps vary slowly. So the edges of the original stay where they are,
//! whatever the optimizer painted, and maps that were fitted at the working size can be applied at any size.
//!
//! - [`AffineField`]: on the CPU
//! - [`tensors`]: on a device

pub mod tensors;

use crate::nst::layers::Padding;
use crate::nst::picture::filter::{Border, box_mean, neighbours};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use rayon::prelude::*;

/// Pixels from a window's centre to its side, at the working size.
pub const RADIUS: usize = 6;

/// Added to the variance of the content, in units of 0..1 squared. It decides which windows count as flat.
pub const EPS: f64 = 1e-3;

/// Numbers of one map: for each colour of the result, three factors and an offset.
const NUMBERS: usize = 12;

/// Moments of one window: the means of content and stylized colours, of the six products of two content colours, and of
/// the nine products of a content and a stylized colour.
const MOMENTS: usize = 3 + 3 + 6 + 9;

/// The index, among the six, of the product of content colours `i` and `j`.
pub const SQUARE: [[usize; 3]; 3] = [[0, 1, 2], [1, 3, 4], [2, 4, 5]];

/// An affine map of RGB for each pixel of the working size.
pub struct AffineField {
    size: Size,
    wraps: bool,
    /// `[height][width][12]`
    maps: Vec<f32>,
}

impl AffineField {
    /// Fits the maps that take `content` to `stylized`, two pictures of one size.
    ///
    /// Under [`Padding::Wrap`] the field wraps; otherwise windows are cut off at the border.
    pub fn fit(content: &Pixels, stylized: &Pixels, padding: Padding) -> Self {
        let (size, wraps) = (content.size(), padding.wraps());
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
        let border = if wraps { Border::Around } else { Border::Cut };
        let moments = box_mean::<MOMENTS>(&moments, size, RADIUS, border);
        let mut maps = vec![0.0; size.pixels() * NUMBERS];
        maps.par_chunks_mut(NUMBERS)
            .zip(moments.par_chunks(MOMENTS))
            .for_each(|(map, moments)| map.copy_from_slice(&regression(moments)));
        Self { size, wraps, maps: box_mean::<NUMBERS>(&maps, size, RADIUS, border) }
    }

    /// Applies the maps, resized bilinearly, to `original`, in place.
    pub fn apply(&self, original: &mut Pixels) {
        let full = original.size();
        let across: Vec<_> = (0..full.width).map(|x| neighbours(x, full.width, self.size.width, self.wraps)).collect();
        let row_len = self.size.width * NUMBERS;
        original.data_mut().par_chunks_mut(full.width * 3).enumerate().for_each(|(y, row)| {
            let (top, bottom, down) = neighbours(y, full.height, self.size.height, self.wraps);
            // The maps of this row, interpolated once between two rows of the field.
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

/// Ridge regression of the stylized on the content colours, from the moments of one window.
fn regression(moments: &[f32]) -> [f32; NUMBERS] {
    // In double precision: in grey windows the covariance is almost singular, and digits cancel in its inverse.
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
    fn one_affine_map_of_all_pixels_is_recovered_and_applied_at_another_size() {
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
}
