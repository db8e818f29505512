//! Where labelled vehicles have their lamps.

use crate::nst::effects::input::EffectInput;
use crate::nst::effects::stream::{Stream, random};
use crate::nst::picture::flood::patches;
use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::Random;
use crate::nst::scene::distance::distance_of_row;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::object::{ObjectKind, SceneObject};
use std::ops::Range;

/// The width in pixels from which on a vehicle gets lamps, and from which on its red lamps are seen by day.
const LEAST_WIDTH: f64 = 5.0;
const CLEAR_WIDTH: f64 = 44.0;

/// What is not farther from the horizon's column than this share of the width drives ahead.
const AHEAD: f64 = 0.06;

/// Light of halogen, xenon and LED lamps, and of tail lamps, in linear RGB.
const HEAD: [[f32; 3]; 3] = [[1.0, 0.86, 0.62], [0.95, 0.97, 1.0], [1.0, 0.95, 0.86]];
const TAIL: [f32; 3] = [1.0, 0.06, 0.03];

/// A lamp that the camera sees.
#[derive(Clone, Copy, Debug)]
pub struct Lamp {
    /// In pixels of the frame.
    pub x: f32,
    pub y: f32,
    pub radius: f32,
    /// Linear light at its middle.
    pub light: [f32; 3],
    /// The row in which its mirror image begins, if it has one.
    pub foot: Option<f32>,
    /// Metres from the camera.
    pub distance: f32,
}

/// The side of a vehicle that the camera sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Front,
    Rear,
    Flank,
    /// A flank, and the front or the rear as well. Its lamps may be anywhere in its box, so only those burn that are seen.
    Corner,
}

/// A labelled vehicle, and what the camera sees of it.
struct Vehicle<'a> {
    object: &'a SceneObject,
    side: Side,
    /// The places of red lamps that the frame shows, across and down its box as shares of it; at most two.
    red: Vec<[f64; 2]>,
}

/// The lamps of those vehicles that have them on.
pub fn of_vehicles(frame: &Pixels, horizon: Horizon, input: EffectInput) -> Vec<Lamp> {
    let EffectInput { surface, objects, amounts, seed } = input;
    let mut random = random(seed, Stream::VehicleLamps);
    let drawn_side = random.uniform() < 0.5;
    let mut lamps = Vec::new();
    for vehicle in vehicles(frame, objects, surface.size(), horizon, drawn_side) {
        let is_on = random.uniform() < f64::from(amounts.lamps);
        let draws = [random.uniform() as f32, random.uniform() as f32, random.uniform() as f32];
        let area = vehicle.object.area;
        let wide = (area.right - area.left) * surface.size().width as f64;
        if is_on && wide > LEAST_WIDTH {
            let distance = distance_of_row(area.bottom as f32, horizon.row, surface.size());
            let mut own = Vec::new();
            add(frame, &vehicle, draws, distance, &mut own);
            own.retain(|lamp| !is_covered(lamp, vehicle.object, objects, surface.size()));
            lamps.append(&mut own);
        }
    }
    lamps
}

/// Whether an object that stands nearer, by the lower side of its box, covers the lamp of `vehicle`.
fn is_covered(lamp: &Lamp, vehicle: &SceneObject, objects: &[SceneObject], size: Size) -> bool {
    /// How much lower it must stand, as a share of the height: a rider is no nearer than the motorbike.
    const NEARER: f64 = 0.01;
    let (across, down) = (f64::from(lamp.x) / size.width as f64, f64::from(lamp.y) / size.height as f64);
    objects.iter().any(|SceneObject { area, .. }| {
        area.bottom > vehicle.area.bottom + NEARER
            && (area.left..area.right).contains(&across)
            && (area.top..area.bottom).contains(&down)
    })
}

