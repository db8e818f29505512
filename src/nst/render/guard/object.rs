//! One labelled object: its floors, and how far it is eased to meet them.

use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::plane::Plane;
use crate::nst::render::guard::air::Hidden;
use crate::nst::render::guard::blend::{Blend, BlendSteps, Mask, ObjectShapes};
use crate::nst::render::guard::figures::{FLAT, Figures, Original};
use crate::nst::render::guard::patch::{Deviations, Patch, RADIUS, Rect};
use crate::nst::render::guard::report::{BoxReport, Easing};

/// The least correlation of luma gradients with the original's; see [`Figures::edges`].
pub const EDGES_FLOOR: f64 = 0.92;

/// The least local contrast as a share of the original's, whatever the surroundings kept; see [`Figures::contrast`].
pub const CONTRAST_FLOOR: f64 = 0.20;

/// The least local contrast as a share of what the surroundings kept. What they gained does not count: otherwise flakes
/// on a flat sky would ask more of an object than it ever had.
const SHARE_OF_SURROUNDINGS: f64 = 0.5;

/// How much a pixel of the box counts in which the object has this share. Its rim counts little: the step to what is
/// behind it may be hidden, or turn round where a bright sky goes black. Where no shape was found, the whole box counts.
fn weight(shape: f32) -> f32 {
    const BACKGROUND: f32 = 0.01;
    BACKGROUND + (1.0 - BACKGROUND) * (2.0 * shape - 1.0).max(0.0).powi(2)
}

/// The weights of a box, `[height][width]`.
fn weights(mask: &Mask) -> Vec<f32> {
    let Rect { left, top, right, bottom } = mask.rect;
    (top..bottom).flat_map(|y| mask.shares(y, left..right)).map(weight).collect()
}

/// A labelled object and its state.
pub struct Object<'a> {
    area: Area,
    pub mask: Mask<'a>,
    original: Original,
    /// The least contrast.
    floor: f64,
    /// Of the weighted pixels, where nothing is eased.
    uneased: Figures,
    /// Of the weighted pixels, in the blend as it is.
    pub figures: Figures,
    pub step: BlendSteps,
    /// The best score so far, and the number of steps that it took.
    best: (f64, u8),
    /// The most steps that may be taken.
    most_steps: u8,
}

/// A picture as objects are measured in it.
pub struct Measurable<'a> {
    pub size: Size,
    /// `[height][width]`
    pub lumas: &'a [f32],
    /// Of all that lies around boxes.
    pub deviations: Deviations,
}

impl<'a> Measurable<'a> {
    /// A picture of these lumas with objects in `boxes`, of which there is at least one.
    pub fn new(lumas: &'a [f32], size: Size, boxes: &[Area]) -> Self {
        let around = boxes.iter().map(|&area| surroundings(Rect::of(area, size), size));
        let Some(around) = Rect::around(around) else { unreachable!("there is a box") };
        Self { size, lumas, deviations: Patch::of(lumas, size, around).deviations() }
    }
}

impl<'a> Object<'a> {
    /// Object `number` in `area` of pictures `before` and `after` the stylization.
    pub fn new(number: usize, area: Area, shapes: ObjectShapes<'a>, before: &Measurable, after: &Measurable) -> Self {
        let rect = Rect::of(area, before.size);
        let mask = Mask::new(number, rect, shapes);
        let [was, is] = [before, after].map(|picture| Patch::of(picture.lumas, picture.size, rect));
        let original = Original::new(rect, was, &before.deviations, weights(&mask));
        let figures = original.kept(&is, &after.deviations);
        let floor = floor(rect, before, after);
        let most_steps = 2 * BlendSteps::MOST;
        let step = BlendSteps::default();
        Self { area, mask, original, floor, uneased: figures, figures, step, best: (f64::NEG_INFINITY, 0), most_steps }
    }

    /// The figures of this object in the blend.
    pub fn measured(&self, blend: &Blend) -> Figures {
        self.kept(&blend.eased(self.mask.rect))
    }

    fn kept(&self, after: &Patch) -> Figures {
        self.original.kept(after, &after.deviations())
    }

    /// Begins anew with nothing eased.
    pub fn begin(&mut self) {
        (self.step, self.best) = (BlendSteps::default(), (f64::NEG_INFINITY, 0));
        self.note(self.uneased);
    }

    /// Notes the figures of the step that was taken last.
    pub fn note(&mut self, figures: Figures) {
        self.figures = figures;
        let score = self.score(figures);
        if score > self.best.0 {
            self.best = (score, self.steps());
        }
    }

    /// If no step has met the floors: takes back, for the next time, the steps that made the figures worse again, as those
    /// do that leave an object with hard edges to what hides a part of it. Returns whether there are any.
    pub fn takes_steps_back(&mut self) -> bool {
        let takes_back = self.score(self.figures) < 1.0 && self.best.1 < self.steps();
        if takes_back {
            self.most_steps = self.best.1;
        }
        takes_back
    }

    fn steps(&self) -> u8 {
        self.step.plain + self.step.content
    }

