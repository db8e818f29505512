//! Pictures, numbers and comparisons that several tests of the engine use.

use crate::nst::kernels::simd::LANES;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::Scene;
use crate::nst::scene::regions::Regions;
use crate::nst::settings::RegionKind;

/// A seeded source of numbers.
pub struct Random(pub u64);

impl Random {
    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// `count` values, approximately normal, with mean 0 and variance 1.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| ((0..6).map(|_| self.uniform()).sum::<f32>() - 3.0) * std::f32::consts::SQRT_2).collect()
    }
}

/// A noisy picture of 64x64 pixels whose colours are correlated; `shift` is added to its red.
pub fn colourful(seed: u64, shift: f32) -> Pixels {
    let mut random = Random(seed);
    let data = (0..64 * 64)
        .flat_map(|_| {
            let (a, b, c) = (random.uniform(), random.uniform(), random.uniform());
            [0.3 + 0.2 * a + shift, 0.3 + 0.1 * a + 0.1 * b, 0.4 + 0.1 * b - 0.1 * c]
        })
        .collect();
    Pixels::new(Size { height: 64, width: 64 }, data)
}

/// A region of sky with a soft lower border near `row`, and the rest.
pub fn sky_above(size: Size, row: f32) -> Regions {
    let sky = Plane::from_fn(size, |y, x| (row + 0.1 * x as f32 - y as f32).clamp(0.0, 1.0));
    let scene = Scene { sky: Some(sky), ..Scene::unknown(size) };
    Regions::of(&RegionKind::Scene, size, &scene, &[])
}

/// `[channels][pixels]` to blocked.
pub fn block(planes: &[f32], channels: usize) -> Vec<f32> {
    let pixels = planes.len() / channels;
    let at = |n: usize| planes[(n / (pixels * LANES) * LANES + n % LANES) * pixels + n / LANES % pixels];
    (0..planes.len()).map(at).collect()
}

/// Blocked to `[channels][pixels]`.
pub fn unblock(blocked: &[f32], channels: usize) -> Vec<f32> {
    let pixels = blocked.len() / channels;
    let at = |n: usize| {
        let (channel, pixel) = (n / pixels, n % pixels);
        blocked[(channel / LANES * pixels + pixel) * LANES + channel % LANES]
    };
    (0..blocked.len()).map(at).collect()
}

/// Fails if a value differs from the expected one by more than `tolerance` times the largest expected value.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
    let worst = actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0, |top: f32, d| {
        // Not `f32::max`, which drops NaN.
        if d > top || d.is_nan() { d } else { top }
    });
    assert!(worst <= tolerance * scale, "{what}: off by {worst} at a scale of {scale}");
}
