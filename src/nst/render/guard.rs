//! Keeps labelled objects visible: where a style buries one, it is eased there, and nowhere else.
//!
//! A fog that hides an object while its label stays teaches a detector to see what is not there. So each box is
//! measured against the original, and one that lost too much is blended, behind a soft mask, towards the plain
//! closed-form start and, if that does not do, towards the original itself; of both only the detail is taken, on the light
//! that the style gave to the place. Whole pictures would show the boxes' outlines, which no camera sees and a detector
//! would learn.
//!
//! Everything is measured on the 256 steps that are written in the end: contrast below one step does not survive.

pub mod figures;

use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::figures::{Figures, Patch, Rect, compare, cut, figures, luma, lumas};
use rayon::prelude::*;
use std::ops::Range;

/// The least correlation of luma gradients with the original's.
pub const EDGES_FLOOR: f64 = 0.92;

/// The least local contrast, as a share of the original's, whatever became of the surroundings.
pub const CONTRAST_FLOOR: f64 = 0.20;

/// The least local contrast as a share of what the surroundings kept. What they gained does not count: flakes on a flat
/// sky would otherwise ask more of an object than it ever had.
pub const SHARE_OF_SURROUNDINGS: f64 = 0.5;

/// Mean deviation of luma up to which a place counts as flat: one of 256 steps, which compression alone leaves.
pub const FLAT: f64 = 1.0 / 255.0;

/// Pixels from the centre of a local mean to its side. Its five by five are no wider than the smallest boxes there are,
/// so that the object is measured and not the road beside it.
pub const RADIUS: usize = 2;

/// Width of a mask's soft border, as a share of the mean side of its box: at 0.15, in fog over a dark road, straight
/// sides still show.
const FEATHER: f64 = 0.25;

/// Least width of a mask's soft border, in pixels.
const LEAST_FEATHER: f64 = 2.0;

/// Steps from nothing to all of either stage.
const STEPS: u8 = 4;

/// Cells along the long side whose means are a picture's light; the rest is its detail.
const LIGHT_CELLS: usize = 64;

/// How far a box was blended away from the stylized picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Easing {
    None,
    /// This share of the plain start, in 0.25..=1.
    Plain(f32),
    /// As much of the plain start as helped, and over it this share of the original, in 0.25..=1.
    Content(f32),
}

/// A box in the final picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxReport {
    pub area: Area,
    /// As in [`Figures`].
    pub contrast: f64,
    /// As in [`Figures`].
    pub edges: f64,
    pub easing: Easing,
}

/// What became of the boxes, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuardReport {
    pub boxes: Vec<BoxReport>,
}

impl GuardReport {
    /// Takes the boxes' figures anew from `result`, which has changed since.
    pub fn measure(&mut self, content: &Pixels, result: &Pixels) {
        let areas: Vec<Area> = self.boxes.iter().map(|report| report.area).collect();
        for (report, Figures { contrast, edges }) in self.boxes.iter_mut().zip(figures(content, result, &areas)) {
            (report.contrast, report.edges) = (contrast, edges);
        }
    }

    /// The lowest `edges` of all boxes, if there are any.
    pub fn edges_min(&self) -> Option<f64> {
        self.boxes.iter().map(|report| report.edges).reduce(f64::min)
    }

    /// The lowest `contrast` of all boxes, if there are any.
    pub fn contrast_min(&self) -> Option<f64> {
        self.boxes.iter().map(|report| report.contrast).reduce(f64::min)
    }

    /// Boxes that were blended towards the plain start only.
    pub fn eased_to_plain(&self) -> usize {
        self.boxes.iter().filter(|report| matches!(report.easing, Easing::Plain(_))).count()
    }

    /// Boxes that were blended towards the original.
    pub fn eased_to_content(&self) -> usize {
        self.boxes.iter().filter(|report| matches!(report.easing, Easing::Content(_))).count()
    }
}

