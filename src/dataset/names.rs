//! The names of images: their paths below the dataset's folder, or below one that it shares with images elsewhere.

use crate::dataset::scan::ImageSource;
use crate::files::paths::relative_text;
use std::path::{Path, PathBuf};

/// Gives images names that do not depend on where the dataset lies, as long as images elsewhere move along.
#[derive(Clone, Debug)]
pub struct Names {
    /// The dataset's folder.
    root: PathBuf,
    /// The innermost folder that holds the root and all images.
    shared: PathBuf,
}

impl Names {
    /// For the images of all `sources` of the dataset at `root`.
    pub fn below<'a>(root: &Path, sources: impl IntoIterator<Item = &'a ImageSource>) -> Self {
        let mut shared = root.to_path_buf();
        for source in sources {
            let places = match source {
                ImageSource::Folder(folder) => vec![folder.as_path()],
                ImageSource::List { images, .. } => images.iter().filter_map(|image| image.parent()).collect(),
            };
            for place in places {
                while !place.starts_with(&shared) && shared.pop() {}
            }
        }
        Self { root: root.to_path_buf(), shared }
    }

    /// The name of an image or of a folder, with `/` on every system. One that lies elsewhere
    /// keeps its whole path if something in the dataset has its short name.
    pub fn of(&self, path: &Path) -> String {
        if path.starts_with(&self.root) {
            return relative_text(&self.root, path);
        }
        let name = relative_text(&self.shared, path);
        if self.root.join(&name).exists() { relative_text(&self.root, path) } else { name }
    }
}
