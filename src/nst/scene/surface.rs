//! The surfaces of a frame: sky, ground, plants, labelled objects and their distances. Effects of weather and light
//! read them.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::neighbours;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::quantile;
use crate::nst::scene::horizon::{self, CAMERA, Horizon};
use crate::nst::scene::object::{ObjectKind, SceneObject};
use crate::nst::scene::shape::{self, Shapes};
use crate::nst::scene::{ground, sky};
use crate::nst::settings::SceneKind;
use rayon::prelude::*;
use std::ops::Range;

/// The long side, in pixels, of the picture that surfaces are found in.
const LONG_SIDE: usize = 320;

/// The focal length over the width of the picture: a horizontal field of view of 64 degrees, as of dashboard cameras.
pub const FOCAL: f32 = 0.8;

/// The farthest distance of the ground and of what stands on it, in metres.
pub const FARTHEST: f32 = 150.0;

/// The farthest distance of what stands above the ground, at the sides of the picture and in its middle, in metres:
/// houses and trees line a road and end it.
const STANDING: (f32, f32) = (35.0, 110.0);

/// The distance of the sky, in metres. It is not farther, so that haze leaves something of clouds, and of a wall that is
/// taken for sky by mistake.
pub const SKY: f32 = 250.0;

/// The distance of the sky in a picture that shows no ground plane, in metres: what is taken for it may be a wall.
const BEHIND: f32 = 42.0;

/// The least distance of anything, in metres.
const LEAST: f32 = 1.0;

/// The distance of the ground at the bottom of a frame, in metres, where nothing says how the camera is held.
const NEAREST: f32 = 3.0;

/// The distance of all that is seen from above, in metres.
const ABOVE: f32 = 40.0;

/// The metres that a picture from above is high where no car tells its scale.
const AERIAL_HEIGHT: f32 = 60.0;

/// How the ground is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// From a height of [`CAMERA`] towards the horizon.
    Ahead(Horizon),
    /// From above. Its unit is the height of the picture in metres.
    Down(f32),
}

/// The surfaces of one frame.
pub struct Surface {
    /// `None` where there is no ground plane.
    pub view: Option<View>,
    /// Whether a sky was found.
    pub has_sky: bool,
    /// The share of sky in each pixel, 0..1.
    pub sky: Plane,
    /// The share of ground, 0..1; none where an object stands.
    pub ground: Plane,
    /// The share of plants, 0..1.
    pub plants: Plane,
    /// The share of labelled objects, 0..1.
    pub shapes: Plane,
    /// The distance from the camera in metres.
    pub distance: Plane,
    /// The distance of the ground at the bottom of the frame, in metres.
    pub nearest: f32,
    /// The luma of the small picture that surfaces were found in; all others have the frame's full size.
    pub small_luma: Plane,
    /// The first row of ground in each column of the small picture, as a share of the height.
    border: Vec<f32>,
}

