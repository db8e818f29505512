//! What a student sees: for each cell of its grid, the colours of frame and start in the cell, around it and in the
//! whole picture, and a code of the style.
//!
//! Colours are means over pixels, and gradients are those of the working size, which is the same for all frames of a
//! config.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::{ColourStatistics, quantile};
use crate::nst::student::grid::{self, BINS, Grid, NUMBERS};

/// Numbers of a [`StyleCode`].
const CODE: usize = 14;

/// Numbers of [`Sums::of_start`] and of [`Sums::of_both`].
const OF_START: usize = 5;
const OF_BOTH: usize = 8;

/// Numbers that a student sees of each cell: its share and colours, the colours of its column (all levels of luma), of
/// two neighbourhoods of columns and of the whole picture, the levels of luma of the whole, the style, and its height
/// and luma.
pub const FEATURES: usize = 1 + OF_BOTH + 3 * OF_START + OF_BOTH + BINS + CODE + 2;

/// Cells from the middle to the side of both neighbourhoods.
const NEIGHBOURHOODS: [usize; 2] = [1, 3];

/// What tells a style picture from others.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleCode([f32; CODE]);

/// What a student sees of one picture.
pub struct StudentView {
    /// Cells down and across.
    cells: Size,
    wraps: bool,
    /// `[height][width][BINS][FEATURES]`
    features: Vec<f32>,
    /// The mean colour of the start in each cell. Maps are predicted around it.
    middles: Vec<[f32; 3]>,
    /// The number of pixels in each cell.
    weights: Vec<f32>,
}

/// Sums over pixels.
#[derive(Clone, Copy, Default)]
struct Sums {
    count: f32,
    start: [f32; 3],
    frame: [f32; 3],
    /// Of the start's luma, squared.
    square: f32,
    /// Of the absolute differences of the start's luma to the right and below.
    gradient: f32,
}

impl StyleCode {
    /// Of a style picture at its working size.
    pub fn of(pixels: &Pixels) -> Self {
        let ColourStatistics { mean, covariance } = ColourStatistics::of(pixels, &Plane::filled(pixels.size(), 1.0));
        let covariances = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)].map(|(i, j)| covariance[i][j] as f32 * 10.0);
        let lumas: Vec<f32> = pixels.data().as_chunks::<3>().0.iter().map(|rgb| luma(rgb)).collect();
        let quantiles = [1, 5, 9].map(|tenths| quantile(lumas.clone(), tenths, 10).unwrap_or(0.0));
        let half = pixels.resized(pixels.size().map(|side| side.div_ceil(2)));
        let mut code = [0.0; CODE];
        let numbers = mean.iter().map(|&v| v as f32).chain(covariances).chain(quantiles);
        let numbers = numbers.chain([pixels, &half].map(|pixels| 10.0 * mean_gradient(pixels)));
        code.iter_mut().zip(numbers).for_each(|(code, number)| *code = number);
        Self(code)
    }

    /// Of several styles, each with its share; shares sum to 1.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        Self(std::array::from_fn(|n| parts.iter().map(|(part, share)| part.0[n] * *share as f32).sum()))
    }
}

fn mean_gradient(pixels: &Pixels) -> f32 {
    let size = pixels.size();
    let lumas: Vec<f32> = pixels.data().as_chunks::<3>().0.iter().map(|rgb| luma(rgb)).collect();
    let sum: f64 = (0..lumas.len()).map(|n| gradient(&lumas, size, n) as f64).sum();
    (sum / lumas.len() as f64) as f32
}

/// The absolute differences of pixel `n` to the one at its right and the one below, as far as there are any.
fn gradient(lumas: &[f32], size: Size, n: usize) -> f32 {
    let right = if (n + 1).is_multiple_of(size.width) { lumas[n] } else { lumas[n + 1] };
    let below = lumas.get(n + size.width).unwrap_or(&lumas[n]);
    (right - lumas[n]).abs() + (below - lumas[n]).abs()
}

