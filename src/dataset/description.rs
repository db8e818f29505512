//! Finds the file that describes a dataset: its `data.yaml`, whatever that is called, or its `obj.data`.

use crate::dataset::darknet::is_darknet_data;
use crate::dataset::data_yaml::{read_data_yaml, read_yaml};
use crate::dataset::layout::has_standard_folders;
use crate::dataset::pyyaml::{Content, Node};
use crate::dataset::scan::Scan;
use crate::error::{Error, Result};
use crate::files::listing::{entries, is_hidden};
use crate::files::paths::{absolute, extension, has_extension};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep below a folder a dataset is looked for: `proj/export/proj.v1i.yolov8/data.yaml`.
const DEPTH: usize = 3;

/// Where a dataset is, and the file that describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Absolute. A `data.yaml` may name another one with its `path`.
    pub folder: PathBuf,
    pub description: Option<Description>,
    /// Whether the folder was found below the one that was given.
    pub is_below: bool,
}

/// A file that describes a dataset.
#[derive(Clone, Debug, PartialEq)]
pub enum Description {
    /// A `data.yaml`, whatever it is called.
    Yaml(PathBuf),
    /// A file of Darknet, such as `obj.data`.
    Darknet(PathBuf),
}

impl Description {
    fn path(&self) -> &Path {
        match self {
            Self::Yaml(path) | Self::Darknet(path) => path,
        }
    }
}

/// The absolute folder of a dataset that is given as a folder or as the file that describes it.
///
/// # Errors
/// See [`find`] and [`read_data_yaml`].
pub fn root_of(given: &Path) -> Result<PathBuf> {
    let place = find(given)?;
    match place.description {
        Some(Description::Yaml(file)) if !given.is_dir() => Ok(read_data_yaml(&file, &place.folder, &[])?.root),
        _ => Ok(place.folder),
    }
}

/// The dataset that is given as a folder or as the file that describes it. In a folder without such a file, and without
/// folders that are called as splits mostly are, it is looked for in the folders below.
///
/// # Errors
/// [`Error::Usage`] if there is no such dataset, or several.
pub fn find(given: &Path) -> Result<Place> {
    let path = absolute(given)?;
    if path.is_dir() {
        let description = in_folder(&path)?;
        if description.is_none() && !has_standard_folders(&path) {
            return below(&path);
        }
        return Ok(Place { folder: path, description, is_below: false });
    }
    let description = match extension(&path).as_str() {
        "yaml" | "yml" => Some(Description::Yaml(path.clone())),
        "data" => Some(Description::Darknet(path.clone())),
        _ => None,
    };
    match path.parent() {
        Some(folder) if description.is_some() && path.is_file() => {
            Ok(Place { folder: folder.to_path_buf(), description, is_below: false })
        }
        _ if path.exists() => Err(Error::Usage(format!(
            "the dataset {} is neither a folder nor a file that describes one, such as data.yaml or obj.data",
            given.display()
        ))),
        _ => Err(Error::Usage(format!("the dataset {} does not exist", given.display()))),
    }
}

/// The file that describes the dataset in `folder`, if there is one: `data.yaml`, else the only one of the other YAML
/// files that describes a dataset, else the only file of Darknet. Of several YAML files, Ultralytics takes the one that
/// is called like the folder.
fn in_folder(folder: &Path) -> Result<Option<Description>> {
    if let Some(file) = ["data.yaml", "data.yml"].iter().map(|name| folder.join(name)).find(|file| file.is_file()) {
        return Ok(Some(Description::Yaml(file)));
    }
    let may_describe = |path: &PathBuf| may_describe(path) && !is_hidden(path) && path.is_file();
    let mut files: Vec<PathBuf> = entries(folder).filter(may_describe).collect();
    files.sort();
    let mut yaml: Vec<&PathBuf> = files.iter().filter(|file| describes_dataset(file)).collect();
    if yaml.len() > 1 && yaml.iter().any(|file| file.file_stem() == folder.file_name()) {
        yaml.retain(|file| file.file_stem() == folder.file_name());
    }
    let darknet: Vec<&PathBuf> = files.iter().filter(|file| is_darknet_data(file)).collect();
    match (yaml.as_slice(), darknet.as_slice()) {
        ([], []) => Ok(None),
        ([file], _) => Ok(Some(Description::Yaml(file.to_path_buf()))),
        ([], [file]) => Ok(Some(Description::Darknet(file.to_path_buf()))),
        ([], several) | (several, _) => Err(several_datasets(folder, several.iter().map(|file| file.as_path()))),
    }
}

/// The only dataset with a describing file in the folders below `folder`, or else that folder itself.
fn below(folder: &Path) -> Result<Place> {
    let scan = Scan { root: folder, output: Path::new("") };
    let files = scan.files_below(folder, DEPTH + 1, may_describe)?;
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let mut found: Vec<(&Path, Description)> = Vec::new();
    for inner in folders {
        // A dataset may hold others, such as parts of itself.
        if !found.iter().any(|(outer, _)| inner.starts_with(outer))
            && let Some(description) = in_folder(inner)?
        {
            found.push((inner, description));
        }
    }
    match found.as_slice() {
        [] => Ok(Place { folder: folder.to_path_buf(), description: None, is_below: false }),
        [(inner, description)] => {
            Ok(Place { folder: inner.to_path_buf(), description: Some(description.clone()), is_below: true })
        }
        several => Err(several_datasets(folder, several.iter().map(|(_, description)| description.path()))),
    }
}

fn several_datasets<'a>(folder: &Path, files: impl Iterator<Item = &'a Path>) -> Error {
    let names: Vec<String> = files.map(|file| file.display().to_string()).collect();
    Error::Usage(format!(
        "{} holds several files that describe a dataset; give one of them in its place: {}",
        folder.display(),
        names.join(", ")
    ))
}

