//! A YOLO dataset on disk becomes a sorted list of frames with their labels.
//!
//! - [`coco`]: annotation files of COCO, and which images they name
//! - [`data_yaml`]: reads a `data.yaml`
//! - [`foreign`]: image files that only other programs read
//! - [`frame`]: [`Frame`], one image with its label, and the list of them
//! - [`labels`]: the boxes of a label file, and the names of classes
//! - [`layout`]: [`Layout`], how a dataset without a `data.yaml` is divided into splits
//! - [`masks`]: masks and depths beside the images
//! - [`scan`]: finds the images of a folder or a list
//! - [`split`]: train, val and test

pub mod coco;
pub mod data_yaml;
pub mod foreign;
pub mod frame;
pub mod labels;
pub mod layout;
pub mod masks;
pub mod scan;
pub mod split;
#[cfg(test)]
mod testing;

pub use crate::dataset::frame::Frame;
pub use crate::dataset::layout::Layout;

use crate::dataset::data_yaml::{find_root, read_data_yaml};
use crate::dataset::labels::Schema;
use crate::dataset::scan::{Scan, Source};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{absolute, relative_text, resolve_links};
use crate::yaml::Yaml;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A dataset as it was found.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The dataset's folder, absolute.
    pub root: PathBuf,
    pub layout: Layout,
    /// The images of the requested splits, sorted by [`Frame::relative`], without repetition.
    pub frames: Vec<Frame>,
    /// Image files of the requested splits in formats that loaders read and this program does not.
    pub foreign: Vec<PathBuf>,
    /// The content of `data.yaml`, if there is one, with its keys in their order.
    pub data: Option<Yaml>,
    /// Where the images of every split come from, requested or not. Places that do not exist are left out.
    pub sources: BTreeMap<Split, Vec<Source>>,
    /// JSON files where COCO datasets have their annotations; see [`coco::annotation_files`].
    pub annotations: Vec<PathBuf>,
}

impl Dataset {
    /// Reads the dataset at `root`, a folder or its `data.yaml`, and lists the images of `splits`.
    ///
    /// Hidden files and folders are left out, and so are `output` and every other folder that this program has written
    /// to. Symbolic links are followed, except into a circle.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such folder, if it is its own output or if a requested split is missing;
    /// [`Error::BadFile`] for a `data.yaml` that cannot be understood, for entries that lead to nothing and for a
    /// dataset without images; [`Error::Io`] if a file or folder cannot be read.
    pub fn open(root: &Path, splits: &[Split], output: &Path) -> Result<Self> {
        let (root, data_file) = find_root(root)?;
        let output = absolute(output)?;
        let (root, layout, data, sources) = match data_file {
            Some(file) => {
                let (root, data, sources) = read_data_yaml(&file, &root, splits)?;
                check_channels(&data, &file)?;
                (root, Layout::DataYaml(file), Some(data), sources)
            }
            None => {
                let (layout, sources) = layout::find_splits(&Scan { root: &root, output: &output })?;
                (root, layout, None, sources)
            }
        };
        check_output(&output, &root, &sources)?;
        let scan = Scan { root: &root, output: &output };
        let (frames, foreign) = frame::list_frames(&scan, &sources, splits, &layout)?;
        let annotations = coco::annotation_files(&root);
        Ok(Self { root, layout, frames, foreign, data, sources, annotations })
    }

    /// The images of one split, requested or not, in the order of its sources.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn images(&self, split: Split) -> Result<Vec<PathBuf>> {
        let scan = Scan { root: &self.root, output: Path::new("") };
        let sources = self.sources.get(&split).into_iter().flatten();
        sources.map(|source| scan.images_of(source)).collect::<Result<Vec<_>>>().map(|images| images.concat())
    }

    /// The path below the dataset's folder as text; see [`relative_text`].
    pub fn relative(&self, path: &Path) -> String {
        relative_text(&self.root, path)
    }

    /// What the dataset's `data.yaml` says about its labels.
    pub fn schema(&self) -> Schema {
        self.data.as_ref().map_or_else(Schema::default, Schema::of)
    }

    /// One more than the highest class id in any label of any split; 0 without labels. It serves to name the classes of
    /// a dataset that does not name them.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn class_count(&self) -> Result<usize> {
        let scan = Scan { root: &self.root, output: Path::new("") };
        let mut count = 0;
        for source in self.sources.values().flatten() {
            for image in scan.images_of(source)? {
                // The frame of a label that cannot be read fails with its own message.
                if let Some(content) = scan.label_of(&image, source).and_then(|label| fs::read(label).ok()) {
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

/// Refuses an output that is or holds a folder of originals, where originals and new images would mix and a later run
/// would take the new ones for originals. Refuses an output among images to validate or test on, too.
fn check_output(output: &Path, root: &Path, sources: &BTreeMap<Split, Vec<Source>>) -> Result<()> {
    let resolved = resolve_links(output);
    let folders = sources.values().flatten().filter_map(|source| match source {
        Source::Folder(folder) => Some(folder.as_path()),
        Source::List { .. } => None,
    });
    let mut folders = std::iter::once(root).chain(folders);
    if let Some(folder) = folders.find(|folder| resolve_links(folder).starts_with(&resolved)) {
        return Err(Error::Usage(format!(
            "the output {} is or holds the originals in {}; choose another --output",
            output.display(),
            folder.display()
        )));
    }
    let holds_output = |sources: &[Source]| sources.iter().any(|source| source.holds(output));
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
