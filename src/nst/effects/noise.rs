//! Random numbers of effects: a generator for each, and noise on the ground plane, in metres, as a camera sees it.

use crate::nst::picture::geometry::Size;
use crate::nst::random::Random;
use crate::nst::scene::horizon::CAMERA;
use crate::nst::scene::surface::{self, FOCAL, Surface, View};

/// The wavelengths of the octaves in metres, and their amplitudes, whose squares sum to about 1.
const OCTAVES: [(f32, f32); 4] = [(5.0, 0.72), (1.7, 0.5), (0.6, 0.36), (0.2, 0.26)];

/// A generator for one effect of one picture. Each effect has its own, so that one that is off changes no other.
pub fn random(seed: u64, effect: u64) -> Random {
    Random::new(seed ^ effect.wrapping_mul(0xd134_2543_de82_ef95))
}

/// A seed for noise.
pub fn seed_of(random: &mut Random) -> u64 {
    (random.uniform() * 1e15) as u64
}

/// A place on the ground, in metres: to the right of the camera, and ahead of it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub right: f32,
    pub ahead: f32,
    /// The metres that one pixel covers across and along.
    pub pixel: (f32, f32),
}

/// The places of the ground that the pixels of a frame show.
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

    /// The place at row `y` and column `x`. Above the horizon it is that of the farthest ground.
    pub fn at(&self, y: usize, x: usize) -> Place {
        let Size { height, width } = self.size;
        match self.view {
            View::Ahead(horizon) => {
                let row = (y as f32 + 0.5) / height as f32;
                let ahead = surface::distance_of_row(row, horizon.row, self.size);
                let across = ahead / (FOCAL * width as f32);
                let right = (x as f32 + 0.5 - horizon.column * width as f32) * across;
                Place { right, ahead, pixel: (across, across * ahead / CAMERA) }
            }
            View::Down(metres) => {
                let pixel = metres / height as f32;
                Place { right: x as f32 * pixel, ahead: (height - y) as f32 * pixel, pixel: (pixel, pixel) }
            }
        }
    }
}

/// Smooth noise of variance near 1 and mean 0. Octaves that are finer than a pixel are left out.
#[inline(always)]
pub fn at(place: Place, seed: u64) -> f32 {
    let mut sum = 0.0;
    for (n, (length, amplitude)) in OCTAVES.into_iter().enumerate() {
        let pixel = place.pixel.0.max(place.pixel.1 * 0.35);
        let share = ((length / pixel - 1.5) / 2.0).clamp(0.0, 1.0);
        if share > 0.0 {
            let value = smooth(place.right / length, place.ahead / length, seed.wrapping_add(n as u64));
            sum += share * amplitude * value;
        }
    }
    sum
}

/// Value noise with a smooth step between the corners of a grid, of variance near 1.
#[inline(always)]
pub fn smooth(u: f32, v: f32, seed: u64) -> f32 {
    let (left, top) = (u.floor(), v.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (ease(u - left), ease(v - top));
    let corner = |du: i64, dv: i64| corner(left as i64 + du, top as i64 + dv, seed);
    let upper = corner(0, 0) + s * (corner(1, 0) - corner(0, 0));
    let lower = corner(0, 1) + s * (corner(1, 1) - corner(0, 1));
    2.6 * (upper + t * (lower - upper))
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
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
