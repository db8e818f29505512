//! Finds the horizon of a view over a ground plane, from what stands on it, the sky and vanishing lines.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::object::{ObjectKind, SceneObject};
use crate::nst::scene::sky;
use std::f32::consts::PI;

/// Rows that are tried, in percent of the height from the top.
const ROWS: std::ops::RangeInclusive<usize> = 12..=72;

/// The most edge pixels that vote for a vanishing point.
const VOTERS: usize = 1500;

/// The least luma slope of a voter, per pixel.
const LEAST_SLOPE: f32 = 0.03;

/// The angle in radians within which a line points at a vanishing point.
const AIM: f32 = 0.06;

/// The least height of a vehicle, as a share of the picture's, that is seen from the ground: drones show smaller ones.
const NEAR: f64 = 0.18;

/// The height of the camera over the ground in metres, as in a car.
pub const CAMERA: f32 = 1.5;

/// Where the ground plane ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Horizon {
    /// The row of the horizon, as a share of the height from the top.
    pub row: f32,
    /// The column of the vanishing point of the road, as a share of the width.
    pub column: f32,
    /// Whether anything in the picture speaks for a ground plane: a sky, a row of vanishing lines, objects whose sizes
    /// fit one, or a vehicle that is near.
    pub is_seen: bool,
}

/// Whether an object stands on the ground of this horizon. Of unknown objects, which may be signs and lights, those do
/// that end well below it.
pub fn stands(object: &SceneObject, horizon: Horizon) -> bool {
    /// As a share of the height of the picture.
    const WELL: f64 = 0.08;
    object.kind != ObjectKind::Other || object.area.bottom > f64::from(horizon.row) + WELL
}

/// Finds the horizon of a picture with this luma, at a few hundred pixels a side. `sky` is the share of sky.
///
/// The most probable row is taken. A view has its horizon near the middle. Objects of a known height `s` stand on flat
/// ground, so that `bottom - row = height * camera / s` with one camera height for all (Hoiem, Efros and Hebert 2006,
/// "Putting objects in perspective"). The sky does not reach below the horizon. Lines along a road meet at it.
pub fn find(luma: &Plane, sky: Option<&Plane>, objects: &[SceneObject]) -> Horizon {
    let sky_end = sky.map(sky_end);
    let voters = voters(luma);
    let aspect = luma.size().width as f32 / luma.size().height.max(1) as f32;
    let score = |row: usize| {
        let r = row as f32 / 100.0;
        let prior = -((r - 0.45) / 0.12).powi(2) / 2.0;
        let (lines, column) = best_column(&voters, aspect, r);
        (prior + of_sky(sky_end, r) + of_objects(objects, r).unwrap_or(0.0) + 25.0 * lines, r, column, lines)
    };
    let best = ROWS.map(score).max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, row, column, lines) = best.unwrap_or((0.0, 0.45, 0.5, 0.0));
    let fits = of_objects(objects, row).is_some_and(|score| score > -1.5);
    let is_near = |object: &SceneObject| object.kind.has_lamps() && object.area.bottom - object.area.top > NEAR;
    Horizon { row, column, is_seen: sky.is_some() || fits || lines > 0.16 || objects.iter().any(is_near) }
}

/// The row at which the sky ends in nearly all columns, as a share of the height.
fn sky_end(sky: &Plane) -> f32 {
    let ends = sky::ends(sky);
    ends[ends.len() * 19 / 20] as f32 / sky.size().height as f32
}

fn of_sky(end: Option<f32>, row: f32) -> f32 {
    end.map_or(0.0, |end| {
        let (above, below) = ((end - row).max(0.0), (row - end - 0.12).max(0.0));
        -(above / 0.03).powi(2) / 2.0 - 0.3 * (below / 0.15).powi(2) / 2.0
    })
}

/// The logarithm of how well the objects stand on the ground of a horizon; `None` where no object says anything.
fn of_objects(objects: &[SceneObject], row: f32) -> Option<f32> {
    let mut heights = Vec::new();
    for object in objects {
        let area = object.area;
        let (height, bottom) = ((area.bottom - area.top) as f32, area.bottom as f32);
        // The border of the picture cuts objects off.
        let whole = area.bottom < 0.985 && area.top > 0.01 && height > 0.015;
        if let Some(metres) = object.kind.height().filter(|_| whole) {
            heights.push(metres * ((bottom - row) / height).max(0.02));
        }
    }
    if heights.is_empty() {
        return None;
    }
    heights.sort_unstable_by(f32::total_cmp);
    let camera = heights[heights.len() / 2].ln();
    let each = |height: &f32| (-((height.ln() - camera) / 0.3).powi(2) / 2.0).max(-2.0);
    let agree = heights.iter().map(each).sum::<f32>() / heights.len() as f32 * (heights.len() as f32).min(6.0);
    Some(agree - ((camera - CAMERA.ln()) / 0.5).powi(2) / 2.0)
}

/// An edge pixel: its place in heights of the picture, and the direction of its line, of length 1.
struct Voter {
    y: f32,
    x: f32,
    direction: [f32; 2],
    weight: f32,
}