fn may_describe(path: &Path) -> bool {
    has_extension(path, &["yaml", "yml", "data"])
}

fn is_yaml(path: &Path) -> bool {
    has_extension(path, &["yaml", "yml"])
}

/// Whether a YAML file says where the images of a split are or what classes are called. Configs of models and trainings
/// do neither. A file that cannot be read counts if it has such lines, so that its mistakes are named.
fn describes_dataset(file: &Path) -> bool {
    if !is_yaml(file) {
        return false;
    }
    match read_yaml(file) {
        Ok(node) => {
            let paths = |node: &Node| match &node.content {
                Content::List(items) => items.iter().all(|item| item.text().is_some()),
                _ => node.text().is_some(),
            };
            let has_split = ["train", "val"].iter().any(|key| node.entry(key).is_some_and(|(_, value)| paths(value)));
            let has_names = node.entry("names").is_some_and(|(_, names)| !matches!(names.content, Content::Scalar(_)));
            has_split || has_names
        }
        Err(_) => {
            let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
            ["train:", "names:"].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::split::Split;
    use crate::dataset::testing::{listing, open, tree};

    const DATA: &str = "train: images/train\nval: images/val\nnames: [a, b, c]\nkpt_shape: [17, 3]\n";
    const IMAGES: [&str; 2] = ["images/train/a.jpg", "images/val/b.jpg"];

    fn refusal(files: &[&str]) -> String {
        open(tree(files).path(), &[Split::Train]).unwrap_err().to_string()
    }

    #[test]
    fn the_describing_file_may_have_any_name() {
        for name in ["data.yaml", "data.yml", "dataset.yaml", "coco8.yaml", "my set.yml"] {
            let model = "yolo11n.yaml=nc: 80\nbackbone: []\nhead: []\n";
            let training = "args.yaml=task: detect\nmode: train\nval: true\ndata: x.yaml\n";
            let folder = tree(&[&IMAGES[..], &[&format!("{name}={DATA}"), model, training]].concat());
            let data = open(folder.path(), &[Split::Train]).unwrap().data.unwrap();
            assert!(data.to_string().contains(r#""names": ["a", "b", "c"], "kpt_shape": [17, 3]"#), "{name}: {data}");
        }
    }

    #[test]
    fn of_several_describing_files_none_is_guessed() {
        let (one, two) = (format!("coco8.yaml={DATA}"), format!("coco8-pose.yaml={DATA}"));
        let text = refusal(&[&IMAGES[..], &[&one, &two]].concat());
        assert!(text.contains("coco8.yaml") && text.contains("coco8-pose.yaml") && text.contains("give one"), "{text}");
        // Ultralytics takes the one that is called like the folder.
        let inner = |file: &str| format!("coco8/{file}");
        let files: Vec<String> = IMAGES.into_iter().chain([one.as_str(), &two]).map(inner).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let folder = tree(&files);
        assert_eq!(listing(&folder.path().join("coco8")).len(), 1);
        let text = refusal(&[&format!("a/data.yaml={DATA}"), &format!("b/data.yaml={DATA}"), "a/images/train/a.jpg"]);
        assert!(text.contains("a/data.yaml") && text.contains("b/data.yaml"), "{text}");
    }

    #[test]
    fn a_dataset_one_or_two_folders_deeper_is_found() {
        for inner in ["proj.v1i.yolov8", "export/yolo"] {
            let files = [
                format!("{inner}/data.yaml=train: ../train/images\nval: ../valid/images\nnames: [a]\n"),
                format!("{inner}/train/images/a.jpg"),
                format!("{inner}/train/labels/a.txt"),
                format!("{inner}/valid/images/b.jpg"),
            ];
            let folder = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
            let dataset = open(folder.path(), &[Split::Train, Split::Val]).unwrap();
            assert_eq!((dataset.root.clone(), dataset.frames.len()), (folder.path().join(inner), 2));
            assert_eq!(root_of(folder.path()).unwrap(), dataset.root);
            assert!(dataset.warnings.iter().any(|text| text.contains(inner)), "{:?}", dataset.warnings);
        }
    }

    #[test]
    fn a_broken_file_and_one_in_another_encoding_are_named_with_their_line() {
        let text = refusal(&[&IMAGES[..], &["set.yaml=train: images/train\nnames: [a\nval: images/val\n"]].concat());
        assert!(text.contains("set.yaml: line "), "{text}");
        let folder = tree(&IMAGES);
        let file = folder.path().join("dataset.yaml");
        for bytes in [
            &b"train: images/train\nval: images/val\nnames:\n  0: caf\xe9\n"[..],
            b"train: images/train\n\nval: images/val\nnames: [\xc6\xfb\xb3\xb5]\n",
        ] {
            fs::write(&file, bytes).unwrap();
            let text = open(folder.path(), &[Split::Train]).unwrap_err().to_string();
            assert!(text.contains("dataset.yaml: line 4: ") && text.contains("UTF-8"), "{text}");
        }
        fs::write(&file, b"# caf\xe9\ntrain: images/train # \xc6\xfb\nval: images/val\nnames: [a]\n").unwrap();
        assert_eq!(listing(folder.path()).len(), 1, "Ultralytics leaves such bytes out, too");
    }

    #[test]
    fn a_dataset_that_does_not_exist_or_is_no_dataset_is_refused() {
        let folder = tree(&["a.zip"]);
        assert!(find(&folder.path().join("none")).unwrap_err().to_string().contains("does not exist"));
        assert!(find(&folder.path().join("a.zip")).unwrap_err().to_string().contains("neither a folder"));
    }
}
