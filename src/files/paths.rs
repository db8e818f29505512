//! Paths made absolute, resolved and portable, and the place of an image's label.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The path without `.` and `..`, as far as that is possible. The disk is not asked, so links are not followed.
pub fn normalize(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            Component::ParentDir if clean.has_root() => {}
            other => clean.push(other),
        }
    }
    clean
}

/// The extension of a file in lower-case letters; empty without one.
pub fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// Whether a file has one of these extensions, in any letter case.
pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|own| extensions.iter().any(|extension| own.eq_ignore_ascii_case(extension)))
}

/// Where Ultralytics looks for the label of an image: the last folder `images` becomes `labels`, the extension `txt`.
///
/// Without such a folder it is the text file beside the image.
pub fn label_path(image: &Path) -> PathBuf {
    in_place_of_images(image, Path::new("labels")).unwrap_or_else(|| image.to_path_buf()).with_extension("txt")
}

/// [`label_path`] of a relative path with `/`.
pub fn label_name(image: &str) -> String {
    with_slashes(&label_path(Path::new(image)))
}

/// The path of `image` with `folder` in place of the last folder `images`; `None` without one.
pub fn in_place_of_images(image: &Path, folder: &Path) -> Option<PathBuf> {
    let folders: Vec<Component> = image.parent()?.components().collect();
    let last = folders.iter().rposition(|folder| folder.as_os_str() == "images")?;
    let mut path: PathBuf = folders[..last].iter().collect();
    path.push(folder);
    path.extend(&folders[last + 1..]);
    path.push(image.file_name()?);
    Some(path)
}

/// The absolute path, normalized. The disk is asked for the current folder only.
///
/// # Errors
/// [`Error::Io`] if there is no current folder, or for an empty path.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map(|path| normalize(&path)).map_err(Error::io(path, "find where it lies"))
}

/// The path without links and `..`, as far as it exists. The rest of it stays as it is.
pub fn resolve_links(path: &Path) -> PathBuf {
    let resolved = |known: &Path| Some(fs::canonicalize(known).ok()?.join(path.strip_prefix(known).ok()?));
    path.ancestors().find_map(resolved).unwrap_or_else(|| path.to_path_buf())
}

/// Folders without links. Each is resolved once, since a dataset has few folders and many files.
#[derive(Default)]
pub struct RealFolders(HashMap<PathBuf, PathBuf>);

impl RealFolders {
    /// The file in the folder where it really lies.
    pub fn real(&mut self, file: &Path) -> PathBuf {
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return file.to_path_buf() };
        if !self.0.contains_key(folder) {
            let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
            self.0.insert(folder.to_path_buf(), real);
        }
        self.0.get(folder).map_or_else(|| file.to_path_buf(), |real| real.join(name))
    }
}

/// The path below `root` as text, with `/` on every system; empty for `root` itself.
///
/// A path elsewhere is kept whole but for its leading `/`, so that its mirror image still lies inside the output
/// folder. U+FFFD and two hex digits stand for a byte that is not UTF-8, so that such names stay distinct.
pub fn relative_text(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let names = relative.components().filter_map(|component| match component {
        Component::Normal(name) => Some(text_of(name)),
        _ => None,
    });
    names.collect::<Vec<_>>().join("/")
}

/// A relative path as text, with `/` on every system.
pub fn with_slashes(path: &Path) -> String {
    path.components().map(|component| component.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn text_of(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        text.extend(chunk.invalid().iter().map(|byte| format!("\u{FFFD}{byte:02x}")));
    }
    text
}

/// Paths in JSON: as text, and those that are no Unicode as what the system has, in the form of serde's `OsString`.
pub mod any_path {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::ffi::{OsStr, OsString};
    use std::path::{Path, PathBuf};

    #[derive(Serialize)]
    #[serde(untagged)]
    enum Written<'a> {
        Text(&'a str),
        Other(&'a OsStr),
    }

    impl<'a> From<&'a Path> for Written<'a> {
        fn from(path: &'a Path) -> Self {
            path.to_str().map_or_else(|| Self::Other(path.as_os_str()), Self::Text)
        }
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Read {
        Text(PathBuf),
        Other(OsString),
    }

    impl From<Read> for PathBuf {
        fn from(read: Read) -> Self {
            match read {
                Read::Text(path) => path,
                Read::Other(path) => path.into(),
            }
        }
    }

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(path).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Read::deserialize(deserializer).map(PathBuf::from)
    }

    /// The same for a path that may be missing.
    pub mod optional {
        use super::*;

        pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
            path.as_deref().map(Written::from).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
            Ok(Option::<Read>::deserialize(deserializer)?.map(PathBuf::from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_last_images_folder() {
        let label = |image: &str| label_path(Path::new(image)).display().to_string();
        assert_eq!(label("/data/images/x/images/train/a.b.jpg"), "/data/images/x/labels/train/a.b.txt");
        assert_eq!(label("images/a.jpg"), "labels/a.txt");
        assert_eq!(label("my_images/images.jpg"), "my_images/images.txt");
    }

    #[test]
    fn a_path_is_normalized_without_asking_the_disk() {
        for (path, expected) in
            [("a/./b/../c", "a/c"), ("../a", "../a"), ("a/../../b", "../b"), ("/../a/", "/a"), (".", "")]
        {
            assert_eq!(normalize(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn a_path_is_resolved_as_far_as_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        assert_eq!(resolve_links(&root.join("none/a.jpg")), root.join("none/a.jpg"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&root, root.join("link")).unwrap();
            assert_eq!(resolve_links(&root.join("link/none/a.jpg")), root.join("none/a.jpg"));
        }
    }

    #[test]
    fn the_text_of_a_path_is_relative_to_its_root_where_it_lies_below() {
        let text = |path: &str| relative_text(Path::new("/ds"), Path::new(path));
        assert_eq!([text("/ds/images/a.jpg"), text("/ds"), text("/pool/a.jpg")], ["images/a.jpg", "", "pool/a.jpg"]);
    }
}
