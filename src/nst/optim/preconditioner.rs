//! The preconditioner of L-BFGS: what it takes for the inverse curvature before it has seen any.
//!
//! Instead of `I`, the two-loop recursion begins with `M = W S W`.
//!
//! `S = I + S1 + 2 S2 + 4 S3 + 8 S4`. `S1` smooths by a triangle, a box of radius 1 applied twice. Each next one
//! smooths the last by a triangle of twice the radius, so the step is twice as long with each octave. The losses see a
//! picture through features, which say little about light that changes slowly over it: the loss is flatter along such
//! changes than along grain. Steps of one length for all would leave the slow changes far behind.
//!
//! `W` is diagonal. A Gram matrix changes by `df f^T + f df^T` where the features `f` of a pixel change by `df`. So the
//! Gauss-Newton curvature at a pixel grows with `|f|^2` there, and so does the square of the gradient. `W^2` is
//! therefore one over the mean square of the gradient near by, with a floor. Without `W`, the regions with strong
//! gradients would set the length of the step, and the others would be left behind.
//!
//! `M` is symmetric and positive definite, as the inverse of a curvature must be.
//!
//! - [`tensors`]: the same for a batch on a device

pub mod tensors;

use crate::nst::picture::filter::{Border, box_mean};
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;

/// The number of octaves, each smoothed from the last.
pub const OCTAVES: u32 = 4;

/// The radius of the window, in pixels, that the mean square of the gradient is taken over.
pub const RADIUS: usize = 6;

/// The share of the mean square of the whole picture that is added to that of each pixel.
pub const FLOOR: f32 = 0.05;

/// Values per pixel.
pub const CHANNELS: usize = 3;

/// `M x` for `x`, where the loss has this `gradient`, both `[height][width][3]`. `M` is symmetric if smoothing is,
/// under this `border`.
///
/// # Panics
/// When they do not fill their size.
pub fn apply(mut x: Vec<f32>, gradient: &[f32], size: Size, border: Border) -> Vec<f32> {
    assert!(x.len() == size.pixels() * CHANNELS && gradient.len() == x.len(), "pictures must fill their size");
    let weights = inverse_rms(gradient, size, border);
    let weighted = |x: &mut [f32]| {
        x.par_chunks_mut(CHANNELS).zip(&weights).for_each(|(pixel, w)| pixel.iter_mut().for_each(|v| *v *= w));
    };
    weighted(&mut x);
    let mut x = lift_low_frequencies(x, size, border);
    weighted(&mut x);
    x
}

/// The diagonal of `W`, one value per pixel: one over the root of the mean square of the gradient near by. 1 where that
/// is the mean of the picture, or everywhere if there is no gradient.
fn inverse_rms(gradient: &[f32], size: Size, border: Border) -> Vec<f32> {
    let squares: Vec<f32> = gradient.chunks_exact(CHANNELS).map(|pixel| pixel.iter().map(|g| g * g).sum()).collect();
    let mut near = box_mean::<1>(&squares, size, RADIUS, border);
    let mean = (squares.iter().map(|&v| v as f64).sum::<f64>() / squares.len() as f64) as f32;
    if mean > 0.0 {
        near.iter_mut().for_each(|v| *v = ((1.0 + FLOOR) / (*v / mean + FLOOR)).sqrt());
    } else {
        near.fill(1.0);
    }
    near
}

