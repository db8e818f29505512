//! The soft shapes of labelled objects inside their boxes, so that an effect follows the object and shows no rectangle.

use crate::nst::picture::geometry::{Crop, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::histogram::Histogram;
use crate::nst::scene::object::{ObjectKind, SceneObject};

/// Bins of a histogram for each colour.
const BINS: usize = 6;

/// A box with a shorter side, in pixels, shows too little to learn colours from; its shape is an ellipse.
const LEAST_SIDE: usize = 8;

/// How far the colours count beside the place in the box.
const TRUST: f32 = 1.5;

/// For each pixel, the largest share that one of the objects has in it, 0..1. `luma` is that of `pixels`.
///
/// A pixel belongs to an object by its place in the box and by its colour, which is compared with the colours inside
/// the box and in a ring around it, as the first step of GrabCut does (Rother, Kolmogorov and Blake 2004). The edges
/// are those of the picture.
pub fn of_objects(pixels: &Pixels, luma: &Plane, objects: &[SceneObject]) -> Plane {
    let mut shapes = Plane::filled(pixels.size(), 0.0);
    for object in objects {
        match object.outline.as_slice() {
            [] => draw(pixels, object, &mut shapes),
            outline => fill(outline, &mut shapes),
        }
    }
    shapes.guided(luma, 2, 1e-3)
}

/// The pixels of a box and of the ring around it, which is a fifth of the box wide.
struct Window {
    inner: Crop,
    outer: Crop,
}

impl Window {
    /// `None` for a box without pixels.
    fn of(object: &SceneObject, size: Size) -> Option<Self> {
        let (rows, columns) = object.area.pixels(size);
        let (top, bottom, left, right) = (rows.start, rows.end, columns.start, columns.end);
        if top >= bottom || left >= right {
            return None;
        }
        let (high, wide) = ((bottom - top) / 5 + 1, (right - left) / 5 + 1);
        let crop = |top: usize, left: usize, bottom: usize, right: usize| Crop {
            top,
            left,
            height: bottom - top,
            width: right - left,
        };
        let outer = crop(
            top.saturating_sub(high),
            left.saturating_sub(wide),
            (bottom + high).min(size.height),
            (right + wide).min(size.width),
        );
        Some(Self { inner: crop(top, left, bottom, right), outer })
    }

    /// The share that a pixel at this place belongs to an object of this kind: a rounded box.
    fn prior(&self, kind: ObjectKind, y: usize, x: usize) -> f32 {
        let power = match kind {
            ObjectKind::Car | ObjectKind::LargeVehicle => 4.0,
            ObjectKind::TwoWheeler | ObjectKind::Person => 2.0,
            ObjectKind::Other => 3.0,
        };
        let from_centre = |at: usize, start: usize, length: usize| {
            ((at as f32 + 0.5 - start as f32) / length as f32 * 2.0 - 1.0).abs().powf(power)
        };
        let radius = (from_centre(y, self.inner.top, self.inner.height)
            + from_centre(x, self.inner.left, self.inner.width))
        .powf(1.0 / power);
        ((1.12 - radius) / 0.3).clamp(0.0, 1.0)
    }
}

impl Window {
    /// The share that a pixel belongs to an object of this kind whatever its colour: head and trunk of a person. A face
    /// may have the colour of the wall behind, and fog would cover it.
    fn core(&self, kind: ObjectKind, y: usize, x: usize) -> f32 {
        /// Half of the width, and where the trunk ends, as shares of half of the box, from its middle.
        const CORE: (f32, f32) = (0.42, 0.3);
        if kind != ObjectKind::Person {
            return 0.0;
        }
        let from_centre =
            |at: usize, start: usize, length: usize| (at as f32 + 0.5 - start as f32) / length as f32 * 2.0 - 1.0;
        let down = from_centre(y, self.inner.top, self.inner.height);
        let aside = from_centre(x, self.inner.left, self.inner.width) / CORE.0;
        let ellipse = ((1.05 - down.hypot(aside)) / 0.3).clamp(0.0, 1.0);
        ellipse * ((CORE.1 - down) / 0.3).clamp(0.0, 1.0)
    }
}

fn draw(pixels: &Pixels, object: &SceneObject, shapes: &mut Plane) {
    let Some(window) = Window::of(object, pixels.size()) else { return };
    let width = pixels.size().width;
    let (inner, outer) = (window.inner, window.outer);
    let columns = outer.left..outer.left + outer.width;
    let places: Vec<(usize, usize)> =
        (outer.top..outer.top + outer.height).flat_map(|y| columns.clone().map(move |x| (y, x))).collect();
    let prior: Vec<f32> = places.iter().map(|&(y, x)| window.prior(object.kind, y, x)).collect();
    let mut shares = prior.clone();
    if inner.height.min(inner.width) >= LEAST_SIDE {
        let colours: Vec<[f32; 3]> = places.iter().map(|&(y, x)| rgb(pixels, y * width + x)).collect();
        shares = by_colour(&colours, &prior, most_room(object.kind));
    }
    for (&(y, x), share) in places.iter().zip(shares) {
        let share = share.max(window.core(object.kind, y, x));
        let shape = &mut shapes.data_mut()[y * width + x];
        *shape = shape.max(share);
    }
}

/// Sets the pixels inside an outline to 1 (the even-odd rule, at the middles of pixels).
fn fill(outline: &[[f64; 2]], shapes: &mut Plane) {
    let Size { height, width } = shapes.size();
    for y in 0..height {
        let row = (y as f64 + 0.5) / height as f64;
        let sides = outline.iter().zip(outline.iter().cycle().skip(1));
        let crossed = sides.filter(|(a, b)| (a[1] <= row) != (b[1] <= row));
        let mut columns: Vec<f64> = crossed.map(|(a, b)| a[0] + (row - a[1]) / (b[1] - a[1]) * (b[0] - a[0])).collect();
        columns.sort_unstable_by(f64::total_cmp);
        for pair in columns.chunks_exact(2) {
            let column = |at: f64| ((at * width as f64 - 0.5).ceil().max(0.0) as usize).min(width);
            shapes.data_mut()[y * width..][column(pair[0])..column(pair[1])].fill(1.0);
        }
    }
}

/// The largest share of the rounded box that surroundings may fill around an object of this kind.
fn most_room(kind: ObjectKind) -> f32 {
    match kind {
        ObjectKind::Car | ObjectKind::LargeVehicle => 0.35,
        ObjectKind::TwoWheeler => 0.65,
        ObjectKind::Person | ObjectKind::Other => 0.7,
    }
}

/// The shares by place and colour. The rounded box holds the object's colours and, where the object leaves room, those
/// of its surroundings; what is left without the latter are the object's.
fn by_colour(colours: &[[f32; 3]], prior: &[f32], most_room: f32) -> Vec<f32> {
    let (mut inside, mut around) = (Histogram::<BINS>::filled(0.0), Histogram::<BINS>::filled(0.0));
    for (&rgb, prior) in colours.iter().zip(prior) {
        inside.add(&rgb, prior * prior);
        around.add(&rgb, (1.0 - prior).powi(4));
    }
    let (inside, around) = (inside.smoothed(), around.smoothed());
    let room = room(&inside, &around).min(most_room);
    let posterior = |(&rgb, &prior): (&[f32; 3], &f32)| {
        let outside = probability(&around, rgb);
        let own = (probability(&inside, rgb) - room * outside).max(0.0) / (1.0 - room);
        let ratio = (own / outside).clamp(0.05, 50.0).powf(TRUST);
        let prior = prior * (1.0 - 0.5 * room);
        let posterior = prior * ratio / (prior * ratio + 1.0 - prior).max(1e-6);
        // Most pixels are wholly the object's or not at all.
        ((posterior - 0.3) / 0.35).clamp(0.0, 1.0)
    };
    colours.iter().zip(prior).map(posterior).collect()
}

/// The share of the surroundings inside: how often their most frequent colours occur there, over how often around.
fn room(inside: &Histogram<BINS>, around: &Histogram<BINS>) -> f32 {
    let mut bins: Vec<(f32, f32)> = inside.counts().iter().copied().zip(around.counts().iter().copied()).collect();
    bins.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (mut own, mut other) = (0.0, 0.0);
    for (inner, outer) in bins {
        own += inner / inside.sum().max(1e-6);
        other += outer / around.sum().max(1e-6);
        if other > 0.6 {
            break;
        }
    }
    own / other.max(1e-6)
}

fn rgb(pixels: &Pixels, at: usize) -> [f32; 3] {
    [0, 1, 2].map(|channel| pixels.data()[at * 3 + channel])
}

/// The probability of a colour; never 0.
fn probability(colours: &Histogram<BINS>, rgb: [f32; 3]) -> f32 {
    let sum = colours.sum().max(1e-6);
    (colours.count(&rgb) + 1e-3 * sum) / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::testing::Random;

    const SIZE: Size = Size { height: 80, width: 120 };

    #[test]
    fn a_shape_follows_the_colours_of_its_object_and_not_the_box() {
        let mut random = Random(2);
        // A red disc of radius 18 on grey, in a box of 48 pixels.
        let inside = |y: usize, x: usize| (y as f32 - 40.0).hypot(x as f32 - 60.0) < 18.0;
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let v = 0.1 * random.uniform();
            if inside(n / SIZE.width, n % SIZE.width) { [0.7 + v, 0.1 + v, 0.1 + v] } else { [0.4 + v; 3] }
        });
        let pixels = Pixels::new(SIZE, data.collect());
        let area = Area { left: 36.0 / 120.0, top: 16.0 / 80.0, right: 84.0 / 120.0, bottom: 64.0 / 80.0 };
        let luma = Plane::luma(&pixels);
        let shape = of_objects(&pixels, &luma, &[SceneObject::new(area, ObjectKind::Car)]);
        assert!(shape.at(40, 60) > 0.85 && shape.at(30, 66) > 0.8, "{} {}", shape.at(40, 60), shape.at(30, 66));
        assert!(shape.at(20, 40) < 0.35 && shape.at(62, 82) < 0.35, "corners of the box");
        assert!(shape.at(5, 5) < 0.01 && shape.at(75, 110) < 0.01);
    }

    #[test]
    fn a_head_with_the_colours_of_the_wall_behind_belongs_to_its_person_and_to_no_car() {
        let mut random = Random(3);
        // A dark trunk below a head that looks like the wall.
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let v = 0.1 * random.uniform();
            let is_trunk = (30..70).contains(&(n / SIZE.width)) && (50..70).contains(&(n % SIZE.width));
            if is_trunk { [0.1 + v; 3] } else { [0.6 + v, 0.5 + v, 0.4 + v] }
        });
        let pixels = Pixels::new(SIZE, data.collect());
        let area = Area { left: 44.0 / 120.0, top: 14.0 / 80.0, right: 76.0 / 120.0, bottom: 72.0 / 80.0 };
        let head = |kind| of_objects(&pixels, &Plane::luma(&pixels), &[SceneObject::new(area, kind)]).at(21, 60);
        let (person, car) = (head(ObjectKind::Person), head(ObjectKind::Car));
        assert!(person > 0.7 && car < 0.5, "{person} {car}");
    }

    #[test]
    fn an_outline_is_the_shape_whatever_the_colours() {
        let pixels = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let triangle = vec![[0.2, 0.2], [0.8, 0.8], [0.2, 0.8]];
        let area = Area { left: 0.2, top: 0.2, right: 0.8, bottom: 0.8 };
        let object = SceneObject { outline: triangle, ..SceneObject::new(area, ObjectKind::Car) };
        let shape = of_objects(&pixels, &Plane::luma(&pixels), &[object]);
        assert!(shape.at(56, 36) > 0.99 && shape.at(24, 84) < 0.01, "{} {}", shape.at(56, 36), shape.at(24, 84));
        // Half of the box.
        assert!((shape.mean() - 0.18).abs() < 0.01, "{}", shape.mean());
        let beyond = vec![[-1.0, -1.0], [2.0, -1.0], [2.0, 2.0], [-1.0, 2.0]];
        let object = SceneObject { outline: beyond, ..SceneObject::new(area, ObjectKind::Car) };
        assert!(of_objects(&pixels, &Plane::luma(&pixels), &[object]).mean() > 0.999);
    }

    #[test]
    fn boxes_of_any_size_and_place_are_drawn() {
        let pixels = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let luma = Plane::luma(&pixels);
        for (left, top, right, bottom) in
            [(0.5, 0.5, 0.5001, 0.5001), (-0.2, -0.3, 1.4, 1.2), (0.99, 0.99, 1.0, 1.0), (0.0, 0.4, 0.02, 1.0)]
        {
            let object = SceneObject::new(Area { left, top, right, bottom }, ObjectKind::Other);
            assert!(of_objects(&pixels, &luma, &[object]).data().iter().all(|v| (-0.01..=1.01).contains(v)));
        }
    }
}
