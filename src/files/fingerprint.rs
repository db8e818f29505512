//! Fingerprints of files: whether their content is still the same under the same names.

use crate::files::digest::short_digest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Length, times and digest of a list of files, such as those that one picture is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of all files together.
    pub bytes: u64,
    /// A hash of their lengths and modification times, in the order of the files.
    pub modified: u64,
    /// Sixteen hex digits of the contents, in the order of the files.
    pub digest: String,
}

impl Fingerprint {
    /// Reads the files. One that cannot be read counts as a file that is not there.
    pub fn of(files: &[PathBuf]) -> Self {
        let (bytes, modified) = quick(files);
        Self { bytes, modified, digest: digest(files) }
    }

    /// The same as [`of`](Self::of) where the caller has contents in memory already. A file whose content is `None` is
    /// read here.
    pub fn of_contents(files: &[(&Path, Option<&[u8]>)]) -> Self {
        let (bytes, modified) = quick(files.iter().map(|(path, _)| *path));
        let digests: Vec<String> =
            files.iter().map(|(path, content)| content.map_or_else(|| digest_of_file(path), short_digest)).collect();
        Self { bytes, modified, digest: joined(digests) }
    }

    /// Whether `files` still have the same content. They are read only if their times differ.
    pub fn holds(&self, files: &[PathBuf]) -> bool {
        let (bytes, modified) = quick(files);
        bytes == self.bytes && (modified == self.modified || digest(files) == self.digest)
    }

    /// Whether `files` in another place have the same content. They are always read: other files may have the same
    /// lengths and times, and copies have other times.
    pub fn holds_elsewhere(&self, files: &[PathBuf]) -> bool {
        quick(files).0 == self.bytes && digest(files) == self.digest
    }
}

/// [`Fingerprint::bytes`] and [`Fingerprint::modified`] of `files`, which are not read.
pub fn quick(files: impl IntoIterator<Item = impl AsRef<Path>>) -> (u64, u64) {
    let found = files.into_iter().filter_map(|file| fs::metadata(file).ok()).map(|data| {
        let since = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        (data.len(), since.map_or(0, |since| since.as_nanos() as u64))
    });
    // A sum would not do: a label a minute older and an image a minute younger would cancel out.
    let mixed = |sum: u64, value: u64| sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(value);
    found.fold((0, 0), |(bytes, all), (len, modified)| (bytes + len, mixed(mixed(all, len), modified)))
}

fn digest(files: &[PathBuf]) -> String {
    joined(files.iter().map(|file| digest_of_file(file)).collect())
}

/// Empty for a file that cannot be read.
fn digest_of_file(path: &Path) -> String {
    fs::read(path).map(|bytes| short_digest(&bytes)).unwrap_or_default()
}

/// A single digest as it is, several as the digest of their lines.
fn joined(mut digests: Vec<String>) -> String {
    match digests.len() {
        1 => digests.remove(0),
        _ => short_digest(digests.join("\n").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn content_decides_and_equal_times_only_save_reading() {
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
        assert!(!taken.holds(&files), "a changed file counts although another one is newer");
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
    fn contents_in_memory_give_the_same_fingerprint_as_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b", "missing"].map(|name| folder.path().join(name)).into();
        fs::write(&files[0], "frame").unwrap();
        fs::write(&files[1], "label").unwrap();
        for count in 0..=files.len() {
            let files = &files[..count];
            let contents: [Option<&[u8]>; 3] = [Some(b"frame"), None, None];
            let both: Vec<_> = files.iter().map(PathBuf::as_path).zip(contents).collect();
            assert_eq!(Fingerprint::of_contents(&both), Fingerprint::of(files));
        }
    }

    #[test]
    fn a_content_that_moves_to_another_file_changes_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b"].map(|name| folder.path().join(name)).into();
        fs::write(&files[0], "xy").unwrap();
        let one = Fingerprint::of(&files).digest;
        fs::rename(&files[0], &files[1]).unwrap();
        assert_ne!(Fingerprint::of(&files).digest, one);
    }
}
