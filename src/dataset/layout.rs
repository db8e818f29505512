//! How a dataset without a `data.yaml` is divided into splits.
//!
//! `images/<split>` or `<split>/images` are the splits, or the folders of a COCO dataset, such as `train2017`. Without
//! these, annotation files of COCO divide the images. Without those, every image belongs to the split `train`.

use crate::dataset::coco;
use crate::dataset::scan::{Scan, Source};
use crate::dataset::split::Split;
use crate::error::Result;
use crate::files::paths::relative_text;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The kind of dataset: how its images are assigned to splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// This `data.yaml`.
    DataYaml(PathBuf),
    /// Folders named after the splits.
    SplitFolders,
    /// Annotation files of COCO, one or more for each split.
    Annotations,
    /// Nothing: every image in the folder belongs to it.
    Flat,
}

/// The layout of a dataset without a `data.yaml`, and where the images of its splits come from.
///
/// # Errors
/// [`crate::error::Error::Io`] if a folder cannot be listed.
pub fn find_splits(scan: &Scan) -> Result<(Layout, BTreeMap<Split, Vec<Source>>)> {
    let root = scan.root;
    let annotations = coco::annotation_files(root);
    let mut sources = BTreeMap::new();
    for split in Split::ALL {
        let candidates = split.names().iter().flat_map(|name| [format!("images/{name}"), format!("{name}/images")]);
        let folders = match candidates.map(|folder| root.join(folder)).find(|folder| folder.is_dir()) {
            Some(folder) => vec![folder],
            None => coco_folders(root, split, !annotations.is_empty()),
        };
        if !folders.is_empty() {
            sources.insert(split, folders.into_iter().map(Source::Folder).collect());
        }
    }
    if !sources.is_empty() {
        return Ok((Layout::SplitFolders, sources));
    }
    let sources = divide(scan, &annotations)?;
    if sources.contains_key(&Split::Train) {
        return Ok((Layout::Annotations, sources));
    }
    Ok((Layout::Flat, BTreeMap::from([(Split::Train, vec![Source::Folder(root.to_path_buf())])])))
}

/// The folders of a split in a COCO dataset, such as `train2017` or `images/train2017`. Without a year, such as
/// `train`, they count only if there are annotation files; otherwise they may be any folders of a flat dataset.
fn coco_folders(root: &Path, split: Split, annotated: bool) -> Vec<PathBuf> {
    let is_split = |name: &str| {
        let years = split.names().iter().filter_map(|split| name.strip_prefix(split));
        years.into_iter().any(|year| year.chars().all(|c| c.is_ascii_digit()) && (annotated || !year.is_empty()))
    };
    let folders = [root.join("images"), root.to_path_buf()].into_iter().flat_map(fs::read_dir).flatten();
    let folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
    let named = folders.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(is_split));
    let mut folders: Vec<PathBuf> = named.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Divides the images of one folder by annotation files.
fn divide(scan: &Scan, annotations: &[PathBuf]) -> Result<BTreeMap<Split, Vec<Source>>> {
    let Some(first) = annotations.first() else { return Ok(BTreeMap::new()) };
    let mut images = scan.images_below(scan.root)?;
    // Panoptic masks have the names of the images.
    images.retain(|image| !image.starts_with(scan.root.join("annotations")));
    let names = |paths: &[PathBuf]| paths.iter().map(|path| relative_text(scan.root, path)).collect::<Vec<_>>();
    let splits = coco::splits(scan.root, &names(annotations), &names(&images));
    let list = |numbers: Vec<usize>| Source::List {
        path: first.clone(),
        portable: false,
        images: numbers.into_iter().map(|number| images[number].clone()).collect(),
    };
    Ok(splits.into_iter().map(|(split, numbers)| (split, vec![list(numbers)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::{YOLO, YOLO_TRAIN, listing, open, tree};

    #[test]
    fn split_folders_are_read_with_labels_and_background_frames() {
        let folder = tree(&YOLO);
        assert_eq!(listing(folder.path()), YOLO_TRAIN);
        let dataset = open(folder.path(), &[Split::Train, Split::Val]).unwrap();
        assert_eq!((dataset.layout, dataset.frames.len()), (Layout::SplitFolders, 4));
    }

    #[test]
    fn the_folders_of_a_roboflow_export_are_splits_with_and_without_their_data_yaml() {
        let folder = tree(&["train/images/a.jpg", "train/labels/a.txt", "valid/images/v.jpg", "test/images/t.jpg"]);
        let expected = ["train/images/a.jpg train/labels/a.txt"];
        assert_eq!(listing(folder.path()), expected);
        fs::write(folder.path().join("data.yaml"), "train: ../train/images\nval: ../valid/images\nnames: ['a']\n")
            .unwrap();
        assert_eq!(listing(folder.path()), expected);
        assert_eq!(open(folder.path(), &[Split::Val]).unwrap().frames[0].relative, "valid/images/v.jpg");
    }

    #[test]
    fn folders_of_coco_are_splits_by_their_year_or_beside_annotations() {
        let folder = tree(&["train2017/a.jpg", "train2014/b.jpg", "val2017/c.jpg", "trainers/d.jpg"]);
        assert_eq!(listing(folder.path()), ["train2014/b.jpg -", "train2017/a.jpg -"]);
        let folder = tree(&["images/train2017/a.jpg", "labels/train2017/a.txt", "images/test2017/b.jpg"]);
        assert_eq!(listing(folder.path()), ["images/train2017/a.jpg labels/train2017/a.txt"]);
        let files = ["train/a.jpg", "valid/b.jpg"];
        assert_eq!(listing(tree(&files).path()).len(), 2, "folders of a flat dataset");
        let annotated = [&files[..], &["annotations/instances_train.json={}"]].concat();
        assert_eq!(listing(tree(&annotated).path()), ["train/a.jpg -"]);
    }

    #[test]
    fn flat_folders_are_read_with_labels_beside_the_images_or_without() {
        let folder = tree(&["b.webp", "a.JPG", "a.txt", "sub/c.bmp", "readme.md"]);
        assert_eq!(listing(folder.path()), ["a.JPG a.txt", "b.webp -", "sub/c.bmp -"]);
        let folder = tree(&["images/a.jpg", "labels/a.txt"]);
        assert_eq!(listing(folder.path()), ["images/a.jpg labels/a.txt"]);
    }
}
