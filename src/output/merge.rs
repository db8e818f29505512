//! Merges the outputs of shards that ran on separate machines.

use crate::error::{Error, Result};
use crate::files::fingerprint::Fingerprint;
use crate::files::paths::resolve_links;
use crate::files::{atomic, marker};
use crate::output::manifest::{self, LastRows, Manifest};
use crate::output::row::{Identity, Row, Status};
use crate::output::{folder, lock};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What a merge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Merged {
    /// Pictures that were copied with their labels.
    pub copied: usize,
    /// Rows of failures that were added.
    pub failed: usize,
    /// Rows that `into` had already.
    pub known: usize,
    /// Pictures that were left out: `into` has another one of that name, from another frame, config, seed or version, or
    /// in another format.
    pub different: usize,
    /// The first of them: its path in its part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_different: Option<PathBuf>,
    /// Pictures that were left out: they or their labels are missing, are not those of their rows, or lie elsewhere.
    pub damaged: usize,
    /// The first of them: its path in its part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_damaged: Option<PathBuf>,
    /// Lines of the parts' manifests that are no rows.
    pub unreadable: usize,
}

/// Copies the pictures, labels and rows of `parts` into the output folder `into`, which is created if it is missing.
/// What is done in `into` stays as it is, unless its files are missing or changed. The parts are not changed. Pictures
/// whose files are not those that their rows were written for are left out; a run then makes them.
///
/// # Errors
/// [`Error::BadFile`] for a part that is not an output, [`Error::Usage`] for a part that is `into` itself,
/// [`Error::Run`] if a run holds one of the folders, [`Error::Io`] if the system refuses.
pub fn merge(into: &Path, parts: &[PathBuf]) -> Result<Merged> {
    parts.iter().try_for_each(|part| marker::expect_output_folder(part))?;
    let mut target = Manifest::open(into, None)?;
    let mut merged = Merged::default();
    for part in parts {
        if resolve_links(part) == resolve_links(into) {
            return Err(Error::Usage(format!("{} cannot be merged into itself", part.display())));
        }
        // The part is locked while its files are copied, so that they belong to the rows that are read.
        let _source = lock::hold(part)?;
        let LastRows { rows, unreadable } = manifest::last_rows(part)?;
        merged.unreadable += unreadable;
        for mut row in rows {
            let output = &row.identity.output;
            // A picture whose files are missing or changed is restored, if a part has it.
            let known = match (row.status, target.status(output)) {
                (Status::Done, Some(Status::Done)) if !target.is_whole(output) => None,
                (_, known) => known,
            };
            // Of two pictures in different formats, which share a label, a run makes one.
            let is_other = || match known {
                Some(Status::Done) => !target.knows(&row),
                _ => target.in_other_formats(output).any(|other| target.is_whole(&other)),
            };
            match (row.status, known) {
                (Status::Done, _) if is_other() => {
                    merged.different += 1;
                    merged.first_different.get_or_insert_with(|| part.join(output));
                }
                (_, Some(Status::Done)) | (Status::Failed, Some(Status::Failed)) => merged.known += 1,
                (Status::Failed, None) => {
                    merged.failed += 1;
                    target.append(&row)?;
                }
                (Status::Done, _) if !is_whole(part, &row) => {
                    merged.damaged += 1;
                    merged.first_damaged.get_or_insert_with(|| part.join(output));
                }
                (Status::Done, _) => {
                    copy(part, into, &row)?;
                    let Identity { output, label, .. } = &row.identity;
                    row.outcome.made_files = Some(Fingerprint::of(&folder::files(into, output, label.as_deref())));
                    merged.copied += 1;
                    target.append(&row)?;
                    target.remove_other_formats(&row.identity.output)?;
                }
            }
        }
    }
    Ok(merged)
}

/// Whether the files of a row are in `part`, and those that it was written for.
fn is_whole(part: &Path, row: &Row) -> bool {
    let Identity { output, label, .. } = &row.identity;
    // A part comes from another machine, and its rows may name any file.
    let is_inside = |file: &String| Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if !label.iter().chain([output]).all(is_inside) {
        return false;
    }
    let files = folder::files(part, output, label.as_deref());
    match &row.outcome.made_files {
        Some(made) => made.holds_elsewhere(&files),
        // Rows of early versions do not say.
        None => files.iter().all(|file| file.is_file()),
    }
}

fn copy(from: &Path, to: &Path, row: &Row) -> Result<()> {
    let Identity { output, label, .. } = &row.identity;
    folder::clear(to, output)?;
    // The label first, as in every run: a picture without its label would count as background.
    for file in label.iter().chain([output]) {
        let bytes = fs::read(from.join(file)).map_err(Error::io(&from.join(file), "read it"))?;
        atomic::write_file(&to.join(file), &bytes)?;
    }
    Ok(())
}
