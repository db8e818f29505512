//! Reads a `data.yaml`: where the dataset lies, and where the images of its splits come from.
//!
//! It is resolved as Ultralytics does it (`check_det_dataset` and `get_img_files` in 8.4). Where the result would
//! depend on the current folder there, several places are tried here.

use crate::dataset::list::{self, below_root};
use crate::dataset::pyyaml::{self, Content, Node, python_text};
use crate::dataset::scan::{ImageSource, is_image};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::listing::entries;
use crate::files::paths::normalize;
use crate::files::text::{self, Text};
use crate::yaml::{Yaml, nearest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What a `data.yaml` says.
pub struct DataYaml {
    /// The dataset's folder: the file's `path`, or else the folder that was given.
    pub root: PathBuf,
    /// The content, with the names of classes as texts.
    pub data: Yaml,
    /// Where the images of each split come from. Splits without a key are left out.
    pub sources: BTreeMap<Split, Vec<ImageSource>>,
    /// What a person should know about it.
    pub warnings: Vec<String>,
}

/// The keys of a split, Ultralytics' own first.
fn keys(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Val => &["val", "validation", "valid"],
        Split::Test => &["test"],
    }
}

/// Reads `file`, which lies in `folder` or describes the dataset there.
///
/// # Errors
/// [`Error::BadFile`] if it cannot be understood, or if an entry leads to nothing. An entry of `test` that leads to
/// nothing is a warning unless `test` is `requested`: many datasets are published without their test images, and
/// nothing is trained on them. [`Error::Io`] if it or a list of images cannot be read.
pub fn read_data_yaml(file: &Path, folder: &Path, requested: &[Split]) -> Result<DataYaml> {
    let node = read_yaml(file)?;
    if !matches!(node.content, Content::Map(_)) {
        return Err(Error::bad_file(file, "a mapping with `train`, `val` and `names` was expected"));
    }
    let data = with_names_as_texts(&node, file)?;
    let entries = Split::ALL.iter().filter_map(|&split| Entries::of(split, &node, file).transpose());
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let bases = bases(&node, folder, &entries, file)?;
    let mut warnings = misspelt_keys(&node, file);
    warnings.extend(wrong_count(&data, file));
    warnings.extend(bases.lost.as_ref().map(|(path, line)| {
        let (file, folder) = (file.display(), bases.folders[0].display());
        format!("{file}: line {line}: `path: {path}` leads to no folder; the entries are taken from {folder}")
    }));
    warnings.extend(bases.other.as_ref().map(|(other, line)| {
        let (file, taken) = (file.display(), bases.folders[0].display());
        format!(
            "{file}: line {line}: `path` leads to {taken} from the file, and to {} from the working folder, where \
             Ultralytics looks first; the former is taken",
            other.display()
        )
    }));
    let mut sources = BTreeMap::new();
    for Entries { split, key, texts } in entries {
        let mut found = Vec::new();
        for (entry, line) in texts {
            match resolve_entry(entry, &bases) {
                Some(path) => found.push(read_source(path, &bases, (file, line), &mut warnings)?),
                None => {
                    let message = leads_to_nothing(key, entry, line, &bases, &node);
                    if split != Split::Test || requested.contains(&split) {
                        return Err(Error::bad_file(file, message));
                    }
                    warnings.push(format!("{}: {message}", file.display()));
                }
            }
        }
        if !found.is_empty() {
            sources.insert(split, found);
        }
    }
    Ok(DataYaml { root: bases.folders[0].clone(), data, sources, warnings })
}

/// The content of a YAML file with places.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::BadFile`] if it is not YAML, or not UTF-8 outside of comments.
pub fn read_yaml(file: &Path) -> Result<Node> {
    let Text { text, fault } = text::read_lossy(file)?;
    let node = pyyaml::parse(&text);
    let is_damaged =
        |node: &Node| node.all().iter().any(|node| node.text().is_some_and(|text| text.contains('\u{FFFD}')));
    match (node, fault) {
        (Ok(node), None) => Ok(node),
        (Ok(node), Some(_)) if !is_damaged(&node) => Ok(node),
        (_, Some(fault)) => Err(text::not_utf8(file, fault)),
        (Err(fault), None) => {
            let at = fault.at.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default();
            Err(Error::bad_file(file, at + &fault.message))
        }
    }
}

