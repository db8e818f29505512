//! A YOLO dataset on disk becomes a sorted list of frames with their labels.
//!
//! - [`classes`]: names of classes in files beside the labels
//! - [`coco`]: annotation files of COCO, and which images they name
//! - [`darknet`]: datasets of Darknet and CVAT
//! - [`data_yaml`]: reads a `data.yaml`
//! - [`description`]: finds the file that describes a dataset
//! - [`foreign`]: image files that only other programs read
//! - [`frame`]: [`Frame`], one image with its label, and the list of them
//! - [`label_files`]: where the label of an image is
//! - [`labels`]: the boxes of a label file, and the names of classes
//! - [`layout`]: [`Layout`], how a dataset without a `data.yaml` is divided into splits
//! - [`list`]: lists of images
//! - [`masks`]: masks and depths beside the images
//! - [`names`]: names of images, below the dataset's folder or beside it
//! - [`pyyaml`]: YAML with the types of PyYAML
//! - [`scan`]: finds the images of a folder or a list
//! - [`split`]: train, val and test
//! - [`split_folders`]: folders that are called after splits
//! - [`split_lists`]: lists that are called after splits
//! - [`unused`]: labels that no image has

pub mod classes;
pub mod coco;
pub mod darknet;
pub mod data_yaml;
pub mod description;
pub mod foreign;
pub mod frame;
pub mod label_files;
pub mod labels;
pub mod layout;
pub mod list;
pub mod masks;
pub mod names;
pub mod pyyaml;
pub mod scan;
pub mod split;
pub mod split_folders;
pub mod split_lists;
#[cfg(test)]
mod testing;
pub mod unused;

pub use crate::dataset::frame::Frame;
pub use crate::dataset::layout::Layout;

use crate::dataset::coco::matcher::Matcher;
use crate::dataset::coco::objects::AnnotatedFrames;
use crate::dataset::darknet::read_darknet_data;
use crate::dataset::data_yaml::read_data_yaml;
use crate::dataset::description::{Description, Place};
use crate::dataset::frame::{LabelCount, Listing};
use crate::dataset::label_files::{LabelFinder, Reach};
use crate::dataset::labels::Schema;
use crate::dataset::names::Names;
use crate::dataset::scan::{ImageSource, Scan};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::marker;
use crate::files::paths::{absolute, resolve_links};
use crate::units::counted;
use crate::yaml::Yaml;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A dataset as it was found.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The dataset's folder, absolute.
    pub root: PathBuf,
    names: Names,
    pub layout: Layout,
    /// The images of the requested splits, sorted by [`Frame::relative`], without repetition.
    pub frames: Vec<Frame>,
    /// Image files of the requested splits in formats that loaders read and this program does not.
    pub foreign: Vec<PathBuf>,
    /// The content of `data.yaml`, if there is one, with its keys in their order. Without names of classes in it, those
    /// of another file, if there is one.
    pub data: Option<Yaml>,
    /// Whether the names of classes come from a file that lists nothing else, such as `classes.txt`.
    pub has_class_file: bool,
    /// Where the images of every split come from, requested or not. Places that do not exist are left out.
    pub sources: BTreeMap<Split, Vec<ImageSource>>,
    /// JSON files where COCO datasets have their annotations; see [`coco::annotation_files`].
    pub annotations: Vec<PathBuf>,
    /// The names of all classes by id, those of the dataset and the categories of annotations, where objects are known by
    /// these; see [`Frame::annotated`].
    pub categories: BTreeMap<i64, String>,
    /// How many images of each split, requested or not, have a label.
    pub label_counts: BTreeMap<Split, LabelCount>,
    /// How many text files that look like labels belong to no image.
    pub unused_labels: usize,
    /// What a person should know about the dataset.
    pub warnings: Vec<String>,
}

/// What is known about a dataset before its images are listed.
struct Outline {
    root: PathBuf,
    layout: Layout,
    data: Option<Yaml>,
    has_class_file: bool,
    sources: BTreeMap<Split, Vec<ImageSource>>,
    warnings: Vec<String>,
}

