//! What is known of a job from earlier runs.

use crate::files::fingerprint::Fingerprint;
use crate::output::row::{Backbone, Status};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// What must be equal for a row to speak of the same work.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// Absolute path of the frame: another dataset may have one of the same name.
    pub source: Cow<'a, str>,
    /// The frame, its label and its maps, whose content must be the same.
    pub source_files: Vec<PathBuf>,
    /// Relative to the manifest, with `/`.
    pub output: &'a str,
    pub label: Option<&'a str>,
    pub seed: u64,
    pub style_digest: &'a str,
    pub config_digest: &'a str,
    pub backbone_digest: &'a str,
    pub engine: &'a str,
}

/// What the manifest knows of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    Done,
    /// It failed, and nothing has changed since.
    Failed,
    /// It was done or failed once, and is to be done again.
    Stale(Change),
}

/// Why a work is to be done again. Displays as what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Engine,
    Backbone,
    Seed,
    Config,
    Style,
    Source,
    Output,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "another version of augment",
            Self::Backbone => "another backbone",
            Self::Seed => "another seed",
            Self::Config => "another config",
            Self::Style => "another style",
            Self::Source => "a changed image, label, mask or depth",
            Self::Output => "missing or changed pictures or labels",
        })
    }
}

/// What is kept of a row while a run lasts: rows may be hundreds of thousands.
pub struct Record {
    pub(crate) status: Status,
    pub(crate) source: Box<str>,
    pub(crate) source_files: Option<Fingerprint>,
    pub(crate) made_files: Option<Fingerprint>,
    pub(crate) seed: u64,
    pub(crate) label: Option<u64>,
    pub(crate) style: u64,
    pub(crate) config: u64,
    pub(crate) backbone: u64,
    pub(crate) engine: u64,
}

/// A row as far as [`Record`] needs it.
#[derive(Deserialize)]
pub struct Brief<'a> {
    status: Status,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(default)]
    source_files: Option<Fingerprint>,
    #[serde(default)]
    made_files: Option<Fingerprint>,
    #[serde(borrow)]
    pub(crate) output: Cow<'a, str>,
    #[serde(borrow)]
    label: Option<Cow<'a, str>>,
    seed: u64,
    #[serde(borrow)]
    style_digest: Cow<'a, str>,
    #[serde(borrow)]
    config_digest: Cow<'a, str>,
    backbone: Backbone,
    #[serde(borrow)]
    engine: Cow<'a, str>,
}

impl From<Brief<'_>> for Record {
    fn from(row: Brief) -> Self {
        Self {
            status: row.status,
            source: row.source.into(),
            source_files: row.source_files,
            made_files: row.made_files,
            seed: row.seed,
            label: row.label.map(|label| mark(&label)),
            style: mark(&row.style_digest),
            config: mark(&row.config_digest),
            backbone: mark(&row.backbone.digest),
            engine: mark(&row.engine),
        }
    }
}

/// Stands for a text among those of one folder.
pub fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