/// Edge pixels whose lines are neither level nor upright: those may lead away from the camera.
fn voters(luma: &Plane) -> Vec<Voter> {
    let size = luma.size();
    let mut voters = Vec::new();
    let smooth = luma.blurred(1);
    for y in 1..size.height.saturating_sub(1) {
        for x in 1..size.width.saturating_sub(1) {
            let across = smooth.at(y, x + 1) - smooth.at(y, x - 1);
            let down = smooth.at(y + 1, x) - smooth.at(y - 1, x);
            let length = (across * across + down * down).sqrt();
            if length <= 2.0 * LEAST_SLOPE {
                continue;
            }
            // A line stands across its gradient.
            let direction = [down / length, -across / length];
            // Radians above level ground.
            let tilt = direction[1].abs().asin();
            if tilt > 0.12 && tilt < 1.35 {
                let height = size.height as f32;
                let (y, x) = (y as f32 / height, x as f32 / height);
                voters.push(Voter { y, x, direction, weight: (length / 2.0).min(0.2) });
            }
        }
    }
    let every = voters.len().div_ceil(VOTERS).max(1);
    voters.into_iter().step_by(every).collect()
}

/// The share of the voters below `row` whose lines meet at one of its points, beyond what chance gives, and the column.
fn best_column(voters: &[Voter], aspect: f32, row: f32) -> (f32, f32) {
    const COLUMNS: usize = 15;
    let columns: [f32; COLUMNS] = std::array::from_fn(|n| (n + 3) as f32 / 20.0);
    let (mut aimed, mut total) = ([0.0; COLUMNS], 0.0);
    vectorized(
        #[inline(always)]
        || {
            for voter in voters.iter().filter(|voter| voter.y > row + 0.04) {
                let [x, y] = voter.direction;
                let down = row - voter.y;
                total += voter.weight;
                for (aimed, column) in aimed.iter_mut().zip(columns) {
                    let across = column * aspect - voter.x;
                    // The squared sine of the angle between the line and the way to the point; it is small where it counts.
                    let sine = (x * down - y * across).powi(2) / (across * across + down * down);
                    let aims = voter.weight * (1.0 - sine.sqrt() / AIM);
                    *aimed += if sine < AIM * AIM { aims } else { 0.0 };
                }
            }
        },
    );
    if total < 1.0 {
        return (0.0, 0.5);
    }
    // A line in a random direction points at a point with this probability.
    let chance = AIM / PI;
    let scores = aimed.into_iter().zip(columns).map(|(aimed, column)| (aimed / total - chance, column));
    scores.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::{Area, Size};

    const SIZE: Size = Size { height: 180, width: 320 };

    /// A car of this height whose wheels stand in this row, both shares of the picture's height.
    fn car(bottom: f64, height: f64) -> SceneObject {
        SceneObject::new(Area { left: 0.4, top: bottom - height, right: 0.5, bottom }, ObjectKind::Car)
    }

    #[test]
    fn the_horizon_is_where_the_sizes_of_cars_shrink_to_nothing() {
        let grey = Plane::filled(SIZE, 0.5);
        for row in [0.3, 0.42, 0.55_f32] {
            let cars: Vec<_> =
                [0.05, 0.1, 0.2, 0.3].map(|height| car(f64::from(row) + height * 1.5 / 1.55, height)).into();
            let found = find(&grey, None, &cars);
            assert!((found.row - row).abs() < 0.04 && found.is_seen, "{row}: {found:?}");
        }
    }

    #[test]
    fn the_horizon_is_where_the_lines_of_a_road_meet() {
        let (row, column) = (0.4_f32, 0.6_f32);
        // Stripes that fan out from the vanishing point.
        let road = Plane::from_fn(SIZE, |y, x| {
            let down = (y as f32 / SIZE.height as f32 - row).max(1e-3);
            let across = (x as f32 - column * SIZE.width as f32) / SIZE.height as f32 / down;
            if down < 0.02 { 0.5 } else { 0.5 + 0.3 * (across * 2.0).sin() }
        });
        let found = find(&road, None, &[]);
        assert!((found.row - row).abs() < 0.05 && (found.column - column).abs() < 0.08 && found.is_seen, "{found:?}");
    }

    #[test]
    fn no_sky_lies_below_the_horizon_and_a_grey_picture_shows_none() {
        let grey = Plane::filled(SIZE, 0.5);
        let sky = Plane::from_fn(SIZE, |y, _| (y < 110) as u8 as f32);
        assert!(find(&grey, Some(&sky), &[]).row > 0.55);
        assert!(!find(&grey, None, &[]).is_seen);
    }

    #[test]
    fn a_near_vehicle_stands_on_a_ground_whatever_the_height_of_the_camera() {
        let grey = Plane::filled(SIZE, 0.5);
        let is_seen = |height: f64, kind| {
            let area = Area { left: 0.3, top: 0.9 - height, right: 0.8, bottom: 0.9 };
            find(&grey, None, &[SceneObject::new(area, kind)]).is_seen
        };
        assert!(is_seen(0.2, ObjectKind::LargeVehicle) && !is_seen(0.1, ObjectKind::LargeVehicle));
        assert!(!is_seen(0.2, ObjectKind::Other));
    }
}
