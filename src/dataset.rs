//! A YOLO tree on disk, to a sorted list of frames with their labels.
//!
//! Three layouts are read. `data.yaml` is resolved as Ultralytics does it (`check_det_dataset` and `get_img_files` in
//! 8.3), and more forgiving where its answer depends on the current folder. Without one, `images/<split>` or
//! `<split>/images` are the splits, or the folders of a COCO dataset, such as `train2017`. Without these, annotation files
//! of COCO divide the images, and without them every image below the folder belongs to the one split `train`.

use crate::coco;
use crate::error::{Error, Result};
use crate::labels::Schema;
use crate::manifest;
use crate::yaml::{self, Yaml};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

/// Class ids from here on are taken for something else.
const MOST_CLASSES: f64 = 10_000.0;

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Val,
    Test,
}

impl Split {
    /// All splits, in their usual order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The names that datasets use for this split, Ultralytics' own first.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train"],
            Self::Val => &["val", "valid", "validation"],
            Self::Test => &["test"],
        }
    }

    /// The split that a path speaks of: the last of its words that is the name of one, as in `instances_train2017.json`.
    pub fn named_in(path: &str) -> Option<Self> {
        let mut words = path.rsplit(|c: char| !c.is_ascii_alphabetic());
        words.find_map(|word| Self::ALL.into_iter().find(|split| split.names().contains(&word)))
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.names()[0])
    }
}

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

/// Where the images of a split come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Everything below this folder.
    Folder(PathBuf),
    /// The lines of this text file, or what the annotation files of a split name.
    List {
        path: PathBuf,
        /// Whether every line is absolute or starts with its only `./`: what Ultralytics makes of other lines depends on
        /// the folder that it is started in.
        portable: bool,
        images: Vec<PathBuf>,
    },
}

impl Source {
    /// Whether `place`, which need not exist yet, lies in this folder.
    pub fn holds(&self, place: &Path) -> bool {
        let Self::Folder(folder) = self else { return false };
        real(place).starts_with(real(folder))
    }
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

/// Whether the extension, in any letter case, is that of an image format that is read.
pub fn is_image(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// All images below `folder`, sorted by path; hidden ones and those in output folders are passed over.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be listed.
pub fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Scan { root: folder, output: Path::new("") }.images_below(folder)
}

/// The path without `.` and with every `..` taken back, without asking the disk.
pub fn normalize(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            Component::ParentDir if clean.has_root() => {}
            other => clean.push(other),
        }
    }
    clean
}

/// Where Ultralytics looks for the label of an image: the last folder `images` becomes `labels`, the extension `txt`.
///
/// Without such a folder it is the text file beside the image.
pub fn label_path(image: &Path) -> PathBuf {
    in_place_of_images(image, Path::new("labels")).unwrap_or_else(|| image.to_path_buf()).with_extension("txt")
}

/// The path of `image` with `folder` in place of the last folder `images`; `None` without one.
pub fn in_place_of_images(image: &Path, folder: &Path) -> Option<PathBuf> {
    let folders: Vec<Component> = image.parent()?.components().collect();
    let last = folders.iter().rposition(|folder| folder.as_os_str() == "images")?;
    let mut path: PathBuf = folders[..last].iter().collect();
    path.push(folder);
    path.extend(&folders[last + 1..]);
    path.push(image.file_name()?);
    Some(path)
}

