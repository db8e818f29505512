//! The style pictures that a config finds.

use crate::config::values::StyleSource;
use crate::dataset::masks;
use crate::dataset::scan::image_files;
use crate::error::Result;
use crate::files::fingerprint::Fingerprint;
use crate::imageio::decode;
use crate::nst::Settings;
use std::path::PathBuf;

/// One style picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Absolute.
    pub path: PathBuf,
    /// Of the file's bytes, sixteen hex digits.
    pub digest: String,
    /// Share of the random pairing and of the blend, above 0.
    pub weight: f64,
}

/// Every style picture behind the sources, in their order and sorted within a folder, whose weight its pictures share.
///
/// Sources of weight 0 are left out. A style's masks and depth, as far as `settings` ask for them, are a part of it.
///
/// # Errors
/// [`Error::Io`] for a folder or file that cannot be read, [`Error::BadFile`] for one that is no picture.
pub fn find_styles(sources: &[StyleSource], settings: &Settings) -> Result<Vec<Style>> {
    let mut styles = Vec::new();
    for source in sources.iter().filter(|source| source.weight > 0.0) {
        let paths = if source.path.is_dir() { image_files(&source.path)? } else { vec![source.path.clone()] };
        let weight = source.weight / paths.len() as f64;
        for path in paths {
            // A style that is no picture would fail a share of the frames, one by one.
            decode::dimensions(&path)?;
            let maps = masks::Paths::of(&path, settings).all().filter(|map| map.exists());
            let files: Vec<PathBuf> = std::iter::once(path.clone()).chain(maps).collect();
            styles.push(Style { digest: Fingerprint::of(&files).digest, path, weight });
        }
    }
    Ok(styles)
}
