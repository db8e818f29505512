//! Image files that loaders read as images and this program cannot decode: they are counted, never passed over silently.

use crate::files::paths::{extension, has_extension};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Extensions of the image formats that Ultralytics reads and this program does not.
const EXTENSIONS: [&str; 7] = ["avif", "dng", "heic", "heif", "jp2", "jpeg2000", "pfm"];

/// Whether the extension, in any letter case, is that of a format that loaders read and this program does not.
pub fn is_foreign(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

/// The lines of the text list at `path` that name such files, as they are written.
pub fn of_list(path: &Path) -> Vec<PathBuf> {
    let text = fs::read(path).unwrap_or_default();
    let lines = String::from_utf8_lossy(&text);
    lines.lines().map(|line| PathBuf::from(line.trim())).filter(|line| is_foreign(line)).collect()
}

/// How many of the files have each extension.
pub fn by_extension(files: &[PathBuf]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    files.iter().map(|file| extension(file)).for_each(|extension| *counts.entry(extension).or_default() += 1);
    counts
}

/// What a person should know about the files, which are `what`; `None` if there are none.
pub fn message(files: &[PathBuf], what: &str) -> Option<String> {
    let first = files.first()?;
    let counts: Vec<String> =
        by_extension(files).into_iter().map(|(extension, count)| format!("{count} {extension}")).collect();
    Some(format!(
        "{} {what} are left out, because this program cannot read their format ({}; first {}); convert them to jpg or png",
        files.len(),
        counts.join(", "),
        first.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_by_their_extension_in_any_letter_case() {
        let files: Vec<PathBuf> = ["a.HEIC", "b.heic", "c.Avif", "d.jp2", "e.dng", "f.heif"].map(PathBuf::from).into();
        assert!(files.iter().all(|file| is_foreign(file)));
        assert!(!["a.jpg", "b.mpo", "heic", "c.gif", "d.avif.txt"].iter().any(|file| is_foreign(Path::new(file))));
        let said = message(&files, "images").unwrap();
        assert!(
            said.starts_with("6 images") && said.contains("1 avif, 1 dng, 2 heic, 1 heif, 1 jp2; first a.HEIC"),
            "{said}"
        );
        assert_eq!(message(&[], "images"), None);
    }

    #[test]
    fn lines_of_a_list_count() {
        let folder = tempfile::tempdir().unwrap();
        let list = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "./images/a.jpg\r\n./images/b.avif\r\n /x/c.HEIC \n").unwrap();
            of_list(&path)
        };
        assert_eq!(list("train.txt"), [Path::new("./images/b.avif"), Path::new("/x/c.HEIC")]);
        assert!(of_list(&folder.path().join("gone.txt")).is_empty());
    }
}
