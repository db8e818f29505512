//! Finds the style pictures of a config.

use crate::config::values::StyleSource;
use crate::dataset::masks;
use crate::dataset::scan::image_files;
use crate::error::Result;
use crate::files::fingerprint::digest_of_contents;
use crate::imageio::decode;
use crate::nst::Settings;
use std::path::PathBuf;

/// One style picture.
#[derive(Clone, Debug, PartialEq)]
pub struct StylePicture {
    /// Absolute.
    pub path: PathBuf,
    /// Digest of its file and of its masks and depth, sixteen hex digits.
    pub digest: String,
    /// Weight in random pairing and in a blend, above 0.
    pub weight: f64,
}

/// The style pictures of all sources, in the order of the sources. Those of a folder are sorted and share its weight.
///
/// Sources of weight 0 are left out. A style's digest covers the masks and the depth that `settings` ask for.
///
/// # Errors
/// [`crate::error::Error::Io`] for a folder or file that cannot be read, [`crate::error::Error::BadFile`] for a file
/// that is no picture.
pub fn find_styles(sources: &[StyleSource], settings: &Settings) -> Result<Vec<StylePicture>> {
    let mut styles = Vec::new();
    for source in sources.iter().filter(|source| source.weight > 0.0) {
        let paths = if source.path.is_dir() { image_files(&source.path)? } else { vec![source.path.clone()] };
        let weight = source.weight / paths.len() as f64;
        for path in paths {
            // Otherwise every frame that is paired with this style would fail.
            let picture = decode::read(&path)?;
            decode::dimensions_of_bytes(&path, &picture)?;
            let mut masks: Vec<PathBuf> = masks::Paths::of(&path, settings).all().collect();
            // Of several, a missing one keeps its place: which mask is which counts.
            if !masks.iter().any(|mask| mask.exists()) {
                masks.clear();
            }
            let mut files = vec![(&*path, Some(&*picture))];
            files.extend(masks.iter().map(|mask| (&**mask, None)));
            styles.push(StylePicture { digest: digest_of_contents(&files), path, weight });
        }
    }
    Ok(styles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_styles_shares_its_weight_and_weightless_sources_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (name, side) in [("b.png", 2), ("a.jpg", 3)] {
            image::RgbImage::new(side, side).save(folder.path().join(name)).unwrap();
        }
        let source = |path: PathBuf, weight| StyleSource { path, weight };
        let sources = [
            source(folder.path().to_path_buf(), 3.0),
            source(folder.path().join("b.png"), 1.0),
            source("/none".into(), 0.0),
        ];
        let styles = find_styles(&sources, &Settings::default()).unwrap();
        let found: Vec<_> = styles.iter().map(|s| (s.path.file_name().unwrap().to_str().unwrap(), s.weight)).collect();
        assert_eq!(found, [("a.jpg", 1.5), ("b.png", 1.5), ("b.png", 1.0)]);
        assert!(styles[1].digest == styles[2].digest && styles[0].digest != styles[1].digest);
    }

    #[test]
    fn a_style_that_is_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, "no picture").unwrap();
        let error = find_styles(&[StyleSource { path, weight: 1.0 }], &Settings::default()).unwrap_err().to_string();
        assert!(error.contains("a.png: "), "{error}");
    }
}
