//! Annotation files of COCO: where a dataset has them, and how they divide its images into splits.
//!
//! - [`document`]: one annotation file, parsed with the position of everything in its text
//! - [`index`]: which images the file names in an annotation file mean

pub mod document;
pub mod index;

use crate::dataset::coco::document::Coco;
use crate::dataset::coco::index::Index;
use crate::dataset::split::Split;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the file that Roboflow puts beside the images of a split.
const BESIDE_IMAGES: &str = "_annotations.coco.json";

/// The JSON files where COCO datasets have their annotations: `annotations/*.json`, and `_annotations.coco.json` in the
/// dataset's folder or one of its folders. Sorted. Their content is not looked at.
pub fn annotation_files(root: &Path) -> Vec<PathBuf> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let in_folder = entries(&root.join("annotations")).filter(is_json);
    let folders = entries(root).filter(|path| !hidden(path) && path.is_dir()).chain([root.to_path_buf()]);
    let beside = folders.map(|folder| folder.join(BESIDE_IMAGES));
    let mut files: Vec<PathBuf> = in_folder.chain(beside).filter(|path| !hidden(path) && path.is_file()).collect();
    files.sort();
    files.dedup();
    files
}

/// The entries of a folder; none if it cannot be listed.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Divides the images of one folder into splits by annotation files. A file that is not named after a split is about
/// `train`, unless another file is named after that.
///
/// `images` and `files` are paths below the dataset's folder `root`, with `/`. Returns sorted indices into `images`. A
/// file that cannot be read is left out.
pub fn splits(root: &Path, files: &[String], images: &[String]) -> BTreeMap<Split, Vec<usize>> {
    let index = Index::new(images.iter().map(String::as_str).enumerate());
    let mut splits: BTreeMap<Option<Split>, Vec<usize>> = BTreeMap::new();
    for file in files {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        let Ok(Some(coco)) = Coco::parse(&text) else { continue };
        splits.entry(Split::named_in(file)).or_default().extend(index.find(&coco.images, file).into_iter().flatten());
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
