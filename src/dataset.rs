//! A YOLO tree on disk, to a sorted list of frames with their labels.
//!
//! Three layouts are read. `data.yaml` is resolved as Ultralytics does it (`check_det_dataset` and `get_img_files` in
//! 8.3), and more forgiving where its answer depends on the current folder. Without one, `images/<split>` or
//! `<split>/images` are the splits, or the folders of a COCO dataset, such as `train2017`. Without these, annotation files
//! of COCO divide the images, and without them every image below the folder belongs to the one split `train`.

pub mod coco;
pub mod data_yaml;
pub mod labels;
pub mod masks;
pub mod scan;
pub mod split;

use crate::dataset::data_yaml::{find_root, read_data_yaml};
use crate::dataset::labels::Schema;
use crate::dataset::scan::{EXTENSIONS, Scan, Source};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{absolute, identity, real};
use crate::yaml::Yaml;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Class ids from here on are taken for something else.
const MOST_CLASSES: f64 = 10_000.0;

/// One image of the dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Absolute.
    pub path: PathBuf,
    /// Path below the dataset's folder, with `/` on every system: who this frame is, for seeds and for its output. Bytes
    /// of the path that are no UTF-8 are U+FFFD and two hex digits here, so that such names stay apart.
    pub relative: String,
    pub split: Split,
    /// The label file, if there is one; a frame without is background.
    pub label: Option<PathBuf>,
}

/// How the dataset says what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By this `data.yaml`.
    DataYaml(PathBuf),
    /// By folders called after the splits.
    SplitFolders,
    /// By annotation files of COCO, one or more for each split.
    Annotations,
    /// By being a folder of images.
    Flat,
}

/// A dataset as it was found.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The dataset's folder, absolute.
    pub root: PathBuf,
    pub layout: Layout,
    /// The images of the requested splits, sorted by [`Frame::relative`], each once.
    pub frames: Vec<Frame>,
    /// The content of `data.yaml`, key by key in its order, if there is one.
    pub data: Option<Yaml>,
    /// Where the images of every split come from, requested or not; only what exists.
    pub sources: BTreeMap<Split, Vec<Source>>,
    /// JSON files where COCO datasets have their annotations; see [`coco::annotation_files`].
    pub annotations: Vec<PathBuf>,
}

impl Dataset {
    /// Reads the dataset at `root`, a folder or its `data.yaml`, and lists the images of `splits`.
    ///
    /// Hidden files and folders are passed over, and so are `skip_output` and every other folder that this program has
    /// written to. Symbolic links are followed; one that leads in a circle is passed over.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such folder, if it is its own output or if a requested split is missing;
    /// [`Error::BadFile`] for a `data.yaml` that is none, for entries that lead nowhere and for a dataset without images;
    /// [`Error::Io`] where the system refuses.
    pub fn open(root: &Path, splits: &[Split], skip_output: &Path) -> Result<Self> {
        let (root, data_file) = find_root(root)?;
        let output = absolute(skip_output)?;
        let (root, layout, data, sources) = match data_file {
            Some(file) => {
                let (root, data, sources) = read_data_yaml(&file, &root, splits)?;
                (root, Layout::DataYaml(file), Some(data), sources)
            }
            None => {
                let (layout, sources) = find_splits(&Scan { root: &root, output: &output })?;
                (root, layout, None, sources)
            }
        };
        check_output(&output, &root, &sources)?;
        let scan = Scan { root: &root, output: &output };
        let frames = list_frames(&scan, &sources, splits, &layout)?;
        let annotations = coco::annotation_files(&root);
        Ok(Self { root, layout, frames, data, sources, annotations })
    }

    /// The images of one split, requested or not, in the order of its sources.
    pub fn images(&self, split: Split) -> Result<Vec<PathBuf>> {
        let scan = Scan { root: &self.root, output: Path::new("") };
        let sources = self.sources.get(&split).into_iter().flatten();
        sources.map(|source| scan.images_of(source)).collect::<Result<Vec<_>>>().map(|images| images.concat())
    }

    /// Path below the dataset's folder, with `/` on every system; empty for the folder itself.
    ///
    /// Of a place elsewhere it is the whole path, so that its mirror image still lies inside the output folder.
    pub fn identity(&self, path: &Path) -> String {
        identity(&self.root, path)
    }

    /// What its data.yaml says of its labels.
    pub fn schema(&self) -> Schema {
        self.data.as_ref().map_or_else(Schema::default, Schema::of)
    }

