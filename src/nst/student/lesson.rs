//! What a student learns from one optimized picture.
//!
//! The picture's squared error under any maps is a quadratic form of their numbers. So a whole picture becomes a few
//! sums per cell: with `u = [s - m; 1]` for the start's colour `s` and the middle `m` of a cell, and `r = t - s` for
//! the optimized colour `t`,
//!
//! ```text
//! sum w |D u - r|^2 = tr(D U D') - 2 tr(D V') + sum w |r|^2,   U = sum w u u',  V = sum w r u'
//! ```
//!
//! A pixel counts in the eight cells around it by the weights `w` of the interpolation. They sum to 1, and squares are
//! convex, so the sum over all cells bounds the error of the interpolated maps from above (Jensen).

use crate::nst::picture::filter::neighbours;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::student::grid::{BINS, NUMBERS, bins};
use crate::nst::student::view::{StudentView, StyleCode};

/// Added to the variance of the start in each colour, in units of 0..1 squared, as the photoreal render does: otherwise
/// factors of flat cells could be anything.
const RIDGE: f32 = 1e-3;

/// Numbers of the symmetric `U`, row by row from the diagonal on.
const SQUARES: usize = 10;

/// Cells with less weight than this teach nothing.
const LEAST_WEIGHT: f32 = 1.0;

/// One optimized picture, its start and its frame, all at the working size.
pub struct LessonPictures {
    pub frame: Pixels,
    pub start: Pixels,
    /// As the photoreal render leaves it.
    pub optimized: Pixels,
}

/// What a student sees of one picture, and what it should make of it.
pub struct Lesson {
    pub view: StudentView,
    /// The sums of the cells that teach anything, with their indices.
    pub sums: Vec<(usize, CellSums)>,
    /// `None` once they are forgotten.
    pub pictures: Option<LessonPictures>,
}

/// The sums of one cell.
pub struct CellSums {
    /// `[4][4]`
    pub u: [f32; 16],
    /// `[3][4]`
    pub v: [f32; NUMBERS],
}

impl Lesson {
    pub fn new(pictures: LessonPictures, style: &StyleCode, wraps: bool) -> Self {
        let view = StudentView::of(&pictures.frame, &pictures.start, style, wraps);
        Self { sums: sums(&view, &pictures), view, pictures: Some(pictures) }
    }

    /// Frees the memory of the pictures, which are not needed to learn.
    pub fn forget_pictures(&mut self) {
        self.pictures = None;
    }
}

fn sums(view: &StudentView, pictures: &LessonPictures) -> Vec<(usize, CellSums)> {
    let LessonPictures { frame, start, optimized } = pictures;
    let (size, cells) = (frame.size(), view.shape());
    let mut squares = vec![[0.0; SQUARES]; view.cells()];
    let mut products = vec![[0.0; NUMBERS]; view.cells()];
    let across: Vec<_> = (0..size.width).map(|x| neighbours(x, size.width, cells.width, view.wraps())).collect();
    for y in 0..size.height {
        let (top, bottom, down) = neighbours(y, size.height, cells.height, view.wraps());
        for (x, &(left, right, aside)) in across.iter().enumerate() {
            let rgb = |pixels: &Pixels| -> [f32; 3] {
                std::array::from_fn(|colour| pixels.data()[(y * size.width + x) * 3 + colour])
            };
            let (s, t) = (rgb(start), rgb(optimized));
            let r: [f32; 3] = std::array::from_fn(|colour| t[colour] - s[colour]);
            let (low, high, up) = bins(luma(&rgb(frame)));
            for (row, by_row) in [(top, 1.0 - down), (bottom, down)] {
                for (column, by_column) in [(left, 1.0 - aside), (right, aside)] {
                    for (bin, by_bin) in [(low, 1.0 - up), (high, up)] {
                        let cell = (row * cells.width + column) * BINS + bin;
                        let weight = by_row * by_column * by_bin;
                        let middle = view.middles()[cell];
                        let u = [s[0] - middle[0], s[1] - middle[1], s[2] - middle[2], 1.0];
                        add(&mut squares[cell], &mut products[cell], weight, u, r);
                    }
                }
            }
        }
    }
    let sums = squares.into_iter().zip(products).enumerate();
    sums.filter(|(_, (squares, _))| squares[SQUARES - 1] >= LEAST_WEIGHT)
        .map(|(cell, (squares, v))| (cell, CellSums { u: with_ridge(&squares), v }))
        .collect()
}

fn add(squares: &mut [f32; SQUARES], products: &mut [f32; NUMBERS], weight: f32, u: [f32; 4], r: [f32; 3]) {
    let mut n = 0;
    for i in 0..4 {
        for j in i..4 {
            squares[n] += weight * u[i] * u[j];
            n += 1;
        }
    }
    for (colour, r) in r.iter().enumerate() {
        (0..4).for_each(|i| products[colour * 4 + i] += weight * r * u[i]);
    }
}

/// The whole matrix, with the ridge on the variances. Its last number is the weight of the cell.
fn with_ridge(squares: &[f32; SQUARES]) -> [f32; 16] {
    const INDEX: [[usize; 4]; 4] = [[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]];
    let weight = squares[SQUARES - 1];
    std::array::from_fn(|n| {
        let (i, j) = (n / 4, n % 4);
        squares[INDEX[i][j]] + if i == j && i < 3 { RIDGE * weight } else { 0.0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::testing::Random;

    /// The squared error of a picture whose cells all have the same change, by the sums and by drawing it.
    #[test]
    fn the_sums_give_the_squared_error_of_equal_maps() {
        let size = Size { height: 230, width: 400 };
        let mut random = Random(4);
        let mut picture = || Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform()).collect());
        let pictures = LessonPictures { frame: picture(), start: picture(), optimized: picture() };
        let code = StyleCode::of(&pictures.start);
        let lesson = Lesson::new(pictures, &code, false);
        // A constant step of each colour: the middles do not count.
        let step = [0.1, -0.2, 0.05];
        let change: [f32; NUMBERS] = std::array::from_fn(|n| if n % 4 == 3 { step[n / 4] } else { 0.0 });
        let pictures = lesson.pictures.as_ref().unwrap();
        let mut drawn = pictures.start.clone();
        lesson.view.grid(&change.repeat(lesson.view.cells())).apply(&mut drawn, &pictures.frame);
        let squared = |a: &Pixels| -> f32 {
            a.data().iter().zip(pictures.optimized.data()).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let less: f32 = lesson
            .sums
            .iter()
            .map(|(_, CellSums { u, v })| {
                let form = |row: &[f32]| (0..16).map(|n| row[n / 4] * u[n] * row[n % 4]).sum::<f32>();
                let quadratic: f32 = change.chunks(4).map(form).sum();
                quadratic - 2.0 * change.iter().zip(v).map(|(d, v)| d * v).sum::<f32>()
            })
            .sum();
        let (drawn, start) = (squared(&drawn), squared(&pictures.start));
        // Cells with less than a pixel are left out.
        assert!((drawn - start - less).abs() < 0.01 * start, "{drawn} {start} {less}");
    }
}
