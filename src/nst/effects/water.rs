//! Wet ground, which is darker and mirrors what stands on it, puddles, and the spray of wheels.

use crate::nst::effects::air::air_light;
use crate::nst::effects::input::EffectInput;
use crate::nst::effects::noise::{Ground, GroundRow, RowNoise, step};
use crate::nst::effects::stream::{Stream, random, seed_of};
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::{Border, box_mean};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::{roughly_encoded, roughly_linear};
use crate::nst::picture::pixels::{Pixels, SmoothPixels};
use crate::nst::scene::distance::distance_of_row;
use crate::nst::scene::horizon;
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::{FOCAL, View};
use rayon::prelude::*;

/// The mirror image is made at a size this many times smaller: rough ground blurs it.
const REDUCTION: usize = 4;

/// How much light wet asphalt keeps that falls into it: the film of water sends it back into the ground (Lekner and
/// Dorf 1988).
const WET: f32 = 0.55;

/// The share of the mirrored light that wet asphalt takes from the whole sky: its grains tilt the film of water. By eye.
/// Puddles are flat.
const ROUGH: f32 = 0.4;

/// Wets the ground of `pixels`, in place.
pub fn wet(pixels: &mut Pixels, input: EffectInput) {
    let EffectInput { surface, objects, amounts, seed } = input;
    let Some(ground) = Ground::of(surface) else { return };
    let puddle_seed = seed_of(&mut random(seed, Stream::Puddles));
    let Size { height, width } = surface.size();
    let mirror = match surface.view {
        Some(View::Ahead(horizon)) => {
            let standing: Vec<&SceneObject> =
                objects.iter().filter(|object| horizon::stands(object, horizon)).collect();
            Some((mirrored(pixels, surface, &standing), air_light(pixels, surface, 0.0)))
        }
        _ => None,
    };
    let rows = pixels.data_mut().par_chunks_mut(width * 3).zip(surface.ground.data().par_chunks(width));
    rows.enumerate().for_each(|(y, (row, shares))| {
        if shares.iter().all(|&share| share <= 0.0) {
            return;
        }
        let reflects = match surface.view {
            Some(View::Ahead(horizon)) => fresnel(y as f32 - horizon.row * height as f32, width),
            _ => 0.03,
        };
        let mut puddles = vec![0.0; width];
        if amounts.puddles > 0.0 {
            let row = Puddles::of(ground.row(y), amounts.puddles, puddle_seed);
            puddles.iter_mut().zip(shares).enumerate().filter(|(_, (_, share))| **share > 0.0).for_each(
                |(x, (puddle, _))| {
                    *puddle = row.at(x);
                },
            );
        }
        let plants = &surface.plants.data()[y * width..][..width];
        let wetness = shares.iter().zip(plants).zip(&puddles).map(
            #[inline(always)]
            |((share, plants), puddle)| Wetness::of(share * amounts.wet, *plants, *puddle, reflects),
        );
        let row = row.as_chunks_mut::<3>().0.iter_mut().zip(wetness);
        match mirror.as_ref().map(|(image, sky)| (image.row(y), *sky)) {
            Some((images, sky)) => vectorized(
                #[inline(always)]
                || {
                    row.zip(&images)
                        .for_each(|((rgb, wetness), &image)| wetness.put_on(rgb, |_| wetness.mirrors(image, sky)))
                },
            ),
            None => vectorized(
                #[inline(always)]
                || row.for_each(|(rgb, wetness)| wetness.put_on(rgb, |own| own)),
            ),
        }
    });
}

/// How wet a pixel is.
struct Wetness {
    share: f32,
    /// The share of light that the ground keeps.
    dark: f32,
    /// The share of light that comes from the mirror image.
    returned: f32,
    /// The share of that light that comes from the whole sky instead.
    rough: f32,
}

impl Wetness {
    /// Of a pixel of which this `share` is wet ground. Grass does not shine, and `puddle` of it is under water, whose surface
    /// reflects the share `reflects`.
    #[inline(always)]
    fn of(share: f32, plants: f32, puddle: f32, reflects: f32) -> Self {
        let hard = 1.0 - 0.85 * plants;
        let puddle = puddle * hard;
        let dark = 1.0 - share * (1.0 - WET) * (0.6 + 0.4 * hard);
        let returned = (share * hard * (reflects * (0.8 + 0.2 * puddle) + 0.3 * puddle)).min(1.0);
        Self { share, dark, returned, rough: ROUGH * (1.0 - puddle) }
    }

