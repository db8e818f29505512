//! Reading a data.yaml.

use crate::dataset::scan::{Source, is_image};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{absolute, normalize};
use crate::yaml::{self, Yaml};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The absolute folder of a dataset that is given as a folder or as its `data.yaml`, which may say another.
///
/// # Errors
/// [`Error::Usage`] if there is no such dataset.
pub fn root_of(given: &Path) -> Result<PathBuf> {
    match find_root(given)? {
        (folder, Some(file)) if !given.is_dir() => read_data_yaml(&file, &folder, &[]).map(|(root, ..)| root),
        (folder, _) => Ok(folder),
    }
}

pub fn find_root(given: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    let path = absolute(given)?;
    if path.is_dir() {
        let data = ["data.yaml", "data.yml"].iter().map(|name| path.join(name)).find(|file| file.is_file());
        return Ok((path, data));
    }
    let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    match path.parent() {
        Some(folder) if is_yaml && path.is_file() => Ok((folder.to_path_buf(), Some(path.clone()))),
        _ if path.exists() => {
            Err(Error::Usage(format!("the dataset {} is neither a folder nor a data.yaml", given.display())))
        }
        _ => Err(Error::Usage(format!("the dataset {} does not exist", given.display()))),
    }
}

/// The dataset's folder, which `path` may say, the file's content, and where each split's images come from.
pub fn read_data_yaml(
    file: &Path,
    folder: &Path,
    requested: &[Split],
) -> Result<(PathBuf, Yaml, BTreeMap<Split, Vec<Source>>)> {
    let text = fs::read_to_string(file).map_err(Error::io(file, "read it"))?;
    let data: Yaml = yaml::parse(&text).map_err(|fault| {
        let at = fault.at.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default();
        Error::bad_file(file, at + &fault.message)
    })?;
    if !matches!(data, Yaml::Map(_)) {
        return Err(Error::bad_file(file, "a mapping with `train`, `val` and `names` was expected"));
    }
    let bases = bases(&data, folder);
    let root = bases[0].clone();
    let mut sources = BTreeMap::new();
    for split in Split::ALL {
        let Some((key, value)) = split.names().iter().find_map(|&name| Some((name, data.get(name)?))) else { continue };
        let mut found = Vec::new();
        for entry in entries(value, key, file)? {
            match resolve_entry(entry, &bases, &root) {
                Some(path) => found.push(read_source(path, &bases)?),
                None if requested.contains(&split) => {
                    let sought: Vec<_> = bases.iter().map(|base| base.display().to_string()).collect();
                    let message = format!("`{key}: {entry}` leads to nothing, sought from {}", sought.join(" and "));
                    return Err(Error::bad_file(file, message));
                }
                None => {}
            }
        }
        if !found.is_empty() {
            sources.insert(split, found);
        }
    }
    Ok((root, data, sources))
}

/// The folders that entries may be relative to, at least one: `path`, if that exists here, then the file's own.
fn bases(data: &Yaml, root: &Path) -> Vec<PathBuf> {
    let path = data.get("path").and_then(Yaml::text).map(|path| normalize(&root.join(path)));
    let mut bases: Vec<PathBuf> = path.into_iter().filter(|path| path.is_dir()).collect();
    if !bases.iter().any(|base| base == root) {
        bases.push(root.to_path_buf());
    }
    bases
}

fn entries<'a>(value: &'a Yaml, key: &str, file: &Path) -> Result<Vec<&'a str>> {
    let texts = match value {
        Yaml::Null => Some(Vec::new()),
        Yaml::Text(text) => Some(vec![text.as_str()]),
        Yaml::List(items) => items.iter().map(Yaml::text).collect(),
        _ => None,
    };
    texts.ok_or_else(|| Error::bad_file(file, format!("`{key}` must be a folder, a list of folders or a .txt list")))
}

fn resolve_entry(entry: &str, bases: &[PathBuf], root: &Path) -> Option<PathBuf> {
    // Roboflow writes `../train/images` where `train/images` is meant; Ultralytics tries both, in this order.
    let forms = [Some(entry), entry.strip_prefix("../")];
    let candidates = bases.iter().flat_map(|base| forms.into_iter().flatten().map(|form| base.join(form)));
    candidates.map(|path| normalize(&path)).find(|path| path.exists()).map(|path| seen_from_root(path, root))
}

fn read_source(path: PathBuf, bases: &[PathBuf]) -> Result<Source> {
    if path.is_dir() {
        return Ok(Source::Folder(path));
    }
    let bytes = fs::read(&path).map_err(Error::io(&path, "read the list of images"))?;
    // A line that is no UTF-8 leads nowhere, and the others count.
    let text = String::from_utf8_lossy(&bytes);
    // Windows' editors begin a text with a byte order mark, which Ultralytics takes for a part of the first line.
    let bare = text.trim_start_matches('\u{FEFF}');
    let lines: Vec<&str> = bare.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // Ultralytics replaces every `./` of a line that starts with one, that of a later `../` too.
    let below = |line: &str| line.strip_prefix("./").is_some_and(|rest| !rest.contains("./"));
    let portable = bare.len() == text.len() && lines.iter().all(|line| below(line) || Path::new(line).is_absolute());
    let folder = path.parent().unwrap_or(&path);
    let images = lines.iter().map(|line| resolve_line(line, folder, bases)).filter(|image| is_image(image)).collect();
    Ok(Source::List { path, portable, images })
}

/// `./` means the list's folder to Ultralytics; for other relative lines the first place with such a file is taken.
fn resolve_line(line: &str, folder: &Path, bases: &[PathBuf]) -> PathBuf {
    let beside = normalize(&folder.join(line));
    if line.starts_with("./") || beside.exists() {
        return beside;
    }
    // A line that leads nowhere stays in: it becomes a failed frame, which says more than a frame that is missing.
    bases.iter().map(|base| normalize(&base.join(line))).find(|path| path.exists()).unwrap_or(beside)
}

/// The same place named through the dataset's folder, where it lies in there by another name (a link, say).
fn seen_from_root(path: PathBuf, root: &Path) -> PathBuf {
    if path.starts_with(root) {
        return path;
    }
    let inside = fs::canonicalize(root).ok().zip(fs::canonicalize(&path).ok());
    match inside.as_ref().and_then(|(root, path)| path.strip_prefix(root).ok()) {
        Some(relative) => root.join(relative),
        None => path,
    }
}
