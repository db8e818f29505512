//! Physics as the start: what a condition does to light, with its numbers taken from the reference.

use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::{self, Scene};
use crate::nst::settings::Weather;
use std::ops::RangeInclusive;

/// Bands of the ground whose contrast is compared, from the top of the lower two thirds down.
const BANDS: usize = 3;

/// Extinction per unit of depth that references may ask for: below, no fog is seen; above, no object.
const DENSITY: RangeInclusive<f32> = 0.05..=0.2;

/// What a picture says about its air and light.
#[derive(Clone, Debug)]
pub struct WeatherStatistics {
    /// Typical linear RGB of the sky, or of the upper part where no sky is found.
    sky: [f32; 3],
    /// Typical linear RGB of the rest.
    ground: [f32; 3],
    /// Local contrast of luma of the rest, in [`BANDS`].
    contrast: [f32; BANDS],
}

impl WeatherStatistics {
    pub fn of(pixels: &Pixels, scene: &Scene) -> Self {
        let size = pixels.size();
        let sky = match &scene.sky {
            Some(sky) => sky.clone(),
            None => Plane::from_fn(size, |y, _| (y * 3 < size.height) as u8 as f32),
        };
        // In thick fog all is sky; then all is ground as well.
        let all = sky.mean() > 0.85;
        let ground = Plane::from_fn(size, |y, x| if all { 1.0 } else { 1.0 - sky.at(y, x) });
        Self { sky: median(pixels, &sky), ground: median(pixels, &ground), contrast: contrast(pixels, &ground) }
    }
}

/// The middle of each channel's weighted distribution, in linear light.
fn median(pixels: &Pixels, weights: &Plane) -> [f32; 3] {
    std::array::from_fn(|channel| {
        let mut histogram = [0.0_f64; 256];
        for (rgb, &weight) in pixels.data().chunks_exact(3).zip(weights.data()) {
            histogram[(rgb[channel].clamp(0.0, 1.0) * 255.0) as usize] += weight as f64;
        }
        let half = histogram.iter().sum::<f64>() / 2.0;
        let mut sum = 0.0;
        let above = |count: &f64| {
            sum += count;
            sum >= half
        };
        linear(histogram.iter().position(above).unwrap_or(0) as f32 / 255.0)
    })
}

/// Rows of one of the [`BANDS`].
fn rows(height: usize, band: usize) -> std::ops::Range<usize> {
    let at = |n: usize| height / 3 + n * (height - height / 3) / BANDS;
    at(band)..at(band + 1)
}

fn contrast(pixels: &Pixels, ground: &Plane) -> [f32; BANDS] {
    const RADIUS: usize = 6;
    let luma = Plane::luma(pixels);
    let mean = luma.blurred(RADIUS);
    std::array::from_fn(|band| {
        let (mut sum, mut count) = (0.0, f32::MIN_POSITIVE);
        for y in rows(pixels.size().height, band) {
            for x in 0..pixels.size().width {
                // What the sky holds counts a little, so that a reference that is all haze says that nothing is left.
                let weight = 0.1 + 0.9 * ground.at(y, x);
                sum += weight * (luma.at(y, x) - mean.at(y, x)).powi(2);
                count += weight;
            }
        }
        (sum / count).sqrt()
    })
}

/// `pixels`, whose climate is `own`, in the `reference`'s weather, in 0..1.
pub fn render(
    weather: Weather,
    pixels: &Pixels,
    scene: &Scene,
    own: &WeatherStatistics,
    reference: &WeatherStatistics,
) -> Pixels {
    match weather {
        Weather::Fog => fog(pixels, scene, own, reference),
        Weather::Night => night(pixels, scene, own, reference),
    }
}

