//! The closed-form colour transfer: for each region, the linear map of RGB that gives it the mean and covariance of
//! another.

use crate::nst::picture::matrix::{Matrix, compose, eigen, power, product};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::ColourStatistics;
use crate::nst::scene::regions::Regions;
use rayon::prelude::*;

/// No direction of RGB is stretched more than this. Otherwise an even sky that takes on a cloudy one's variance would
/// turn its own noise, and the twigs in front of it, into blots.
const STEEPEST: f64 = 1.6;

/// A linear map of RGB around a mean.
struct Map {
    from: [f64; 3],
    to: [f64; 3],
    factors: Matrix,
}

impl Map {
    /// The Monge-Kantorovich map: of all linear maps that take one mean and covariance to another, it moves colours the
    /// least (Pitié and Kokaram 2007). `T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2` for covariances `A` and `B`.
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

/// The maps of the regions of one content.
pub struct Transfer {
    /// In the order of the regions; `None` for those that the content lacks.
    maps: Vec<Option<Map>>,
}

impl Transfer {
    /// The maps that give each region of `pixels` the mean and covariance of its target.
    pub fn between(pixels: &Pixels, regions: &Regions, targets: &[ColourStatistics]) -> Self {
        let maps = regions
            .parts()
            .zip(targets)
            .map(|(part, target)| part.map(|part| Map::between(&ColourStatistics::of(pixels, part), target)));
        Self { maps: maps.collect() }
    }

    /// The same content under these maps, at any size; the result is cut to 0..1.
    ///
    /// Where regions overlap, their maps mix by weight. Pixels in no region stay as they are.
    pub fn apply(&self, pixels: &Pixels, regions: &Regions) -> Pixels {
        let parts: Vec<(&Plane, &Map)> =
            regions.parts().zip(&self.maps).filter_map(|(part, map)| Some((part?, map.as_ref()?))).collect();
        let mut out = pixels.clone();
        let width = pixels.size().width;
        out.data_mut().par_chunks_mut(width * 3).enumerate().for_each(|(y, row)| {
            for (x, rgb) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let (mut sum, mut weights) = ([0.0; 3], 0.0);
                for (part, map) in &parts {
                    let weight = part.at(y, x) as f64;
                    if weight > 0.0 {
                        let moved = map.apply(rgb);
                        (0..3).for_each(|i| sum[i] += weight * moved[i]);
                        weights += weight;
                    }
                }
                if weights > 0.0 {
                    (0..3).for_each(|i| rgb[i] = (sum[i] / weights).clamp(0.0, 1.0) as f32);
                }
            }
        });
        out
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

    fn transfer_all(pixels: &Pixels, target: &ColourStatistics) -> Pixels {
        let whole = Regions::whole(pixels.size());
        Transfer::between(pixels, &whole, std::slice::from_ref(target)).apply(pixels, &whole)
    }

    #[test]
    fn the_result_has_the_targets_mean_and_covariance() {
        let target = of(&colourful(7, 0.2));
        let result = of(&transfer_all(&colourful(1, 0.0), &target));
        for i in 0..3 {
            assert!((result.mean[i] - target.mean[i]).abs() < 1e-4);
            for j in 0..3 {
                assert!((result.covariance[i][j] - target.covariance[i][j]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn a_picture_with_the_targets_colours_keeps_them() {
        let own = colourful(3, 0.1);
        let same = transfer_all(&own, &of(&own));
        assert!(own.data().iter().zip(same.data()).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn a_flat_picture_takes_the_mean_and_stays_finite() {
        let flat = Pixels::new(Size { height: 4, width: 4 }, vec![0.5; 48]);
        let target = of(&colourful(5, 0.0));
        let result = transfer_all(&flat, &target);
        assert!(result.data().chunks_exact(3).all(|rgb| (0..3).all(|i| (rgb[i] as f64 - target.mean[i]).abs() < 1e-5)));
    }
}
