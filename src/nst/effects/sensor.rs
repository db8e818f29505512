//! The noise and the blur of a camera in little light.

use crate::nst::effects::noise::random;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use rayon::prelude::*;

/// The number of this effect's generator.
const EFFECT: u64 = 5;

/// Adds normal noise of the standard deviation `sigma`, as a share of white. Neighbouring pixels share a part of it, as
/// after demosaicing and compression, and most of it is the same in all colours.
pub fn noise(pixels: &mut Pixels, sigma: f32, seed: u64) {
    let width = pixels.size().width;
    let seed = (random(seed, EFFECT).uniform() * 1e15) as u64;
    let row_noise = |y: usize| -> Vec<f32> {
        let mut random = random(seed, y as u64 + 1);
        // The sum of three uniform numbers is close to normal, and much faster; its variance is 1/4.
        (0..width * 4).map(|_| 2.0 * (random.uniform() + random.uniform() + random.uniform() - 1.5) as f32).collect()
    };
    pixels.data_mut().par_chunks_mut(width * 3).enumerate().for_each(|(y, row)| {
        let (own, above) = (row_noise(y), row_noise(y.wrapping_sub(1)));
        for x in 0..width {
            let left = x.saturating_sub(1);
            let mixed = |n: usize| 0.7 * own[x * 4 + n] + 0.5 * own[left * 4 + n] + 0.5 * above[x * 4 + n];
            let grey = mixed(3);
            for channel in 0..3 {
                let v = &mut row[x * 3 + channel];
                // The eye's curve makes the same noise of light larger where it is dark.
                let dark = 1.15 - 0.6 * v.clamp(0.0, 1.0);
                *v = (*v + sigma * dark * (0.75 * grey + 0.6 * mixed(channel))).clamp(0.0, 1.0);
            }
        }
    });
}

/// Blurs with a kernel of the standard deviation `sigma`, in thousandths of the long side.
pub fn blur(pixels: &mut Pixels, sigma: f32) {
    let size = pixels.size();
    let sigma = sigma * size.long() as f32 / 1000.0;
    // Of one pass of [share, 1 - 2 share, share] the variance is 2 share.
    let variance = sigma * sigma;
    let passes = (variance / 0.5).ceil().max(1.0) as usize;
    let share = (variance / passes as f32 / 2.0).min(0.25);
    for _ in 0..passes {
        blur_once(pixels, size, share);
    }
}

fn blur_once(pixels: &mut Pixels, size: Size, share: f32) {
    let stride = size.width * 3;
    pixels.data_mut().par_chunks_mut(stride).for_each(|row| {
        let from = row.to_vec();
        for (at, v) in row.iter_mut().enumerate() {
            let left = if at < 3 { from[at] } else { from[at - 3] };
            let right = if at + 3 < stride { from[at + 3] } else { from[at] };
            *v += share * (left + right - 2.0 * from[at]);
        }
    });
    let from = pixels.data().to_vec();
    pixels.data_mut().par_chunks_mut(stride).enumerate().for_each(|(y, row)| {
        let above = &from[y.saturating_sub(1) * stride..][..stride];
        let below = &from[(y + 1).min(size.height - 1) * stride..][..stride];
        for ((v, above), below) in row.iter_mut().zip(above).zip(below) {
            let own = *v;
            *v += share * (above + below - 2.0 * own);
        }
    });
}