/// The whole content, with the names of classes as Ultralytics makes texts of them.
fn with_names_as_texts(node: &Node, file: &Path) -> Result<Yaml> {
    let Yaml::Map(mut pairs) = node.value() else { return Ok(Yaml::Null) };
    let Some((_, names)) = node.entry("names") else { return Ok(Yaml::Map(pairs)) };
    let wrong = |node: &Node, expected: &str| {
        Error::bad_file(file, format!("line {}: {expected} was expected below `names`", node.line))
    };
    let text = |node: &Node| match &node.content {
        Content::Scalar(value) => Ok(Yaml::Text(python_text(value))),
        _ => Err(wrong(node, "the name of a class")),
    };
    let texts = match &names.content {
        Content::Scalar(Yaml::Null) => Yaml::Null,
        Content::Scalar(_) => return Err(wrong(names, "a list of names or a mapping from class ids to names")),
        Content::List(items) => Yaml::List(items.iter().map(text).collect::<Result<_>>()?),
        Content::Map(named) => {
            let pair = |(id, name): &(Node, Node)| match &id.content {
                Content::Scalar(id) if python_text(id).trim().parse::<u32>().is_ok() => Ok((id.clone(), text(name)?)),
                _ => Err(wrong(id, "a class id, a whole number from 0 on,")),
            };
            Yaml::Map(named.iter().map(pair).collect::<Result<_>>()?)
        }
    };
    pairs.iter_mut().filter(|(key, _)| key.text() == Some("names")).for_each(|(_, value)| *value = texts.clone());
    Ok(Yaml::Map(pairs))
}

/// A warning if `nc` and `names` disagree, which Ultralytics refuses.
fn wrong_count(data: &Yaml, file: &Path) -> Option<String> {
    let count = match data.get("names")? {
        Yaml::List(names) => names.len(),
        Yaml::Map(names) => names.len(),
        _ => return None,
    };
    let Yaml::Int(nc) = data.get("nc")? else { return None };
    (*nc != count as i128)
        .then(|| format!("{}: `nc` is {nc} and `names` has {count}; Ultralytics refuses the file", file.display()))
}

/// Keys that look like those of a split that has none, such as `Val`.
fn misspelt_keys(node: &Node, file: &Path) -> Vec<String> {
    let Content::Map(pairs) = &node.content else { return Vec::new() };
    let missing = Split::ALL.into_iter().filter(|&split| !keys(split).iter().any(|key| node.entry(key).is_some()));
    let missing: Vec<&str> = missing.flat_map(keys).copied().collect();
    let mut warnings = Vec::new();
    for (key, value) in pairs {
        let Some(name) = key.text().filter(|name| name.len() > 2 && !KNOWN_KEYS.contains(name)) else { continue };
        let is_path = matches!(value.content, Content::List(_)) || value.text().is_some();
        let Some(meant) = nearest(name, missing.iter().copied()).filter(|_| is_path) else { continue };
        if strsim::damerau_levenshtein(&name.to_lowercase(), meant) <= 1 {
            warnings.push(format!(
                "{}: line {}: the key `{name}` is not read; did you mean `{meant}`?",
                file.display(),
                key.line
            ));
        }
    }
    warnings
}

/// Keys of Ultralytics that are not misspelt ones.
const KNOWN_KEYS: [&str; 5] = ["path", "names", "minival", "download", "channels"];

/// The entries of one split.
struct Entries<'a> {
    split: Split,
    key: &'static str,
    /// Each with its line.
    texts: Vec<(&'a str, usize)>,
}

impl<'a> Entries<'a> {
    /// `None` without a key, or if nothing stands behind it.
    fn of(split: Split, node: &'a Node, file: &Path) -> Result<Option<Self>> {
        let Some((key, value)) = keys(split).iter().find_map(|key| Some((*key, node.entry(key)?.1))) else {
            return Ok(None);
        };
        let text = |item: &'a Node| {
            let wrong = || {
                let message = "must be a folder, a list of folders or a .txt list; put a name that looks like a number \
                               into quotes";
                Error::bad_file(file, format!("line {}: `{key}` {message}", item.line))
            };
            item.text().map(|text| (text, item.line)).ok_or_else(wrong)
        };
        let texts = match &value.content {
            Content::Scalar(Yaml::Null) => Vec::new(),
            Content::List(items) => items.iter().map(text).collect::<Result<_>>()?,
            _ => vec![text(value)?],
        };
        let texts: Vec<_> = texts.into_iter().filter(|(text, _)| !text.is_empty()).collect();
        Ok(Some(Self { split, key, texts }).filter(|entries| !entries.texts.is_empty()))
    }
}

