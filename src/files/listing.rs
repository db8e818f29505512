//! What lies in a folder.

use std::fs;
use std::path::{Path, PathBuf};

/// The entries of a folder, in no particular order; none if it cannot be listed.
pub fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Whether the name of a file or folder begins with a dot.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_entries_and_a_missing_one_has_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join(".a"), "").unwrap();
        let mut found: Vec<_> = entries(folder.path()).collect();
        found.sort();
        assert_eq!(found, [folder.path().join(".a"), folder.path().join("b")]);
        assert_eq!(found.iter().map(|path| is_hidden(path)).collect::<Vec<_>>(), [true, false]);
        assert_eq!(entries(&folder.path().join("none")).count(), 0);
    }
}