impl Surface {
    /// The surfaces of `frame`, which has no letterbox bars. A known `depth` may have any unit and size; greater is
    /// farther, and 0 is infinitely far.
    pub fn of(frame: &Pixels, objects: &[SceneObject], kind: SceneKind, depth: Option<&Plane>) -> Self {
        let full = frame.size();
        let size = full.fitted(LONG_SIDE);
        let small = frame.resized(size);
        let luma = Plane::luma(&small);
        let shapes = shape::of_objects(&small, &luma, objects);
        let sky = sky::find(&small).filter(|sky| !sky::is_wall(&small, sky, objects)).map(|mut sky| {
            sky.data_mut().iter_mut().zip(shapes.share.data()).for_each(|(sky, &shape)| *sky *= outside(shape));
            sky
        });
        let (horizon, sky) = horizon_and_sky(&small, &luma, sky, &shapes.share, objects);
        let view = view(kind, horizon, sky.is_some(), objects, full);
        let sky = if matches!(view, Some(View::Down(_))) { None } else { sky };
        let plants = plants(&small, sky.as_ref());
        let border = match view {
            Some(View::Ahead(horizon)) => {
                let standing: Vec<_> = objects.iter().filter(|object| horizon::stands(object, horizon)).collect();
                unhidden(&ground::border(&small, sky.as_ref(), &plants, horizon, objects), &standing, size)
            }
            Some(View::Down(_)) => vec![0; size.width],
            None => vec![size.height; size.width],
        };
        let ground = Plane::from_fn(size, |y, x| if y >= border[x] { 1.0 } else { 0.0 });
        // A known depth has the sky's distance in it. Else the sky is laid over the rest at full size: a line between the
        // distances of both would bring dark twigs before a bright sky nearer than their tree, or even behind the camera.
        let (distance, own, behind) = match depth {
            Some(depth) => {
                let depth = in_metres(&depth.resized_distances(size));
                (depth.guided(&luma, 5, 4e-3), depth, None)
            }
            None => {
                let distance = distance(size, view, &border, sky.as_ref());
                let own = own_distance(&distance, view, &shapes, objects);
                (distance.guided(&luma, 5, 4e-3), own, Some(if view.is_some() { SKY } else { BEHIND }))
            }
        };
        let nearest = match view {
            _ if depth.is_some() => NEAREST,
            Some(View::Ahead(horizon)) => distance_of_row(1.0, horizon.row, full),
            Some(View::Down(_)) => ABOVE / 5.0,
            None => NEAREST,
        };
        let lines = [
            (&shapes.share, 1),
            (sky.as_ref().unwrap_or(&shapes.share), 2),
            (&ground.guided(&luma, 6, 1e-3), 1),
            (&plants, 1),
            (&distance, 2),
            (&own, 1),
        ];
        let lines = lines.map(|(plane, radius)| plane.lines(&luma, radius, 1e-3));
        let has_sky = sky.is_some();
        let [shapes, sky, ground, plants, distance] = upsampled(
            &lines,
            size,
            frame,
            #[inline(always)]
            |values: [f32; LINES]| {
                let [shape, sky, ground, plants] = [0, 1, 2, 3].map(|plane: usize| values[plane].clamp(0.0, 1.0));
                let [solid, own] = [values[4], values[5]].map(|metres| metres.max(LEAST));
                let sky = if has_sky { sky } else { 0.0 };
                let background = behind.map_or(solid, |behind| solid + sky * (behind - solid));
                let outside = outside(shape);
                // A white truck looks like the sky behind it. The border between an object and what is far behind it is as
                // sharp as the shape.
                [shape, sky * outside, ground * outside, plants, own + outside * (background - own)]
            },
        );
        Self {
            view,
            has_sky,
            sky,
            ground,
            plants,
            shapes,
            distance,
            nearest,
            small_luma: luma,
            border: border.iter().map(|&row| row as f32 / size.height as f32).collect(),
        }
    }

    /// What the frame was taken for.
    pub fn kind(&self) -> SceneKind {
        match self.view {
            Some(View::Ahead(_)) => SceneKind::Road,
            Some(View::Down(_)) => SceneKind::Aerial,
            None => SceneKind::None,
        }
    }

    pub fn size(&self) -> Size {
        self.ground.size()
    }

    /// The first row of ground in column `x` of the frame, in pixels from the top.
    pub fn border(&self, x: usize) -> f32 {
        let Size { height, width } = self.size();
        let at = (x * self.border.len() / width).min(self.border.len() - 1);
        self.border[at] * height as f32
    }
}

/// The share of sky and ground that an object's share of a pixel leaves. A soft shape reaches past its object; were
/// there no sky in its rim, a rim of daylight would be left around objects at night.
#[inline(always)]
pub fn outside(shape: f32) -> f32 {
    1.0 - ((shape - 0.45) / 0.4).clamp(0.0, 1.0)
}

/// The horizon, and the sky down to it. Where clouds as light as the sky go on beneath it in most columns, it lies too
/// high. Fog goes on beneath it, too, but gets darker.
fn horizon_and_sky(
    small: &Pixels,
    luma: &Plane,
    sky: Option<Plane>,
    hidden: &Plane,
    objects: &[SceneObject],
) -> (Horizon, Option<Plane>) {
    /// The least luma of clouds, and of haze above the horizon, as shares of the sky's.
    const LEAST: (f32, f32) = (0.9, 0.75);
    let horizon = horizon::find(luma, sky.as_ref(), objects);
    let Some(sky) = sky else { return (horizon, None) };
    let whole = sky::down_to(1.0, LEAST.0, &sky, small, luma, hidden);
    let ends = sky::ends(&whole);
    if ends[ends.len() / 2] as f32 > horizon.row * luma.size().height as f32 {
        return (horizon::find(luma, Some(&whole), objects), Some(whole));
    }
    (horizon, Some(sky::down_to(horizon.row, LEAST.1, &sky, small, luma, hidden)))
}