/// The folders that entries may be relative to.
pub struct Bases {
    /// At least one; the first is the dataset's folder.
    pub folders: Vec<PathBuf>,
    /// `path` as the file has it, with its line, if it leads to no folder.
    lost: Option<(String, usize)>,
    /// Another folder that `path` may mean and that has as many of the entries, with the line of `path`.
    other: Option<(PathBuf, usize)>,
}

/// The folders that `path` may mean, then the file's own. Ultralytics takes `path` relative to the folder that it is
/// started in, or else to its folder of datasets. Mostly it means a folder relative to the file, which comes first
/// here. Of all these, the one under which most entries exist is the dataset's folder.
fn bases(node: &Node, folder: &Path, entries: &[Entries], file: &Path) -> Result<Bases> {
    let path = match node.entry("path").map(|(_, value)| (value, &value.content)) {
        None | Some((_, Content::Scalar(Yaml::Null))) => None,
        Some((value, _)) => match value.text() {
            Some(text) => Some((text, value.line)),
            None => return Err(Error::bad_file(file, format!("line {}: `path` must be a folder", value.line))),
        },
    };
    let mut folders = Vec::new();
    if let Some((text, _)) = path {
        let plain = text.replace('\\', "/");
        let starts = [Some(folder.to_path_buf()), env::current_dir().ok(), datasets_folder()];
        let starts = starts.iter().flatten();
        let meant = starts.flat_map(|start| [start.join(text), start.join(&plain)]).map(|path| normalize(&path));
        folders.extend(meant.filter(|path| path.is_dir()));
    }
    let lost = path.filter(|_| folders.is_empty()).map(|(text, line)| (text.to_string(), line));
    let mut distinct: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !distinct.iter().any(|other| fs::canonicalize(other).ok() == fs::canonicalize(&folder).ok()) {
            distinct.push(folder);
        }
    }
    let found = |base: &PathBuf| {
        let of_base = |(entry, _): &&(&str, usize)| forms(entry).any(|form| base.join(form).exists());
        entries.iter().flat_map(|entries| &entries.texts).filter(of_base).count()
    };
    let is_other = |pair: &[PathBuf]| found(&pair[0]) > 0 && found(&pair[0]) == found(&pair[1]);
    let other = distinct.get(..2).filter(|pair| is_other(pair)).map(|pair| pair[1].clone());
    let other = other.zip(path.map(|(_, line)| line));
    if !distinct.iter().any(|base| base == folder) {
        distinct.push(folder.to_path_buf());
    }
    // `max_by_key` takes the last of several.
    let best = (0..distinct.len()).rev().max_by_key(|&index| found(&distinct[index])).unwrap_or(0);
    let best = distinct.remove(best);
    distinct.insert(0, best);
    Ok(Bases { folders: distinct, lost, other })
}

/// Where Ultralytics keeps datasets, by its settings.
fn datasets_folder() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = variable("YOLO_CONFIG_DIR").or_else(|| match () {
        () if cfg!(windows) => variable("APPDATA"),
        () if cfg!(target_os = "macos") => variable("HOME").map(|home| home.join("Library/Application Support")),
        () => variable("HOME").map(|home| home.join(".config")),
    })?;
    let settings = fs::read_to_string(config.join("Ultralytics/settings.json")).ok()?;
    let settings: serde_json::Value = serde_json::from_str(&settings).ok()?;
    settings.get("datasets_dir")?.as_str().map(PathBuf::from)
}

/// The forms of an entry that are tried in this order. Roboflow writes `../train/images` where `train/images` is meant;
/// Ultralytics tries both. Programs on Windows write `\`.
fn forms(entry: &str) -> impl Iterator<Item = String> {
    let plain = entry.contains('\\').then(|| entry.replace('\\', "/"));
    let texts = [Some(entry.to_string()), plain].into_iter().flatten();
    texts.flat_map(|text| {
        let below = text.strip_prefix("../").map(str::to_string);
        [Some(text), below].into_iter().flatten()
    })
}