/// The vehicles and their sides: by their shape and by red lamps where they are large enough to show them; the small
/// ones by their lane. A road has one side for each direction, so what is known of the large ones tells the lanes;
/// where nothing is known, they are `drawn`.
fn vehicles<'a>(
    frame: &Pixels,
    objects: &'a [SceneObject],
    size: Size,
    horizon: Horizon,
    drawn: bool,
) -> Vec<Vehicle<'a>> {
    let off = |object: &SceneObject| (object.area.left + object.area.right) / 2.0 - f64::from(horizon.column);
    let with_lamps: Vec<(&SceneObject, Vec<[f64; 2]>)> = objects
        .iter()
        .filter(|object| object.kind.has_lamps())
        .map(|object| (object, red_lamps(frame, object)))
        .collect();
    let sides: Vec<Option<Side>> =
        with_lamps.iter().map(|(object, red)| side_seen(object, !red.is_empty(), size)).collect();
    let vote = |((object, _), side): (&(&SceneObject, _), &Option<Side>)| match (side, off(object)) {
        // In one's own lane, the side of the vanishing point that a vehicle is on says nothing.
        (_, off) if off.abs() < AHEAD => 0.0,
        (Some(Side::Rear), off) => off.signum(),
        (Some(Side::Front), off) => -off.signum(),
        _ => 0.0,
    };
    let votes: f64 = with_lamps.iter().zip(&sides).map(vote).sum();
    let keeps_right = if votes == 0.0 { drawn } else { votes > 0.0 };
    let by_lane = |off: f64| match off.abs() < AHEAD || (off > 0.0) == keeps_right {
        true => Side::Rear,
        false => Side::Front,
    };
    let vehicle = |((object, red), side): ((&'a SceneObject, _), Option<Side>)| {
        let side = side.unwrap_or_else(|| by_lane(off(object)));
        Vehicle { object, side, red }
    };
    with_lamps.into_iter().zip(sides).map(vehicle).collect()
}

/// The side that a vehicle shows by its shape and by its red lamps; `None` where it is too small to tell.
fn side_seen(object: &SceneObject, has_red_lamps: bool, size: Size) -> Option<Side> {
    let Area { left, top, right, bottom } = object.area;
    let (wide, high) = ((right - left) * size.width as f64, (bottom - top) * size.height as f64);
    // What is wider over its height than a front or a rear, but not as wide as a flank, is seen across a corner.
    let corner = match object.kind {
        ObjectKind::Car => 1.35..2.1,
        ObjectKind::LargeVehicle => 1.05..1.9,
        // From aside, the picture shows its red lamp or none.
        _ => 0.65..f64::INFINITY,
    };
    let shape = wide / high;
    // The border of the frame cuts vehicles, and then their shape tells nothing.
    let inner = 0.005..0.995;
    let is_whole = [left, top, right, bottom].iter().all(|side| inner.contains(side));
    if is_whole && shape >= corner.end {
        return Some(Side::Flank);
    }
    if has_red_lamps {
        return Some(Side::Rear);
    }
    if !is_whole {
        return Some(Side::Corner);
    }
    (wide > CLEAR_WIDTH).then_some(if shape < corner.start { Side::Front } else { Side::Corner })
}

/// The places of a vehicle's red lamps, across and down its box as shares of it: two patches of red at one height that
/// are as small as lamps, the left one first, or, seen from aside, one. None where more is red than lamps are, such as paint.
fn red_lamps(frame: &Pixels, object: &SceneObject) -> Vec<[f64; 2]> {
    /// The share of the box that the largest lamp takes.
    const LARGEST: f64 = 0.035;
    // Paint and signs on trucks and buses are red in patches of any size, so there one patch tells nothing.
    let (rows, smallest, alone, most_red) = match object.kind {
        ObjectKind::TwoWheeler => (0.3..0.75, 0.003, 0.003, 0.03),
        ObjectKind::LargeVehicle => (0.55..0.97, 0.0008, f64::INFINITY, 0.05),
        _ => (0.25..0.8, 0.0012, 0.004, 0.08),
    };
    let patches = red_patches(frame, object.area);
    if patches.iter().map(|patch| patch.share).sum::<f64>() > most_red {
        return Vec::new();
    }
    let is_lamp = |patch: &&RedPatch| (smallest..LARGEST).contains(&patch.share) && rows.contains(&patch.place[1]);
    let mut lamps: Vec<&RedPatch> = patches.iter().filter(is_lamp).collect();
    lamps.sort_by(|a, b| b.share.total_cmp(&a.share));
    let Some(&first) = lamps.first() else { return Vec::new() };
    let is_pair = |other: &&&RedPatch| {
        let [across, down] = [0, 1].map(|n| (other.place[n] - first.place[n]).abs());
        across > 0.25 && down < 0.1 && other.share > 0.2 * first.share
    };
    match lamps.iter().find(is_pair) {
        Some(second) if object.kind != ObjectKind::TwoWheeler => {
            let mut pair = vec![first.place, second.place];
            pair.sort_by(|a, b| a[0].total_cmp(&b[0]));
            pair
        }
        _ if first.share > alone => vec![first.place],
        _ => Vec::new(),
    }
}