/// How the ground is seen, if there is one.
fn view(kind: SceneKind, horizon: Horizon, has_sky: bool, objects: &[SceneObject], size: Size) -> Option<View> {
    let down = || View::Down(height_in_metres(objects, size));
    match kind {
        SceneKind::None => None,
        SceneKind::Road => Some(View::Ahead(horizon)),
        SceneKind::Aerial => Some(down()),
        SceneKind::Auto if !has_sky && is_from_above(objects) => Some(down()),
        SceneKind::Auto => horizon.is_seen.then_some(View::Ahead(horizon)),
    }
}

/// Whether vehicles are small and equally large at the top and at the bottom of the picture.
fn is_from_above(objects: &[SceneObject]) -> bool {
    let cars: Vec<(f64, f64)> = objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Car)
        .map(|object| (object.area.bottom, (object.area.bottom - object.area.top).max(1e-3).ln()))
        .collect();
    if cars.len() < 4 {
        return false;
    }
    let count = cars.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| cars.iter().map(f).sum::<f64>() / count;
    let (row, height) = (mean(&|car| car.0), mean(&|car| car.1));
    let slope = mean(&|car| (car.0 - row) * (car.1 - height)) / mean(&|car| (car.0 - row).powi(2)).max(1e-6);
    let spread = mean(&|car| (car.0 - row).powi(2)).sqrt();
    // Ahead, a car's height grows by a factor of some 20 from the horizon to the bottom.
    spread > 0.12 && slope < 0.8 && height.exp() < 0.12
}

/// The height in metres of a picture from above, by the length of its cars.
fn height_in_metres(objects: &[SceneObject], size: Size) -> f32 {
    /// The usual length of a car.
    const CAR: f32 = 4.5;
    let aspect = size.width as f64 / size.height as f64;
    let cars = objects.iter().filter(|object| object.kind == ObjectKind::Car);
    let mut lengths: Vec<f64> = cars
        .map(|object| (object.area.bottom - object.area.top).max((object.area.right - object.area.left) * aspect))
        .collect();
    lengths.sort_unstable_by(f64::total_cmp);
    lengths.get(lengths.len() / 2).map_or(AERIAL_HEIGHT, |&length| CAR / (length as f32).max(1e-3))
}

/// The distance of the ground of this row, in metres; `row` and `horizon` are shares of the height.
pub fn distance_of_row(row: f32, horizon: f32, size: Size) -> f32 {
    let focal = FOCAL * size.width as f32 / size.height as f32;
    (focal * CAMERA / (row - horizon).max(1e-4)).min(FARTHEST)
}

/// Flat ground, and upright things at the distance of the ground that they stand on, without objects and sky.
fn distance(size: Size, view: Option<View>, border: &[usize], sky: Option<&Plane>) -> Plane {
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
fn own_distance(background: &Plane, view: Option<View>, shapes: &Shapes, objects: &[SceneObject]) -> Plane {
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

/// The border of the ground as it would be without objects in front of it: between the columns that show it, a straight
/// line, at most as low as the objects stand. Else what is behind an object would be ground as far as the horizon, in a
/// rectangle as wide as the object: bare or white in snow, and in fog a cloud around a head.
fn unhidden(border: &[usize], objects: &[&SceneObject], size: Size) -> Vec<usize> {
    // The lower side of the highest object that hides the border.
    let mut feet = vec![None; border.len()];
    for object in objects {
        let (rows, columns) = object.area.pixels(size);
        // Little of what is above an object says nothing either.
        let above = rows.start.saturating_sub(rows.len() / 4 + 1);
        columns
            .filter(|&x| above <= border[x] && border[x] <= rows.end + 1)
            .for_each(|x| feet[x] = Some(feet[x].unwrap_or(rows.end).min(rows.end)));
    }
    let groups = groups(objects, size);
    for object in objects {
        let (rows, columns) = object.area.pixels(size);
        let mut around = groups.iter().filter(|group| group.contains(&columns.start));
        if is_drawn_up(border, &columns) || around.any(|group| is_drawn_up(border, group)) {
            columns.for_each(|x| feet[x] = Some(feet[x].unwrap_or(rows.end).min(rows.end)));
        }
    }
    let seen: Vec<usize> = (0..border.len()).filter(|&x| feet[x].is_none()).collect();
    let (Some(&first), Some(&last)) = (seen.first(), seen.last()) else { return border.to_vec() };
    let between = |x: usize| {
        let next = seen.partition_point(|&at| at < x);
        let (left, right) = (seen[next - 1], seen[next]);
        let share = (x - left) as f32 / (right - left) as f32;
        (border[left] as f32 + share * (border[right] as f32 - border[left] as f32)).round() as usize
    };
    let filled = |x: usize| {
        let Some(foot) = feet[x] else { return border[x] };
        let row = match x {
            x if x < first => border[first],
            x if x > last => border[last],
            x => between(x),
        };
        row.min(foot)
    };
    (0..border.len()).map(filled).collect()
}

/// The columns of objects that stand side by side, without a gap between them.
fn groups(objects: &[&SceneObject], size: Size) -> Vec<Range<usize>> {
    let mut columns: Vec<Range<usize>> = objects.iter().map(|object| object.area.pixels(size).1).collect();
    columns.sort_unstable_by_key(|columns| columns.start);
    let mut groups: Vec<Range<usize>> = Vec::new();
    for columns in columns {
        match groups.last_mut() {
            Some(group) if columns.start <= group.end => group.end = group.end.max(columns.end),
            _ => groups.push(columns),
        }
    }
    groups
}

/// Whether the ground reaches higher in an object's `columns` than on both sides of it. A road that leads up to an object
/// is seen beside it, too; so it was the object that drew the border up, which ends above its lower side.
fn is_drawn_up(border: &[usize], columns: &Range<usize>) -> bool {
    /// Such an object is narrower than the picture by this factor.
    const NARROWER: usize = 3;
    /// The step of the border is higher than the object is wide, divided by this.
    const STEP: usize = 4;
    let (Some(left), Some(&right)) = (columns.start.checked_sub(1), border.get(columns.end)) else { return false };
    let beside = border[left].min(right);
    let above = columns.clone().map(|x| border[x]).max().unwrap_or(beside);
    columns.len() * NARROWER < border.len() && above + columns.len() / STEP < beside
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
        v if v > 0.0 => v.clamp(1.0, SKY),
        _ => SKY,
    })
}