fn resolve_entry(entry: &str, bases: &Bases) -> Option<PathBuf> {
    let candidates = bases.folders.iter().flat_map(|base| forms(entry).map(|form| base.join(form)));
    candidates.map(|path| normalize(&path)).find(|path| path.exists()).map(|path| below_root(path, &bases.folders[0]))
}

fn leads_to_nothing(key: &str, entry: &str, line: usize, bases: &Bases, node: &Node) -> String {
    let sought: Vec<_> = bases.folders.iter().map(|base| base.display().to_string()).collect();
    let mut message = format!("line {line}: `{key}: {entry}` leads to nothing, sought from {}", sought.join(" and "));
    if let Some((path, line)) = &bases.lost {
        message += &format!(
            "; `path: {path}` (line {line}) leads to no folder either, from the file or from the working folder"
        );
    }
    let name = entry.trim_end_matches('/').rsplit('/').next().unwrap_or(entry);
    let beside = bases.folders.iter().filter_map(|base| Some(entries(base.join(entry).parent()?))).flatten();
    let names: Vec<String> = beside.filter_map(|path| path.file_name()?.to_str().map(str::to_string)).collect();
    match nearest(name, names.iter().map(String::as_str)) {
        Some(candidate) => message += &format!("; did you mean `{candidate}`?"),
        None if node.entry("path").is_none() => message += "; correct it, or add `path:` with the dataset's folder",
        None => message += "; correct it or `path:`",
    }
    message
}

