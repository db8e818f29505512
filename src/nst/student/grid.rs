//! A bilateral grid: affine maps of colour by place and luma.

use crate::nst::picture::filter::neighbours;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use rayon::prelude::*;

/// Numbers of one map: for each colour of the result, three factors and an offset.
pub const NUMBERS: usize = 12;

/// Levels of luma.
pub const BINS: usize = 8;

/// Cells along the long side of a picture.
const LONG: usize = 16;

/// The number of cells down and across for a picture of `size`, whose cells are about squares.
pub fn cells(size: Size) -> Size {
    size.map(|side| (side * LONG).div_ceil(size.long()))
}

/// Affine maps of RGB, interpolated between the middles of cells.
pub struct Grid {
    /// Cells down and across.
    cells: Size,
    wraps: bool,
    /// `[height][width][BINS][NUMBERS]`
    maps: Vec<f32>,
}

/// The levels of luma that a pixel lies between, and how far it is on the way to the upper one, 0..1.
pub fn bins(luma: f32) -> (usize, usize, f32) {
    let at = (luma * BINS as f32 - 0.5).clamp(0.0, (BINS - 1) as f32);
    let low = (at as usize).min(BINS - 2);
    (low, low + 1, at - low as f32)
}

impl Grid {
    /// `maps` are `[height][width][BINS][NUMBERS]`. A grid that `wraps` goes on at the opposite side.
    ///
    /// # Panics
    /// When `maps` has another length.
    pub fn new(cells: Size, wraps: bool, maps: Vec<f32>) -> Self {
        assert_eq!(maps.len(), cells.pixels() * BINS * NUMBERS, "maps must fill their grid");
        Self { cells, wraps, maps }
    }

    /// Applies to each pixel of `picture` the map of its place and of the luma that `guide` has there.
    ///
    /// # Panics
    /// When the pictures differ in size.
    pub fn apply(&self, picture: &mut Pixels, guide: &Pixels) {
        assert_eq!(picture.size(), guide.size(), "the guide is of the same picture");
        let full = picture.size();
        let across: Vec<_> = (0..full.width).map(|x| neighbours(x, full.width, self.cells.width, self.wraps)).collect();
        let row_len = self.cells.width * BINS * NUMBERS;
        let rows = picture.data_mut().par_chunks_mut(full.width * 3).zip(guide.data().par_chunks(full.width * 3));
        rows.enumerate().for_each(|(y, (row, guide))| {
            let (top, bottom, down) = neighbours(y, full.height, self.cells.height, self.wraps);
            let (top, bottom) = (&self.maps[top * row_len..][..row_len], &self.maps[bottom * row_len..][..row_len]);
            let maps: Vec<f32> = top.iter().zip(bottom).map(|(t, b)| t + down * (b - t)).collect();
            let maps = maps.as_chunks::<NUMBERS>().0;
            let pixels = row.as_chunks_mut::<3>().0.iter_mut().zip(guide.as_chunks::<3>().0);
            for ((rgb, guide), &(left, right, aside)) in pixels.zip(&across) {
                let (low, high, up) = bins(luma(guide));
                let weights = [(1.0 - aside) * (1.0 - up), (1.0 - aside) * up, aside * (1.0 - up), aside * up];
                let [a, b, c, d] = [(left, low), (left, high), (right, low), (right, high)]
                    .map(|(column, bin)| &maps[column * BINS + bin]);
                let map: [f32; NUMBERS] = std::array::from_fn(|n| {
                    weights[0] * a[n] + weights[1] * b[n] + weights[2] * c[n] + weights[3] * d[n]
                });
                let [red, green, blue] = *rgb;
                for (out, map) in rgb.iter_mut().zip(map.as_chunks::<4>().0) {
                    *out = map[0] * red + map[1] * green + map[2] * blue + map[3];
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::{Random, assert_close};

    fn picture(size: Size, seed: u64) -> Pixels {
        let mut random = Random(seed);
        Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform()).collect())
    }

    #[test]
    fn cells_are_about_squares_and_every_picture_has_one() {
        let cells_of = |height, width| cells(Size { height, width });
        assert_eq!(cells_of(720, 1280), Size { height: 9, width: 16 });
        assert_eq!(cells_of(1, 4000), Size { height: 1, width: 16 });
        assert_eq!(cells_of(1, 1), Size { height: 16, width: 16 });
    }

    #[test]
    fn a_pixel_is_between_two_levels_and_beyond_the_outer_middles_it_has_the_outer_level() {
        assert_eq!((bins(0.0), bins(1.0)), ((0, 1, 0.0), (BINS - 2, BINS - 1, 1.0)));
        assert_eq!(bins(2.5 / BINS as f32), (2, 3, 0.0));
        assert_eq!((bins(-3.0).2, bins(7.0).2), (0.0, 1.0));
    }

    /// Each pixel is the sum over all cells of their maps, weighted by tents over place and luma.
    #[test]
    fn the_application_equals_its_definition() {
        let grid_cells = Size { height: 3, width: 4 };
        let mut random = Random(5);
        let maps: Vec<f32> = (0..grid_cells.pixels() * BINS * NUMBERS).map(|_| random.uniform() - 0.5).collect();
        let grid = Grid::new(grid_cells, false, maps.clone());
        for size in [Size { height: 13, width: 22 }, Size { height: 3, width: 4 }, Size { height: 1, width: 1 }] {
            let (mut out, guide) = (picture(size, 1), picture(size, 2));
            let before = out.clone();
            grid.apply(&mut out, &guide);
            let tent = |at: usize, side: usize, cells: usize, cell: usize| {
                let place = ((at as f32 + 0.5) / side as f32 * cells as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
                (1.0 - (place - cell as f32).abs()).max(0.0)
            };
            let mut expected = Vec::new();
            for (y, x) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))) {
                let at = (y * size.width + x) * 3;
                let level = (luma(&guide.data()[at..at + 3]) * BINS as f32 - 0.5).clamp(0.0, (BINS - 1) as f32);
                let mut map = [0.0; NUMBERS];
                for (n, numbers) in maps.as_chunks::<NUMBERS>().0.iter().enumerate() {
                    let (row, column, bin) = (n / BINS / grid_cells.width, n / BINS % grid_cells.width, n % BINS);
                    let weight = tent(y, size.height, grid_cells.height, row)
                        * tent(x, size.width, grid_cells.width, column)
                        * (1.0 - (level - bin as f32).abs()).max(0.0);
                    map.iter_mut().zip(numbers).for_each(|(map, number)| *map += weight * number);
                }
                let rgb = &before.data()[at..at + 3];
                expected.extend(map.chunks(4).map(|map| map[0] * rgb[0] + map[1] * rgb[1] + map[2] * rgb[2] + map[3]));
            }
            assert_close(out.data(), &expected, 1e-5, "a size");
        }
    }
}
