//! Sky, horizon and depth of a frame, found without a trained network.
//!
//! - [`Scene`]: sky and depth of one picture, as the optimizer's start needs them
//! - [`sky`]: finds the sky
//! - [`regions`]: soft parts of a picture ([`regions::Regions`])
//! - [`object`]: labelled objects and their kinds
//! - [`surface`]: ground, plants, objects and distances, as effects need them; `horizon`, `ground` and `shape` find
//!   them

mod ground;
mod histogram;
pub mod horizon;
pub mod object;
pub mod regions;
mod shape;
pub mod sky;
pub mod surface;

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::surface::Surface;

/// The horizon of a picture without a sky, as a share of the height from the top.
const HORIZON: f32 = 0.45;

/// The depth of the sky, and the greatest depth of all.
pub const FAR: f32 = 14.0;

/// The greatest depth where the distances of surfaces are known.
const FARTHEST: f32 = 40.0;

/// The depth of what stands above the horizon, at the sides of the picture and in its middle: houses and trees line a
/// street and end it.
const STANDING: (f32, f32) = (6.0, 10.0);

/// A frame's sky and depth.
pub struct Scene {
    /// The share of sky in each pixel, 0..1; `None` where no sky was found.
    pub sky: Option<Plane>,
    /// The distance from the camera; 1 is that of the ground at the bottom of the frame.
    pub depth: Plane,
    /// The share of ground, 0..1; `None` where nobody has looked for it.
    pub ground: Option<Plane>,
    /// The share of plants that are not ground, 0..1; `None` where nobody has looked for them.
    pub plants: Option<Plane>,
}

impl Scene {
    /// No sky, and everything at a depth of 1.
    pub fn unknown(size: Size) -> Self {
        Self { sky: None, depth: Plane::filled(size, 1.0), ground: None, plants: None }
    }

    /// This scene for the same picture at another size.
    pub fn resized(&self, size: Size) -> Self {
        let [sky, ground, plants] =
            [&self.sky, &self.ground, &self.plants].map(|part| part.as_ref().map(|part| part.resized(size)));
        Self { sky, depth: self.depth.resized(size), ground, plants }
    }

    /// The scene of `pixels`, which must have no letterbox bars. A known `depth` may have any unit and size; greater is
    /// farther, and 0 is infinitely far.
    pub fn of(pixels: &Pixels, depth: Option<&Plane>) -> Self {
        let sky = sky::find(pixels);
        let depth = match depth {
            Some(depth) => rescaled(&depth.resized(pixels.size())),
            None => estimated(pixels, sky.as_ref()),
        };
        Self { sky, depth, ground: None, plants: None }
    }
}

impl Scene {
    /// This scene with what `surface`, which is that of the same picture, knows: ground, plants, distances, and that no
    /// labelled object is sky.
    pub fn with_surface(mut self, surface: &Surface) -> Self {
        let size = self.depth.size();
        let shapes = surface.shapes.resized(size);
        if let Some(sky) = &mut self.sky {
            sky.data_mut().iter_mut().zip(shapes.data()).for_each(|(sky, &shape)| *sky *= surface::outside(shape));
        }
        if let Some(nearest) = surface.nearest() {
            self.depth = surface.distance.resized(size);
            self.depth.data_mut().iter_mut().for_each(|v| *v = (*v / nearest).clamp(0.5, FARTHEST));
        }
        let (mut ground, mut plants) = (surface.ground.resized(size), surface.plants.resized(size));
        for n in 0..size.pixels() {
            let sky = self.sky.as_ref().map_or(0.0, |sky| sky.data()[n]);
            let ground = &mut ground.data_mut()[n];
            *ground = ground.min(1.0 - sky);
            let free = (1.0 - sky - *ground) * (1.0 - shapes.data()[n]);
            plants.data_mut()[n] *= free.max(0.0);
        }
        (self.ground, self.plants) = (Some(ground), Some(plants));
        self
    }
}

/// A known depth in the unit of [`Scene::depth`].
fn rescaled(depth: &Plane) -> Plane {
    let unit = surface::nearest_of(depth);
    Plane::from_fn(depth.size(), |y, x| match depth.at(y, x) / unit {
        v if v > 0.0 => v.clamp(0.5, FAR),
        _ => FAR,
    })
}

/// The depth of flat ground up to the horizon, of what stands above it at a street's distance, and of the sky behind.
fn estimated(pixels: &Pixels, sky: Option<&Plane>) -> Plane {
    let Size { height, width } = pixels.size();
    let horizon = sky.map_or(HORIZON, horizon);
    let depth = Plane::from_fn(pixels.size(), |y, x| {
        let row = (y as f32 + 0.5) / height as f32;
        let aside = ((x as f32 + 0.5) / width as f32 * 2.0 - 1.0).abs();
        // By similar triangles, the depth of the ground `r` rows below the horizon goes with `1 / r`.
        let ground = (1.0 - horizon) / (row - horizon).max(1e-3);
        let standing = STANDING.1 + (STANDING.0 - STANDING.1) * aside;
        let solid = ground.clamp(1.0, standing);
        solid + sky.map_or(0.0, |sky| sky.at(y, x)) * (FAR - solid)
    });
    depth.guided(&Plane::luma(pixels), (height / 24).max(2), 3e-3)
}

/// The row just below the end of the sky in nine of ten columns, as a share of the height from the top, 0.25..=0.6.
pub fn horizon(sky: &Plane) -> f32 {
    let ends = sky::ends(sky);
    let last = ends[ends.len() * 9 / 10].saturating_sub(1);
    (last as f32 / sky.size().height as f32 + 0.02).clamp(0.25, 0.6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 100, width: 160 };

    #[test]
    fn the_ground_comes_nearer_towards_the_bottom_and_the_sky_is_far() {
        let data = (0..SIZE.pixels()).flat_map(|n| if n / SIZE.width < 40 { [0.9; 3] } else { [0.3; 3] });
        let scene = Scene::of(&Pixels::new(SIZE, data.collect()), None);
        let column: Vec<f32> = (0..SIZE.height).map(|y| scene.depth.at(y, 80)).collect();
        assert!(column[5] > 0.95 * FAR && column[99] < 1.5, "{column:?}");
        assert!(column[45..].windows(2).all(|rows| rows[1] <= rows[0] + 1e-3), "{column:?}");
    }

    #[test]
    fn a_known_depth_is_taken_in_any_unit() {
        let depth =
            |scale: f32| Plane::from_fn(Size { height: 50, width: 80 }, |y, _| scale * (100.0 - 2.0 * y as f32));
        let grey = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let [metres, units] = [1.0, 20.0].map(|scale| Scene::of(&grey, Some(&depth(scale))).depth);
        assert!(metres.data().iter().zip(units.data()).all(|(a, b)| (a - b).abs() < 1e-3));
        assert!(metres.at(99, 0) < metres.at(50, 0));
        let nothing = Scene::of(&grey, Some(&Plane::filled(SIZE, 0.0)));
        assert!(nothing.depth.data().iter().all(|&v| v == FAR));
    }
}