fn read_source(
    path: PathBuf,
    bases: &Bases,
    (file, line): (&Path, usize),
    warnings: &mut Vec<String>,
) -> Result<ImageSource> {
    if path.is_dir() {
        return Ok(ImageSource::Folder(path));
    }
    if is_image(&path) {
        let message = format!("line {line}: {} is an image; a folder or a .txt list was expected", path.display());
        return Err(Error::bad_file(file, message));
    }
    list::read_list(&path, &bases.folders, false, warnings)
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
            let folder = tree(&["data.yaml=train: t.txt", "images/a.jpg", &format!("t.txt=./images/a.jpg\n{line}\n")]);
            let dataset = open(folder.path(), &[Split::Train]).unwrap();
            let ImageSource::List { portable, .. } = &dataset.sources[&Split::Train][0] else { panic!("no list") };
            assert_eq!(*portable, expected, "{line}");
        }
    }

    #[test]
    fn a_list_may_begin_with_a_byte_order_mark_and_hold_lines_that_are_not_utf8() {
        let folder = tree(&["data.yaml=train: t.txt", "a.jpg"]);
        fs::write(folder.path().join("t.txt"), b"\xEF\xBB\xBF./a.jpg\ncaf\xe9.jpg\n").unwrap();
        assert_eq!(listing(folder.path()), ["a.jpg -", "caf\u{FFFD}.jpg -"]);
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert!(matches!(dataset.sources[&Split::Train][0], ImageSource::List { portable: false, .. }));
    }

    fn complaint(data: &str) -> String {
        open(yolo(data).path(), &[Split::Train]).unwrap_err().to_string()
    }

    #[test]
    fn an_entry_that_leads_to_nothing_and_broken_yaml_are_named() {
        for (data, line, words) in [
            ("train: images/trian\n", 1, "`train: images/trian` leads to nothing"),
            ("train: images/train\nval: images/vall\n", 2, "did you mean `val`?"),
            ("train: images/train\nval:\n  - images/val\n  - images/gone\n", 4, "`val: images/gone`"),
            ("train: [images/train, images/more]\nval: images/val\n", 1, "`train: images/more`"),
            (
                "path: ../data/gone\ntrain: img/train\nval: img/val\n",
                2,
                "`path: ../data/gone` (line 1) leads to no folder",
            ),
            ("train: images/train\nvalid: nowhere.txt\n", 2, "`valid: nowhere.txt`"),
            ("train: images/train/a.jpg\n", 1, "is an image"),
            ("train: 2024\n", 1, "quotes"),
            ("train: images/train\nnames: coco.names\n", 2, "a list of names"),
            ("train: images/train\nnames:\n  0: a\n  one: b\n", 4, "a class id"),
        ] {
            let text = complaint(data);
            assert!(text.contains(&format!("data.yaml: line {line}: ")) && text.contains(words), "{data}: {text}");
        }
        assert!(complaint("train: [\n").contains("data.yaml: line 1, column "));
    }

    #[test]
    fn an_entry_of_test_that_leads_to_nothing_is_told_and_refused_only_where_it_is_asked_for() {
        let folder = yolo("train: images/train\nval: images/val\ntest: ../test/images\n");
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert!(dataset.warnings.iter().any(|text| text.contains("line 3: `test: ../test/images`")));
        assert!(open(folder.path(), &[Split::Test]).is_err());
    }

    #[test]
    fn what_ultralytics_would_refuse_or_read_elsewhere_is_told() {
        for (data, words) in [
            ("train: images/train\nval: images/val\nnc: 3\nnames: [a, b]\n", "`nc` is 3 and `names` has 2"),
            ("path: /gone/ds\ntrain: images/train\nval: images/val\n", "line 1: `path: /gone/ds` leads to no folder"),
        ] {
            let warnings = open(yolo(data).path(), &[Split::Train]).unwrap().warnings;
            assert!(warnings.iter().any(|text| text.contains(words)), "{data}: {warnings:?}");
        }
    }

    #[test]
    fn a_misspelt_key_of_a_split_is_told() {
        for (key, told) in [("vla", true), ("Val", true), ("vals", true), ("value", false), ("minival", false)] {
            let folder = yolo(&format!("train: images/train\n{key}: images/val\n"));
            let warnings = open(folder.path(), &[Split::Train]).unwrap().warnings;
            let found = warnings.iter().any(|text| text.contains(&format!("line 2: the key `{key}`")));
            assert_eq!(found, told, "{key}: {warnings:?}");
        }
    }

    #[test]
    fn backslashes_of_windows_are_read_where_nothing_has_such_a_name() {
        assert_eq!(listing(yolo("train: images\\train\nval: images\\val\n").path()), YOLO_TRAIN);
        assert_eq!(listing(yolo("train: ['.\\images\\train']\n").path()), YOLO_TRAIN);
        let folder = yolo("train: t.txt\n");
        fs::write(folder.path().join("t.txt"), "images\\train\\a.jpg\r\n.\\images\\train\\b.PNG\r\n").unwrap();
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert!(dataset.frames.len() == 2 && dataset.frames.iter().all(|frame| frame.path.is_file()));
        assert!(matches!(dataset.sources[&Split::Train][0], ImageSource::List { portable: false, .. }));
    }

    #[test]
    fn names_are_the_texts_that_ultralytics_makes_of_them() {
        let names = |names: &str| {
            let folder = yolo(&format!("train: images/train\nnames: {names}\n"));
            let data = open(folder.path(), &[Split::Train]).unwrap().data.unwrap();
            data.get("names").unwrap().to_string()
        };
        assert_eq!(names("{0: '07', 1: 08, 2: 1e3}"), r#"{0: "07", 1: "08", 2: "1e3"}"#);
        assert_eq!(names("[no, 010, 1.50, ~, 12:30]"), r#"["False", "8", "1.5", "None", "750"]"#);
        assert_eq!(names("{'0': on, '1': 1_000}"), r#"{"0": "True", "1": "1000"}"#);
    }

    #[test]
    fn a_file_with_names_alone_leaves_the_splits_to_the_folders() {
        let folder = yolo("nc: 2\nnames: [a, b]\nkpt_shape: [17, 3]\n");
        assert_eq!(listing(folder.path()), YOLO_TRAIN);
        let dataset = open(folder.path(), &[Split::Val]).unwrap();
        assert!(dataset.frames.len() == 1 && dataset.data.unwrap().get("kpt_shape").is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_linked_list_is_read_as_ultralytics_reads_it_or_replaced() {
        let folder =
            tree(&["lists/t.txt=./images/a.jpg\n", "ds/images/a.jpg", "ds/data.yaml=train: t.txt\nnames: [a]\n"]);
        let ds = folder.path().join("ds");
        std::os::unix::fs::symlink("../lists/t.txt", ds.join("t.txt")).unwrap();
        let dataset = open(&ds, &[Split::Train]).unwrap();
        assert_eq!(dataset.frames[0].relative, "images/a.jpg");
        assert!(
            matches!(dataset.sources[&Split::Train][0], ImageSource::List { portable: false, .. }),
            "the link leads away"
        );
    }
}
