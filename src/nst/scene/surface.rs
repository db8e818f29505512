//! The surfaces of a frame: sky, ground, plants, labelled objects and their distances. Effects of weather and light
//! read them.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::distance::{self, Distances};
use crate::nst::scene::hidden::unhidden;
use crate::nst::scene::horizon::{self, Horizon};
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::shape::Owners;
use crate::nst::scene::upsample::{LINES, upsampled};
use crate::nst::scene::view::View;
use crate::nst::scene::{ground, shape, sky};
use crate::nst::settings::SceneKind;

/// The long side, in pixels, of the picture that surfaces are found in.
const LONG_SIDE: usize = 320;

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
    /// Which object each pixel belongs to.
    pub owners: Owners,
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
        let found = shape::of_objects(&small, &luma, objects);
        let (horizon, sky) = horizon_and_sky(&small, &luma, &found.share, objects);
        let view = View::of(kind, horizon, sky.is_some(), objects, full);
        let sky = if matches!(view, Some(View::Down(_))) { None } else { sky };
        let plants = plants(&small, sky.as_ref());
        let border = border(view, &small, sky.as_ref(), &plants, objects);
        let ground = Plane::from_fn(size, |y, x| if y >= border[x] { 1.0 } else { 0.0 });
        let Distances { background, own, sky: behind, nearest } = match depth {
            Some(depth) => Distances::known(depth, &luma),
            None => Distances::guessed(&luma, view, &border, sky.as_ref(), &found, objects),
        };
        let lines = [
            (&found.share, 1),
            (sky.as_ref().unwrap_or(&found.share), 2),
            (&ground.guided(&luma, 6, 1e-3), 1),
            (&plants, 1),
            (&background, 2),
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
                let [solid, own] = [values[4], values[5]].map(|metres| metres.max(distance::LEAST));
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
            owners: Owners::new(size, &found.owner, frame.size(), found.is_known),
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
/// high. Fog goes on beneath it, too, but gets darker. `hidden` is the share of objects in each pixel.
fn horizon_and_sky(small: &Pixels, luma: &Plane, hidden: &Plane, objects: &[SceneObject]) -> (Horizon, Option<Plane>) {
    /// The least luma of clouds, and of haze above the horizon, as shares of the sky's.
    const LEAST: (f32, f32) = (0.9, 0.75);
    let sky = sky::find(small).filter(|sky| !sky::is_wall(small, sky, objects)).map(|mut sky| {
        sky.data_mut().iter_mut().zip(hidden.data()).for_each(|(sky, &shape)| *sky *= outside(shape));
        sky
    });
    // An outline may cover all of it, such as that of an object that is called sky.
    let sky = sky.filter(sky::is_large);
    let horizon = horizon::find(luma, sky.as_ref(), objects);
    let Some(sky) = sky else { return (horizon, None) };
    let whole = sky::down_to(1.0, LEAST.0, &sky, small, luma, hidden);
    let ends = sky::ends(&whole);
    if ends[ends.len() / 2] as f32 > horizon.row * luma.size().height as f32 {
        return (horizon::find(luma, Some(&whole), objects), Some(whole));
    }
    (horizon, Some(sky::down_to(horizon.row, LEAST.1, &sky, small, luma, hidden)))
}

/// The first row of ground in each column of the small picture.
fn border(
    view: Option<View>,
    small: &Pixels,
    sky: Option<&Plane>,
    plants: &Plane,
    objects: &[SceneObject],
) -> Vec<usize> {
    let size = small.size();
    match view {
        Some(View::Ahead(horizon)) => {
            let standing: Vec<_> = objects.iter().filter(|object| horizon::stands(object, horizon)).collect();
            unhidden(&ground::border(small, sky, plants, horizon, objects), &standing, size)
        }
        Some(View::Down(_)) => vec![0; size.width],
        None => vec![size.height; size.width],
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::scene::distance::distance_of_row;
    use crate::nst::scene::object::ObjectKind;
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
    fn a_sky_that_an_outline_covers_is_no_sky() {
        let size = Size { height: 90, width: 160 };
        let area = Area { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };
        let outline = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let covered = SceneObject { outline, ..SceneObject::new(area, ObjectKind::Other) };
        assert!(Surface::of(&road(size), &[], SceneKind::Road, None).has_sky);
        assert!(!Surface::of(&road(size), &[covered], SceneKind::Road, None).has_sky);
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