/// Red pixels of a vehicle that touch each other.
struct RedPatch {
    /// Of the box.
    share: f64,
    /// The middle, across and down the box as shares of it.
    place: [f64; 2],
}

/// All that is red in a box, in order of its first row. A large box is looked at in steps of several pixels.
fn red_patches(frame: &Pixels, area: Area) -> Vec<RedPatch> {
    /// The most steps across and down a box.
    const STEPS: usize = 96;
    let width = frame.size().width;
    let (rows, columns) = area.pixels(frame.size());
    let (high, wide) = (rows.len().min(STEPS), columns.len().min(STEPS));
    let at = |n: usize, steps: usize, range: &Range<usize>| range.start + (2 * n + 1) * range.len() / (2 * steps);
    let is_red = |step: usize| {
        let (y, x) = (at(step / wide, high, &rows), at(step % wide, wide, &columns));
        let [red, green, blue] = [0, 1, 2].map(|n| frame.data()[(y * width + x) * 3 + n]);
        // Indicators are orange.
        red > 0.3 && red > 1.7 * green.max(blue) && green < 1.4 * blue + 0.04
    };
    let steps = Size { height: high, width: wide };
    let red: Vec<bool> = (0..steps.pixels()).map(is_red).collect();
    // Lamps are small, so that pixels that touch at a corner are one.
    let patches = patches(red.len(), |step| steps.around(step), |step| red[step]);
    let red_patch = |patch: Vec<usize>| {
        let count = patch.len() as f64;
        let middle = |place: fn(usize, usize) -> usize, side: usize| {
            patch.iter().map(|&step| place(step, wide) as f64 + 0.5).sum::<f64>() / count / side as f64
        };
        let place = [middle(|step, wide| step % wide, wide), middle(|step, wide| step / wide, high)];
        RedPatch { share: count / red.len() as f64, place }
    };
    patches.into_iter().map(red_patch).collect()
}

/// Adds the lamps of one vehicle.
fn add(frame: &Pixels, vehicle: &Vehicle, draws: [f32; 3], distance: f32, lamps: &mut Vec<Lamp>) {
    let &Vehicle { object, side, ref red } = vehicle;
    if side == Side::Corner {
        return;
    }
    let size = frame.size();
    let Area { left, top, right, bottom } = object.area;
    let (wide, high) = ((right - left) * size.width as f64, (bottom - top) * size.height as f64);
    let head = HEAD[(draws[0] * 2.999) as usize];
    let down = match (object.kind, side) {
        (ObjectKind::TwoWheeler, Side::Front) => 0.42,
        (ObjectKind::TwoWheeler, _) => 0.6,
        (ObjectKind::LargeVehicle, _) => 0.8,
        (_, Side::Rear) => 0.5,
        _ => 0.6,
    };
    let power = 0.6 + 0.8 * draws[2];
    // Places across the vehicle, light and power of each lamp, and its radius in vehicle widths.
    let (across, light, power, radius): (&[f64], _, _, _) = match (object.kind, side) {
        (ObjectKind::TwoWheeler, Side::Front) => (&[0.5], head, 3.5 * power, 0.03),
        (ObjectKind::TwoWheeler, _) => (&[0.5], TAIL, 1.0 * power, 0.026),
        (_, Side::Front) => (&[0.14, 0.86], head, 4.5 * power, 0.019),
        (_, Side::Rear) => (&[0.1, 0.9], TAIL, 1.2 * power, 0.024),
        (_, Side::Flank) if draws[1] < 0.5 => (&[0.03, 0.97], head, 0.7 * power, 0.02),
        _ => (&[0.97, 0.03], head, 0.7 * power, 0.02),
    };
    // Real sizes over a width of 1.8 m; seen from aside, a vehicle's height stands for its distance.
    let unit = match object.kind {
        ObjectKind::Car => wide.min(1.3 * high),
        ObjectKind::LargeVehicle => 0.7 * wide.min(0.9 * high),
        _ => 0.9 * wide.min(high),
    };
    let places = match side {
        Side::Rear if !red.is_empty() => red.clone(),
        Side::Front => searched(frame, object.area, across, down),
        _ => across.iter().map(|&across| [across, down]).collect(),
    };
    let foot = Some((bottom * size.height as f64) as f32);
    for (n, [across, down]) in places.into_iter().enumerate() {
        let (x, y) = (left * size.width as f64 + across * wide, top * size.height as f64 + down * high);
        let radius = ((radius * unit) as f32).max(0.0009 * size.width as f32);
        // From aside, the second lamp is the one at the rear.
        let light = if side == Side::Flank && n == 1 { TAIL.map(|v| 0.6 * v) } else { light };
        lamps.push(Lamp { x: x as f32, y: y as f32, radius, light: light.map(|v| v * power), foot, distance });
    }
}

