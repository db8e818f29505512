//! What became of the labelled objects.

use crate::nst::picture::geometry::Area;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::figures::{Figures, figures};

/// How far a box was blended away from the stylized picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Easing {
    None,
    /// This share of the plain start's detail, in 0.125..=1.
    Plain(f32),
    /// As much of the plain start as helped, and over it this share of the original's detail, in 0.125..=1.
    Content(f32),
}

/// One box in the final picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxReport {
    pub area: Area,
    /// See [`Figures::contrast`].
    pub contrast: f64,
    /// See [`Figures::edges`].
    pub edges: f64,
    pub easing: Easing,
}

/// All boxes of a picture, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuardReport {
    pub boxes: Vec<BoxReport>,
    /// The number of objects that the air was made thinner for.
    pub thinner_air: usize,
}

impl GuardReport {
    /// Measures the boxes again, in a `result` that has changed since.
    ///
    /// # Panics
    /// When the pictures differ in size.
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

    /// The number of boxes that were blended towards the plain start only.
    pub fn eased_to_plain(&self) -> usize {
        self.boxes.iter().filter(|report| matches!(report.easing, Easing::Plain(_))).count()
    }

    /// The number of boxes that were blended towards the original.
    pub fn eased_to_content(&self) -> usize {
        self.boxes.iter().filter(|report| matches!(report.easing, Easing::Content(_))).count()
    }
}
