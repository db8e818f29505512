//! The frames of a dataset: its images with their labels.

use crate::dataset::coco::annotated::Annotated;
use crate::dataset::foreign;
use crate::dataset::label_files::{LabelFinder, Reach};
use crate::dataset::labels::Labels;
use crate::dataset::layout::Layout;
use crate::dataset::names::Names;
use crate::dataset::scan::{EXTENSIONS, ImageFiles, ImageSource, Scan};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{RealFolders, any_path, label_path, relative_text};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// One image of the dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Absolute.
    #[serde(with = "any_path")]
    pub path: PathBuf,
    /// Its name; see [`Names`]. Seeds and output names depend on it, so that they do not depend on where the dataset lies.
    pub relative: String,
    pub split: Split,
    /// The label file, if there is one. A frame without a label is background.
    #[serde(with = "any_path::optional")]
    pub label: Option<PathBuf>,
    /// Of a frame without a label, the objects that COCO annotations give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotated: Option<Annotated>,
}

/// How many images of a split have a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelCount {
    pub labelled: usize,
    /// Images without a label.
    pub background: usize,
}

impl LabelCount {
    /// Whether all images of the split are background.
    pub fn is_bare(&self) -> bool {
        self.labelled == 0 && self.background > 0
    }
}

/// The images of a dataset, requested or not.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those of the requested splits, sorted by [`Frame::relative`], without repetition.
    pub frames: Vec<Frame>,
    /// Image files of the requested splits that only other programs read.
    pub foreign: Vec<PathBuf>,
    /// Of all splits.
    pub counts: BTreeMap<Split, LabelCount>,
    /// The labels of all splits.
    pub labels: HashSet<PathBuf>,
}

/// The images of all splits, with the frames of the requested ones.
///
/// # Errors
/// [`Error::Usage`] for a split that `sources` lack, and for labels that Ultralytics cannot find; [`Error::BadFile`] if
/// there are no frames, [`Error::Io`] if a folder cannot be listed.
pub fn list_frames(
    scan: &Scan,
    sources: &BTreeMap<Split, Vec<ImageSource>>,
    requested: &[Split],
    layout: &Layout,
    names: &Names,
) -> Result<Listing> {
    let mut listing = Listing::default();
    if let Some(split) = requested.iter().find(|split| !sources.contains_key(split)) {
        return Err(missing_split(scan.root, *split, sources));
    }
    let (mut folders, mut seen) = (RealFolders::default(), HashSet::new());
    let others = Split::ALL.iter().filter(|split| !requested.contains(split));
    for &split in requested.iter().chain(others) {
        let is_requested = requested.contains(&split);
        for source in sources.get(&split).into_iter().flatten() {
            let finder = LabelFinder::new(scan.root, source);
            let ImageFiles { images, foreign } = scan.files_of(source)?;
            // Two folders of the dataset may be links to the same one, but two names of one file are two frames with
            // labels of their own.
            let mut is_new = |path: &PathBuf| seen.insert(folders.real(path));
            if is_requested {
                listing.foreign.extend(foreign.into_iter().filter(&mut is_new));
            }
            for path in images {
                if is_requested && !is_new(&path) {
                    continue;
                }
                let label = finder.find(&path);
                if label.as_ref().is_some_and(|label| label.reach == Reach::None) {
                    return Err(out_of_reach(scan.root, &path));
                }
                let label = label.map(|label| label.path);
                let count = listing.counts.entry(split).or_default();
                *if label.is_some() { &mut count.labelled } else { &mut count.background } += 1;
                listing.labels.extend(label.clone());
                if is_requested {
                    let relative = names.of(&path);
                    listing.frames.push(Frame { relative, path, split, label, annotated: None });
                }
            }
        }
    }
    check_misplaced(scan.root, &listing)?;
    if listing.frames.is_empty() {
        return Err(no_images(scan.root, layout, &listing.foreign));
    }
    listing.frames.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(listing)
}

/// # Errors
/// [`Error::Usage`] if a split has no label, and one lies beside an image, where YOLO loaders do not look: all images
/// of the split would be background.
fn check_misplaced(root: &Path, listing: &Listing) -> Result<()> {
    let is_bare = |frame: &&Frame| listing.counts.get(&frame.split).is_some_and(LabelCount::is_bare);
    let is_label = |path: &PathBuf| {
        path.is_file() && Labels::read(path, None).is_ok_and(|labels| !labels.boxes.is_empty() && labels.malformed == 0)
    };
    let beside = |frame: &Frame| Some(frame.path.with_extension("txt")).filter(is_label);
    match listing.frames.iter().filter(is_bare).find_map(|frame| Some((frame, beside(frame)?))) {
        Some((frame, label)) => Err(Error::Usage(format!(
            "{}: no label was found for any image of {}, but {} lies beside its image; YOLO loaders look for it at {}: \
             move the labels there",
            root.display(),
            frame.split,
            relative_text(root, &label),
            relative_text(root, &label_path(&frame.path))
        ))),
        None => Ok(()),
    }
}

/// The labels lie beside the images, and a folder above is called `images`.
fn out_of_reach(root: &Path, image: &Path) -> Error {
    Error::Usage(format!(
        "{} lies below a folder called `images`, so that YOLO loaders look for the label of {} at {}, not beside it: \
         they would train on every original as background; rename that folder, or move the labels there",
        root.display(),
        relative_text(root, image),
        label_path(image).display()
    ))
}

