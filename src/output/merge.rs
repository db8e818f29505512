//! Outputs of shards that ran on machines of their own, brought together in one.

use crate::error::{Error, Result};
use crate::files::fingerprint::Fingerprint;
use crate::files::paths::real;
use crate::files::{atomic, marker};
use crate::output::folder;
use crate::output::manifest::{self, Manifest};
use crate::output::row::{Row, Status};
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
    parts.iter().try_for_each(|part| marker::expect_output_folder(part))?;
    let mut target = Manifest::open(into, None)?;
    let mut merged = Merged::default();
    for part in parts {
        if real(part) == real(into) {
            return Err(Error::Usage(format!("{} cannot be merged into itself", part.display())));
        }
        // Held while its files are copied. Of each output the last row counts; its files are that one's.
        let _source = Manifest::open(part, None)?;
        for mut row in manifest::last_rows(part)? {
            match (row.status, target.status(&row.output)) {
                (_, Some(Status::Done)) | (Status::Failed, Some(Status::Failed)) => merged.known += 1,
                (Status::Failed, None) => {
                    merged.failed += 1;
                    target.append(&row)?;
                }
                (Status::Done, _) => {
                    copy(part, into, &row)?;
                    row.made_files = Some(Fingerprint::of(&folder::files(into, &row.output, row.label.as_deref())));
                    merged.copied += 1;
                    target.append(&row)?;
                }
            }
        }
    }
    Ok(merged)
}

fn copy(from: &Path, to: &Path, row: &Row) -> Result<()> {
    folder::clear(to, &row.output)?;
    // The label first, as in every run: a picture without one would be taken for background.
    for file in row.label.iter().chain([&row.output]) {
        let bytes = fs::read(from.join(file)).map_err(Error::io(&from.join(file), "read it"))?;
        atomic::write_file(&to.join(file), &bytes)?;
    }
    Ok(())
}
