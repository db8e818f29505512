//! The light of lamps and windows: on what it falls, around lamps in the lens and in the air, and mirrored on the road.

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::frames::Frames;
use crate::nst::effects::lamps::{self, Lamp};
use crate::nst::effects::noise::{Ground, GroundRow, random, step};
use crate::nst::effects::street_lamps::{self, StreetLamp, StreetView};
use crate::nst::effects::windows;
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::transmission;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::{FOCAL, View};
use rayon::prelude::*;
use std::ops::Range;

/// The number of the generator of one's own lamps.
const EFFECT: u64 = 8;

/// Rows that are drawn together. It does not depend on the number of threads.
const BAND: usize = 16;

/// The light of the halo at the lamp's rim, as a share of the lamp's.
const HALO: f32 = 0.08;

/// The light of the wide halo that dust and drops on the lens make of a lamp, as a share of the lamp's, and its radius in
/// radii of the lamp.
const WIDE_HALO: (f32, f32) = (0.12, 20.0);

/// The reach of a halo in radii of its lamp, and as a share of the frame's width.
const REACH: (f32, f32) = (60.0, 0.22);

/// The light that a lamp sends into the camera past its rim: the glow of the air around it, as a share of the lamp's
/// where all of its light is scattered, and the radius of that glow in metres (after Narasimhan and Nayar 2003).
const GLOW: (f32, f32) = (0.06, 0.9);

/// Adds the masts of street lamps and the light of lamps and of windows to `pixels`, in place. `haze` is the extinction of
/// the air per metre.
pub fn shine(
    pixels: &mut Pixels,
    frames: Frames,
    surface: &Surface,
    objects: &[SceneObject],
    effects: &Effects<f32>,
    haze: f32,
    seed: u64,
) {
    let (Some(View::Ahead(horizon)), Some(ground)) = (surface.view, Ground::of(surface)) else { return };
    let Effects { lamps: share, headlamps, street_lamps, windows, .. } = *effects;
    if [share, headlamps, street_lamps, windows].iter().all(|&amount| amount <= 0.0) {
        return;
    }
    let mut seen = lamps::of_vehicles(frames.taken, surface, horizon, objects, effects, seed);
    let lighting = street_lamps::along_the_road(street_lamps, seed);
    let street = StreetView { surface, horizon, haze };
    seen.extend(street.seen(&lighting));
    street.draw_masts(&lighting, pixels);
    let with_glare = |lamp: Lamp| {
        let clear = (-haze * lamp.distance).exp();
        let glare = Glare::of(&lamp, clear, effects.glare, surface.size().width);
        (lamp, clear, glare)
    };
    let lights = Lights {
        surface,
        ground,
        horizon,
        laid: frames.laid,
        usual: ground_light(frames.laid, surface),
        haze,
        wet: effects.wet,
        lamps: seen.into_iter().map(with_glare).collect(),
        beam: (headlamps > 0.0).then(|| Beam::new(headlamps, seed)),
        street_lamps: lighting,
        windows: windows::lit(frames.taken, surface, windows, seed),
    };
    let Size { height, width } = surface.size();
    pixels.data_mut().par_chunks_mut(BAND * width * 3).enumerate().for_each(|(band, rows)| {
        let top = band * BAND;
        if let Some(added) = lights.on_rows(top..(top + BAND).min(height)) {
            vectorized(
                #[inline(always)]
                || expose(rows, added.as_flattened()),
            );
        }
    });
}

/// Adds light to gamma-encoded values. A sensor saturates softly.
#[inline(always)]
fn expose(values: &mut [f32], added: &[f32]) {
    for (v, &added) in values.iter_mut().zip(added) {
        // The square stands for linear light.
        let own = v.max(0.0).powi(2);
        let light = own + added;
        let soft = 0.7 + 0.3 * (1.0 - transmission((light - 0.7) / 0.3));
        let soft = if light > 0.7 { soft } else { light };
        *v = if added > 0.0 { soft.max(own).sqrt() } else { *v };
    }
}

