//! Sky, horizon and depth of a frame, found without a trained network.
//!
//! - [`Scene`]: sky, depth, ground and plants of one picture, as regions and the start need them
//! - [`sky`]: finds the sky
//! - [`regions`]: soft parts of a picture ([`regions::Regions`])
//! - [`object`]: labelled objects and their kinds
//! - [`surface`]: ground, plants, objects and distances, as effects need them; `horizon`, `ground`, `hidden` and
//!   `shape` find them
//! - [`view`]: how the ground is seen, and [`distance`]: how far everything is

pub mod distance;
mod ground;
mod hidden;
mod histogram;
pub mod horizon;
pub mod object;
pub mod regions;
pub mod shape;
pub mod sky;
pub mod surface;
mod upsample;
pub mod view;

use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::surface::Surface;
use std::ops::RangeInclusive;

/// The range of depths.
const DEPTHS: RangeInclusive<f32> = 0.5..=40.0;

/// The depth of each pixel; 1 is that of the ground at the bottom of the frame.
#[derive(Clone, Copy)]
pub struct Depths<'a> {
    /// In any unit.
    distances: &'a Plane,
    unit: f32,
}

impl<'a> Depths<'a> {
    pub fn of(scene: &'a Scene) -> Self {
        Self { distances: &scene.depth, unit: 1.0 }
    }

    pub fn of_surface(surface: &'a Surface) -> Self {
        Self { distances: &surface.distance, unit: surface.nearest }
    }

    /// The depths of row `y`.
    #[inline(always)]
    pub fn row(self, y: usize) -> impl Iterator<Item = f32> + 'a {
        let width = self.distances.size().width;
        self.distances.data()[y * width..][..width].iter().map(move |&v| Self::in_units(v, self.unit))
    }

    #[inline(always)]
    fn in_units(distance: f32, unit: f32) -> f32 {
        (distance / unit).clamp(*DEPTHS.start(), *DEPTHS.end())
    }
}

/// What regions and the start need to know of a frame, at one of its sizes.
pub struct Scene {
    /// The share of sky in each pixel, 0..1; `None` where no sky was found.
    pub sky: Option<Plane>,
    /// The distance from the camera; 1 is that of the ground at the bottom of the frame.
    pub depth: Plane,
    /// The share of ground, 0..1; `None` where nobody has looked for it.
    pub ground: Option<Plane>,
    /// The share of plants that are not ground, 0..1; `None` where nobody has looked for them.
    pub plants: Option<Plane>,
    /// The share of labelled objects, 0..1; `None` where nobody has looked for them.
    pub shapes: Option<Plane>,
}

impl Scene {
    /// No sky, and everything at a depth of 1.
    pub fn unknown(size: Size) -> Self {
        Self { sky: None, depth: Plane::filled(size, 1.0), ground: None, plants: None, shapes: None }
    }

    /// The scene with these surfaces, at any size.
    pub fn of(surface: &Surface, size: Size) -> Self {
        let sky = surface.has_sky.then(|| surface.sky.resized(size));
        let mut depth = surface.distance.resized(size);
        depth.data_mut().iter_mut().for_each(|v| *v = Depths::in_units(*v, surface.nearest));
        let [mut ground, mut plants, shapes] =
            [&surface.ground, &surface.plants, &surface.shapes].map(|part| part.resized(size));
        for n in 0..size.pixels() {
            let sky = sky.as_ref().map_or(0.0, |sky| sky.data()[n]);
            let ground = &mut ground.data_mut()[n];
            *ground = ground.min(1.0 - sky);
            let free = (1.0 - sky - *ground) * (1.0 - shapes.data()[n]);
            plants.data_mut()[n] *= free.max(0.0);
        }
        Self { sky, depth, ground: Some(ground), plants: Some(plants), shapes: Some(shapes) }
    }

    /// This scene for the same picture at another size.
    pub fn resized(&self, size: Size) -> Self {
        let parts = [&self.sky, &self.ground, &self.plants, &self.shapes];
        let [sky, ground, plants, shapes] = parts.map(|part| part.as_ref().map(|part| part.resized(size)));
        Self { sky, depth: self.depth.resized(size), ground, plants, shapes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::pixels::Pixels;
    use crate::nst::settings::SceneKind;

    const SIZE: Size = Size { height: 100, width: 160 };

    fn of(pixels: &Pixels, depth: Option<&Plane>) -> Scene {
        Scene::of(&Surface::of(pixels, &[], SceneKind::Auto, depth), SIZE)
    }

    #[test]
    fn the_ground_comes_nearer_towards_the_bottom_and_the_sky_is_far() {
        let data = (0..SIZE.pixels()).flat_map(|n| if n / SIZE.width < 40 { [0.9; 3] } else { [0.3; 3] });
        let scene = of(&Pixels::new(SIZE, data.collect()), None);
        let column: Vec<f32> = (0..SIZE.height).map(|y| scene.depth.at(y, 80)).collect();
        assert!(column[5] > 30.0 && column[99] < 1.5, "{column:?}");
        assert!(column[45..].windows(2).all(|rows| rows[1] <= rows[0] + 1e-3), "{column:?}");
    }

    #[test]
    fn a_known_depth_is_taken_in_any_unit() {
        let depth =
            |scale: f32| Plane::from_fn(Size { height: 50, width: 80 }, |y, _| scale * (100.0 - 2.0 * y as f32));
        let grey = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let [metres, units] = [1.0, 20.0].map(|scale| of(&grey, Some(&depth(scale))).depth);
        assert!(metres.data().iter().zip(units.data()).all(|(a, b)| (a - b).abs() < 1e-3));
        assert!(metres.at(99, 0) < metres.at(50, 0));
        let nothing = of(&grey, Some(&Plane::filled(SIZE, 0.0)));
        assert!(nothing.depth.data().iter().all(|&v| v == *DEPTHS.end()));
    }
}
