//! Reads a `data.yaml`: where the dataset lies, and where the images of its splits come from.
//!
//! It is resolved as Ultralytics does it (`check_det_dataset` and `get_img_files` in 8.3). Where the result would
//! depend on the current folder there, several places are tried here.

use crate::dataset::scan::{Source, is_image};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{absolute, normalize};
use crate::yaml::{self, Yaml};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The absolute folder of a dataset that is given as a folder or as its `data.yaml`, whose `path` may name another
/// folder.
///
/// # Errors
/// [`Error::Usage`] if there is no such dataset; see also [`read_data_yaml`].
pub fn root_of(given: &Path) -> Result<PathBuf> {
    match find_root(given)? {
        (folder, Some(file)) if !given.is_dir() => read_data_yaml(&file, &folder, &[]).map(|(root, ..)| root),
        (folder, _) => Ok(folder),
    }
}

/// The absolute folder of a dataset that is given as a folder or as its `data.yaml`, and that file, if there is one.
///
/// # Errors
/// [`Error::Usage`] if there is no such dataset.
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

/// Reads `file`, which lies in `folder` or describes the dataset there. Returns the dataset's folder (the file's
/// `path`, or else `folder`), the file's content and where the images of each split come from.
///
/// # Errors
/// [`Error::BadFile`] if it cannot be understood or an entry of a `requested` split leads to nothing; [`Error::Io`] if
/// it or a list of images cannot be read.
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