/// Moves the usual places of head lamps to where the picture has most [`relief`], at most `REACH` aside and up or down,
/// as shares of the box. Both lamps are at one height.
fn searched(frame: &Pixels, area: Area, across: &[f64], down: f64) -> Vec<[f64; 2]> {
    /// Places that are tried to each side.
    const TRIES: i32 = 4;
    const REACH: f64 = 0.14;
    let size = frame.size();
    let (wide, high) = ((area.right - area.left) * size.width as f64, (area.bottom - area.top) * size.height as f64);
    if wide < CLEAR_WIDTH {
        return across.iter().map(|&across| [across, down]).collect();
    }
    let radius = (0.04 * wide.min(1.3 * high)).max(2.0);
    let offset = |n: i32| f64::from(n) / f64::from(TRIES) * REACH;
    let score = |across: f64, down: f64, moved: f64| {
        let (x, y) = (area.left * size.width as f64 + across * wide, area.top * size.height as f64 + down * high);
        f64::from(relief(&patch(frame, x, y, radius))) - 0.05 * (moved / REACH).powi(2)
    };
    let best_across = |usual: f64, down: f64| {
        let tried = (-TRIES..=TRIES).map(|n| (score(usual + offset(n), down, offset(n)), usual + offset(n)));
        tried.fold((f64::NEG_INFINITY, usual), |best, tried| if tried.0 > best.0 { tried } else { best })
    };
    let tried = (-TRIES..=TRIES).map(|n| {
        let down = down + offset(n);
        let pairs: Vec<(f64, f64)> = across.iter().map(|&usual| best_across(usual, down)).collect();
        let sum = pairs.iter().map(|pair| pair.0).sum::<f64>() - 0.05 * (offset(n) / REACH).powi(2);
        (sum, pairs.into_iter().map(|pair| pair.1).collect::<Vec<_>>(), down)
    });
    let (_, places, down) = tried
        .fold((f64::NEG_INFINITY, across.to_vec(), down), |best, tried| if tried.0 > best.0 { tried } else { best });
    places.into_iter().map(|across| [across, down]).collect()
}

/// The pixels around a place, at most some hundred of them.
fn patch(frame: &Pixels, x: f64, y: f64, radius: f64) -> Vec<[f32; 3]> {
    let Size { height, width } = frame.size();
    let range = |at: f64, side: usize| (at - radius).max(0.0) as usize..((at + radius).max(0.0) as usize + 1).min(side);
    let step = (radius / 5.0).ceil() as usize;
    let (rows, columns) = (range(y, height), range(x, width));
    rows.step_by(step)
        .flat_map(|y| columns.clone().step_by(step).map(move |x| (y * width + x) * 3))
        .map(|at| [0, 1, 2].map(|n: usize| frame.data()[at + n]))
        .collect()
}

/// The deviation of grey, which glass and chrome make large, and a little of its mean.
fn relief(patch: &[[f32; 3]]) -> f32 {
    let count = patch.len().max(1) as f32;
    let grey = |rgb: &[f32; 3]| (rgb[0] + rgb[1] + rgb[2]) / 3.0;
    let mean = patch.iter().map(grey).sum::<f32>() / count;
    let variance = patch.iter().map(|rgb| (grey(rgb) - mean).powi(2)).sum::<f32>() / count;
    variance.sqrt() + 0.3 * mean
}

