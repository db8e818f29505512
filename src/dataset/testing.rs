//! Small datasets for the tests of this folder.

use crate::dataset::Dataset;
use crate::dataset::frame::Frame;
use crate::dataset::split::Split;
use crate::error::Result;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A folder with these files. `a.txt=0 1 2` gives a file its content.
pub fn tree(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let (name, content) = file.split_once('=').unwrap_or((file, ""));
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

pub fn open(folder: &Path, splits: &[Split]) -> Result<Dataset> {
    Dataset::open(folder, splits, &folder.join("out"))
}

/// Relative path and label (below the dataset's folder, or `-`) of every frame of the train split.
pub fn listing(folder: &Path) -> Vec<String> {
    let dataset = open(folder, &[Split::Train]).unwrap();
    let label = |frame: &Frame| match &frame.label {
        Some(label) => label.strip_prefix(&dataset.root).unwrap().display().to_string(),
        None => "-".to_string(),
    };
    dataset.frames.iter().map(|frame| format!("{} {}", frame.relative, label(frame))).collect()
}

/// The files of a small YOLO dataset.
pub const YOLO: [&str; 6] = [
    "images/train/b.PNG",
    "images/train/a.jpg",
    "images/train/deep/c.TIFF",
    "labels/train/a.txt",
    "labels/train/deep/c.txt",
    "images/val/v.jpg",
];

/// The [`listing`] of [`YOLO`].
pub const YOLO_TRAIN: [&str; 3] = [
    "images/train/a.jpg labels/train/a.txt",
    "images/train/b.PNG -",
    "images/train/deep/c.TIFF labels/train/deep/c.txt",
];
