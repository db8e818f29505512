//! Where lamps are in a frame: on labelled vehicles, and along the road.

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::noise::random;
use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::Random;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::object::{ObjectKind, SceneObject};
use crate::nst::scene::surface::{CAMERA, FOCAL, Surface};

/// The numbers of the generators of vehicles' lamps and of street lamps.
const EFFECTS: (u64, u64) = (6, 7);

/// The most street lamps on each side.
const MOST_STREET_LAMPS: f64 = 7.0;

/// Light of halogen, xenon and LED lamps, of tail lamps, and of sodium and white street lamps, in linear RGB.
const HEAD: [[f32; 3]; 3] = [[1.0, 0.86, 0.62], [0.95, 0.97, 1.0], [1.0, 0.95, 0.86]];
const TAIL: [f32; 3] = [1.0, 0.06, 0.03];
const STREET: [[f32; 3]; 2] = [[1.0, 0.68, 0.3], [0.95, 0.97, 1.0]];

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
}

/// A street lamp that lights the ground: its place in metres to the right and ahead, its height and its light.
#[derive(Clone, Copy, Debug)]
pub struct StreetLamp {
    pub right: f32,
    pub ahead: f32,
    pub height: f32,
    pub light: [f32; 3],
}

/// The side of a vehicle that the camera sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Front,
    Rear,
    Flank,
}

/// The lamps of those vehicles that have them on. A frame has one side of the road for each direction, so the vehicles
/// of one lane all show the same side.
pub fn of_vehicles(
    frame: &Pixels,
    surface: &Surface,
    horizon: Horizon,
    objects: &[SceneObject],
    effects: &Effects<f32>,
    seed: u64,
) -> Vec<Lamp> {
    let mut random = random(seed, EFFECTS.0);
    let keeps_right = random.uniform() < 0.5;
    let mut lamps = Vec::new();
    for object in objects.iter().filter(|object| object.kind.has_lamps()) {
        let is_on = random.uniform() < f64::from(effects.lamps);
        let draws = [random.uniform() as f32, random.uniform() as f32, random.uniform() as f32];
        let wide = (object.area.right - object.area.left) * surface.size().width as f64;
        if is_on && wide > 5.0 {
            let side = side(frame, object, surface.size(), horizon, keeps_right);
            add(object, side, draws, surface.size(), &mut lamps);
        }
    }
    lamps
}

/// The side that a vehicle shows: by its shape, by red lamps in the picture, or else by its lane.
fn side(frame: &Pixels, object: &SceneObject, size: Size, horizon: Horizon, keeps_right: bool) -> Side {
    let area = object.area;
    let (wide, high) = ((area.right - area.left) * size.width as f64, (area.bottom - area.top) * size.height as f64);
    let flank = match object.kind {
        ObjectKind::Car => 1.75,
        ObjectKind::LargeVehicle => 1.5,
        _ => 1.1,
    };
    if wide / high > flank && area.left > 0.005 && area.right < 0.995 {
        return Side::Flank;
    }
    if has_red_lamps(frame, area, size) {
        return Side::Rear;
    }
    let off = (area.left + area.right) / 2.0 - f64::from(horizon.column);
    // What is right ahead drives ahead.
    match off.abs() < 0.06 || (off > 0.0) == keeps_right {
        true => Side::Rear,
        false => Side::Front,
    }
}

/// Whether there is a little red in the left and in the right third of a vehicle, and not much in all.
fn has_red_lamps(frame: &Pixels, area: Area, size: Size) -> bool {
    let pixel = |share: f64, side: usize| (share.clamp(0.0, 1.0) * side as f64) as usize;
    let (high, wide) = (area.bottom - area.top, area.right - area.left);
    let rows = pixel(area.top + 0.3 * high, size.height)..pixel(area.top + 0.75 * high, size.height);
    let red = |from: f64, to: f64| {
        let (mut red, mut all) = (0.0, 0.0);
        for y in rows.clone() {
            for x in pixel(area.left + from * wide, size.width)..pixel(area.left + to * wide, size.width) {
                let rgb = &frame.data()[(y * size.width + x) * 3..][..3];
                red += f64::from(u8::from(rgb[0] > 0.3 && rgb[0] > 1.7 * rgb[1].max(rgb[2])));
                all += 1.0;
            }
        }
        red / f64::max(all, 1.0)
    };
    let (left, middle, right) = (red(0.0, 0.33), red(0.33, 0.67), red(0.67, 1.0));
    let side = left.max(right);
    side > 0.025 && left < 0.45 && right < 0.45 && middle < 0.5 * side
}