    /// The light that falls on the pixel's film of water from where it is mirrored.
    #[inline(always)]
    fn mirrors(&self, mut image: [f32; 3], sky: [f32; 3]) -> [f32; 3] {
        image.iter_mut().zip(sky).for_each(|(v, sky)| *v += self.rough * (sky - *v));
        image
    }

    /// Wets a pixel; `image` is the light of its mirror image, and gets the pixel's own.
    #[inline(always)]
    fn put_on(&self, rgb: &mut [f32; 3], image: impl Fn([f32; 3]) -> [f32; 3]) {
        let own = rgb.map(|v| roughly_linear(v) * self.dark);
        let image = image(own);
        for ((v, own), image) in rgb.iter_mut().zip(own).zip(image) {
            let wet = roughly_encoded(own * (1.0 - self.returned) + image * self.returned);
            *v = if self.share > 0.0 { wet } else { *v };
        }
    }
}

/// The puddles of one row of the ground.
struct Puddles {
    waves: [RowNoise; 2],
    level: f32,
}

impl Puddles {
    /// Puddles on this share of the wet ground. They are longer along the road than across it.
    fn of(row: GroundRow, share: f32, seed: u64) -> Self {
        let waves = [row.value_noise((1.6, 5.0), seed), row.value_noise((0.6, 1.8), seed ^ 1)];
        Self { waves, level: 1.3 - 2.6 * share }
    }

    /// How much of column `x` is under a puddle, 0..1.
    fn at(&self, x: usize) -> f32 {
        let depth = self.waves[0].at(x) + 0.5 * self.waves[1].at(x);
        step(self.level - 0.1, self.level + 0.1, depth)
    }
}

/// The share of light that water returns to a camera that sees it `below` pixels under the horizon (Schlick 1994).
fn fresnel(below: f32, width: usize) -> f32 {
    let cosine = below.max(0.0) / below.hypot(FOCAL * width as f32);
    0.02 + 0.98 * (1.0 - cosine).powi(5)
}

/// The light that flat rough water would return, in linear RGB, made at a smaller size.
///
/// Each pixel of the ground shows what stands as far above the line of contact as it lies below; that line is the lower
/// side of the nearest object above it, or the border of the ground. Waves stretch the image along columns.
fn mirrored(pixels: &Pixels, surface: &Surface, standing: &[&SceneObject]) -> SmoothPixels {
    let full = surface.size();
    let size = full.map(|side| side.div_ceil(REDUCTION));
    let small = pixels.resized(size);
    let contacts: Vec<Vec<f32>> = (0..size.width).map(|x| contacts(surface, standing, size, x)).collect();
    let mut data = vec![0.0; size.pixels() * 3];
    for y in 0..size.height {
        for x in 0..size.width {
            let below = contacts[x].iter().copied().filter(|&row| row <= y as f32);
            let contact = below.fold(f32::NEG_INFINITY, f32::max);
            let from = if contact.is_finite() { (2.0 * contact - y as f32 - 1.0).max(0.0) as usize } else { y };
            for channel in 0..3 {
                let v = small.data()[(from.min(size.height - 1) * size.width + x) * 3 + channel].clamp(0.0, 1.0);
                data[(y * size.width + x) * 3 + channel] = roughly_linear(v);
            }
        }
    }
    let data = stretched(&data, size, size.height / 22 + 1);
    SmoothPixels::new(box_mean::<3>(&data, size, size.width / 120 + 1, Border::Cut), size, full)
}

/// The rows in which something touches the ground in column `x` of the small picture.
fn contacts(surface: &Surface, standing: &[&SceneObject], size: Size, x: usize) -> Vec<f32> {
    let scale = size.height as f32 / surface.size().height as f32;
    let border = surface.border(x * surface.size().width / size.width) * scale;
    let column = (x as f64 + 0.5) / size.width as f64;
    let here = standing.iter().filter(|object| {
        let inset = 0.06 * (object.area.right - object.area.left);
        (object.area.left + inset..object.area.right - inset).contains(&column)
    });
    let bottoms = here.map(|object| object.area.bottom as f32 * size.height as f32);
    std::iter::once(border).chain(bottoms.filter(|&bottom| bottom > border)).collect()
}