fn missing_split(root: &Path, split: Split, sources: &BTreeMap<Split, Vec<ImageSource>>) -> Error {
    let found: Vec<String> = sources.keys().map(Split::to_string).collect();
    let found = if found.is_empty() { "none".to_string() } else { found.join(", ") };
    Error::Usage(format!("{} has no split `{split}`; splits found: {found}", root.display()))
}

fn no_images(root: &Path, layout: &Layout, foreign: &[PathBuf]) -> Error {
    let looked = match layout {
        Layout::DataYaml(file) => format!("the requested splits of {} lead to none", file.display()),
        Layout::SplitFolders => "its folders of the requested splits hold none".to_string(),
        Layout::Lists(file) => format!("the lists of the requested splits that {} names lead to none", file.display()),
        Layout::Annotations => "its annotation files name none of the requested splits".to_string(),
        Layout::Flat => "there is no data.yaml, no images/train and no image anywhere below".to_string(),
    };
    let foreign = foreign::message(foreign, "image files").map_or_else(String::new, |message| format!("; {message}"));
    Error::bad_file(root, format!("no images ({}): {looked}{foreign}", EXTENSIONS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::{YOLO, listing, open, tree};
    use std::fs;

    #[cfg(unix)]
    #[test]
    fn an_image_that_two_folders_lead_to_counts_once() {
        let folder = tree(&["real/a.jpg", "data.yaml=train: [real, link, real]"]);
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        assert_eq!(listing(folder.path()), ["real/a.jpg -"]);
    }

    #[cfg(unix)]
    #[test]
    fn two_names_of_one_file_are_two_frames() {
        let folder = tree(&["store/1.jpg", "images/train/c.jpg", "labels/train/a.txt", "labels/train/b.txt"]);
        for name in ["a", "b"] {
            let link = folder.path().join(format!("images/train/{name}.jpg"));
            std::os::unix::fs::symlink("../../store/1.jpg", link).unwrap();
        }
        let [a, b] = ["a", "b"].map(|name| format!("images/train/{name}.jpg labels/train/{name}.txt"));
        assert_eq!(listing(folder.path()), [&*a, &*b, "images/train/c.jpg -"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_missing_file_is_a_frame_that_cannot_be_read_and_a_label_likewise() {
        let folder = tree(&["images/train/a.jpg", "labels/train/c.txt"]);
        std::os::unix::fs::symlink("nowhere.jpg", folder.path().join("images/train/b.jpg")).unwrap();
        std::os::unix::fs::symlink("nowhere.txt", folder.path().join("labels/train/a.txt")).unwrap();
        let expected = ["images/train/a.jpg labels/train/a.txt", "images/train/b.jpg -"];
        assert_eq!(listing(folder.path()), expected);
    }

    #[test]
    fn images_elsewhere_have_the_same_names_wherever_dataset_and_images_lie_together() {
        for place in ["here", "there/deep"] {
            let at = |path: &str| format!("{place}/{path}");
            let data = at("cfg/data.yaml=train: [../drive/images/train, images]");
            let files =
                [&data, &at("drive/images/train/a.jpg"), &at("drive/labels/train/a.txt"), &at("cfg/images/b.jpg")];
            let folder = tree(&files.map(String::as_str));
            let frames = open(&folder.path().join(place).join("cfg"), &[Split::Train]).unwrap().frames;
            let names: Vec<_> = frames.iter().map(|frame| frame.relative.as_str()).collect();
            assert_eq!(names, ["drive/images/train/a.jpg", "images/b.jpg"]);
            assert!(frames[0].label.is_some());
        }
        let folder = tree(&["cfg/data.yaml=train: [../drive, drive]", "drive/a.jpg", "cfg/drive/a.jpg"]);
        let frames = open(&folder.path().join("cfg"), &[Split::Train]).unwrap().frames;
        assert!(frames.len() == 2 && frames[0].relative != frames[1].relative, "{frames:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf8_have_their_own_labels_and_stay_distinct() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let folder = tree(&["images/a.jpg"]);
        for name in [&b"images/caf\xe9.jpg"[..], b"images/caf\xe8.jpg", b"labels/caf\xe9.txt"] {
            let path = folder.path().join(OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let frames = open(folder.path(), &[Split::Train]).unwrap().frames;
        let names: Vec<_> = frames.iter().map(|frame| frame.relative.as_str()).collect();
        assert_eq!(names, ["images/a.jpg", "images/caf\u{FFFD}e8.jpg", "images/caf\u{FFFD}e9.jpg"]);
        assert!(frames[1].label.is_none() && frames[2].label.as_ref().is_some_and(|label| label.is_file()));
        assert!(frames[2].path.is_file());
    }

    #[test]
    fn a_missing_split_and_a_dataset_without_images_are_named() {
        let empty = tree(&["notes.txt"]);
        let error = open(empty.path(), &[Split::Train]).unwrap_err();
        let text = error.to_string();
        assert!(error.exit_code() == 1 && text.contains("no images") && text.contains("data.yaml"), "{text}");
        assert!(text.contains(&empty.path().display().to_string()), "{text}");

        let text = open(tree(&YOLO).path(), &[Split::Test]).unwrap_err().to_string();
        assert!(text.contains("no split `test`") && text.ends_with("train, val"), "{text}");
    }
}
