//! Planes at the size of a frame, from those of a small picture of it.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::neighbours;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use rayon::prelude::*;

/// How many planes a surface has.
const PLANES: usize = 5;

/// As many guided filters as fill a register.
pub const LINES: usize = 8;

/// The factors and the offsets of the lines of guided filters at one pixel.
type Lines = [[f32; LINES]; 2];

/// Rows that are drawn together. It does not depend on the number of threads.
const BAND: usize = 32;

/// Pixels of a row that are finished together, in a register each of their values.
const RUN: usize = 16;

/// Planes at the size of `frame`, with its edges: guided filters whose `lines` are found in a picture of the size
/// `small` (He and Sun 2015, "Fast guided filter"). `finish` makes the planes' values of each pixel from theirs. All
/// planes are made in one pass, since memory is what it waits for.
pub fn upsampled(
    lines: &[Vec<f32>],
    small: Size,
    frame: &Pixels,
    finish: impl Fn([f32; LINES]) -> [f32; PLANES] + Sync,
) -> [Plane; PLANES] {
    let full = frame.size();
    let across: Vec<_> = (0..full.width).map(|x| neighbours(x, full.width, small.width, false)).collect();
    let mut planes: [Vec<f32>; PLANES] = std::array::from_fn(|_| vec![0.0; full.pixels()]);
    let [a, b, c, d, e] = planes.each_mut().map(|plane| plane.par_chunks_mut(BAND * full.width));
    (a, b, c, d, e).into_par_iter().zip(frame.data().par_chunks(BAND * full.width * 3)).enumerate().for_each(
        |(band, ((a, b, c, d, e), frame))| {
            let mut planes = [a, b, c, d, e];
            let mut wide = [const { (usize::MAX, Vec::new()) }; 2];
            for (n, frame) in frame.chunks_exact(full.width * 3).enumerate() {
                let (top, bottom, down) = neighbours(band * BAND + n, full.height, small.height, false);
                for y in [top, bottom] {
                    let row = &mut wide[y % 2];
                    if row.0 != y {
                        *row = (y, wide_row(lines, small.width, y, &across));
                    }
                }
                let [top, bottom] = [top, bottom].map(|y| &wide[y % 2].1);
                let mut rows = planes.each_mut().map(|plane| &mut plane[n * full.width..][..full.width]);
                vectorized(
                    #[inline(always)]
                    || {
                        for (run, rgb) in frame.as_chunks::<3>().0.chunks(RUN).enumerate() {
                            let at = run * RUN..run * RUN + rgb.len();
                            let mut values = [[0.0; RUN]; LINES];
                            let lines = top[at.clone()].iter().zip(&bottom[at.clone()]);
                            for (x, ((top, bottom), rgb)) in lines.zip(rgb).enumerate() {
                                let [factors, offsets] = between(top, bottom, down);
                                let luma = luma(rgb);
                                (0..LINES).for_each(|n| values[n][x] = factors[n] * luma + offsets[n]);
                            }
                            let mut finished = [[0.0; RUN]; PLANES];
                            for x in 0..RUN {
                                let pixel = finish(std::array::from_fn(|n| values[n][x]));
                                (0..PLANES).for_each(|n| finished[n][x] = pixel[n]);
                            }
                            for (row, finished) in rows.iter_mut().zip(&finished) {
                                row[at.clone()].copy_from_slice(&finished[..rgb.len()]);
                            }
                        }
                    },
                );
            }
        },
    );
    planes.map(|plane| Plane::new(full, plane))
}

/// Row `y` of the lines, of a picture of `width` pixels, at the columns of a wider one.
fn wide_row(lines: &[Vec<f32>], width: usize, y: usize, across: &[(usize, usize, f32)]) -> Vec<Lines> {
    let of_line = |n: usize, x: usize| match lines.get(n) {
        Some(lines) => lines.as_chunks::<2>().0[y * width + x],
        None => [0.0; 2],
    };
    let at = |x: usize| [0, 1].map(|part: usize| std::array::from_fn(|n| of_line(n, x)[part]));
    let row: Vec<Lines> = (0..width).map(at).collect();
    vectorized(
        #[inline(always)]
        || across.iter().map(|&(left, right, aside)| between(&row[left], &row[right], aside)).collect(),
    )
}

/// The line that lies the `share` of the way from `a` to `b`.
#[inline(always)]
fn between(a: &Lines, b: &Lines, share: f32) -> Lines {
    std::array::from_fn(|part| std::array::from_fn(|n| a[part][n] + share * (b[part][n] - a[part][n])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::filter::bilinear;
    use crate::nst::testing::{Random, assert_close};

    #[test]
    fn planes_are_the_lines_between_the_pixels_of_the_small_picture() {
        let size = |height, width| Size { height, width };
        for (small, full) in [
            (size(9, 13), size(36, 52)),
            (size(5, 7), size(67, 33)),
            (size(4, 4), size(4, 4)),
            (size(1, 1), size(3, 2)),
        ] {
            let mut random = Random(7);
            let mut numbers = |count: usize| (0..count).map(|_| random.uniform()).collect::<Vec<f32>>();
            let lines = [0; 3].map(|_| numbers(small.pixels() * 2));
            let frame = Pixels::new(full, numbers(full.pixels() * 3));
            let planes = upsampled(&lines, small, &frame, |values| [values[0], values[1], values[2], values[7], 1.0]);
            let luma = Plane::luma(&frame);
            for (plane, lines) in planes.iter().zip(&lines) {
                let wide = bilinear::<2>(lines, small, full);
                let values = wide.as_chunks::<2>().0.iter().zip(luma.data());
                let expected: Vec<f32> = values.map(|([factor, offset], luma)| factor * luma + offset).collect();
                assert_close(plane.data(), &expected, 1e-5, "a line");
            }
            assert!(planes[3].data().iter().all(|&v| v == 0.0) && planes[4].data().iter().all(|&v| v == 1.0));
        }
    }
}
