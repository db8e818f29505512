//! The noise and the blur of a camera in little light, and that of its motion.

use crate::nst::effects::stream::{Stream, numbered, random, seed_of};
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::surface::Surface;
use rayon::prelude::*;

/// Rows that get their noise together. It does not depend on the number of threads.
const BAND: usize = 16;

/// Shows the darkest `share` of the pixels as black, in place, and the rest darker, down from white: the tones of a camera
/// at night, which hide the noise of its shadows.
pub fn blacken(pixels: &mut Pixels, share: f32) {
    /// The highest level that becomes black, as a share of white.
    const MOST: f32 = 0.25;
    let lumas = pixels.data().as_chunks::<3>().0.iter().step_by(29).map(|rgb| luma(rgb)).collect();
    let level = quantile(lumas, (share.min(0.999) * 1000.0) as usize, 1000).unwrap_or(0.0).min(MOST);
    pixels.data_mut().par_chunks_mut(1 << 14).for_each(|values| {
        vectorized(
            #[inline(always)]
            || values.iter_mut().for_each(|v| *v = (*v - level).max(0.0) / (1.0 - level)),
        );
    });
}

/// Adds normal noise of the standard deviation `sigma`, as a share of white. Neighbouring pixels share a part of it, as
/// after demosaicing and compression, and most of it is the same in all colours.
pub fn noise(pixels: &mut Pixels, sigma: f32, seed: u64) {
    let width = pixels.size().width;
    let seed = seed_of(&mut random(seed, Stream::Sensor));
    pixels.data_mut().par_chunks_mut(BAND * width * 3).enumerate().for_each(|(band, rows)| {
        // The row above the first one of a picture has noise, too.
        let mut above = row_noise(seed, band * BAND, width);
        for (y, row) in rows.chunks_exact_mut(width * 3).enumerate() {
            let own = row_noise(seed, band * BAND + y + 1, width);
            vectorized(
                #[inline(always)]
                || add_noise(row, &own, &above, sigma),
            );
            above = own;
        }
    });
}

/// Adds noise to a row, given its own numbers and those of the row above. Both begin one pixel before the row.
#[inline(always)]
fn add_noise(row: &mut [f32], own: &[f32], above: &[f32], sigma: f32) {
    let (left, own, above) = (own, &own[4..], &above[4..]);
    let mixed = own.iter().zip(left).zip(above).map(|((own, left), above)| 0.7 * own + 0.5 * left + 0.5 * above);
    let mixed: Vec<f32> = mixed.collect();
    let mixed = mixed.as_chunks::<4>().0;
    let noise: Vec<[f32; 3]> =
        mixed.iter().map(|mixed| [0, 1, 2].map(|n: usize| 0.6 * mixed[n] + 0.75 * mixed[3])).collect();
    for (v, noise) in row.iter_mut().zip(noise.as_flattened()) {
        // Gamma makes the same noise of light larger where it is dark.
        let dark = 1.15 - 0.6 * v.clamp(0.0, 1.0);
        *v = (*v + sigma * dark * noise).clamp(0.0, 1.0);
    }
}

/// Four numbers for each pixel of a row and the one before it, of mean 0 and variance 1: the sum of three uniform ones is
/// close to normal, and much faster.
fn row_noise(seed: u64, row: usize, width: usize) -> Vec<f32> {
    /// Bits of one uniform number; six fit into those of one draw.
    const BITS: u32 = 10;
    const ONE: u64 = 1 << BITS;
    let random = numbered(seed, row as u64 + 1);
    let mut noise = vec![0.0; 4 * (width + 1)];
    vectorized(
        #[inline(always)]
        || {
            for (pair, draw) in noise.as_chunks_mut::<2>().0.iter_mut().zip(0..) {
                let bits = random.bits_after(draw);
                let uniform = |n: u32| ((bits >> (n * BITS)) & (ONE - 1)) as i32;
                // Less its mean, so that the mean is 0.
                *pair = [0, 3].map(|n| {
                    let sum = uniform(n) + uniform(n + 1) + uniform(n + 2);
                    sum as f32 * (2.0 / ONE as f32) - (3.0 - 3.0 / ONE as f32)
                });
            }
        },
    );
    noise
}

