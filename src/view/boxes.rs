//! Labelled objects, with the contrast and edges that are left in the stylized picture.

use crate::dataset::labels::{Labelled, Labels, Schema};
use crate::nst::Area;
use crate::nst::render::guard::EDGES_FLOOR;
use crate::output::row::{AnnotatedRow, BoxRow, Row};
use serde::Serialize;
use std::path::Path;

/// Upper limits of `edges`, a correlation of at most 1, for all levels except the last. The worst level comes first.
/// The last level begins at [`EDGES_FLOOR`], below which the guard blends a box.
pub const EDGE_LIMITS: [f64; 3] = [0.5, 0.8, EDGES_FLOOR];

/// A box with less `contrast`, as a share of the frame's, has the worst level, whatever its edges are. Edges compare
/// shapes, not strengths, so only the contrast shows that an object has almost disappeared.
pub const FAINT_CONTRAST: f64 = 0.15;

/// A labelled object. Its sides are shares of the picture, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelledBox {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    /// The name of its class, or the class as the label writes it if the dataset has no name for it.
    pub class: String,
    /// As in [`BoxRow`]; `None` if not measured.
    pub edges: Option<f64>,
    /// As in [`BoxRow`]; `None` if not measured.
    pub contrast: Option<f64>,
    /// As in [`BoxRow`].
    pub eased: Option<String>,
}

impl LabelledBox {
    /// How well the object is kept: from 0, the worst, to the length of [`EDGE_LIMITS`]. `None` if not measured.
    pub fn level(&self) -> Option<usize> {
        let edges = self.edges?;
        let faint = self.contrast.is_some_and(|contrast| contrast < FAINT_CONTRAST);
        Some(if faint { 0 } else { EDGE_LIMITS.iter().take_while(|&&below| edges >= below).count() })
    }
}

/// The boxes of a row of the output `folder`; empty if its label cannot be read.
pub fn of(row: &Row, folder: &Path, schema: &Schema) -> Vec<LabelledBox> {
    let named = |one: Labelled| Labelled { class: schema.name(&one.class).to_string(), ..one };
    let labelled = match &row.identity.label {
        Some(label) => {
            let labels = Labels::read(&folder.join(label), schema.keypoints).unwrap_or_default();
            labels.boxes.into_iter().map(named).collect()
        }
        None => row.outcome.annotated.iter().map(labelled).collect(),
    };
    measured(labelled, row.outcome.boxes.as_deref())
}

fn labelled(AnnotatedRow { class, area: [left, top, right, bottom] }: &AnnotatedRow) -> Labelled {
    let area = Area { left: *left, top: *top, right: *right, bottom: *bottom };
    Labelled { class: class.clone(), area, outline: Vec::new() }
}

/// The boxes, whose classes are names, with the guard's figures, if there are figures for each box.
fn measured(boxes: Vec<Labelled>, figures: Option<&[BoxRow]>) -> Vec<LabelledBox> {
    // The guard has no figures for objects outside the stylized part. If some are missing, it is unknown which ones.
    let mut figures = figures.filter(|figures| figures.len() == boxes.len()).into_iter().flatten();
    let measured = |Labelled { class, area, .. }: Labelled| {
        let figures = figures.next();
        LabelledBox {
            left: area.left,
            top: area.top,
            right: area.right,
            bottom: area.bottom,
            class,
            edges: figures.map(|figures| figures.edges),
            contrast: figures.map(|figures| figures.contrast),
            eased: figures.and_then(|figures| figures.eased.clone()),
        }
    };
    boxes.into_iter().map(measured).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::row::{Identity, Producer};
    use std::fs;

    #[test]
    fn boxes_have_figures_only_if_there_is_one_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let label = folder.path().join("a.txt");
        fs::write(&label, "0 .5 .5 .2 .2\n1 .2 .2 .1 .1\n").unwrap();
        fs::write(folder.path().join("data.yaml"), "names: {1: bird}\n").unwrap();
        let schema = Schema::read(&folder.path().join("data.yaml"));
        let figure = |edges| BoxRow { edges, contrast: 0.5, eased: None };
        let row = |label: Option<&str>, figures: Option<Vec<BoxRow>>| {
            let identity = Identity { label: label.map(str::to_string), ..Identity::default() };
            let mut row = Row::new(identity, Producer::default());
            row.outcome.boxes = figures;
            row
        };
        let edges_of = |row: &Row| {
            let boxes = of(row, folder.path(), &schema);
            boxes.iter().map(|one| (one.class.clone(), one.edges)).collect::<Vec<_>>()
        };
        let edges = |figures: Option<Vec<BoxRow>>| edges_of(&row(Some("a.txt"), figures));
        let both = |first, second| vec![("0".to_string(), first), ("bird".to_string(), second)];
        assert_eq!(edges(Some(vec![figure(0.9), figure(0.8)])), both(Some(0.9), Some(0.8)));
        assert_eq!(edges(Some(vec![figure(0.9)])), both(None, None));
        assert_eq!(edges(None), both(None, None));
        assert!(edges_of(&row(Some("none.txt"), None)).is_empty());

        let mut annotated = row(None, Some(vec![figure(0.7)]));
        assert!(edges_of(&annotated).is_empty());
        annotated.outcome.annotated = vec![AnnotatedRow { class: "car".into(), area: [0.1, 0.2, 0.3, 0.4] }];
        assert_eq!(edges_of(&annotated), [("car".to_string(), Some(0.7))]);
        assert_eq!(of(&annotated, folder.path(), &schema)[0].bottom, 0.4);
    }

    #[test]
    fn a_box_that_almost_disappears_has_the_worst_level_whatever_its_edges() {
        let level = |edges, contrast| {
            let labelled = LabelledBox {
                left: 0.0,
                top: 0.0,
                right: 1.0,
                bottom: 1.0,
                class: "0".into(),
                edges,
                contrast,
                eased: None,
            };
            labelled.level()
        };
        assert_eq!(
            [0.1, 0.5, 0.8, 0.92].map(|edges| level(Some(edges), Some(1.0))),
            [Some(0), Some(1), Some(2), Some(3)]
        );
        assert_eq!((level(Some(1.0), Some(0.1)), level(Some(1.0), None), level(None, None)), (Some(0), Some(3), None));
    }
}
