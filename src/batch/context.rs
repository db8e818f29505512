//! What all workers of a run share: the plan, the stylizers and the measured styles.

use crate::batch::budget::Budget;
use crate::batch::stylizers::Stylizers;
use crate::dataset::Dataset;
use crate::dataset::labels::Schema;
use crate::files::digest::short_digest;
use crate::nst::settings::Range;
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What all workers of a run share.
pub struct JobContext<'a> {
    pub plan: &'a Plan<'a>,
    pub stylizers: &'a Stylizers,
    /// The output folder.
    pub output: &'a Path,
    /// Of a JPEG, 1 to 100.
    pub quality: Range,
    pub facts: DatasetFacts,
    /// The memory that frames in progress share.
    pub memory: Budget,
}

/// What belongs to a dataset and is the same for all its frames.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// What the dataset says about its labels.
    pub schema: Schema,
    /// Whether a turned frame is stored as turned as its file is, with the tag that says so. Boxes of COCO are meant in
    /// the stored picture or in the upright one, depending on the program; so they fit the copy as they fit the frame.
    pub keeps_orientation: bool,
}

impl DatasetFacts {
    pub fn of(dataset: &Dataset) -> Self {
        Self { schema: dataset.schema(), keeps_orientation: !dataset.annotations.is_empty() }
    }

    /// Sixteen hex digits, the same for facts under which every picture comes out the same.
    pub fn digest(&self) -> String {
        short_digest(format!("{} {}", self.schema.meaning(), self.keeps_orientation).as_bytes())
    }
}
