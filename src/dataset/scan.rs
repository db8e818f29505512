//! Finds the images of a folder or a list.

use crate::dataset::foreign::{self, is_foreign};
use crate::error::{Error, Result};
use crate::files::marker;
use crate::files::paths::{has_extension, resolve_links};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Extensions of the image formats that are read.
pub const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "mpo", "png", "webp", "bmp", "tif", "tiff"];

/// Where the images of a split come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// Everything below this folder.
    Folder(PathBuf),
    /// The lines of this text file, or the images that the annotation files of a split name.
    List {
        /// The text file, or the first annotation file.
        path: PathBuf,
        /// Whether every line is absolute or starts with its only `./`. The meaning of other lines depends on the
        /// folder where Ultralytics is started.
        portable: bool,
        images: Vec<PathBuf>,
    },
}

impl ImageSource {
    /// Whether `path`, which need not exist yet, lies in this folder. A list holds nothing.
    pub fn holds(&self, path: &Path) -> bool {
        let Self::Folder(folder) = self else { return false };
        resolve_links(path).starts_with(resolve_links(folder))
    }

    /// The file of a list.
    pub fn list(&self) -> Option<&Path> {
        match self {
            Self::Folder(_) => None,
            Self::List { path, .. } => Some(path),
        }
    }
}

/// Whether the extension, in any letter case, is one of [`EXTENSIONS`].
pub fn is_image(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

/// All images below `folder`, sorted by path, without hidden ones and those in output folders.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be listed.
pub fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Scan { root: folder, output: Path::new("") }.images_below(folder)
}

/// Whether the list of images comes from annotation files of COCO.
fn is_annotations(list: &Path) -> bool {
    has_extension(list, &["json"])
}

/// The image files of a source.
#[derive(Debug, Default)]
pub struct ImageFiles {
    pub images: Vec<PathBuf>,
    /// Those of formats that loaders read and this program does not.
    pub foreign: Vec<PathBuf>,
}

/// The image files below `folder` that this program cannot read, sorted by path.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be listed.
pub fn foreign_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Scan { root: folder, output: Path::new("") }.files_below(folder, usize::MAX, is_foreign)
}

/// A search for images.
pub struct Scan<'a> {
    /// The dataset's folder.
    pub root: &'a Path,
    /// A folder that is not searched.
    pub output: &'a Path,
}

impl Scan<'_> {
    /// The images of a source, those of a folder sorted by path, those of a list in its order.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn images_of(&self, source: &ImageSource) -> Result<Vec<PathBuf>> {
        self.files_of(source).map(|files| files.images)
    }

    /// The images of a source, and the image files that only other programs read.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn files_of(&self, source: &ImageSource) -> Result<ImageFiles> {
        match source {
            ImageSource::Folder(folder) => self.image_files_below(folder),
            ImageSource::List { path, images, .. } => {
                // Annotation files do not say which of the files that cannot be read belong to a split.
                let foreign = match is_annotations(path) {
                    true => self.files_below(self.root, usize::MAX, is_foreign)?,
                    false => foreign::of_list(path),
                };
                Ok(ImageFiles { images: images.clone(), foreign })
            }
        }
    }

    /// All images below `folder`, sorted by path, without hidden ones and those in output folders.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn images_below(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        self.files_below(folder, usize::MAX, is_image)
    }

    fn image_files_below(&self, folder: &Path) -> Result<ImageFiles> {
        let files = self.files_below(folder, usize::MAX, |path| is_image(path) || is_foreign(path))?;
        let (images, foreign) = files.into_iter().partition(|path| is_image(path));
        Ok(ImageFiles { images, foreign })
    }

    /// The folders below `root`, or that one itself, that hold images directly, each with their number. Sorted.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn image_folders(&self) -> Result<BTreeMap<PathBuf, usize>> {
        let mut folders = BTreeMap::new();
        for image in self.images_below(self.root)? {
            if let Some(folder) = image.parent() {
                match folders.get_mut(folder) {
                    Some(count) => *count += 1,
                    None => drop(folders.insert(folder.to_path_buf(), 1)),
                }
            }
        }
        Ok(folders)
    }

    /// The files below `folder`, at most `depth` steps, that are wanted; as [`images_below`](Self::images_below).
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn files_below(&self, folder: &Path, depth: usize, is_wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
        // `WalkDir` would go around once in a circle through a link that leads above its start.
        let resolved = fs::canonicalize(folder).map_err(Error::io(folder, "find where it lies"))?;
        let leads_up = |link: &Path| fs::canonicalize(link).is_ok_and(|target| resolved.starts_with(target));
        let is_excluded = |entry: &DirEntry| {
            entry.file_name().as_encoded_bytes().starts_with(b".")
                || entry.path() == self.output
                || entry.path_is_symlink() && leads_up(entry.path())
                || entry.file_type().is_dir() && marker::is_output_folder(entry.path())
        };
        let walk = WalkDir::new(folder).max_depth(depth).follow_links(true).sort_by_file_name().into_iter();
        let mut files = Vec::new();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_excluded(entry)) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) if leads_to_itself(&error) => continue,
                // A link to nothing is listed like the file that it should lead to, which then cannot be read. Left out,
                // images that were never fetched would be missed in silence.
                Err(error) if is_dangling(&error) => {
                    files.extend(error.path().filter(|path| is_wanted(path)).map(Path::to_path_buf));
                    continue;
                }
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_path_buf();
                    return Err(Error::io(&path, "list it")(error.into()));
                }
            };
            if entry.file_type().is_file() && is_wanted(entry.path()) {
                files.push(entry.into_path());
            }
        }
        Ok(files)
    }
}

fn is_dangling(error: &walkdir::Error) -> bool {
    let is_missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    error.path().is_some_and(|path| path.is_symlink()) && error.io_error().is_some_and(is_missing)
}

/// Whether a link leads to itself: ELOOP, whose kind has no stable name yet.
fn leads_to_itself(error: &walkdir::Error) -> bool {
    cfg!(unix) && error.io_error().is_some_and(|error| error.raw_os_error() == Some(libc::ELOOP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::split::Split;
    use crate::dataset::testing::{listing, open, tree};

    #[test]
    fn hidden_files_and_output_folders_are_left_out() {
        let row = r#"{"status":"done","config_digest":"x","engine":"y"}"#;
        let manifest = format!("fog/manifest.jsonl={row}\n");
        let foreign = "mine/manifest.jsonl={\"rows\": 3}\n";
        let folder =
            tree(&["a.jpg", ".b.jpg", ".cache/c.jpg", "out/d.jpg", "fog/e.jpg", &manifest, "mine/f.jpg", foreign]);
        assert_eq!(listing(folder.path()), ["a.jpg -", "mine/f.jpg -"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_except_in_a_circle() {
        let folder = tree(&["pool/a.jpg", "pool/a.txt", "ds/images/train/b.jpg"]);
        let ds = folder.path().join("ds");
        let link = |target: PathBuf, name: &str| std::os::unix::fs::symlink(target, ds.join(name)).unwrap();
        link(ds.clone(), "images/train/circle");
        link("nowhere.jpg".into(), "images/train/dangling.jpg");
        link(folder.path().join("pool"), "images/val");
        assert_eq!(listing(&ds), ["images/train/b.jpg -", "images/train/dangling.jpg -"], "it fails when it is read");
        let val = open(&ds, &[Split::Val]).unwrap();
        assert_eq!(val.frames[0].label, Some(fs::canonicalize(folder.path().join("pool/a.txt")).unwrap()));
    }
}
