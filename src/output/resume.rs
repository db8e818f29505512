//! Decides from the rows of earlier runs whether a job is done, failed or to be done again.

use crate::files::fingerprint::Fingerprint;
use crate::output::folder;
use crate::output::row::{BackboneRow, Row, Status};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// What makes the picture of a job what it is. A row of an earlier run counts only if all of this is still the same.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// Absolute path of the frame, since another dataset may have a frame of the same name.
    pub source: Cow<'a, str>,
    /// The frame, its label and its maps. Their content must be the same.
    pub source_files: Vec<PathBuf>,
    /// Relative to the manifest, with `/`.
    pub output: &'a str,
    pub label: Option<&'a str>,
    pub seed: u64,
    /// The frame's place in its sequence; 0 where there is none.
    pub place: u64,
    pub style_digest: &'a str,
    pub config_digest: &'a str,
    pub backbone_digest: &'a str,
    pub dataset_digest: Option<&'a str>,
    /// `None` without a student.
    pub student: Option<&'a str>,
    pub engine: &'a str,
}

/// What the manifest says about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    Done,
    /// It failed, and nothing has changed since.
    Failed,
    /// It was done or failed before, and must be done again.
    Stale(Change),
}

/// Why a job must be done again. Displays as what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Engine,
    Backbone,
    Student,
    Seed,
    Place,
    Config,
    Dataset,
    Style,
    Source,
    Output,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "another version of augment",
            Self::Backbone => "another backbone",
            Self::Student => "another student",
            Self::Seed => "another seed",
            Self::Place => "another place in a sequence",
            Self::Config => "another config",
            Self::Dataset => "other classes, keypoints or COCO annotations of the dataset",
            Self::Style => "another style",
            Self::Source => "a changed image, label, mask or depth",
            Self::Output => "missing or changed pictures or labels",
        })
    }
}

/// The part of a row that is kept in memory during a run. There may be hundreds of thousands of rows, so texts are kept
/// as hashes.
pub struct Record {
    pub status: Status,
    pub source: Box<str>,
    source_files: Option<Fingerprint>,
    made_files: Option<Fingerprint>,
    seed: u64,
    place: u64,
    label: Option<u64>,
    style: u64,
    config: u64,
    backbone: u64,
    dataset: Option<u64>,
    student: Option<u64>,
    engine: u64,
}

impl Record {
    /// Whether `work` was done and its files in the output `folder` are still there, and if not, why.
    pub fn state(&self, work: &Work, folder: &Path) -> State {
        let changes = [
            (self.engine != hash64(work.engine), Change::Engine),
            (self.backbone != hash64(work.backbone_digest), Change::Backbone),
            (self.student != work.student.map(hash64), Change::Student),
            (self.seed != work.seed, Change::Seed),
            (self.place != work.place, Change::Place),
            (self.config != hash64(work.config_digest), Change::Config),
            // Rows of early versions do not say.
            (self.dataset.is_some() && self.dataset != work.dataset_digest.map(hash64), Change::Dataset),
            (self.style != hash64(work.style_digest), Change::Style),
            (self.label != work.label.map(hash64), Change::Source),
        ];
        if let Some(&(_, change)) = changes.iter().find(|(changed, _)| *changed) {
            return State::Stale(change);
        }
        // A dataset that was moved, or that another machine has elsewhere, is the same while its content is.
        let holds = |files: &Fingerprint| match *self.source == *work.source {
            true => files.holds(&work.source_files),
            false => files.holds_elsewhere(&work.source_files),
        };
        if !self.source_files.as_ref().is_some_and(holds) {
            return State::Stale(Change::Source);
        }
        if self.status == Status::Failed {
            return State::Failed;
        }
        let files = folder::files(folder, work.output, work.label);
        let is_intact = match &self.made_files {
            // A run with other settings that was killed before it appended its row has replaced this row's picture. A
            // machine that lost power may leave an empty file after a finished rename.
            Some(made) => made.holds(&files),
            None => files[0].metadata().is_ok_and(|file| file.len() > 0) && files.iter().all(|file| file.is_file()),
        };
        if is_intact { State::Done } else { State::Stale(Change::Output) }
    }
}

impl Record {
    /// Whether `row` is about a picture that would be the same: of the same files, seed, styles, config, network and
    /// version, wherever it was made.
    pub fn is_of(&self, row: &Row) -> bool {
        let Row { identity, producer, .. } = row;
        let contents = |files: &Option<Fingerprint>| files.as_ref().map(|files| (files.bytes, files.digest.clone()));
        let hash = |text: &Option<String>| text.as_deref().map(hash64);
        contents(&self.source_files) == contents(&identity.source_files)
            && (self.seed, self.place) == (identity.seed, identity.place.unwrap_or(0))
            && self.label == hash(&identity.label)
            && self.style == hash64(&identity.style_digest)
            && self.config == hash64(&producer.config_digest)
            && self.backbone == hash64(&producer.backbone.digest)
            && self.dataset == hash(&producer.dataset_digest)
            && self.student == hash(&producer.student)
            && self.engine == hash64(&producer.engine)
    }
}

/// The keys of a row that a [`Record`] needs.
#[derive(Deserialize)]
pub struct RowHead<'a> {
    status: Status,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(default)]
    source_files: Option<Fingerprint>,
    #[serde(default)]
    made_files: Option<Fingerprint>,
    #[serde(borrow)]
    pub output: Cow<'a, str>,
    #[serde(borrow)]
    label: Option<Cow<'a, str>>,
    seed: u64,
    #[serde(default)]
    place: Option<u64>,
    #[serde(borrow)]
    style_digest: Cow<'a, str>,
    #[serde(borrow)]
    config_digest: Cow<'a, str>,
    backbone: BackboneRow,
    #[serde(borrow)]
    engine: Cow<'a, str>,
    #[serde(borrow, default)]
    dataset_digest: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    student: Option<Cow<'a, str>>,
}

impl From<RowHead<'_>> for Record {
    fn from(row: RowHead) -> Self {
        Self {
            status: row.status,
            source: row.source.into(),
            source_files: row.source_files,
            made_files: row.made_files,
            seed: row.seed,
            place: row.place.unwrap_or(0),
            label: row.label.map(|label| hash64(&label)),
            style: hash64(&row.style_digest),
            config: hash64(&row.config_digest),
            backbone: hash64(&row.backbone.digest),
            dataset: row.dataset_digest.map(|digest| hash64(&digest)),
            student: row.student.map(|student| hash64(&student)),
            engine: hash64(&row.engine),
        }
    }
}

/// A hash that is stable within one run. It stands for a text among the rows of one output folder.
fn hash64(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
