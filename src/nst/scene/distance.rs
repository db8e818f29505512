//! How far a frame's ground, what stands on it and its sky are.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::horizon::{self, CAMERA};
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::shape::Shapes;
use crate::nst::scene::sky;
use crate::nst::scene::view::{FOCAL, View};

/// The farthest distance of the ground and of what stands on it, in metres.
const FARTHEST: f32 = 150.0;

/// The farthest distance of what stands above the ground, at the sides of the picture and in its middle, in metres:
/// houses and trees line a road and end it.
const STANDING: (f32, f32) = (35.0, 110.0);

/// The distance of the sky, in metres. It is not farther, so that haze leaves something of clouds, and of a wall that is
/// taken for sky by mistake.
const SKY: f32 = 250.0;

/// The distance of the sky in a picture that shows no ground plane, in metres: what is taken for it may be a wall.
const BEHIND: f32 = 42.0;

/// The least distance of anything, in metres.
pub const LEAST: f32 = 1.0;

/// The distance of the ground at the bottom of a frame, in metres, where nothing says how the camera is held.
const NEAREST: f32 = 3.0;

/// The distance of all that is seen from above, in metres.
const ABOVE: f32 = 40.0;

/// The distances of a small picture of a frame, in metres.
pub struct Distances {
    /// Of all but objects and the sky.
    pub background: Plane,
    /// Of the object that may be in each pixel.
    pub own: Plane,
    /// Of the sky, where it is not in the background.
    pub sky: Option<f32>,
    /// Of the ground at the bottom of the frame.
    pub nearest: f32,
}

impl Distances {
    /// From a known depth of any unit and size; greater is farther, and 0 is infinitely far. It has the sky's distance in
    /// it.
    pub fn known(depth: &Plane, luma: &Plane) -> Self {
        let depth = in_metres(&depth.resized_distances(luma.size()));
        Self { background: smooth(&depth, luma), own: depth, sky: None, nearest: NEAREST }
    }

    /// From how the ground is seen and where it ends in each column. The sky is laid over the rest later: a line between
    /// the distances of both would bring dark twigs before a bright sky nearer than their tree, or even behind the camera.
    pub fn guessed(
        luma: &Plane,
        view: Option<View>,
        border: &[usize],
        found_sky: Option<&Plane>,
        shapes: &Shapes,
        objects: &[SceneObject],
    ) -> Self {
        let size = luma.size();
        let background = background(size, view, border, found_sky);
        let own = own(&background, view, shapes, objects);
        let nearest = match view {
            Some(View::Ahead(horizon)) => distance_of_row(1.0, horizon.row, size),
            Some(View::Down(_)) => ABOVE / 5.0,
            None => NEAREST,
        };
        let sky = Some(if view.is_some() { SKY } else { BEHIND });
        Self { background: smooth(&background, luma), own, sky, nearest }
    }
}

/// Distances with the edges of the picture.
fn smooth(distances: &Plane, luma: &Plane) -> Plane {
    distances.guided(luma, 5, 4e-3)
}

/// The distance of the ground of this row, in metres; `row` and `horizon` are shares of the height.
pub fn distance_of_row(row: f32, horizon: f32, size: Size) -> f32 {
    let focal = FOCAL * size.width as f32 / size.height as f32;
    (focal * CAMERA / (row - horizon).max(1e-4)).min(FARTHEST)
}

/// Flat ground, and upright things at the distance of the ground that they stand on, without objects and sky.
fn background(size: Size, view: Option<View>, border: &[usize], sky: Option<&Plane>) -> Plane {
    /// How much farther than what stands around it ground is seen at most: a ball of fog would lie on a wall that is taken
    /// for ground.
    const FARTHER: f32 = 2.0;
    let horizon = match view {
        Some(View::Ahead(horizon)) => horizon,
        Some(View::Down(_)) => return Plane::filled(size, ABOVE),
        None => return of_a_street(size, sky),
    };
    // Nothing is farther than what ends the view, so that no step runs along the horizon.
    let of_row = |row: usize, x: usize| {
        let aside = ((x as f32 + 0.5) / size.width as f32 * 2.0 - 1.0).abs();
        let farthest = STANDING.1 + (STANDING.0 - STANDING.1) * aside;
        distance_of_row((row as f32 + 0.5) / size.height as f32, horizon.row, size).min(farthest)
    };
    let feet: Vec<f32> = border.iter().enumerate().map(|(x, &row)| of_row(row, x)).collect();
    let standing = standing(&feet);
    let ground = |y: usize, x: usize| of_row(y, x).min(FARTHER * standing[x]);
    Plane::from_fn(size, |y, x| if y >= border[x] { ground(y, x) } else { standing[x] })
}