impl Dataset {
    /// Reads the dataset at `given`, a folder or the file that describes it, and lists the images of `splits`.
    ///
    /// Hidden files and folders are left out, and so are `output` and every other folder that this program has written
    /// to. Symbolic links are followed, except into a circle.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such dataset, if it is its own output, if a requested split is missing or if
    /// loaders would not find its labels; [`Error::BadFile`] for a describing file that cannot be understood, for
    /// entries that lead to nothing, for a dataset whose splits cannot be understood and for one without images;
    /// [`Error::Io`] if a file or folder cannot be read.
    pub fn open(given: &Path, splits: &[Split], output: &Path) -> Result<Self> {
        let place = description::find(given)?;
        let output = absolute(output)?;
        let Outline { root, layout, data, has_class_file, sources, mut warnings } = Outline::of(&place, splits)?;
        check_output(&output, &root, &sources)?;
        let scan = Scan { root: &root, output: &output };
        let names = Names::below(&root, sources.values().flatten());
        let listing = frame::list_frames(&scan, &sources, splits, &layout, &names)?;
        let Listing { frames, foreign, counts, labels } = listing;
        let annotations = coco::annotation_files(&root);
        if place.is_below || matches!(layout, Layout::SplitFolders | Layout::Lists(_) | Layout::Flat) {
            let whole = if place.is_below { absolute(given)? } else { root.clone() };
            warnings.extend(layout::doubts(&Scan { root: &whole, output: &output }, &layout, &sources)?);
        }
        if marker::is_output_folder(&root) {
            warnings.push(format!(
                "{} is itself an output of augment: what is new there is stylized once more, as far as it is listed; if that \
                 is not meant, give the original dataset",
                root.display()
            ));
        }
        let mut dataset = Self {
            root,
            names,
            layout,
            frames,
            foreign,
            data,
            has_class_file,
            sources,
            annotations,
            categories: BTreeMap::new(),
            label_counts: counts,
            unused_labels: 0,
            warnings,
        };
        dataset.take_annotated_objects();
        dataset.report_labels(&labels, &output)?;
        Ok(dataset)
    }

    /// Gives the frames of splits without labels the objects that COCO annotations know. In other splits, a frame without
    /// a label is background, since loaders read labels.
    fn take_annotated_objects(&mut self) {
        let is_bare = |frame: &Frame| self.label_counts.get(&frame.split).is_some_and(LabelCount::is_bare);
        if self.annotations.is_empty() || !self.frames.iter().any(is_bare) {
            return;
        }
        let files = self.annotations.iter().map(|path| (self.relative(path), path.clone()));
        let others = self.images_not_asked_for(&mut Vec::new());
        let matcher = Matcher::new(&self.frames, &others);
        let bare: Vec<bool> = self.frames.iter().map(is_bare).collect();
        let known = self.schema();
        let known = known.names().filter_map(|(id, name)| Some((id.try_into().ok()?, name.to_string()))).collect();
        let found = AnnotatedFrames::of(&matcher, files, known, |number| bare[number]);
        let AnnotatedFrames { mut frames, categories, unusable } = found;
        if !frames.is_empty() {
            self.categories = categories;
        }
        self.frames.iter_mut().enumerate().for_each(|(number, frame)| frame.annotated = frames.remove(&number));
        if unusable > 0 {
            self.warnings.push(format!(
                "{} of COCO annotations cannot be used: without `width` and `height` of the image, or without a category",
                counted(unusable, "box")
            ));
        }
    }

    /// Warns of labels that are missing or that belong to no image. `labels` are those of all images.
    fn report_labels(&mut self, labels: &HashSet<PathBuf>, output: &Path) -> Result<()> {
        // Annotation files take the place of labels, unless a data.yaml says that loaders read labels.
        let is_annotated = || match self.layout {
            Layout::Annotations => true,
            Layout::DataYaml(_) => false,
            _ => self.annotations.iter().any(|file| coco::is_coco(file)),
        };
        if !labels.is_empty() || !is_annotated() {
            let scan = Scan { root: &self.root, output };
            let report = unused::report(&scan, &self.sources, &self.frames, &self.label_counts, labels)?;
            self.warnings.extend(report.warnings);
            self.unused_labels = report.unused;
        }
        Ok(())
    }