/// Koschmieder's law (1924), `J t + A (1 - t)` with `t = exp(-density * depth)`: the air light `A` is the colour of the
/// reference's sky, the density such that as much contrast is left as in the reference.
fn fog(pixels: &Pixels, scene: &Scene, own: &WeatherStatistics, reference: &WeatherStatistics) -> Pixels {
    let density = density(scene, own, reference);
    // The light that the air scatters is the light that falls on the scene.
    let light = (luminance(reference.sky) / luminance(own.sky).max(0.3)).clamp(0.15, 1.0);
    let mut out = pixels.clone();
    for (rgb, &depth) in out.data_mut().chunks_exact_mut(3).zip(scene.depth.data()) {
        let left = (-density * depth.max(0.5)).exp();
        for (v, air) in rgb.iter_mut().zip(reference.sky) {
            *v = encoded(linear(v.clamp(0.0, 1.0)) * light * left + air * (1.0 - left));
        }
    }
    out
}

/// The least-squares fit of `-ln(contrast left) = density * depth` over the bands.
fn density(scene: &Scene, own: &WeatherStatistics, reference: &WeatherStatistics) -> f32 {
    let (mut above, mut below) = (0.0, 0.0);
    let size = scene.depth.size();
    for band in 0..BANDS {
        let left = (reference.contrast[band] / own.contrast[band].max(1e-3)).clamp(0.03, 1.0);
        let rows = rows(size.height, band);
        let depths = &scene.depth.data()[rows.start * size.width..rows.end * size.width];
        let depth = depths.iter().sum::<f32>() / depths.len().max(1) as f32;
        above -= depth * left.ln();
        below += depth * depth;
    }
    (above / below).clamp(*DENSITY.start(), *DENSITY.end())
}

/// Exposure and white balance of the reference: the ground gets its typical light, the sky its sky's. The brightest of
/// the ground falls less: it shines where a lamp finds it.
fn night(pixels: &Pixels, scene: &Scene, own: &WeatherStatistics, reference: &WeatherStatistics) -> Pixels {
    /// Exposures that references may ask for: a darker one would be black in 8 bits, a lighter one no night.
    const GAIN: RangeInclusive<f32> = 0.025..=0.3;
    /// How far a channel may lie from grey light.
    const TINT: RangeInclusive<f32> = 0.6..=1.6;
    /// What is left of the brightest.
    const HIGHLIGHT: f32 = 0.25;
    let light = luminance(reference.ground).max(1e-3);
    let exposure = (light / luminance(own.ground).max(0.01)).clamp(*GAIN.start(), *GAIN.end());
    let gain = reference.ground.map(|v| exposure * (v / light).clamp(*TINT.start(), *TINT.end()));
    let sky = scene.sky.as_ref().map(|sky| with_gaps(pixels, sky));
    let mut out = pixels.clone();
    for (n, rgb) in out.data_mut().chunks_exact_mut(3).enumerate() {
        let sky = sky.as_ref().map_or(0.0, |sky| sky.data()[n]);
        let light: [f32; 3] = std::array::from_fn(|i| linear(rgb[i].clamp(0.0, 1.0)));
        let bright = ((luminance(light) - 0.6) / 0.4).clamp(0.0, 1.0).powi(2);
        for i in 0..3 {
            let solid = light[i] * (gain[i] + (HIGHLIGHT - gain[i]).max(0.0) * bright);
            // Clouds stay, as a shade of the night's sky.
            let above = reference.sky[i] * (light[i] / own.sky[i].max(0.02)).clamp(0.5, 1.5);
            rgb[i] = encoded(solid + sky * (above - solid));
        }
    }
    out
}