    /// What it lacks where air of these distances takes its contrast. A small object does not stand out where it is eased
    /// alone, and for one that is far off, all of a fog would go.
    pub fn hidden(&self, distance: &Plane) -> Option<Hidden> {
        /// The least share of the picture that a box has that does not count as small.
        const LARGE: f32 = 0.01;
        /// The most that the air gets thinner.
        const MOST: f64 = 0.4;
        /// A little more than the floor: contrast is not quite linear in the veil.
        const MORE: f64 = 1.15;
        let is_small = (self.mask.rect.pixels() as f32) < LARGE * distance.size().pixels() as f32;
        let kept = self.uneased.contrast;
        if is_small || kept >= self.floor {
            return None;
        }
        let lacks = (MORE * self.floor - kept) / (1.0 - kept).max(1e-3);
        let Rect { left, top, right, bottom } = self.mask.rect;
        let (mut metres, mut all) = (0.0, 0.0);
        for y in top..bottom {
            let row = &distance.data()[y * distance.size().width..][left..right];
            for (share, distance) in self.mask.shares(y, left..right).zip(row) {
                (metres, all) = (metres + share * distance, all + share);
            }
        }
        (all > 0.0).then(|| Hidden { metres: metres / all, lacks: lacks.clamp(0.0, MOST) as f32 })
    }

    /// Whether a figure is below its floor and the object can be eased further.
    pub fn must_be_eased(&self) -> bool {
        let can_be_eased = self.step.content < BlendSteps::MOST && self.steps() < self.most_steps;
        can_be_eased && self.score(self.figures) < 1.0
    }

    /// The lower one of both figures over its floor; at least 1 is enough.
    fn score(&self, figures: Figures) -> f64 {
        (figures.edges / EDGES_FLOOR).min(figures.contrast / self.floor)
    }

    /// One step more of the plain start, if that makes the figures better; from then on, of the original.
    pub fn next_step(&self, blend: &Blend) -> BlendSteps {
        let BlendSteps { plain, content } = self.step;
        if blend.has_plain() && content == 0 && plain < BlendSteps::MOST {
            let plainer = BlendSteps { plain: plain + 1, content };
            if self.score(self.kept(&blend.tried(&self.mask, plainer))) > self.score(self.figures) {
                return plainer;
            }
        }
        BlendSteps { plain, content: content + 1 }
    }

    pub fn report(&self) -> BoxReport {
        let easing = match self.step {
            BlendSteps { plain: 0, content: 0 } => Easing::None,
            BlendSteps { plain, content: 0 } => Easing::Plain(BlendSteps::share(plain)),
            BlendSteps { content, .. } => Easing::Content(BlendSteps::share(content)),
        };
        BoxReport { area: self.area, contrast: self.figures.contrast, edges: self.figures.edges, easing }
    }
}

/// The box `rect` and what is around it.
fn surroundings(rect: Rect, size: Size) -> Rect {
    rect.grown((rect.width() / 2).max(RADIUS), (rect.height() / 2).max(RADIUS), size)
}

/// The least contrast of the box `rect`: an absolute floor, or more where its surroundings kept more.
fn floor(rect: Rect, before: &Measurable, after: &Measurable) -> f64 {
    let surroundings = surroundings(rect, before.size);
    let contrast = |picture: &Measurable| {
        let [inside, all] = [rect, surroundings].map(|rect| picture.deviations.sum(rect));
        (all - inside) / (surroundings.pixels() - rect.pixels()).max(1) as f64
    };
    let own = contrast(before);
    // Flat surroundings do not show what the condition does to contrast.
    let kept = if own < FLAT { 0.0 } else { (contrast(after) / own).min(1.0) };
    CONTRAST_FLOOR.max(SHARE_OF_SURROUNDINGS * kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::pixels::Pixels;
    use crate::nst::render::guard::patch::written_lumas;
    use crate::nst::render::guard::testing::{Everywhere, SIZE, at, map, noise, scene};
    use crate::nst::testing::Random;

    /// The floor of an object in `area` of these pictures.
    fn floor_of(area: Area, shapes: &Everywhere, before: &Pixels, after: &Pixels) -> f64 {
        let lumas = [before, after].map(written_lumas);
        let [before, after] = lumas.each_ref().map(|lumas| Measurable::new(lumas, SIZE, &[area]));
        Object::new(0, area, shapes.shapes(), &before, &after).floor
    }

    #[test]
    fn contrast_that_the_surroundings_gained_is_not_asked_of_a_box() {
        // Flakes on a sky that had almost none, and a box that keeps 60 %.
        let mut random = Random(8);
        let content = scene(&mut random, SIZE);
        let area = at(50, 30, 30, 24);
        let rect = Rect::of(area, SIZE);
        let (mut before, mut after) = (map(&content, |v| 0.5 + v * 0.05), noise(&mut random, SIZE));
        for y in rect.top..rect.bottom {
            for at in (y * SIZE.width + rect.left) * 3..(y * SIZE.width + rect.right) * 3 {
                before.data_mut()[at] = content.data()[at];
                after.data_mut()[at] = content.data()[at] * 0.6;
            }
        }
        let everywhere = Everywhere::of(SIZE);
        assert_eq!(floor_of(area, &everywhere, &before, &after), SHARE_OF_SURROUNDINGS);
    }

    #[test]
    fn flat_surroundings_or_none_ask_for_no_more_than_the_absolute_floor() {
        let content = scene(&mut Random(16), SIZE);
        let boxes = [at(50, 30, 30, 24), at(0, 0, SIZE.width, SIZE.height)];
        let rect = Rect::of(boxes[0], SIZE).grown(RADIUS, RADIUS, SIZE);
        let mut alone = map(&content, |_| 0.5);
        for y in rect.top + 2 * RADIUS..rect.bottom - 2 * RADIUS {
            let inside = (y * SIZE.width + rect.left + 2 * RADIUS) * 3..(y * SIZE.width + rect.right - 2 * RADIUS) * 3;
            alone.data_mut()[inside.clone()].copy_from_slice(&content.data()[inside]);
        }
        let everywhere = Everywhere::of(SIZE);
        assert!(boxes.iter().all(|&area| floor_of(area, &everywhere, &alone, &content) == CONTRAST_FLOOR));
    }
}
