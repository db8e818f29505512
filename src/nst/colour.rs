//! The closed-form colour transfer: a linear map of RGB per region, which gives it another's mean and covariance; and luma,
//! for transfers that leave colours alone.

use super::pixels::Pixels;
use super::plane::Plane;
use super::regions::Regions;

pub type Matrix = [[f64; 3]; 3];

/// Added to the diagonal of covariances, so that gray and flat pictures have an inverse: half a grey level squared.
const FLOOR: f64 = (0.5 / 255.0) * (0.5 / 255.0);

/// The most that a map stretches any direction of RGB: an even sky that takes on a cloudy one's variance would turn its
/// own noise, and the twigs before it, into blots.
const STEEPEST: f64 = 1.6;

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

/// A linear map of RGB around a mean.
struct Map {
    from: [f64; 3],
    to: [f64; 3],
    factors: Matrix,
}

impl Map {
    /// Of all linear maps that take one mean and covariance to another, the Monge-Kantorovich map moves colours the least
    /// (Pitie and Kokaram 2007): `T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2` for covariances `A` and `B`.
    fn between(source: &ColourStatistics, target: &ColourStatistics) -> Self {
        let root = power(&source.covariance, 0.5);
        let inverse = power(&source.covariance, -0.5);
        let middle = power(&product(&product(&root, &target.covariance), &root), 0.5);
        let (values, vectors) = eigen(&product(&product(&inverse, &middle), &inverse));
        Self { from: source.mean, to: target.mean, factors: compose(&vectors, values.map(|value| value.min(STEEPEST))) }
    }

    fn apply(&self, rgb: &[f32]) -> [f64; 3] {
        let centred: [f64; 3] = std::array::from_fn(|i| rgb[i] as f64 - self.from[i]);
        std::array::from_fn(|i| (0..3).map(|j| self.factors[i][j] * centred[j]).sum::<f64>() + self.to[i])
    }
}

/// `pixels` with, in each region, the mean and covariance of its target, cut to 0..1.
///
/// Soft regions mix; what no region holds stays as it is.
pub fn transfer(pixels: &Pixels, regions: &Regions, targets: &[ColourStatistics]) -> Pixels {
    let parts = regions.parts().zip(targets).filter_map(|(part, target)| Some((part?, target)));
    let parts: Vec<(&Plane, Map)> =
        parts.map(|(part, target)| (part, Map::between(&ColourStatistics::of(pixels, part), target))).collect();
    let mut out = pixels.clone();
    for (n, rgb) in out.data_mut().chunks_exact_mut(3).enumerate() {
        let (mut sum, mut all) = ([0.0; 3], 0.0);
        for (part, map) in &parts {
            let weight = part.data()[n] as f64;
            if weight > 0.0 {
                let moved = map.apply(rgb);
                (0..3).for_each(|i| sum[i] += weight * moved[i]);
                all += weight;
            }
        }
        if all > 0.0 {
            (0..3).for_each(|i| rgb[i] = (sum[i] / all).clamp(0.0, 1.0) as f32);
        }
    }
    out
}

/// Rec. 601's weights of red, green and blue, as in YIQ and YCbCr.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Of one pixel.
pub fn luma(rgb: &[f32]) -> f32 {
    rgb.iter().zip(LUMA).map(|(v, weight)| v * weight).sum()
}

/// `pixels` with their luma in all three colours.
pub fn grey(pixels: &Pixels) -> Pixels {
    let mut out = pixels.clone();
    for rgb in out.data_mut().chunks_exact_mut(3) {
        rgb.fill(luma(rgb));
    }
    out
}