/// All lights of one frame.
struct Lights<'a> {
    surface: &'a Surface,
    ground: Ground,
    horizon: Horizon,
    /// What they light.
    laid: &'a Pixels,
    /// What makes its ground as light as a usual road.
    usual: f32,
    /// The extinction of the air per metre.
    haze: f32,
    wet: f32,
    /// Lamps that are seen, the share of their light that the air lets through, and their glare.
    lamps: Vec<(Lamp, f32, Glare)>,
    /// One's own lamps, if they are on.
    beam: Option<Beam>,
    street_lamps: Vec<StreetLamp>,
    /// The light of windows, if some are lit.
    windows: Option<windows::Light>,
}

impl Lights<'_> {
    /// The linear light that comes to these rows; `None` if there is none.
    fn on_rows(&self, rows: Range<usize>) -> Option<Vec<[f32; 3]>> {
        let width = self.surface.size().width;
        let lights_things = self.beam.is_some() || !self.street_lamps.is_empty();
        let mut lamps = self.lamps.iter().filter(|lamp| reaches(lamp, self.wet, &rows)).peekable();
        if !lights_things && lamps.peek().is_none() && self.windows.is_none() {
            return None;
        }
        let mut added = vec![[0.0_f32; 3]; rows.len() * width];
        if lights_things {
            rows.clone().zip(added.chunks_exact_mut(width)).for_each(|(y, added)| self.on_things(y, added));
        }
        lamps.for_each(|lamp| draw(lamp, self.surface, self.wet, &mut added, rows.clone()));
        if let Some(windows) = &self.windows {
            for (y, added) in rows.clone().zip(added.chunks_exact_mut(width)) {
                let metres = &self.surface.distance.data()[y * width..][..width];
                for ((added, light), metres) in added.iter_mut().zip(windows.row(y)).zip(metres) {
                    if light != [0.0; 3] {
                        add(added, light, transmission(self.haze * metres));
                    }
                }
            }
        }
        added.iter().any(|light| light.iter().any(|&v| v > 0.0)).then_some(added)
    }

    /// Adds the light that one's own lamps and street lamps throw on what row `y` shows.
    fn on_things(&self, y: usize, added: &mut [[f32; 3]]) {
        let row = Row::of(self.laid, self.surface, y, self.usual, self.haze);
        let on_ground = self.ground.row(y);
        let below = (y as f32 + 0.5) / self.surface.size().height as f32 - self.horizon.row;
        if let Some(beam) = self.beam.as_ref().filter(|_| below >= Beam::HIGHEST) {
            row.illuminate(added, beam.light, beam.strength(on_ground, below));
        }
        if row.ground.iter().any(|&share| share > 0.0) {
            let lamps = self.street_lamps.iter();
            lamps.for_each(|lamp| row.illuminate(added, lamp.light, pool(lamp, on_ground, row.ground)));
        }
    }
}

/// What lamps light in one row of a frame.
struct Row<'a> {
    /// The share of their light that each pixel returns to the camera.
    reflects: Vec<[f32; 3]>,
    /// The share of ground in each pixel.
    ground: &'a [f32],
    /// The distance of each pixel in metres.
    distance: &'a [f32],
}

impl<'a> Row<'a> {
    /// Row `y` of the frame; `usual` is what makes its ground as light as a usual road.
    fn of(frame: &Pixels, surface: &'a Surface, y: usize, usual: f32, haze: f32) -> Self {
        let width = surface.size().width;
        let row = |plane: &'a Plane| &plane.data()[y * width..][..width];
        let frame = frame.data()[y * width * 3..][..width * 3].as_chunks::<3>().0;
        let distance = row(&surface.distance);
        let mut reflects = vec![[0.0; 3]; width];
        vectorized(
            #[inline(always)]
            || {
                for ((reflects, frame), metres) in reflects.iter_mut().zip(frame).zip(distance) {
                    let clear = transmission(haze * metres);
                    *reflects = frame.map(|v| (v.clamp(0.0, 1.0).powi(2) * usual).min(0.8) * clear);
                }
            },
        );
        Self { reflects, ground: row(&surface.ground), distance }
    }

