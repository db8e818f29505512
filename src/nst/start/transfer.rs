//! The closed-form colour transfer: for each region, the linear map of RGB that gives it the mean and covariance of
//! another.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::light::transmission;
use crate::nst::picture::matrix::{Matrix, compose, eigen, power, product};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::ColourStatistics;
use crate::nst::scene::Depths;
use crate::nst::scene::regions::Regions;
use rayon::prelude::*;

/// No direction of RGB is stretched more than this. Otherwise an even sky that takes on a cloudy one's variance would
/// turn its own noise, and the twigs in front of it, into blots.
const STEEPEST: f64 = 1.6;

/// No direction of chroma is stretched more times as much as another than this, so hues turn by 12 degrees at most.
const UNEVEN: f64 = 1.5;

/// How much more chroma grey may get than the target has in the mean, as a length in RGB.
const TINT: f64 = 0.02;

/// The light of white air.
const AIR: f64 = 0.85;

/// The depth that things in photos of streets are taken to have, in units of [`Depths`]. By eye.
const USUAL_DEPTH: f64 = 2.5;

/// The largest depth that counts: houses at the end of a street would vanish in the air of a very pale style.
const DEEPEST: f32 = 4.0;

/// The least veil that is told from dark things.
const LEAST_VEIL: f64 = 0.02;

/// The air of a style in front of a content: what the map of its colours makes of black is a veil of light, which is
/// thick where things are far and thin where they are near (Koschmieder 1924). The style's own distances are not known,
/// so the map is taken for that of things at the usual depth.
#[derive(Clone, Copy)]
struct Air {
    /// The light that the map adds to black.
    veil: f32,
    /// The share of the light of things at the usual depth that the air lets through.
    usual: f32,
    /// Per unit of depth.
    extinction: f32,
}

impl Air {
    /// `None` where the map leaves black about as dark as it is.
    fn of(map: &Map) -> Option<Self> {
        let veil = (0..3).map(|i| map.to[i] - dot(map.factors[i], map.from)).fold(f64::INFINITY, f64::min);
        let veil = veil.min(0.9 * AIR);
        let usual = 1.0 - veil / AIR;
        (veil > LEAST_VEIL).then(|| Self {
            veil: veil as f32,
            usual: usual as f32,
            extinction: (-usual.ln() / USUAL_DEPTH) as f32,
        })
    }

    /// Moves the mapped values of one row to their own depths, each by its share of what has this air in front of it.
    #[inline(always)]
    fn fill(self, row: &mut [[f32; 3]], shares: &[f32], depths: impl Iterator<Item = f32>) {
        for ((rgb, share), depth) in row.iter_mut().zip(shares).zip(depths) {
            let clear = transmission(self.extinction * depth.min(DEEPEST));
            for v in rgb {
                let own = ((*v - self.veil) / self.usual).clamp(0.0, 1.0);
                *v += share * (clear * own + (1.0 - clear) * AIR as f32 - *v);
            }
        }
    }
}

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

    /// A map to the same mean that changes colours as light and air do, and not as paint does: hues turn little, and grey
    /// stays about as grey as the target is in the mean. The map of a green street to a grey one would otherwise make
    /// grey walls pink, and where only tail lamps have a colour, it would keep the red of yellow things alone.
    fn of_light(self) -> Self {
        let even = even_chroma(&self.factors);
        let factors = product(&product(&even, &self.factors), &even);
        let paler = with_chroma(chroma_kept(&factors, self.from, self.to).sqrt());
        Self { factors: product(&product(&paler, &factors), &paler), ..self }
    }

    /// The same as factors and offsets, in the numbers of pixels.
    fn affine(&self) -> Affine {
        let offset = |i: usize| self.to[i] - dot(self.factors[i], self.from);
        std::array::from_fn(|i| {
            let [red, green, blue] = self.factors[i].map(|factor| factor as f32);
            [red, green, blue, offset(i) as f32]
        })
    }
}

/// For each channel of the result, the factors of red, green and blue and the offset.
type Affine = [[f32; 4]; 3];