/// Gives `pixels` the chroma of `other`, the differences of its colours from its luma, and leaves them their own luma
/// (Gatys et al. 2016, 'Preserving color in neural artistic style transfer', section 4.2); two pictures of one size.
pub fn take_chroma(pixels: &mut Pixels, other: &Pixels) {
    assert_eq!(pixels.size(), other.size(), "luma and chroma are of one picture");
    for (rgb, other) in pixels.data_mut().chunks_exact_mut(3).zip(other.data().chunks_exact(3)) {
        // All three colours hold the luma with the factor 1, so another luma is the same step for each.
        let step = luma(rgb) - luma(other);
        for (v, other) in rgb.iter_mut().zip(other) {
            *v = other + step;
        }
    }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// A symmetric positive matrix to a power, by its eigenvalues.
fn power(matrix: &Matrix, exponent: f64) -> Matrix {
    let (values, vectors) = eigen(matrix);
    compose(&vectors, values.map(|value| value.max(1e-12).powf(exponent)))
}

/// The symmetric matrix with these eigenvectors, in columns, and eigenvalues.
fn compose(vectors: &Matrix, values: [f64; 3]) -> Matrix {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::conv::Size;
    use crate::nst::testing::Random;

    fn of(pixels: &Pixels) -> ColourStatistics {
        ColourStatistics::of(pixels, &Plane::filled(pixels.size(), 1.0))
    }

    fn transfer_all(pixels: &Pixels, target: &ColourStatistics) -> Pixels {
        transfer(pixels, &Regions::whole(pixels.size()), std::slice::from_ref(target))
    }

    fn picture(seed: u64, shift: f32) -> Pixels {
        let mut random = Random(seed);
        let data = (0..64 * 64)
            .flat_map(|_| {
                let (a, b, c) = (random.uniform(), random.uniform(), random.uniform());
                [0.3 + 0.2 * a + shift, 0.3 + 0.1 * a + 0.1 * b, 0.4 + 0.1 * b - 0.1 * c]
            })
            .collect();
        Pixels::new(Size { height: 64, width: 64 }, data)
    }

    #[test]
    fn the_result_has_the_targets_mean_and_covariance() {
        let target = of(&picture(7, 0.2));
        let result = of(&transfer_all(&picture(1, 0.0), &target));
        for i in 0..3 {
            assert!((result.mean[i] - target.mean[i]).abs() < 1e-4);
            for j in 0..3 {
                assert!((result.covariance[i][j] - target.covariance[i][j]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn a_picture_keeps_its_own_colours() {
        let own = picture(3, 0.1);
        let same = transfer_all(&own, &of(&own));
        assert!(own.data().iter().zip(same.data()).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn a_picture_takes_anothers_chroma_and_keeps_its_luma() {
        let (content, own) = (picture(1, 0.0), picture(2, 0.1));
        let mut made = own.clone();
        take_chroma(&mut made, &content);
        let pixels = |pixels: &Pixels| pixels.data().chunks_exact(3).map(<[f32]>::to_vec).collect::<Vec<_>>();
        for ((made, own), content) in pixels(&made).iter().zip(&pixels(&own)).zip(&pixels(&content)) {
            assert!((luma(made) - luma(own)).abs() < 1e-6);
            assert!((made[2] - luma(made) - (content[2] - luma(content))).abs() < 1e-6, "Cb");
            assert!((made[0] - luma(made) - (content[0] - luma(content))).abs() < 1e-6, "Cr");
        }
        assert!(grey(&own).data().chunks_exact(3).all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2]));
    }

    #[test]
    fn blended_statistics_are_those_of_the_pictures_side_by_side() {
        let (a, b) = (picture(1, 0.0), picture(2, 0.3));
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

    #[test]
    fn a_flat_picture_takes_the_mean_and_stays_finite() {
        let flat = Pixels::new(Size { height: 4, width: 4 }, vec![0.5; 48]);
        let target = of(&picture(5, 0.0));
        let result = transfer_all(&flat, &target);
        assert!(result.data().chunks_exact(3).all(|rgb| (0..3).all(|i| (rgb[i] as f64 - target.mean[i]).abs() < 1e-5)));
    }

    #[test]
    fn chroma_is_taken_and_luma_stays() {
        let (own, other) = (picture(1, 0.0), picture(7, 0.2));
        let mut mixed = own.clone();
        take_chroma(&mut mixed, &other);
        let (luma, before) = (Plane::luma(&mixed), Plane::luma(&own));
        assert!(luma.data().iter().zip(before.data()).all(|(a, b)| (a - b).abs() < 1e-6));
        let red = |p: &Pixels| p.data().chunks_exact(3).map(|rgb| rgb[0] - rgb[2]).collect::<Vec<_>>();
        assert!(red(&mixed).iter().zip(red(&other)).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
