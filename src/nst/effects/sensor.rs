//! The noise and the blur of a camera in little light, and that of its motion.

use crate::nst::effects::noise::{random, seed_of};
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::surface::Surface;
use rayon::prelude::*;

/// The number of this effect's generator.
const EFFECT: u64 = 5;

/// Rows that get their noise together. It does not depend on the number of threads.
const BAND: usize = 16;

/// Adds normal noise of the standard deviation `sigma`, as a share of white. Neighbouring pixels share a part of it, as
/// after demosaicing and compression, and most of it is the same in all colours.
pub fn noise(pixels: &mut Pixels, sigma: f32, seed: u64) {
    let width = pixels.size().width;
    let seed = seed_of(&mut random(seed, EFFECT));
    pixels.data_mut().par_chunks_mut(BAND * width * 3).enumerate().for_each(|(band, rows)| {
        // The row above the first one of a picture has noise, too.
        let mut above = row_noise(seed, band * BAND, width);
        for (y, row) in rows.chunks_exact_mut(width * 3).enumerate() {
            let own = row_noise(seed, band * BAND + y + 1, width);
            let left = own[..1].iter().chain(&own);
            vectorized(
                #[inline(always)]
                || {
                    for (((rgb, own), left), above) in
                        row.as_chunks_mut::<3>().0.iter_mut().zip(&own).zip(left).zip(&above)
                    {
                        let mixed: [f32; 4] = std::array::from_fn(|n| 0.7 * own[n] + 0.5 * left[n] + 0.5 * above[n]);
                        for (v, own) in rgb.iter_mut().zip(mixed) {
                            // The eye's curve makes the same noise of light larger where it is dark.
                            let dark = 1.15 - 0.6 * v.clamp(0.0, 1.0);
                            *v = (*v + sigma * dark * (0.75 * mixed[3] + 0.6 * own)).clamp(0.0, 1.0);
                        }
                    }
                },
            );
            above = own;
        }
    });
}

/// Four numbers for each pixel of a row, of mean 0 and variance 1: the sum of three uniform ones is close to normal, and
/// much faster.
fn row_noise(seed: u64, row: usize, width: usize) -> Vec<[f32; 4]> {
    /// Bits of one uniform number; three fit into those of one draw.
    const BITS: u32 = 21;
    const ONE: u64 = 1 << BITS;
    let mut random = random(seed, row as u64 + 1);
    let mut number = || {
        let bits = random.bits();
        let uniform = |n: u32| ((bits >> (n * BITS)) & (ONE - 1)) as i32;
        let sum = uniform(0) + uniform(1) + uniform(2);
        sum as f32 * (2.0 / ONE as f32) - 3.0
    };
    (0..width).map(|_| std::array::from_fn(|_| number())).collect()
}

/// Blurs what passes by while the exposure lasts, in which the camera moves `metres` ahead: each pixel moves away from
/// the vanishing point, the more the nearer it is. Labelled objects stay sharp: most of them move along.
pub fn motion(pixels: &mut Pixels, surface: &Surface, horizon: Horizon, metres: f32) {
    /// The most places that are averaged, and the most pixels between them.
    const MOST: (usize, f32) = (16, 1.5);
    let Size { height, width } = pixels.size();
    let from = pixels.clone();
    let (middle_x, middle_y) = (horizon.column * width as f32, horizon.row * height as f32);
    pixels.data_mut().par_chunks_mut(width * 3).enumerate().for_each(|(y, row)| {
        for (x, rgb) in row.chunks_exact_mut(3).enumerate() {
            let at = y * width + x;
            let share = metres / surface.distance.data()[at].max(2.0) * (1.0 - surface.shapes.data()[at]);
            let (dx, dy) = (share * (x as f32 - middle_x), share * (y as f32 - middle_y));
            let length = (dx * dx + dy * dy).sqrt();
            if length < 1.0 {
                continue;
            }
            let count = ((length / MOST.1).ceil() as usize + 1).min(MOST.0);
            let mut sum = [0.0; 3];
            for n in 0..count {
                let t = n as f32 / (count - 1) as f32 - 0.5;
                let place = |at: f32, side: usize| (at + 0.5).clamp(0.0, (side - 1) as f32) as usize;
                let at = (place(y as f32 + t * dy, height) * width + place(x as f32 + t * dx, width)) * 3;
                sum.iter_mut().zip(&from.data()[at..at + 3]).for_each(|(sum, v)| *sum += v);
            }
            rgb.iter_mut().zip(sum).for_each(|(v, sum)| *v = sum / count as f32);
        }
    });
}

/// Blurs with a normal kernel of the standard deviation `sigma`, in thousandths of the long side.
pub fn blur(pixels: &mut Pixels, sigma: f32) {
    let size = pixels.size();
    let stride = size.width * 3;
    let kernel = normal(sigma * size.long() as f32 / 1000.0);
    // Beyond the border, the outermost pixels go on.
    let mut across = vec![0.0; pixels.data().len()];
    across.par_chunks_mut(stride).zip(pixels.data().par_chunks(stride)).for_each(|(to, from)| {
        let reach = kernel.len() - 1;
        let wide = from[..3].iter().cycle().take(3 * reach).chain(from);
        let wide: Vec<f32> = wide.chain(from[stride - 3..].iter().cycle().take(3 * reach)).copied().collect();
        add_shifted(to, &kernel, |shift| &wide[(reach as isize + shift) as usize * 3..][..stride]);
    });
    pixels.data_mut().par_chunks_mut(stride).enumerate().for_each(|(y, to)| {
        to.fill(0.0);
        add_shifted(to, &kernel, |shift| {
            let y = (y as isize + shift).clamp(0, size.height as isize - 1) as usize;
            &across[y * stride..][..stride]
        });
    });
}

/// Adds `row(shift)` for each shift that the symmetric `kernel` has, by its weight. The kernel begins in its middle.
fn add_shifted<'a>(to: &mut [f32], kernel: &[f32], row: impl Fn(isize) -> &'a [f32]) {
    for (shift, &weight) in kernel.iter().enumerate() {
        let shift = shift as isize;
        let other = if shift > 0 { weight } else { 0.0 };
        let (after, before) = (row(shift), row(-shift));
        vectorized(
            #[inline(always)]
            || {
                for ((to, after), before) in to.iter_mut().zip(after).zip(before) {
                    *to += weight * after + other * before;
                }
            },
        );
    }
}

/// The middle and one side of a normal kernel whose weights sum to 1.
fn normal(sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as usize;
    let weight = |at: usize| (-(at as f32).powi(2) / (2.0 * sigma * sigma).max(1e-6)).exp();
    let kernel: Vec<f32> = (0..=reach).map(weight).collect();
    let sum = 2.0 * kernel.iter().sum::<f32>() - kernel[0];
    kernel.iter().map(|weight| weight / sum).collect()
}