/// The detail of each of `pictures` on the light of `result`.
pub fn relit(pictures: [&Pixels; 2], result: &Pixels) -> [Pixels; 2] {
    let size = result.size();
    let cell = (size.height.max(size.width) / LIGHT_CELLS).max(1);
    let light = result.blurred(cell);
    pictures.map(|picture| {
        let (own, mut out) = (picture.blurred(cell), picture.clone());
        for ((v, own), light) in out.data_mut().iter_mut().zip(own.data()).zip(light.data()) {
            *v += light - own;
        }
        out
    })
}

/// Eases `result` where it falls below the floors in one of `boxes`, towards the first of the pictures that `stages` makes
/// for it and on towards the second. If that is the original, the floors are met in all boxes afterwards. Most results
/// fail nowhere, and `stages` is not called.
///
/// `content` is the original that all is measured against. Pixels outside the soft masks of eased boxes keep their
/// bits. Neither the order of the boxes nor the number of threads changes a pixel.
///
/// # Errors
/// What `stages` says.
///
/// # Panics
/// When the pictures differ in size.
pub fn protect<E>(
    content: &Pixels,
    stages: impl FnOnce(&Pixels) -> Result<[Pixels; 2], E>,
    result: &mut Pixels,
    boxes: &[Area],
) -> Result<GuardReport, E> {
    let size = content.size();
    assert_eq!(size, result.size(), "pictures must be of one size");
    if boxes.is_empty() || size.pixels() == 0 {
        let nothing = |&area| BoxReport { area, contrast: 1.0, edges: 1.0, easing: Easing::None };
        return Ok(GuardReport { boxes: boxes.iter().map(nothing).collect() });
    }
    let (before, after) = (lumas(content), lumas(result));
    let mut objects: Vec<_> = boxes.par_iter().map(|&area| Object::new(area, size, &before, &after)).collect();
    let mut failing = below(&objects, 0..objects.len());
    if failing.is_empty() {
        return Ok(GuardReport { boxes: objects.iter().map(Object::report).collect() });
    }
    let [plain, last] = stages(result)?;
    let mut blend = Blend::new(before, &plain, &last, result);
    while !failing.is_empty() {
        // All look at the picture as it is, and only then it changes, so that none has to come first.
        let next: Vec<_> = failing.par_iter().map(|&at| objects[at].next_step(&blend)).collect();
        for (&at, step) in failing.iter().zip(next) {
            objects[at].step = step;
            blend.ease(&objects[at]);
        }
        measure(&mut objects, &failing, &blend);
        failing = below(&objects, failing);
        if failing.is_empty() {
            // Easing one box may have harmed another that it overlaps.
            let all: Vec<_> = (0..objects.len()).collect();
            measure(&mut objects, &all, &blend);
            failing = below(&objects, all);
        }
    }
    let shares = blend.shares;
    write(&last, &plain, result, &shares);
    Ok(GuardReport { boxes: objects.iter().map(Object::report).collect() })
}

/// Those of the objects `among` that are below a floor and can be eased further.
fn below(objects: &[Object], among: impl IntoIterator<Item = usize>) -> Vec<usize> {
    among.into_iter().filter(|&at| objects[at].score() < 1.0 && objects[at].step.content < STEPS).collect()
}

/// Measures the objects `at` anew.
fn measure(objects: &mut [Object], at: &[usize], blend: &Blend) {
    let measured: Vec<_> =
        at.par_iter().map(|&at| objects[at].measured(&blend.eased(objects[at].rect), blend)).collect();
    for (&at, figures) in at.iter().zip(measured) {
        objects[at].figures = figures;
    }
}

/// How many quarters of both stages a box takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Step {
    plain: u8,
    content: u8,
}

fn share(steps: u8) -> f32 {
    f32::from(steps) / f32::from(STEPS)
}

/// A box on its way.
struct Object {
    area: Area,
    rect: Rect,
    /// The least contrast.
    floor: f64,
    figures: Figures,
    step: Step,
}

