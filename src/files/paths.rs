//! Paths: made absolute, real and portable.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The path without `.` and with every `..` taken back, without asking the disk.
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

/// Where Ultralytics looks for the label of an image: the last folder `images` becomes `labels`, the extension `txt`.
///
/// Without such a folder it is the text file beside the image.
pub fn label_path(image: &Path) -> PathBuf {
    in_place_of_images(image, Path::new("labels")).unwrap_or_else(|| image.to_path_buf()).with_extension("txt")
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

pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map(|path| normalize(&path)).map_err(Error::io(path, "find where it lies"))
}

/// The path without links and `..`, as far as it leads through what exists.
pub fn real(path: &Path) -> PathBuf {
    let resolved = |known: &Path| Some(fs::canonicalize(known).ok()?.join(path.strip_prefix(known).ok()?));
    path.ancestors().find_map(resolved).unwrap_or_else(|| path.to_path_buf())
}

pub fn identity(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts = relative.components().filter_map(|part| match part {
        Component::Normal(name) => Some(text_of(name)),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The name as text; U+FFFD and two hex digits stand for a byte that is none.
fn text_of(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        text.extend(chunk.invalid().iter().map(|byte| format!("\u{FFFD}{byte:02x}")));
    }
    text
}