impl StudentView {
    /// Of a frame and its start, both at the working size. A grid that `wraps` goes on at the opposite side.
    ///
    /// # Panics
    /// When the pictures differ in size.
    pub fn of(frame: &Pixels, start: &Pixels, style: &StyleCode, wraps: bool) -> Self {
        assert_eq!(frame.size(), start.size(), "frame and start are of one picture");
        let cells = grid::cells(frame.size());
        let sums = sums_of_cells(frame, start, cells);
        let columns: Vec<Sums> = sums.as_chunks::<BINS>().0.iter().map(|bins| Sums::total(bins.iter())).collect();
        let whole = Sums::total(columns.iter());
        let of_whole = whole.of_both();
        let of_columns: Vec<_> = (0..cells.pixels()).map(|at| of_column(&columns, cells, at)).collect();
        let levels: [f32; BINS] = std::array::from_fn(|bin| {
            sums.iter().skip(bin).step_by(BINS).map(|cell| cell.count).sum::<f32>() / whole.count
        });
        let mut features = Vec::with_capacity(sums.len() * FEATURES);
        let mut middles = Vec::with_capacity(sums.len());
        for (n, cell) in sums.iter().enumerate() {
            let (at, bin) = (n / BINS, n % BINS);
            // An empty cell is seen as its column is.
            let seen = if cell.count > 0.0 { cell } else { &columns[at] };
            let share = cell.count / columns[at].count.max(1.0);
            let place = [(at / cells.width) as f32 / cells.height as f32, bin as f32 / BINS as f32];
            features.push(share);
            features.extend(seen.of_both());
            features.extend(of_columns[at]);
            features.extend(of_whole);
            features.extend(levels);
            features.extend(style.0);
            features.extend(place);
            middles.push(seen.start.map(|sum| sum / seen.count.max(1.0)));
        }
        let weights = sums.iter().map(|cell| cell.count).collect();
        Self { cells, wraps, features, middles, weights }
    }

    /// The number of cells.
    pub fn cells(&self) -> usize {
        self.weights.len()
    }

    /// Cells down and across.
    pub fn shape(&self) -> Size {
        self.cells
    }

    /// Whether the grid goes on at the opposite side.
    pub fn wraps(&self) -> bool {
        self.wraps
    }

    /// `[cells][FEATURES]`
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// The mean colour of the start in each cell.
    pub fn middles(&self) -> &[[f32; 3]] {
        &self.middles
    }

    /// The number of pixels in each cell.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The grid whose maps change the colour `s` of a start by `D [s - m; 1]`. `m` is the middle of the cell, and
    /// `changes` has the 12 numbers of `D` for each cell.
    pub fn grid(&self, changes: &[f32]) -> Grid {
        let changes = changes.as_chunks::<NUMBERS>().0.iter().zip(&self.middles);
        let maps = changes.flat_map(|(change, middle)| {
            let mut map = *change;
            for (colour, row) in map.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                row[3] -= (0..3).map(|from| row[from] * middle[from]).sum::<f32>();
                row[colour] += 1.0;
            }
            map
        });
        Grid::new(self.cells, self.wraps, maps.collect())
    }
}

/// `[height][width][BINS]`
fn sums_of_cells(frame: &Pixels, start: &Pixels, cells: Size) -> Vec<Sums> {
    let size = frame.size();
    let lumas: Vec<f32> = start.data().as_chunks::<3>().0.iter().map(|rgb| luma(rgb)).collect();
    let mut sums = vec![Sums::default(); cells.pixels() * BINS];
    let pixels = frame.data().as_chunks::<3>().0.iter().zip(start.data().as_chunks::<3>().0);
    for (n, (frame, start)) in pixels.enumerate() {
        let (y, x) = (n / size.width * cells.height / size.height, n % size.width * cells.width / size.width);
        let bin = ((luma(frame) * BINS as f32) as usize).min(BINS - 1);
        let cell = &mut sums[(y * cells.width + x) * BINS + bin];
        cell.count += 1.0;
        (0..3).for_each(|colour| cell.start[colour] += start[colour]);
        (0..3).for_each(|colour| cell.frame[colour] += frame[colour]);
        cell.square += lumas[n] * lumas[n];
        cell.gradient += gradient(&lumas, size, n);
    }
    sums
}