/// The mean over `radius` rows up and down, twice.
fn stretched(data: &[f32], size: Size, radius: usize) -> Vec<f32> {
    let stride = size.width * 3;
    let mut from = data.to_vec();
    for _ in 0..2 {
        let row = |y: usize| &from[y * stride..][..stride];
        let mut to = vec![0.0; from.len()];
        // The sum of the window in each column, and how many rows it has.
        let (mut sums, mut count) = (vec![0.0; stride], 0.0);
        for y in 0..radius.min(size.height) {
            sums.iter_mut().zip(row(y)).for_each(|(sum, v)| *sum += v);
            count += 1.0;
        }
        for (y, to) in to.chunks_exact_mut(stride).enumerate() {
            if y + radius < size.height {
                sums.iter_mut().zip(row(y + radius)).for_each(|(sum, v)| *sum += v);
                count += 1.0;
            }
            if y > radius {
                sums.iter_mut().zip(row(y - radius - 1)).for_each(|(sum, v)| *sum -= v);
                count -= 1.0;
            }
            to.iter_mut().zip(&sums).for_each(|(to, sum)| *to = sum / count);
        }
        from = to;
    }
    from
}

/// Puts the spray of some vehicles' wheels in front of `pixels`, in place, but for objects that are clearly nearer.
pub fn spray(pixels: &mut Pixels, input: EffectInput) {
    /// How far objects are that the spray is behind, as a share of the vehicle's distance.
    const BEHIND: f32 = 0.8;
    let EffectInput { surface, objects, amounts, seed } = input;
    let Some(View::Ahead(horizon)) = surface.view else { return };
    let mut random = random(seed, Stream::Spray);
    // Spray has no light of its own: it is dark at night.
    let light = air_light(pixels, surface, 0.0);
    let Size { height, width } = surface.size();
    let vehicles = objects.iter().filter(|object| object.kind.has_roof());
    for object in vehicles {
        let (drives, amount) = (random.uniform() < 0.7, amounts.spray * (0.25 + 0.45 * random.uniform() as f32));
        let noise_seed = seed_of(&mut random);
        if !drives {
            continue;
        }
        let area = object.area;
        let (high, wide) = ((area.bottom - area.top) * height as f64, (area.right - area.left) * width as f64);
        let (middle, foot) = ((area.left + area.right) / 2.0 * width as f64, (area.bottom - 0.02) * height as f64);
        let (radius_x, radius_y) = ((0.75 * wide) as f32, (0.42 * high) as f32);
        let nearer = BEHIND * distance_of_row(area.bottom as f32, horizon.row, surface.size());
        let rows = (foot as f32 - 2.0 * radius_y).max(0.0) as usize..((foot as f32 + radius_y) as usize).min(height);
        let columns = (middle as f32 - 1.6 * radius_x).max(0.0) as usize
            ..((middle as f32 + 1.6 * radius_x).max(0.0) as usize).min(width);
        for y in rows {
            let v = (y as f32 - foot as f32) / radius_y * if (y as f64) < foot { 1.0 } else { 2.2 };
            let left = (columns.start as f32 - middle as f32) / radius_x;
            let puffs = RowNoise::new(3.0 * left, 3.0 / radius_x, columns.len(), v * 3.0, noise_seed);
            for x in columns.clone() {
                let u = (x as f32 - middle as f32) / radius_x;
                let puff = 0.75 + 0.3 * puffs.at(x - columns.start);
                let at = y * width + x;
                let before = if surface.distance.data()[at] < nearer { surface.shapes.data()[at] } else { 0.0 };
                let share = amount * (-(u * u + v * v) * 1.6).exp() * puff.clamp(0.2, 1.3) * (1.0 - before);
                for (value, light) in pixels.data_mut()[at * 3..][..3].iter_mut().zip(light) {
                    let own = roughly_linear(*value);
                    *value = roughly_encoded(own + share * (0.8 * light - own));
                }
            }
        }
    }
}
