//! Labels that no frame has: text files that look like labels where Ultralytics does not look for them.
//!
//! A frame without a label is background. So a dataset whose labels lie in `label/` or beside images that belong
//! elsewhere would train on background alone, without a word.

use crate::dataset::classes::is_class_file;
use crate::dataset::frame::{Frame, LabelCount};
use crate::dataset::scan::{ImageSource, Scan};
use crate::dataset::split::Split;
use crate::error::Result;
use crate::files::listing::entries;
use crate::files::paths::{RealFolders, extension, has_extension, label_path, relative_text};
use crate::units::counted;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Words in the names of folders that hold labels.
const LABEL_WORDS: [&str; 8] = ["label", "lbl", "annot", "txt", "yolo", "darknet", "target", "ground"];

/// Extensions of labels that are not read: Pascal VOC, LabelMe.
const OTHER_FORMATS: [&str; 2] = ["xml", "json"];

/// Files whose content is looked at to see whether they are labels. More of one folder are taken for the same.
const MOST_READ: usize = 20;

/// What a person should know about the labels of a dataset that has `frames`.
pub struct LabelReport {
    pub warnings: Vec<String>,
    /// How many text files that look like labels belong to no image of any split.
    pub unused: usize,
}

/// Looks for labels that none of the images of `sources` has. `used` are the labels of all of them.
///
/// # Errors
/// [`crate::error::Error::Io`] if a folder cannot be listed.
pub fn report(
    scan: &Scan,
    sources: &BTreeMap<Split, Vec<ImageSource>>,
    frames: &[Frame],
    counts: &BTreeMap<Split, LabelCount>,
    used: &HashSet<PathBuf>,
) -> Result<LabelReport> {
    let unused = unused_labels(scan, sources, used)?;
    let count: usize = unused.values().map(Vec::len).sum();
    let mut warnings = Vec::new();
    let bare: Vec<(&Split, &LabelCount)> = counts
        .iter()
        // Many datasets are published without the labels of their test images.
        .filter(|(split, _)| **split != Split::Test || frames.iter().any(|frame| frame.split == Split::Test))
        .filter(|(_, count)| count.is_bare())
        .filter(|(split, _)| frames.iter().all(|frame| frame.split != **split || frame.annotated.is_none()))
        .collect();
    let empty = sources.keys().filter(|split| !counts.contains_key(split));
    warnings.extend(empty.map(|split| format!("the split {split} holds no image; Ultralytics refuses such a split")));
    if !bare.is_empty() {
        let images: Vec<String> =
            bare.iter().map(|(split, count)| format!("{} of {split}", counted(count.background, "image"))).collect();
        let mut text = format!("no label was found for {}: all are background", images.join(" and "));
        if let Some(frame) = frames.iter().find(|frame| bare.iter().any(|(split, _)| **split == frame.split)) {
            let sought = relative_text(scan.root, &label_path(&frame.path));
            text += &format!("; the label of {} is expected at {sought}", frame.relative);
        }
        text.extend(other_formats(scan, sources, frames)?.map(|found| format!("; {found}")));
        warnings.push(text);
    }
    if count > 0 {
        let folders = unused.iter().map(|(folder, files)| {
            let name = relative_text(scan.root, folder);
            format!("{} in {}/", files.len(), if name.is_empty() { "." } else { &name })
        });
        let first = unused.values().flatten().next().map(|file| relative_text(scan.root, file)).unwrap_or_default();
        warnings.push(format!(
            "no image was found for {} ({}; such as {first}); YOLO loaders look for the label of images/x/a.jpg at \
             labels/x/a.txt, and without a folder `images` beside the image: move or rename them",
            counted(count, "text file")
                + if count == 1 { " that looks like a label" } else { " that look like labels" },
            folders.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(LabelReport { warnings, unused: count })
}

/// Files of other formats that are called like images and may hold their boxes.
fn other_formats(scan: &Scan, sources: &BTreeMap<Split, Vec<ImageSource>>, frames: &[Frame]) -> Result<Option<String>> {
    let stems: HashSet<&OsStr> = frames.iter().filter_map(|frame| frame.path.file_stem()).collect();
    let is_label =
        |path: &Path| has_extension(path, &OTHER_FORMATS) && path.file_stem().is_some_and(|stem| stems.contains(stem));
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for folder in folders_to_search(scan.root, sources) {
        let files = scan.files_below(&folder, usize::MAX, is_label)?;
        files.iter().map(|file| extension(file)).for_each(|end| *count.entry(end).or_default() += 1);
    }
    let found: Vec<String> = count.into_iter().map(|(end, count)| counted(count, &format!(".{end} file"))).collect();
    Ok((!found.is_empty()).then(|| {
        format!(
            "{} beside or called like images: boxes in such files, as of Pascal VOC or LabelMe, are not read; convert them \
             to YOLO labels or COCO",
            found.join(" and ")
        )
    }))
}

/// The text files that look like labels and that nothing uses, by folder.
fn unused_labels(
    scan: &Scan,
    sources: &BTreeMap<Split, Vec<ImageSource>>,
    used: &HashSet<PathBuf>,
) -> Result<BTreeMap<PathBuf, Vec<PathBuf>>> {
    let mut folders = RealFolders::default();
    let used: HashSet<PathBuf> = used.iter().map(|path| folders.real(path)).collect();
    let is_text = |path: &Path| has_extension(path, &["txt"]) && !is_class_file(path);
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for folder in folders_to_search(scan.root, sources) {
        files.extend(scan.files_below(&folder, usize::MAX, is_text)?);
    }
    let lists: HashSet<&Path> = sources.values().flatten().filter_map(ImageSource::list).collect();
    let mut unused: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let Some(folder) = file.parent().map(Path::to_path_buf) else { continue };
        if used.contains(&folders.real(&file)) || lists.contains(file.as_path()) {
            continue;
        }
        let known = unused.get(&folder).map_or(0, Vec::len);
        if known >= MOST_READ || looks_like_label(&file) {
            unused.entry(folder).or_default().push(file);
        }
    }
    Ok(unused)
}

/// Where labels may lie: in the folders of images, and in folders beside or above them that are called after labels.
fn folders_to_search(root: &Path, sources: &BTreeMap<Split, Vec<ImageSource>>) -> BTreeSet<PathBuf> {
    let mut images: BTreeSet<PathBuf> = BTreeSet::new();
    for source in sources.values().flatten() {
        match source {
            ImageSource::Folder(folder) => drop(images.insert(folder.clone())),
            ImageSource::List { images: listed, .. } => {
                images.extend(listed.iter().filter_map(|image| image.parent()).map(Path::to_path_buf));
            }
        }
    }
    let above: BTreeSet<&Path> =
        images.iter().flat_map(|folder| folder.ancestors().take_while(|folder| folder.starts_with(root))).collect();
    let is_for_labels = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        LABEL_WORDS.iter().any(|word| name.contains(word)) && path.is_dir()
    };
    let beside = above.into_iter().chain([root]).flat_map(|folder| entries(folder).filter(is_for_labels));
    let mut folders: BTreeSet<PathBuf> = beside.collect();
    folders.extend(images.into_iter().filter(|folder| folder.is_dir()));
    // A folder is searched with all that lies below it.
    let all = folders.clone();
    folders.retain(|inner| !inner.ancestors().skip(1).any(|outer| all.contains(outer)));
    folders
}

/// Whether the first line with something on it is a class and at least four numbers.
fn looks_like_label(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    let first = BufReader::new(file).lines().take(MOST_READ).map_while(Result::ok).find(|line| !line.trim().is_empty());
    let Some(line) = first else { return false };
    let mut words = line.split_whitespace();
    let class = words.next();
    let numbers: Vec<Option<f64>> = words.map(|word| word.parse().ok()).collect();
    class.is_some() && numbers.len() >= 4 && numbers.iter().all(Option::is_some)
}

#[cfg(test)]
mod tests {
    use crate::dataset::split::Split;
    use crate::dataset::testing::{open, tree};

    const BOX: &str = "0 .5 .5 .1 .1\n";

    #[test]
    fn labels_that_no_loader_finds_are_counted_with_their_folder() {
        for (image, label, folder) in [
            ("images/train/a.jpg", "label/train/a.txt", "label/train/"),
            ("images/train/a.jpg", "Labels/train/a.txt", "Labels/train/"),
            ("JPEGImages/a.jpg", "labels/a.txt", "labels/"),
            ("images/train/a.jpg", "images/train/b.txt", "images/train/"),
            ("images/train/a.jpg", "labels/a.txt", "labels/"),
            ("images/train/a.jpg", "annotations_yolo/a.txt", "annotations_yolo/"),
            ("Images/Train/a.jpg", "Labels/Train/a.txt", "Labels/Train/"),
            ("training/image_2/a.png", "training/label_2/a.txt", "training/label_2/"),
        ] {
            let folder_of = tree(&[image, &format!("{label}={BOX}")]);
            let dataset = open(folder_of.path(), &[Split::Train]).unwrap();
            assert_eq!((dataset.frames[0].label.clone(), dataset.unused_labels), (None, 1), "{image} {label}");
            let told = |words: &str| dataset.warnings.iter().any(|text| text.contains(words));
            assert!(
                told(&format!("1 in {folder}")) && told("no label was found for 1 image of train"),
                "{label}: {:?}",
                dataset.warnings
            );
        }
    }

    #[test]
    fn used_labels_class_files_lists_and_notes_are_not_counted() {
        let label = |name: &str| format!("{name}={BOX}");
        let folder = tree(&[
            "images/train/a.jpg",
            "images/val/b.jpg",
            &label("labels/train/a.txt"),
            &label("labels/val/b.txt"),
            "labels/classes.txt=car 1 2 3 4\n",
            "labels/notes.txt=made by hand on a day in May\n",
            "labels/empty.txt",
        ]);
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert_eq!((dataset.unused_labels, dataset.warnings.as_slice()), (0, &[][..]));
        let counts = &dataset.label_counts[&Split::Train];
        assert_eq!((counts.labelled, counts.background), (1, 0));
    }

    #[test]
    fn a_split_without_images_is_told() {
        let folder = tree(&[
            "images/train/a.jpg",
            &format!("labels/train/a.txt={BOX}"),
            "images/val/notes.md",
            "data.yaml=train: images/train\nval: images/val\nnames: [a]\n",
        ]);
        let warnings = open(folder.path(), &[Split::Train]).unwrap().warnings;
        assert!(warnings.iter().any(|text| text.contains("the split val holds no image")), "{warnings:?}");
    }

    #[test]
    fn a_dataset_without_any_label_says_so_and_where_they_are_sought() {
        let dataset = open(tree(&["images/train/a.jpg"]).path(), &[Split::Train]).unwrap();
        let text = dataset.warnings.join("\n");
        assert!(
            text.contains("no label was found for 1 image of train") && text.contains("labels/train/a.txt"),
            "{text}"
        );
        let warnings = |files: &[&str]| open(tree(files).path(), &[Split::Train]).unwrap().warnings;
        let coco = "annotations/instances_train2017.json={\"images\": [], \"annotations\": [], \"categories\": []}";
        assert!(warnings(&["train2017/a.jpg", coco]).is_empty(), "COCO needs none");
        // Other JSON is no reason for silence, and loaders of a data.yaml read no annotations.
        assert!(!warnings(&["train2017/a.jpg", "annotations/meta.json={\"version\": 1}"]).is_empty());
        assert!(!warnings(&["data.yaml=train: images\nnames: [a]\n", "images/a.jpg", coco]).is_empty());
    }
}
