//! What a run says while it runs. Who listens decides what to show.

use crate::batch::stop::Reason;
use crate::output::row::Row;
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};

/// Something happened in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// The engine is ready and the plan is made.
    Begin(&'a Header),
    /// Work on a frame, named relative to the dataset, began.
    Frame { name: &'a str },
    /// One evaluation of a frame, several of which may be in hand: counted from 1, of how many, and the total loss.
    Evaluated { name: &'a str, evaluation: usize, of: usize, loss: f64 },
    /// The frame is done or failed; its row is on disk.
    Row(&'a Row),
    /// Something that a person should know and that stops nothing.
    Warning(&'a str),
}

/// What a run will do and with what.
#[derive(Clone, Debug)]
pub struct Header {
    pub backbone: String,
    pub backbone_digest: String,
    /// The device, its instruction set and threads.
    pub device: String,
    pub output: PathBuf,
    /// Jobs of the plan, and how many of them are to be done, were done before, and failed before and are left so.
    pub jobs: usize,
    pub todo: usize,
    pub skipped: usize,
    pub failed_before: usize,
    /// How many were done before and are to be done again, each with the reason.
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
    /// Jobs that failed in an earlier run and were left so.
    pub failed_before: usize,
    /// Jobs that were done before.
    pub skipped: usize,
    /// Jobs that a run which was stopped left to the next.
    pub left: usize,
    /// Of those done, how many had to be worked on at a smaller size than the config's, since memory was short.
    pub reduced: usize,
    /// Frames of this run whose files hold several pictures, of which the first was taken.
    pub several: usize,
    /// Why the run ended before all was tried.
    pub stopped: Option<Reason>,
    /// The first hundred of what failed, now or before.
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
    /// Copies of COCO annotation files for the new images, where the source has such files.
    #[serde(serialize_with = "lossy_list")]
    pub annotations: Vec<PathBuf>,
    /// COCO annotation files without a copy that should have one, each with the reason.
    pub annotations_left: Vec<String>,
    pub backbone: String,
    pub backbone_digest: String,
    pub device: String,
}

/// JSON holds text, and a path need not be any.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn lossy_if_any<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

fn lossy_list<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// A frame that came to nothing.
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

/// Silence.
impl Observer for () {
    fn event(&mut self, _: Event) {}
}