    /// Adds light of this colour, whose strength is a function of the column and of the distance there.
    fn illuminate(&self, added: &mut [[f32; 3]], colour: [f32; 3], strength: impl Fn(usize, f32) -> f32) {
        let mut strengths = vec![0.0; self.distance.len()];
        vectorized(
            #[inline(always)]
            || {
                for (x, (to, &distance)) in strengths.iter_mut().zip(self.distance).enumerate() {
                    *to = strength(x, distance);
                }
                for ((added, reflects), strength) in added.iter_mut().zip(&self.reflects).zip(strengths) {
                    for ((added, reflects), colour) in added.iter_mut().zip(reflects).zip(colour) {
                        *added += strength * colour * reflects;
                    }
                }
            },
        );
    }
}

/// What makes the light of the ground by day, in its median, that of a usual road, 0.16.
fn ground_light(frame: &Pixels, surface: &Surface) -> f32 {
    let lights = frame.data().chunks_exact(3).zip(surface.ground.data()).step_by(29);
    let lights = lights.filter(|(_, ground)| **ground > 0.5).map(|(rgb, _)| rgb[1] * rgb[1]).collect();
    (0.16 / quantile(lights, 1, 2).unwrap_or(0.16).max(1e-3)).clamp(0.4, 2.5)
}

fn add(light: &mut [f32; 3], colour: [f32; 3], share: f32) {
    light.iter_mut().zip(colour).for_each(|(v, colour)| *v += share * colour);
}

/// The lamps of one's own vehicle.
struct Beam {
    aim: f32,
    light: [f32; 3],
}

impl Beam {
    /// The highest row that it lights, below the horizon as a share of the height.
    const HIGHEST: f32 = -0.2;

    fn new(amount: f32, seed: u64) -> Self {
        let mut random = random(seed, EFFECT);
        let (aim, light) = lamps::own(&mut random);
        Self { aim, light: light.map(|v| v * amount) }
    }

    /// The strength of the light in a row, which is `below` the horizon by this share of the height, by column and
    /// distance in metres: low beams have a soft border at the horizon.
    fn strength(&self, row: GroundRow, below: f32) -> impl Fn(usize, f32) -> f32 {
        /// Half of the border's width, as a share of the height.
        const SOFT: f32 = 0.06;
        // Not as sharp as on a wall that the lamps are aimed at: walls and persons stand at any angle.
        let full = step(-SOFT, SOFT, below);
        let border = full + (1.0 - full) * 0.35 * transmission((below.min(0.0) / 0.12).powi(2));
        let aim = self.aim;
        #[inline(always)]
        move |x, distance| {
            let right = row.right(x) * (distance / row.ahead).min(1.0);
            let aside = (right - aim) / (1.6 + 0.33 * distance);
            let falloff = 1.0 / (1.0 + (distance / 13.0).powi(2));
            // Close to the bumper, the ground is below the beam.
            let near = (distance / 4.5).min(1.0).powi(2);
            1.5 * border * falloff * near * transmission(aside * aside)
        }
    }
}

/// The strength of a street lamp's light in a row of the ground, of which each pixel has this `share`.
fn pool(lamp: &StreetLamp, row: GroundRow, share: &[f32]) -> impl Fn(usize, f32) -> f32 {
    let (dz, right, height) = (row.ahead - lamp.ahead, lamp.right, lamp.height);
    #[inline(always)]
    move |x, _| {
        let dx = row.right(x) - right;
        // Lambert's cosine and the square of the distance, 1 right below the lamp.
        let cosine = height / (dx * dx + dz * dz + height * height).sqrt();
        share[x] * (cosine * cosine * cosine * 0.28)
    }
}

/// The light of a lamp around it, by the distance from its middle in the picture.
struct Glare {
    /// In pixels. Beyond it there is no light.
    reach: f32,
    /// The share of the lamp's light at each quarter of a pixel.
    light: Vec<f32>,
}

impl Glare {
    /// Places of the table in a pixel.
    const FINE: f32 = 4.0;

