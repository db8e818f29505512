//! Folders that are called after splits.

use crate::dataset::scan::ImageSource;
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::relative_text;
use crate::units::counted;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// Names of folders whose pictures belong to the frames: masks, depths, labels drawn as pictures.
const AUXILIARY: [&str; 18] = [
    "mask",
    "masks",
    "depth",
    "depths",
    "label",
    "labels",
    "annotation",
    "annotations",
    "segmentation",
    "segmentationclass",
    "segmentationobject",
    "panoptic",
    "disparity",
    "preview",
    "previews",
    "thumbnails",
    "visualizations",
    "runs",
];

/// Folders and files that a question names.
const SHOWN: usize = 8;

/// The folders with images of a dataset, by the splits that they are called after.
pub struct Named<'a> {
    folders: Vec<(&'a Path, FolderKind)>,
    /// All folders with their numbers of images.
    all: &'a BTreeMap<PathBuf, usize>,
}

/// What the path of a folder with images says.
enum FolderKind {
    Split {
        split: Split,
        /// The folder that belongs to the split as a whole.
        source: PathBuf,
        /// The parts before the split, without `images`: different ones are different datasets.
        base: Vec<String>,
        /// Whether this is a usual place for a split, such as `images/train`, `train/images` or `train2017`.
        usual: bool,
    },
    /// It is about splits, but not about one of these.
    Vague,
    /// It is not about splits, but for names that begin with these.
    Other(Vec<Split>),
    /// It holds no frames.
    Auxiliary,
}

impl<'a> Named<'a> {
    /// `all` are the folders below `root` with images. With annotation files, `train` is as usual as `train2017`.
    pub fn of(root: &Path, all: &'a BTreeMap<PathBuf, usize>, annotated: bool) -> Self {
        let folders = all.keys().map(|folder| (folder.as_path(), FolderKind::of(root, folder, annotated)));
        Self { folders: folders.collect(), all }
    }

    /// Whether a folder is about splits without naming one.
    pub fn is_vague(&self) -> bool {
        self.folders.iter().any(|(_, kind)| matches!(kind, FolderKind::Vague))
    }

    /// The splits that names of folders begin with which are called after none.
    pub fn begun_by(&self) -> impl Iterator<Item = Split> {
        let of =
            |(_, kind): &(_, FolderKind)| if let FolderKind::Other(begun) = kind { begun.clone() } else { Vec::new() };
        self.folders.iter().flat_map(of)
    }

    /// The folders of the splits; `None` if no folder is called after a split.
    ///
    /// # Errors
    /// [`Error::BadFile`] with a question if the folders contradict each other.
    pub fn sources(&self, root: &Path) -> Result<Option<BTreeMap<Split, Vec<ImageSource>>>> {
        let mut named = Vec::new();
        for (_, kind) in &self.folders {
            if let FolderKind::Split { split, source, base, usual } = kind {
                named.push((*split, source, base, *usual));
            }
        }
        if named.is_empty() {
            return Ok(None);
        }
        let usual: BTreeSet<&Vec<String>> = named.iter().filter(|named| named.3).map(|named| named.2).collect();
        if !usual.is_empty() {
            named.retain(|named| usual.contains(named.2));
        }
        let bases: BTreeSet<&Vec<String>> = named.iter().map(|named| named.2).collect();
        let splits: BTreeSet<Split> = named.iter().map(|named| named.0).collect();
        let has_others = self.folders.iter().any(|(_, kind)| matches!(kind, FolderKind::Other(_)));
        let unclear = usual.is_empty() && (self.is_vague() || has_others && splits.len() < 2);
        if unclear || bases.len() > 1 {
            return Err(question(root, self.all, &[]));
        }
        let mut sources: BTreeMap<Split, Vec<ImageSource>> = BTreeMap::new();
        for split in splits {
            let of_split = named.iter().filter(|named| named.0 == split).map(|named| named.1.as_path());
            let folders = outermost(&of_split.collect(), self.all)
                .into_iter()
                .map(|folder| ImageSource::Folder(folder.to_path_buf()));
            sources.insert(split, folders.collect());
        }
        Ok(Some(sources))
    }
}