impl Object {
    fn new(area: Area, size: Size, before: &[f32], after: &[f32]) -> Self {
        let rect = Rect::of(area, size);
        let surroundings = rect.grown((rect.width() / 2).max(RADIUS), (rect.height() / 2).max(RADIUS), size);
        let contrast = |lumas: &[f32]| {
            let [inside, all] = [rect, surroundings].map(|rect| Patch::of(lumas, size, rect).deviation());
            (all - inside) / (surroundings.pixels() - rect.pixels()).max(1) as f64
        };
        let own = contrast(before);
        // Flat surroundings say nothing of what the condition does to contrast.
        let kept = if own < FLAT { 0.0 } else { (contrast(after) / own).min(1.0) };
        let floor = CONTRAST_FLOOR.max(SHARE_OF_SURROUNDINGS * kept);
        let [before, after] = [before, after].map(|lumas| Patch::of(lumas, size, rect));
        let figures = compare(&before, &after).unwrap_or(Figures::ALL);
        Self { area, rect, floor, figures, step: Step::default() }
    }

    fn measured(&self, after: &Patch, blend: &Blend) -> Figures {
        compare(&Patch::of(&blend.before, blend.size, self.rect), after).unwrap_or(Figures::ALL)
    }

    /// The worse of both figures over its floor; 1 and more is enough.
    fn score(&self) -> f64 {
        self.score_of(self.figures)
    }

    fn score_of(&self, figures: Figures) -> f64 {
        (figures.edges / EDGES_FLOOR).min(figures.contrast / self.floor)
    }

    /// A quarter more of the plain start, unless that makes the box worse; of the original from then on.
    fn next_step(&self, blend: &Blend) -> Step {
        let Step { plain, content } = self.step;
        if content == 0 && plain < STEPS {
            let plainer = Step { plain: plain + 1, content };
            let tried = self.measured(&blend.tried(self, plainer), blend);
            if self.score_of(tried) >= self.score() {
                return plainer;
            }
        }
        Step { plain, content: content + 1 }
    }

    fn report(&self) -> BoxReport {
        let easing = match self.step {
            Step { plain: 0, content: 0 } => Easing::None,
            Step { plain, content: 0 } => Easing::Plain(share(plain)),
            Step { content, .. } => Easing::Content(share(content)),
        };
        BoxReport { area: self.area, contrast: self.figures.contrast, edges: self.figures.edges, easing }
    }
}

/// The picture in the making: shares of the plain start and of the last resort for each pixel. It is mixed where it is
/// measured, and written once at the end.
struct Blend<'a> {
    size: Size,
    last: &'a Pixels,
    plain: &'a Pixels,
    result: &'a Pixels,
    /// Lumas of the original.
    before: Vec<f32>,
    /// Of the plain start, and over it of the last resort.
    shares: Vec<[f32; 2]>,
}

impl<'a> Blend<'a> {
    /// `before` are the lumas of the original.
    fn new(before: Vec<f32>, plain: &'a Pixels, last: &'a Pixels, result: &'a Pixels) -> Self {
        let size = result.size();
        assert_eq!([plain.size(), last.size()], [size; 2], "pictures must be of one size");
        Self { size, last, plain, result, before, shares: vec![[0.0; 2]; size.pixels()] }
    }

    /// Raises the shares to what `object` asks for, where they are lower.
    fn ease(&mut self, object: &Object) {
        let mask = Mask::new(object.rect, self.size);
        for y in mask.reach.top..mask.reach.bottom {
            let columns = mask.reach.left..mask.reach.right;
            let raised = self.raised(&mask, object.step, y, columns.clone());
            self.shares[y * self.size.width..][columns].copy_from_slice(&raised);
        }
    }

    /// The luma of `rect` under the shares.
    fn eased(&self, rect: Rect) -> Patch {
        Patch::fill(rect, self.size, |y, columns, row| {
            self.lumas(&self.shares[y * self.size.width..][columns.clone()], y, columns, row);
        })
    }

    /// The luma of the object as `step` of its own would make it.
    fn tried(&self, object: &Object, step: Step) -> Patch {
        let mask = Mask::new(object.rect, self.size);
        Patch::fill(object.rect, self.size, |y, columns, row| {
            self.lumas(&self.raised(&mask, step, y, columns.clone()), y, columns, row);
        })
    }