/// The sky with its light between twigs and along roofs, which no border follows: by day it outshines what it mixes with,
/// so near a sky, and above the horizon, a pixel holds about as much of it as it has of its light. Without this a rim of
/// day stays around trees.
fn with_gaps(pixels: &Pixels, sky: &Plane) -> Plane {
    /// Share of sky in a window from which on its pixels may be sky altogether.
    const ENOUGH: f32 = 0.15;
    /// Windows that it may spread over.
    const REACH: usize = 2;
    let size = sky.size();
    let light = Plane::from_fn(size, |y, x| {
        let at = (y * size.width + x) * 3;
        luminance(std::array::from_fn(|i| linear(pixels.data()[at + i].clamp(0.0, 1.0))))
    });
    let (lowest, radius) = ((scene::horizon(sky) * size.height as f32) as usize, size.height / 16 + 1);
    let mut found = sky.clone();
    for _ in 0..REACH {
        let share = found.blurred(radius);
        let shining = Plane::from_fn(size, |y, x| found.at(y, x) * light.at(y, x)).blurred(radius);
        found = Plane::from_fn(size, |y, x| {
            let (share, shining) = (share.at(y, x), shining.at(y, x));
            let own = light.at(y, x) * share / shining.max(1e-6);
            let near = (share / ENOUGH).min(1.0) * (y < lowest) as u8 as f32;
            found.at(y, x).max(own.min(1.0) * near)
        });
    }
    found
}

/// From sRGB's encoding to linear light (IEC 61966-2-1), both 0..1.
pub fn linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// From linear light to sRGB's encoding, both 0..1.
pub fn encoded(v: f32) -> f32 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// Of linear RGB (Rec. 709).
fn luminance(rgb: [f32; 3]) -> f32 {
    0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
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
        let (scene, other) = (Scene::of(content, None), Scene::of(reference, None));
        render(
            weather,
            content,
            &scene,
            &WeatherStatistics::of(content, &scene),
            &WeatherStatistics::of(reference, &other),
        )
    }

    fn deviation(pixels: &Pixels, rows: std::ops::Range<usize>) -> f32 {
        let values = &pixels.data()[rows.start * SIZE.width * 3..rows.end * SIZE.width * 3];
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt()
    }

    #[test]
    fn fog_takes_the_references_air_and_thickens_with_distance() {
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
            |contrast: f32| deviation(&rendered(Weather::Fog, &content, &street([0.7; 3], 0.5, contrast)), 60..108);
        assert!(left(0.3) > 1.2 * left(0.05));
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
    fn at_night_no_day_is_left_between_the_twigs_of_a_tree() {
        let (twigs, horizon) = (70..86, 60);
        let tree = |y: usize, x: usize| (15..horizon).contains(&y) && twigs.contains(&x);
        let by_place = |f: &dyn Fn(usize, usize) -> [f32; 3]| {
            Pixels::new(SIZE, (0..SIZE.pixels()).flat_map(|n| f(n / SIZE.width, n % SIZE.width)).collect())
        };
        let content = by_place(&|y, x| match y < horizon {
            true if tree(y, x) && x % 2 == 0 => [0.2; 3],
            true => [0.95; 3],
            false => [0.6; 3],
        });
        let sky = Plane::from_fn(SIZE, |y, x| (y < horizon && !tree(y, x)) as u8 as f32);
        let scene = Scene { sky: Some(sky), depth: Plane::filled(SIZE, 1.0) };
        let reference = street([0.04, 0.04, 0.08], 0.2, 0.2);
        let (own, other) =
            (WeatherStatistics::of(&content, &scene), WeatherStatistics::of(&reference, &Scene::of(&reference, None)));
        let night = render(Weather::Night, &content, &scene, &own, &other);
        let brightest = |rows: std::ops::Range<usize>| {
            let rows = &night.data()[rows.start * SIZE.width * 3..rows.end * SIZE.width * 3];
            rows.iter().fold(0.0_f32, |top, &v| top.max(v))
        };
        assert!(brightest(0..horizon - 2) < 0.15, "{}", brightest(0..horizon - 2));
        assert!(brightest(horizon + 5..SIZE.height) > 0.18, "the ground keeps its light");
    }

    #[test]
    fn the_encoding_of_srgb_is_undone() {
        assert!((0..=1000).map(|n| n as f32 / 1000.0).all(|v| (encoded(linear(v)) - v).abs() < 1e-5));
        assert!((linear(0.5) - 0.21404).abs() < 1e-4);
    }
}