/// The folders that no other one holds. Where a split has a folder `images` of its own and no image beside that, the
/// folder `images` stands for it: beside it lie masks and the like.
fn outermost<'a>(folders: &BTreeSet<&'a Path>, all: &BTreeMap<PathBuf, usize>) -> Vec<&'a Path> {
    let is_images = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_images_name);
    let with_images: HashSet<&Path> =
        folders.iter().filter(|inner| is_images(inner)).filter_map(|inner| inner.parent()).collect();
    let kept: BTreeSet<&Path> =
        folders.iter().copied().filter(|outer| all.contains_key(*outer) || !with_images.contains(outer)).collect();
    let is_inside = |inner: &Path| inner.ancestors().skip(1).any(|outer| kept.contains(outer));
    kept.iter().copied().filter(|inner| !is_inside(inner)).collect()
}

fn is_images_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("images")
}

impl FolderKind {
    fn of(root: &Path, folder: &Path, annotated: bool) -> Self {
        let parts = &parts(root, folder)[..];
        if parts.iter().any(|part| AUXILIARY.contains(&part.to_ascii_lowercase().as_str())) {
            return Self::Auxiliary;
        }
        let named: Vec<(usize, Split)> =
            parts.iter().enumerate().filter_map(|(at, part)| Some((at, Split::of_name(part)?))).collect();
        let at = match named.as_slice() {
            [] if parts.iter().any(|part| Split::is_vague_name(part)) => return Self::Vague,
            [] => return Self::Other(parts.iter().filter_map(|part| Split::begun_by(part)).collect()),
            [(at, _), ..] if is_usual(parts, *at, annotated) => *at,
            several => {
                // A project may be called after a split; a plain name in it decides.
                let plain: Vec<_> = several.iter().filter(|(at, _)| Split::is_plain_name(&parts[*at])).collect();
                let deciding = if plain.is_empty() { several.iter().collect() } else { plain };
                let (at, split) = deciding[0];
                if deciding.iter().any(|(_, other)| other != split) {
                    return Self::Vague;
                }
                *at
            }
        };
        let Some(&(_, split)) = named.iter().find(|(place, _)| *place == at) else { return Self::Other(Vec::new()) };
        let in_images = parts[..at].iter().any(|part| is_images_name(part));
        let has_images = !in_images && parts.get(at + 1).is_some_and(|part| is_images_name(part));
        let length = at + 1 + usize::from(has_images);
        let source = folder.ancestors().nth(parts.len() - length).unwrap_or(folder).to_path_buf();
        let base = parts[..at].iter().take_while(|part| !is_images_name(part)).cloned().collect();
        Self::Split { split, source, base, usual: is_usual(parts, at, annotated) }
    }
}

/// Whether the split in the part `at` of a path is in a place where splits mostly are.
fn is_usual(parts: &[String], at: usize, annotated: bool) -> bool {
    let name = &parts[at];
    let in_images = at == 1 && is_images_name(&parts[0]);
    let has_images = at == 0 && parts.get(1).is_some_and(|part| is_images_name(part));
    let has_year = annotated || name.ends_with(|c: char| c.is_ascii_digit());
    Split::is_plain_name(name) && (in_images || has_images || at == 0 && has_year)
}

fn parts(root: &Path, folder: &Path) -> Vec<String> {
    relative_text(root, folder).split('/').filter(|part| !part.is_empty()).map(str::to_string).collect()
}

/// Whether the images of a folder below `root` are probably no frames but masks and the like.
pub fn is_auxiliary(root: &Path, folder: &Path) -> bool {
    parts(root, folder).iter().any(|part| AUXILIARY.contains(&part.to_ascii_lowercase().as_str()))
}

/// The first few of many, in one text.
pub fn some_of(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(SHOWN);
    items.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    items.join(", ") + &more
}

/// Asks which images are for training, and says how to answer.
pub fn question(root: &Path, folders: &BTreeMap<PathBuf, usize>, files: &[PathBuf]) -> Error {
    let text = |path: &Path| match relative_text(root, path) {
        own if own.is_empty() => "the folder itself".to_string(),
        below => below,
    };
    let of_folders = folders.iter().map(|(folder, count)| format!("{} in {}", counted(*count, "image"), text(folder)));
    let mut seen = some_of(of_folders);
    if !files.is_empty() {
        seen += &format!("; files called after splits: {}", some_of(files.iter().map(|file| text(file))));
    }
    Error::bad_file(
        root,
        format!(
            "which images are for training? It holds {seen}. To tell, write a data.yaml there with `train:`, `val:` \
             and `names:` (each split a folder, a list of folders or a .txt list of images), or give one of its folders as \
             the dataset"
        ),
    )
}

