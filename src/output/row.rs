//! One row of the manifest.

use crate::files::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Done,
    Failed,
}

/// The trunk that a job ran with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backbone {
    pub name: String,
    pub digest: String,
}

/// One of several styles of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StyleRow {
    /// Absolute path of the style picture.
    pub path: String,
    /// Its share, above 0; those of one job sum to 1.
    pub weight: f64,
}

/// What is known about one finished job. What a failed job never came to know is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub status: Status,
    /// Absolute path of the frame.
    pub source: String,
    /// Content of the frame, its label and its maps, in one.
    #[serde(default)]
    pub source_files: Option<Fingerprint>,
    /// Absolute path of the style picture, of several that with the largest weight.
    pub style: String,
    /// All styles, that one first, where there are more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub styles: Vec<StyleRow>,
    /// Digest of the style picture's bytes, of several one of all digests and weights.
    pub style_digest: String,
    /// The image written, relative to the manifest, with `/`.
    pub output: String,
    /// Its label, relative to the manifest, with `/`; `null` for a background frame.
    pub label: Option<String>,
    pub condition: String,
    /// Which copy of the frame this is, from 1.
    pub variant: u32,
    pub seed: u64,
    /// Pixels of the upright frame.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub device: String,
    pub backbone: Backbone,
    pub config_digest: String,
    /// Version of the program.
    pub engine: String,
    /// Evaluations of loss and gradient that were made, at all scales.
    pub evals: Option<u32>,
    /// Losses of the result and, `first_`, of the picture that the optimizer started from, both at the working size.
    pub content_loss: Option<f64>,
    pub style_loss: Option<f64>,
    pub first_content_loss: Option<f64>,
    pub first_style_loss: Option<f64>,
    /// The total loss of every evaluation, at all scales, in five digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<f64>,
    /// The blend between the frame (0) and the result (1) that was drawn.
    #[serde(default)]
    pub strength: Option<f64>,
    /// What is left of each labelled object, in the label's order; `null` without labels or guard.
    #[serde(default)]
    pub boxes: Option<Vec<BoxRow>>,
    /// The least `edges` of them.
    #[serde(default)]
    pub box_edges_min: Option<f64>,
    /// How many of them had to be eased.
    #[serde(default)]
    pub guard: Option<GuardRow>,
    /// Lines of the label that could not be understood; they are copied like all others.
    #[serde(default)]
    pub malformed_labels: Option<u32>,
    /// The working size's long side that memory allowed, where that was less than the config's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_size: Option<u32>,
    /// Whether the losses were no numbers at first, so that Adam began again from the frame itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// Whether the frame's file holds more pictures, as animations do; the first was taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_of_several: bool,
    /// Content of the picture and its label as they were written, in one.
    #[serde(default)]
    pub made_files: Option<Fingerprint>,
    /// Wall time of the whole job, from reading the frame to the renamed output.
    pub seconds: f64,
    /// Why the job failed.
    pub error: Option<String>,
}

/// One labelled object in the stylized frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxRow {
    /// Correlation of the luma's gradients with the frame's.
    pub edges: f64,
    /// Local contrast over the frame's.
    pub contrast: f64,
    /// Toward what the guard had to blend it, and how far.
    pub eased: Option<String>,
}

/// Objects that the guard blended toward the start of the optimization, and on toward the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRow {
    pub start: u32,
    pub original: u32,
}
