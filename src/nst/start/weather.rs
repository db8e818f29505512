//! Fog and night by physics, with numbers measured on a style picture, here called the reference.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::Interpolated;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::{encoded, linear, luminance, transmission};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::surface::outside;
use crate::nst::scene::{Depths, Scene, sky};
use crate::nst::settings::Weather;
use rayon::prelude::*;
use std::ops::RangeInclusive;

/// Horizontal bands of the lower two thirds of a picture; contrast is compared in each.
const BANDS: usize = 3;

/// The range of the extinction per unit of depth: below, no fog is seen; above, no object. Where everything is near, it
/// may be [`NEAR`].
const EXTINCTION: RangeInclusive<f32> = 0.05..=0.2;

/// The most extinction per unit of depth in a frame where everything is near.
const NEAR: f32 = 0.5;

/// Light and contrast of a picture.
#[derive(Clone, Debug)]
pub struct WeatherStatistics {
    /// Median linear RGB of the sky, or of the upper third where no sky was found.
    sky: [f32; 3],
    /// Median linear RGB of the rest.
    ground: [f32; 3],
    /// Mean luminance of the rest, in linear light.
    mean: f32,
    /// Local contrast of the rest, in each of the [`BANDS`]: the deviation of luma from its local mean.
    contrast: [f32; BANDS],
    /// Mean chroma of the rest: the largest channel less the least.
    chroma: f32,
}

impl WeatherStatistics {
    pub fn of(pixels: &Pixels, scene: &Scene) -> Self {
        let size = pixels.size();
        let sky = match &scene.sky {
            Some(sky) => sky.clone(),
            None => Plane::from_fn(size, |y, _| (y * 3 < size.height) as u8 as f32),
        };
        // Thick fog looks like sky everywhere; then the whole picture counts as ground, too.
        let all_sky = sky.mean() > 0.85;
        let ground = Plane::from_fn(size, |y, x| if all_sky { 1.0 } else { 1.0 - sky.at(y, x) });
        let [of_sky, of_ground] = medians(pixels, [&sky, &ground]);
        Self {
            sky: of_sky,
            ground: of_ground,
            mean: mean(pixels, &ground, |rgb| luminance(rgb.map(linear))),
            contrast: contrast(pixels, &ground),
            chroma: mean(pixels, &ground, chroma),
        }
    }
}

/// The weighted mean of a number of each colour, which is in 0..1.
fn mean(pixels: &Pixels, weights: &Plane, number: impl Fn([f32; 3]) -> f32) -> f32 {
    let numbers: Vec<f32> = vectorized(
        #[inline(always)]
        || pixels.data().as_chunks::<3>().0.iter().map(|rgb| number(rgb.map(|v| v.clamp(0.0, 1.0)))).collect(),
    );
    let (mut sum, mut count) = (0.0, f32::MIN_POSITIVE);
    for (number, &weight) in numbers.iter().zip(weights.data()) {
        sum += weight * number;
        count += weight;
    }
    sum / count
}

/// The largest channel less the least.
fn chroma(rgb: [f32; 3]) -> f32 {
    rgb.into_iter().fold(0.0, f32::max) - rgb.into_iter().fold(1.0, f32::min)
}

/// The weighted medians of each channel, in linear light, with each of the `weights`.
fn medians(pixels: &Pixels, weights: [&Plane; 2]) -> [[f32; 3]; 2] {
    let mut histograms = [[[0.0_f64; 256]; 3]; 2];
    let weights = weights[0].data().iter().zip(weights[1].data());
    for (rgb, (&first, &second)) in pixels.data().as_chunks::<3>().0.iter().zip(weights) {
        for (channel, v) in rgb.iter().enumerate() {
            let bin = (v.clamp(0.0, 1.0) * 255.0) as usize;
            histograms[0][channel][bin] += first as f64;
            histograms[1][channel][bin] += second as f64;
        }
    }
    histograms.map(|channels| channels.map(|histogram| linear(median_bin(&histogram) as f32 / 255.0)))
}

