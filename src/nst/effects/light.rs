//! The light of lamps and windows, and on what it falls.

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::input::{EffectInput, Frames};
use crate::nst::effects::lamps;
use crate::nst::effects::noise::{Ground, GroundRow, step};
use crate::nst::effects::shining::{Shining, add};
use crate::nst::effects::stream::{Stream, random};
use crate::nst::effects::street_lamps::{self, StreetLamp, StreetView};
use crate::nst::effects::windows;
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::{roughly_encoded, roughly_linear, transmission};
use crate::nst::picture::pixels::{Pixels, SmoothPixels};
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::View;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are drawn together. It does not depend on the number of threads.
const BAND: usize = 16;

/// Adds the masts of street lamps and the light of lamps and of windows to `pixels`, in place. `haze` is the extinction of
/// the air per metre.
pub fn shine(pixels: &mut Pixels, input: EffectInput, frames: Frames, haze: f32) {
    let EffectInput { surface, amounts, seed, .. } = input;
    let (Some(View::Ahead(horizon)), Some(ground)) = (surface.view, Ground::of(surface)) else { return };
    let Effects { lamps: share, headlamps, street_lamps, windows, .. } = *amounts;
    if [share, headlamps, street_lamps, windows].iter().all(|&amount| amount <= 0.0) {
        return;
    }
    let mut seen = match share > 0.0 {
        true => lamps::of_vehicles(frames.taken, horizon, input),
        false => Vec::new(),
    };
    let lighting = street_lamps::along_the_road(street_lamps, seed);
    let street = StreetView { surface, horizon, haze };
    seen.extend(street.seen(&lighting));
    street.draw_masts(&lighting, pixels);
    let Size { height, width } = surface.size();
    let lights = FrameLights {
        surface,
        ground,
        horizon,
        laid: frames.laid,
        ground_gain: ground_gain(frames.laid, surface),
        haze,
        lamps: seen.into_iter().map(|lamp| Shining::of(lamp, amounts, haze, width)).collect(),
        beam: (headlamps > 0.0).then(|| Beam::new(headlamps, seed)),
        street_lamps: lighting,
        windows: windows::lit(frames.taken, surface, windows, seed),
    };
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
        let own = roughly_linear(*v);
        let light = own + added;
        let soft = 0.7 + 0.3 * (1.0 - transmission((light - 0.7) / 0.3));
        let soft = if light > 0.7 { soft } else { light };
        *v = if added > 0.0 { roughly_encoded(soft.max(own)) } else { *v };
    }
}

/// All lights of one frame.
struct FrameLights<'a> {
    surface: &'a Surface,
    ground: Ground,
    horizon: Horizon,
    /// What they light.
    laid: &'a Pixels,
    /// What makes its ground as light as a usual road.
    ground_gain: f32,
    /// The extinction of the air per metre.
    haze: f32,
    /// Lamps that are seen.
    lamps: Vec<Shining>,
    /// The camera car's headlamps, if they are on.
    beam: Option<Beam>,
    street_lamps: Vec<StreetLamp>,
    /// The light of windows, if some are lit.
    windows: Option<SmoothPixels>,
}

impl FrameLights<'_> {
    /// The linear light that comes to these rows; `None` if there is none.
    fn on_rows(&self, rows: Range<usize>) -> Option<Vec<[f32; 3]>> {
        let width = self.surface.size().width;
        let lights_things = self.beam.is_some() || !self.street_lamps.is_empty();
        let mut lamps = self.lamps.iter().filter(|lamp| lamp.reaches(&rows)).peekable();
        if !lights_things && lamps.peek().is_none() && self.windows.is_none() {
            return None;
        }
        let mut added = vec![[0.0_f32; 3]; rows.len() * width];
        if lights_things {
            rows.clone().zip(added.chunks_exact_mut(width)).for_each(|(y, added)| self.on_things(y, added));
        }
        lamps.for_each(|lamp| lamp.draw(self.surface, &mut added, rows.clone()));
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

    /// Adds the light that the camera car's headlamps and street lamps throw on what row `y` shows.
    fn on_things(&self, y: usize, added: &mut [[f32; 3]]) {
        let row = LitRow::of(self.laid, self.surface, y, self.ground_gain, self.haze);
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
struct LitRow<'a> {
    /// The share of their light that each pixel returns to the camera.
    reflects: Vec<[f32; 3]>,
    /// The share of ground in each pixel.
    ground: &'a [f32],
    /// The distance of each pixel in metres.
    distance: &'a [f32],
}

impl<'a> LitRow<'a> {
    /// Row `y` of the frame; `gain` makes its ground as light as a usual road.
    fn of(frame: &Pixels, surface: &'a Surface, y: usize, gain: f32, haze: f32) -> Self {
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
                    *reflects = frame.map(|v| (roughly_linear(v.min(1.0)) * gain).min(0.8) * clear);
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

/// The factor that makes the median light of the ground that of a usual road by day.
fn ground_gain(frame: &Pixels, surface: &Surface) -> f32 {
    const USUAL: f32 = 0.16;
    let lights = frame.data().chunks_exact(3).zip(surface.ground.data()).step_by(29);
    let lights = lights.filter(|(_, ground)| **ground > 0.5).map(|(rgb, _)| roughly_linear(rgb[1])).collect();
    (USUAL / quantile(lights, 1, 2).unwrap_or(USUAL).max(1e-3)).clamp(0.4, 2.5)
}

/// The headlamps of the camera car.
struct Beam {
    aim: f32,
    light: [f32; 3],
}

impl Beam {
    /// The highest row that it lights, below the horizon as a share of the height.
    const HIGHEST: f32 = -0.2;

    fn new(amount: f32, seed: u64) -> Self {
        let mut random = random(seed, Stream::Headlamps);
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
