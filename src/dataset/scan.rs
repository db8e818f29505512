//! Finding images below a folder.

use crate::error::{Error, Result};
use crate::files::marker;
use crate::files::paths::{label_path, real};
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

pub const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

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

/// What a walk must know: where paths are relative to and which folder it must not enter.
pub struct Scan<'a> {
    pub(crate) root: &'a Path,
    pub(crate) output: &'a Path,
}

impl Scan<'_> {
    pub(crate) fn images_of(&self, source: &Source) -> Result<Vec<PathBuf>> {
        match source {
            Source::Folder(folder) => self.images_below(folder),
            Source::List { images, .. } => Ok(images.clone()),
        }
    }

    /// The label of an image, if that file exists.
    pub(crate) fn label_of(&self, image: &Path, source: &Source) -> Option<PathBuf> {
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

    pub(crate) fn images_below(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        // A walk notices a circle one round late when a link leads above its start.
        let real = fs::canonicalize(folder).map_err(Error::io(folder, "find where it lies"))?;
        let leads_up = |link: &Path| fs::canonicalize(link).is_ok_and(|target| real.starts_with(target));
        let passed_over = |entry: &DirEntry| {
            entry.file_name().as_encoded_bytes().starts_with(b".")
                || entry.path() == self.output
                || entry.path_is_symlink() && leads_up(entry.path())
                || entry.file_type().is_dir() && marker::is_output_folder(entry.path())
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

fn is_dangling(error: &walkdir::Error) -> bool {
    let is_link = error.path().is_some_and(|path| path.is_symlink());
    let leads_nowhere = |error: &std::io::Error| {
        // A link to itself; the kind has no stable name yet.
        error.kind() == std::io::ErrorKind::NotFound || cfg!(unix) && error.raw_os_error() == Some(libc::ELOOP)
    };
    is_link && error.io_error().is_some_and(leads_nowhere)
}
