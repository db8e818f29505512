//! Annotation files of COCO: where a dataset has them, and how they divide its images into splits.
//!
//! - [`annotated`]: the objects that they give one frame
//! - [`document`]: one annotation file, parsed with the position of everything in its text
//! - [`file_name`]: the ways to read a file name
//! - [`index`]: which images the file names in an annotation file mean
//! - [`matcher`]: which of them are frames
//! - [`objects`]: the objects of all frames

pub mod annotated;
pub mod document;
pub mod file_name;
pub mod index;
pub mod matcher;
pub mod objects;

use crate::dataset::coco::document::Coco;
use crate::dataset::coco::index::Index;
use crate::dataset::scan::is_image;
use crate::dataset::split::Split;
use crate::files::listing::{entries, is_hidden};
use crate::files::marker;
use crate::files::paths::has_extension;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// The name of the file that Roboflow puts beside the images of a split.
const BESIDE_IMAGES: &str = "_annotations.coco.json";

/// The JSON files where COCO datasets have their annotations, sorted.
///
/// These are `annotations/*.json` and `_annotations.coco.json`, whose content is not looked at, and every other JSON
/// file with the content of COCO in the dataset's folder, in `images`, or in a folder of these.
pub fn annotation_files(root: &Path) -> Vec<PathBuf> {
    let own = root.join("annotations");
    let folders = [folders_of(root), folders_of(&root.join("images"))].concat().into_iter();
    let folders = folders.filter(|folder| *folder != own && !marker::is_output_folder(folder));
    let beside = std::iter::once(root.to_path_buf()).chain(folders).flat_map(|folder| files_beside_images(&folder));
    let mut files: Vec<PathBuf> = entries(&own).filter(|path| is_json(path)).chain(beside).collect();
    files.retain(|path| !is_hidden(path) && path.is_file());
    files.sort();
    files.dedup();
    files
}

/// The JSON files of a folder that are annotations of several images. One that is called like an image beside it is
/// that image's own, in the format of another program.
fn files_beside_images(folder: &Path) -> Vec<PathBuf> {
    let (files, others): (Vec<PathBuf>, Vec<PathBuf>) = entries(folder).partition(|path| is_json(path));
    if files.is_empty() {
        return files;
    }
    let images: HashSet<&OsStr> =
        others.iter().filter(|path| is_image(path)).filter_map(|path| path.file_stem()).collect();
    let is_one = |path: &&PathBuf| {
        path.file_name() == Some(OsStr::new(BESIDE_IMAGES))
            || !is_hidden(path) && path.file_stem().is_none_or(|stem| !images.contains(stem)) && is_coco(path)
    };
    files.iter().filter(is_one).cloned().collect()
}

/// Whether a file has the content of COCO, also if it is damaged.
pub fn is_coco(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let has = |key: &str| bytes.windows(key.len()).any(|window| window == key.as_bytes());
    has("\"images\"")
        && has("\"annotations\"")
        && str::from_utf8(&bytes).map_or(true, |text| !matches!(Coco::parse(text), Ok(None)))
}

fn is_json(path: &Path) -> bool {
    has_extension(path, &["json"])
}

/// The folders in a folder that are not hidden; none if it cannot be listed.
fn folders_of(folder: &Path) -> Vec<PathBuf> {
    let is_folder = |entry: &DirEntry| match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
        _ => entry.path().is_dir(),
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(is_folder).map(|entry| entry.path()).filter(|path| !is_hidden(path)).collect()
}

/// Divides the images of one folder into splits by annotation files. A file that is not named after a split is about
/// `train`, unless another file is named after that. If no file is named after a split, every image is of `train`: one
/// that is not annotated may be background. The word of a split in a longer name, as in `train_fixed.json`, counts only
/// where another file has that of another split.
///
/// `images` and `files` are paths below the dataset's folder `root`, with `/`. Returns sorted indices into `images`. A
/// file that cannot be read is left out.
pub fn splits(root: &Path, files: &[String], images: &[String]) -> BTreeMap<Split, Vec<usize>> {
    let index = Index::new(images.iter().map(String::as_str).enumerate());
    let likely: BTreeSet<Split> = files.iter().filter_map(|file| Split::named_in(file)).collect();
    let split_of =
        |file: &str| Split::of_annotations(file).or_else(|| Split::named_in(file).filter(|_| likely.len() > 1));
    let mut splits: BTreeMap<Option<Split>, Vec<usize>> = BTreeMap::new();
    for file in files {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        let Ok(Some(coco)) = Coco::parse(&text) else { continue };
        let found = index.find(&coco.images, file).into_iter().flatten().map(|found| found.number);
        splits.entry(split_of(file)).or_default().extend(found);
    }
    if splits.keys().all(Option::is_none) {
        splits.values_mut().filter(|found| !found.is_empty()).for_each(|found| *found = (0..images.len()).collect());
    }
    if let Some(unnamed) = splits.remove(&None).filter(|_| !splits.contains_key(&Some(Split::Train))) {
        splits.insert(Some(Split::Train), unnamed);
    }
    let sorted = |mut images: Vec<usize>| {
        images.sort_unstable();
        images.dedup();
        images
    };
    let named = splits.into_iter().filter_map(|(split, images)| Some((split?, sorted(images))));
    named.filter(|(_, images)| !images.is_empty()).collect()
}
