//! Mean and covariance of colours.

use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;

pub type Matrix = [[f64; 3]; 3];

/// Added to the diagonal of covariances, so that gray and flat pictures have an inverse: half a grey level squared.
const FLOOR: f64 = (0.5 / 255.0) * (0.5 / 255.0);

/// Mean and covariance of a picture's RGB.
#[derive(Clone, Debug, PartialEq)]
pub struct ColourStatistics {
    pub mean: [f64; 3],
    pub covariance: Matrix,
}

impl ColourStatistics {
    /// Of the part of `pixels` that `region` weights, not all of it 0.
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

    /// Those of a picture of which each part has a share; shares sum to 1.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let over = |f: &dyn Fn(&Self) -> f64| parts.iter().map(|(part, share)| share * f(part)).sum::<f64>();
        let mean: [f64; 3] = std::array::from_fn(|i| over(&|part| part.mean[i]));
        // The parts' means are apart, and that is a spread of the whole.
        let covariance = |i: usize, j: usize| {
            over(&|part| part.covariance[i][j] + (part.mean[i] - mean[i]) * (part.mean[j] - mean[j]))
        };
        let covariance = std::array::from_fn(|i| std::array::from_fn(|j| covariance(i, j)));
        Self { mean, covariance }
    }
}

pub fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// A symmetric positive matrix to a power, by its eigenvalues.
pub fn power(matrix: &Matrix, exponent: f64) -> Matrix {
    let (values, vectors) = eigen(matrix);
    compose(&vectors, values.map(|value| value.max(1e-12).powf(exponent)))
}

/// The symmetric matrix with these eigenvectors, in columns, and eigenvalues.
pub fn compose(vectors: &Matrix, values: [f64; 3]) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| vectors[i][k] * values[k] * vectors[j][k]).sum()))
}

/// Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by Jacobi rotations.
pub fn eigen(matrix: &Matrix) -> ([f64; 3], Matrix) {
    let mut a = *matrix;
    let mut vectors: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| (i == j) as u8 as f64));
    // Convergence is quadratic: three by three is done to the last bit well before ten sweeps.
    for _ in 0..10 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let sign = if theta < 0.0 { -1.0 } else { 1.0 };
            let tan = sign / (theta.abs() + theta.hypot(1.0));
            let cos = 1.0 / tan.hypot(1.0);
            let sin = tan * cos;
            for row in a.iter_mut().chain(vectors.iter_mut()) {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
            for k in 0..3 {
                (a[p][k], a[q][k]) = (cos * a[p][k] - sin * a[q][k], sin * a[p][k] + cos * a[q][k]);
            }
        }
    }
    ([a[0][0], a[1][1], a[2][2]], vectors)
}
