//! One row of the manifest, which records one finished job. Its JSON is flat: the groups below are only this program's.

use crate::files::fingerprint::Fingerprint;
use crate::nst::settings::SceneKind;
use serde::{Deserialize, Serialize};

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Done,
    Failed,
}

/// One line of the manifest.
pub enum Line<R> {
    Row(R),
    Removed(Removed),
}

/// Says that the rows of an output so far no longer count, because its files were removed.
#[derive(Serialize, Deserialize)]
pub struct Removed {
    /// The image, relative to the manifest, with `/`.
    pub removed: String,
}

impl<'l, R: Deserialize<'l>> Line<R> {
    /// # Errors
    /// For a line that is neither.
    pub fn parse(line: &'l [u8]) -> serde_json::Result<Self> {
        let row = serde_json::from_slice(line).map(Self::Row);
        row.or_else(|error| serde_json::from_slice(line).map(Self::Removed).map_err(|_| error))
    }
}

/// The network that a job ran with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackboneRow {
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
///
/// The order of the fields is the order of the keys in the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub status: Status,
    #[serde(flatten)]
    pub identity: Identity,
    /// Pixels of the upright frame.
    pub width: Option<u32>,
    pub height: Option<u32>,
    #[serde(flatten)]
    pub producer: Producer,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Which picture a row is about, and what it is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Absolute path of the frame.
    pub source: String,
    /// Content of the frame, its label and its maps together.
    #[serde(default)]
    pub source_files: Option<Fingerprint>,
    /// Absolute path of the style picture. Of several it is the one with the largest weight.
    pub style: String,
    /// All styles, that one first, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub styles: Vec<StyleRow>,
    /// Digest of the style picture's bytes; for several styles, one digest of all digests and weights.
    pub style_digest: String,
    /// The image written, relative to the manifest, with `/`.
    pub output: String,
    /// Its label, relative to the manifest, with `/`; `null` for a background frame.
    pub label: Option<String>,
    /// Digest of the objects that COCO annotations give the frame, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_digest: Option<String>,
    pub condition: String,
    /// Which copy of the frame this is, from 1.
    pub variant: u32,
    pub seed: u64,
    /// The name of the frame's sequence, whose frames share the seed; `null` where the config asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// The frame's place in it, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
}

/// Who made a picture: machine, network, config and program. All rows of a run share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    pub device: String,
    pub backbone: BackboneRow,
    pub config_digest: String,
    /// Version of the program.
    pub engine: String,
    /// Digest of what the dataset says about all its labels: the kinds of its classes, its keypoints, whether it has
    /// COCO annotations. Rows of early versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_digest: Option<String>,
    /// The digest of the student; `null` where the optimizer makes every picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<String>,
}

/// What made the pixels of a picture in a run with a student.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MadeBy {
    Student,
    /// The student's networks disagreed too much, or its picture could not be used.
    Optimizer,
}

/// How the job went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Evaluations of loss and gradient that were made, at all scales.
    pub evals: Option<u32>,
    /// Losses of the result and, with `first_`, of the picture that the optimizer started from, both at the working
    /// size.
    pub content_loss: Option<f64>,
    pub style_loss: Option<f64>,
    pub first_content_loss: Option<f64>,
    pub first_style_loss: Option<f64>,
    /// The total loss of every evaluation, at all scales, in five digits; `null` for one that is not finite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Option<f64>>,
    /// What made it; `null` without a student.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
    /// How far the student's networks disagreed, in units of 0..1; `null` without a student.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<f64>,
    /// The blend between the frame (0) and the result (1) that was drawn.
    #[serde(default)]
    pub strength: Option<f64>,
    /// What the frame was taken for, if effects or the guard had to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<SceneKind>,
    /// The objects of COCO annotations, of a frame without a label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotated: Vec<AnnotatedRow>,
    /// What is left of each labelled object, in the label's order; `null` without labels or guard.
    #[serde(default)]
    pub boxes: Option<Vec<BoxRow>>,
    /// The smallest `edges` of them.
    #[serde(default)]
    pub box_edges_min: Option<f64>,
    /// How many of them the guard had to blend.
    #[serde(default)]
    pub guard: Option<GuardRow>,
    /// Lines of the label that loaders refuse; they are copied like all others.
    #[serde(default)]
    pub malformed_labels: Option<u32>,
    /// The number of the first of them, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_malformed_line: Option<u32>,
    /// Labelled objects whose class has no name, where the dataset names classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnamed_classes: Option<u32>,
    /// Labelled objects beyond the most that are guarded and gone around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects_left_out: Option<u32>,
    /// The working size's long side that memory allowed, if that was less than the config's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_size: Option<u32>,
    /// Whether the losses were not finite at first, so that Adam began again from the frame itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// Whether the frame's file holds more pictures, as animations do; the first was taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_of_several: bool,
    /// Content of the picture and its label as they were written, together.
    #[serde(default)]
    pub made_files: Option<Fingerprint>,
    /// Wall time of the whole job, from reading the frame to the renamed output.
    pub seconds: f64,
    /// Why the job failed.
    pub error: Option<String>,
}

