//! The light of lamps and windows: on what it falls, around lamps in the lens and in the air, and mirrored on the road.

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::lamps::{self, Lamp, StreetLamp};
use crate::nst::effects::noise::{Ground, random};
use crate::nst::effects::windows;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::transmission;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::surface::{FOCAL, Surface, View};
use rayon::prelude::*;

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

/// Adds the light of lamps and of windows to `pixels`, in place. `frame` is what they light, by day; `haze` is the
/// extinction of the air per metre.
pub fn shine(
    pixels: &mut Pixels,
    frame: &Pixels,
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
    let mut seen = lamps::of_vehicles(frame, surface, horizon, objects, effects, seed);
    let (street, lighting) = lamps::of_the_street(surface, horizon, objects, effects, seed);
    seen.extend(street);
    let with_glare = |lamp: Lamp| {
        let clear = (-haze * lamp.distance).exp();
        let glare = Glare::of(&lamp, clear, effects.glare, surface.size().width);
        (lamp, clear, glare)
    };
    let seen: Vec<_> = seen.into_iter().map(with_glare).collect();
    let beam = Beam::new(headlamps, seed);
    let windows = windows::lit(frame, surface, windows, seed);
    let usual = ground_light(frame, surface);
    let Size { height, width } = surface.size();
    pixels.data_mut().par_chunks_mut(BAND * width * 3).enumerate().for_each(|(band, rows)| {
        let top = band * BAND;
        let bottom = (top + BAND).min(height);
        let mut added = vec![[0.0_f32; 3]; (bottom - top) * width];
        if headlamps > 0.0 || !lighting.is_empty() {
            for y in top..bottom {
                let below = (y as f32 + 0.5) / height as f32 - horizon.row;
                for x in 0..width {
                    let at = y * width + x;
                    let distance = surface.distance.data()[at];
                    let place = ground.at(y, x);
                    let right = place.right * (distance / place.ahead).min(1.0);
                    let mut light = beam.at(right, distance, below);
                    if surface.ground.data()[at] > 0.0 {
                        lighting.iter().for_each(|lamp| {
                            add(&mut light, pool(lamp, place.right, place.ahead), surface.ground.data()[at])
                        });
                    }
                    let reflected: [f32; 3] =
                        std::array::from_fn(|n| (frame.data()[at * 3 + n].clamp(0.0, 1.0).powi(2) * usual).min(0.8));
                    for n in 0..3 {
                        added[(y - top) * width + x][n] += light[n] * reflected[n];
                    }
                }
            }
        }
        seen.iter().for_each(|lamp| draw(lamp, surface, effects.wet, &mut added, top..bottom));
        if let Some(windows) = &windows {
            let windows = windows.data()[top * width * 3..bottom * width * 3].as_chunks::<3>().0;
            added.iter_mut().zip(windows).for_each(|(added, light)| add(added, *light, 1.0));
        }
        for (rgb, added) in rows.chunks_exact_mut(3).zip(&added) {
            for (v, added) in rgb.iter_mut().zip(added) {
                if *added > 0.0 {
                    // The square stands for linear light. A sensor saturates softly.
                    let light = v.max(0.0).powi(2) + added;
                    let soft = if light > 0.7 { 0.7 + 0.3 * (1.0 - (-(light - 0.7) / 0.3).exp()) } else { light };
                    *v = soft.max(v.max(0.0).powi(2)).sqrt();
                }
            }
        }
    });
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
    fn new(amount: f32, seed: u64) -> Self {
        let mut random = random(seed, EFFECT);
        let (aim, light) = lamps::own(&mut random);
        Self { aim, light: light.map(|v| v * amount) }
    }

    /// The light on something `distance` metres ahead and `right` metres aside, `below` the horizon by this share of
    /// the height: low beams have a soft border at the horizon.
    fn at(&self, right: f32, distance: f32, below: f32) -> [f32; 3] {
        /// Half of the border's width, as a share of the height.
        const SOFT: f32 = 0.06;
        if below < -0.2 {
            return [0.0; 3];
        }
        let width = 1.6 + 0.33 * distance;
        let aside = (right - self.aim) / width;
        let falloff = 1.0 / (1.0 + (distance / 13.0).powi(2));
        // Not as sharp as on a wall that the lamps are aimed at: walls and persons stand at any angle.
        let t = ((below + SOFT) / (2.0 * SOFT)).clamp(0.0, 1.0);
        let full = t * t * (3.0 - 2.0 * t);
        let border = full + (1.0 - full) * 0.35 * transmission((below.min(0.0) / 0.12).powi(2));
        // Close to the bumper, the ground is below the beam.
        let near = (distance / 4.5).min(1.0).powi(2);
        let strength = 1.5 * falloff * border * near * transmission(aside * aside);
        self.light.map(|v| v * strength)
    }
}

/// The light of a street lamp on a place of the ground.
fn pool(lamp: &StreetLamp, right: f32, ahead: f32) -> [f32; 3] {
    let (dx, dz) = (right - lamp.right, ahead - lamp.ahead);
    let distance2 = dx * dx + dz * dz + lamp.height * lamp.height;
    // Lambert's cosine and the square of the distance, 1 right below the lamp.
    let cosine = lamp.height / distance2.sqrt();
    let strength = cosine * cosine * cosine * 0.28;
    lamp.light.map(|v| v * strength)
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
        near + (place - place.floor()) * (far - near)
    }
}

/// Adds a lamp, its halo, and its mirror image on the ground to these rows.
fn draw(
    (lamp, clear, glare): &(Lamp, f32, Glare),
    surface: &Surface,
    wet: f32,
    added: &mut [[f32; 3]],
    rows: std::ops::Range<usize>,
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
        for x in chord(dy) {
            let dx = x as f32 + 0.5 - lamp.x;
            let d = (dx * dx + dy * dy).sqrt();
            if d < reach {
                add(&mut added[(y - rows.start) * width + x], lamp.light, glare.at(d));
            }
        }
    }
    let Some(foot) = lamp.foot else { return };
    let middle = foot + 0.6 * (foot - lamp.y);
    let (long, wide) = ((foot - lamp.y).max(2.0) * (0.6 + 0.9 * wet), lamp.radius * (1.6 + wet));
    let strength = (0.004 + 0.035 * wet) * clear;
    for y in rows.clone().filter(|&y| y as f32 > foot) {
        let down = (-((y as f32 - middle) / long).powi(2)).exp();
        if down < 1e-3 {
            continue;
        }
        for x in columns(4.0 * wide) {
            let ground = surface.ground.at(y, x);
            let across = (-((x as f32 + 0.5 - lamp.x) / wide).powi(2)).exp();
            add(&mut added[(y - rows.start) * width + x], lamp.light, strength * ground * down * across);
        }
    }
}