/// The median of a known depth, in its own unit, along the bottom of the picture.
fn nearest_of(depth: &Plane) -> f32 {
    let Size { height, width } = depth.size();
    let bottom = &depth.data()[(height - height.div_ceil(20)) * width..];
    quantile(bottom.iter().copied().filter(|&v| v > 0.0).collect(), 1, 2).unwrap_or(1.0)
}

/// The share of plants by their green.
fn plants(pixels: &Pixels, sky: Option<&Plane>) -> Plane {
    let width = pixels.size().width;
    Plane::from_fn(pixels.size(), |y, x| {
        let at = (y * width + x) * 3;
        let [r, g, b] = [0, 1, 2].map(|channel| pixels.data()[at + channel]);
        let excess = (2.0 * g - r - b) / (r + g + b + 0.05);
        ((excess - 0.04) / 0.12).clamp(0.0, 1.0) * (1.0 - sky.map_or(0.0, |sky| sky.at(y, x)))
    })
}

/// The planes of a surface: shapes, sky, ground, plants and distance.
const PLANES: usize = 5;

/// As many guided filters as fill a register.
const LINES: usize = 8;

/// The factors and the offsets of the lines of guided filters at one pixel.
type Lines = [[f32; LINES]; 2];

/// Rows that are drawn together. It does not depend on the number of threads.
const BAND: usize = 32;

/// Planes at the size of `frame`, with its edges: guided filters whose `lines` are found in a picture of the size
/// `small` (He and Sun 2015, "Fast guided filter"). `finish` makes the planes' values of each pixel from theirs. All
/// planes are made in one pass, since memory is what it waits for.
fn upsampled(
    lines: &[Vec<f32>],
    small: Size,
    frame: &Pixels,
    finish: impl Fn([f32; LINES]) -> [f32; PLANES] + Sync,
) -> [Plane; PLANES] {
    let full = frame.size();
    let across: Vec<_> = (0..full.width).map(|x| neighbours(x, full.width, small.width, false)).collect();
    let mut planes: [Vec<f32>; PLANES] = std::array::from_fn(|_| vec![0.0; full.pixels()]);
    let [a, b, c, d, e] = planes.each_mut().map(|plane| plane.par_chunks_mut(BAND * full.width));
    (a, b, c, d, e).into_par_iter().zip(frame.data().par_chunks(BAND * full.width * 3)).enumerate().for_each(
        |(band, ((a, b, c, d, e), frame))| {
            let mut planes = [a, b, c, d, e];
            let mut wide = [const { (usize::MAX, Vec::new()) }; 2];
            for (n, frame) in frame.chunks_exact(full.width * 3).enumerate() {
                let (top, bottom, down) = neighbours(band * BAND + n, full.height, small.height, false);
                for y in [top, bottom] {
                    let row = &mut wide[y % 2];
                    if row.0 != y {
                        *row = (y, wide_row(lines, small.width, y, &across));
                    }
                }
                let [top, bottom] = [top, bottom].map(|y| &wide[y % 2].1);
                let mut rows = planes.each_mut().map(|plane| &mut plane[n * full.width..][..full.width]);
                vectorized(
                    #[inline(always)]
                    || {
                        let pixels = top.iter().zip(bottom).zip(frame.as_chunks::<3>().0);
                        for (x, ((top, bottom), rgb)) in pixels.enumerate() {
                            let [factors, offsets] = between(top, bottom, down);
                            let luma = luma(rgb);
                            let values = finish(std::array::from_fn(|n| factors[n] * luma + offsets[n]));
                            rows.iter_mut().zip(values).for_each(|(row, v)| row[x] = v);
                        }
                    },
                );
            }
        },
    );
    planes.map(|plane| Plane::new(full, plane))
}