/// What is seen of the column at this place and of its neighbourhoods.
fn of_column(columns: &[Sums], cells: Size, at: usize) -> [f32; 3 * OF_START] {
    let (y, x) = (at / cells.width, at % cells.width);
    let around = |reach: usize| {
        let rows = y.saturating_sub(reach)..(y + reach + 1).min(cells.height);
        let across = x.saturating_sub(reach)..(x + reach + 1).min(cells.width);
        Sums::total(rows.flat_map(|y| columns[y * cells.width..][across.clone()].iter()))
    };
    let [near, far] = NEIGHBOURHOODS.map(|reach| around(reach).of_start());
    let own = columns[at].of_start();
    std::array::from_fn(|n| [own, near, far][n / OF_START][n % OF_START])
}

impl Sums {
    fn total<'s>(parts: impl Iterator<Item = &'s Self>) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            count: sum.count + part.count,
            start: std::array::from_fn(|colour| sum.start[colour] + part.start[colour]),
            frame: std::array::from_fn(|colour| sum.frame[colour] + part.frame[colour]),
            square: sum.square + part.square,
            gradient: sum.gradient + part.gradient,
        })
    }

    /// The start's mean colour, the deviation of its luma, and ten times its mean gradient.
    fn of_start(&self) -> [f32; OF_START] {
        let count = self.count.max(1.0);
        let [red, green, blue] = self.start.map(|sum| sum / count);
        let mean = luma(&[red, green, blue]);
        let deviation = (self.square / count - mean * mean).max(0.0).sqrt();
        [red, green, blue, deviation, 10.0 * self.gradient / count]
    }

    /// The same, and the frame's mean colour.
    fn of_both(&self) -> [f32; OF_BOTH] {
        let start = self.of_start();
        let count = self.count.max(1.0);
        std::array::from_fn(|n| if n < OF_START { start[n] } else { self.frame[n - OF_START] / count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::{Random, assert_close};

    fn picture(height: usize, width: usize, seed: u64) -> Pixels {
        let mut random = Random(seed);
        let size = Size { height, width };
        Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform()).collect())
    }

    #[test]
    fn a_student_without_changes_draws_the_start() {
        for (height, width) in [(36, 64), (1, 50), (1, 1), (50, 7)] {
            let (frame, start) = (picture(height, width, 1), picture(height, width, 2));
            let view = StudentView::of(&frame, &start, &StyleCode::of(&start), false);
            assert_eq!(view.features().len(), view.cells() * FEATURES);
            let mut drawn = start.clone();
            view.grid(&vec![0.0; view.cells() * NUMBERS]).apply(&mut drawn, &frame);
            assert_close(drawn.data(), start.data(), 1e-5, "a size");
        }
    }

    #[test]
    fn every_pixel_is_counted_once_and_what_is_seen_hardly_depends_on_the_size() {
        let frame = picture(9, 16, 3);
        let enlarged = |factor: usize| {
            let size = frame.size().map(|side| side * factor);
            let at = |n: usize| (n / size.width / factor) * 16 + n % size.width / factor;
            Pixels::new(size, (0..size.pixels()).flat_map(|n| frame.data()[at(n) * 3..][..3].to_vec()).collect())
        };
        let view = |factor| StudentView::of(&enlarged(factor), &enlarged(factor), &StyleCode([0.0; CODE]), false);
        let (small, large) = (view(4), view(8));
        assert_eq!(small.weights().iter().sum::<f32>(), (9 * 16 * 16) as f32);
        assert_eq!(small.shape(), large.shape());
        let gradients = |n: usize| [1 + 4, 1 + OF_BOTH + 4].contains(&(n % FEATURES)) || n % FEATURES > 8;
        for (n, (a, b)) in small.features().iter().zip(large.features()).enumerate().filter(|&(n, _)| !gradients(n)) {
            assert!((a - b).abs() < 5e-3, "feature {}: {a} {b}", n % FEATURES);
        }
    }

    #[test]
    fn a_code_tells_styles_apart_and_a_blend_lies_between() {
        let [a, b] = [1, 2].map(|seed| StyleCode::of(&picture(20, 30, seed)));
        assert!(a != b);
        assert_eq!(StyleCode::blend(&[(&a, 1.0), (&b, 0.0)]), a);
        let half = StyleCode::blend(&[(&a, 0.5), (&b, 0.5)]);
        assert!((0..CODE).all(|n| (half.0[n] - (a.0[n] + b.0[n]) / 2.0).abs() < 1e-5));
    }
}