/// The bin in which a half of all lies in it and in those before it.
fn median_bin(histogram: &[f64; 256]) -> usize {
    let half = histogram.iter().sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let above = |count: &f64| {
        sum += count;
        sum >= half
    };
    histogram.iter().position(above).unwrap_or(0)
}

/// The rows of one of the [`BANDS`].
fn rows(height: usize, band: usize) -> std::ops::Range<usize> {
    let at = |n: usize| height / 3 + n * (height - height / 3) / BANDS;
    at(band)..at(band + 1)
}

/// The root of the weighted mean square of luma minus its local mean, in each of the [`BANDS`].
fn contrast(pixels: &Pixels, ground: &Plane) -> [f32; BANDS] {
    /// Pixels from the centre of a local mean to its side.
    const RADIUS: usize = 6;
    let luma = Plane::luma(pixels);
    let mean = luma.blurred(RADIUS);
    std::array::from_fn(|band| {
        let (mut sum, mut count) = (0.0, f32::MIN_POSITIVE);
        for y in rows(pixels.size().height, band) {
            for x in 0..pixels.size().width {
                // The sky counts a little, so that a reference of nothing but haze has a contrast near 0.
                let weight = 0.1 + 0.9 * ground.at(y, x);
                sum += weight * (luma.at(y, x) - mean.at(y, x)).powi(2);
                count += weight;
            }
        }
        (sum / count).sqrt()
    })
}

/// Fog or night as it falls on one content, with numbers of the content and of its reference.
pub enum Conditions {
    Fog(Fog),
    Night(Night),
}

impl Conditions {
    /// The weather of the `reference` over `pixels`, which are at the size that the reference was measured at.
    pub fn over(weather: Weather, pixels: &Pixels, scene: &Scene, reference: &WeatherStatistics) -> Self {
        let own = WeatherStatistics::of(pixels, scene);
        match weather {
            Weather::Fog => Self::Fog(Fog::over(scene, &own, reference)),
            Weather::Night => Self::Night(Night::over(pixels, scene, &own, reference)),
        }
    }

    /// The same content, at any size, in this weather; values are in 0..1. `shapes` are the shares of labelled objects.
    pub fn render(&self, pixels: &Pixels, sky: Option<&Plane>, shapes: Option<&Plane>, depths: Depths) -> Pixels {
        match self {
            Self::Fog(fog) => fog.render(pixels, depths),
            Self::Night(night) => night.render(pixels, sky, shapes, depths),
        }
    }

    /// The extinction of the fog per unit of depth; 0 at night.
    pub fn extinction(&self) -> f32 {
        match self {
            Self::Fog(fog) => fog.extinction,
            Self::Night(_) => 0.0,
        }
    }
}

/// Koschmieder's law (1924) in linear light: `J t + A (1 - t)` with `t = exp(-extinction * depth)`.
pub struct Fog {
    /// Per unit of depth. It leaves as much contrast as the reference has.
    extinction: f32,
    /// The share of the content's light that falls through the fog.
    light: f32,
    /// How pale the content's colours become: light that drops scatter on its way reaches near things, too.
    pale: f32,
    /// The colour `A` of the air, in linear light: that of the reference's sky.
    air: [f32; 3],
}

impl Fog {
    fn over(scene: &Scene, own: &WeatherStatistics, reference: &WeatherStatistics) -> Self {
        /// How pale the air is against the reference's sky. Droplets scatter all colours alike; a tinted sky would be
        /// dust.
        const PALE: f32 = 0.85;
        /// The least light of the air: a frame that was taken by day would look like night in darker fog.
        const LEAST: f32 = 0.33;
        /// The most that near things lose of their colours.
        const PALEST: f32 = 0.5;
        let grey = luminance(reference.sky).max(1e-3);
        let lighter = (LEAST / grey).max(1.0);
        Self {
            extinction: extinction(scene, own, reference),
            // The air scatters the same light that falls on the scene.
            light: (grey * lighter / luminance(own.sky).max(0.3)).clamp(0.15, 1.0),
            pale: (1.0 - reference.chroma / own.chroma.max(1e-3)).clamp(0.0, PALEST),
            air: reference.sky.map(|v| ((v + PALE * (grey - v)) * lighter).min(1.0)),
        }
    }