#[cfg(test)]
mod tests {
    use crate::dataset::Layout;
    use crate::dataset::split::Split;
    use crate::dataset::testing::{open, tree};

    /// The frames of train, val and test, each list joined by spaces; or the error.
    fn splits(files: &[&str]) -> Result<[String; 3], String> {
        let folder = tree(files);
        let of = |split| match open(folder.path(), &[split]) {
            Ok(dataset) => {
                assert_ne!(dataset.layout, Layout::Flat, "{files:?}");
                Ok(dataset.frames.into_iter().map(|frame| frame.relative).collect::<Vec<_>>().join(" "))
            }
            Err(error) if error.to_string().contains("has no split") => Ok(String::new()),
            Err(error) => Err(error.to_string()),
        };
        Ok([of(Split::Train)?, of(Split::Val)?, of(Split::Test)?])
    }

    #[test]
    fn the_splits_of_public_layouts_are_as_they_are_meant() {
        for (files, expected) in [
            (vec!["train/a.jpg", "valid/b.jpg", "test/c.jpg"], ["train/a.jpg", "valid/b.jpg", "test/c.jpg"]),
            (
                vec!["obj_train_data/a.jpg", "obj_valid_data/b.jpg"],
                ["obj_train_data/a.jpg", "obj_valid_data/b.jpg", ""],
            ),
            (vec!["Train/images/a.jpg", "Val/images/b.jpg"], ["Train/images/a.jpg", "Val/images/b.jpg", ""]),
            (vec!["Images/Train/a.jpg", "Images/Val/b.jpg"], ["Images/Train/a.jpg", "Images/Val/b.jpg", ""]),
            (vec!["images/train/a.jpg", "images/dev/b.jpg"], ["images/train/a.jpg", "images/dev/b.jpg", ""]),
            (
                vec!["images/100k/train/a.jpg", "images/100k/val/b.jpg", "images/100k/test/c.jpg"],
                ["images/100k/train/a.jpg", "images/100k/val/b.jpg", "images/100k/test/c.jpg"],
            ),
            (
                vec![
                    "VisDrone2019-DET-train/images/a.jpg",
                    "VisDrone2019-DET-val/images/b.jpg",
                    "VisDrone2019-DET-test-dev/images/c.jpg",
                ],
                [
                    "VisDrone2019-DET-train/images/a.jpg",
                    "VisDrone2019-DET-val/images/b.jpg",
                    "VisDrone2019-DET-test-dev/images/c.jpg",
                ],
            ),
            (
                vec!["training/image_2/a.png", "training/label_2/a.txt", "testing/image_2/c.png"],
                ["training/image_2/a.png", "", "testing/image_2/c.png"],
            ),
            (vec!["train_images/a.jpg", "test_images/c.jpg"], ["train_images/a.jpg", "", "test_images/c.jpg"]),
            (
                vec!["JPEGImages/train/a.jpg", "JPEGImages/val/b.jpg"],
                ["JPEGImages/train/a.jpg", "JPEGImages/val/b.jpg", ""],
            ),
            (
                vec!["leftImg8bit/train/x/a.png", "leftImg8bit/val/y/b.png"],
                ["leftImg8bit/train/x/a.png", "leftImg8bit/val/y/b.png", ""],
            ),
            (
                vec!["proj/images/train/a.jpg", "proj/images/val/b.jpg"],
                ["proj/images/train/a.jpg", "proj/images/val/b.jpg", ""],
            ),
            // A project that is called after a split.
            (
                vec!["dog-train/images/train/a.jpg", "dog-train/images/val/b.jpg"],
                ["dog-train/images/train/a.jpg", "dog-train/images/val/b.jpg", ""],
            ),
            (
                vec!["images/train/a.jpg", "images/train/images/b.jpg", "images/val/c.jpg"],
                ["images/train/a.jpg images/train/images/b.jpg", "images/val/c.jpg", ""],
            ),
            (
                vec!["train/a.jpg", "train/images/b.jpg", "val/c.jpg"],
                ["train/a.jpg train/images/b.jpg", "val/c.jpg", ""],
            ),
            // What lies inside of a split belongs to it, whatever it is called.
            (vec!["images/train/val/a.jpg", "images/val/b.jpg"], ["images/train/val/a.jpg", "images/val/b.jpg", ""]),
            // Masks and the like are no frames.
            (
                vec!["train/images/a.jpg", "train/masks/a.png", "valid/images/b.jpg"],
                ["train/images/a.jpg", "valid/images/b.jpg", ""],
            ),
            (vec!["train/a.jpg", "val/b.jpg", "masks/train/a.png"], ["train/a.jpg", "val/b.jpg", ""]),
        ] {
            assert_eq!(splits(&files), Ok(expected.map(str::to_string)), "{files:?}");
        }
    }

