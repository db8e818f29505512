//! Effects of weather and light on the surfaces of a frame: lying snow, wet roads, air, lamps, the lens and the sensor.
//!
//! A field of colour maps, which is all that a photoreal render does, cannot put snow on a road or light a lamp.
//! Effects can, at the frame's full size. Those on surfaces come first: the optimizer works on the frame that they
//! leave. Light and camera come last, in front of the stylized picture.
//!
//! - [`amounts`]: how much of each effect
//! - [`input`]: what effects read
//! - [`on_surfaces`]: shadows, snow and water; `overcast`, `snow` and `water` draw them
//! - [`air`]: haze in front of all surfaces
//! - [`in_the_scene`]: lamps, windows, spray and motion; `lamps`, `street_lamps`, `windows`, `light`, `shining`, `water`
//!   and `sensor` draw them
//! - [`in_the_camera`]: the lens and the sensor; `lens` and `sensor` draw them
//! - `noise`: noise on the ground, in perspective
//! - `stream`: random numbers of each effect

pub mod air;
pub mod amounts;
pub mod input;
mod lamps;
mod lens;
mod light;
mod noise;
mod overcast;
mod sensor;
mod shining;
mod snow;
pub mod stream;
mod street_lamps;
mod water;
mod windows;

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::input::{EffectInput, Frames};
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::FrameSeed;
use crate::nst::scene::view::View;
use std::borrow::Cow;

/// The frame without the sun's shadows and with snow and water on its surfaces; the frame itself where the effects change
/// none of this. Values in 0..1 stay there.
pub fn on_surfaces<'a>(frame: &'a Pixels, input: EffectInput) -> Cow<'a, Pixels> {
    let mut pixels = Cow::Borrowed(frame);
    if input.amounts.overcast > 0.0 {
        overcast::even(pixels.to_mut(), input.surface, input.amounts.overcast);
    }
    if input.amounts.snow > 0.0 {
        snow::lay(pixels.to_mut(), input);
    }
    if input.amounts.wet > 0.0 {
        water::wet(pixels.to_mut(), input);
    }
    pixels
}

/// Adds what shines and moves in the scene to the stylized picture. `haze` is the extinction of the air per metre.
pub fn in_the_scene(pixels: &mut Pixels, input: EffectInput, frames: Frames, haze: f32) {
    light::shine(pixels, input, frames, haze);
    if input.amounts.spray > 0.0 {
        water::spray(pixels, input);
    }
    if input.amounts.motion > 0.0
        && let Some(View::Ahead(horizon)) = input.surface.view
    {
        sensor::motion(pixels, input.surface, horizon, input.amounts.motion);
    }
}

