//! Noise on the ground plane, in metres, as a camera sees it.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::scene::distance::distance_of_row;
use crate::nst::scene::horizon::CAMERA;
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::{FOCAL, View};

/// The wavelengths of the octaves in metres, and their amplitudes, whose squares sum to about 1: their sum has the
/// deviation of one octave of amplitude 1.
const OCTAVES: [(f32, f32); 4] = [(5.0, 0.72), (1.7, 0.5), (0.6, 0.36), (0.2, 0.26)];

/// The ground that the pixels of a frame show.
#[derive(Clone, Copy)]
pub struct Ground {
    size: Size,
    view: View,
}

impl Ground {
    /// `None` where there is no ground plane.
    pub fn of(surface: &Surface) -> Option<Self> {
        Some(Self { size: surface.size(), view: surface.view? })
    }

    /// The places that row `y` shows. Above the horizon they are those of the farthest ground.
    pub fn row(&self, y: usize) -> GroundRow {
        let Size { height, width } = self.size;
        match self.view {
            View::Ahead(horizon) => {
                let row = (y as f32 + 0.5) / height as f32;
                let ahead = distance_of_row(row, horizon.row, self.size);
                let across = ahead / (FOCAL * width as f32);
                let left = (0.5 - horizon.column * width as f32) * across;
                GroundRow { ahead, left, pixel: (across, across * ahead / CAMERA), width }
            }
            View::Down(metres) => {
                let pixel = metres / height as f32;
                GroundRow { ahead: (height - y) as f32 * pixel, left: 0.0, pixel: (pixel, pixel), width }
            }
        }
    }
}

/// The places on the ground, in metres, that one row of a frame shows.
#[derive(Clone, Copy, Debug)]
pub struct GroundRow {
    /// Ahead of the camera.
    pub ahead: f32,
    /// Where the first pixel is, to the right of the camera.
    left: f32,
    /// The metres that one pixel covers across and along.
    pixel: (f32, f32),
    width: usize,
}

impl GroundRow {
    /// How far column `x` is to the right of the camera.
    #[inline(always)]
    pub fn right(&self, x: usize) -> f32 {
        self.left + x as f32 * self.pixel.0
    }

    /// Smooth noise of mean 0 and, close to the camera, a standard deviation of 0.55, at each column. Octaves that are
    /// finer than a pixel are left out, so it falls with the distance.
    pub fn noise(&self, seed: u64) -> Vec<f32> {
        let pixel = self.pixel.0.max(self.pixel.1 * 0.35);
        let mut sums = vec![0.0; self.width];
        for (n, (length, amplitude)) in OCTAVES.into_iter().enumerate() {
            let share = ((length / pixel - 1.5) / 2.0).clamp(0.0, 1.0);
            if share > 0.0 {
                let octave = self.value_noise((length, length), seed.wrapping_add(n as u64)).row(self.width);
                sums.iter_mut().zip(octave).for_each(|(sum, v)| *sum += share * amplitude * v);
            }
        }
        sums
    }

    /// Value noise with cells of this length across and along.
    pub fn value_noise(&self, (across, along): (f32, f32), seed: u64) -> RowNoise {
        RowNoise::new(self.left / across, self.pixel.0 / across, self.width, self.ahead / along, seed)
    }
}

/// [`smooth`] along one row of a picture, where `v` is constant. The corners of the grid are mixed once for each cell and
/// not for each pixel.
pub struct RowNoise {
    /// How far the first pixel is from the first corner, in cells of the grid.
    start: f32,
    /// The cells that a pixel covers.
    cells: f32,
    corners: Vec<f32>,
}

impl RowNoise {
    /// At `u = start + cells * x` for `x` in `0..width`; `cells` is not negative.
    pub fn new(start: f32, cells: f32, width: usize, v: f32, seed: u64) -> Self {
        let (first, top) = (start.floor(), v.floor());
        let t = ease(v - top);
        let start = start - first;
        let count = (start + cells * width as f32) as i64 + 3;
        let mixed = |u: i64| {
            let [upper, lower] = [0, 1].map(|down| corner(u, top as i64 + down, seed));
            RANGE * (upper + t * (lower - upper))
        };
        Self { start, cells, corners: (0..count).map(|n| mixed(first as i64 + n)).collect() }
    }

    /// At column `x`.
    #[inline(always)]
    pub fn at(&self, x: usize) -> f32 {
        let u = self.start + self.cells * x as f32;
        let left = u as u32 as usize;
        let (a, b) = (self.corners[left], self.corners[left + 1]);
        a + ease(u - left as f32) * (b - a)
    }

