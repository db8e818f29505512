//! Mean and covariance of colours, and quantiles.

use crate::nst::picture::matrix::Matrix;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;

/// Added to the diagonal of covariances, so that grey and flat pictures have an inverse: half a grey level squared.
const FLOOR: f64 = (0.5 / 255.0) * (0.5 / 255.0);

/// The value above `part` of `whole` parts of `values`; `None` without values. Half of them is the median.
pub fn quantile(mut values: Vec<f32>, part: usize, whole: usize) -> Option<f32> {
    let at = values.len() * part / whole;
    (at < values.len()).then(|| *values.select_nth_unstable_by(at, f32::total_cmp).1)
}

/// Mean and covariance of a picture's RGB, in units of 0..1.
#[derive(Clone, Debug, PartialEq)]
pub struct ColourStatistics {
    pub mean: [f64; 3],
    pub covariance: Matrix,
}

impl ColourStatistics {
    /// The statistics of `pixels`, each weighted by its value in `region`. At least one weight must be above 0.
    pub fn of(pixels: &Pixels, region: &Plane) -> Self {
        let weighted = || pixels.data().chunks_exact(3).zip(region.data()).filter(|&(_, &weight)| weight > 0.0);
        let count = region.mean() * pixels.size().pixels() as f64;
        let mut mean = [0.0; 3];
        for (rgb, &weight) in weighted() {
            for (mean, &v) in mean.iter_mut().zip(rgb) {
                *mean += weight as f64 * v as f64;
            }
        }
        let mean = mean.map(|sum| sum / count);
        let mut covariance = [[0.0; 3]; 3];
        for (rgb, &weight) in weighted() {
            for i in 0..3 {
                for j in 0..3 {
                    covariance[i][j] += weight as f64 * (rgb[i] as f64 - mean[i]) * (rgb[j] as f64 - mean[j]);
                }
            }
        }
        for (i, row) in covariance.iter_mut().enumerate() {
            row.iter_mut().for_each(|v| *v /= count);
            row[i] += FLOOR;
        }
        Self { mean, covariance }
    }

    /// The statistics of several pictures side by side, each with its share of the whole; shares sum to 1.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let over = |f: &dyn Fn(&Self) -> f64| parts.iter().map(|(part, share)| share * f(part)).sum::<f64>();
        let mean: [f64; 3] = std::array::from_fn(|i| over(&|part| part.mean[i]));
        // The means of the parts differ, and that adds to the covariance of the whole.
        let covariance = |i: usize, j: usize| {
            over(&|part| part.covariance[i][j] + (part.mean[i] - mean[i]) * (part.mean[j] - mean[j]))
        };
        let covariance = std::array::from_fn(|i| std::array::from_fn(|j| covariance(i, j)));
        Self { mean, covariance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::testing::colourful;

    fn of(pixels: &Pixels) -> ColourStatistics {
        ColourStatistics::of(pixels, &Plane::filled(pixels.size(), 1.0))
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values = vec![0.9, 0.1, 0.5, 0.3];
        assert_eq!(quantile(values.clone(), 1, 2), Some(0.5));
        assert_eq!((quantile(values.clone(), 0, 4), quantile(values, 19, 20)), (Some(0.1), Some(0.9)));
        assert_eq!(quantile(Vec::new(), 1, 2), None);
    }

    #[test]
    fn blended_statistics_are_those_of_the_pictures_side_by_side() {
        let (a, b) = (colourful(1, 0.0), colourful(2, 0.3));
        let both = [a.data(), b.data(), b.data()].concat();
        let both = of(&Pixels::new(Size { height: 64 * 3, width: 64 }, both));
        let (a, b) = (of(&a), of(&b));
        let blended = ColourStatistics::blend(&[(&a, 1.0 / 3.0), (&b, 2.0 / 3.0)]);
        for i in 0..3 {
            assert!((blended.mean[i] - both.mean[i]).abs() < 1e-9);
            assert!((0..3).all(|j| (blended.covariance[i][j] - both.covariance[i][j]).abs() < 1e-9));
        }
        assert_eq!(ColourStatistics::blend(&[(&a, 1.0)]), a);
    }
}
