//! Snow that lies on the ground, on plants, on edges that face the sky and on vehicles.

use crate::nst::effects::input::EffectInput;
use crate::nst::effects::noise::{Ground, GroundRow, RowNoise, smooth, step};
use crate::nst::effects::stream::{Stream, random, seed_of};
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::light::transmission;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::{Pixels, SmoothPixels};
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::quantile;
use crate::nst::random::Random;
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::View;
use rayon::prelude::*;

/// Half of the distance between the wheels of a car, and half of the width of a rut, in metres.
const RUT: (f32, f32) = (0.78, 0.28);

/// The width of a lane in metres.
const LANE: f32 = 3.4;

/// The depth that is taken off where no snow falls or a pixel shows no ground. Depths have the unit of [`DEPTH`]. By eye.
const THINNED: f32 = 2.2;

/// The depth of snow without cover, what full cover adds, what the noise of the ground adds in its deviation, and what
/// plants add. Snow lies from about 0 on. By eye.
const DEPTH: (f32, f32, f32, f32) = (-1.3, 2.6, 0.75, 0.9);

/// The depth that wheels press away in the middle of a rut, and the share of slush that stays there. By eye.
const PRESSED: (f32, f32) = (2.2, 0.12);

/// What is drawn for one picture.
struct Snow {
    cover: f32,
    tracks: f32,
    seed: u64,
    /// The middle of the camera car's lane in metres to the right, and how many lanes there are to each side.
    lane: f32,
    lanes: (i32, i32),
    /// The light of snow, as a square root of linear light.
    white: [f32; 3],
}

/// Lays snow onto `pixels`, in place.
pub fn lay(pixels: &mut Pixels, input: EffectInput) {
    let EffectInput { surface, objects, amounts, seed } = input;
    let mut random = random(seed, Stream::Snow);
    let snow = Snow {
        cover: amounts.snow,
        tracks: amounts.tracks,
        seed: seed_of(&mut random),
        lane: (random.uniform() as f32 - 0.5) * 1.2,
        lanes: ((random.uniform() * 2.0) as i32, (random.uniform() * 2.0) as i32),
        white: white(pixels),
    };
    let lumas = Plane::luma(pixels);
    let cell = (surface.size().long() / 40).max(1);
    let light = pixels.light(cell);
    let usual = ground_light(&light, surface);
    let sheltered: Vec<Sheltered> = objects.iter().filter_map(|object| Sheltered::by(object, surface)).collect();
    let on_objects = on_vehicles(surface, objects, amounts.snowy_vehicles, &mut random);
    let ground = Ground::of(surface);
    let Size { width, height } = surface.size();
    let ledge = (height / 90).max(1);
    let has_tracks = matches!(surface.view, Some(View::Ahead(_)));
    pixels.data_mut().par_chunks_mut(width * 3).enumerate().for_each(|(y, row)| {
        let seen = Seen::of(surface, &lumas, &light, y, ledge);
        let mut shares = on_objects.data()[y * width..][..width].to_vec();
        if let Some(ground) = ground
            && seen.ground.iter().any(|&share| share > 0.0)
        {
            let depths = snow.depths(ground.row(y), has_tracks, seen.plants);
            let falls = snowfall(&sheltered, y, width);
            vectorized(
                #[inline(always)]
                || seen.add_on_ground(&mut shares, &depths, &falls),
            );
        }
        let unit = height as f32 / 60.0;
        let patches = RowNoise::new(0.0, 1.0 / unit, width, y as f32 / unit, snow.seed ^ 11).row(width);
        vectorized(
            #[inline(always)]
            || {
                seen.add_on_standing(&mut shares, snow.cover, &patches);
                snow.cover_row(row.as_chunks_mut().0, &seen, &shares, usual);
            },
        );
    });
}

