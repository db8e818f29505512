//! Recognizes an output folder of this program by the files that every run puts into it.

use crate::error::{Error, Result};
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The manifest's name in the output folder.
pub const MANIFEST_NAME: &str = "manifest.jsonl";

/// The name of the lock file. A run over everything holds it alone; runs over shards share it.
pub const LOCK_NAME: &str = ".augment.lock";

/// Keys that every row of a manifest of this program has.
const ROW_KEYS: [&str; 3] = ["status", "config_digest", "engine"];

/// Whether this program has written to the folder. A scan must not take the images there for originals.
pub fn is_output_folder(folder: &Path) -> bool {
    if folder.join(LOCK_NAME).exists() {
        return true;
    }
    // A copy of an output may lack the lock file. Other programs have files of the manifest's name, so its first row
    // decides.
    let Ok(file) = File::open(folder.join(MANIFEST_NAME)) else { return false };
    let mut first = String::new();
    if BufReader::new(file).read_line(&mut first).is_err() {
        return false;
    }
    let row = serde_json::from_str::<HashMap<String, IgnoredAny>>(&first);
    row.is_ok_and(|row| ROW_KEYS.iter().all(|&key| row.contains_key(key)))
}

/// Refuses a folder that no run of this program has written to.
///
/// # Errors
/// [`Error::BadFile`].
pub fn expect_output_folder(folder: &Path) -> Result<()> {
    if is_output_folder(folder) {
        return Ok(());
    }
    if !folder.exists() {
        return Err(Error::bad_file(folder, "there is no such folder; name the output of a run"));
    }
    Err(Error::bad_file(folder, "it is not an output of augment: it has no manifest of its own"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_output_folder_is_recognized_by_its_lock_file_or_its_first_row() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, manifest) = (folder.path().join(LOCK_NAME), folder.path().join(MANIFEST_NAME));
        assert!(!is_output_folder(folder.path()));
        fs::write(&lock, "").unwrap();
        assert!(is_output_folder(folder.path()), "from the start, before the first row");
        fs::remove_file(&lock).unwrap();
        let row = "{\"status\": \"done\", \"config_digest\": \"x\", \"engine\": \"0.1.0\", \"seconds\": 1.5}\n";
        fs::write(&manifest, format!("{row}no row\n")).unwrap();
        assert!(is_output_folder(folder.path()));
        for foreign in ["", "{\"files\": []}\n", "[1]\n", &row[..30], "{\"status\": 1, \"engine\": 2}\n"] {
            fs::write(&manifest, foreign).unwrap();
            assert!(!is_output_folder(folder.path()), "{foreign}");
            assert!(expect_output_folder(folder.path()).is_err());
        }
    }
}