    /// Of a lamp in air that lets through the share `clear` of its light, by a lens that scatters the share `amount` of
    /// the most, in a frame of this width.
    fn of(lamp: &Lamp, clear: f32, amount: f32, width: usize) -> Self {
        let glow = GLOW.1 * FOCAL * width as f32 / lamp.distance.max(3.0);
        let reach = (REACH.0 * lamp.radius).max(4.0 * glow * (1.0 - clear)).min(REACH.1 * width as f32);
        let light = |d: f32| {
            let core = (-1.2 * d / lamp.radius).exp();
            let halo = HALO / (1.0 + (d / (3.0 * lamp.radius)).powi(2)).powf(1.1);
            let wide = amount * WIDE_HALO.0 / (1.0 + (d / (WIDE_HALO.1 * lamp.radius)).powi(2)).powf(1.5);
            let scattered = GLOW.0 * (1.0 - clear) / (1.0 + (d / glow).powi(2)).powf(1.5);
            let fade = (1.0 - d / reach).max(0.0).powi(2);
            core * clear.max(0.05) + ((halo + wide) * clear + scattered) * fade
        };
        let places = (reach * Self::FINE) as usize + 2;
        Self { reach, light: (0..places).map(|n| light(n as f32 / Self::FINE)).collect() }
    }

    /// At `d` pixels from the middle, less than the reach.
    fn at(&self, d: f32) -> f32 {
        let place = d * Self::FINE;
        let (near, far) = (self.light[place as usize], self.light[place as usize + 1]);
        near + (place - place as i32 as f32) * (far - near)
    }
}

/// The middle of a lamp's mirror image on the ground, down the picture, and how long and wide it is, in pixels.
fn mirror_image(lamp: &Lamp, foot: f32, wet: f32) -> (f32, f32, f32) {
    let below = foot - lamp.y;
    (foot + 0.6 * below, below.max(2.0) * (0.6 + 0.9 * wet), lamp.radius * (1.6 + wet))
}

/// Whether [`draw`] adds light to these rows.
fn reaches((lamp, _, glare): &(Lamp, f32, Glare), wet: f32, rows: &Range<usize>) -> bool {
    let end = lamp.foot.map_or(0.0, |foot| {
        let (middle, long, _) = mirror_image(lamp, foot, wet);
        middle + FARTHEST * long
    });
    let (first, end) = (lamp.y - glare.reach, end.max(lamp.y + glare.reach));
    first <= rows.end as f32 && rows.start as f32 <= end
}

/// From so many times its length on, nothing of a mirror image is seen.
const FARTHEST: f32 = 2.63;

/// Adds a lamp, its halo, and its mirror image on the ground to these rows.
fn draw(
    (lamp, clear, glare): &(Lamp, f32, Glare),
    surface: &Surface,
    wet: f32,
    added: &mut [[f32; 3]],
    rows: Range<usize>,
) {
    let width = surface.size().width;
    let reach = glare.reach;
    let columns = |reach: f32| (lamp.x - reach).max(0.0) as usize..((lamp.x + reach).max(0.0) as usize + 1).min(width);
    let chord = |dy: f32| columns((reach * reach - dy * dy).sqrt());
    for y in rows.clone() {
        let dy = y as f32 + 0.5 - lamp.y;
        if dy.abs() > reach {
            continue;
        }
        let columns = chord(dy);
        let mut distances = vec![0.0; columns.len()];
        vectorized(
            #[inline(always)]
            || {
                for (d, x) in distances.iter_mut().zip(columns.start as i32..) {
                    let dx = x as f32 + 0.5 - lamp.x;
                    *d = (dx * dx + dy * dy).sqrt();
                }
            },
        );
        let row = added[(y - rows.start) * width..][columns].iter_mut();
        for (added, d) in row.zip(distances).filter(|(_, d)| *d < reach) {
            add(added, lamp.light, glare.at(d));
        }
    }
    let Some(foot) = lamp.foot else { return };
    let (middle, long, wide) = mirror_image(lamp, foot, wet);
    let strength = (0.004 + 0.035 * wet) * clear;
    let columns = columns(4.0 * wide);
    let across: Vec<f32> = columns.clone().map(|x| (-((x as f32 + 0.5 - lamp.x) / wide).powi(2)).exp()).collect();
    for y in rows.clone().filter(|&y| y as f32 > foot) {
        let from_middle = (y as f32 - middle) / long;
        if from_middle.abs() > FARTHEST {
            continue;
        }
        let down = (-from_middle.powi(2)).exp();
        for (x, across) in columns.clone().zip(&across) {
            let ground = surface.ground.at(y, x);
            add(&mut added[(y - rows.start) * width + x], lamp.light, strength * ground * down * across);
        }
    }
}