    /// One more than the highest class id in any label of any split; 0 without labels.
    ///
    /// Only the first word of each line is looked at. For naming the classes of a dataset that does not name them.
    pub fn class_count(&self) -> Result<usize> {
        let scan = Scan { root: &self.root, output: Path::new("") };
        let mut count = 0;
        for source in self.sources.values().flatten() {
            for image in scan.images_of(source)? {
                let Some(label) = scan.label_of(&image, source) else { continue };
                // One that cannot be read has failed its frame, and says nothing of classes.
                let Ok(text) = fs::read(&label) else { continue };
                let ids = String::from_utf8_lossy(&text)
                    .lines()
                    .filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok())
                    // No detector has more; a text file that is no label may start with any number.
                    .filter(|id| (0.0..MOST_CLASSES).contains(id))
                    .fold(-1.0, f64::max);
                count = count.max((ids + 1.0) as usize);
            }
        }
        Ok(count)
    }
}

fn find_splits(scan: &Scan) -> Result<(Layout, BTreeMap<Split, Vec<Source>>)> {
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
    let sources = divided(scan, &annotations)?;
    if sources.contains_key(&Split::Train) {
        return Ok((Layout::Annotations, sources));
    }
    Ok((Layout::Flat, BTreeMap::from([(Split::Train, vec![Source::Folder(root.to_path_buf())])])))
}

/// The folders of a split in a COCO dataset, with the year in their names or not, such as `train2017` or
/// `images/train2017`. Without a year they are some folders of a flat one, unless there are annotations.
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

/// Where the images of one folder are divided by annotation files: those of each split.
fn divided(scan: &Scan, annotations: &[PathBuf]) -> Result<BTreeMap<Split, Vec<Source>>> {
    let Some(first) = annotations.first() else { return Ok(BTreeMap::new()) };
    let mut images = scan.images_below(scan.root)?;
    // Panoptic masks, which are called like the images.
    images.retain(|image| !image.starts_with(scan.root.join("annotations")));
    let names = |paths: &[PathBuf]| paths.iter().map(|path| identity(scan.root, path)).collect::<Vec<_>>();
    let splits = coco::splits(scan.root, &names(annotations), &names(&images));
    let list = |numbers: Vec<usize>| Source::List {
        path: first.clone(),
        portable: false,
        images: numbers.into_iter().map(|number| images[number].clone()).collect(),
    };
    Ok(splits.into_iter().map(|(split, numbers)| (split, vec![list(numbers)])).collect())
}

/// Refuses an output that is, or holds, what is read: originals and copies would lie in one folder, and a later run
/// would take the copies for originals.
fn check_output(output: &Path, root: &Path, sources: &BTreeMap<Split, Vec<Source>>) -> Result<()> {
    let place = real(output);
    let folders = sources.values().flatten().filter_map(|source| match source {
        Source::Folder(folder) => Some(folder.as_path()),
        Source::List { .. } => None,
    });
    if let Some(folder) = std::iter::once(root).chain(folders).find(|folder| real(folder).starts_with(&place)) {
        return Err(Error::Usage(format!(
            "the output {} is or holds the originals in {}; choose another --output",
            output.display(),
            folder.display()
        )));
    }
    let validates = |&(split, source): &(&Split, &Source)| *split != Split::Train && source.holds(output);
    let all = sources.iter().flat_map(|(split, sources)| sources.iter().map(move |source| (split, source)));
    match all.into_iter().find(validates) {
        None => Ok(()),
        Some((split, _)) => Err(Error::Usage(format!(
            "the output {} lies among the images of {split}, whose loaders would take the new ones along; choose another \
             --output",
            output.display()
        ))),
    }
}

