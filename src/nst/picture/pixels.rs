//! RGB pictures.

use crate::nst::picture::filter::{Border, bilinear, box_mean};
use crate::nst::picture::geometry::{Crop, Size};
use image::imageops::{self, FilterType};
use image::{Rgb32FImage, RgbImage};
use rayon::prelude::*;
use std::f64::consts::PI;

/// Lobes of the Lanczos window to each side.
const LOBES: f64 = 3.0;

/// An RGB picture, `[height][width][3]`, values nominally in 0..1 of the picture's own (gamma-encoded) colour space.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    size: Size,
    data: Vec<f32>,
}

impl Pixels {
    /// # Panics
    /// When `data` is not `height * width * 3` long.
    pub fn new(size: Size, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), size.pixels() * 3, "pixels must fill their size");
        Self { size, data }
    }

    pub fn from_rgb8(image: &RgbImage) -> Self {
        let size = Size { height: image.height() as usize, width: image.width() as usize };
        Self { size, data: image.as_raw().iter().map(|&v| v as f32 / 255.0).collect() }
    }

    /// Cut to 0..1 and rounded to the nearest of 256 values.
    pub fn to_rgb8(&self) -> RgbImage {
        let bytes = self.data.iter().map(|&v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
        RgbImage::from_raw(self.size.width as u32, self.size.height as u32, bytes)
            .unwrap_or_else(|| unreachable!("pixels fill their size"))
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn data(&self) -> &[f32] {
        &self.data
    }

    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|v| v.is_finite())
    }

    /// The part inside `crop`.
    pub fn cropped(&self, crop: Crop) -> Self {
        let row = |y: usize| &self.data[((crop.top + y) * self.size.width + crop.left) * 3..][..crop.width * 3];
        let data = (0..crop.height).flat_map(|y| row(y).iter().copied()).collect();
        Self { size: crop.size(), data }
    }

    /// Replaces the part inside `crop` by `part`, which has its size.
    pub fn paste(&mut self, part: &Self, crop: Crop) {
        for (y, row) in part.data.chunks_exact(crop.width * 3).enumerate() {
            let at = ((crop.top + y) * self.size.width + crop.left) * 3;
            self.data[at..at + row.len()].copy_from_slice(row);
        }
    }

    /// This picture without detail: the mean of each cell of `cell` pixels a side and of its neighbours, interpolated.
    pub fn blurred(&self, cell: usize) -> Self {
        let width = self.size.width;
        let grid = self.size.map(|side| side.div_ceil(cell));
        let (mut sums, mut counts) = (vec![[0.0_f32; 3]; grid.pixels()], vec![0.0_f32; grid.pixels()]);
        for (n, rgb) in self.data.chunks_exact(3).enumerate() {
            let at = n / width / cell * grid.width + n % width / cell;
            (0..3).for_each(|i| sums[at][i] += rgb[i]);
            counts[at] += 1.0;
        }
        let means: Vec<f32> = sums.iter().zip(&counts).flat_map(|(sum, count)| sum.map(|v| v / count)).collect();
        let means = box_mean::<3>(&means, grid, 1, Border::Cut);
        Self { size: self.size, data: bilinear::<3>(&means, grid, self.size) }
    }

    /// Resized with a Lanczos window of three lobes.
    pub fn resized(&self, size: Size) -> Self {
        if size == self.size {
            return self.clone();
        }
        let image = Rgb32FImage::from_raw(self.size.width as u32, self.size.height as u32, self.data.clone())
            .unwrap_or_else(|| unreachable!("pixels fill their size"));
        let image = imageops::resize(&image, size.width as u32, size.height as u32, FilterType::Lanczos3);
        Self { size, data: image.into_raw() }
    }

    /// As [`Pixels::resized`], for a picture that goes on at its opposite side: a picture that tiles tiles afterwards.
    pub fn resized_around(&self, size: Size) -> Self {
        if size == self.size {
            return self.clone();
        }
        let rows = lanczos_weights(self.size.height, size.height);
        let columns = lanczos_weights(self.size.width, size.width);
        let row_len = self.size.width * 3;
        let mut data = vec![0.0; size.pixels() * 3];
        data.par_chunks_mut(size.width * 3).zip(rows).for_each(|(out, weights)| {
            let mut row = vec![0.0; row_len];
            for (from, weight) in weights {
                for (sum, v) in row.iter_mut().zip(&self.data[from * row_len..][..row_len]) {
                    *sum += weight * v;
                }
            }
            for (out, weights) in out.chunks_exact_mut(3).zip(&columns) {
                for (colour, out) in out.iter_mut().enumerate() {
                    *out = weights.iter().map(|&(from, weight)| weight * row[from * 3 + colour]).sum();
                }
            }
        });
        Self { size, data }
    }
}

/// For each of `to` pixels of a row that wraps, the pixels that it is made of, of a row of `from`, with weights that
/// sum to 1.
fn lanczos_weights(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f64 / to as f64;
    // A smaller result needs a wider window, or it would miss pixels.
    let scale = ratio.max(1.0);
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let weights_of = |pixel: usize| {
        let centre = (pixel as f64 + 0.5) * ratio - 0.5;
        let reach = (centre - LOBES * scale).ceil() as i64..=(centre + LOBES * scale).floor() as i64;
        let weights: Vec<_> = reach
            .map(|at| ((at as f64 - centre) / scale, at.rem_euclid(from as i64) as usize))
            .map(|(x, at)| (at, if x.abs() < LOBES { sinc(x) * sinc(x / LOBES) } else { 0.0 }))
            .collect();
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        weights.into_iter().map(|(at, weight)| (at, (weight / sum) as f32)).collect()
    };
    (0..to).map(weights_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_around_has_no_border_and_equals_plain_resizing_far_from_it() {
        let pixels = |size: Size, shift: usize| {
            let wave = |n: usize| {
                let (y, x) = ((n / 3 / size.width) as f64, (n / 3 + shift) % size.width);
                0.5 + 0.4 * (x as f64 * 1.3).sin() * (y * 0.7 + (n % 3) as f64).cos()
            };
            Pixels::new(size, (0..size.pixels() * 3).map(|n| wave(n) as f32).collect())
        };
        let from = Size { height: 40, width: 60 };
        for to in [Size { height: 20, width: 30 }, Size { height: 60, width: 90 }, Size { height: 40, width: 61 }] {
            let around = pixels(from, 0).resized_around(to);
            let plain = pixels(from, 0).resized(to);
            let margin = 10;
            for (y, x) in (margin..to.height - margin).flat_map(|y| (margin..to.width - margin).map(move |x| (y, x))) {
                let at = (y * to.width + x) * 3;
                assert!((around.data()[at] - plain.data()[at]).abs() < 1e-5, "{to:?} {y} {x}");
            }
            let shift = 6 * to.width / from.width;
            if to.width * 6 % from.width == 0 {
                let shifted = pixels(from, 6).resized_around(to);
                for (row, other) in shifted.data().chunks(to.width * 3).zip(around.data().chunks(to.width * 3)) {
                    let mut turned = other.to_vec();
                    turned.rotate_left(shift * 3);
                    crate::nst::testing::assert_close(row, &turned, 1e-5, "a shift");
                }
            }
        }
    }

    #[test]
    fn eight_bits_survive_a_round_trip() {
        let image = RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x * 16) as u8, (y * 16) as u8, (x * y) as u8]));
        assert_eq!(Pixels::from_rgb8(&image).to_rgb8(), image);
    }
}