/// Numbers that are drawn once for the lamps of the camera car: their aim in metres to the right, and their light.
pub fn own(random: &mut Random) -> (f32, [f32; 3]) {
    ((random.uniform() as f32 - 0.5) * 1.5, HEAD[(random.uniform() * 2.999) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 360, width: 640 };

    fn car(left: f64, wide: f64) -> SceneObject {
        let area = Area { left, top: 0.5, right: left + wide, bottom: 0.5 + wide * 1.5 };
        SceneObject::new(area, ObjectKind::Car)
    }

    /// A grey street with red spots in the left and in the right third of `rear`.
    fn street(rear: Option<&SceneObject>) -> Pixels {
        let mut pixels = Pixels::new(SIZE, vec![0.4; SIZE.pixels() * 3]);
        if let Some(SceneObject { area, .. }) = rear {
            let (rows, columns) = area.pixels(SIZE);
            let (wide, high) = (columns.len(), rows.len());
            for y in rows.start + high * 45 / 100..rows.start + high * 55 / 100 {
                for x in columns.clone() {
                    let across = (x - columns.start) * 100 / wide;
                    if (6..18).contains(&across) || (82..94).contains(&across) {
                        pixels.data_mut()[(y * SIZE.width + x) * 3..][..3].copy_from_slice(&[0.7, 0.1, 0.1]);
                    }
                }
            }
        }
        pixels
    }

    fn sides(frame: &Pixels, objects: &[SceneObject], drawn: bool) -> Vec<Side> {
        let horizon = Horizon { row: 0.45, column: 0.5, is_seen: true };
        vehicles(frame, objects, SIZE, horizon, drawn).iter().map(|vehicle| vehicle.side).collect()
    }

    #[test]
    fn a_large_vehicle_shows_its_side_and_tells_the_lanes_of_the_small_ones() {
        // On the left, a rear; so vehicles keep left, and a small one on the right comes towards the camera.
        let objects = [car(0.1, 0.2), car(0.7, 0.03), car(0.35, 0.03)];
        let frame = street(Some(&objects[0]));
        for drawn in [false, true] {
            assert_eq!(sides(&frame, &objects, drawn), [Side::Rear, Side::Front, Side::Rear], "{drawn}");
        }
        // Without red lamps it is a front.
        assert_eq!(sides(&street(None), &objects, false), [Side::Front, Side::Rear, Side::Front]);
    }

    #[test]
    fn a_vehicle_in_ones_own_lane_says_nothing_about_the_other_lanes() {
        // Its middle is a little left of the vanishing point.
        let objects = [car(0.39, 0.2), car(0.7, 0.03)];
        let frame = street(Some(&objects[0]));
        assert_eq!(sides(&frame, &objects, true), [Side::Rear, Side::Rear]);
        assert_eq!(sides(&frame, &objects, false), [Side::Rear, Side::Front]);
    }

    #[test]
    fn where_nothing_is_known_the_lanes_are_drawn() {
        let objects = [car(0.7, 0.03)];
        let frame = street(None);
        assert_eq!(sides(&frame, &objects, true), [Side::Rear]);
        assert_eq!(sides(&frame, &objects, false), [Side::Front]);
    }

    #[test]
    fn what_stands_before_a_vehicle_covers_its_lamps() {
        let vehicle = car(0.3, 0.25);
        let lamp = |across: f64| Lamp {
            x: (across * SIZE.width as f64) as f32,
            y: 0.65 * SIZE.height as f32,
            radius: 3.0,
            light: HEAD[0],
            foot: None,
            distance: 8.0,
        };
        let person = |bottom: f64| {
            let area = Area { left: 0.3, top: 0.4, right: 0.36, bottom };
            SceneObject::new(area, ObjectKind::Person)
        };
        let covered =
            |across: f64, other: SceneObject| is_covered(&lamp(across), &vehicle, &[vehicle.clone(), other], SIZE);
        assert!(covered(0.34, person(0.9)));
        assert!(!covered(0.5, person(0.9)), "beside the person");
        assert!(!covered(0.34, person(0.75)), "behind the vehicle");
    }

    #[test]
    fn what_is_seen_across_a_corner_or_is_cut_by_the_border_has_the_lamps_that_the_picture_shows() {
        let of_shape = |kind: ObjectKind, left: f64, shape: f64| {
            let area = Area { left, top: 0.4, right: left + shape * 0.3 * 360.0 / 640.0, bottom: 0.7 };
            SceneObject::new(area, kind)
        };
        let grey = street(None);
        let seen = |kind, shapes: [f64; 3]| {
            let objects = shapes.map(|shape| of_shape(kind, 0.3, shape));
            sides(&grey, &objects, false)
        };
        assert_eq!(seen(ObjectKind::Car, [1.2, 1.6, 2.3]), [Side::Front, Side::Corner, Side::Flank]);
        assert_eq!(seen(ObjectKind::LargeVehicle, [0.8, 1.4, 2.3]), [Side::Front, Side::Corner, Side::Flank]);
        assert_eq!(seen(ObjectKind::TwoWheeler, [0.5, 0.9, 1.4]), [Side::Front, Side::Corner, Side::Corner]);
        assert_eq!(sides(&grey, &[of_shape(ObjectKind::Car, 0.0, 1.2)], false), [Side::Corner], "cut by the border");
        let SceneObject { area, kind, .. } = of_shape(ObjectKind::Car, 0.3, 2.5);
        let cut = SceneObject::new(Area { top: 0.7, bottom: 1.0, ..area }, kind);
        assert_eq!(sides(&grey, &[cut], false), [Side::Corner], "cut by the lower border");

        let corner = of_shape(ObjectKind::Car, 0.3, 1.6);
        let lamps = |frame: &Pixels| {
            let red = red_lamps(frame, &corner);
            let side = side_seen(&corner, !red.is_empty(), SIZE).unwrap();
            let mut lamps = Vec::new();
            add(frame, &Vehicle { object: &corner, side, red }, [0.5; 3], 8.0, &mut lamps);
            lamps.len()
        };
        assert_eq!((lamps(&grey), lamps(&street(Some(&corner)))), (0, 2));
    }

    #[test]
    fn lamps_are_put_where_the_picture_shows_them() {
        let object = car(0.3, 0.25);
        let frame = street(Some(&object));
        let mut lamps = Vec::new();
        let vehicle = Vehicle { object: &object, side: Side::Rear, red: red_lamps(&frame, &object) };
        add(&frame, &vehicle, [0.5; 3], 8.0, &mut lamps);
        let across = |lamp: &Lamp| (f64::from(lamp.x) / SIZE.width as f64 - 0.3) / 0.25;
        assert_eq!(lamps.len(), 2);
        assert!((0.09..0.15).contains(&across(&lamps[0])) && (0.85..0.91).contains(&across(&lamps[1])), "{lamps:?}");
        assert!(lamps.iter().all(|lamp| lamp.light[0] > 5.0 * lamp.light[1]), "tail lamps are red");
    }

    #[test]
    fn a_patch_of_red_as_small_as_a_lamp_is_one_wherever_it_is_and_more_red_is_paint() {
        let object = car(0.3, 0.25);
        let mut frame = street(None);
        let (rows, columns) = object.area.pixels(SIZE);
        let mut paint = |from: [usize; 2], to: [usize; 2]| {
            for y in rows.start + rows.len() * from[1] / 100..rows.start + rows.len() * to[1] / 100 {
                for x in columns.start + columns.len() * from[0] / 100..columns.start + columns.len() * to[0] / 100 {
                    frame.data_mut()[(y * SIZE.width + x) * 3..][..3].copy_from_slice(&[0.7, 0.1, 0.1]);
                }
            }
            red_lamps(&frame, &object)
        };
        // A vehicle seen from behind and aside has one of its lamps near the middle of its box.
        let one = paint([46, 42], [54, 52]);
        assert!(one.len() == 1 && (one[0][0] - 0.5).abs() < 0.02 && (one[0][1] - 0.47).abs() < 0.02, "{one:?}");
        assert_eq!(paint([80, 44], [88, 52]).len(), 2, "a pair");
        assert!(paint([0, 60], [60, 90]).is_empty(), "a red vehicle");
    }
}
