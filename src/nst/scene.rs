//! What is where in a frame, as far as it can be told without a trained network: sky, horizon and depth.

pub mod regions;
pub mod sky;

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;

/// Where the horizon lies when no sky tells, as a share of the height from the top.
const HORIZON: f32 = 0.45;

/// Depth of the sky, and of the ground towards the horizon.
pub const FAR: f32 = 14.0;

/// The least and the most that what stands above the horizon is away: houses and trees line a street at its sides, and
/// end it in its middle.
const STANDING: (f32, f32) = (6.0, 10.0);

/// A frame's sky and depth.
pub struct Scene {
    /// How much of each pixel is sky, 0..1; `None` where none was found.
    pub sky: Option<Plane>,
    /// Distance from the camera in units of that of the ground at the frame's bottom, 1 to [`FAR`].
    pub depth: Plane,
}

impl Scene {
    /// Nothing found, everything near.
    pub fn unknown(size: Size) -> Self {
        Self { sky: None, depth: Plane::filled(size, 1.0) }
    }

    /// The same for a picture of another size.
    pub fn resized(&self, size: Size) -> Self {
        Self { sky: self.sky.as_ref().map(|sky| sky.resized(size)), depth: self.depth.resized(size) }
    }

    /// Looks at `pixels`, which have no letterbox bars. `depth`, where it is known, is of any scale, greater means further
    /// away, and 0 endlessly far.
    pub fn of(pixels: &Pixels, depth: Option<&Plane>) -> Self {
        let sky = sky::find(pixels);
        let depth = match depth {
            Some(depth) => measured(&depth.resized(pixels.size())),
            None => guessed(pixels, sky.as_ref()),
        };
        Self { sky, depth }
    }
}

/// A known depth in the scene's unit.
fn measured(depth: &Plane) -> Plane {
    let Size { height, width } = depth.size();
    let bottom = &depth.data()[(height - height.div_ceil(20)) * width..];
    let mut near: Vec<f32> = bottom.iter().copied().filter(|&v| v > 0.0).collect();
    near.sort_unstable_by(f32::total_cmp);
    let unit = near.get(near.len() / 2).copied().unwrap_or(1.0);
    Plane::from_fn(depth.size(), |y, x| match depth.at(y, x) / unit {
        v if v > 0.0 => v.clamp(0.5, FAR),
        _ => FAR,
    })
}

/// Flat ground up to the horizon, what stands above it at a street's distance, and the sky behind all.
fn guessed(pixels: &Pixels, sky: Option<&Plane>) -> Plane {
    let Size { height, width } = pixels.size();
    let horizon = sky.map_or(HORIZON, horizon);
    let depth = Plane::from_fn(pixels.size(), |y, x| {
        let row = (y as f32 + 0.5) / height as f32;
        let aside = ((x as f32 + 0.5) / width as f32 * 2.0 - 1.0).abs();
        // Similar triangles: the ground `r` rows below the horizon is `1 / r` away.
        let ground = (1.0 - horizon) / (row - horizon).max(1e-3);
        let standing = STANDING.1 + (STANDING.0 - STANDING.1) * aside;
        let solid = ground.clamp(1.0, standing);
        solid + sky.map_or(0.0, |sky| sky.at(y, x)) * (FAR - solid)
    });
    depth.guided(&Plane::luma(pixels), (height / 24).max(2), 3e-3)
}

/// Just below where most of the sky ends, within reason; a share of the height from the top.
pub fn horizon(sky: &Plane) -> f32 {
    let Size { height, width } = sky.size();
    let mut ends: Vec<usize> =
        (0..width).map(|x| (0..height).rev().find(|&y| sky.at(y, x) > 0.5).unwrap_or(0)).collect();
    ends.sort_unstable();
    (ends[width * 9 / 10] as f32 / height as f32 + 0.02).clamp(0.25, 0.6)
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
    fn a_known_depth_of_any_scale_is_taken() {
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
