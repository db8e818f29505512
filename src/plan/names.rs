//! Names of outputs that do not collide.

use crate::dataset::Frame;
use crate::error::{Error, Result};
use crate::files::digest::short_digest;
use std::collections::HashMap;
use std::path::Path;

pub(crate) struct Parts<'a> {
    /// With its closing `/`, or empty.
    folder: &'a str,
    stem: &'a str,
    pub(crate) extension: &'a str,
}

pub(crate) fn parts(relative: &str) -> Parts<'_> {
    let (folder, name) = relative.split_at(relative.rfind('/').map_or(0, |slash| slash + 1));
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    Parts { folder, stem, extension }
}

/// For every frame the start of its output's path, with as much added as makes them all distinct.
///
/// File names get at most `room` bytes; longer ones keep their beginning and get a digest for the rest.
pub fn distinct_names(frames: &[Frame], room: usize) -> Result<Vec<String>> {
    let name_at = |level, relative: &str| fitted(name_at(level, relative), relative, room);
    let mut names: Vec<String> = frames.iter().map(|frame| name_at(0, &frame.relative)).collect();
    for level in 1..=2 {
        let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            groups.entry(name.to_lowercase()).or_default().push(index);
        }
        for index in groups.into_values().filter(|group| group.len() > 1).flatten() {
            names[index] = name_at(level, &frames[index].relative);
        }
    }
    let mut seen: HashMap<String, &Frame> = HashMap::new();
    for (name, frame) in names.iter().zip(frames) {
        if let Some(other) = seen.insert(name.to_lowercase(), frame) {
            let (a, b) = (other.path.display(), frame.path.display());
            return Err(Error::Run(format!("{a} and {b} would write the same output; rename one of them")));
        }
    }
    Ok(names)
}

fn name_at(level: usize, relative: &str) -> String {
    let Parts { folder, stem, extension } = parts(relative);
    match level {
        0 => format!("{folder}{stem}"),
        1 => format!("{folder}{stem}_{extension}"),
        _ => format!("{folder}{stem}_{extension}_{}", &short_digest(relative.as_bytes())[..8]),
    }
}

/// `name`, of which the part behind the last `/` has at most `room` bytes.
fn fitted(name: String, relative: &str, room: usize) -> String {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    if name.len() - start <= room {
        return name;
    }
    let end = (start..=start + room.saturating_sub(9)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(start);
    format!("{}_{}", &name[..end], &short_digest(relative.as_bytes())[..8])
}

pub fn with_slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