    fn render(&self, pixels: &Pixels, depths: Depths) -> Pixels {
        let mut out = pixels.clone();
        out.data_mut().par_chunks_mut(pixels.size().width * 3).enumerate().for_each(|(y, row)| {
            vectorized(
                #[inline(always)]
                || {
                    for (rgb, depth) in row.as_chunks_mut::<3>().0.iter_mut().zip(depths.row(y)) {
                        let left = transmission(self.extinction * depth);
                        rgb.iter_mut().for_each(|v| *v = linear(v.clamp(0.0, 1.0)) * self.light);
                        let grey = luminance(*rgb);
                        for (v, air) in rgb.iter_mut().zip(self.air) {
                            let light = *v + self.pale * (grey - *v);
                            *v = encoded((light * left + air * (1.0 - left)).min(1.0));
                        }
                    }
                },
            );
        });
        out
    }
}

/// The extinction per unit of depth that leaves as much contrast as the reference has: the least-squares fit of
/// `-ln(contrast left) = extinction * depth` over the bands.
fn extinction(scene: &Scene, own: &WeatherStatistics, reference: &WeatherStatistics) -> f32 {
    /// What is farther off says nothing: in most fogs, nothing is left of its contrast.
    const FAR: f32 = 14.0;
    let (mut above, mut below) = (0.0, 0.0);
    let size = scene.depth.size();
    for band in 0..BANDS {
        let left = (reference.contrast[band] / own.contrast[band].max(1e-3)).clamp(0.03, 1.0);
        let rows = rows(size.height, band);
        let depths = &scene.depth.data()[rows.start * size.width..rows.end * size.width];
        let depth = depths.iter().map(|depth| depth.min(FAR)).sum::<f32>() / depths.len().max(1) as f32;
        above -= depth * left.ln();
        below += depth * depth;
    }
    let fit = (above / below).clamp(*EXTINCTION.start(), *EXTINCTION.end());
    fit.max(visible(scene))
}

/// The extinction per unit of depth under which fog is seen in this frame: the farthest tenth of what is not sky
/// loses [`VEIL`] of its light, but it is at most [`NEAR`].
fn visible(scene: &Scene) -> f32 {
    /// The share of the light of far things that fog at least takes.
    const VEIL: f32 = 0.6;
    solid_depth(scene, 9, 10).map_or(0.0, |far| (-(1.0 - VEIL).ln() / far).min(NEAR))
}

/// Exposure and white balance of the reference: the ground gets the median light of its ground, the sky that of its
/// sky. The brightest parts of the ground lose less light, as if a lamp shone on them.
pub struct Night {
    /// The gain of the ground in linear light, at the usual depth.
    gain: [f32; 3],
    /// The median of the depth of what is not sky.
    usual_depth: f32,
    /// Median linear RGB of the reference's sky, and of the content's.
    sky: [f32; 3],
    own_sky: [f32; 3],
    gaps: Option<Gaps>,
}

