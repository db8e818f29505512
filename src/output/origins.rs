//! Which frame of the dataset each finished picture was made from, also when the dataset has moved since.

use crate::dataset::Dataset;
use crate::dataset::split::Split;
use crate::error::Result;
use crate::files::paths::RealFolders;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The images of a dataset. Those of several splits count as images of train.
pub struct Origins<'a> {
    dataset: &'a Dataset,
    images: Vec<(PathBuf, Split)>,
    /// Those of train that are of val or test, too.
    pub in_train_and_others: Vec<String>,
    /// By path, as the text that rows have.
    by_path: HashMap<String, Split>,
    /// By path without links, in case a run has reached the dataset through one.
    by_real_path: OnceCell<HashMap<PathBuf, Split>>,
    /// The numbers of the images by name below the dataset, in case it has moved.
    by_name: OnceCell<HashMap<String, usize>>,
    folders: RefCell<RealFolders>,
}

impl<'a> Origins<'a> {
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if a folder of the dataset cannot be listed.
    pub fn of(dataset: &'a Dataset) -> Result<Self> {
        let mut images = Vec::new();
        for split in [Split::Test, Split::Val, Split::Train] {
            images.extend(dataset.images(split)?.into_iter().map(|image| (image, split)));
        }
        let (mut by_path, mut in_train_and_others) = (HashMap::new(), Vec::new());
        for (image, split) in &images {
            let known = by_path.insert(image.to_string_lossy().into_owned(), *split);
            if *split == Split::Train && known.is_some_and(|known| known != Split::Train) {
                in_train_and_others.push(dataset.relative(image));
            }
        }
        Ok(Self {
            dataset,
            images,
            in_train_and_others,
            by_path,
            by_real_path: OnceCell::new(),
            by_name: OnceCell::new(),
            folders: RefCell::default(),
        })
    }

    /// The split of the frame that `output` was made from; `None` if the frame is not of this dataset. `source` is where
    /// it was then. A file there that is not of the dataset may be a copy of the frame, if the dataset was copied.
    pub fn split(&self, source: &str, output: &str) -> Option<Split> {
        if let Some(split) = self.by_path.get(source) {
            return Some(*split);
        }
        let path = Path::new(source);
        let is_there = path.exists();
        if is_there && let Some(split) = self.by_real_path().get(&self.folders.borrow_mut().real(path)) {
            return Some(*split);
        }
        // An output lies where its frame lies in the dataset. A row of another system may have other slashes.
        let name = source.rsplit(['/', '\\']).next().unwrap_or(source);
        let name = output.rsplit_once('/').map_or(name.to_string(), |(folder, _)| format!("{folder}/{name}"));
        let &number = self.by_name().get(&name)?;
        let (image, split) = &self.images[number];
        (!is_there || is_copy(path, image)).then_some(*split)
    }

    fn by_real_path(&self) -> &HashMap<PathBuf, Split> {
        self.by_real_path.get_or_init(|| {
            let mut folders = self.folders.borrow_mut();
            self.images.iter().map(|(image, split)| (folders.real(image), *split)).collect()
        })
    }

    fn by_name(&self) -> &HashMap<String, usize> {
        let names =
            || self.images.iter().enumerate().map(|(number, (image, _))| (self.dataset.relative(image), number));
        self.by_name.get_or_init(|| names().collect())
    }
}

/// Whether two files have the same content.
pub fn is_copy(a: &Path, b: &Path) -> bool {
    let bytes = |path: &Path| path.metadata().map(|file| file.len()).ok();
    bytes(a) == bytes(b) && fs::read(a).is_ok_and(|content| fs::read(b).is_ok_and(|other| content == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(root: &Path) -> Dataset {
        for name in ["train/a.jpg", "val/v.jpg"] {
            let image = root.join("images").join(name);
            fs::create_dir_all(image.parent().unwrap()).unwrap();
            fs::write(image, name).unwrap();
        }
        Dataset::open(root, &[Split::Train], &root.with_extension("out")).unwrap()
    }

    #[test]
    fn frames_are_known_where_they_are_where_they_were_and_behind_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("ds");
        let dataset = dataset(&root);
        let origins = Origins::of(&dataset).unwrap();
        let split = |source: PathBuf, output| origins.split(source.to_str().unwrap(), output);
        let output = "images/train/a__fog-1.jpg";
        assert_eq!(split(root.join("images/train/a.jpg"), output), Some(Split::Train));
        assert_eq!(split(root.join("images/val/v.jpg"), "images/val/v__fog-1.jpg"), Some(Split::Val));
        assert_eq!(split("/gone/images/train/a.jpg".into(), output), Some(Split::Train));
        assert_eq!(split("/gone/images/train/a.jpg".into(), "images/val/a__fog-1.jpg"), None, "another folder");
        assert_eq!(split("/gone/images/train/b.jpg".into(), output), None, "another frame");
        let windows = r"C:\ds\images\train\a.jpg";
        assert_eq!(origins.split(windows, output), Some(Split::Train));
        for (content, expected) in [("train/a.jpg", Some(Split::Train)), ("train/b.jpg", None)] {
            let other = folder.path().join("a.jpg");
            fs::write(&other, content).unwrap();
            assert_eq!(split(other, output), expected, "a file that is still elsewhere: {content}");
        }
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&root, &link).unwrap();
            assert_eq!(split(link.join("images/train/a.jpg"), output), Some(Split::Train));
        }
    }
}
