//! Fingerprints of files: whether their content is still the same under the same names.

use crate::files::digest::{short_digest, short_digest_of};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Lengths and times of a list of files, which takes no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Of all files together.
    pub bytes: u64,
    /// A hash of their lengths and modification times, in the order of the files.
    pub modified: u64,
}

impl Stamp {
    /// A file that is not there counts, too: a mask may become another one's by a new name, which changes no time.
    pub fn of(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        const MISSING: (u64, u64) = (0, u64::MAX);
        let found = files.into_iter().map(|file| match fs::metadata(file) {
            Ok(data) => {
                let since = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                (data.len(), since.map_or(0, |since| since.as_nanos() as u64))
            }
            Err(_) => MISSING,
        });
        // A sum would not do: a label a minute older and an image a minute younger would cancel out.
        let mixed = |sum: u64, value: u64| sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(value);
        let (bytes, modified) =
            found.fold((0, 0), |(bytes, all), (len, modified)| (bytes + len, mixed(mixed(all, len), modified)));
        Self { bytes, modified }
    }
}

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
        Self::stamped(Stamp::of(files), digest(files))
    }

    /// The same as [`of`](Self::of) where the caller has contents in memory already. A file whose content is `None` is
    /// read here.
    ///
    /// `stamp` is of before the contents were read. If a file changes in between, the times are those of another content,
    /// so that a later comparison reads it again.
    pub fn of_contents(stamp: Stamp, files: &[(&Path, Option<&[u8]>)]) -> Self {
        Self::stamped(stamp, digest_of_contents(files))
    }

    fn stamped(Stamp { bytes, modified }: Stamp, digest: String) -> Self {
        Self { bytes, modified, digest }
    }

    /// Whether `files` still have the same content. They are read only if their times differ.
    pub fn holds(&self, files: &[PathBuf]) -> bool {
        let Stamp { bytes, modified } = Stamp::of(files);
        bytes == self.bytes && (modified == self.modified || digest(files) == self.digest)
    }

    /// Whether `files` in another place have the same content. They are always read: other files may have the same
    /// lengths and times, and copies have other times.
    pub fn holds_elsewhere(&self, files: &[PathBuf]) -> bool {
        Stamp::of(files).bytes == self.bytes && digest(files) == self.digest
    }
}

/// [`Fingerprint::digest`] of contents that are in memory already. A file whose content is `None` is read.
pub fn digest_of_contents(files: &[(&Path, Option<&[u8]>)]) -> String {
    joined(files.iter().map(|(path, content)| content.map_or_else(|| digest_of_file(path), short_digest)).collect())
}

fn digest(files: &[PathBuf]) -> String {
    joined(files.iter().map(|file| digest_of_file(file)).collect())
}

/// Empty for a file that cannot be read.
fn digest_of_file(path: &Path) -> String {
    File::open(path).and_then(short_digest_of).unwrap_or_default()
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
            assert_eq!(Fingerprint::of_contents(Stamp::of(files), &both), Fingerprint::of(files));
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a")];
        fs::write(&files[0], "old").unwrap();
        let before = Stamp::of(&files);
        for (read, written) in [("old", "newer"), ("old", "new")] {
            fs::write(&files[0], written).unwrap();
            let later = SystemTime::now() + Duration::from_secs(9);
            fs::File::options().write(true).open(&files[0]).unwrap().set_modified(later).unwrap();
            let taken = Fingerprint::of_contents(before, &[(&files[0], Some(read.as_bytes()))]);
            assert!(!taken.holds(&files), "{written}");
        }
        let taken = Fingerprint::of_contents(before, &[(&files[0], Some(b"new"))]);
        assert!(taken.holds(&files), "the change came before the content was read");
    }

    #[test]
    fn a_content_that_moves_to_another_file_changes_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b"].map(|name| folder.path().join(name)).into();
        fs::write(&files[0], "xy").unwrap();
        let one = Fingerprint::of(&files).digest;
        let taken = Fingerprint::of(&files);
        fs::rename(&files[0], &files[1]).unwrap();
        assert_ne!(Fingerprint::of(&files).digest, one);
        assert!(!taken.holds(&files), "the time is the same, and the place is not");
    }
}