impl Night {
    fn over(pixels: &Pixels, scene: &Scene, own: &WeatherStatistics, reference: &WeatherStatistics) -> Self {
        /// The range of the exposure: a lower one would be black in 8 bits, a higher one no night.
        const GAIN: RangeInclusive<f32> = 0.02..=0.3;
        /// The range of a channel's light over its grey light.
        const TINT: RangeInclusive<f32> = 0.6..=1.6;
        // Where a large part is dark, the median says little about what the sun or a lamp shines on.
        let usual = |of: &WeatherStatistics| luminance(of.ground).max(0.75 * of.mean);
        let exposure = (usual(reference) / usual(own).max(0.01)).clamp(*GAIN.start(), *GAIN.end());
        let light = luminance(reference.ground).max(1e-3);
        Self {
            gain: reference.ground.map(|v| exposure * (v / light).clamp(*TINT.start(), *TINT.end())),
            usual_depth: solid_depth(scene, 1, 2).unwrap_or(1.0),
            sky: reference.sky,
            own_sky: own.sky,
            gaps: scene.sky.as_ref().map(|sky| Gaps::of(pixels, sky, scene.shapes.as_ref())),
        }
    }

    fn render(&self, pixels: &Pixels, sky: Option<&Plane>, shapes: Option<&Plane>, depths: Depths) -> Pixels {
        let size = pixels.size();
        let gaps = self.gaps.as_ref().map(|gaps| gaps.at_size(size));
        let mut out = pixels.clone();
        out.data_mut().par_chunks_mut(size.width * 3).enumerate().for_each(|(y, row)| {
            let row = row.as_chunks_mut::<3>().0;
            vectorized(
                #[inline(always)]
                || row.iter_mut().for_each(|rgb| *rgb = rgb.map(|v| linear(v.clamp(0.0, 1.0)))),
            );
            let own = |plane: Option<&Plane>| {
                plane.map_or_else(
                    || vec![0.0; size.width],
                    |plane| plane.data()[y * size.width..][..size.width].to_vec(),
                )
            };
            let mut skies = own(sky);
            if let Some(gaps) = gaps.as_ref().filter(|gaps| gaps.are_in(y)) {
                gaps.fill_row(&mut skies, &own(shapes), row, y);
            }
            vectorized(
                #[inline(always)]
                || {
                    for ((rgb, depth), &sky) in row.iter_mut().zip(depths.row(y)).zip(&skies) {
                        *rgb = self.dark(*rgb, sky, depth).map(|v| encoded(v.min(1.0)));
                    }
                },
            );
        });
        out
    }

    /// The light of one pixel at night, from its light by day, its share of sky and its depth.
    #[inline(always)]
    fn dark(&self, light: [f32; 3], sky: f32, depth: f32) -> [f32; 3] {
        /// The gain of the brightest parts.
        const HIGHLIGHT: f32 = 0.1;
        /// The depth at which half of the light of lamps is left, and the share of light that comes from everywhere.
        /// Lamps are near the road; what is farther off is dark.
        const LAMPS: (f32, f32) = (5.0, 0.2);
        /// How pale colours become: in little light, sensors mix them up and cameras turn them down.
        const PALE: f32 = 0.35;
        let lamps = |depth: f32| LAMPS.1 + (1.0 - LAMPS.1) / (1.0 + (depth / LAMPS.0).powi(2));
        let grey = luminance(light);
        let bright = ((grey - 0.6) / 0.4).clamp(0.0, 1.0).powi(2);
        let light = light.map(|v| v + PALE * (grey - v));
        let near = lamps(depth) / lamps(self.usual_depth);
        std::array::from_fn(|i| {
            let gain = self.gain[i] * near;
            let solid = light[i] * (gain + (HIGHLIGHT - gain).max(0.0) * bright);
            // Clouds stay visible, in shades of the night's sky. At night, nothing shines on one side of them.
            let cloud = (light[i] / self.own_sky[i].max(0.02)).sqrt().clamp(0.75, 1.25);
            let above = self.sky[i] * cloud;
            solid + sky * (above - solid)
        })
    }
}

/// The depth that `part` of `whole` of what is not sky is nearer than; none if all is sky.
fn solid_depth(scene: &Scene, part: usize, whole: usize) -> Option<f32> {
    let solid = |n: &usize| scene.sky.as_ref().is_none_or(|sky| sky.data()[*n] < 0.5);
    let depths = (0..scene.depth.data().len()).step_by(7).filter(solid).map(|n| scene.depth.data()[n]);
    quantile(depths.collect(), part, whole)
}

