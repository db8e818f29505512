//! RGB pictures.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::{Border, Interpolated, box_mean};
use crate::nst::picture::geometry::{Crop, Size};
use crate::nst::picture::lanczos;
use image::RgbImage;
use rayon::prelude::*;

/// Three values a pixel that change smoothly, read at the size of a picture.
pub type SmoothPixels = Interpolated<3, Vec<f32>>;

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
        let size = Size::of(image);
        Self {
            size,
            data: vectorized(
                #[inline(always)]
                || image.as_raw().iter().map(|&v| v as f32 / 255.0).collect(),
            ),
        }
    }

    /// Cut to 0..1 and rounded to the nearest of 256 values.
    pub fn to_rgb8(&self) -> RgbImage {
        // By way of an integer of the float's size, which is fast; what is not a number becomes 0.
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as i32 as u8;
        let bytes = vectorized(
            #[inline(always)]
            || self.data.iter().map(|&v| byte(v)).collect(),
        );
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
        // Whole chunks, so that the loop takes several values at once.
        self.data.chunks(4096).all(|chunk| {
            vectorized(
                #[inline(always)]
                || chunk.iter().fold(true, |all, v| all & v.is_finite()),
            )
        })
    }

    /// The part inside `crop`.
    pub fn cropped(&self, crop: Crop) -> Self {
        let row = |y: usize| &self.data[((crop.top + y) * self.size.width + crop.left) * 3..][..crop.width * 3];
        let data = (0..crop.height).flat_map(|y| row(y).iter().copied()).collect();
        Self { size: crop.size(), data }
    }

    /// This picture without detail: its light.
    pub fn light(&self, cell: usize) -> SmoothPixels {
        let (grid, light) = self.means(cell);
        Interpolated::new(light, grid, self.size)
    }

    /// For each cell of `cell` pixels a side, the mean of it and of its neighbours. Returns the number of cells and
    /// `[height][width][3]`.
    fn means(&self, cell: usize) -> (Size, Vec<f32>) {
        let Size { height, width } = self.size;
        let grid = self.size.map(|side| side.div_ceil(cell));
        let mut means = vec![0.0_f32; grid.pixels() * 3];
        means.par_chunks_mut(grid.width * 3).enumerate().for_each(|(row, means)| {
            let rows = row * cell..((row + 1) * cell).min(height);
            for y in rows.clone() {
                let pixels = self.data[y * width * 3..][..width * 3].chunks(cell * 3);
                for (sum, pixels) in means.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    for rgb in pixels.as_chunks::<3>().0 {
                        (0..3).for_each(|i| sum[i] += rgb[i]);
                    }
                }
            }
            for (at, mean) in means.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let columns = ((at + 1) * cell).min(width) - at * cell;
                mean.iter_mut().for_each(|v| *v /= (rows.len() * columns) as f32);
            }
        });
        (grid, box_mean::<3>(&means, grid, 1, Border::Cut))
    }

    /// Resized with a Lanczos window of three lobes, and cut to 0..1: the window overshoots at edges.
    pub fn resized(&self, size: Size) -> Self {
        let mut resized = self.resampled(size, false);
        resized.cut();
        resized
    }

    /// Cuts all values to 0..1.
    pub fn cut(&mut self) {
        self.data.par_iter_mut().with_min_len(1 << 14).for_each(|v| *v = v.clamp(0.0, 1.0));
    }

    /// Resized with a Lanczos window of three lobes; for differences of pictures, too. If it `wraps`, the picture goes on
    /// at its opposite side: one that tiles tiles afterwards.
    pub fn resampled(&self, size: Size, wraps: bool) -> Self {
        if size == self.size {
            return self.clone();
        }
        Self { size, data: lanczos::resized(&self.data, self.size, size, wraps) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_equals_that_of_the_image_crate() {
        use image::imageops::{self, FilterType};
        let mut random = crate::nst::testing::Random(3);
        let from = Size { height: 37, width: 61 };
        let pixels = Pixels::new(from, (0..from.pixels() * 3).map(|_| random.uniform()).collect());
        let image = image::Rgb32FImage::from_raw(61, 37, pixels.data().to_vec()).unwrap();
        for (height, width) in [(11, 20), (1, 1), (37, 30), (80, 61), (90, 130)] {
            let reference = imageops::resize(&image, width, height, FilterType::Lanczos3).into_raw();
            let resized = pixels.resized(Size { height: height as usize, width: width as usize });
            crate::nst::testing::assert_close(resized.data(), &reference, 1e-5, "a size");
        }
    }

    #[test]
    fn differences_keep_their_sign_and_pictures_stay_in_range() {
        let size = Size { height: 8, width: 8 };
        let below = Pixels::new(size, vec![-0.25; size.pixels() * 3]);
        let larger = below.resampled(Size { height: 20, width: 13 }, false);
        assert!(larger.data().iter().all(|v| (v + 0.25).abs() < 1e-5));
        let step = Pixels::new(size, (0..size.pixels() * 3).map(|n| (n % 24 / 12) as f32).collect());
        let larger = step.resized(Size { height: 8, width: 31 });
        assert!(larger.data().iter().all(|v| (0.0..=1.0).contains(v)));
    }

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
            let around = pixels(from, 0).resampled(to, true);
            let plain = pixels(from, 0).resampled(to, false);
            let margin = 10;
            for (y, x) in (margin..to.height - margin).flat_map(|y| (margin..to.width - margin).map(move |x| (y, x))) {
                let at = (y * to.width + x) * 3;
                assert!((around.data()[at] - plain.data()[at]).abs() < 1e-5, "{to:?} {y} {x}");
            }
            let shift = 6 * to.width / from.width;
            if to.width * 6 % from.width == 0 {
                let shifted = pixels(from, 6).resampled(to, true);
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