/// The distance of the object that may be in each pixel: that of the ground at its lower side. Where there is none, or it
/// does not stand on the ground, that of the background.
fn own(background: &Plane, view: Option<View>, shapes: &Shapes, objects: &[SceneObject]) -> Plane {
    let size = background.size();
    let Some(View::Ahead(horizon)) = view else { return background.clone() };
    let own: Vec<Option<f32>> = objects
        .iter()
        .map(|object| {
            let foot = object.area.bottom as f32;
            horizon::stands(object, horizon).then(|| distance_of_row(foot, horizon.row, size))
        })
        .collect();
    let data = background.data().iter().zip(&shapes.owner);
    Plane::new(size, data.map(|(&behind, owner)| owner.and_then(|object| own[object]).unwrap_or(behind)).collect())
}

/// The distances of a street, for a picture that shows no ground plane: flat ground below the usual horizon, houses
/// above it.
fn of_a_street(size: Size, sky: Option<&Plane>) -> Plane {
    /// The row of the horizon, as a share of the height from the top.
    const HORIZON: f32 = 0.45;
    /// The distance of houses and trees at the sides of the picture and in its middle, in metres.
    const HOUSES: (f32, f32) = (18.0, 30.0);
    let horizon = sky.map_or(HORIZON, sky::horizon);
    Plane::from_fn(size, |y, x| {
        let row = (y as f32 + 0.5) / size.height as f32;
        let aside = ((x as f32 + 0.5) / size.width as f32 * 2.0 - 1.0).abs();
        // By similar triangles, the distance of the ground `r` rows below the horizon goes with `1 / r`.
        let ground = NEAREST * (1.0 - horizon) / (row - horizon).max(1e-3);
        ground.clamp(NEAREST, HOUSES.1 + (HOUSES.0 - HOUSES.1) * aside)
    })
}

/// The distance of upright things in each column, from that of their `feet`: that of the nearer ones around it, which
/// reach over the others. It is smooth, since their real borders are not known: a step would be a wall of fog.
fn standing(feet: &[f32]) -> Vec<f32> {
    /// The columns to either side that things reach over, and those that are smoothed, as parts of the width.
    const REACH: (usize, usize) = (10, 12);
    let around =
        |x: usize, part: usize| x.saturating_sub(feet.len() / part)..(x + feet.len() / part + 1).min(feet.len());
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let nearer = |x: usize| {
        let mut near = feet[around(x, REACH.0)].to_vec();
        near.sort_unstable_by(f32::total_cmp);
        mean(&near[..near.len().div_ceil(2)])
    };
    let nearer: Vec<f32> = (0..feet.len()).map(nearer).collect();
    (0..feet.len()).map(|x| mean(&nearer[around(x, REACH.1)])).collect()
}

/// A known depth in metres, if its median ground is as far as usual.
fn in_metres(depth: &Plane) -> Plane {
    let unit = nearest_of(depth) / NEAREST;
    Plane::from_fn(depth.size(), |y, x| match depth.at(y, x) / unit {
        v if v > 0.0 => v.clamp(LEAST, SKY),
        _ => SKY,
    })
}

/// The median of a known depth, in its own unit, along the bottom of the picture.
fn nearest_of(depth: &Plane) -> f32 {
    let Size { height, width } = depth.size();
    let bottom = &depth.data()[(height - height.div_ceil(20)) * width..];
    quantile(bottom.iter().copied().filter(|&v| v > 0.0).collect(), 1, 2).unwrap_or(1.0)
}