/// Blurs what passes by while the exposure lasts, in which the camera moves `metres` ahead: each pixel moves away from
/// the vanishing point, the more the nearer it is. Labelled objects stay sharp: most of them move along. Nothing of them
/// is smeared beside them.
pub fn motion(pixels: &mut Pixels, surface: &Surface, horizon: Horizon, metres: f32) {
    let size = pixels.size();
    let Size { height, width } = size;
    let rgb = pixels.data().as_chunks::<3>().0.iter();
    let from: Vec<[f32; 4]> = rgb.zip(surface.shapes.data()).map(|(&rgb, shape)| weighted(rgb, 1.0 - shape)).collect();
    let middle = (horizon.row * height as f32, horizon.column * width as f32);
    pixels.data_mut().par_chunks_mut(width * 3).enumerate().for_each(|(y, row)| {
        vectorized(
            #[inline(always)]
            || {
                for (x, rgb) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    let at = y * width + x;
                    let background = 1.0 - surface.shapes.data()[at];
                    let share = metres / surface.distance.data()[at].max(2.0) * background;
                    let (y, x) = (y as f32, x as f32);
                    let way = (share * (y - middle.0), share * (x - middle.1));
                    if way.0 * way.0 + way.1 * way.1 >= 1.0
                        && let Some(mean) = mean_along(&from, size, (y, x), way)
                    {
                        (0..3).for_each(|n| rgb[n] += background * (mean[n] - rgb[n]));
                    }
                }
            },
        );
    });
}

/// A colour times its weight, and the weight.
#[inline(always)]
fn weighted([r, g, b]: [f32; 3], weight: f32) -> [f32; 4] {
    [r * weight, g * weight, b * weight, weight]
}

/// The mean of the pixels, which are [`weighted`], along a `way`, in rows and columns, whose middle is a pixel. What lies
/// outside of the picture is left out. `None` where hardly anything has a weight.
#[inline(always)]
fn mean_along(pixels: &[[f32; 4]], size: Size, middle: (f32, f32), way: (f32, f32)) -> Option<[f32; 3]> {
    /// The most places that are averaged, and the most pixels between them.
    const MOST: (usize, f32) = (16, 1.5);
    /// Places are whole numbers of this part of a pixel: to cast each float would be slow.
    const FINE: f32 = 256.0;
    let Size { height, width } = size;
    let count = ((way.0 * way.0 + way.1 * way.1).sqrt() / MOST.1) as usize + 2;
    let count = count.min(MOST.0);
    let (first, last) = inside(middle.0, way.0, height);
    let (first_aside, last_aside) = inside(middle.1, way.1, width);
    let (first, last) = (first.max(first_aside), last.min(last_aside));
    let along = |middle: f32, way: f32, side: usize| {
        let place = |share: f32| ((middle + share * way + 0.5).clamp(0.0, side as f32 - 0.5) * FINE) as i32;
        let start = place(first);
        (start, (place(last) - start) / (count as i32 - 1))
    };
    let ((mut y, down), (mut x, right)) = (along(middle.0, way.0, height), along(middle.1, way.1, width));
    let mut sum = [0.0; 4];
    for _ in 0..count {
        let rgb = &pixels[(y as usize / FINE as usize) * width + x as usize / FINE as usize];
        (0..4).for_each(|n| sum[n] += rgb[n]);
        (y, x) = (y + down, x + right);
    }
    let [r, g, b, weight] = sum;
    (weight > 1e-3).then(|| [r, g, b].map(|v| v / weight))
}

/// The first and the last share of a `way`, -0.5..=0.5 from its `middle`, that lie in a picture of this side.
#[inline(always)]
fn inside(middle: f32, way: f32, side: usize) -> (f32, f32) {
    if way.abs() < 1e-3 {
        return (-0.5, 0.5);
    }
    let (a, b) = (-middle / way, ((side - 1) as f32 - middle) / way);
    (a.min(b).max(-0.5), a.max(b).min(0.5))
}