/// The projection to chroma, which is what a colour is without its grey, the mean of its channels.
const CHROMA: Matrix =
    [[2.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0], [-1.0 / 3.0, 2.0 / 3.0, -1.0 / 3.0], [-1.0 / 3.0, -1.0 / 3.0, 2.0 / 3.0]];

/// The matrix `P` for which `P T P` stretches one direction of chroma at most [`UNEVEN`] times as much as another. Both
/// together are stretched as by the factors `T`.
fn even_chroma(factors: &Matrix) -> Matrix {
    let (values, vectors) = eigen(&product(&product(&CHROMA, factors), &CHROMA));
    // The least value is that of grey, which has no chroma.
    let mut order = [0, 1, 2];
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let [_, low, high] = order;
    // `P` is on both sides, so the ratio changes by its fourth power.
    let excess = (values[high] / values[low].max(1e-9) / UNEVEN).max(1.0).powf(0.25);
    let mut even = [1.0; 3];
    (even[low], even[high]) = (excess, 1.0 / excess);
    compose(&vectors, even)
}

/// The matrix that multiplies chroma.
fn with_chroma(factor: f64) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (i == j) as u8 as f64 + (factor - 1.0) * CHROMA[i][j]))
}

/// The largest share `k`, up to 1, that a map may keep of the content's chroma.
///
/// The map takes the mean `s` to the mean `t`, and grey of the lightness of `s` to a colour of chroma `t - k q`. Here
/// `t` is that of the target's mean, and `q` what the factors make of that of the content's. `|t - k q| <= |t| + TINT` is
/// a quadratic inequality in `k`, and holds for 0.
fn chroma_kept(factors: &Matrix, source: [f64; 3], target: [f64; 3]) -> f64 {
    let chroma = |rgb| CHROMA.map(|row| dot(row, rgb));
    let own = chroma(source);
    let (moved, target) = (chroma(factors.map(|row| dot(row, own))), chroma(target));
    let (along, square, length) = (dot(moved, target), dot(moved, moved), dot(target, target).sqrt());
    let room = TINT * (TINT + 2.0 * length);
    ((along + (along * along + square * room).sqrt()) / square.max(1e-12)).min(1.0)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The maps of the regions of one content.
pub struct Transfer {
    /// In the order of the regions; `None` for those that the content lacks.
    maps: Vec<Option<Map>>,
    /// The air in front of all that is not sky, in a scene.
    air: Option<Air>,
}

impl Transfer {
    /// The maps that give each region of `pixels` the mean and, unless these are the regions of a scene, the covariance of
    /// its target. Style and content are then photos of the same kinds of things in other light.
    pub fn between(pixels: &Pixels, regions: &Regions, targets: &[ColourStatistics]) -> Self {
        let maps: Vec<Option<Map>> = regions
            .parts()
            .zip(targets)
            .map(|(part, target)| {
                part.map(|part| {
                    let map = Map::between(&ColourStatistics::of(pixels, part), target);
                    if regions.is_scene() { map.of_light() } else { map }
                })
            })
            .collect();
        let rest = maps.last().and_then(Option::as_ref).filter(|_| regions.is_scene());
        let air = rest.and_then(Air::of);
        Self { maps, air }
    }

    /// The same content under these maps, at any size; the result is cut to 0..1.
    ///
    /// Where regions overlap, their maps mix by weight. Pixels in no region stay as they are. A region that only this size
    /// shows, such as that of a thin mask, is a part of the rest. With known `depths`, the air of a scene is thinner where
    /// things are near.
    pub fn apply(&self, pixels: &Pixels, regions: &Regions, depths: Option<Depths>) -> Pixels {
        let rest = self.maps.last().and_then(Option::as_ref);
        let maps = self.maps.iter().map(|map| map.as_ref().or(rest).map(Map::affine));
        let parts: Vec<(&Plane, Affine)> =
            regions.parts().zip(maps).filter_map(|(part, map)| Some((part?, map?))).collect();
        let all_but_sky = regions.parts().last().flatten();
        let mut out = pixels.clone();
        let width = pixels.size().width;
        out.data_mut().par_chunks_mut(width * 3).enumerate().for_each(|(y, row)| {
            let parts = parts.iter().map(|(part, map)| (&part.data()[y * width..][..width], map));
            vectorized(
                #[inline(always)]
                || mix_row(row.as_chunks_mut().0, parts),
            );
            if let (Some(air), Some(all_but_sky), Some(depths)) = (self.air, all_but_sky, depths) {
                vectorized(
                    #[inline(always)]
                    || air.fill(row.as_chunks_mut().0, &all_but_sky.data()[y * width..][..width], depths.row(y)),
                );
            }
        });
        out
    }
}

/// Mixes the maps of `parts` in one row, each by its weight there.
#[inline(always)]
fn mix_row<'a>(row: &mut [[f32; 3]], parts: impl Iterator<Item = (&'a [f32], &'a Affine)>) {
    // The weighted sum of each channel, and of the weights.
    let mut sums = vec![[0.0_f32; 4]; row.len()];
    for (weights, map) in parts {
        for ((sum, rgb), &weight) in sums.iter_mut().zip(&*row).zip(weights) {
            for (sum, [red, green, blue, offset]) in sum.iter_mut().zip(map) {
                *sum += weight * (red * rgb[0] + green * rgb[1] + blue * rgb[2] + offset);
            }
            sum[3] += weight;
        }
    }
    for (rgb, [red, green, blue, weight]) in row.iter_mut().zip(sums) {
        let mixed = [red, green, blue].map(|sum| (sum / weight).clamp(0.0, 1.0));
        *rgb = if weight > 0.0 { mixed } else { *rgb };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::scene::Scene;
    use crate::nst::settings::RegionKind;
    use crate::nst::testing::colourful;

    fn of(pixels: &Pixels) -> ColourStatistics {
        ColourStatistics::of(pixels, &Plane::filled(pixels.size(), 1.0))
    }

    fn transfer_all(pixels: &Pixels, target: &ColourStatistics) -> Pixels {
        let whole = Regions::whole(pixels.size());
        Transfer::between(pixels, &whole, std::slice::from_ref(target)).apply(pixels, &whole, None)
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

    /// A mask as thin as a pole is missed at the working size.
    #[test]
    fn a_region_without_a_map_has_that_of_the_rest() {
        let content = colourful(1, 0.0);
        let target = of(&colourful(7, 0.2));
        let size = content.size();
        let kind = RegionKind::Masks(vec!["pole".to_owned()]);
        let regions = |mask: Plane| Regions::of(&kind, size, &Scene::unknown(size), &[Some(mask)]);
        let pole = Plane::from_fn(size, |_, x| (x == 3) as u8 as f32);
        let transfer =
            Transfer::between(&content, &regions(Plane::filled(size, 0.0)), &[target.clone(), target.clone()]);
        let whole = transfer.apply(&content, &regions(Plane::filled(size, 0.0)), None);
        assert!(transfer.apply(&content, &regions(pole), None) == whole && whole != content);
    }

    #[test]
    fn a_picture_with_the_targets_colours_keeps_them() {
        let own = colourful(3, 0.1);
        let same = transfer_all(&own, &of(&own));
        assert!(own.data().iter().zip(same.data()).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    /// A scene of grey things and of things in this colour, in several lights, in the light of a target.
    fn in_light(colour: [f32; 3], target: impl Fn(usize) -> [f32; 3]) -> (Pixels, ColourStatistics, Pixels) {
        let size = Size { height: 8, width: 8 };
        let light = |n: usize| 0.2 + 0.1 * (n % 5) as f32;
        let thing = |n: usize| if n.is_multiple_of(4) { [light(n); 3] } else { colour.map(|v| v * light(n)) };
        let content = Pixels::new(size, (0..64).flat_map(thing).collect());
        let target = of(&Pixels::new(size, (0..64).flat_map(target).collect()));
        let regions = Regions::of(&RegionKind::Scene, size, &Scene::unknown(size), &[]);
        let transfer = Transfer::between(&content, &regions, &vec![target.clone(); 4]);
        let result = transfer.apply(&content, &regions, None);
        (content, target, result)
    }

    fn chroma(rgb: &[f32; 3]) -> [f64; 3] {
        CHROMA.map(|row| dot(row, rgb.map(f64::from)))
    }

    #[test]
    fn in_a_scene_grey_stays_grey_where_green_turns_grey() {
        let (_, target, result) = in_light([1.0, 1.4, 0.5], |n| [0.4 + 0.05 * (n % 3) as f32; 3]);
        for rgb in result.data().as_chunks::<3>().0.iter().step_by(4) {
            assert!(dot(chroma(rgb), chroma(rgb)).sqrt() < 1.5 * TINT, "{rgb:?}");
        }
        let mean = of(&result).mean;
        assert!((0..3).all(|i| (mean[i] - target.mean[i]).abs() < 1e-4), "{mean:?} {:?}", target.mean);
    }

    #[test]
    fn in_a_scene_yellow_does_not_turn_red_where_red_is_the_only_colour() {
        let red = |n: usize| if n.is_multiple_of(8) { [0.7, 0.2, 0.2] } else { [0.3 + 0.02 * (n % 7) as f32; 3] };
        let (content, _, result) = in_light([1.2, 1.0, 0.3], red);
        let [yellow, own] = [&content, &result].map(|pixels| {
            let [yellow, grey] = [1, 16].map(|n| pixels.data().as_chunks::<3>().0[n]);
            chroma(&std::array::from_fn(|i| yellow[i] - grey[i]))
        });
        let cosine = dot(yellow, own) / (dot(yellow, yellow) * dot(own, own)).sqrt();
        assert!(cosine > 0.9, "{yellow:?} {own:?}");
    }

    #[test]
    fn a_flat_picture_takes_the_mean_and_stays_finite() {
        let flat = Pixels::new(Size { height: 4, width: 4 }, vec![0.5; 48]);
        let target = of(&colourful(5, 0.0));
        let result = transfer_all(&flat, &target);
        assert!(result.data().chunks_exact(3).all(|rgb| (0..3).all(|i| (rgb[i] as f64 - target.mean[i]).abs() < 1e-5)));
    }

    /// A scene of this size, half black and half white, under the map to a target of this mean and deviation, where its
    /// lower half is at the depths `near` and its upper half at `far`: the mapped black and white of each.
    fn at_depths(mean: f32, deviation: f32, near: f32, far: f32) -> [[f32; 2]; 2] {
        let size = Size { height: 8, width: 8 };
        let stripes = |low: f32, high: f32| {
            Pixels::new(size, (0..64).flat_map(|n| [if n % 2 == 0 { low } else { high }; 3]).collect())
        };
        let scene =
            Scene { depth: Plane::from_fn(size, |y, _| if y < 4 { far } else { near }), ..Scene::unknown(size) };
        let regions = Regions::of(&RegionKind::Scene, size, &scene, &[]);
        let (content, target) = (stripes(0.0, 1.0), of(&stripes(mean - deviation, mean + deviation)));
        let transfer = Transfer::between(&content, &regions, &vec![target; 4]);
        let result = transfer.apply(&content, &regions, Some(Depths::of(&scene)));
        [7, 0].map(|y| [0, 1].map(|x| result.data()[(y * 8 + x) * 3]))
    }

    #[test]
    fn the_veil_of_a_pale_style_is_thin_where_things_are_near_and_thick_where_they_are_far() {
        let usual = USUAL_DEPTH as f32;
        let [same, _] = at_depths(0.6, 0.2, usual, usual);
        assert!((same[0] - 0.4).abs() < 0.01 && (same[1] - 0.8).abs() < 0.01, "{same:?}");
        let [near, far] = at_depths(0.6, 0.2, 1.0, 8.0);
        let contrast = |[black, white]: [f32; 2]| white - black;
        assert!(near[0] < 0.25 && contrast(near) > 0.5, "near {near:?}");
        assert!(far[0] > 0.5 && contrast(far) < 0.3 && far[1] <= AIR as f32 + 0.01, "far {far:?}");
    }

    #[test]
    fn a_style_with_black_shadows_has_no_air() {
        let [near, far] = at_depths(0.35, 0.35, 1.0, 8.0);
        assert!((0..2).all(|n| (near[n] - far[n]).abs() < 1e-3), "{near:?} {far:?}");
    }
}