/// The sky in the gaps between twigs and along roofs, which are too fine for its border. By day the sky outshines what
/// it mixes with. So near a sky and above the horizon, pixels count as sky in proportion to their brightness, except
/// those of labelled objects, such as white trucks. Without this, a rim of daylight stays around trees.
struct Gaps {
    /// The share of sky in a window around each pixel.
    share: Plane,
    /// The light of the sky in that window, as a part of the window's.
    shining: Plane,
    /// Where the horizon is, as a share of the height from the top.
    horizon: f32,
}

impl Gaps {
    fn of(pixels: &Pixels, sky: &Plane, shapes: Option<&Plane>) -> Self {
        let size = sky.size();
        let mut light = Plane::filled(size, 0.0);
        vectorized(
            #[inline(always)]
            || {
                for (light, rgb) in light.data_mut().iter_mut().zip(pixels.data().as_chunks::<3>().0) {
                    *light = luminance(rgb.map(|v| linear(v.clamp(0.0, 1.0))));
                }
            },
        );
        let horizon = sky::horizon(sky);
        let around = |sky: &Plane| {
            let radius = size.height / 16 + 1;
            let shining = Plane::from_fn(size, |y, x| sky.at(y, x) * light.at(y, x)).blurred(radius);
            Self { share: sky.blurred(radius), shining, horizon }
        };
        // The sky grows twice by the radius of a window.
        let first = around(sky);
        let end = (horizon * size.height as f32) as usize;
        around(&Plane::from_fn(size, |y, x| match y < end {
            true => {
                let (share, shining) = (first.share.at(y, x), first.shining.at(y, x));
                filled(sky.at(y, x), self::share(shapes, y, x), light.at(y, x), share, shining)
            }
            false => sky.at(y, x),
        }))
    }

    fn at_size(&self, full: Size) -> GapsAtSize<'_> {
        let Self { share, shining, .. } = self;
        GapsAtSize {
            share: Interpolated::new(share.data(), share.size(), full),
            shining: Interpolated::new(shining.data(), shining.size(), full),
            end: (self.horizon * full.height as f32) as usize,
        }
    }
}

/// The gaps in a picture of another size.
struct GapsAtSize<'a> {
    share: Interpolated<1, &'a [f32]>,
    shining: Interpolated<1, &'a [f32]>,
    /// The first row without any.
    end: usize,
}

impl GapsAtSize<'_> {
    /// Whether row `y` may have any.
    fn are_in(&self, y: usize) -> bool {
        y < self.end
    }

    /// Adds the gaps in row `y` to the share of sky in each pixel; `shapes` are those of objects, `light` is linear.
    fn fill_row(&self, sky: &mut [f32], shapes: &[f32], light: &[[f32; 3]], y: usize) {
        let (shares, shining) = (self.share.row(y), self.shining.row(y));
        let pixels = sky.iter_mut().zip(shapes).zip(light).zip(shares.iter().zip(&shining));
        vectorized(
            #[inline(always)]
            || {
                for (((sky, &shape), &light), ([share], [shining])) in pixels {
                    *sky = filled(*sky, shape, luminance(light), *share, *shining);
                }
            },
        );
    }
}

/// The share of sky in a pixel of this luminance whose share without gaps is `sky`, and that of objects `shape`; see
/// [`Gaps`] for the others.
#[inline(always)]
fn filled(sky: f32, shape: f32, light: f32, share: f32, shining: f32) -> f32 {
    /// From this share of sky in its window on, a pixel may become all sky.
    const ENOUGH: f32 = 0.15;
    let own = light * share / shining.max(1e-6);
    sky.max(own.min(1.0) * (share / ENOUGH).min(1.0) * outside(shape))
}