/// Blurs with a normal kernel of the standard deviation `sigma`, in thousandths of the long side.
pub fn blur(pixels: &mut Pixels, sigma: f32) {
    let size = pixels.size();
    let stride = size.width * 3;
    let kernel = normal(sigma * size.long() as f32 / 1000.0);
    // Beyond the border, the outermost pixels go on.
    let mut across = vec![0.0; pixels.data().len()];
    let rows = across.par_chunks_mut(BAND * stride).zip(pixels.data().par_chunks(BAND * stride));
    rows.for_each(|(to, from)| {
        let reach = (kernel.len() - 1) * 3;
        let mut wide = vec![0.0; stride + 2 * reach];
        for (to, from) in to.chunks_exact_mut(stride).zip(from.chunks_exact(stride)) {
            let (before, rest) = wide.split_at_mut(reach);
            let (own, after) = rest.split_at_mut(stride);
            before.as_chunks_mut().0.fill([from[0], from[1], from[2]]);
            own.copy_from_slice(from);
            after.as_chunks_mut().0.fill([from[stride - 3], from[stride - 2], from[stride - 1]]);
            sum_shifted(to, &kernel, |shift| &wide[(reach as isize + 3 * shift) as usize..][..stride]);
        }
    });
    pixels.data_mut().par_chunks_mut(stride).enumerate().for_each(|(y, to)| {
        sum_shifted(to, &kernel, |shift| {
            let y = (y as isize + shift).clamp(0, size.height as isize - 1) as usize;
            &across[y * stride..][..stride]
        });
    });
}

/// Writes the sum of `row(shift)` over the shifts that the symmetric `kernel` has, by their weights. The kernel begins in
/// its middle.
fn sum_shifted<'a>(to: &mut [f32], kernel: &[f32], row: impl Fn(isize) -> &'a [f32]) {
    let (middle, sides) = (kernel[0], &kernel[1..]);
    let pair = |at: usize| [row(at as isize), row(-(at as isize))];
    vectorized(
        #[inline(always)]
        || {
            to.iter_mut().zip(row(0)).for_each(|(to, v)| *to = middle * v);
            for (n, weights) in sides.chunks(2).enumerate() {
                let [after, before] = pair(2 * n + 1);
                match *weights {
                    // Two at once, since memory is what this waits for.
                    [near, far] => {
                        let [farther, beyond] = pair(2 * n + 2);
                        let rows = to.iter_mut().zip(after).zip(before).zip(farther).zip(beyond);
                        for ((((to, after), before), farther), beyond) in rows {
                            *to = *to + (near * after + near * before) + (far * farther + far * beyond);
                        }
                    }
                    _ => {
                        let near = weights[0];
                        for ((to, after), before) in to.iter_mut().zip(after).zip(before) {
                            *to += near * after + near * before;
                        }
                    }
                }
            }
        },
    );
}

/// The middle and one side of a normal kernel whose weights sum to 1.
fn normal(sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as usize;
    let weight = |at: usize| (-(at as f32).powi(2) / (2.0 * sigma * sigma).max(1e-6)).exp();
    let kernel: Vec<f32> = (0..=reach).map(weight).collect();
    let sum = 2.0 * kernel.iter().sum::<f32>() - kernel[0];
    kernel.iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharp_object_is_not_smeared_beside_itself() {
        let size = Size { height: 1, width: 40 };
        let object = |x: usize| (15..20).contains(&x);
        let pixels: Vec<[f32; 4]> =
            (0..40).map(|x| if object(x) { weighted([1.0; 3], 0.0) } else { weighted([0.2; 3], 1.0) }).collect();
        for x in [10, 14, 20, 24] {
            let mean = mean_along(&pixels, size, (0.0, x as f32), (0.0, 16.0)).unwrap();
            assert!((mean[0] - 0.2).abs() < 1e-6, "{x}: {mean:?}");
        }
    }

    /// Stripes along the way from the middle stay as they are, up to the borders.
    #[test]
    fn the_mean_along_a_way_stays_on_it_at_the_border() {
        let size = Size { height: 60, width: 80 };
        let ray = |y: f32, x: f32| 0.5 + 0.4 * (3.0 * (y - 30.0).atan2(x - 40.0)).sin();
        let pixels: Vec<[f32; 4]> = (0..size.pixels())
            .map(|n| weighted([ray((n / size.width) as f32, (n % size.width) as f32); 3], 1.0))
            .collect();
        for (y, x) in [(59.0, 45.0), (58.0, 79.0), (0.0, 20.0), (40.0, 0.0), (45.0, 70.0)] {
            let way = (0.5 * (y - 30.0), 0.5 * (x - 40.0));
            let (mean, own) = (mean_along(&pixels, size, (y, x), way).unwrap()[0], ray(y, x));
            assert!((mean - own).abs() < 0.06, "{y}, {x}: {mean} {own}");
        }
        let one = Size { height: 1, width: 1 };
        let mean = |weight| mean_along(&[weighted([0.3; 3], weight)], one, (0.0, 0.0), (5.0, 3.0));
        assert!((mean(1.0).unwrap()[0] - 0.3).abs() < 1e-6);
        assert!(mean(0.0).is_none());
    }
}
