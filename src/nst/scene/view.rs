//! How a frame shows the ground: ahead, from above, or not at all.

use crate::nst::picture::geometry::Size;
use crate::nst::scene::horizon::Horizon;
use crate::nst::scene::object::{ObjectKind, SceneObject};
use crate::nst::settings::SceneKind;

/// The focal length over the width of the picture: a horizontal field of view of 64 degrees, as of dashboard cameras.
pub const FOCAL: f32 = 0.8;

/// The metres that a picture from above is high where no car tells its scale.
const AERIAL_HEIGHT: f32 = 60.0;

/// How the ground is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// From a height of [`CAMERA`](crate::nst::scene::horizon::CAMERA) towards the horizon.
    Ahead(Horizon),
    /// From above. The number is how many metres of ground the height of the picture shows.
    Down(f32),
}

impl View {
    /// How the ground of a frame is seen, if there is one.
    pub fn of(kind: SceneKind, horizon: Horizon, has_sky: bool, objects: &[SceneObject], size: Size) -> Option<Self> {
        let down = || Self::Down(height_in_metres(objects, size));
        match kind {
            SceneKind::None => None,
            SceneKind::Road => Some(Self::Ahead(horizon)),
            SceneKind::Aerial => Some(down()),
            SceneKind::Auto if !has_sky && is_from_above(objects) => Some(down()),
            SceneKind::Auto => horizon.is_seen.then_some(Self::Ahead(horizon)),
        }
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