/// Adds the lamps of one vehicle.
fn add(object: &SceneObject, side: Side, draws: [f32; 3], size: Size, lamps: &mut Vec<Lamp>) {
    let Area { left, top, right, bottom } = object.area;
    let (wide, high) = ((right - left) * size.width as f64, (bottom - top) * size.height as f64);
    let head = HEAD[(draws[0] * 2.999) as usize];
    let place =
        |across: f64, down: f64| (left * size.width as f64 + across * wide, top * size.height as f64 + down * high);
    let down = match (object.kind, side) {
        (ObjectKind::TwoWheeler, Side::Front) => 0.42,
        (ObjectKind::TwoWheeler, _) => 0.6,
        (ObjectKind::LargeVehicle, _) => 0.8,
        (_, Side::Rear) => 0.5,
        _ => 0.6,
    } + f64::from(draws[1] - 0.5) * 0.06;
    // Real sizes over a width of 1.8 m; seen from aside, a vehicle's height stands for its distance.
    let unit = match object.kind {
        ObjectKind::Car => wide.min(1.3 * high),
        ObjectKind::LargeVehicle => 0.7 * wide.min(0.9 * high),
        _ => 0.9 * wide.min(high),
    };
    let foot = Some((bottom * size.height as f64) as f32);
    let mut lamp = |across: f64, light: [f32; 3], power: f32, radius: f64| {
        let (x, y) = place(across, down);
        let radius = ((radius * unit) as f32).max(0.0009 * size.width as f32);
        lamps.push(Lamp { x: x as f32, y: y as f32, radius, light: light.map(|v| v * power), foot });
    };
    let power = 0.6 + 0.8 * draws[2];
    match (object.kind, side) {
        (ObjectKind::TwoWheeler, Side::Front) => lamp(0.5, head, 3.5 * power, 0.032),
        (ObjectKind::TwoWheeler, _) => lamp(0.5, TAIL, 1.0 * power, 0.026),
        (_, Side::Front) => [0.14, 0.86].iter().for_each(|&across| lamp(across, head, 4.5 * power, 0.022)),
        (_, Side::Rear) => [0.1, 0.9].iter().for_each(|&across| lamp(across, TAIL, 1.2 * power, 0.024)),
        (_, Side::Flank) => {
            let (front, rear) = if draws[1] < 0.5 { (0.03, 0.97) } else { (0.97, 0.03) };
            lamp(front, head, 0.7 * power, 0.022);
            lamp(rear, TAIL, 0.4 * power, 0.022);
        }
    }
}

/// Street lamps at equal distances along the road, on one side or on both, and how the camera sees them. Those behind
/// something nearer are only seen by the ground that they light.
pub fn of_the_street(
    surface: &Surface,
    horizon: Horizon,
    objects: &[SceneObject],
    effects: &Effects<f32>,
    seed: u64,
) -> (Vec<Lamp>, Vec<StreetLamp>) {
    let mut random = random(seed, EFFECTS.1);
    let Size { height, width } = surface.size();
    let focal = FOCAL * width as f32;
    let light = STREET[(random.uniform() * 1.999) as usize];
    let (high, every, first) = (
        7.0 + 2.5 * random.uniform() as f32,
        24.0 + 14.0 * random.uniform() as f32,
        12.0 + 22.0 * random.uniform() as f32,
    );
    let (offset, both) = (6.0 + 3.0 * random.uniform() as f32, random.uniform() < 0.4);
    let side = if random.uniform() < 0.5 { 1.0 } else { -1.0 };
    let count = (f64::from(effects.street_lamps) * MOST_STREET_LAMPS * random.uniform()).round() as usize;
    let (mut seen, mut lighting) = (Vec::new(), Vec::new());
    for n in 0..count {
        for right in [side, -side].into_iter().take(if both { 2 } else { 1 }).map(|side| side * offset) {
            let ahead = first + every * n as f32;
            lighting.push(StreetLamp { right, ahead, height: high, light: light.map(|v| v * 0.9) });
            let x = horizon.column * width as f32 + focal * right / ahead;
            let y = horizon.row * height as f32 - focal * (high - CAMERA) / ahead;
            if x < 0.0 || y < 0.0 || x >= width as f32 || y >= height as f32 {
                continue;
            }
            let (across, down) = (f64::from(x) / width as f64, f64::from(y) / height as f64);
            let is_hidden = objects.iter().any(|SceneObject { area, .. }| {
                (area.left..area.right).contains(&across) && (area.top..area.bottom).contains(&down)
            });
            if !is_hidden && surface.distance.at(y as usize, x as usize) > 0.9 * ahead {
                let radius = (focal * 0.16 / ahead).max(0.0011 * width as f32);
                seen.push(Lamp { x, y, radius, light: light.map(|v| 4.0 * v), foot: None });
            }
        }
    }
    (seen, lighting)
}

/// Numbers that are drawn once for the lamps of one's own vehicle: their aim in metres to the right, and their light.
pub fn own(random: &mut Random) -> (f32, [f32; 3]) {
    ((random.uniform() as f32 - 0.5) * 1.5, HEAD[(random.uniform() * 2.999) as usize])
}
