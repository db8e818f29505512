//! What L-BFGS takes for the inverse curvature before it has seen any: more at low frequencies.
//!
//! The losses see a picture through features, to which light that changes slowly over it says little, so that the loss is
//! flatter along such changes than along grain. A step of one length for all then leaves the slow ones far behind.
//! Instead of `I`, the two-loop recursion begins with `M = I + S1 + 2 S2 + 4 S3 + 8 S4`, where `S1` smooths by a triangle
//! of 3 pixels to either side and each next one smooths the last by one of twice the radius: octave by octave, the step is
//! twice as long. `M` is symmetric and positive definite, as the inverse of a curvature must be.

use super::conv::Size;
use super::plane::{Border, box_mean};
use rayon::prelude::*;

/// Octaves that are smoothed away one after the other.
const OCTAVES: u32 = 4;
/// Values of a pixel.
const CHANNELS: usize = 3;

/// `M x` for a picture `x`, `[height][width][3]`; only a `border` under which smoothing is symmetric makes `M` so.
///
/// # Panics
/// When `x` does not fill its size.
pub fn lift_low_frequencies(x: &[f32], size: Size, border: Border) -> Vec<f32> {
    assert_eq!(x.len(), size.pixels() * CHANNELS, "a picture must fill its size");
    let mut sum = x.to_vec();
    let mut smooth = x.to_vec();
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
    use super::super::sums::dot;
    use super::super::testing::Random;
    use super::*;

    fn picture(pixels: usize, seed: u64) -> Vec<f32> {
        let mut random = Random(seed);
        (0..pixels * CHANNELS).map(|_| random.uniform() - 0.5).collect()
    }

    #[test]
    fn it_is_symmetric_and_positive_at_any_size() {
        for (height, width) in [(1, 1), (1, 7), (40, 1), (3, 5), (33, 64), (70, 41)] {
            for border in [Border::Mirrored, Border::Around] {
                let (a, b) = (picture(height * width, 1), picture(height * width, 2));
                let lift = |x: &[f32]| lift_low_frequencies(x, Size { height, width }, border);
                let (left, right) = (dot(&a, &lift(&b)), dot(&lift(&a), &b));
                assert!((left - right).abs() < 1e-4 * dot(&a, &lift(&a)), "{height}x{width}: {left} and {right}");
                assert!(dot(&a, &lift(&a)) >= 0.99 * dot(&a, &a), "{height}x{width}");
            }
        }
    }

    #[test]
    fn what_does_not_change_is_lifted_sixteen_times_and_grain_not_at_all() {
        let flat =
            lift_low_frequencies(&vec![0.5; 60 * 50 * CHANNELS], Size { height: 60, width: 50 }, Border::Mirrored);
        assert!(flat.iter().all(|v| (v - 8.0).abs() < 1e-4));
        let grain: Vec<f32> =
            (0..64 * 64 * CHANNELS).map(|n| if (n / 3 + n / 192) % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let lifted = lift_low_frequencies(&grain, Size { height: 64, width: 64 }, Border::Around);
        assert!(lifted.iter().zip(&grain).all(|(lifted, grain)| (lifted - grain).abs() < 0.05));
    }

    #[test]
    fn a_single_bright_pixel_spreads_as_the_naive_sums_say() {
        for border in [Border::Mirrored, Border::Around] {
            let (height, width) = (9, 11);
            let mut x = vec![0.0; height * width * CHANNELS];
            x[(4 * width + 5) * CHANNELS] = 1.0;
            let beyond = |at: isize, length: usize| match border {
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
                        let at = beyond(y2, height) * width + beyond(x2, width);
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
            for (got, expected) in lift_low_frequencies(&x, Size { height, width }, border).iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-5);
            }
        }
    }
}