/// The share at a pixel; 0 where there is no plane.
fn share(plane: Option<&Plane>, y: usize, x: usize) -> f32 {
    plane.map_or(0.0, |plane| plane.at(y, x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::scene::surface::Surface;
    use crate::nst::settings::SceneKind;
    use crate::nst::testing::Random;

    const SIZE: Size = Size { height: 108, width: 192 };

    /// A noisy street of `contrast` around `level` under a plain sky.
    fn street(sky: [f32; 3], level: f32, contrast: f32) -> Pixels {
        let mut random = Random(3);
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let grey = level + contrast * (random.uniform() - 0.5);
            if n / SIZE.width < 40 { sky } else { [grey; 3] }
        });
        Pixels::new(SIZE, data.collect())
    }

    fn rendered(weather: Weather, content: &Pixels, reference: &Pixels) -> Pixels {
        let (own, other) = (scene(content), scene(reference));
        Conditions::over(weather, content, &own, &WeatherStatistics::of(reference, &other)).render(
            content,
            own.sky.as_ref(),
            own.shapes.as_ref(),
            Depths::of(&own),
        )
    }

    fn scene(pixels: &Pixels) -> Scene {
        Scene::of(&Surface::of(pixels, &[], SceneKind::Auto, None), pixels.size())
    }

    fn deviation(pixels: &Pixels, rows: std::ops::Range<usize>) -> f32 {
        let values = &pixels.data()[rows.start * SIZE.width * 3..rows.end * SIZE.width * 3];
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt()
    }

    #[test]
    fn fog_has_the_references_air_light_and_grows_with_distance() {
        let content = street([0.5, 0.7, 0.95], 0.3, 0.4);
        let fog = rendered(Weather::Fog, &content, &street([0.7, 0.7, 0.72], 0.6, 0.05));
        let sky = &fog.data()[10 * SIZE.width * 3..][..3];
        assert!(sky.iter().zip([0.7, 0.7, 0.72]).all(|(v, air)| (v - air).abs() < 0.03), "{sky:?}");
        let left = |rows: std::ops::Range<usize>| deviation(&fog, rows.clone()) / deviation(&content, rows);
        let [far, middle, near] = [46..56, 66..76, 98..108].map(left);
        assert!(far < middle && middle < near && far < 0.3 && near > 0.5, "{far} {middle} {near}");
    }

    #[test]
    fn a_clearer_reference_makes_thinner_fog() {
        let content = street([0.5, 0.7, 0.95], 0.3, 0.4);
        let left =
            |contrast: f32| deviation(&rendered(Weather::Fog, &content, &street([0.7; 3], 0.5, contrast)), 80..84);
        assert!(left(0.3) > 1.2 * left(0.05), "{} {}", left(0.3), left(0.05));
    }

    #[test]
    fn fog_is_seen_where_everything_is_near() {
        let content = street([0.3; 3], 0.3, 0.4);
        let near = |depth: f32| Scene { depth: Plane::filled(SIZE, depth), ..Scene::unknown(SIZE) };
        // A reference as clear as the content asks for no fog at all.
        let reference = WeatherStatistics::of(&content, &scene(&content));
        let extinction = |depth| Conditions::over(Weather::Fog, &content, &near(depth), &reference).extinction();
        let left = |depth: f32| (-depth * extinction(depth)).exp();
        assert!((left(4.0) - 0.4).abs() < 0.01 && extinction(0.5) == NEAR, "{} {}", left(4.0), extinction(0.5));
        // Far things are hidden by the thinnest fog.
        assert_eq!(extinction(38.0), *EXTINCTION.start());
    }

    #[test]
    fn fog_of_a_dark_reference_has_its_tint_and_is_no_night() {
        let content = street([0.5, 0.7, 0.95], 0.3, 0.4);
        let fog = rendered(Weather::Fog, &content, &street([0.2, 0.2, 0.26], 0.18, 0.05));
        let sky = &fog.data()[10 * SIZE.width * 3..][..3];
        assert!(sky.iter().all(|v| (0.45..0.65).contains(v)) && sky[2] > sky[0], "{sky:?}");
    }

    #[test]
    fn at_night_the_sky_is_dark_and_the_ground_keeps_its_structure() {
        let content = street([0.9, 0.95, 1.0], 0.5, 0.4);
        let night = rendered(Weather::Night, &content, &street([0.04, 0.04, 0.08], 0.2, 0.2));
        let mean = |rows: std::ops::Range<usize>| {
            let values = &night.data()[rows.start * SIZE.width * 3..rows.end * SIZE.width * 3];
            values.iter().sum::<f32>() / values.len() as f32
        };
        assert!(mean(0..35) < 0.1 && (mean(50..108) - 0.2).abs() < 0.05, "{} {}", mean(0..35), mean(50..108));
        assert!(deviation(&night, 50..108) > 0.03);
    }

    #[test]
    fn a_lit_reference_makes_a_lighter_night_than_a_dark_one() {
        let content = street([0.9, 0.95, 1.0], 0.5, 0.4);
        let mean = |reference: f32| {
            let night = rendered(Weather::Night, &content, &street([0.04, 0.04, 0.08], reference, 0.1));
            let ground = &night.data()[50 * SIZE.width * 3..];
            ground.iter().sum::<f32>() / ground.len() as f32
        };
        assert!(mean(0.3) > 1.3 * mean(0.2) && mean(0.2) > 1.3 * mean(0.1), "{}", mean(0.2));
        // No night is as light as a street by day.
        assert!(mean(0.8) < 0.35, "{}", mean(0.8));
    }

    #[test]
    fn at_night_no_daylight_is_left_between_the_twigs_of_a_tree() {
        let (twigs, horizon) = (70..86, 60);
        let tree = |y: usize, x: usize| (15..horizon).contains(&y) && twigs.contains(&x);
        let by_position = |f: &dyn Fn(usize, usize) -> [f32; 3]| {
            Pixels::new(SIZE, (0..SIZE.pixels()).flat_map(|n| f(n / SIZE.width, n % SIZE.width)).collect())
        };
        let content = by_position(&|y, x| match y < horizon {
            true if tree(y, x) && x % 2 == 0 => [0.2; 3],
            true => [0.95; 3],
            false => [0.6; 3],
        });
        let sky = Plane::from_fn(SIZE, |y, x| (y < horizon && !tree(y, x)) as u8 as f32);
        let scene = Scene { sky: Some(sky), ..Scene::unknown(SIZE) };
        let reference = street([0.04, 0.04, 0.08], 0.2, 0.2);
        let other = WeatherStatistics::of(&reference, &self::scene(&reference));
        let night = |scene: &Scene| {
            Conditions::over(Weather::Night, &content, scene, &other).render(
                &content,
                scene.sky.as_ref(),
                scene.shapes.as_ref(),
                Depths::of(scene),
            )
        };
        let plain = night(&scene);
        let brightest = |rows: std::ops::Range<usize>| {
            let rows = &plain.data()[rows.start * SIZE.width * 3..rows.end * SIZE.width * 3];
            rows.iter().fold(0.0_f32, |top, &v| top.max(v))
        };
        assert!(brightest(0..horizon - 2) < 0.15, "{}", brightest(0..horizon - 2));
        assert!(brightest(horizon + 5..SIZE.height) > 0.18, "the ground keeps its light");
        // A labelled object is no gap, however bright: a white truck before the sky.
        let shapes = Plane::from_fn(SIZE, |y, x| tree(y, x) as u8 as f32);
        let truck = night(&Scene { shapes: Some(shapes), ..scene });
        let at = (30 * SIZE.width + 77) * 3;
        assert!(truck.data()[at] > 2.0 * plain.data()[at], "{} {}", truck.data()[at], plain.data()[at]);
    }
}