    /// At each of the first `width` columns: [`RowNoise::at`], a cell of the grid at a time.
    pub fn row(&self, width: usize) -> Vec<f32> {
        let mut values = vec![0.0; width];
        let mut x = 0;
        while x < width {
            let from = self.start + self.cells * x as f32;
            let left = from as u32 as usize;
            let (a, b) = (self.corners[left], self.corners[left + 1]);
            let from = from - left as f32;
            let columns = ((1.0 - from) / self.cells).ceil() as usize;
            let end = (x + columns.max(1)).min(width);
            let cell = &mut values[x..end];
            vectorized(
                #[inline(always)]
                || cell.iter_mut().zip(0..).for_each(|(v, n)| *v = a + ease(from + self.cells * n as f32) * (b - a)),
            );
            x = end;
        }
        values
    }
}

/// From the least to the largest value of value noise.
const RANGE: f32 = 2.6;

/// Value noise with a smooth step between the corners of a grid: mean 0, standard deviation 0.55.
pub fn smooth(u: f32, v: f32, seed: u64) -> f32 {
    RowNoise::new(u, 0.0, 1, v, seed).at(0)
}

/// A smooth step from 0 at 0 to 1 at 1.
#[inline(always)]
fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// Uniform in -0.5..0.5 (a hash in the manner of SplitMix64).
#[inline(always)]
fn corner(u: i64, v: i64, seed: u64) -> f32 {
    let mut z = seed ^ (u as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (v as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
}

/// 0 up to `low`, 1 from `high` on, smooth between.
#[inline(always)]
pub fn step(low: f32, high: f32, v: f32) -> f32 {
    ease(((v - low) / (high - low)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::scene::horizon::Horizon;
    use crate::nst::testing::Random as Noise;

    #[test]
    fn a_row_of_noise_is_the_noise_of_its_places() {
        let mut random = Noise(3);
        for step in [0.0, 0.01, 0.4, 1.0, 7.3] {
            let (start, v) = (40.0 * random.uniform() - 20.0, 40.0 * random.uniform() - 20.0);
            let row = RowNoise::new(start, step, 50, v, 9);
            let whole = row.row(50);
            for x in 0..50 {
                let (u, own) = (start + step * x as f32, row.at(x));
                let (left, top) = (u.floor(), v.floor());
                let of = |du: i64, dv: i64| RANGE * corner(left as i64 + du, top as i64 + dv, 9);
                let (s, t) = (ease(u - left), ease(v - top));
                let (upper, lower) = (of(0, 0) + s * (of(1, 0) - of(0, 0)), of(0, 1) + s * (of(1, 1) - of(0, 1)));
                let expected = upper + t * (lower - upper);
                assert!((own - expected).abs() < 1e-3, "step {step}, column {x}: {own} {expected}");
                assert!((own - whole[x]).abs() < 1e-3, "step {step}, column {x}: {own} {}", whole[x]);
            }
        }
    }

    #[test]
    fn rows_of_the_ground_have_the_places_and_the_noise_of_their_pixels() {
        let horizon = Horizon { row: 0.43, column: 0.6, is_seen: true };
        for (height, width) in [(67, 91), (2, 400), (1, 1)] {
            let size = Size { height, width };
            for view in [View::Ahead(horizon), View::Down(60.0)] {
                let ground = Ground { size, view };
                for y in 0..height {
                    let row = ground.row(y);
                    let (ahead, across) = match view {
                        View::Ahead(_) => {
                            let ahead = distance_of_row((y as f32 + 0.5) / height as f32, 0.43, size);
                            (ahead, ahead / (FOCAL * width as f32))
                        }
                        View::Down(metres) => ((height - y) as f32 * metres / height as f32, metres / height as f32),
                    };
                    let origin = if view == View::Down(60.0) { 0.0 } else { 0.6 * width as f32 - 0.5 };
                    let noise = row.noise(7);
                    assert!((row.ahead - ahead).abs() < 1e-5 * ahead, "{y}: {} {ahead}", row.ahead);
                    for x in 0..width {
                        let right = (x as f32 - origin) * across;
                        assert!((row.right(x) - right).abs() < 1e-3 * (1.0 + right.abs()), "{y}, {x}");
                        let pixel = row.pixel.0.max(row.pixel.1 * 0.35);
                        let octaves = OCTAVES.iter().zip(7..).map(|(&(length, amplitude), seed)| {
                            let share = ((length / pixel - 1.5) / 2.0).clamp(0.0, 1.0);
                            share * amplitude * smooth(right / length, ahead / length, seed)
                        });
                        let (own, expected) = (noise[x], octaves.sum::<f32>());
                        assert!((own - expected).abs() < 0.01, "{y}, {x}: {own} {expected}");
                    }
                }
            }
        }
        let far = Ground { size: Size { height: 67, width: 91 }, view: View::Ahead(horizon) }.row(0);
        assert_eq!(far.noise(7)[40], 0.0, "at the horizon, all octaves are finer than a pixel");
    }

    #[test]
    fn noise_has_the_mean_and_the_deviation_that_it_says() {
        let values: Vec<f32> = (0..4000).map(|n| smooth(n as f32 * 0.37, n as f32 * 0.73, 5)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1 && (0.5..0.6).contains(&variance.sqrt()), "{mean} {variance}");
    }
}
