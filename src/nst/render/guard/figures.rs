//! What a labelled object keeps of the original: contrast and edges.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Area;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::patch::{Deviations, Patch, RADIUS, Rect, sums};
use rayon::prelude::*;

/// A place with at most this mean deviation of luma counts as flat: one of 256 steps, which compression alone leaves.
pub(super) const FLAT: f64 = 1.0 / 255.0;

/// What a box keeps of the original. A box that is flat in the original has nothing to lose and keeps all: 1 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Local contrast over the original's, 0 and more. Local contrast is the mean absolute deviation of luma from its
    /// local mean: it is linear in the strength of a veil, and one bright lamp does not hold it up as it would a root
    /// of squares.
    pub contrast: f64,
    /// The correlation of luma gradients with the original's, in -1..=1.
    pub edges: f64,
}

impl Figures {
    /// Everything is kept.
    pub(super) const ALL: Self = Self { contrast: 1.0, edges: 1.0 };
}

/// A box of the original, against which its stylizations are measured.
pub(super) struct Original {
    rect: Rect,
    patch: Patch,
    /// How much each pixel counts, `[height][width]`.
    weights: Vec<f32>,
    /// The weighted sum of its deviations.
    deviation: f64,
    is_flat: bool,
}

impl Original {
    /// The box `rect` of a picture with these lumas and deviations.
    pub fn new(rect: Rect, patch: Patch, deviations: &Deviations, weights: Vec<f32>) -> Self {
        let deviation = deviations.weighted_sum(rect, &weights);
        let [all] = sums(weights.len(), |n| [weights[n]]);
        Self { rect, patch, is_flat: deviation < FLAT * all, weights, deviation }
    }

    /// What the same box of a stylization keeps. `deviations` are those of its patch, or of a larger one.
    pub fn kept(&self, after: &Patch, deviations: &Deviations) -> Figures {
        if self.is_flat {
            return Figures::ALL;
        }
        let edges = vectorized(
            #[inline(always)]
            || edges(&self.patch, after, &self.weights),
        );
        Figures { contrast: deviations.weighted_sum(self.rect, &self.weights) / self.deviation, edges }
    }
}

/// What each of `boxes` keeps of `content` in `result`.
///
/// # Panics
/// When the pictures differ in size.
pub fn figures(content: &Pixels, result: &Pixels, boxes: &[Area]) -> Vec<Figures> {
    assert_eq!(content.size(), result.size(), "pictures must be of one size");
    let size = content.size();
    if boxes.is_empty() || size.pixels() == 0 {
        return vec![Figures::ALL; boxes.len()];
    }
    let rects: Vec<Rect> = boxes.iter().map(|&area| Rect::of(area, size)).collect();
    let Some(all) = Rect::around(rects.iter().copied()) else { unreachable!("there is a box") };
    let [before, after] = [content, result].map(|picture| Patch::of_picture(picture, all));
    let [were, are] = [&before, &after].map(Patch::deviations);
    let of = |&rect: &Rect| {
        Original::new(rect, before.part(rect), &were, vec![1.0; rect.pixels()]).kept(&after.part(rect), &are)
    };
    rects.par_iter().map(of).collect()
}

/// The correlation of the gradients. It is not centred: a gradient of 0 is no edge in either.
#[inline(always)]
fn edges(before: &Patch, after: &Patch, weights: &[f32]) -> f64 {
    let width = before.width();
    let [mut product, mut squares_before, mut squares_after] = [0.0; 3];
    for (weights, y) in weights.chunks_exact(width).zip(RADIUS..) {
        // The rows above, at and below, each with one more pixel at both ends.
        let rows = |patch| [y - 1, y, y + 1].map(|y| &Patch::row(patch, y)[RADIUS - 1..][..width + 2]);
        let (before, after) = (rows(before), rows(after));
        let [ab, aa, bb] = sums(width, |x| {
            // Twice the gradient: a correlation does not depend on the factor.
            let slopes = |rows: &[&[f32]; 3]| (rows[1][x + 2] - rows[1][x], rows[2][x + 1] - rows[0][x + 1]);
            let ((ax, ay), (bx, by)) = (slopes(&before), slopes(&after));
            [ax * bx + ay * by, ax * ax + ay * ay, bx * bx + by * by].map(|product| weights[x] * product)
        });
        product += ab;
        squares_before += aa;
        squares_after += bb;
    }
    match (squares_before > 0.0, squares_after > 0.0) {
        (true, true) => product / (squares_before * squares_after).sqrt(),
        (true, false) => 0.0,
        // A fine checkerboard has contrast but no central differences: no edge can be lost.
        (false, _) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::render::guard::testing::{SIZE, at, map, scene, veil};
    use crate::nst::testing::Random;

    #[test]
    fn a_veil_scales_the_contrast_and_leaves_the_edges() {
        let content = scene(&mut Random(2), SIZE);
        let boxes = [at(20, 20, 60, 40), at(100, 50, 6, 6)];
        for figures in figures(&content, &veil(&content, 0.5), &boxes) {
            assert!((figures.contrast - 0.5).abs() < 0.02, "{figures:?}");
            assert!(figures.edges > 0.99, "{figures:?}");
        }
        for figures in figures(&content, &content, &boxes) {
            assert_eq!(figures.contrast, 1.0);
            assert!((figures.edges - 1.0).abs() < 1e-9, "{figures:?}");
        }
        for figures in figures(&content, &map(&content, |v| 1.0 - v), &boxes) {
            assert!((figures.edges + 1.0).abs() < 1e-6, "{figures:?}");
        }
    }

    #[test]
    fn gradients_are_those_of_numpy() {
        // numpy.gradient of [[0, 1, 4], [2, 2, 2], [8, 0, 1]] and of its transpose, in luma of 255 steps of grey.
        let before = [0.0, 1.0, 4.0, 2.0, 2.0, 2.0, 8.0, 0.0, 1.0];
        let after = [0.0, 2.0, 8.0, 1.0, 2.0, 0.0, 4.0, 2.0, 1.0];
        let size = Size { height: 3, width: 3 };
        let grey = |values: [f32; 9]| Pixels::new(size, values.iter().flat_map(|v| [v * 20.0 / 255.0; 3]).collect());
        let whole = [Area { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 }];
        let [figures] = figures(&grey(before), &grey(after), &whole)[..] else { panic!("one box") };
        assert!((figures.edges - 0.6040688575899843).abs() < 1e-5, "{figures:?}");
    }
}
