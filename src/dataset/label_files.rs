//! Where the label of an image is, and where Ultralytics looks for it.

use crate::dataset::scan::ImageSource;
use crate::files::paths::label_path;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A label file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFile {
    pub path: PathBuf,
    pub reach: Reach,
}

/// Under which entry of a `data.yaml` Ultralytics finds a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Under the image's source as it is.
    Source,
    /// Only under a list of images, whose lines Ultralytics does not resolve. It does resolve a folder, and this one is
    /// a link or lies behind one.
    List,
    /// Under none: the dataset lies below a folder `images`, and its labels beside its images.
    None,
}

/// Finds the labels of the images of one source.
pub struct LabelFinder<'a> {
    /// The dataset's folder.
    root: &'a Path,
    /// The same without links.
    real_root: PathBuf,
    /// The folder of the source, and where it lies without links, if that is elsewhere.
    moved: Option<(&'a Path, PathBuf)>,
}

impl<'a> LabelFinder<'a> {
    /// `root` is the dataset's folder.
    pub fn new(root: &'a Path, source: &'a ImageSource) -> Self {
        let moved = match source {
            ImageSource::Folder(folder) => {
                fs::canonicalize(folder).ok().filter(|target| target != folder).map(|target| (folder.as_path(), target))
            }
            ImageSource::List { .. } => None,
        };
        let real_root = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        Self { root, real_root, moved }
    }

    /// Whether all labels are where the path of their image says, since no link is involved.
    pub fn follows_no_link(&self) -> bool {
        self.moved.is_none()
    }

    /// The label file of an image, if there is one. Of several, it is the one that Ultralytics reads.
    pub fn find(&self, image: &Path) -> Option<LabelFile> {
        let plain = Some(label_path(image)).filter(|label| is_there(label));
        let Some((folder, target)) = &self.moved else {
            let found = plain.map(|path| LabelFile { path, reach: Reach::Source });
            return found.or_else(|| self.beside(image));
        };
        let resolved = image.strip_prefix(folder).ok().map(|below| label_path(&target.join(below)));
        match (plain, resolved.filter(|label| is_there(label))) {
            (Some(plain), Some(resolved)) => {
                let path = if self.is_same(&plain, &resolved) { plain } else { resolved };
                Some(LabelFile { path, reach: Reach::Source })
            }
            (None, Some(path)) => Some(LabelFile { path, reach: Reach::Source }),
            (Some(path), None) => Some(LabelFile { path, reach: Reach::List }),
            (None, None) => self.beside(image),
        }
    }

    fn is_same(&self, plain: &Path, resolved: &Path) -> bool {
        // Without asking the disk, where the only link is one above the dataset.
        plain.strip_prefix(self.root).is_ok_and(|below| self.real_root.join(below) == resolved)
            || fs::canonicalize(plain).ok().is_some_and(|plain| fs::canonicalize(resolved).ok() == Some(plain))
    }

    /// The label by the path below the dataset, which may itself lie below a folder `images`.
    fn beside(&self, image: &Path) -> Option<LabelFile> {
        let path = self.root.join(label_path(image.strip_prefix(self.root).ok()?));
        path.is_file().then_some(LabelFile { path, reach: Reach::None })
    }
}

/// Whether there is anything at all. The frame of a folder, of a link to a missing file, or of what the system refuses to
/// look at fails, and is not taken for background.
fn is_there(label: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    label.symlink_metadata().map_or_else(|error| ![NotFound, NotADirectory].contains(&error.kind()), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::tree;

    fn find(root: &Path, source: &ImageSource, image: &str) -> Option<(String, Reach)> {
        let found = LabelFinder::new(root, source).find(&root.join(image))?;
        let base = fs::canonicalize(root.parent().unwrap()).unwrap();
        let path = fs::canonicalize(found.path).unwrap();
        Some((path.strip_prefix(base).unwrap().display().to_string(), found.reach))
    }

    #[cfg(unix)]
    #[test]
    fn behind_a_linked_folder_a_label_is_found_where_ultralytics_looks_or_else_by_a_list() {
        let folder =
            tree(&["ds/labels/train/a.txt", "pool/a.jpg", "pool/b.jpg", "pool/b.txt", "ds/labels/train/b.txt"]);
        let root = folder.path().join("ds");
        fs::create_dir(root.join("images")).unwrap();
        std::os::unix::fs::symlink("../../pool", root.join("images/train")).unwrap();
        let source = ImageSource::Folder(root.join("images/train"));
        let found = |image| find(&root, &source, image);
        assert_eq!(found("images/train/a.jpg"), Some(("ds/labels/train/a.txt".into(), Reach::List)));
        assert_eq!(found("images/train/b.jpg"), Some(("pool/b.txt".into(), Reach::Source)), "as it trains without us");
        assert_eq!(found("images/train/c.jpg"), None);
        // The same image in a list, whose lines stay as they are.
        let list = ImageSource::List { path: root.join("t.txt"), portable: false, images: Vec::new() };
        assert_eq!(find(&root, &list, "images/train/b.jpg"), Some(("ds/labels/train/b.txt".into(), Reach::Source)));
    }

    #[test]
    fn a_label_beside_its_image_below_a_folder_images_is_out_of_reach() {
        let folder =
            tree(&["images/flat/0.jpg", "images/flat/0.txt", "images/ds/images/1.jpg", "images/ds/labels/1.txt"]);
        let root = folder.path().join("images/flat");
        let found = find(&root, &ImageSource::Folder(root.clone()), "0.jpg");
        assert_eq!(found, Some(("flat/0.txt".into(), Reach::None)));
        let root = folder.path().join("images/ds");
        let found = find(&root, &ImageSource::Folder(root.join("images")), "images/1.jpg");
        assert_eq!(found, Some(("ds/labels/1.txt".into(), Reach::Source)));
    }
}