/// Adds the lens and the sensor. The noise of the sensor is another one at each place of a sequence.
pub fn in_the_camera(pixels: &mut Pixels, amounts: &Effects<f32>, seed: FrameSeed) {
    if amounts.drops > 0.0 {
        lens::drops(pixels, amounts.drops, seed.seed);
    }
    if amounts.blur > 0.0 {
        sensor::blur(pixels, amounts.blur);
    }
    if amounts.noise > 0.0 {
        sensor::noise(pixels, amounts.noise, seed.of_frame());
    }
    if amounts.black > 0.0 {
        sensor::blacken(pixels, amounts.black);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::{Area, Size};
    use crate::nst::scene::object::{ObjectKind, SceneObject};
    use crate::nst::scene::surface::Surface;
    use crate::nst::settings::SceneKind;
    use crate::nst::testing::Random as Noise;

    const SIZE: Size = Size { height: 180, width: 320 };

    const EVERYTHING: Effects<f32> = Effects {
        air: 0.5,
        snow: 0.8,
        tracks: 0.5,
        snowy_vehicles: 0.5,
        wet: 0.8,
        puddles: 0.4,
        spray: 0.5,
        lamps: 1.0,
        headlamps: 0.7,
        street_lamps: 1.0,
        windows: 1.0,
        glare: 0.6,
        drops: 0.5,
        noise: 0.02,
        blur: 1.0,
        motion: 0.3,
        overcast: 0.8,
        black: 0.2,
    };

    /// A road under a sky, and a car on it.
    fn street(size: Size) -> (Pixels, Vec<SceneObject>) {
        let mut random = Noise(4);
        let data = (0..size.pixels()).flat_map(|n| {
            let (y, x) = (n / size.width, n % size.width);
            let v = 0.05 * random.uniform();
            match y * 5 < size.height * 2 {
                true => [0.75, 0.82, 0.9],
                false if x * 4 < size.width => [0.2 + v, 0.4 + v, 0.1 + v],
                false => [0.35 + v; 3],
            }
        });
        let area = Area { left: 0.55, top: 0.45, right: 0.72, bottom: 0.7 };
        (Pixels::new(size, data.collect()), vec![SceneObject::new(area, ObjectKind::Car)])
    }

    fn made(frame: &Pixels, objects: &[SceneObject], effects: &Effects<f32>, seed: u64) -> Pixels {
        let surface = Surface::of(frame, objects, SceneKind::Road, None);
        let input = EffectInput { surface: &surface, objects, amounts: effects, seed };
        let mut laid = on_surfaces(frame, input);
        if effects.air > 0.0 {
            air::fill(laid.to_mut(), &surface, effects.air);
        }
        let mut pixels = laid.clone().into_owned();
        let frames = Frames { taken: frame, laid: &laid };
        in_the_scene(&mut pixels, input, frames, effects.air / 100.0);
        in_the_camera(&mut pixels, effects, seed.into());
        pixels
    }

    /// The mean luma of the pixels in these rows and columns.
    fn mean(pixels: &Pixels, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> f32 {
        let width = pixels.size().width;
        let values: Vec<f32> = rows
            .flat_map(|y| pixels.data()[(y * width + columns.start) * 3..(y * width + columns.end) * 3].to_vec())
            .collect();
        values.iter().sum::<f32>() / values.len() as f32
    }

    #[test]
    fn no_effect_changes_no_bit() {
        let (frame, objects) = street(SIZE);
        assert!(made(&frame, &objects, &Effects::default(), 1) == frame);
    }

    #[test]
    fn the_seed_decides_and_threads_do_not() {
        let (frame, objects) = street(SIZE);
        let with = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| made(&frame, &objects, &EVERYTHING, seed))
        };
        let one = with(1, 3);
        assert!(with(3, 3) == one && with(2, 4) != one);
    }

    #[test]
    fn every_effect_changes_the_picture_and_keeps_it_in_range_at_any_size() {
        let (frame, objects) = street(SIZE);
        let mut count = 0;
        EVERYTHING.map(|_| count += 1);
        let mut which = 0;
        loop {
            let mut at = 0;
            // Those that only change another effect need it.
            let effects = EVERYTHING.map(|amount| {
                at += 1;
                if at - 1 == which { amount } else { 0.0 }
            });
            let base = Effects { snow: 0.6, wet: 0.6, ..Effects::default() };
            let with = match which {
                2 | 3 => Effects { snow: 0.6, ..effects },
                5 => Effects { wet: 0.6, ..effects },
                11 => Effects { lamps: 1.0, ..effects },
                _ => effects,
            };
            let without = match which {
                2 | 3 => Effects { wet: 0.0, ..base },
                5 => Effects { snow: 0.0, ..base },
                11 => Effects { lamps: 1.0, ..Effects::default() },
                _ => Effects::default(),
            };
            // Windows need a wall; their own tests have one.
            let changed = which == 10
                || (0..8).any(|seed| made(&frame, &objects, &with, seed) != made(&frame, &objects, &without, seed));
            assert!(changed, "effect {which}");
            which += 1;
            if which == count {
                break;
            }
        }
        for (height, width) in [(1, 1), (2, 300), (200, 3), (67, 91)] {
            let (frame, objects) = street(Size { height, width });
            let made = made(&frame, &objects, &EVERYTHING, 5);
            assert!(made.data().iter().all(|v| (0.0..=1.0).contains(v)), "{height}x{width}");
        }
    }

    #[test]
    fn the_noise_is_new_in_each_frame_of_a_sequence_and_nothing_else_is() {
        let (frame, objects) = street(SIZE);
        let surface = Surface::of(&frame, &objects, SceneKind::Road, None);
        let at = |effects: &Effects<f32>, place| {
            let mut pixels = frame.clone();
            let frames = Frames { taken: &frame, laid: &frame };
            let input = EffectInput { surface: &surface, objects: &objects, amounts: effects, seed: 3 };
            in_the_scene(&mut pixels, input, frames, 0.01);
            in_the_camera(&mut pixels, effects, FrameSeed { seed: 3, place });
            pixels
        };
        let quiet = Effects { noise: 0.0, ..EVERYTHING };
        assert!(at(&quiet, 1) == at(&quiet, 0));
        let noisy = [0, 1, 2].map(|place| at(&EVERYTHING, place));
        assert!(noisy[0] != noisy[1] && noisy[1] != noisy[2]);
        let off: f32 = noisy[0].data().iter().zip(noisy[1].data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 0.3, "{off}");
    }

    #[test]
    fn snow_lies_on_the_ground_and_not_on_the_car_or_in_the_sky() {
        let (frame, objects) = street(SIZE);
        let snow = made(&frame, &objects, &Effects { snow: 1.0, ..Effects::default() }, 2);
        let gain = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            mean(&snow, rows.clone(), columns.clone()) - mean(&frame, rows, columns)
        };
        let (road, lawn) = (gain(140..175, 120..160), gain(140..175, 5..60));
        assert!(road > 0.25 && lawn > 0.2, "road {road}, lawn {lawn}");
        assert!(gain(5..50, 20..300).abs() < 0.03, "sky");
        let car = gain(95..112, 192..214);
        assert!(car < 0.15, "car: {car}");
    }

    #[test]
    fn spray_is_behind_what_is_clearly_nearer() {
        let (frame, mut objects) = street(SIZE);
        let effects = Effects { spray: 1.0, ..Effects::default() };
        let person = Area { left: 0.63, top: 0.4, right: 0.67, bottom: 0.95 };
        objects.push(SceneObject::new(person, ObjectKind::Person));
        let surface = Surface::of(&frame, &objects, SceneKind::Road, None);
        let mut seen = 0;
        for seed in 0..6 {
            let sprayed = made(&frame, &objects, &effects, seed);
            let change = |n: usize| (sprayed.data()[n * 3] - frame.data()[n * 3]).abs();
            let beside = (100 * SIZE.width..130 * SIZE.width).map(change).fold(0.0, f32::max);
            seen += (beside > 0.05) as usize;
            let inside = (0..SIZE.pixels()).filter(|&n| surface.shapes.data()[n] > 0.99 && n / SIZE.width > 130);
            assert!(inside.map(change).fold(0.0, f32::max) < 0.02, "{seed}");
        }
        assert!(seen > 0);
    }

    #[test]
    fn a_wet_road_is_darker_near_and_mirrors_the_sky_far() {
        let (frame, _) = street(SIZE);
        let wet = made(&frame, &[], &Effects { wet: 1.0, ..Effects::default() }, 2);
        let gain = |rows: std::ops::Range<usize>| mean(&wet, rows.clone(), 120..200) - mean(&frame, rows, 120..200);
        let (near, far) = (gain(168..178), gain(80..86));
        assert!(near < 0.02 && far > near + 0.05, "near {near}, far {far}");
        assert!((mean(&wet, 5..50, 20..300) - mean(&frame, 5..50, 20..300)).abs() < 1e-3);
    }

    #[test]
    fn lamps_shine_where_vehicles_are() {
        let (mut frame, objects) = street(SIZE);
        frame.data_mut().iter_mut().for_each(|v| *v *= 0.15);
        let lit = made(&frame, &objects, &Effects { lamps: 1.0, ..Effects::default() }, 2);
        let brightest = |pixels: &Pixels, columns: std::ops::Range<usize>| {
            let row =
                |y: usize| &pixels.data()[(y * SIZE.width + columns.start) * 3..(y * SIZE.width + columns.end) * 3];
            (80..126).flat_map(row).fold(0.0_f32, |top, v| top.max(*v))
        };
        assert!(brightest(&lit, 176..230) > 0.7, "{}", brightest(&lit, 176..230));
        assert!(brightest(&lit, 0..60) < brightest(&frame, 0..60) + 0.05);
    }

    #[test]
    fn air_takes_light_from_lamps_and_spreads_it_around_them() {
        let (frame, objects) = street(SIZE);
        let surface = Surface::of(&frame, &objects, SceneKind::Road, None);
        let lit = |haze: f32| {
            let mut pixels = frame.clone();
            pixels.data_mut().iter_mut().for_each(|v| *v *= 0.1);
            let effects = Effects { lamps: 1.0, ..Effects::default() };
            let frames = Frames { taken: &frame, laid: &frame };
            let input = EffectInput { surface: &surface, objects: &objects, amounts: &effects, seed: 2 };
            in_the_scene(&mut pixels, input, frames, haze);
            pixels
        };
        let (clear, hazy) = (lit(0.0), lit(0.15));
        let top = |pixels: &Pixels| pixels.data().iter().fold(0.0_f32, |top, v| top.max(*v));
        assert!(top(&hazy) < top(&clear), "{} {}", top(&hazy), top(&clear));
        // Beside the car, well outside of its lamps.
        assert!(mean(&hazy, 95..125, 236..250) > mean(&clear, 95..125, 236..250) + 0.01);
    }

    #[test]
    fn a_car_that_drives_ahead_keeps_red_lamps_in_fog() {
        let (mut frame, _) = street(SIZE);
        let area = Area { left: 0.55, top: 0.5, right: 0.85, bottom: 0.9 };
        for (y, x) in (114..120).flat_map(|y| (184..192).chain(256..264).map(move |x| (y, x))) {
            frame.data_mut()[(y * SIZE.width + x) * 3..][..3].copy_from_slice(&[0.7, 0.1, 0.1]);
        }
        let cars = [SceneObject::new(area, ObjectKind::Car)];
        let with = |lamps: f32| made(&frame, &cars, &Effects { lamps, air: 6.0, ..Effects::default() }, 2);
        let (dark, lit) = (with(0.0), with(1.0));
        let light = |channel: usize| -> f32 {
            let channels = lit.data().iter().zip(dark.data()).skip(channel).step_by(3);
            channels.map(|(lit, dark)| lit - dark).sum()
        };
        assert!(light(0) > 1.0 && light(0) > 2.0 * light(2), "red {} blue {}", light(0), light(2));
    }

    #[test]
    fn glare_spreads_the_light_of_lamps_and_is_none_without_lamps() {
        let (mut frame, objects) = street(SIZE);
        frame.data_mut().iter_mut().for_each(|v| *v *= 0.15);
        let with = |lamps: f32, glare: f32| made(&frame, &objects, &Effects { lamps, glare, ..Effects::default() }, 2);
        assert!(with(0.0, 1.0) == frame);
        let (none, half, full) = (with(1.0, 0.0), with(1.0, 0.5), with(1.0, 1.0));
        let beside = [&none, &half, &full].map(|pixels| mean(pixels, 95..125, 236..250));
        assert!(beside[0] + 0.02 < beside[1] && beside[1] + 0.02 < beside[2], "{beside:?}");
    }

    #[test]
    fn motion_blurs_what_passes_by_and_neither_the_vanishing_point_nor_objects() {
        let (frame, objects) = street(SIZE);
        let moved = made(&frame, &objects, &Effects { motion: 0.5, ..Effects::default() }, 2);
        let rough = |pixels: &Pixels, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| -> f32 {
            let steps = rows.flat_map(|y| columns.clone().map(move |x| (y * SIZE.width + x) * 3));
            steps.map(|at| (pixels.data()[at] - pixels.data()[at + 3]).abs()).sum()
        };
        let left = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            rough(&moved, rows.clone(), columns.clone()) / rough(&frame, rows, columns)
        };
        assert!(left(150..178, 270..318) < 0.7, "near and aside: {}", left(150..178, 270..318));
        assert!(left(97..118, 190..215) > 0.8, "the car: {}", left(97..118, 190..215));
    }

    #[test]
    fn shadows_of_the_sun_on_the_ground_go_and_road_markings_stay() {
        let (mut frame, _) = street(SIZE);
        let is_shadow = |y: usize| (110..150).contains(&y);
        let is_marking = |y: usize, x: usize| y > 90 && (190..194).contains(&x);
        for (y, x) in (72..SIZE.height).flat_map(|y| (80..SIZE.width).map(move |x| (y, x))) {
            let light = if is_shadow(y) { 0.5 } else { 1.0 } * if is_marking(y, x) { 1.7 } else { 1.0 };
            frame.data_mut()[(y * SIZE.width + x) * 3..][..3].iter_mut().for_each(|v| *v *= light);
        }
        let even = made(&frame, &[], &Effects { overcast: 1.0, ..Effects::default() }, 2);
        let shadow = |pixels: &Pixels| mean(pixels, 115..145, 220..300) / mean(pixels, 156..178, 220..300);
        assert!(shadow(&frame) < 0.55 && shadow(&even) > 0.75, "{} {}", shadow(&frame), shadow(&even));
        let road = mean(&even, 115..145, 150..180) / mean(&even, 115..145, 191..193);
        assert!(road < 0.75, "a marking is brighter than the road: {road}");
        assert!((mean(&even, 5..50, 20..300) - mean(&frame, 5..50, 20..300)).abs() < 0.01, "sky");
    }

    #[test]
    fn a_share_of_the_picture_goes_black_and_white_stays_white() {
        let grey = |n: usize| 0.2 * (n / 3) as f32 / SIZE.pixels() as f32;
        let mut ramp = Pixels::new(SIZE, (0..SIZE.pixels() * 3).map(grey).collect());
        ramp.data_mut()[0] = 1.0;
        let made = |black: f32| made(&ramp, &[], &Effects { black, ..Effects::default() }, 2);
        for share in [0.2, 0.4] {
            let dark = made(share);
            let black = dark.data().iter().filter(|v| **v == 0.0).count() as f32 / dark.data().len() as f32;
            assert!((black - share).abs() < 0.02, "{black}");
            assert!(dark.data()[0] == 1.0 && dark.data().iter().zip(ramp.data()).all(|(dark, v)| dark <= v));
        }
        assert!(made(1.0).data().iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn noise_has_the_deviation_that_was_asked_for_and_blur_none_of_the_detail() {
        let grey = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let noisy = made(&grey, &[], &Effects { noise: 0.02, ..Effects::default() }, 2);
        let deviation = |pixels: &Pixels| {
            (pixels.data().iter().map(|v| (v - 0.5).powi(2)).sum::<f32>() / pixels.data().len() as f32).sqrt()
        };
        assert!((0.013..0.027).contains(&deviation(&noisy)), "{}", deviation(&noisy));
        let mut blurred = noisy.clone();
        sensor::blur(&mut blurred, 3.0);
        assert!(deviation(&blurred) < 0.6 * deviation(&noisy));
    }
}
