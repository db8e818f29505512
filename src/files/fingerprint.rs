//! What tells the content of files from another content under the same names.

use crate::files::digest::short_digest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Length, time and digest of the files that one picture is made from. A copy of them elsewhere has other times and is
/// still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of all files together.
    pub bytes: u64,
    /// Their lengths and the times that they were changed at, one by one and in order, in one number.
    pub modified: u64,
    /// Of their contents in order, sixteen hex digits.
    pub digest: String,
}

impl Fingerprint {
    /// Of those of `files` that can be read.
    pub fn of(files: &[PathBuf]) -> Self {
        let (bytes, modified) = quick(files);
        Self { bytes, modified, digest: digest(files) }
    }

    /// Whether `files` have the same content still; they are read only if their times differ.
    pub fn holds(&self, files: &[PathBuf]) -> bool {
        let (bytes, modified) = quick(files);
        bytes == self.bytes && (modified == self.modified || digest(files) == self.digest)
    }

    /// The same for files elsewhere, which may be others of the same lengths and times: they are read.
    pub fn holds_elsewhere(&self, files: &[PathBuf]) -> bool {
        quick(files).0 == self.bytes && digest(files) == self.digest
    }
}

/// How long `files` are together, and their lengths and times in one number, without reading them.
pub fn quick(files: &[PathBuf]) -> (u64, u64) {
    let found = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|data| {
        let since = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        (data.len(), since.map_or(0, |since| since.as_nanos() as u64))
    });
    // Two numbers that may not make up for each other: a label gets older by a minute where its image gets younger.
    let mixed = |sum: u64, value: u64| sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(value);
    found.fold((0, 0), |(bytes, all), (len, modified)| (bytes + len, mixed(mixed(all, len), modified)))
}

fn digest(files: &[PathBuf]) -> String {
    match files {
        [file] => fs::read(file).map(|bytes| short_digest(&bytes)).unwrap_or_default(),
        files => {
            let lines: Vec<String> = files.iter().map(|file| digest(std::slice::from_ref(file))).collect();
            short_digest(lines.join("\n").as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn content_counts_and_times_only_save_reading() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b", "missing"].map(|name| folder.path().join(name)).into();
        let write = |n: usize, text: &str, seconds: u64| {
            fs::write(&files[n], text).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::options().write(true).open(&files[n]).unwrap().set_modified(time).unwrap();
        };
        write(0, "frame", 10);
        write(1, "mask", 20);
        let taken = Fingerprint::of(&files);
        assert_eq!(taken.bytes, 9);
        assert!(taken.holds(&files));
        write(0, "frame", 30);
        assert!(taken.holds(&files), "touched, not changed");
        write(0, "FRAME", 30);
        assert!(!taken.holds(&files), "changed at the same length");
        write(0, "frame", 10);
        write(1, "MASK", 15);
        assert!(!taken.holds(&files), "an older time than the newest is a time too");
        write(1, "mask", 20);
        assert!(taken.holds_elsewhere(&files));
        write(1, "MASK", 20);
        assert!(taken.holds(&files) && !taken.holds_elsewhere(&files), "elsewhere, equal times say nothing");
        fs::remove_file(&files[1]).unwrap();
        assert!(!taken.holds(&files), "gone");
        write(1, "mask", 20);
        write(2, "depth", 20);
        assert!(!taken.holds(&files), "one more");
    }

    #[test]
    fn which_file_holds_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b"].map(|name| folder.path().join(name)).into();
        fs::write(&files[0], "xy").unwrap();
        let one = Fingerprint::of(&files).digest;
        fs::rename(&files[0], &files[1]).unwrap();
        assert_ne!(Fingerprint::of(&files).digest, one);
    }
}