/// Row `y` of the lines, of a picture of `width` pixels, at the columns of a wider one.
fn wide_row(lines: &[Vec<f32>], width: usize, y: usize, across: &[(usize, usize, f32)]) -> Vec<Lines> {
    let of_line = |n: usize, x: usize| match lines.get(n) {
        Some(lines) => lines.as_chunks::<2>().0[y * width + x],
        None => [0.0; 2],
    };
    let at = |x: usize| [0, 1].map(|part: usize| std::array::from_fn(|n| of_line(n, x)[part]));
    let row: Vec<Lines> = (0..width).map(at).collect();
    vectorized(
        #[inline(always)]
        || across.iter().map(|&(left, right, aside)| between(&row[left], &row[right], aside)).collect(),
    )
}

#[inline(always)]
fn between(a: &Lines, b: &Lines, share: f32) -> Lines {
    std::array::from_fn(|part| std::array::from_fn(|n| a[part][n] + share * (b[part][n] - a[part][n])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::testing::Random;

    fn car(left: f64, bottom: f64, height: f64) -> SceneObject {
        let area = Area { left, top: bottom - height, right: left + 1.2 * height, bottom };
        SceneObject::new(area, ObjectKind::Car)
    }

    /// A noisy road below a plain sky.
    fn road(size: Size) -> Pixels {
        let mut random = Random(4);
        let data = (0..size.pixels()).flat_map(|n| {
            let v = 0.25 + 0.15 * random.uniform();
            if n / size.width * 5 < size.height * 2 { [0.8, 0.87, 0.95] } else { [v; 3] }
        });
        Pixels::new(size, data.collect())
    }

    #[test]
    fn a_road_has_sky_ground_and_distances_that_grow_towards_the_horizon() {
        let size = Size { height: 360, width: 640 };
        let surface = Surface::of(&road(size), &[car(0.4, 0.7, 0.2)], SceneKind::Auto, None);
        assert_eq!(surface.kind(), SceneKind::Road);
        assert!(surface.sky.at(50, 320) > 0.9 && surface.ground.at(50, 320) < 0.1);
        assert!(surface.ground.at(330, 100) > 0.9 && surface.ground.at(215, 330) < 0.6, "no ground on a car");
        assert!(surface.distance.at(350, 100) < 8.0 && surface.distance.at(180, 100) > 15.0);
        assert!(surface.distance.at(20, 100) > 200.0);
        let car = surface.distance.at(215, 330);
        assert!((car - distance_of_row(0.7, 0.42, size)).abs() < 4.0, "a car is as far as its wheels: {car}");
    }

    #[test]
    fn the_border_behind_an_object_is_that_beside_it() {
        let size = Size { height: 100, width: 50 };
        let mut border = vec![60; 50];
        border[10..20].fill(45);
        border[40..].fill(70);
        let area = Area { left: 0.2, top: 0.3, right: 0.4, bottom: 0.9 };
        let truck = SceneObject::new(area, ObjectKind::LargeVehicle);
        let seen = unhidden(&border, &[&truck], size);
        assert!(seen[..40].iter().all(|&row| row == 60) && seen[40..].iter().all(|&row| row == 70), "{seen:?}");
        // The border rises a little above the truck, where nothing says that it does.
        border[10..20].fill(25);
        let seen = unhidden(&border, &[&truck], size);
        assert!(seen[..40].iter().all(|&row| row == 60), "{seen:?}");
        border[10..20].fill(10);
        let seen = unhidden(&border, &[&truck], size);
        assert!(seen[..40].iter().all(|&row| row == 60), "nor well above it: {seen:?}");
        border[..30].fill(10);
        assert_eq!(unhidden(&border, &[&truck], size), border, "ground is seen above it and beside it");
        border[..40].fill(60);
        let whole = SceneObject::new(Area { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 }, ObjectKind::Car);
        assert_eq!(unhidden(&border, &[&whole], size), border);
    }

    #[test]
    fn persons_side_by_side_draw_no_ground_up_behind_them() {
        let size = Size { height: 100, width: 50 };
        let mut border = vec![60; 50];
        border[10..20].fill(10);
        let person =
            |left: f64, right: f64| SceneObject::new(Area { left, top: 0.5, right, bottom: 0.9 }, ObjectKind::Person);
        let (one, other) = (person(0.2, 0.3), person(0.28, 0.4));
        assert_eq!(unhidden(&border, &[&one, &other], size), vec![60; 50]);
        assert_eq!(unhidden(&border, &[&one], size), border, "half of it is seen");
    }

    /// A person before a near wall hides where the wall stands. What is beside the head is wall, too, and no ground near
    /// the horizon, which fog would hide.
    #[test]
    fn behind_a_person_before_a_wall_is_the_wall() {
        let size = Size { height: 360, width: 640 };
        let mut random = Random(6);
        let data = (0..size.pixels()).flat_map(|n| {
            let v = 0.1 * random.uniform();
            if n / size.width < 250 { [0.6 + v, 0.4 + v, 0.2 + v] } else { [0.35 + v; 3] }
        });
        let mut pixels = Pixels::new(size, data.collect());
        for (y, x) in (160..300).flat_map(|y| (310..330).map(move |x| (y, x))) {
            pixels.data_mut()[(y * size.width + x) * 3..][..3].copy_from_slice(&[0.05, 0.05, 0.1]);
        }
        let area = Area { left: 300.0 / 640.0, top: 150.0 / 360.0, right: 340.0 / 640.0, bottom: 305.0 / 360.0 };
        let surface = Surface::of(&pixels, &[SceneObject::new(area, ObjectKind::Person)], SceneKind::Road, None);
        let beside = |plane: &Plane| (plane.at(200, 304), plane.at(200, 250));
        let (own, wall) = beside(&surface.distance);
        assert!((own - wall).abs() < 0.2 * wall, "{own} {wall}");
        let (own, wall) = beside(&surface.ground);
        assert!(own < 0.1 && wall < 0.1, "{own} {wall}");
    }

    #[test]
    fn cars_of_one_size_everywhere_are_seen_from_above() {
        let size = Size { height: 360, width: 640 };
        let mut random = Random(9);
        let ground = Pixels::new(size, (0..size.pixels() * 3).map(|_| 0.3 + 0.1 * random.uniform()).collect());
        let cars: Vec<_> = (0..8).map(|n| car(0.1 * n as f64, 0.1 + 0.11 * n as f64, 0.05)).collect();
        let surface = Surface::of(&ground, &cars, SceneKind::Auto, None);
        let Some(View::Down(height)) = surface.view else { panic!("{:?}", surface.view) };
        assert!((40.0..110.0).contains(&height), "{height} metres");
        assert!(surface.ground.at(5, 635) > 0.9, "ground up to the upper side");
    }

    #[test]
    fn the_kind_of_scene_can_be_set_and_none_has_no_ground() {
        let size = Size { height: 90, width: 160 };
        for kind in [SceneKind::Road, SceneKind::Aerial, SceneKind::None] {
            let surface = Surface::of(&road(size), &[], kind, None);
            assert_eq!(surface.kind(), kind);
            assert_eq!(surface.ground.mean() > 0.1, kind != SceneKind::None);
        }
    }

    #[test]
    fn frames_of_any_size_have_surfaces() {
        for (height, width) in [(1, 1), (2, 400), (300, 3), (33, 47)] {
            let surface = Surface::of(&road(Size { height, width }), &[car(0.2, 0.9, 0.3)], SceneKind::Road, None);
            let planes = [&surface.sky, &surface.ground, &surface.plants, &surface.shapes];
            assert!(planes.iter().all(|plane| plane.data().iter().all(|v| (0.0..=1.0).contains(v))));
            assert!(surface.distance.data().iter().all(|v| v.is_finite()));
        }
    }
}