    /// Shares of a row: under several masks the largest that one of them asks for, in whichever order they come.
    fn raised(&self, mask: &Mask, step: Step, y: usize, columns: Range<usize>) -> Vec<[f32; 2]> {
        let shares = &self.shares[y * self.size.width..][columns.clone()];
        let (plain, content) = (share(step.plain), share(step.content));
        let raised = |(s, mask): (&[f32; 2], f32)| [s[0].max(plain * mask), s[1].max(content * mask)];
        shares.iter().zip(mask.row(y, columns)).map(raised).collect()
    }

    /// The lumas that `shares` give to a row.
    fn lumas(&self, shares: &[[f32; 2]], y: usize, columns: Range<usize>, lumas: &mut [f32]) {
        let row = |picture: &'a Pixels| {
            let row = &picture.data()[y * self.size.width * 3..][columns.start * 3..columns.end * 3];
            row.as_chunks::<3>().0
        };
        let colours = row(self.last).iter().zip(row(self.plain)).zip(row(self.result));
        for ((to, shares), ((content, plain), result)) in lumas.iter_mut().zip(shares).zip(colours) {
            *to = luma(&mixed(content, plain, result, shares));
        }
    }
}

/// What lies outside 0..1 is cut off first: it would go on to outshine what is blended over it.
fn mixed(content: &[f32; 3], plain: &[f32; 3], result: &[f32; 3], shares: &[f32; 2]) -> [f32; 3] {
    // All of the other is the other to the bit.
    let towards = |from: f32, to: f32, share: f32| from * (1.0 - share) + to * share;
    std::array::from_fn(|i| {
        let eased = towards(cut(result[i]), cut(plain[i]), shares[0]);
        towards(eased, cut(content[i]), shares[1])
    })
}

/// Blends the pixels that have a share.
fn write(content: &Pixels, plain: &Pixels, result: &mut Pixels, shares: &[[f32; 2]]) {
    let (content, plain) = (content.data().as_chunks::<3>().0, plain.data().as_chunks::<3>().0);
    let result = result.data_mut().as_chunks_mut::<3>().0;
    let pixels = result.par_iter_mut().zip(content.par_iter().zip(plain)).zip(shares);
    pixels.with_min_len(1 << 12).for_each(|((result, (content, plain)), shares)| {
        if *shares != [0.0; 2] {
            *result = mixed(content, plain, result, shares);
        }
    });
}

/// 1 in a box and on the pixels around it that its figures read, so that all of the original always meets the floors;
/// from there smoothly down to 0, with round corners.
struct Mask {
    full: Rect,
    /// Pixels from the full part to the first with nothing.
    feather: f32,
    /// All pixels with something.
    reach: Rect,
}

impl Mask {
    fn new(rect: Rect, size: Size) -> Self {
        let feather = (FEATHER * (rect.width() + rect.height()) as f64 / 2.0).max(LEAST_FEATHER);
        let wide = RADIUS + feather as usize;
        Self {
            full: rect.grown(RADIUS, RADIUS, size),
            feather: feather as f32 + 1.0,
            reach: rect.grown(wide, wide, size),
        }
    }

