//! Outputs of shards that ran on machines of their own, brought together in one.

use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, Row, Status};
use crate::output;
use std::fs;
use std::path::{Path, PathBuf};

/// What came of bringing outputs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Merged {
    /// Pictures that were copied with their labels.
    pub copied: usize,
    /// Rows of failures that came along.
    pub failed: usize,
    /// Rows that were there already.
    pub known: usize,
}

/// Copies the pictures, labels and rows of `parts` into the output folder `into`, which is made if need be. What is done
/// there stays, and so does all that the parts have.
///
/// # Errors
/// [`Error::BadFile`] for a part that is no output or has lost a file that its rows name, [`Error::Run`] if a run holds
/// one of the folders, [`Error::Io`] otherwise.
pub fn merge(into: &Path, parts: &[PathBuf]) -> Result<Merged> {
    if let Some(part) = parts.iter().find(|part| !manifest::is_output_folder(part)) {
        return Err(Error::bad_file(part, "it is no output of augment: it has no manifest of its own"));
    }
    let mut target = Manifest::open(into, None)?;
    let mut merged = Merged::default();
    for part in parts {
        let source = Manifest::open(part, None)?;
        source.each_row(|row| {
            match (row.status, target.status(&row.output)) {
                (_, Some(Status::Done)) | (Status::Failed, Some(Status::Failed)) => merged.known += 1,
                (Status::Failed, None) => {
                    merged.failed += 1;
                    target.append(&row)?;
                }
                (Status::Done, _) if source.status(&row.output) == Some(Status::Done) => {
                    copy(part, into, &row)?;
                    merged.copied += 1;
                    target.append(&row)?;
                }
                // It failed later, and its files may be gone.
                (Status::Done, _) => {}
            }
            Ok(())
        })?;
    }
    Ok(merged)
}

fn copy(from: &Path, to: &Path, row: &Row) -> Result<()> {
    // The label first, as in every run: a picture without one would be taken for background.
    for file in row.label.iter().chain([&row.output]) {
        let bytes = fs::read(from.join(file)).map_err(Error::io(&from.join(file), "read it"))?;
        output::write_file(&to.join(file), &bytes)?;
    }
    Ok(())
}
