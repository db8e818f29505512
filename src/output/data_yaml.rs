//! Writing the data.yaml of an output.

use crate::dataset::Dataset;
use crate::dataset::scan::Source;
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::atomic::write_file;
use crate::yaml::{self, Yaml};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where the new dataset's description lies in the output folder.
pub const DATA_YAML: &str = "data.yaml";

/// Keys of a `data.yaml` that this program answers anew, or that no longer hold for the copy.
const OWN_KEYS: [&str; 8] = ["path", "train", "val", "valid", "validation", "test", "minival", "download"];

/// Writes the `data.yaml` that Ultralytics trains on as it stands: `train` is the original train images and the new ones,
/// `val` and `test` are the originals, everything else is as the dataset's own file had it.
///
/// Entries are relative to `folder`, and there is no `path`: Ultralytics then resolves them from the file's own folder. A
/// list of images is referred to, unless what its lines mean to Ultralytics depends on the folder that it is started in;
/// then `original-<split>.txt` with absolute paths takes its place. New images that no folder of their own holds are
/// listed in `augmented-train.txt`. New images of other splits are in no entry. A dataset without validation images gets
/// its own train images as `val`, since Ultralytics demands one.
///
/// `done` is the source (absolute) and output (below `folder`, with `/`) of every picture made so far. A dataset without
/// a `data.yaml` has its classes called `class0`, `class1`, ... as far as its labels go; without labels either there is
/// nothing to train on, no file is written, and the answer is `None`.
///
/// # Errors
/// [`Error::Io`] where the system refuses.
pub fn write_data_yaml<'a>(
    folder: &Path,
    dataset: &Dataset,
    done: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Option<PathBuf>> {
    let classes = classes(dataset)?;
    if dataset.data.is_none() && classes.is_empty() {
        return Ok(None);
    }
    let train = originals(folder, dataset, Split::Train)?;
    let new = new_entries(folder, dataset, done)?;
    let mut text = "# Written by augment: the original images and their stylized copies.\n".to_string();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "train: {}", list(train.iter().chain(&new)));
    match originals(folder, dataset, Split::Val)? {
        val if val.is_empty() => {
            let _ = writeln!(text, "val: {}  # the dataset has no validation images of its own", list(&train));
        }
        val => {
            let _ = writeln!(text, "val: {}", list(&val));
        }
    }
    let test = originals(folder, dataset, Split::Test)?;
    if !test.is_empty() {
        let _ = writeln!(text, "test: {}", list(&test));
    }
    if let Some(Yaml::Map(pairs)) = &dataset.data {
        for (key, value) in pairs.iter().filter(|(key, _)| !OWN_KEYS.iter().any(|&own| key.text() == Some(own))) {
            let _ = writeln!(text, "{}: {value}", bare(key));
        }
    }
    if !classes.is_empty() {
        let _ = writeln!(text, "names: {}", Yaml::Map(classes));
    }
    let path = folder.join(DATA_YAML);
    write_file(&path, text.as_bytes())?;
    Ok(Some(path))
}

/// Names for a dataset that has none of its own.
fn classes(dataset: &Dataset) -> Result<Vec<(Yaml, Yaml)>> {
    if dataset.data.as_ref().is_some_and(|data| data.get("names").or(data.get("nc")).is_some()) {
        return Ok(Vec::new());
    }
    Ok((0..dataset.class_count()?).map(|id| (Yaml::Int(id as i128), Yaml::Text(format!("class{id}")))).collect())
}

/// The key as people write it, where that is safe.
fn bare(key: &Yaml) -> String {
    match key.text() {
        Some(text)
            if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && text.starts_with(char::is_alphabetic) =>
        {
            text.to_string()
        }
        _ => key.to_string(),
    }
}

fn list<'a>(entries: impl IntoIterator<Item = &'a String>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|entry| yaml::quoted(entry)).collect();
    format!("[{}]", entries.join(", "))
}

/// Entries for the original images of a split. A path that is not UTF-8 cannot be in one.
fn originals(folder: &Path, dataset: &Dataset, split: Split) -> Result<Vec<String>> {
    let mut entries = Vec::new();
    let mut lines = Vec::new();
    for source in dataset.sources.get(&split).into_iter().flatten() {
        match source {
            Source::Folder(path) | Source::List { path, portable: true, .. } => entries.extend(relative(folder, path)?),
            Source::List { images, .. } => {
                lines.extend(images.iter().filter_map(|image| image.to_str()).map(str::to_string));
            }
        }
    }
    if !lines.is_empty() {
        entries.push(write_list(folder, &format!("original-{split}.txt"), &lines)?);
    }
    Ok(entries)
}

/// Entries for the new images of the train split: their folders, and a list of those that share one with other splits.
fn new_entries<'a>(
    folder: &Path,
    dataset: &Dataset,
    done: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<String>> {
    // As rows name their sources, UTF-8 or not.
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let originals: HashSet<String> = dataset.images(Split::Train)?.into_iter().map(text).collect();
    let (mut new, others): (Vec<&str>, Vec<&str>) = {
        let (new, others): (Vec<_>, Vec<_>) = done.into_iter().partition(|(source, _)| originals.contains(*source));
        (new.into_iter().map(|(_, output)| output).collect(), others.into_iter().map(|(_, output)| output).collect())
    };
    let mut entries = Vec::new();
    for source in dataset.sources.get(&Split::Train).into_iter().flatten() {
        let Source::Folder(original) = source else { continue };
        // Inside one of the original folders, the new images are already there with it.
        if real(folder)?.starts_with(real(original)?) {
            return Ok(Vec::new());
        }
        let mirror = dataset.identity(original);
        // A mirror that is the output folder itself holds more than new images.
        let inside = |output: &&str| !mirror.is_empty() && Path::new(output).starts_with(&mirror);
        if new.iter().any(inside) && !others.iter().any(inside) {
            entries.push(mirror.clone());
            new.retain(|output| !inside(output));
        }
    }
    // A list has no way to name such a file.
    new.retain(|output| {
        !output.contains(|c: char| c == '\u{2028}' || c == '\u{2029}' || c == '\u{85}' || c.is_control())
    });
    if !new.is_empty() {
        new.sort_unstable();
        let lines: Vec<String> = new.iter().map(|output| format!("./{output}")).collect();
        entries.push(write_list(folder, "augmented-train.txt", &lines)?);
    }
    Ok(entries)
}

fn write_list(folder: &Path, name: &str, lines: &[String]) -> Result<String> {
    write_file(&folder.join(name), (lines.join("\n") + "\n").as_bytes())?;
    Ok(name.to_string())
}

/// The way from `folder` to `target`, both of which exist, with `/`; `None` if it is not UTF-8.
fn relative(folder: &Path, target: &Path) -> Result<Option<String>> {
    // Links first, as Ultralytics does: the way up from behind a link is another.
    let (folder, target) = (real(folder)?, real(target)?);
    let (from, to): (Vec<Component>, Vec<Component>) = (folder.components().collect(), target.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        // Another drive.
        return Ok(target.to_str().map(str::to_string));
    }
    let up = from[common..].iter().map(|_| Some(".."));
    let down = to[common..].iter().map(|part| part.as_os_str().to_str());
    let way: Option<Vec<&str>> = up.chain(down).collect();
    Ok(way.map(|way| if way.is_empty() { ".".to_string() } else { way.join("/") }))
}

fn real(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(Error::io(path, "find where it lies"))
}
