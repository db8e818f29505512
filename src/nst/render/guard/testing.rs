//! Pictures and boxes for the guard's tests.

use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::render::guard::blend::ObjectShapes;
use crate::nst::render::guard::patch::Rect;
use crate::nst::scene::shape::Owners;
use crate::nst::testing::Random;

pub const SIZE: Size = Size { height: 90, width: 140 };

/// The most objects of a test.
const MOST_OBJECTS: usize = 32;

/// Shapes of objects that fill their boxes.
pub struct Everywhere {
    share: Plane,
    owners: Owners,
}

impl Everywhere {
    pub fn of(size: Size) -> Self {
        let is_known = vec![true; MOST_OBJECTS];
        Self { share: Plane::filled(size, 1.0), owners: Owners::new(size, &vec![None; size.pixels()], size, is_known) }
    }

    pub fn shapes(&self) -> ObjectShapes<'_> {
        ObjectShapes { share: &self.share, owners: &self.owners, air: None }
    }
}

pub fn map(picture: &Pixels, f: impl Fn(f32) -> f32) -> Pixels {
    Pixels::new(picture.size(), picture.data().iter().map(|&v| f(v)).collect())
}

/// `picture` behind a grey veil that lets `share` of it through.
pub fn veil(picture: &Pixels, share: f32) -> Pixels {
    map(picture, |v| v * share + 0.7 * (1.0 - share))
}

/// Rectangles of random colours over each other, with a little noise: edges, and surfaces that are not quite flat.
pub fn scene(random: &mut Random, size: Size) -> Pixels {
    let mut picture = Pixels::new(size, vec![0.5; size.pixels() * 3]);
    for _ in 0..60 {
        let rect = Rect::of(area(random, 0.4), size);
        let colour = [(); 3].map(|()| random.uniform());
        for y in rect.top..rect.bottom {
            for x in rect.left..rect.right {
                picture.data_mut()[(y * size.width + x) * 3..][..3].copy_from_slice(&colour);
            }
        }
    }
    picture.data_mut().iter_mut().for_each(|v| *v = ((*v * 0.9 + random.uniform() * 0.1) * 255.0).round() / 255.0);
    picture
}

/// Values in -0.2..1.2.
pub fn noise(random: &mut Random, size: Size) -> Pixels {
    Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform() * 1.4 - 0.2).collect())
}

/// A random area whose sides are at most `most` of the picture's, and which may touch its border.
fn area(random: &mut Random, most: f64) -> Area {
    let mut span = || {
        let (centre, side) = (f64::from(random.uniform()), f64::from(random.uniform()) * most);
        ((centre - side / 2.0).max(0.0), (centre + side / 2.0).min(1.0))
    };
    let ((left, right), (top, bottom)) = (span(), span());
    Area { left, top, right, bottom }
}

pub fn areas(random: &mut Random, count: usize) -> Vec<Area> {
    (0..count).map(|_| area(random, 0.4)).collect()
}

/// The area of these pixels of a picture of [`SIZE`].
pub fn at(left: usize, top: usize, width: usize, height: usize) -> Area {
    let (across, down) = (|x| x as f64 / SIZE.width as f64, |y| y as f64 / SIZE.height as f64);
    Area { left: across(left), top: down(top), right: across(left + width), bottom: down(top + height) }
}
