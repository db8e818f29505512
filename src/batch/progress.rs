//! What a run reports while it runs and when it ends. The observer decides what to show.

use crate::batch::stop::Reason;
use crate::nst::settings::SceneKind;
use crate::output::row::Row;
use crate::plan::summary::ConditionCounts;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Something happened in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// The engine is ready and the plan is made.
    Begin(&'a RunHeader),
    /// Work on a frame, named relative to the dataset, began.
    Frame { name: &'a str },
    /// One evaluation of a frame, counted from 1, of how many, and its total loss. Several frames may be in progress.
    Evaluated { name: &'a str, evaluation: usize, of: usize, loss: f64 },
    /// A frame is done or failed; its row is on disk.
    Row(&'a Row),
    /// So many frames of how many are optimized for a student to learn from.
    Lesson { done: usize, of: usize },
    /// A student has gone through its lessons so often, of how often.
    Training { done: usize, of: usize },
    /// Something that a person should know and that stops nothing.
    Warning(&'a str),
}

/// What a run will do and with what.
#[derive(Clone, Debug)]
pub struct RunHeader {
    pub backbone: String,
    pub backbone_digest: String,
    /// The digests of the students, of conditions that have one.
    pub students: Vec<String>,
    /// The device, its instruction set and threads.
    pub device: String,
    pub output: PathBuf,
    /// Jobs of the plan.
    pub jobs: usize,
    /// Jobs to do in this run.
    pub todo: usize,
    /// Jobs that were done before.
    pub skipped: usize,
    /// Jobs that failed in an earlier run and are not tried again.
    pub failed_before: usize,
    /// How many jobs were done before and must be done again, one text for each reason.
    pub done_again: Vec<String>,
    pub styles: usize,
}

/// How a run ended; `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Jobs of the plan.
    pub jobs: usize,
    pub done: usize,
    pub failed: usize,
    /// Jobs that failed in an earlier run and were not tried again.
    pub failed_before: usize,
    /// Jobs that were done before.
    pub skipped: usize,
    /// Jobs that are left for the next run, since this one was stopped.
    pub left: usize,
    /// Rows of this run whose frames were worked on at a smaller size than the config's, since memory was short.
    pub reduced: usize,
    /// Frames of this run that were begun anew from the frame itself, since losses or pixels were no numbers.
    pub restarted: usize,
    /// Frames of this run that a student drew, and those that it passed on to the optimizer.
    pub drawn_by_student: usize,
    pub passed_on_by_student: usize,
    /// Frames of this run whose files hold several pictures, of which the first was taken.
    pub several: usize,
    /// Frames of this run whose labels have lines that no loader understands, and the first of these labels below the output
    /// folder.
    pub malformed_labels: usize,
    pub first_malformed_label: String,
    /// Where that line is, for people.
    #[serde(skip)]
    pub first_malformed_place: String,
    /// The same for ids of classes that the dataset gives no name.
    pub unnamed_classes: usize,
    pub first_unnamed_class: String,
    /// Where that label is, for people.
    #[serde(skip)]
    pub first_unnamed_place: String,
    /// What the frames of this run were taken for, where that was asked.
    pub scenes: SceneCounts,
    /// Image files of the dataset that were left out, since loaders read their formats and this program does not, by
    /// extension.
    pub unread: BTreeMap<String, usize>,
    /// Why the run ended before all was tried.
    pub stopped: Option<Reason>,
    /// The first hundred failures, of this run and earlier ones.
    pub failures: Vec<FailedFrame>,
    pub seconds: f64,
    /// Frames written per second; 0 when none was.
    pub frames_per_second: f64,
    #[serde(serialize_with = "lossy")]
    pub output: PathBuf,
    #[serde(serialize_with = "lossy")]
    pub manifest: PathBuf,
    /// The new dataset for training, where the source was a labelled one.
    #[serde(serialize_with = "lossy_if_any")]
    pub data_yaml: Option<PathBuf>,
    /// What a person should know about that file; also in `warnings`.
    #[serde(skip)]
    pub data_yaml_warnings: Vec<String>,
    /// Frames of the requested splits with a label, in this run's plan or not.
    pub labelled: usize,
    /// Frames of the requested splits without a label whose objects are known from COCO annotations.
    pub annotated: usize,
    /// Frames of the requested splits with neither.
    pub background: usize,
    /// Text files that look like labels and that belong to no image.
    pub unused_labels: usize,
    /// What a person should know about the dataset and the new one.
    pub warnings: Vec<String>,
    /// Copies of COCO annotation files for the new images, where the source has such files.
    #[serde(serialize_with = "lossy_list")]
    pub annotations: Vec<PathBuf>,
    /// COCO annotation files without a copy that should have one, each with the reason.
    pub annotations_left: Vec<String>,
    /// What the copies lack of their COCO annotation files although no run will make it, one text for each file.
    pub annotations_partial: Vec<String>,
    /// What each condition comes to.
    pub conditions: Vec<ConditionCounts>,
    /// Frames without a job because the config's `where` does not choose them; of several conditions, their sum.
    pub not_chosen_by_where: usize,
    pub backbone: String,
    pub backbone_digest: String,
    /// The digests of the students, of conditions that have one.
    pub students: Vec<String>,
    pub device: String,
}

/// JSON holds text, and a path may not be UTF-8.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn lossy_if_any<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

fn lossy_list<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// How many frames show which scene.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SceneCounts {
    pub road: usize,
    pub aerial: usize,
    /// Frames without a ground plane.
    pub none: usize,
}

impl SceneCounts {
    pub fn add(&mut self, scene: Option<SceneKind>) {
        match scene {
            Some(SceneKind::Road) => self.road += 1,
            Some(SceneKind::Aerial) => self.aerial += 1,
            Some(SceneKind::None) => self.none += 1,
            Some(SceneKind::Auto) | None => {}
        }
    }
}

/// A frame that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailedFrame {
    /// Absolute path of the frame.
    pub source: String,
    pub error: String,
}

/// Listens to a run.
pub trait Observer {
    fn event(&mut self, event: Event);
}

/// Shows nothing.
impl Observer for () {
    fn event(&mut self, _: Event) {}
}