/// The absolute folder of a dataset that is given as a folder or as its `data.yaml`, which may say another.
///
/// # Errors
/// [`Error::Usage`] if there is no such dataset.
pub fn root_of(given: &Path) -> Result<PathBuf> {
    match find_root(given)? {
        (folder, Some(file)) if !given.is_dir() => read_data_yaml(&file, &folder, &[]).map(|(root, ..)| root),
        (folder, _) => Ok(folder),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map(|path| normalize(&path)).map_err(Error::io(path, "find where it lies"))
}

/// The path without links and `..`, as far as it leads through what exists.
pub fn real(path: &Path) -> PathBuf {
    let resolved = |known: &Path| Some(fs::canonicalize(known).ok()?.join(path.strip_prefix(known).ok()?));
    path.ancestors().find_map(resolved).unwrap_or_else(|| path.to_path_buf())
}

fn find_root(given: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    let path = absolute(given)?;
    if path.is_dir() {
        let data = ["data.yaml", "data.yml"].iter().map(|name| path.join(name)).find(|file| file.is_file());
        return Ok((path, data));
    }
    let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    match path.parent() {
        Some(folder) if is_yaml && path.is_file() => Ok((folder.to_path_buf(), Some(path.clone()))),
        _ if path.exists() => {
            Err(Error::Usage(format!("the dataset {} is neither a folder nor a data.yaml", given.display())))
        }
        _ => Err(Error::Usage(format!("the dataset {} does not exist", given.display()))),
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

/// The dataset's folder, which `path` may say, the file's content, and where each split's images come from.
fn read_data_yaml(
    file: &Path,
    folder: &Path,
    requested: &[Split],
) -> Result<(PathBuf, Yaml, BTreeMap<Split, Vec<Source>>)> {
    let text = fs::read_to_string(file).map_err(Error::io(file, "read it"))?;
    let data: Yaml = yaml::parse(&text).map_err(|fault| {
        let at = fault.at.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default();
        Error::bad_file(file, at + &fault.message)
    })?;
    if !matches!(data, Yaml::Map(_)) {
        return Err(Error::bad_file(file, "a mapping with `train`, `val` and `names` was expected"));
    }
    let bases = bases(&data, folder);
    let root = bases[0].clone();
    let mut sources = BTreeMap::new();
    for split in Split::ALL {
        let Some((key, value)) = split.names().iter().find_map(|&name| Some((name, data.get(name)?))) else { continue };
        let mut found = Vec::new();
        for entry in entries(value, key, file)? {
            match resolve_entry(entry, &bases, &root) {
                Some(path) => found.push(read_source(path, &bases)?),
                None if requested.contains(&split) => {
                    let sought: Vec<_> = bases.iter().map(|base| base.display().to_string()).collect();
                    let message = format!("`{key}: {entry}` leads to nothing, sought from {}", sought.join(" and "));
                    return Err(Error::bad_file(file, message));
                }
                None => {}
            }
        }
        if !found.is_empty() {
            sources.insert(split, found);
        }
    }
    Ok((root, data, sources))
}

/// The folders that entries may be relative to, at least one: `path`, if that exists here, then the file's own.
fn bases(data: &Yaml, root: &Path) -> Vec<PathBuf> {
    let path = data.get("path").and_then(Yaml::text).map(|path| normalize(&root.join(path)));
    let mut bases: Vec<PathBuf> = path.into_iter().filter(|path| path.is_dir()).collect();
    if !bases.iter().any(|base| base == root) {
        bases.push(root.to_path_buf());
    }
    bases
}

fn entries<'a>(value: &'a Yaml, key: &str, file: &Path) -> Result<Vec<&'a str>> {
    let texts = match value {
        Yaml::Null => Some(Vec::new()),
        Yaml::Text(text) => Some(vec![text.as_str()]),
        Yaml::List(items) => items.iter().map(Yaml::text).collect(),
        _ => None,
    };
    texts.ok_or_else(|| Error::bad_file(file, format!("`{key}` must be a folder, a list of folders or a .txt list")))
}

fn resolve_entry(entry: &str, bases: &[PathBuf], root: &Path) -> Option<PathBuf> {
    // Roboflow writes `../train/images` where `train/images` is meant; Ultralytics tries both, in this order.
    let forms = [Some(entry), entry.strip_prefix("../")];
    let candidates = bases.iter().flat_map(|base| forms.into_iter().flatten().map(|form| base.join(form)));
    candidates.map(|path| normalize(&path)).find(|path| path.exists()).map(|path| seen_from_root(path, root))
}

fn read_source(path: PathBuf, bases: &[PathBuf]) -> Result<Source> {
    if path.is_dir() {
        return Ok(Source::Folder(path));
    }
    let bytes = fs::read(&path).map_err(Error::io(&path, "read the list of images"))?;
    // A line that is no UTF-8 leads nowhere, and the others count.
    let text = String::from_utf8_lossy(&bytes);
    // Windows' editors begin a text with a byte order mark, which Ultralytics takes for a part of the first line.
    let bare = text.trim_start_matches('\u{FEFF}');
    let lines: Vec<&str> = bare.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // Ultralytics replaces every `./` of a line that starts with one, that of a later `../` too.
    let below = |line: &str| line.strip_prefix("./").is_some_and(|rest| !rest.contains("./"));
    let portable = bare.len() == text.len() && lines.iter().all(|line| below(line) || Path::new(line).is_absolute());
    let folder = path.parent().unwrap_or(&path);
    let images = lines.iter().map(|line| resolve_line(line, folder, bases)).filter(|image| is_image(image)).collect();
    Ok(Source::List { path, portable, images })
}

/// `./` means the list's folder to Ultralytics; for other relative lines the first place with such a file is taken.
fn resolve_line(line: &str, folder: &Path, bases: &[PathBuf]) -> PathBuf {
    let beside = normalize(&folder.join(line));
    if line.starts_with("./") || beside.exists() {
        return beside;
    }
    // A line that leads nowhere stays in: it becomes a failed frame, which says more than a frame that is missing.
    bases.iter().map(|base| normalize(&base.join(line))).find(|path| path.exists()).unwrap_or(beside)
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

/// What a walk must know: where paths are relative to and which folder it must not enter.
struct Scan<'a> {
    root: &'a Path,
    output: &'a Path,
}

impl Scan<'_> {
    fn images_of(&self, source: &Source) -> Result<Vec<PathBuf>> {
        match source {
            Source::Folder(folder) => self.images_below(folder),
            Source::List { images, .. } => Ok(images.clone()),
        }
    }

    /// The label of an image, if that file exists.
    fn label_of(&self, image: &Path, source: &Source) -> Option<PathBuf> {
        // A dataset may itself lie below some folder `images`, with its labels beside its images all the same.
        let below = image.strip_prefix(self.root).ok().map(|relative| self.root.join(label_path(relative)));
        // Ultralytics resolves links in the folder of a split first, so labels may also lie beside the link's target.
        let behind_link = || {
            let Source::Folder(folder) = source else { return None };
            let real = fs::canonicalize(folder).ok()?;
            Some(label_path(&real.join(image.strip_prefix(folder).ok()?)))
        };
        let labels = [Some(label_path(image)), below].into_iter().flatten();
        labels.chain(std::iter::once_with(behind_link).flatten()).find(|label| label.is_file())
    }

    fn images_below(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        // A walk notices a circle one round late when a link leads above its start.
        let real = fs::canonicalize(folder).map_err(Error::io(folder, "find where it lies"))?;
        let leads_up = |link: &Path| fs::canonicalize(link).is_ok_and(|target| real.starts_with(target));
        let passed_over = |entry: &DirEntry| {
            entry.file_name().as_encoded_bytes().starts_with(b".")
                || entry.path() == self.output
                || entry.path_is_symlink() && leads_up(entry.path())
                || entry.file_type().is_dir() && manifest::is_output_folder(entry.path())
        };
        let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        let mut images = Vec::new();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !passed_over(entry)) {
            let entry = match entry {
                Ok(entry) => entry,
                // A link in a circle, or to nothing.
                Err(error) if error.loop_ancestor().is_some() || is_dangling(&error) => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_path_buf();
                    return Err(Error::io(&path, "list it")(error.into()));
                }
            };
            if entry.file_type().is_file() && is_image(entry.path()) {
                images.push(entry.into_path());
            }
        }
        Ok(images)
    }
}

/// The same place named through the dataset's folder, where it lies in there by another name (a link, say).
fn seen_from_root(path: PathBuf, root: &Path) -> PathBuf {
    if path.starts_with(root) {
        return path;
    }
    let inside = fs::canonicalize(root).ok().zip(fs::canonicalize(&path).ok());
    match inside.as_ref().and_then(|(root, path)| path.strip_prefix(root).ok()) {
        Some(relative) => root.join(relative),
        None => path,
    }
}

fn identity(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts = relative.components().filter_map(|part| match part {
        Component::Normal(name) => Some(text_of(name)),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The name as text; U+FFFD and two hex digits stand for a byte that is none.
fn text_of(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        text.extend(chunk.invalid().iter().map(|byte| format!("\u{FFFD}{byte:02x}")));
    }
    text
}

fn is_dangling(error: &walkdir::Error) -> bool {
    let is_link = error.path().is_some_and(|path| path.is_symlink());
    let leads_nowhere = |error: &std::io::Error| {
        // A link to itself; the kind has no stable name yet.
        error.kind() == std::io::ErrorKind::NotFound || cfg!(unix) && error.raw_os_error() == Some(libc::ELOOP)
    };
    is_link && error.io_error().is_some_and(leads_nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;
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