    /// The images of one split, requested or not, in the order of its sources.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn images(&self, split: Split) -> Result<Vec<PathBuf>> {
        let sources = self.sources.get(&split).into_iter().flatten();
        sources.map(|source| self.images_of(source)).collect::<Result<Vec<_>>>().map(|images| images.concat())
    }

    /// The images of the splits that are not asked for, by their names. Nothing was asked of them, so a folder of theirs
    /// that cannot be listed is no error: it is noted in `unlisted`.
    pub fn images_not_asked_for(&self, unlisted: &mut Vec<String>) -> Vec<String> {
        let mut others = Vec::new();
        let is_asked = |split| self.frames.iter().any(|frame| frame.split == split);
        for &split in self.sources.keys().filter(|&&split| !is_asked(split)) {
            match self.images(split) {
                Ok(images) => others.extend(images.iter().map(|image| self.relative(image))),
                Err(error) => {
                    unlisted.push(format!("entries of the split {split}, which could not be listed: {error}"))
                }
            }
        }
        others
    }

    /// The images of one source.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn images_of(&self, source: &ImageSource) -> Result<Vec<PathBuf>> {
        Scan { root: &self.root, output: Path::new("") }.images_of(source)
    }

    /// The name of an image or of a folder; see [`Names`].
    pub fn relative(&self, path: &Path) -> String {
        self.names.of(path)
    }

    /// Whether Ultralytics finds the labels of a source's images only if a list names the images; see [`Reach::List`].
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn needs_list(&self, source: &ImageSource) -> Result<bool> {
        let finder = LabelFinder::new(&self.root, source);
        if finder.follows_no_link() {
            return Ok(false);
        }
        let images = self.images_of(source)?;
        Ok(images.iter().any(|image| finder.find(image).is_some_and(|label| label.reach == Reach::List)))
    }

    /// What the dataset's `data.yaml` or, without labels, its COCO annotations say about the classes of objects.
    pub fn schema(&self) -> Schema {
        let own = self.data.as_ref().map_or_else(Schema::default, Schema::of);
        if self.categories.is_empty() { own } else { own.with_names(&self.categories) }
    }

    /// One more than the highest class id in any label of any split; 0 without labels. It serves to name the classes of
    /// a dataset that does not name them.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn class_count(&self) -> Result<usize> {
        let mut count = 0;
        for source in self.sources.values().flatten() {
            let finder = LabelFinder::new(&self.root, source);
            for image in self.images_of(source)? {
                // The frame of a label that cannot be read fails with its own message.
                if let Some(content) = finder.find(&image).and_then(|label| fs::read(label.path).ok()) {
                    count = count.max(labels::class_count(&content));
                }
            }
        }
        Ok(count)
    }
}

/// Refuses a dataset whose pictures have more channels than colours, such as those of satellites: loaders would read
/// them with all their channels, and the new images have three.
fn check_channels(data: &Yaml, file: &Path) -> Result<()> {
    match data.get("channels") {
        None | Some(Yaml::Null | Yaml::Int(1 | 3)) => Ok(()),
        Some(channels) => Err(Error::bad_file(
            file,
            format!(
                "`channels: {channels}`: only pictures in colour or grey can be stylized; make a dataset of their three \
                 colour channels, without this key"
            ),
        )),
    }
}

impl Outline {
    /// What the describing file says, or else the folders.
    fn of(place: &Place, splits: &[Split]) -> Result<Self> {
        let Place { folder, description, is_below } = place;
        let mut outline = Self {
            root: folder.clone(),
            layout: Layout::Flat,
            data: None,
            has_class_file: false,
            sources: BTreeMap::new(),
            warnings: Vec::new(),
        };
        match description {
            Some(Description::Yaml(file)) => {
                let read = read_data_yaml(file, folder, splits)?;
                check_channels(&read.data, file)?;
                outline.layout = Layout::DataYaml(file.clone());
                (outline.root, outline.data) = (read.root, Some(read.data));
                (outline.sources, outline.warnings) = (read.sources, read.warnings);
            }
            Some(Description::Darknet(file)) => {
                let read = read_darknet_data(file, folder)?;
                outline.layout = Layout::Lists(file.clone());
                outline.data = read.names.as_deref().map(classes::read_class_file).transpose()?;
                outline.has_class_file = outline.data.is_some();
                (outline.sources, outline.warnings) = (read.sources, read.warnings);
            }
            None => {}
        }
        if outline.sources.is_empty() {
            // An output of this program is known without its name, and any other folder may hold originals.
            let scan = Scan { root: &outline.root, output: Path::new("") };
            (outline.layout, outline.sources) = layout::find_splits(&scan)?;
        }
        if *is_below {
            outline.warnings.insert(0, format!("the dataset is taken from {}", folder.display()));
        }
        outline.find_names()?;
        Ok(outline)
    }

    /// Takes the names of classes from another file, if the describing one has none.
    fn find_names(&mut self) -> Result<()> {
        let has = |data: &Yaml, key| data.get(key).is_some_and(|value| *value != Yaml::Null);
        if self.data.as_ref().is_some_and(|data| has(data, "names") || has(data, "nc")) {
            return Ok(());
        }
        let Some(names) = classes::find_classes(&self.root, self.sources.values().flatten())? else { return Ok(()) };
        self.has_class_file = true;
        match (&mut self.data, names) {
            (Some(Yaml::Map(pairs)), Yaml::Map(names)) => {
                pairs.retain(|(key, _)| key.text() != Some("names"));
                pairs.extend(names);
            }
            (data, names) => *data = Some(names),
        }
        Ok(())
    }
}

