//! Pictures as the engine sees them.

use super::bars::Inner;
use super::conv::Size;
use super::plane::{between, box_mean};
use image::imageops::{self, FilterType};
use image::{Rgb32FImage, RgbImage};

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

    /// Rounded to the nearest of 256 values; what lies outside 0..1 is cut off.
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

    /// The part that `inner` cuts out.
    pub fn cropped(&self, inner: Inner) -> Self {
        let row = |y: usize| &self.data[((inner.top + y) * self.size.width + inner.left) * 3..][..inner.width * 3];
        let data = (0..inner.height).flat_map(|y| row(y).iter().copied()).collect();
        Self { size: Size { height: inner.height, width: inner.width }, data }
    }

    /// Puts `part` where `inner` was cut out.
    pub fn paste(&mut self, part: &Self, inner: Inner) {
        for (y, row) in part.data.chunks_exact(inner.width * 3).enumerate() {
            let at = ((inner.top + y) * self.size.width + inner.left) * 3;
            self.data[at..at + row.len()].copy_from_slice(row);
        }
    }

    /// Means of cells of `cell` pixels a side and their neighbours, interpolated: what is left without detail.
    pub fn blurred(&self, cell: usize) -> Self {
        let Size { height, width } = self.size;
        let grid = Size { height: height.div_ceil(cell), width: width.div_ceil(cell) };
        let (mut sums, mut counts) = (vec![[0.0_f32; 3]; grid.pixels()], vec![0.0_f32; grid.pixels()]);
        for (n, rgb) in self.data.chunks_exact(3).enumerate() {
            let at = n / width / cell * grid.width + n % width / cell;
            (0..3).for_each(|i| sums[at][i] += rgb[i]);
            counts[at] += 1.0;
        }
        let means: Vec<f32> = sums.iter().zip(&counts).flat_map(|(sum, count)| sum.map(|v| v / count)).collect();
        let means = box_mean::<3>(&means, grid, 1);
        let at = |y: usize, x: usize, i: usize| means[(y * grid.width + x) * 3 + i];
        let across: Vec<_> = (0..width).map(|x| between(x, width, grid.width)).collect();
        let mut data = Vec::with_capacity(self.data.len());
        for y in 0..height {
            let (top, bottom, down) = between(y, height, grid.height);
            for &(left, right, aside) in &across {
                data.extend((0..3).map(|i| {
                    let mix = |y: usize| at(y, left, i) + aside * (at(y, right, i) - at(y, left, i));
                    mix(top) + down * (mix(bottom) - mix(top))
                }));
            }
        }
        Self { size: self.size, data }
    }

    /// Resampled with a Lanczos window of three lobes.
    pub fn resized(&self, size: Size) -> Self {
        if size == self.size {
            return self.clone();
        }
        let image = Rgb32FImage::from_raw(self.size.width as u32, self.size.height as u32, self.data.clone())
            .unwrap_or_else(|| unreachable!("pixels fill their size"));
        let image = imageops::resize(&image, size.width as u32, size.height as u32, FilterType::Lanczos3);
        Self { size, data: image.into_raw() }
    }
}

/// The size to work at: `full` with its long side brought down to `long`, never enlarged, but at least `least` a side.
///
/// Only pictures thinner than `least` are stretched, since the network needs that many pixels in both directions.
pub fn working_size(full: Size, long: usize, least: usize) -> Size {
    let scale = (long as f64 / full.height.max(full.width) as f64).min(1.0);
    let side = |side: usize| ((side as f64 * scale).round() as usize).max(least);
    Size { height: side(full.height), width: side(full.width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_size_keeps_the_aspect_and_never_enlarges() {
        let size = |height, width| Size { height, width };
        assert_eq!(working_size(size(720, 1280), 384, 16), size(216, 384));
        assert_eq!(working_size(size(100, 60), 384, 16), size(100, 60));
        assert_eq!(working_size(size(1, 2000), 384, 16), size(16, 384));
    }

    #[test]
    fn eight_bits_survive_the_round_trip() {
        let image = RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x * 16) as u8, (y * 16) as u8, (x * y) as u8]));
        assert_eq!(Pixels::from_rgb8(&image).to_rgb8(), image);
    }
}