/// `S x`.
fn lift_low_frequencies(x: Vec<f32>, size: Size, border: Border) -> Vec<f32> {
    let mut smooth = x.clone();
    let mut sum = x;
    for octave in 0..OCTAVES {
        let (radius, gain) = (1 << octave, (1 << octave) as f32);
        // A box twice is a triangle.
        for _ in 0..2 {
            smooth = box_mean::<CHANNELS>(&smooth, size, radius, border);
        }
        sum.par_iter_mut().zip(&smooth).for_each(|(sum, smooth)| *sum += gain * smooth);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::sums::dot;
    use crate::nst::testing::Random;

    fn picture(pixels: usize, seed: u64) -> Vec<f32> {
        let mut random = Random(seed);
        (0..pixels * CHANNELS).map(|_| random.uniform() - 0.5).collect()
    }

    #[test]
    fn the_preconditioner_is_symmetric_and_positive_at_any_size() {
        for (height, width) in [(1, 1), (1, 7), (40, 1), (3, 5), (33, 64), (70, 41)] {
            for border in [Border::Mirrored, Border::Around] {
                let picture = |seed| picture(height * width, seed);
                let (a, b, mut gradient) = (picture(1), picture(2), picture(3));
                // A part of it much weaker.
                gradient[..height * width].iter_mut().for_each(|v| *v *= 0.01);
                let m = |x: &Vec<f32>| apply(x.clone(), &gradient, Size { height, width }, border);
                let (left, right) = (dot(&a, &m(&b)), dot(&m(&a), &b));
                assert!((left - right).abs() < 1e-4 * dot(&a, &m(&a)), "{height}x{width}: {left} and {right}");
                // `S` is at least 1, and `W^2` at least `FLOOR`.
                assert!(dot(&a, &m(&a)) > FLOOR as f64 * dot(&a, &a), "{height}x{width}");
            }
        }
    }

    #[test]
    fn weak_gradients_weigh_more_up_to_a_limit() {
        let size = Size { height: 50, width: 90 };
        // By column: strong, four times weaker, and zero.
        let strength = |x: usize| [1.0, 0.25, 0.0][x / 30];
        let gradient: Vec<f32> = (0..size.pixels() * CHANNELS).map(|n| strength(n / CHANNELS % 90)).collect();
        let weights = inverse_rms(&gradient, size, Border::Mirrored);
        let mean = CHANNELS as f32 * (1.0 + 0.0625) / 3.0;
        for (x, strength) in [(10, 1.0_f32), (45, 0.25), (80, 0.0)] {
            let square = CHANNELS as f32 * strength * strength;
            let expected = ((1.0 + FLOOR) / (square / mean + FLOOR)).sqrt();
            assert!((weights[25 * 90 + x] - expected).abs() < 1e-3, "{} and {expected}", weights[25 * 90 + x]);
        }
        assert!(inverse_rms(&vec![0.0; gradient.len()], size, Border::Around).iter().all(|&w| w == 1.0));
        assert!(inverse_rms(&vec![0.1; gradient.len()], size, Border::Around).iter().all(|&w| (w - 1.0).abs() < 1e-5));
    }

    #[test]
    fn a_flat_picture_is_multiplied_by_sixteen_and_grain_by_one() {
        let flat =
            lift_low_frequencies(vec![0.5; 60 * 50 * CHANNELS], Size { height: 60, width: 50 }, Border::Mirrored);
        assert!(flat.iter().all(|v| (v - 8.0).abs() < 1e-4));
        let grain: Vec<f32> =
            (0..64 * 64 * CHANNELS).map(|n| if (n / 3 + n / 192) % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let lifted = lift_low_frequencies(grain.clone(), Size { height: 64, width: 64 }, Border::Around);
        assert!(lifted.iter().zip(&grain).all(|(lifted, grain)| (lifted - grain).abs() < 0.05));
    }

    #[test]
    fn smoothing_equals_its_definition_on_a_single_pixel() {
        for border in [Border::Mirrored, Border::Around] {
            let (height, width) = (9, 11);
            let mut x = vec![0.0; height * width * CHANNELS];
            x[(4 * width + 5) * CHANNELS] = 1.0;
            let inside = |at: isize, length: usize| match border {
                Border::Mirrored => {
                    let at = at.rem_euclid(2 * length as isize) as usize;
                    at.min(2 * length - 1 - at)
                }
                _ => at.rem_euclid(length as isize) as usize,
            };
            let naive_box = |from: &[f32], radius: isize| -> Vec<f32> {
                let mut to = vec![0.0; from.len()];
                let share = 1.0 / ((2 * radius + 1) * (2 * radius + 1)) as f32;
                for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                    for (dy, dx) in (-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx))) {
                        let (y2, x2) = (y as isize + dy, x as isize + dx);
                        let at = inside(y2, height) * width + inside(x2, width);
                        to[(y * width + x) * CHANNELS] += from[at * CHANNELS] * share;
                    }
                }
                to
            };
            let (mut expected, mut smooth) = (x.clone(), x.clone());
            for octave in 0..OCTAVES {
                (0..2).for_each(|_| smooth = naive_box(&smooth, 1 << octave));
                expected.iter_mut().zip(&smooth).for_each(|(sum, v)| *sum += (1 << octave) as f32 * v);
            }
            for (got, expected) in lift_low_frequencies(x, Size { height, width }, border).iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-5);
            }
        }
    }
}