impl Row {
    /// The row of a job that has not come to anything yet: it counts as failed until it is done.
    pub fn new(identity: Identity, producer: Producer) -> Self {
        let outcome = Outcome::default();
        Self { status: Status::Failed, identity, width: None, height: None, producer, outcome }
    }
}

/// One object of COCO annotations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnotatedRow {
    /// The name of its category.
    pub class: String,
    /// Left, top, right and bottom, as shares of the upright picture.
    pub area: [f64; 4],
}

/// One labelled object in the stylized frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxRow {
    /// Correlation of the luma's gradients with the frame's.
    pub edges: f64,
    /// Local contrast over the frame's.
    pub contrast: f64,
    /// Toward which picture the guard had to blend it, and how far.
    pub eased: Option<String>,
}

/// How many objects the guard blended toward the start of the optimization, and how many further, toward the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRow {
    pub start: u32,
    pub original: u32,
    /// For how many objects the air was made thinner.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub air: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole row of version 0.1.0, with every key that it could write.
    const LINE: &str = concat!(
        r#"{"status":"done","source":"/ds/a.jpg","source_files":{"bytes":277,"modified":15901640384395497406,"#,
        r#""digest":"d2b67c8a54a5e45d"},"style":"/s/a.png","styles":[{"path":"/s/a.png","#,
        r#""weight":0.7235626863548753},{"path":"/s/b.png","weight":0.2764373136451247}],"#,
        r#""style_digest":"61684dfc484cd62b","output":"a__fog-1.jpg","label":"a__fog-1.txt","condition":"fog","#,
        r#""variant":1,"seed":18446744073709551615,"width":24,"height":16,"device":"cpu avx512","#,
        r#""backbone":{"name":"builtin","digest":"30a89fca8d901309"},"config_digest":"a4a2710921849ba3","#,
        r#""engine":"0.1.0","evals":3,"content_loss":0.683593445076671,"style_loss":5e-324,"#,
        r#""first_content_loss":1.7976931348623157e+308,"first_style_loss":0.351861950739807,"#,
        r#""losses":[4.1072,3.0202,2.5489],"strength":1.0,"boxes":[{"edges":0.8374,"contrast":1.1806,"#,
        r#""eased":"original 1"},{"edges":0.9999,"contrast":0.6811,"eased":null}],"box_edges_min":0.8374,"#,
        r#""guard":{"start":0,"original":1},"malformed_labels":2,"reduced_size":256,"restarted":true,"#,
        r#""first_of_several":true,"made_files":{"bytes":485,"modified":15954761870160993551,"#,
        r#""digest":"632350ac96fa7650"},"seconds":0.013659626,"error":null}"#,
    );

    #[test]
    fn a_row_keeps_its_keys_their_order_and_every_digit() {
        let row: Row = serde_json::from_str(LINE).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), LINE);
        assert_eq!((row.identity.seed, row.outcome.style_loss), (u64::MAX, Some(5e-324)));
    }

    #[test]
    fn a_row_of_a_job_that_came_to_nothing_has_the_keys_that_are_always_there() {
        let text = serde_json::to_string(&Row::new(Identity::default(), Producer::default())).unwrap();
        let expected = concat!(
            r#"{"status":"failed","source":"","source_files":null,"style":"","style_digest":"","output":"","#,
            r#""label":null,"condition":"","variant":0,"seed":0,"width":null,"height":null,"device":"","#,
            r#""backbone":{"name":"","digest":""},"config_digest":"","engine":"","evals":null,"content_loss":null,"#,
            r#""style_loss":null,"first_content_loss":null,"first_style_loss":null,"strength":null,"boxes":null,"#,
            r#""box_edges_min":null,"guard":null,"malformed_labels":null,"made_files":null,"seconds":0.0,"#,
            r#""error":null}"#,
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn keys_that_came_later_may_be_missing_and_unknown_ones_are_passed_over() {
        let text = concat!(
            r#"{"status":"failed","source":"a","style":"s","style_digest":"d","output":"o","label":null,"#,
            r#""condition":"fog","variant":1,"seed":0,"width":null,"height":null,"device":"cpu","#,
            r#""backbone":{"name":"n","digest":"b"},"config_digest":"c","engine":"e","evals":null,"#,
            r#""content_loss":null,"style_loss":null,"first_content_loss":null,"first_style_loss":null,"seconds":1,"#,
            r#""error":"why","later":[1]}"#,
        );
        let row: Row = serde_json::from_str(text).unwrap();
        assert_eq!((row.outcome.seconds, row.outcome.error.as_deref()), (1.0, Some("why")));
        assert!(row.outcome.losses.is_empty() && row.identity.source_files.is_none());
        assert!(serde_json::from_str::<Row>(&text.replace("\"output\":\"o\",", "")).is_err(), "a row needs its output");
    }
}