fn list_frames(
    scan: &Scan,
    sources: &BTreeMap<Split, Vec<Source>>,
    splits: &[Split],
    layout: &Layout,
) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut seen = HashSet::new();
    for &split in splits {
        let Some(sources) = sources.get(&split) else {
            let found: Vec<String> = sources.keys().map(Split::to_string).collect();
            let found = if found.is_empty() { "none".to_string() } else { found.join(", ") };
            let message = format!("{} has no split `{split}`; splits found: {found}", scan.root.display());
            return Err(Error::Usage(message));
        };
        for source in sources {
            for path in scan.images_of(source)? {
                // By its real path, for two folders of the dataset may be links to one.
                if seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                    let label = scan.label_of(&path, source);
                    frames.push(Frame { relative: identity(scan.root, &path), path, split, label });
                }
            }
        }
    }
    if frames.is_empty() {
        let looked = match layout {
            Layout::DataYaml(file) => format!("the requested splits of {} lead to none", file.display()),
            Layout::SplitFolders => "its folders of the requested splits hold none".to_string(),
            Layout::Annotations => "its annotation files name none of the requested splits".to_string(),
            Layout::Flat => "there is no data.yaml, no images/train and no image anywhere below".to_string(),
        };
        let message = format!("no images ({}): {looked}", EXTENSIONS.join(", "));
        return Err(Error::bad_file(scan.root, message));
    }
    frames.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::paths::label_path;
    use tempfile::TempDir;

    /// A folder with these files; `a.txt=0 1 2` gives one its content.
    fn tree(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let (name, content) = file.split_once('=').unwrap_or((file, ""));
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn open(folder: &Path, splits: &[Split]) -> Result<Dataset> {
        Dataset::open(folder, splits, &folder.join("out"))
    }

    /// Relative path and label (below the folder, or `-`) of every frame of the train split.
    fn listing(folder: &Path) -> Vec<String> {
        describe(&open(folder, &[Split::Train]).unwrap())
    }

    fn describe(dataset: &Dataset) -> Vec<String> {
        let label = |frame: &Frame| match &frame.label {
            Some(label) => label.strip_prefix(&dataset.root).unwrap().display().to_string(),
            None => "-".to_string(),
        };
        dataset.frames.iter().map(|frame| format!("{} {}", frame.relative, label(frame))).collect()
    }

    const YOLO: [&str; 6] = [
        "images/train/b.PNG",
        "images/train/a.jpg",
        "images/train/deep/c.TIFF",
        "labels/train/a.txt",
        "labels/train/deep/c.txt",
        "images/val/v.jpg",
    ];

    const YOLO_TRAIN: [&str; 3] = [
        "images/train/a.jpg labels/train/a.txt",
        "images/train/b.PNG -",
        "images/train/deep/c.TIFF labels/train/deep/c.txt",
    ];

    fn yolo(data: &str) -> TempDir {
        let folder = tree(&YOLO);
        fs::write(folder.path().join("data.yaml"), data).unwrap();
        folder
    }

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
        assert_eq!(listing(tree(&files).path()).len(), 2, "folders of a flat one");
        let annotated = [&files[..], &["annotations/instances_train.json={}"]].concat();
        assert_eq!(listing(tree(&annotated).path()), ["train/a.jpg -"]);
    }

    #[test]
    fn a_path_speaks_of_the_last_split_that_it_names() {
        for (path, split) in [
            ("annotations/instances_train2017.json", Some(Split::Train)),
            ("annotations/image_info_test-dev2017.json", Some(Split::Test)),
            ("valid/_annotations.coco.json", Some(Split::Val)),
            ("train/val.json", Some(Split::Val)),
            ("annotations/trainval.json", None),
        ] {
            assert_eq!(Split::named_in(path), split, "{path}");
        }
    }

    #[test]
    fn a_data_yaml_may_name_folders_lists_of_folders_and_text_lists() {
        for data in [
            "train: images/train\nval: images/val\n",
            "path: .\ntrain: [images/train]\n",
            "path: /nowhere/at/all\ntrain: images/train\n",
            "path: ../elsewhere\ntrain: images/train/\n",
            "train: [images/train/deep, images/train]\n",
        ] {
            assert_eq!(listing(yolo(data).path()), YOLO_TRAIN, "{data}");
        }
        let folder = yolo("train: lists/train.txt\n");
        fs::create_dir(folder.path().join("lists")).unwrap();
        let deep = folder.path().join("images/train/deep/c.TIFF");
        let lines = format!("./../images/train/a.jpg\r\n\nimages/train/b.PNG\n{}\nnotes.md\n", deep.display());
        fs::write(folder.path().join("lists/train.txt"), lines).unwrap();
        assert_eq!(listing(folder.path()), YOLO_TRAIN);
    }

    #[test]
    fn the_path_of_a_data_yaml_is_the_datasets_folder_and_relative_to_the_file() {
        let folder = tree(&[
            "ds/images/train/a.jpg",
            "ds/labels/train/a.txt",
            "conf/data.yaml=path: ../ds\ntrain: images/train\n",
        ]);
        let dataset = open(&folder.path().join("conf/data.yaml"), &[Split::Train]).unwrap();
        assert_eq!(dataset.root, folder.path().join("ds"));
        assert_eq!(dataset.frames[0].path, folder.path().join("ds/images/train/a.jpg"));
        assert_eq!(dataset.frames[0].label, Some(folder.path().join("ds/labels/train/a.txt")));
        // Who a frame is must not depend on where the dataset lies.
        assert_eq!(dataset.frames[0].relative, "images/train/a.jpg");
    }

    #[test]
    fn flat_folders_are_read_with_labels_beside_the_images_or_without() {
        let folder = tree(&["b.webp", "a.JPG", "a.txt", "sub/c.bmp", "readme.md"]);
        assert_eq!(listing(folder.path()), ["a.JPG a.txt", "b.webp -", "sub/c.bmp -"]);
        let folder = tree(&["images/a.jpg", "labels/a.txt"]);
        assert_eq!(listing(folder.path()), ["images/a.jpg labels/a.txt"]);
    }

    #[test]
    fn hidden_files_and_output_folders_are_never_walked() {
        let row = r#"{"status":"done","config_digest":"x","engine":"y"}"#;
        let manifest = format!("fog/manifest.jsonl={row}\n");
        let foreign = "mine/manifest.jsonl={\"rows\": 3}\n";
        let folder =
            tree(&["a.jpg", ".b.jpg", ".cache/c.jpg", "out/d.jpg", "fog/e.jpg", &manifest, "mine/f.jpg", foreign]);
        assert_eq!(listing(folder.path()), ["a.jpg -", "mine/f.jpg -"]);
    }

    #[test]
    fn a_list_is_portable_when_its_lines_do_not_depend_on_the_current_folder() {
        for (line, expected) in [
            ("./images/a.jpg", true),
            ("/ds/images/a.jpg", true),
            ("images/a.jpg", false),
            ("./../ds/images/a.jpg", false),
        ] {
            let folder = tree(&["data.yaml=train: t.txt", "images/a.jpg", &format!("t.txt={line}\n")]);
            let dataset = open(folder.path(), &[Split::Train]).unwrap();
            let Source::List { portable, .. } = &dataset.sources[&Split::Train][0] else { panic!("no list") };
            assert_eq!(*portable, expected, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_image_that_two_folders_lead_to_counts_once() {
        let folder = tree(&["real/a.jpg", "data.yaml=train: [real, link, real]"]);
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        assert_eq!(listing(folder.path()), ["real/a.jpg -"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_circles_passed_over() {
        let folder = tree(&["pool/a.jpg", "pool/a.txt", "ds/images/train/b.jpg"]);
        let ds = folder.path().join("ds");
        let link = |target: PathBuf, name: &str| std::os::unix::fs::symlink(target, ds.join(name)).unwrap();
        link(ds.clone(), "images/train/circle");
        link("nowhere.jpg".into(), "images/train/dangling.jpg");
        link(folder.path().join("pool"), "images/val");
        assert_eq!(listing(&ds), ["images/train/b.jpg -"]);
        let val = open(&ds, &[Split::Val]).unwrap();
        assert_eq!(val.frames[0].label, Some(fs::canonicalize(folder.path().join("pool/a.txt")).unwrap()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_no_text_have_their_own_labels_and_stay_apart() {
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
    fn a_list_may_begin_with_a_byte_order_mark_and_hold_lines_that_are_no_text() {
        let folder = tree(&["data.yaml=train: t.txt", "a.jpg"]);
        fs::write(folder.path().join("t.txt"), b"\xEF\xBB\xBF./a.jpg\ncaf\xe9.jpg\n").unwrap();
        assert_eq!(listing(folder.path()), ["a.jpg -", "caf\u{FFFD}.jpg -"]);
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert!(matches!(dataset.sources[&Split::Train][0], Source::List { portable: false, .. }));
    }

    #[test]
    fn what_is_missing_is_named() {
        let complaint = |folder: &Path, splits: &[Split]| open(folder, splits).unwrap_err();
        let empty = tree(&["notes.txt"]);
        let error = complaint(empty.path(), &[Split::Train]);
        let text = error.to_string();
        assert!(error.exit_code() == 1 && text.contains("no images") && text.contains("data.yaml"), "{text}");
        assert!(text.contains(&empty.path().display().to_string()), "{text}");

        let text = complaint(tree(&YOLO).path(), &[Split::Test]).to_string();
        assert!(text.contains("no split `test`") && text.ends_with("train, val"), "{text}");

        let text = complaint(yolo("train: images/trian\n").path(), &[Split::Train]).to_string();
        assert!(text.contains("`train: images/trian` leads to nothing"), "{text}");
        let text = complaint(yolo("train: [\n").path(), &[Split::Train]).to_string();
        assert!(text.contains("data.yaml: line "), "{text}");

        let error = complaint(Path::new("no/such/folder"), &[Split::Train]);
        assert_eq!((error.exit_code(), error.to_string().contains("does not exist")), (2, true));
        let own = Dataset::open(empty.path(), &[Split::Train], empty.path()).unwrap_err().to_string();
        assert!(own.contains("is or holds the originals"), "{own}");
    }

    #[test]
    fn labels_follow_the_last_images_folder() {
        let label = |image: &str| label_path(Path::new(image)).display().to_string();
        assert_eq!(label("/data/images/x/images/train/a.b.jpg"), "/data/images/x/labels/train/a.b.txt");
        assert_eq!(label("images/a.jpg"), "labels/a.txt");
        assert_eq!(label("my_images/images.jpg"), "my_images/images.txt");
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
