//! The closed-form colour transfer: a linear map of RGB per region, which gives it another's mean and covariance; and luma,
//! for transfers that leave colours alone.

use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::{ColourStatistics, Matrix, compose, eigen, power, product};
use crate::nst::scene::regions::Regions;

/// The most that a map stretches any direction of RGB: an even sky that takes on a cloudy one's variance would turn its
/// own noise, and the twigs before it, into blots.
const STEEPEST: f64 = 1.6;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::picture::luma::{grey, luma, take_chroma};
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
