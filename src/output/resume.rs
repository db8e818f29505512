//! Decides from the rows of earlier runs whether a job is done, failed or to be done again.

use crate::files::fingerprint::Fingerprint;
use crate::files::paths::label_name;
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
    /// Of the objects that COCO annotations give the frame, if they do.
    pub annotations_digest: Option<String>,
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
    Annotations,
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
            Self::Annotations => "changed COCO annotations",
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
    recipe: Recipe,
}

/// What decides, beside the files of the frame, what a picture looks like. Texts are hashes.
struct Recipe {
    seed: u64,
    place: u64,
    label: Option<u64>,
    annotations: Option<u64>,
    style: u64,
    config: u64,
    backbone: u64,
    /// `None` in rows of early versions.
    dataset: Option<u64>,
    student: Option<u64>,
    engine: u64,
}

impl Recipe {
    /// The first of what is other under `new`.
    fn change(&self, new: &Self) -> Option<Change> {
        let changes = [
            (self.engine != new.engine, Change::Engine),
            (self.backbone != new.backbone, Change::Backbone),
            (self.student != new.student, Change::Student),
            (self.seed != new.seed, Change::Seed),
            (self.place != new.place, Change::Place),
            (self.config != new.config, Change::Config),
            (self.dataset.is_some() && self.dataset != new.dataset, Change::Dataset),
            (self.style != new.style, Change::Style),
            (self.label != new.label, Change::Source),
            (self.annotations != new.annotations, Change::Annotations),
        ];
        changes.into_iter().find_map(|(is_other, change)| is_other.then_some(change))
    }
}

impl Record {
    /// Whether `work` was done and its files in the output `folder` are still there, and if not, why.
    pub fn state(&self, work: &Work, folder: &Path) -> State {
        if let Some(change) = self.recipe.change(&work.into()) {
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
        if self.is_whole(folder, work.output) { State::Done } else { State::Stale(Change::Output) }
    }

    /// Whether the files that the row was written for are in the output `folder`.
    pub fn is_whole(&self, folder: &Path, output: &str) -> bool {
        let label = self.recipe.label.map(|_| label_name(output));
        let files = folder::files(folder, output, label.as_deref());
        match &self.made_files {
            // A run with other settings that was killed before it appended its row has replaced this row's picture. A
            // machine that lost power may leave an empty file after a finished rename.
            Some(made) => made.holds(&files),
            None => files[0].metadata().is_ok_and(|file| file.len() > 0) && files.iter().all(|file| file.is_file()),
        }
    }

    /// Whether `row` is about a picture that would be the same, wherever it was made.
    pub fn is_of(&self, row: &Row) -> bool {
        let contents = |files: &Option<Fingerprint>| files.as_ref().map(|files| (files.bytes, files.digest.clone()));
        contents(&self.source_files) == contents(&row.identity.source_files)
            && self.recipe.change(&row.into()).is_none()
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
    #[serde(borrow, default)]
    annotations_digest: Option<Cow<'a, str>>,
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
        let recipe = Recipe {
            seed: row.seed,
            place: row.place.unwrap_or(0),
            label: row.label.as_deref().map(hash64),
            annotations: row.annotations_digest.as_deref().map(hash64),
            style: hash64(&row.style_digest),
            config: hash64(&row.config_digest),
            backbone: hash64(&row.backbone.digest),
            dataset: row.dataset_digest.as_deref().map(hash64),
            student: row.student.as_deref().map(hash64),
            engine: hash64(&row.engine),
        };
        let RowHead { status, source, source_files, made_files, .. } = row;
        Self { status, source: source.into(), source_files, made_files, recipe }
    }
}

impl From<&Row> for Recipe {
    fn from(Row { identity, producer, .. }: &Row) -> Self {
        Self {
            seed: identity.seed,
            place: identity.place.unwrap_or(0),
            label: identity.label.as_deref().map(hash64),
            annotations: identity.annotations_digest.as_deref().map(hash64),
            style: hash64(&identity.style_digest),
            config: hash64(&producer.config_digest),
            backbone: hash64(&producer.backbone.digest),
            dataset: producer.dataset_digest.as_deref().map(hash64),
            student: producer.student.as_deref().map(hash64),
            engine: hash64(&producer.engine),
        }
    }
}

impl From<&Work<'_>> for Recipe {
    fn from(work: &Work) -> Self {
        Self {
            seed: work.seed,
            place: work.place,
            label: work.label.map(hash64),
            annotations: work.annotations_digest.as_deref().map(hash64),
            style: hash64(work.style_digest),
            config: hash64(work.config_digest),
            backbone: hash64(work.backbone_digest),
            dataset: work.dataset_digest.map(hash64),
            student: work.student.map(hash64),
            engine: hash64(work.engine),
        }
    }
}

/// A hash that is stable within one run. It stands for a text among the rows of one output folder.
fn hash64(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
