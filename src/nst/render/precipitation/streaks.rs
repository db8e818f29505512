//! The image of one particle: soft all around, without an edge.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

/// The radius, in pixels, of a point under the pixel's own area and the lens. The Fourier transform of the kernel,
/// `J3(k)/k³`, has its first zero at 6.38 and its second at 9.76. This radius puts the second on the sampling
/// frequency, so nothing aliases to the mean: a point hides the same wherever it lies between pixels.
pub const POINT_RADIUS: f64 = 9.761 / TAU;

/// The largest optical depth of one particle: an opaque one would have an edge.
pub const DENSEST: f64 = 0.9;

/// A particle's image, in pixels: the kernel `(1 - r²)²` drawn along a line.
pub struct Streak {
    /// The middle of the particle when the shutter opens, from the top left corner.
    pub start: [f32; 2],
    /// From there to its middle when the shutter closes.
    pub way: [f32; 2],
    pub radius: f32,
    /// The optical depth along the middle.
    pub peak: f32,
    /// The particle's light as a multiple of the surroundings'.
    pub glow: f32,
}

/// The integral of the kernel `(1 - r²)²` of this radius, drawn along a line of this length.
pub fn kernel_integral(radius: f64, length: f64) -> f64 {
    16.0 / 15.0 * radius * length + PI / 3.0 * radius.powi(2)
}

impl Streak {
    /// The rows, of `height`, that it covers.
    #[inline(always)]
    pub fn rows(&self, height: usize) -> Range<usize> {
        let Self { start: [_, y], way: [_, dy], radius, .. } = *self;
        let (first, last) = covered(y.min(y + dy) - radius, y.max(y + dy) + radius, height);
        first..last
    }

    /// Adds the optical depth, and the depth times the glow, of the part in `rows` to `veil`, `[rows][width]`.
    #[inline(always)]
    pub fn draw(&self, veil: &mut [[f32; 2]], rows: Range<usize>, width: usize) {
        let Self { start: [x, y], way: [dx, dy], radius, peak, glow } = *self;
        let covered_rows = self.rows(rows.end);
        let inverse = 1.0 / (dx * dx + dy * dy).max(1e-12);
        for row in covered_rows.start.max(rows.start)..covered_rows.end {
            let down = row as f32 + 0.5 - y;
            // Only the part of the line matters that is at most a radius from the row.
            let [a, b] = if dy.abs() > radius {
                [(down - radius) / dy, (down + radius) / dy].map(|t| t.clamp(0.0, 1.0) * dx)
            } else {
                [0.0, dx]
            };
            let (left, right) = covered(x + a.min(b) - radius, x + a.max(b) + radius, width);
            let start = (row - rows.start) * width;
            for (n, veil) in veil[start + left..start + right.max(left)].iter_mut().enumerate() {
                let aside = (left + n) as f32 + 0.5 - x;
                let t = ((aside * dx + down * dy) * inverse).clamp(0.0, 1.0);
                let far = (aside - t * dx).powi(2) + (down - t * dy).powi(2);
                let inside = (1.0 - far / (radius * radius)).max(0.0);
                let depth = peak * inside * inside;
                veil[0] += depth;
                veil[1] += depth * glow;
            }
        }
    }
}

/// The pixels, of `len`, whose centres can lie between `low` and `high`, and at most one more before them: the first and
/// the one behind the last.
#[inline(always)]
fn covered(low: f32, high: f32, len: usize) -> (usize, usize) {
    // A cast of a negative number gives 0. Casts round down; on old processors, to round up would be a call.
    (((low - 0.5) as usize).min(len), ((high + 0.5) as usize).min(len))
}