    fn row(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = f32> {
        let Rect { left, top, right, bottom } = self.full;
        // Through 32 bits, which convert eight at a time.
        let beyond = |at: usize, low: usize, high: usize| {
            let [at, low, high] = [at, low, high].map(|v| v as i32 as f32);
            (low - at).max(at - high).max(0.0)
        };
        let down = beyond(y, top, bottom - 1).powi(2);
        let feather = self.feather;
        columns.map(move |x| {
            let near = (1.0 - (beyond(x, left, right - 1).powi(2) + down).sqrt() / feather).max(0.0);
            near * near * (3.0 - 2.0 * near)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::Random;
    use std::convert::Infallible;

    /// With both stages at hand.
    fn protect(content: &Pixels, stages: [&Pixels; 2], result: &mut Pixels, boxes: &[Area]) -> GuardReport {
        let Ok(report) = super::protect(content, |_| Ok::<_, Infallible>(stages.map(Pixels::clone)), result, boxes);
        report
    }

    const SIZE: Size = Size { height: 90, width: 140 };

    fn map(picture: &Pixels, f: impl Fn(f32) -> f32) -> Pixels {
        Pixels::new(picture.size(), picture.data().iter().map(|&v| f(v)).collect())
    }

    /// Grey that lets `share` through.
    fn veil(picture: &Pixels, share: f32) -> Pixels {
        map(picture, |v| v * share + 0.7 * (1.0 - share))
    }

    /// Rectangles of random colours over each other, with a little noise: edges, and surfaces that are not quite flat.
    fn scene(random: &mut Random, size: Size) -> Pixels {
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

    fn noise(random: &mut Random, size: Size) -> Pixels {
        Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform() * 1.4 - 0.2).collect())
    }

    /// At most `most` of the picture a side, and now and then beyond a border before it is cut.
    fn area(random: &mut Random, most: f64) -> Area {
        let mut span = || {
            let (centre, side) = (f64::from(random.uniform()), f64::from(random.uniform()) * most);
            ((centre - side / 2.0).max(0.0), (centre + side / 2.0).min(1.0))
        };
        let ((left, right), (top, bottom)) = (span(), span());
        Area { left, top, right, bottom }
    }

    fn areas(random: &mut Random, count: usize) -> Vec<Area> {
        (0..count).map(|_| area(random, 0.4)).collect()
    }

    /// From pixels `left`, `top` on, of [`SIZE`].
    fn at(left: usize, top: usize, width: usize, height: usize) -> Area {
        let (across, down) = (|x| x as f64 / SIZE.width as f64, |y| y as f64 / SIZE.height as f64);
        Area { left: across(left), top: down(top), right: across(left + width), bottom: down(top + height) }
    }

    fn changed(a: &Pixels, b: &Pixels) -> Vec<bool> {
        let bits = |rgb: &[f32]| [rgb[0].to_bits(), rgb[1].to_bits(), rgb[2].to_bits()];
        a.data().chunks_exact(3).zip(b.data().chunks_exact(3)).map(|(a, b)| bits(a) != bits(b)).collect()
    }

    /// What must hold whatever the pictures: floors, the report's truth, and no pixel touched that no box asked for.
    #[track_caller]
    fn assert_protected(content: &Pixels, plain: &Pixels, result: &Pixels, boxes: &[Area], case: &str) -> GuardReport {
        let mut after = result.clone();
        let report = protect(content, [plain, content], &mut after, boxes);
        let measured = figures(content, &after, boxes);
        assert_eq!(report.boxes.len(), boxes.len(), "{case}");
        let mut reached = vec![false; content.size().pixels()];
        for (at, (report, measured)) in report.boxes.iter().zip(&measured).enumerate() {
            assert_eq!((report.contrast, report.edges), (measured.contrast, measured.edges), "{case}: {report:?}");
            assert!(report.edges >= EDGES_FLOOR, "{case}: {at} {report:?}");
            assert!(report.contrast >= CONTRAST_FLOOR, "{case}: {at} {report:?}");
            if report.easing != Easing::None {
                let reach = Mask::new(Rect::of(report.area, content.size()), content.size()).reach;
                for y in reach.top..reach.bottom {
                    reached[y * content.size().width..][reach.left..reach.right].fill(true);
                }
            }
        }
        let changed = changed(result, &after);
        assert!(changed.iter().zip(&reached).all(|(&changed, &reached)| reached || !changed), "{case}");
        report
    }

    #[test]
    fn the_floors_are_met_whatever_the_pictures() {
        let mut random = Random(1);
        for round in 0..60 {
            let size =
                Size { height: 1 + (random.uniform() * 90.0) as usize, width: 1 + (random.uniform() * 90.0) as usize };
            let content = scene(&mut random, size);
            let pictures = [
                veil(&content, 0.1),
                veil(&content, 0.4),
                map(&content, |v| 1.0 - v),
                map(&content, |_| 0.3),
                map(&content, |v| v * 3.0 - 0.2),
                noise(&mut random, size),
            ];
            let mut pick = || &pictures[(random.uniform() * pictures.len() as f32) as usize];
            let (plain, result) = (pick(), pick());
            let boxes = areas(&mut random, round % 12);
            assert_protected(&content, plain, result, &boxes, &format!("round {round}, {size:?}"));
        }
    }

    #[test]
    fn a_veil_scales_the_contrast_and_leaves_the_edges() {
        let content = scene(&mut Random(2), SIZE);
        let boxes = [at(20, 20, 60, 40), at(100, 50, 6, 6)];
        for figures in figures(&content, &veil(&content, 0.5), &boxes) {
            assert!((figures.contrast - 0.5).abs() < 0.02, "{figures:?}");
            assert!(figures.edges > 0.99, "{figures:?}");
        }
        for figures in figures(&content, &content, &boxes) {
            assert_eq!(figures.contrast, 1.0);
            assert!((figures.edges - 1.0).abs() < 1e-9, "{figures:?}");
        }
        for figures in figures(&content, &map(&content, |v| 1.0 - v), &boxes) {
            assert!((figures.edges + 1.0).abs() < 1e-6, "{figures:?}");
        }
    }

    #[test]
    fn gradients_are_those_of_numpy() {
        // numpy.gradient of [[0, 1, 4], [2, 2, 2], [8, 0, 1]] and of its transpose, in luma of 255 steps of grey.
        let before = [0.0, 1.0, 4.0, 2.0, 2.0, 2.0, 8.0, 0.0, 1.0];
        let after = [0.0, 2.0, 8.0, 1.0, 2.0, 0.0, 4.0, 2.0, 1.0];
        let size = Size { height: 3, width: 3 };
        let grey = |values: [f32; 9]| Pixels::new(size, values.iter().flat_map(|v| [v * 20.0 / 255.0; 3]).collect());
        let whole = [Area { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 }];
        let [figures] = figures(&grey(before), &grey(after), &whole)[..] else { panic!("one box") };
        assert!((figures.edges - 0.6040688575899843).abs() < 1e-5, "{figures:?}");
    }

    #[test]
    fn nothing_changes_where_nothing_fails() {
        let content = scene(&mut Random(3), SIZE);
        let boxes = areas(&mut Random(4), 20);
        let result = veil(&content, 0.6);
        let mut after = result.clone();
        let report = protect(&content, [&veil(&content, 0.9), &content], &mut after, &boxes);
        assert!(report.boxes.iter().all(|report| report.easing == Easing::None));
        assert!(!changed(&result, &after).contains(&true));
        assert_eq!(protect(&content, [&result, &content], &mut after, &[]), GuardReport::default());
        assert_eq!(report.eased_to_plain() + report.eased_to_content(), 0);
    }

    #[test]
    fn a_box_takes_the_least_step_that_does() {
        let content = scene(&mut Random(5), SIZE);
        let (flat, boxes) = (map(&content, |_| 0.7), [at(40, 30, 30, 20)]);
        let easing = |plain: f32, result: &Pixels| {
            let case = format!("plain {plain}");
            assert_protected(&content, &veil(&content, plain), result, &boxes, &case).boxes[0].easing
        };
        // A quarter of 0.9 is above 0.2; of 0.5 only half is.
        assert_eq!(easing(0.9, &flat), Easing::Plain(0.25));
        assert_eq!(easing(0.5, &flat), Easing::Plain(0.5));
        // 0.1 of the plain start is not enough: a quarter of the original on top is.
        assert_eq!(easing(0.1, &flat), Easing::Content(0.25));
        assert_eq!(easing(0.9, &veil(&content, 0.5)), Easing::None);
    }

    #[test]
    fn a_plain_start_that_harms_a_box_is_passed_over() {
        let content = scene(&mut Random(6), SIZE);
        let (result, plain) = (veil(&content, 0.15), map(&content, |_| 0.1));
        let boxes = [at(40, 30, 30, 20)];
        let mut after = result.clone();
        let report = protect(&content, [&plain, &content], &mut after, &boxes);
        assert_eq!(report.boxes[0].easing, Easing::Content(0.25));
        // Not a share of the dark start: the middle is a quarter original over the veil.
        let middle = (40 * SIZE.width + 55) * 3;
        let expected = 0.75 * result.data()[middle] + 0.25 * content.data()[middle];
        assert!((after.data()[middle] - expected).abs() < 1e-6);
        assert_eq!((report.eased_to_plain(), report.eased_to_content()), (0, 1));
    }

    #[test]
    fn less_is_asked_where_the_surroundings_lost_as_much_and_more_where_they_kept_theirs() {
        let content = scene(&mut Random(7), SIZE);
        let boxes = [at(50, 30, 30, 24)];
        let rect = Rect::of(boxes[0], SIZE);
        let fog = veil(&content, 0.3);
        let mut only_inside = content.clone();
        for y in rect.top..rect.bottom {
            let places = (y * SIZE.width + rect.left) * 3..(y * SIZE.width + rect.right) * 3;
            only_inside.data_mut()[places.clone()].copy_from_slice(&fog.data()[places]);
        }
        let plain = veil(&content, 0.8);
        assert_eq!(protect(&content, [&plain, &content], &mut fog.clone(), &boxes).boxes[0].easing, Easing::None);
        let report = protect(&content, [&plain, &content], &mut only_inside, &boxes);
        assert_ne!(report.boxes[0].easing, Easing::None);
        assert!(report.boxes[0].contrast >= 0.5 - 0.05, "{report:?}");
    }

    #[test]
    fn what_surroundings_gain_is_not_asked_of_a_box() {
        // Flakes on a sky that had almost none, and a box that keeps a third.
        let mut random = Random(8);
        let content = scene(&mut random, SIZE);
        let boxes = [at(50, 30, 30, 24)];
        let rect = Rect::of(boxes[0], SIZE);
        let (mut before, mut after) = (map(&content, |v| 0.5 + v * 0.05), noise(&mut random, SIZE));
        for y in rect.top..rect.bottom {
            for at in (y * SIZE.width + rect.left) * 3..(y * SIZE.width + rect.right) * 3 {
                before.data_mut()[at] = content.data()[at];
                after.data_mut()[at] = content.data()[at] * 0.6;
            }
        }
        let object = Object::new(boxes[0], before.size(), &lumas(&before), &lumas(&after));
        assert_eq!(object.floor, SHARE_OF_SURROUNDINGS);
    }

    #[test]
    fn flat_surroundings_and_none_ask_for_no_more_than_the_absolute_floor() {
        let content = scene(&mut Random(16), SIZE);
        let boxes = [at(50, 30, 30, 24), at(0, 0, SIZE.width, SIZE.height)];
        let rect = Rect::of(boxes[0], SIZE).grown(RADIUS, RADIUS, SIZE);
        let mut alone = map(&content, |_| 0.5);
        for y in rect.top + 2 * RADIUS..rect.bottom - 2 * RADIUS {
            let places = (y * SIZE.width + rect.left + 2 * RADIUS) * 3..(y * SIZE.width + rect.right - 2 * RADIUS) * 3;
            alone.data_mut()[places.clone()].copy_from_slice(&content.data()[places]);
        }
        let (before, after) = (lumas(&alone), lumas(&content));
        assert!(boxes.iter().all(|&area| Object::new(area, SIZE, &before, &after).floor == CONTRAST_FLOOR));
    }

    #[test]
    fn neither_the_order_of_boxes_nor_threads_change_a_bit() {
        let mut random = Random(9);
        let content = scene(&mut random, SIZE);
        let (plain, result) = (veil(&content, 0.25), noise(&mut random, SIZE));
        let mut boxes = areas(&mut random, 25);
        let run = |boxes: &[Area], threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut after = result.clone();
            let report = pool.install(|| protect(&content, [&plain, &content], &mut after, boxes));
            (after, report)
        };
        let (expected, report) = run(&boxes, 1);
        let (after, mut turned) = {
            boxes.reverse();
            boxes.rotate_left(7);
            run(&boxes, 3)
        };
        assert!(!changed(&expected, &after).contains(&true));
        turned.boxes.rotate_right(7);
        turned.boxes.reverse();
        assert_eq!(report, turned);
    }

    #[test]
    fn a_mask_is_full_inside_and_falls_without_a_jump() {
        let size = Size { height: 400, width: 500 };
        for (width, height) in [(200, 120), (40, 40), (6, 6), (1, 1)] {
            let rect = Rect { left: 150, top: 140, right: 150 + width, bottom: 140 + height };
            let mask = Mask::new(rect, size);
            let rows: Vec<Vec<f32>> = (0..size.height).map(|y| mask.row(y, 0..size.width).collect()).collect();
            // The steepest slope of the smoothstep is 1.5 over its length.
            let most = 1.5 / ((FEATHER * (width + height) as f64 / 2.0).max(LEAST_FEATHER) + 1.0) as f32 + 1e-6;
            for y in 1..size.height {
                for x in 1..size.width {
                    let jump = (rows[y][x] - rows[y - 1][x]).abs().max((rows[y][x] - rows[y][x - 1]).abs());
                    assert!(jump <= most, "{width}x{height}: {jump} at {x}, {y}");
                    let inside = (rect.top..rect.bottom).contains(&y) && (rect.left..rect.right).contains(&x);
                    assert!(!inside || rows[y][x] == 1.0, "{width}x{height} at {x}, {y}");
                    let reached = (mask.reach.top..mask.reach.bottom).contains(&y)
                        && (mask.reach.left..mask.reach.right).contains(&x);
                    assert!(reached || rows[y][x] == 0.0, "{width}x{height} at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn boxes_at_borders_tiny_ones_and_the_whole_picture_are_eased_like_any() {
        let content = scene(&mut Random(10), SIZE);
        let (plain, result) = (veil(&content, 0.5), veil(&content, 0.05));
        let whole = at(0, 0, SIZE.width, SIZE.height);
        let corners = [at(0, 0, 9, 9), at(131, 0, 9, 9), at(0, 81, 9, 9), at(131, 81, 9, 9)];
        let tiny = [
            at(70, 40, 1, 1),
            at(30, 60, 2, 3),
            at(90, 20, 6, 6),
            Area { left: 0.5, top: 0.5, right: 0.5001, bottom: 0.5 },
        ];
        for boxes in [&[whole][..], &corners, &tiny, &[whole, corners[0], tiny[2], whole]] {
            let report = assert_protected(&content, &plain, &result, boxes, &format!("{boxes:?}"));
            assert!(report.eased_to_plain() + report.eased_to_content() > 0, "{report:?}");
        }
    }

    #[test]
    fn pictures_of_hardly_any_pixels_have_nothing_to_lose() {
        for (height, width) in [(0, 0), (1, 1), (1, 7), (2, 1)] {
            let size = Size { height, width };
            let content = Pixels::new(size, vec![0.4; size.pixels() * 3]);
            let black = map(&content, |_| 0.0);
            let report = assert_protected(&content, &black, &black, &areas(&mut Random(11), 4), &format!("{size:?}"));
            assert_eq!((report.edges_min(), report.contrast_min()), (Some(1.0), Some(1.0)));
        }
        assert_eq!(GuardReport::default().edges_min(), None);
    }

    #[test]
    fn a_flat_box_is_kept_as_it_is() {
        let content = Pixels::new(SIZE, vec![0.4; SIZE.pixels() * 3]);
        let result = noise(&mut Random(12), SIZE);
        let mut after = result.clone();
        let report = protect(&content, [&content, &content], &mut after, &areas(&mut Random(13), 5));
        assert!(report.boxes.iter().all(|b| b.easing == Easing::None && b.contrast == 1.0 && b.edges == 1.0));
        assert!(!changed(&result, &after).contains(&true));
    }

    #[test]
    fn what_is_no_number_gives_way_and_never_reaches_the_report() {
        let content = scene(&mut Random(14), SIZE);
        let broken = map(&content, |v| if v < 0.5 { f32::NAN } else { f32::INFINITY });
        let report = assert_protected(&content, &veil(&content, 0.01), &broken, &areas(&mut Random(15), 8), "broken");
        assert!(report.boxes.iter().all(|report| report.contrast.is_finite() && report.edges.is_finite()));
    }
}
