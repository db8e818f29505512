//! Haze between the camera and what it sees.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::light::{luminance, roughly_encoded, roughly_linear, transmission};
use crate::nst::picture::pixels::Pixels;
use crate::nst::scene::surface::Surface;
use rayon::prelude::*;

/// Fills the air of `pixels`, in place, with an optical depth of `air` per 100 m: `J t + A (1 - t)` in linear light
/// (Koschmieder 1924), `t = exp(-air * metres / 100)`. The air light `A` is that of the sky, or, without one, close to
/// the brightest light.
pub fn fill(pixels: &mut Pixels, surface: &Surface, air: f32) {
    /// The least light of the air: at night, lamps shine on it.
    const LEAST: f32 = 0.2;
    let width = surface.size().width;
    let light = air_light(pixels, surface, LEAST);
    pixels.data_mut().par_chunks_mut(width * 3).zip(surface.distance.data().par_chunks(width)).for_each(
        |(row, distance)| {
            vectorized(
                #[inline(always)]
                || {
                    for (rgb, metres) in row.as_chunks_mut::<3>().0.iter_mut().zip(distance) {
                        let left = transmission(air * metres / 100.0);
                        for (v, light) in rgb.iter_mut().zip(light) {
                            *v = roughly_encoded(roughly_linear(*v) * left + light * (1.0 - left));
                        }
                    }
                },
            );
        },
    );
}

/// The linear light of the air, `least` at least: the mean of the sky, made paler; without a sky, that of the brightest
/// twentieth.
pub fn air_light(pixels: &Pixels, surface: &Surface, least: f32) -> [f32; 3] {
    let picked = || pixels.data().as_chunks::<3>().0.iter().zip(surface.sky.data()).step_by(31);
    let mut lights: Vec<[f32; 3]> =
        picked().filter(|(_, sky)| **sky > 0.7).map(|(rgb, _)| rgb.map(roughly_linear)).collect();
    if lights.len() < 20 {
        lights = picked().map(|(rgb, _)| rgb.map(roughly_linear)).collect();
        lights.sort_unstable_by(|a, b| a.iter().sum::<f32>().total_cmp(&b.iter().sum::<f32>()));
        lights.drain(..lights.len() * 19 / 20);
    }
    let count = lights.len().max(1) as f32;
    let mean = [0, 1, 2].map(|channel: usize| lights.iter().map(|light| light[channel]).sum::<f32>() / count);
    let grey = luminance(mean).clamp(least, 0.8);
    mean.map(|v| 0.3 * v.min(0.85) + 0.7 * grey)
}