/// The folders that entries may be relative to, at least one: `path` if it exists on this machine, then the file's own.
fn bases(data: &Yaml, folder: &Path) -> Vec<PathBuf> {
    let path = data.get("path").and_then(Yaml::text).map(|path| normalize(&folder.join(path)));
    let mut bases: Vec<PathBuf> = path.into_iter().filter(|path| path.is_dir()).collect();
    if !bases.iter().any(|base| base == folder) {
        bases.push(folder.to_path_buf());
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
    candidates.map(|path| normalize(&path)).find(|path| path.exists()).map(|path| below_root(path, root))
}

fn read_source(path: PathBuf, bases: &[PathBuf]) -> Result<Source> {
    if path.is_dir() {
        return Ok(Source::Folder(path));
    }
    let bytes = fs::read(&path).map_err(Error::io(&path, "read the list of images"))?;
    // A line that is not UTF-8 leads to no file; the other lines still count.
    let text = String::from_utf8_lossy(&bytes);
    // Editors on Windows may write a byte order mark first, which Ultralytics takes for a part of the first line.
    let bare = text.trim_start_matches('\u{FEFF}');
    let lines: Vec<&str> = bare.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // In a line that starts with `./`, Ultralytics replaces every `./`, also within a later `../`.
    let has_only_first = |line: &str| line.strip_prefix("./").is_some_and(|rest| !rest.contains("./"));
    let portable =
        bare.len() == text.len() && lines.iter().all(|line| has_only_first(line) || Path::new(line).is_absolute());
    let folder = path.parent().unwrap_or(&path);
    let images = lines.iter().map(|line| resolve_line(line, folder, bases)).filter(|image| is_image(image)).collect();
    Ok(Source::List { path, portable, images })
}

/// `./` means the list's folder to Ultralytics. Other relative lines are tried from there and from every base.
fn resolve_line(line: &str, folder: &Path, bases: &[PathBuf]) -> PathBuf {
    let beside = normalize(&folder.join(line));
    if line.starts_with("./") || beside.exists() {
        return beside;
    }
    // A line that leads to no file stays in: it becomes a failed frame, which is reported.
    bases.iter().map(|base| normalize(&base.join(line))).find(|path| path.exists()).unwrap_or(beside)
}

/// The same file or folder by its path below `root`, if it lies there under another name, such as through a link.
fn below_root(path: PathBuf, root: &Path) -> PathBuf {
    if path.starts_with(root) {
        return path;
    }
    let inside = fs::canonicalize(root).ok().zip(fs::canonicalize(&path).ok());
    match inside.as_ref().and_then(|(root, path)| path.strip_prefix(root).ok()) {
        Some(relative) => root.join(relative),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::{YOLO, YOLO_TRAIN, listing, open, tree};
    use tempfile::TempDir;

    fn yolo(data: &str) -> TempDir {
        let folder = tree(&YOLO);
        fs::write(folder.path().join("data.yaml"), data).unwrap();
        folder
    }

    #[test]
    fn a_data_yaml_may_name_folders_lists_of_folders_and_text_lists() {
        for data in [
            "train: images/train\nval: images/val\n",
            "path: .\ntrain: [images/train]\n",
            "path: /nowhere/at/all\ntrain: images/train\n",
            "path: ../elsewhere\ntrain: images/train/\n",
            "train: [images/train/deep, images/train]\n",
        ] {
            assert_eq!(listing(yolo(data).path()), YOLO_TRAIN, "{data}");
        }
        let folder = yolo("train: lists/train.txt\n");
        fs::create_dir(folder.path().join("lists")).unwrap();
        let deep = folder.path().join("images/train/deep/c.TIFF");
        let lines = format!("./../images/train/a.jpg\r\n\nimages/train/b.PNG\n{}\nnotes.md\n", deep.display());
        fs::write(folder.path().join("lists/train.txt"), lines).unwrap();
        assert_eq!(listing(folder.path()), YOLO_TRAIN);
    }

    #[test]
    fn the_path_of_a_data_yaml_is_the_datasets_folder_and_relative_to_the_file() {
        let folder = tree(&[
            "ds/images/train/a.jpg",
            "ds/labels/train/a.txt",
            "conf/data.yaml=path: ../ds\ntrain: images/train\n",
        ]);
        let dataset = open(&folder.path().join("conf/data.yaml"), &[Split::Train]).unwrap();
        assert_eq!(dataset.root, folder.path().join("ds"));
        assert_eq!(dataset.frames[0].path, folder.path().join("ds/images/train/a.jpg"));
        assert_eq!(dataset.frames[0].label, Some(folder.path().join("ds/labels/train/a.txt")));
        // Seeds and names depend on it, and must not depend on where the dataset lies.
        assert_eq!(dataset.frames[0].relative, "images/train/a.jpg");
    }

    #[test]
    fn a_list_is_portable_when_its_lines_do_not_depend_on_the_current_folder() {
        for (line, expected) in [
            ("./images/a.jpg", true),
            ("/ds/images/a.jpg", true),
            ("images/a.jpg", false),
            ("./../ds/images/a.jpg", false),
        ] {
            let folder = tree(&["data.yaml=train: t.txt", "images/a.jpg", &format!("t.txt={line}\n")]);
            let dataset = open(folder.path(), &[Split::Train]).unwrap();
            let Source::List { portable, .. } = &dataset.sources[&Split::Train][0] else { panic!("no list") };
            assert_eq!(*portable, expected, "{line}");
        }
    }

    #[test]
    fn a_list_may_begin_with_a_byte_order_mark_and_hold_lines_that_are_not_utf8() {
        let folder = tree(&["data.yaml=train: t.txt", "a.jpg"]);
        fs::write(folder.path().join("t.txt"), b"\xEF\xBB\xBF./a.jpg\ncaf\xe9.jpg\n").unwrap();
        assert_eq!(listing(folder.path()), ["a.jpg -", "caf\u{FFFD}.jpg -"]);
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert!(matches!(dataset.sources[&Split::Train][0], Source::List { portable: false, .. }));
    }

    #[test]
    fn an_entry_that_leads_to_nothing_and_broken_yaml_are_named() {
        let complaint = |data: &str| open(yolo(data).path(), &[Split::Train]).unwrap_err().to_string();
        let text = complaint("train: images/trian\n");
        assert!(text.contains("`train: images/trian` leads to nothing"), "{text}");
        let text = complaint("train: [\n");
        assert!(text.contains("data.yaml: line "), "{text}");
    }
}