    #[test]
    fn images_beside_the_splits_are_told() {
        for files in [
            ["images/train/a.jpg", "images/val/b.jpg", "extra/c.jpg"],
            ["train/a.jpg", "valid/b.jpg", "extra/c.jpg"],
            ["train2017/a.jpg", "val2017/b.jpg", "extra/c.jpg"],
        ] {
            let dataset = open(tree(&files).path(), &[Split::Train]).unwrap();
            let told = dataset
                .warnings
                .iter()
                .any(|text| text.contains("in no split and left out: 1 image") && text.contains("1 in extra/"));
            assert!(told && dataset.frames.len() == 1, "{files:?}: {:?}", dataset.warnings);
        }
        let masks = ["images/train/a.jpg", "images/val/b.jpg", "masks/train/a.png"];
        let dataset = open(tree(&masks).path(), &[Split::Train]).unwrap();
        assert!(!dataset.warnings.iter().any(|text| text.contains("left out")), "{:?}", dataset.warnings);
    }

    #[test]
    fn masks_that_are_taken_for_frames_and_folders_that_are_taken_for_one_are_told() {
        for (files, words) in [
            (["train/a.jpg", "train/masks/a.png"], "1 in train/masks/"),
            (["a.jpg", "masks/a.png"], "1 in masks/"),
            (["cam0/a.jpg", "cam1/b.jpg"], "all are train: 1 in cam0/, 1 in cam1/"),
        ] {
            let dataset = open(tree(&files).path(), &[Split::Train]).unwrap();
            assert_eq!(dataset.frames.len(), 2);
            assert!(dataset.warnings.iter().any(|text| text.contains(words)), "{files:?}: {:?}", dataset.warnings);
        }
    }

    #[test]
    fn what_is_unclear_ends_in_a_question_and_never_in_a_guess() {
        for files in [
            vec!["train/a.jpg", "bus/b.jpg"],
            vec!["train/a.jpg", "c.jpg"],
            vec!["trainval/a.jpg", "test/b.jpg"],
            vec!["eval/a.jpg", "rest/b.jpg"],
            vec!["fold1/a.jpg", "fold2/b.jpg"],
            vec!["entrenamiento/a.jpg", "validacion/b.jpg"],
            vec!["one/images/train/a.jpg", "two/images/train/b.jpg"],
            vec!["train/test/a.jpg", "other/b.jpg"],
            vec!["pics/a.jpg", "pics/b.jpg", "val.csv=b.jpg,1\n"],
            vec!["pics/a.jpg", "pics/b.jpg", "splits/test.json=[]"],
            vec!["pics/a.jpg", "ImageSets/Main/car_train.txt=a 1\n", "ImageSets/Main/car_val.txt=b 1\n"],
            vec!["train_day/a.jpg", "val_day/b.jpg"],
            vec!["images/train_day/a.jpg", "images/val_day/b.jpg"],
            vec!["trainA/a.jpg", "testA/b.jpg"],
            vec!["images/a.jpg", "images/b.jpg", "train_v2.txt=a.jpg\n", "val_v2.txt=b.jpg\n"],
        ] {
            let error = splits(&files).expect_err(&format!("{files:?}"));
            assert!(error.contains("which images are for training?") && error.contains("data.yaml"), "{error}");
            assert!(error.contains(files[0].split_once('/').unwrap().0), "{error}");
        }
    }

    #[test]
    fn a_flat_folder_stays_one() {
        for files in [
            vec!["a.jpg", "b.jpg", "sub/c.jpg"],
            vec!["cam0/a.jpg", "cam1/b.jpg", "test_drive/c.jpg"],
            vec!["images/a.jpg", "labels/a.txt=0 .5 .5 .1 .1"],
            vec!["a.jpg", "train.csv=name\n"],
            vec!["a.jpg", "train_notes.txt=rain\n"],
        ] {
            let dataset = open(tree(&files).path(), &[Split::Train]).unwrap();
            let images = files.iter().filter(|file| file.ends_with(".jpg")).count();
            assert_eq!((dataset.layout, dataset.frames.len()), (Layout::Flat, images), "{files:?}");
        }
    }
}
