//! The files that one picture is made from, each read once.

use crate::dataset::Frame;
use crate::dataset::masks::{self, Maps};
use crate::error::{Error, Result};
use crate::files::fingerprint::{Fingerprint, Stamp};
use crate::imageio::decode;
use crate::nst::Settings;
use std::fs;
use std::path::{Path, PathBuf};

/// The content of a frame's files. The same bytes are decoded, copied and fingerprinted, so that a file that changes
/// meanwhile cannot make them disagree.
pub struct Sources {
    /// Of all files, before they were read.
    stamp: Stamp,
    pub image: Vec<u8>,
    /// `None` for a background frame.
    pub label: Option<Vec<u8>>,
    pub maps: Maps,
}

impl Sources {
    /// # Errors
    /// [`Error::Io`] if the image, the label or an existing map cannot be read, [`Error::BadFile`] if the image or a
    /// map is larger than [`decode::MOST_BYTES`].
    pub fn read(frame: &Frame, settings: &Settings) -> Result<Self> {
        let label = |path: &PathBuf| fs::read(path).map_err(Error::io(path, "read the label"));
        Ok(Self {
            stamp: Stamp::of(paths(frame, settings)),
            image: decode::read(&frame.path)?,
            label: frame.label.as_ref().map(label).transpose()?,
            maps: Maps::read(&frame.path, settings)?,
        })
    }

    /// Equals the fingerprint of [`paths`].
    pub fn fingerprint(&self, frame: &Frame) -> Fingerprint {
        let mut files: Vec<(&Path, Option<&[u8]>)> = vec![(&frame.path, Some(&self.image))];
        files.extend(frame.label.as_deref().map(|path| (path, self.label.as_deref())));
        files.extend(self.maps.all().map(|map| (&*map.path, map.content.as_deref())));
        Fingerprint::of_contents(self.stamp, &files)
    }
}

/// The files that a frame's picture and label are made from: the image, the label, the masks and the depth.
pub fn paths(frame: &Frame, settings: &Settings) -> Vec<PathBuf> {
    let own = std::iter::once(frame.path.clone()).chain(frame.label.clone());
    own.chain(masks::Paths::of(&frame.path, settings).all()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::split::Split;
    use crate::nst::settings::RegionKind;

    #[test]
    fn the_fingerprint_of_the_contents_is_that_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            path
        };
        let regions = RegionKind::Masks(vec!["sky".into(), "road".into()]);
        let settings = Settings { regions, ..Settings::default() };
        let mut frame = Frame {
            path: write("images/a.jpg"),
            relative: "images/a.jpg".into(),
            split: Split::Train,
            label: Some(write("labels/a.txt")),
            annotated: None,
        };
        write("masks/road/a.png");
        let equal = |frame: &Frame| {
            let read = Sources::read(frame, &settings).unwrap();
            assert_eq!(read.fingerprint(frame), Fingerprint::of(&paths(frame, &settings)));
            read
        };
        let read = equal(&frame);
        assert_eq!((read.image, read.label), (b"images/a.jpg".to_vec(), Some(b"labels/a.txt".to_vec())));
        frame.label = None;
        assert_eq!(equal(&frame).label, None);

        frame.label = Some(folder.path().join("gone.txt"));
        let error = Sources::read(&frame, &settings).err().unwrap().to_string();
        assert!(error.contains("gone.txt") && error.contains("read the label"), "{error}");
    }
}