/// What one row of a frame shows.
struct Seen<'a> {
    ground: &'a [f32],
    plants: &'a [f32],
    shapes: &'a [f32],
    /// In the row itself, and a ledge above it.
    sky: [&'a [f32]; 2],
    /// In the row itself, a ledge above it and a ledge below it.
    lumas: [&'a [f32]; 3],
    /// The luma of the surroundings of each pixel.
    near: Vec<f32>,
}

impl<'a> Seen<'a> {
    /// Row `y`; a ledge is this many rows high.
    fn of(surface: &'a Surface, lumas: &'a Plane, light: &SmoothPixels, y: usize, ledge: usize) -> Self {
        let Size { height, width } = surface.size();
        let row = |plane: &'a Plane, y: usize| &plane.data()[y * width..][..width];
        let (above, below) = (y.saturating_sub(ledge), (y + ledge).min(height - 1));
        Self {
            ground: row(&surface.ground, y),
            plants: row(&surface.plants, y),
            shapes: row(&surface.shapes, y),
            sky: [y, above].map(|y| row(&surface.sky, y)),
            lumas: [y, above, below].map(|y| row(lumas, y)),
            near: light.row(y).iter().map(|rgb| luma(rgb)).collect(),
        }
    }

    /// Adds the share of snow on the ground, by its depth and by how much of it falls.
    #[inline(always)]
    fn add_on_ground(&self, shares: &mut [f32], depths: &[f32], snowfall: &[f32]) {
        for (((share, ground), depth), falls) in shares.iter_mut().zip(self.ground).zip(depths).zip(snowfall) {
            // Snow ends where it gets thin. A soft border would be a bare ring of haze around each thing that stands.
            let depth = depth - THINNED * (1.0 - ground * falls);
            let snow = (1.0 - PRESSED.1) * step(-0.4, 0.4, depth) * (0.9 + 0.1 * step(0.0, 1.0, depth));
            let lies = PRESSED.1 + snow;
            *share += step(0.05, 0.4, ground * falls) * lies;
        }
    }

    /// Adds the share of snow on what is upright: on the lit side of plants and on edges below the sky. In `patches`,
    /// which are noise, there is less of it.
    #[inline(always)]
    fn add_on_standing(&self, shares: &mut [f32], cover: f32, patches: &[f32]) {
        let width = shares.len();
        let ([sky, sky_above], [own, above, below]) =
            (self.sky.map(|row| &row[..width]), self.lumas.map(|row| &row[..width]));
        let [ground, plants, shapes] = [self.ground, self.plants, self.shapes].map(|row| &row[..width]);
        let (near, patches) = (&self.near[..width], &patches[..width]);
        for x in 0..width {
            let standing = (1.0 - ground[x]) * (1.0 - shapes[x]) * (1.0 - sky[x]);
            let patches = (0.5 + 0.35 * patches[x]).clamp(0.0, 1.0);
            let lit = step(0.92, 1.5, own[x] / near[x].max(0.03)) * patches;
            let under_sky = (sky_above[x] - sky[x]).max(0.0);
            let edge = ((own[x] - below[x]) * 3.5).clamp(0.0, 1.0) * ((own[x] - above[x]) * 6.0 + 0.6).clamp(0.0, 1.0);
            let hard = (0.9 * under_sky).max(0.5 * edge * patches);
            shares[x] += standing * cover * (plants[x] * (0.75 * lit + 0.12) + (1.0 - plants[x]) * hard);
        }
    }
}

/// The ground below a vehicle, where less snow falls: an ellipse around the middle of its lower side. Snow that ended at
/// the vehicle's shape would show each fault of the shape, and the vehicle would seem to float.
struct Sheltered {
    /// The middle, in pixels.
    x: f32,
    y: f32,
    /// Half of the width and of the height, in pixels.
    wide: f32,
    high: f32,
}

impl Sheltered {
    /// Half of the width and of the height, as shares of the vehicle's.
    const SIZE: (f32, f32) = (0.52, 0.11);

    /// `None` below anything but vehicles that are seen from aside or ahead.
    fn by(object: &SceneObject, surface: &Surface) -> Option<Self> {
        if !object.kind.has_roof() || !matches!(surface.view, Some(View::Ahead(_))) {
            return None;
        }
        let (wide, high) = Self::SIZE;
        let Size { height, width } = surface.size();
        let Area { left, top, right, bottom } = object.area;
        Some(Self {
            x: ((left + right) / 2.0) as f32 * width as f32,
            y: (bottom as f32 - 0.25 * high * (bottom - top) as f32) * height as f32,
            wide: (wide * (right - left) as f32 * width as f32).max(1.0),
            high: (high * (bottom - top) as f32 * height as f32).max(1.0),
        })
    }
}

/// The share of the snow that falls on each pixel of row `y`.
fn snowfall(sheltered: &[Sheltered], y: usize, width: usize) -> Vec<f32> {
    /// The share of the snow that the middle of a sheltered place does not get.
    const MOST: f32 = 0.85;
    let mut falls = vec![1.0_f32; width];
    for place in sheltered {
        let down = (y as f32 + 0.5 - place.y) / place.high;
        if down.abs() >= 1.0 {
            continue;
        }
        let reach = place.wide * (1.0 - down * down).sqrt();
        let columns = (place.x - reach).max(0.0) as usize..((place.x + reach).max(0.0) as usize + 1).min(width);
        for x in columns {
            let aside = (x as f32 + 0.5 - place.x) / place.wide;
            let inside = step(0.0, 0.6, 1.0 - aside * aside - down * down);
            falls[x] = falls[x].min(1.0 - MOST * inside);
        }
    }
    falls
}

impl Snow {
    /// The depth of snow on a row of the ground. Lawns keep it longer than roads; wheels press it into slush.
    fn depths(&self, ground: GroundRow, has_tracks: bool, plants: &[f32]) -> Vec<f32> {
        let (bare, cover, uneven, on_plants) = DEPTH;
        let pressed = if has_tracks { PRESSED.0 * self.tracks } else { 0.0 };
        let aside = 0.25 * smooth(ground.ahead / 14.0, 0.0, self.seed ^ 7) - self.lane;
        let mut depths = ground.noise(self.seed);
        vectorized(
            #[inline(always)]
            || {
                for ((depth, plants), x) in depths.iter_mut().zip(plants).zip(0..) {
                    let rut = pressed * self.rut(ground.right(x) + aside) * (1.0 - plants);
                    *depth = cover * self.cover + bare + uneven * *depth + on_plants * plants - rut;
                }
            },
        );
        depths
    }

    /// How close a place is to the middle of a rut, 0..1; `right` is its distance from the middle of the camera car's lane.
    #[inline(always)]
    fn rut(&self, right: f32) -> f32 {
        let lane = (right / LANE).round_ties_even().clamp(-(self.lanes.0 as f32), self.lanes.1 as f32);
        let off = (right - lane * LANE).abs() - RUT.0;
        transmission((off / RUT.1).powi(2))
    }

    /// Covers these shares of a row with snow. `usual` is the luma of its ground.
    #[inline(always)]
    fn cover_row(&self, row: &mut [[f32; 3]], seen: &Seen, shares: &[f32], usual: f32) {
        let surroundings = seen.near.iter().zip(seen.plants.iter().zip(seen.shapes));
        for ((rgb, share), (&near, (plants, shapes))) in row.iter_mut().zip(shares).zip(surroundings) {
            let grey = luma(rgb);
            // Under a white sky and beside white ground, colours are pale, green most of all.
            let pale = self.cover * (0.25 + 0.5 * plants * (1.0 - shapes));
            // Shadows and the shape of the ground stay visible in the snow: `wide^(1/2) fine^(3/8)`, of which roots are
            // faster than a power.
            let (wide, fine) = ((near / usual).clamp(0.6, 1.1), (grey / near.max(0.02)).clamp(0.8, 1.15));
            let shade = (wide * fine.sqrt() * fine.sqrt().sqrt()).sqrt();
            for (v, white) in rgb.iter_mut().zip(self.white) {
                let own = *v + pale * (grey - *v);
                *v = own + share.min(1.0) * ((white * shade).min(1.0) - own);
            }
        }
    }
}

/// The light of snow under the sky of `pixels`: close to the brightest parts, a little blue.
fn white(pixels: &Pixels) -> [f32; 3] {
    let lumas = pixels.data().chunks_exact(3).step_by(37).map(luma).collect();
    let bright = quantile(lumas, 19, 20).unwrap_or(0.9).clamp(0.7, 0.95);
    [0.955, 0.975, 1.0].map(|tint| tint * bright)
}

/// The median luma of the ground.
fn ground_light(light: &SmoothPixels, surface: &Surface) -> f32 {
    let width = surface.size().width;
    let on_ground = surface.ground.data().iter().enumerate().step_by(29).filter(|(_, ground)| **ground > 0.5);
    let lumas = on_ground.map(|(at, _)| luma(&light.at(at / width, at % width))).collect();
    quantile(lumas, 1, 2).unwrap_or(0.5).max(0.08)
}

/// The share of snow on the roofs of some vehicles.
fn on_vehicles(surface: &Surface, objects: &[SceneObject], share: f32, random: &mut Random) -> Plane {
    let Size { height, width } = surface.size();
    let mut snow = Plane::filled(surface.size(), 0.0);
    // Seen from above, the upper side of a shape in the picture is no roof.
    if matches!(surface.view, Some(View::Down(_))) {
        return snow;
    }
    for object in objects.iter().filter(|object| object.kind.has_roof()) {
        let (has_snow, amount) = (random.uniform() < f64::from(share), 0.5 + 0.4 * random.uniform() as f32);
        if !has_snow {
            continue;
        }
        let (rows, columns) = object.area.pixels(surface.size());
        let roof = (rows.len() / 9).max(1);
        for y in rows.start..(rows.start + rows.len() * 2 / 5).min(height) {
            for x in columns.clone() {
                let above = if y >= roof { surface.shapes.at(y - roof, x) } else { 1.0 };
                let cover = amount * (surface.shapes.at(y, x) - above).max(0.0);
                let at = &mut snow.data_mut()[y * width + x];
                *at = at.max(cover);
            }
        }
    }
    snow
}