/// Refuses an output that is or holds a folder of originals, where originals and new images would mix and a later run
/// would take the new ones for originals. Refuses an output among images to validate or test on, too.
fn check_output(output: &Path, root: &Path, sources: &BTreeMap<Split, Vec<ImageSource>>) -> Result<()> {
    let resolved = resolve_links(output);
    let folders = sources.values().flatten().filter_map(|source| match source {
        ImageSource::Folder(folder) => Some(folder.as_path()),
        ImageSource::List { .. } => None,
    });
    let mut folders = std::iter::once(root).chain(folders);
    if let Some(folder) = folders.find(|folder| resolve_links(folder).starts_with(&resolved)) {
        return Err(Error::Usage(format!(
            "the output {} is or holds the originals in {}; choose another --output",
            output.display(),
            folder.display()
        )));
    }
    let holds_output = |sources: &[ImageSource]| sources.iter().any(|source| source.holds(output));
    match sources.iter().find(|(split, sources)| **split != Split::Train && holds_output(sources)) {
        None => Ok(()),
        Some((split, _)) => Err(Error::Usage(format!(
            "the output {} lies among the images of {split}, so that {split} would take in the new images; choose another \
             --output",
            output.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::{open, tree};

    #[test]
    fn a_dataset_that_does_not_exist_is_named() {
        let error = open(Path::new("no/such/folder"), &[Split::Train]).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("does not exist")), (2, true));
    }

    #[test]
    fn an_output_that_holds_the_originals_or_lies_among_other_splits_is_refused() {
        let folder = tree(&["images/train/a.jpg", "images/val/v.jpg"]);
        let refusal = |output: &str| {
            let output = folder.path().join(output);
            Dataset::open(folder.path(), &[Split::Train], &output).err().map(|error| error.to_string())
        };
        assert!(refusal("").unwrap().contains("is or holds the originals"));
        assert!(refusal("images").unwrap().contains("is or holds the originals"));
        assert!(refusal("images/val/new").unwrap().contains("among the images of val"));
        assert_eq!(refusal("images/train/new"), None);
    }

    #[test]
    fn a_dataset_of_more_channels_than_colours_is_refused() {
        for (channels, is_fine) in
            [("1", true), ("3", true), ("null", true), ("10", false), ("4", false), ("many", false)]
        {
            let data = format!("data.yaml=train: images\nchannels: {channels}\n");
            let opened = open(tree(&["images/a.jpg", &data]).path(), &[Split::Train]);
            assert_eq!(opened.is_ok(), is_fine, "{channels}");
            let Err(error) = opened else { continue };
            assert!(
                error.to_string().contains("data.yaml: `channels: ") && error.to_string().contains(channels),
                "{error}"
            );
        }
    }

    #[test]
    fn images_that_only_other_programs_read_are_listed_by_split() {
        let folder = tree(&[
            "images/train/a.jpg",
            "images/train/deep/b.HEIC",
            "images/train/c.avif",
            "images/train/notes.gif",
            "images/val/v.dng",
        ]);
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        let names: Vec<_> = dataset.foreign.iter().map(|path| dataset.relative(path)).collect();
        assert_eq!(names, ["images/train/c.avif", "images/train/deep/b.HEIC"]);
        let error = open(tree(&["a.heic", "sub/b.avif"]).path(), &[Split::Train]).unwrap_err().to_string();
        assert!(
            error.contains("no images") && error.contains("2 image files") && error.contains("jpg or png"),
            "{error}"
        );
        let list = tree(&["data.yaml=train: train.txt", "train.txt=./a.jpg\n./b.jp2\n", "a.jpg", "b.jp2"]);
        assert_eq!(open(list.path(), &[Split::Train]).unwrap().foreign.len(), 1);
        let coco = r#"result.json={"images":[{"file_name":"a.jpg"},{"file_name":"b.heic"}],"annotations":[]}"#;
        let coco = tree(&["images/a.jpg", "images/b.heic", coco]);
        assert_eq!(open(coco.path(), &[Split::Train]).unwrap().foreign.len(), 1);
    }

    #[test]
    fn classes_are_counted_over_all_splits() {
        let folder = tree(&[
            "images/train/a.jpg",
            "labels/train/a.txt=0 .1 .1 .1 .1\n2 .5 .5 .1 .1\n",
            "images/val/b.jpg",
            "labels/val/b.txt=4 0 0 1 0 1 1",
        ]);
        assert_eq!(open(folder.path(), &[Split::Train]).unwrap().class_count().unwrap(), 5);
    }
}
