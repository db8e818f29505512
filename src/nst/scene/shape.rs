//! The soft shapes of labelled objects inside their boxes, so that an effect follows the object and shows no rectangle.

use crate::nst::picture::flood::patches;
use crate::nst::picture::geometry::{Crop, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::histogram::Histogram;
use crate::nst::scene::object::{ObjectKind, SceneObject};
use std::ops::Range;

/// How often colours occur.
type Colours = Histogram<12>;

/// A box with a shorter side, in pixels, shows too little to learn colours from; its shape is an ellipse.
const LEAST_SIDE: usize = 8;

/// How often the colours are learned: from the rounded box, then from the shape that was found.
const ROUNDS: usize = 3;

/// How often a pixel follows its neighbours in each round.
const STEPS: usize = 5;

/// How much two neighbours of one colour pull each other to the same side, as a logarithm of odds.
const SMOOTHNESS: f32 = 1.2;

/// The logarithm of the odds of a pixel that cannot be an object's.
const NEVER: f32 = -1e3;

/// The shapes of all objects of a picture.
pub struct Shapes {
    /// For each pixel, the largest share that one of the objects has in it, 0..1.
    pub share: Plane,
    /// For each pixel, the number of the object with that share, where any has one.
    pub owner: Vec<Option<usize>>,
    /// For each object, whether its shape was found or given. Others have a rounded box.
    pub is_known: Vec<bool>,
}

/// The shapes of the objects of `pixels`, whose luma is `luma`.
///
/// A pixel belongs to an object by its place in the box, by its colour, and by its neighbours of the same colour. The
/// colours are those inside the box and in a ring around it, learned anew from the shape that they lead to, as in GrabCut
/// (Rother, Kolmogorov and Blake 2004); in place of its minimum cut stands the mean field of the same energy, which is
/// soft. The edges are those of the picture.
pub fn of_objects(pixels: &Pixels, luma: &Plane, objects: &[SceneObject]) -> Shapes {
    let size = pixels.size();
    let is_known = objects.iter().map(|object| !object.outline.is_empty() || is_large(object, size)).collect();
    let mut shapes = Shapes { share: Plane::filled(size, 0.0), owner: vec![None; size.pixels()], is_known };
    let boxes = boxes(size, objects);
    // The nearest last: where two have the same share, it hides the other.
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by(|&a, &b| objects[a].area.bottom.total_cmp(&objects[b].area.bottom));
    for number in order {
        let object = &objects[number];
        match object.outline.as_slice() {
            [] => draw(pixels, &boxes, object, |at, share| shapes.add(at, number, share)),
            outline => fill(outline, size, |at| shapes.add(at, number, 1.0)),
        }
    }
    shapes.share = shapes.share.guided(luma, 1, 1e-3);
    shapes
}

/// Which object each pixel of a frame belongs to, as found in a small picture.
pub struct Owners {
    small: Size,
    full: Size,
    /// By pixel of the small picture.
    owners: Vec<Option<u32>>,
    /// By column of the frame: that of the small picture.
    columns: Vec<u32>,
    /// By object: whether its shape is known.
    is_known: Vec<bool>,
}

impl Owners {
    /// `owners` are those of the pixels of a picture of the size `small`, for a frame of the size `full`; `is_known` says of
    /// each object whether its shape is known.
    ///
    /// # Panics
    /// When not each pixel has an owner or none.
    pub fn new(small: Size, owners: &[Option<usize>], full: Size, is_known: Vec<bool>) -> Self {
        assert_eq!(small.pixels(), owners.len(), "each pixel has an owner or none");
        let owners = owners.iter().map(|owner| owner.map(|number| number as u32)).collect();
        let columns = (0..full.width).map(|x| (x * small.width / full.width) as u32).collect();
        Self { small, full, owners, columns, is_known }
    }

    /// Whether the shape of this object is known. Others have a rounded box.
    pub fn knows_shape(&self, object: usize) -> bool {
        self.is_known[object]
    }

    /// Whether each of these columns of row `y` of the frame belongs to this object or to none.
    pub fn may_belong_to(&self, object: usize, y: usize, columns: Range<usize>) -> impl Iterator<Item = bool> {
        let row = &self.owners[y * self.small.height / self.full.height * self.small.width..][..self.small.width];
        self.columns[columns].iter().map(move |&x| row[x as usize].is_none_or(|owner| owner == object as u32))
    }
}

impl Shapes {
    fn add(&mut self, at: usize, object: usize, share: f32) {
        let largest = &mut self.share.data_mut()[at];
        if share > 0.0 && share >= *largest {
            (*largest, self.owner[at]) = (share, Some(object));
        }
    }
}

/// How many boxes cover each pixel.
fn boxes(size: Size, objects: &[SceneObject]) -> Vec<u16> {
    let mut boxes = vec![0u16; size.pixels()];
    for object in objects {
        let (rows, columns) = object.area.pixels(size);
        for y in rows {
            boxes[y * size.width..][columns.clone()].iter_mut().for_each(|count| *count = count.saturating_add(1));
        }
    }
    boxes
}

/// A box, and the pixels that tell what it holds.
struct BoxCrop {
    inner: Crop,
    /// The box and the little beyond it that an object may reach.
    reach: Crop,
    /// The box with a ring around it: half of the box at the sides, where the background is that behind the object, and a
    /// quarter above and below.
    outer: Crop,
}

impl BoxCrop {
    /// `None` for a box without pixels.
    fn of(object: &SceneObject, size: Size) -> Option<Self> {
        let (rows, columns) = object.area.pixels(size);
        let (top, bottom, left, right) = (rows.start, rows.end, columns.start, columns.end);
        if top >= bottom || left >= right {
            return None;
        }
        let (height, width) = (bottom - top, right - left);
        let with_margin = |high: usize, wide: usize| {
            let (above, aside) = (top.saturating_sub(high), left.saturating_sub(wide));
            let (below, beyond) = ((bottom + high).min(size.height), (right + wide).min(size.width));
            Crop { top: above, left: aside, height: below - above, width: beyond - aside }
        };
        Some(Self {
            inner: with_margin(0, 0),
            reach: with_margin(height / 16 + 1, width / 16 + 1),
            outer: with_margin(height / 4 + 2, width / 2 + 2),
        })
    }

    /// The place in the box from its middle: -1 at the upper and left sides, 1 at the lower and right ones.
    fn place_in_box(&self, (y, x): (usize, usize)) -> (f32, f32) {
        let from =
            |at: usize, start: usize, length: usize| (at as f32 + 0.5 - start as f32) / length as f32 * 2.0 - 1.0;
        (from(y, self.inner.top, self.inner.height), from(x, self.inner.left, self.inner.width))
    }

    /// The share that a pixel at this place belongs to an object of this kind: a rounded box. Wheels and feet stand near
    /// its lower corners.
    fn prior(&self, kind: ObjectKind, place: (usize, usize)) -> f32 {
        let (down, aside) = self.place_in_box(place);
        let is_lower = down > 0.0;
        let (down, aside) = (down.abs(), aside.abs());
        let radius = match kind {
            ObjectKind::TwoWheeler | ObjectKind::Person if !is_lower => down.hypot(aside),
            ObjectKind::Car | ObjectKind::LargeVehicle | ObjectKind::TwoWheeler => rounded(down, aside),
            ObjectKind::Person | ObjectKind::Other => (down.powi(3) + aside.powi(3)).cbrt(),
        };
        ((1.12 - radius) / 0.3).clamp(0.0, 1.0)
    }

    /// The share that a pixel belongs to an object of this kind whatever its colour: head and trunk of a person, and the
    /// lower half of a vehicle. A face may have the colour of the wall behind, and dark wheels that of the road, and fog
    /// would cover them.
    fn core(&self, kind: ObjectKind, place: (usize, usize)) -> f32 {
        /// Half of the width of head and trunk, and where the trunk ends, as shares of half of the box, from its middle.
        const TRUNK: (f32, f32) = (0.42, 0.3);
        let (down, aside) = self.place_in_box(place);
        match kind {
            ObjectKind::Person => {
                let ellipse = ((1.05 - down.hypot(aside / TRUNK.0)) / 0.3).clamp(0.0, 1.0);
                ellipse * ((TRUNK.1 - down) / 0.3).clamp(0.0, 1.0)
            }
            ObjectKind::Car | ObjectKind::LargeVehicle => {
                let radius = rounded(down, aside);
                // Above a bonnet or the bed of a truck, the sky is seen.
                ((1.0 - radius) / 0.3).clamp(0.0, 1.0) * ((down + 0.1) / 0.3).clamp(0.0, 1.0)
            }
            ObjectKind::TwoWheeler | ObjectKind::Other => 0.0,
        }
    }
}

/// How far a place is from the middle of a rounded box, whose border is at 1.
fn rounded(down: f32, aside: f32) -> f32 {
    (down.powi(4) + aside.powi(4)).sqrt().sqrt()
}

/// The rows and columns of a crop, row by row.
fn places(crop: Crop) -> impl Iterator<Item = (usize, usize)> {
    let Crop { top, left, height, width } = crop;
    (top..top + height).flat_map(move |y| (left..left + width).map(move |x| (y, x)))
}

fn contains(crop: Crop, (y, x): (usize, usize)) -> bool {
    (crop.top..crop.top + crop.height).contains(&y) && (crop.left..crop.left + crop.width).contains(&x)
}

/// Whether an object has enough pixels for its shape to be found.
fn is_large(object: &SceneObject, size: Size) -> bool {
    let (rows, columns) = object.area.pixels(size);
    rows.len().min(columns.len()) >= LEAST_SIDE
}

/// Finds the shape of `object` and gives `add` its share in each pixel.
fn draw(pixels: &Pixels, boxes: &[u16], object: &SceneObject, mut add: impl FnMut(usize, f32)) {
    let Some(window) = BoxCrop::of(object, pixels.size()) else { return };
    let width = pixels.size().width;
    let mut shares: Vec<f32> = places(window.reach).map(|place| window.prior(object.kind, place)).collect();
    let core: Vec<f32> = places(window.reach).map(|place| window.core(object.kind, place)).collect();
    if is_large(object, pixels.size()) {
        shares = Cutout::of(pixels, boxes, &window, &shares, &core).shares(most_room(object.kind));
    }
    for (((y, x), share), core) in places(window.reach).zip(shares).zip(core) {
        add(y * width + x, share.max(core));
    }
}

/// Gives `add` the pixels inside an outline (the even-odd rule, at the middles of pixels).
fn fill(outline: &[[f64; 2]], size: Size, mut add: impl FnMut(usize)) {
    let Size { height, width } = size;
    for y in 0..height {
        let row = (y as f64 + 0.5) / height as f64;
        let sides = outline.iter().zip(outline.iter().cycle().skip(1));
        let crossed = sides.filter(|(a, b)| (a[1] <= row) != (b[1] <= row));
        let mut columns: Vec<f64> = crossed.map(|(a, b)| a[0] + (row - a[1]) / (b[1] - a[1]) * (b[0] - a[0])).collect();
        columns.sort_unstable_by(f64::total_cmp);
        for pair in columns.chunks_exact(2) {
            let column = |at: f64| ((at * width as f64 - 0.5).ceil().max(0.0) as usize).min(width);
            (column(pair[0])..column(pair[1])).for_each(|x| add(y * width + x));
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

/// One object about to be cut out of its surroundings. Each list has a number for each pixel that the object may reach.
struct Cutout<'a> {
    window: &'a BoxCrop,
    /// The bins of the pixels' colours.
    bins: Vec<usize>,
    /// The shares by place.
    prior: &'a [f32],
    core: &'a [f32],
    /// How much each pixel counts as background where it is not the object's.
    counts: Vec<f32>,
    /// The colours of the ring, which no shape changes.
    ring: Surroundings,
    neighbours: Neighbours,
}

impl<'a> Cutout<'a> {
    fn of(pixels: &Pixels, boxes: &[u16], window: &'a BoxCrop, prior: &'a [f32], core: &'a [f32]) -> Self {
        let width = pixels.size().width;
        let colour = |(y, x): (usize, usize)| &pixels.data()[(y * width + x) * 3..][..3];
        let count = |place: (usize, usize)| {
            // Other objects say little about the background.
            let own = u16::from(contains(window.inner, place));
            if boxes[place.0 * width + place.1] > own { 0.1 } else { 1.0 }
        };
        let mut ring = Surroundings::new(window);
        for place in places(window.outer).filter(|&place| !contains(window.reach, place)) {
            ring.add(place.0, Colours::bin(colour(place)), count(place));
        }
        Self {
            window,
            bins: places(window.reach).map(|place| Colours::bin(colour(place))).collect(),
            prior,
            core,
            counts: places(window.reach).map(count).collect(),
            ring,
            neighbours: Neighbours::of(&places(window.reach).map(colour).collect::<Vec<_>>(), window.reach.width),
        }
    }

    /// The share of the object in each pixel.
    fn shares(&self, most_room: f32) -> Vec<f32> {
        let inside = self.inside(self.prior);
        let around = self.around(self.prior);
        // The rounded box holds the object's colours and, where the object leaves room, those of its surroundings; what
        // is left without the latter are the object's.
        let room = room(&inside, &around.all).min(most_room);
        let by_place = self.by_place(1.0 - 0.5 * room);
        let odds = self.odds(&by_place, &around, |bin, outside| {
            (probability(&inside, bin) - room * outside).max(0.0) / (1.0 - room)
        });
        let mut shares = self.neighbours.settle(&odds);
        for _ in 1..ROUNDS {
            let inside = self.inside(&shares);
            let odds = self.odds(&by_place, &self.around(&shares), |bin, _| probability(&inside, bin));
            shares = self.neighbours.settle(&odds);
        }
        without_scraps(shares, self.window.reach.size())
    }

    /// The logarithm of the odds by place. No pixel outside of the rounded box is the object's.
    fn by_place(&self, scale: f32) -> Vec<f32> {
        /// What the core of an object adds.
        const CORE: f32 = 2.5;
        let odds = |(&prior, &core): (&f32, &f32)| {
            let share = (prior * scale).clamp(0.002, 0.97);
            if prior > 0.0 { (share / (1.0 - share)).ln() + CORE * core } else { NEVER }
        };
        self.prior.iter().zip(self.core).map(odds).collect()
    }

    /// The colours of the object, given its shares.
    fn inside(&self, shares: &[f32]) -> Colours {
        let mut inside = Colours::filled(0.0);
        self.bins.iter().zip(shares).for_each(|(&bin, share)| inside.add_to(bin, share * share));
        inside.smoothed()
    }

    /// The colours of its surroundings, given its shares.
    fn around(&self, shares: &[f32]) -> Surroundings {
        let mut around = self.ring.clone();
        let weights = self.counts.iter().zip(shares).map(|(count, share)| count * (1.0 - share).powi(3));
        for (((y, _), &bin), weight) in places(self.window.reach).zip(&self.bins).zip(weights) {
            around.add(y, bin, weight);
        }
        around.smoothed()
    }

    /// The logarithm of the odds by place and colour. `own` gives the probability of a colour on the object, from its bin
    /// and its probability around the object.
    fn odds(&self, by_place: &[f32], around: &Surroundings, own: impl Fn(usize, f32) -> f32) -> Vec<f32> {
        let odds = |(((y, _), &bin), &by_place): (((usize, usize), &usize), &f32)| {
            let outside = around.probability(y, bin);
            by_place + (own(bin, outside) / outside).clamp(0.05, 20.0).ln()
        };
        places(self.window.reach).zip(&self.bins).zip(by_place).map(odds).collect()
    }
}

/// The shares of an object without small patches that nothing joins to its largest part: things of its colours behind it.
fn without_scraps(mut shares: Vec<f32>, size: Size) -> Vec<f32> {
    /// The least share of a patch's pixels.
    const LEAST: f32 = 0.3;
    /// A patch that is smaller than this part of the largest one is no part of the object.
    const SMALL: usize = 25;
    let patches = patches(shares.len(), |at| size.beside(at), |at| shares[at] > LEAST);
    let largest = patches.iter().map(Vec::len).max().unwrap_or(0);
    for patch in patches.into_iter().filter(|patch| patch.len() * SMALL < largest) {
        patch.into_iter().for_each(|at| shares[at] = 0.0);
    }
    shares
}

/// The colours around an object: all of them, and those of bands of rows. A person before a hill has sky beside the head
/// and a road beside the feet.
#[derive(Clone)]
struct Surroundings {
    all: Colours,
    bands: Vec<Colours>,
    top: usize,
    height: usize,
}

impl Surroundings {
    const BANDS: usize = 5;

    /// How much the band of a pixel's row counts beside all rows.
    const LOCAL: f32 = 0.8;

    /// How many pixels of the colours of all rows a band begins with.
    const SHARED: f32 = 20.0;

    fn new(window: &BoxCrop) -> Self {
        let Crop { top, height, .. } = window.inner;
        Self { all: Colours::filled(0.0), bands: vec![Colours::filled(0.0); Self::BANDS], top, height }
    }

    /// The two bands around a row, and the share of the second.
    fn bands(&self, y: usize) -> (usize, usize, f32) {
        let last = Self::BANDS - 1;
        let at = (y as f32 + 0.5 - self.top as f32) / self.height as f32 * Self::BANDS as f32 - 0.5;
        let at = at.clamp(0.0, last as f32);
        (at as usize, (at as usize + 1).min(last), at.fract())
    }

    fn add(&mut self, y: usize, bin: usize, weight: f32) {
        let (above, below, share) = self.bands(y);
        self.all.add_to(bin, weight);
        self.bands[above].add_to(bin, weight * (1.0 - share));
        self.bands[below].add_to(bin, weight * share);
    }

    fn smoothed(self) -> Self {
        let all = self.all.smoothed();
        let bands = self.bands.into_iter().map(|band| band.smoothed().with(&all, Self::SHARED)).collect();
        Self { all, bands, ..self }
    }

    /// The probability of a colour in row `y`; never 0.
    fn probability(&self, y: usize, bin: usize) -> f32 {
        let (above, below, share) = self.bands(y);
        let [above, below] = [above, below].map(|band| probability(&self.bands[band], bin));
        (1.0 - Self::LOCAL) * probability(&self.all, bin) + Self::LOCAL * (above + share * (below - above))
    }
}

/// How much each pixel is like the next one to the right and below; 0 at the sides. A row of zeros stands before both.
struct Neighbours {
    right: Vec<f32>,
    below: Vec<f32>,
    width: usize,
}

impl Neighbours {
    fn of(colours: &[&[f32]], width: usize) -> Self {
        let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let to_right = |at: usize| (at % width + 1 < width).then(|| difference(colours[at], colours[at + 1]));
        let to_below = |at: usize| colours.get(at + width).map(|below| difference(colours[at], below));
        let differences = (0..colours.len()).flat_map(|at| [to_right(at), to_below(at)]).flatten();
        let (sum, count) = differences.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        let usual = 2.0 * sum / f32::max(count, 1.0) + 1e-4;
        let alike = |difference: Option<f32>| difference.map_or(0.0, |value| SMOOTHNESS * (-value / usual).exp());
        let padded = |of: &dyn Fn(usize) -> Option<f32>| {
            std::iter::repeat_n(0.0, width).chain((0..colours.len()).map(|at| alike(of(at)))).collect()
        };
        Self { right: padded(&to_right), below: padded(&to_below), width }
    }

    /// The shares that belong to these logarithms of odds, where each pixel also follows its neighbours: some steps
    /// towards the mean field of the Ising model, `s = sigmoid(odds + sum w (2 s' - 1))`.
    fn settle(&self, odds: &[f32]) -> Vec<f32> {
        let (width, count) = (self.width, odds.len());
        let (right, left) = (&self.right[width..], &self.right[width - 1..][..count]);
        let (below, above) = (&self.below[width..], &self.below[..count]);
        // 2 s - 1 of each pixel, between two rows of zeros.
        let mut sides = vec![0.0; count + 2 * width];
        sides[width..][..count].iter_mut().zip(odds).for_each(|(side, &odds)| *side = tanh(0.5 * odds));
        for _ in 0..STEPS {
            let before = sides.clone();
            let [to_right, to_left, to_below, to_above] =
                [width + 1, width - 1, 2 * width, 0].map(|from| &before[from..][..count]);
            for at in 0..count {
                let pull = right[at] * to_right[at] + left[at] * to_left[at];
                let pull = pull + below[at] * to_below[at] + above[at] * to_above[at];
                sides[width + at] = tanh(0.5 * (odds[at] + pull));
            }
        }
        sides[width..][..count].iter().map(|side| 0.5 * (1.0 + side)).collect()
    }
}

/// The hyperbolic tangent, within 0.024: a continued fraction of Lambert.
fn tanh(v: f32) -> f32 {
    let v = v.clamp(-3.0, 3.0);
    v * (27.0 + v * v) / (27.0 + 9.0 * v * v)
}

/// The share of the surroundings inside: how often their most frequent colours occur there, over how often around.
fn room(inside: &Colours, around: &Colours) -> f32 {
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

/// The probability of a colour, by its bin; never 0.
fn probability(colours: &Colours, bin: usize) -> f32 {
    let sum = colours.sum().max(1e-6);
    (colours.counts()[bin] + 1e-3 * sum) / sum
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
        let shape = of_objects(&pixels, &luma, &[SceneObject::new(area, ObjectKind::Car)]).share;
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
        let head = |kind| of_objects(&pixels, &Plane::luma(&pixels), &[SceneObject::new(area, kind)]).share.at(21, 60);
        let (person, car) = (head(ObjectKind::Person), head(ObjectKind::Car));
        assert!(person > 0.7 && car < 0.5, "{person} {car}");
    }

    #[test]
    fn the_lower_half_of_a_truck_belongs_to_it_also_where_it_looks_like_the_road() {
        let mut random = Random(4);
        // A yellow body above wheels and a chassis as grey as the road; sky above the rear half of the bed.
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let v = 0.1 * random.uniform();
            match (n / SIZE.width, n % SIZE.width) {
                (20..42, 36..60) | (34..42, 60..84) => [0.8 + v, 0.7 + v, 0.1 + v],
                (y, _) if y < 42 => [0.8 + v, 0.85 + v, 0.9 + v],
                _ => [0.3 + v; 3],
            }
        });
        let pixels = Pixels::new(SIZE, data.collect());
        let area = Area { left: 36.0 / 120.0, top: 20.0 / 80.0, right: 84.0 / 120.0, bottom: 60.0 / 80.0 };
        let truck = [SceneObject::new(area, ObjectKind::LargeVehicle)];
        let shape = of_objects(&pixels, &Plane::luma(&pixels), &truck).share;
        let least =
            (46..56).flat_map(|y| (44..76).map(move |x| (y, x))).map(|(y, x)| shape.at(y, x)).fold(1.0, f32::min);
        assert!(least > 0.6, "{least}");
        assert!(shape.at(25, 72) < 0.3, "sky: {}", shape.at(25, 72));
    }

    /// Sky beside the head and asphalt beside the feet. The clothes have a colour of their own.
    #[test]
    fn what_is_beside_an_object_in_the_same_rows_is_background() {
        let mut random = Random(7);
        let is_person = |y: usize, x: usize| (20..60).contains(&y) && (54..66).contains(&x);
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let v = 0.08 * random.uniform();
            match (n / SIZE.width, n % SIZE.width) {
                (y, x) if is_person(y, x) => [0.2 + v, 0.5 + v, 0.2 + v],
                (y, _) if y < 42 => [0.75 + v, 0.85 + v, 0.9 + v],
                _ => [0.35 + v; 3],
            }
        });
        let pixels = Pixels::new(SIZE, data.collect());
        let area = Area { left: 44.0 / 120.0, top: 16.0 / 80.0, right: 76.0 / 120.0, bottom: 62.0 / 80.0 };
        let shape = of_objects(&pixels, &Plane::luma(&pixels), &[SceneObject::new(area, ObjectKind::Other)]).share;
        let (mut own, mut beside) = (0.0, 0.0);
        let rows = 22..58;
        for y in rows.clone() {
            own += (56..64).map(|x| shape.at(y, x)).sum::<f32>();
            beside += (46..51).chain(69..74).map(|x| shape.at(y, x)).sum::<f32>();
        }
        let (own, beside) = (own / (rows.len() * 8) as f32, beside / (rows.len() * 10) as f32);
        assert!(own > 0.9 && beside < 0.1, "{own} {beside}");
    }

    #[test]
    fn small_patches_apart_from_an_object_are_none_of_it() {
        let size = Size { height: 20, width: 30 };
        // The object, one of its parts that stands apart, and a scrap of the background.
        let share = |n: usize| match (n / size.width, n % size.width) {
            (2..18, 4..14) => 0.9,
            (4..10, 20..24) => 0.8,
            (15..17, 22..24) => 0.7,
            _ => 0.1,
        };
        let shares: Vec<f32> = (0..size.pixels()).map(share).collect();
        let left = without_scraps(shares.clone(), size);
        let gone: Vec<usize> = (0..shares.len()).filter(|&at| left[at] != shares[at]).collect();
        assert_eq!(gone, [15 * 30 + 22, 15 * 30 + 23, 16 * 30 + 22, 16 * 30 + 23]);
        assert!(gone.iter().all(|&at| left[at] == 0.0));
        assert_eq!(without_scraps(Vec::new(), Size { height: 0, width: 0 }), Vec::<f32>::new());
    }

    #[test]
    fn a_truck_of_one_colour_that_fills_its_box_is_not_eaten() {
        let mut random = Random(8);
        let is_truck = |y: usize, x: usize| (20..60).contains(&y) && (30..90).contains(&x);
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let v = 0.1 * random.uniform();
            if is_truck(n / SIZE.width, n % SIZE.width) {
                [0.8 + v, 0.7 + v, 0.1 + v]
            } else {
                [0.3 + v, 0.4 + v, 0.2 + v]
            }
        });
        let pixels = Pixels::new(SIZE, data.collect());
        let area = Area { left: 30.0 / 120.0, top: 20.0 / 80.0, right: 90.0 / 120.0, bottom: 60.0 / 80.0 };
        let truck = SceneObject::new(area, ObjectKind::LargeVehicle);
        let shape = of_objects(&pixels, &Plane::luma(&pixels), &[truck]).share;
        let least =
            (23..57).flat_map(|y| (33..87).map(move |x| (y, x))).map(|(y, x)| shape.at(y, x)).fold(1.0, f32::min);
        assert!(least > 0.9, "{least}");
    }

    #[test]
    fn a_pixel_of_two_boxes_belongs_to_the_object_of_its_colour() {
        // A blue car, and before it a red one that hides its right half.
        let colour = |y: usize, x: usize| match (y, x) {
            (35..65, 55..100) => [0.8, 0.1, 0.1],
            (25..50, 20..80) => [0.1, 0.2, 0.8],
            _ => [0.5; 3],
        };
        let data = (0..SIZE.pixels()).flat_map(|n| colour(n / SIZE.width, n % SIZE.width));
        let pixels = Pixels::new(SIZE, data.collect());
        let car = |top: f64, left: f64, bottom: f64, right: f64| {
            let area = Area { left: left / 120.0, top: top / 80.0, right: right / 120.0, bottom: bottom / 80.0 };
            SceneObject::new(area, ObjectKind::Car)
        };
        let cars = [car(35.0, 55.0, 65.0, 100.0), car(25.0, 20.0, 50.0, 80.0)];
        let shapes = of_objects(&pixels, &Plane::luma(&pixels), &cars);
        let owner = |y: usize, x: usize| shapes.owner[y * SIZE.width + x];
        assert_eq!((owner(45, 65), owner(55, 90), owner(40, 40), owner(5, 5)), (Some(0), Some(0), Some(1), None));
    }

    #[test]
    fn an_outline_is_the_shape_whatever_the_colours() {
        let pixels = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let triangle = vec![[0.2, 0.2], [0.8, 0.8], [0.2, 0.8]];
        let area = Area { left: 0.2, top: 0.2, right: 0.8, bottom: 0.8 };
        let object = SceneObject { outline: triangle, ..SceneObject::new(area, ObjectKind::Car) };
        let shape = of_objects(&pixels, &Plane::luma(&pixels), &[object]).share;
        assert!(shape.at(56, 36) > 0.99 && shape.at(24, 84) < 0.01, "{} {}", shape.at(56, 36), shape.at(24, 84));
        // Half of the box.
        assert!((shape.mean() - 0.18).abs() < 0.01, "{}", shape.mean());
        let beyond = vec![[-1.0, -1.0], [2.0, -1.0], [2.0, 2.0], [-1.0, 2.0]];
        let object = SceneObject { outline: beyond, ..SceneObject::new(area, ObjectKind::Car) };
        assert!(of_objects(&pixels, &Plane::luma(&pixels), &[object]).share.mean() > 0.999);
    }

    #[test]
    fn boxes_of_any_size_and_place_are_drawn() {
        let pixels = Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3]);
        let luma = Plane::luma(&pixels);
        for (left, top, right, bottom) in
            [(0.5, 0.5, 0.5001, 0.5001), (-0.2, -0.3, 1.4, 1.2), (0.99, 0.99, 1.0, 1.0), (0.0, 0.4, 0.02, 1.0)]
        {
            let object = SceneObject::new(Area { left, top, right, bottom }, ObjectKind::Other);
            assert!(of_objects(&pixels, &luma, &[object]).share.data().iter().all(|v| (-0.01..=1.01).contains(v)));
        }
    }
}
