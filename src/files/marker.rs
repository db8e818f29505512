//! What tells an output folder of this program from others.

use crate::error::{Error, Result};
use crate::output::manifest::{FILE_NAME, LOCK_NAME};
use crate::output::row::Status;
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Whether this program has written to the folder, so that no walk should take its images for originals.
pub fn is_output_folder(folder: &Path) -> bool {
    if folder.join(LOCK_NAME).exists() {
        return true;
    }
    // The lock file may be left behind in a copy. Other tools call their manifests so too: look at the first row.
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only asked whether they are there")]
    struct Marker {
        status: Status,
        config_digest: String,
        engine: String,
    }
    let Ok(file) = File::open(folder.join(FILE_NAME)) else { return false };
    let mut first = String::new();
    BufReader::new(file).read_line(&mut first).is_ok() && serde_json::from_str::<Marker>(&first).is_ok()
}

/// Refuses what no run of this program has written to.
///
/// # Errors
/// [`Error::BadFile`].
pub fn expect_output_folder(folder: &Path) -> Result<()> {
    if is_output_folder(folder) {
        return Ok(());
    }
    Err(Error::bad_file(folder, "it is no output of augment: it has no manifest of its own"))
}
