//! Where a text comes from: the places that errors name, and the folder that relative paths start at.

use crate::error::{Error, Result};
use crate::files::paths;
use crate::yaml::Fault;
use serde_yaml::Location;
use std::path::{Path, PathBuf};

/// A text of a config.
pub(super) struct Origin<'a> {
    source: Source<'a>,
    /// Relative paths of the text start here.
    base: PathBuf,
}

enum Source<'a> {
    File(&'a Path),
    /// A `--set`, as it was typed.
    Set(&'a str),
}

/// A value with its place in a text.
pub(super) struct Placed<T> {
    pub value: T,
    /// `file:line:column`, or the `--set`.
    pub place: String,
}

impl<'a> Origin<'a> {
    /// The config file at `path`; its relative paths start at its own folder.
    pub(super) fn file(path: &'a Path) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(Error::io(path, "find its folder"))?;
        let base = absolute.parent().unwrap_or(&absolute).to_path_buf();
        Ok(Self { source: Source::File(path), base })
    }

    /// A `--set`; its relative paths start at `base`.
    pub(super) fn set(set: &'a str, base: &Path) -> Self {
        Self { source: Source::Set(set), base: base.to_path_buf() }
    }

    /// The place of a value.
    pub(super) fn place(&self, at: Location) -> String {
        self.line_and_column(at.line(), at.column())
    }

    fn line_and_column(&self, line: u64, column: u64) -> String {
        match self.source {
            Source::File(path) => format!("{}:{line}:{column}", path.display()),
            Source::Set(set) => format!("--set {set}"),
        }
    }

    /// An error over the value at this place.
    pub(super) fn error(&self, at: Location, message: impl Into<String>, help: Option<String>) -> Error {
        Error::config(self.place(at), message, help)
    }

    /// An error over a text that is not the YAML of a config.
    pub(super) fn fault(&self, fault: Fault) -> Error {
        let (line, column) = fault.at.unwrap_or((1, 1));
        Error::config(self.line_and_column(line, column), fault.message, fault.help)
    }

    /// A path of the text, absolute and without `.` and `..`.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        paths::normalize(&self.base.join(written))
    }
}

/// The place of what a file leaves out.
pub(super) fn first_line(path: &Path) -> String {
    format!("{}:1:1", path.display())
}
