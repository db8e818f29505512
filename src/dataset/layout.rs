//! How a dataset without a file that describes it is divided into splits.
//!
//! Folders that are called after splits are the splits, wherever they are: `images/<split>`, `<split>/images`,
//! `train2017`, `obj_train_data`, `VisDrone2019-DET-train/images`. Without these, annotation files of COCO divide the
//! images, or lists such as `train.txt`. Without those, every image belongs to the split `train`, unless something says
//! that there are splits which cannot be understood: that ends in a question.

use crate::dataset::coco;
use crate::dataset::scan::{ImageSource, Scan};
use crate::dataset::split::Split;
use crate::dataset::split_folders::{self, Named};
use crate::dataset::split_lists::{ListedSplits, SplitFiles, read_split_lists};
use crate::error::Result;
use crate::files::listing::entries;
use crate::files::paths::relative_text;
use crate::units;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Lists of images, one for each split: this file of Darknet names them, or it is the list of `train`.
    Lists(PathBuf),
    /// Nothing: every image in the folder belongs to it.
    Flat,
}

/// The layout of a dataset without a describing file, and where the images of its splits come from.
///
/// # Errors
/// [`crate::error::Error::BadFile`] with a question if something says that the images are divided, but not how;
/// [`crate::error::Error::Io`] if a folder cannot be listed.
pub fn find_splits(scan: &Scan) -> Result<(Layout, BTreeMap<Split, Vec<ImageSource>>)> {
    let root = scan.root;
    let annotations = coco::annotation_files(root);
    let folders = scan.image_folders()?;
    let named = Named::of(root, &folders, !annotations.is_empty());
    if let Some(sources) = named.sources(root)? {
        return Ok((Layout::SplitFolders, sources));
    }
    let divided = divide(scan, &annotations)?;
    if divided.contains_key(&Split::Train) {
        return Ok((Layout::Annotations, divided));
    }
    let images = scan.images_below(root)?;
    let files = SplitFiles::find(scan, &images)?;
    if let Some(ListedSplits { train, sources }) = read_split_lists(scan, &files.named, &images)? {
        return Ok((Layout::Lists(train), sources));
    }
    // Lists of train images alone leave no doubt about the others.
    let divides = |file: &PathBuf| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        Split::of_name(&stem) != Some(Split::Train)
    };
    let begun_by = |file: &PathBuf| Split::begun_by(file.file_stem()?.to_str()?);
    let begun: BTreeSet<Split> = named.begun_by().chain(files.begun.iter().filter_map(begun_by)).collect();
    if !images.is_empty() && (named.is_vague() || files.named.iter().any(divides) || begun.len() > 1) {
        let files = [files.named, files.begun].concat();
        return Err(split_folders::question(root, &folders, &files));
    }
    Ok((Layout::Flat, BTreeMap::from([(Split::Train, vec![ImageSource::Folder(root.to_path_buf())])])))
}

/// Whether `root` has folders `images/<split>` or `<split>/images`.
pub fn has_standard_folders(root: &Path) -> bool {
    let splits = |folder: &Path| {
        let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(Split::is_plain_name);
        entries(folder).filter(named).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    !splits(&root.join("images")).is_empty() || splits(root).iter().any(|split| split.join("images").is_dir())
}

/// Warnings about images below the dataset's folder that belong to no split, about masks that are taken for frames, and
/// about a flat dataset of several folders.
///
/// # Errors
/// [`crate::error::Error::Io`] if a folder cannot be listed.
pub fn doubts(scan: &Scan, layout: &Layout, sources: &BTreeMap<Split, Vec<ImageSource>>) -> Result<Vec<String>> {
    let all: Vec<&ImageSource> = sources.values().flatten().collect();
    let mut listed: BTreeMap<&Path, usize> = BTreeMap::new();
    for source in &all {
        let ImageSource::List { images, .. } = source else { continue };
        images.iter().filter_map(|image| image.parent()).for_each(|folder| *listed.entry(folder).or_default() += 1);
    }
    let (mut left, mut masks, mut flat) = (Vec::new(), Vec::new(), Vec::new());
    for (folder, count) in scan.image_folders()? {
        let text = (relative_text(scan.root, &folder), count);
        let is_auxiliary = split_folders::is_auxiliary(scan.root, &folder);
        if all.iter().any(|source| matches!(source, ImageSource::Folder(path) if folder.starts_with(path))) {
            if is_auxiliary { &mut masks } else { &mut flat }.push(text);
            continue;
        }
        let rest = count.saturating_sub(listed.get(&*folder).copied().unwrap_or_default());
        if rest > 0 && !is_auxiliary {
            left.push((text.0, rest));
        }
    }
    let mut warnings = Vec::new();
    if let Some((count, folders)) = counted(&left) {
        warnings.push(format!(
            "in no split and left out: {}: {folders}; name them in a data.yaml if they belong to one",
            units::counted(count, "image")
        ));
    }
    if let Some((count, folders)) = counted(&masks) {
        warnings.push(format!(
            "taken for frames, though they look like masks: {}: {folders}; move them, or name the folders of the frames in \
             a data.yaml",
            units::counted(count, "image")
        ));
    }
    if *layout == Layout::Flat
        && flat.len() > 1
        && let Some((count, folders)) = counted(&flat)
    {
        warnings
            .push(format!("nothing says that the {count} images are divided into splits, so all are train: {folders}"));
    }
    Ok(warnings)
}

/// The number of images in folders, and these in one text; `None` if there are none.
fn counted(folders: &[(String, usize)]) -> Option<(usize, String)> {
    let text = |(folder, count): &(String, usize)| match folder.as_str() {
        "" => format!("{count} in the folder itself"),
        folder => format!("{count} in {folder}/"),
    };
    let count = folders.iter().map(|(_, count)| count).sum();
    (!folders.is_empty()).then(|| (count, split_folders::some_of(folders.iter().map(text))))
}

/// Divides the images of one folder by annotation files.
fn divide(scan: &Scan, annotations: &[PathBuf]) -> Result<BTreeMap<Split, Vec<ImageSource>>> {
    let Some(first) = annotations.first() else { return Ok(BTreeMap::new()) };
    let mut images = scan.images_below(scan.root)?;
    // Panoptic masks have the names of the images.
    images.retain(|image| !image.starts_with(scan.root.join("annotations")));
    let names = |paths: &[PathBuf]| paths.iter().map(|path| relative_text(scan.root, path)).collect::<Vec<_>>();
    let splits = coco::splits(scan.root, &names(annotations), &names(&images));
    let list = |numbers: Vec<usize>| ImageSource::List {
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
        std::fs::write(folder.path().join("data.yaml"), "train: ../train/images\nval: ../valid/images\nnames: ['a']\n")
            .unwrap();
        assert_eq!(listing(folder.path()), expected);
        assert_eq!(open(folder.path(), &[Split::Val]).unwrap().frames[0].relative, "valid/images/v.jpg");
    }

    #[test]
    fn folders_of_coco_are_splits_with_and_without_a_year() {
        let folder = tree(&["train2017/a.jpg", "train2014/b.jpg", "val2017/c.jpg", "trainers/d.jpg"]);
        assert_eq!(listing(folder.path()), ["train2014/b.jpg -", "train2017/a.jpg -"]);
        let folder = tree(&["images/train2017/a.jpg", "labels/train2017/a.txt", "images/test2017/b.jpg"]);
        assert_eq!(listing(folder.path()), ["images/train2017/a.jpg labels/train2017/a.txt"]);
        let files = ["train/a.jpg", "valid/b.jpg"];
        assert_eq!(listing(tree(&files).path()), ["train/a.jpg -"]);
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
