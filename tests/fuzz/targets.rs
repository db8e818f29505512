//! What is done with the bytes: everything is allowed but a panic, an endless loop and memory without end.

#![allow(clippy::unwrap_used, dead_code, reason = "a test may panic, and no target uses all of it")]

use augment::config::values::Config;
use augment::dataset::Dataset;
use augment::dataset::split::Split;
use augment::imageio::{decode, encode};
use augment::output::data_yaml;
use augment::output::origins::Origins;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

/// Splits the text for `dataset` into its two files.
const LIST: &str = "=== train.txt\n";

/// Pixels up to which a decoded picture is encoded again.
const MOST_PIXELS: u32 = 1 << 16;

/// A config, and a `--set` for each line that begins with that.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (sets, lines): (Vec<&str>, Vec<&str>) = text.split('\n').partition(|line| line.starts_with("--set "));
    let sets: Vec<String> = sets.iter().map(|set| set["--set ".len()..].to_string()).collect();
    // A folder that is here, so that relative styles are found.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/fuzz.yaml");
    match Config::parse(&lines.join("\n"), &path, &sets) {
        Ok(config) => assert_eq!(config.digest().len(), 16),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A `data.yaml` and a list of images, of a dataset that holds a few.
pub fn dataset(bytes: &[u8]) {
    static PLACE: LazyLock<TempDir> = LazyLock::new(|| {
        let place = TempDir::new().unwrap();
        for file in ["data/images/train/a.jpg", "data/images/val/b.png", "data/labels/train/a.txt"] {
            let path = place.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "0 .5 .5 .1 .1\n").unwrap();
        }
        fs::create_dir(place.path().join("out")).unwrap();
        place
    });
    let text = String::from_utf8_lossy(bytes);
    if leads_outside(&text) {
        return;
    }
    let (data, list) = text.split_once(LIST).unwrap_or((&text, ""));
    let (root, out) = (PLACE.path().join("data"), PLACE.path().join("out"));
    fs::write(root.join("data.yaml"), data).unwrap();
    fs::write(root.join("train.txt"), list).unwrap();
    match Dataset::open(&root, &[Split::Train], &out) {
        Ok(dataset) => {
            assert!(!dataset.frames.is_empty() && dataset.frames.is_sorted_by_key(|frame| &frame.relative));
            dataset.schema();
            data_yaml::write_data_yaml(&out, &dataset, &Origins::of(&dataset).unwrap(), []).unwrap();
            // What was written is a `data.yaml` again.
            Dataset::open(&out.join("data.yaml"), &[Split::Train], &root.join("none")).unwrap();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whether a path may lead to the rest of this disk, which is no place to walk through.
fn leads_outside(text: &str) -> bool {
    let after = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let absolute = |(at, _): (usize, &str)| !text[..at].trim_end_matches(['.', '/']).ends_with(after);
    text.contains("..") || text.contains('\\') || text.match_indices('/').any(absolute)
}

/// An image file.
pub fn image(bytes: &[u8]) {
    let decoded = match decode::decode_bytes(Path::new("fuzz"), bytes) {
        Ok(decoded) => decoded,
        Err(error) => return assert!(error.to_string().starts_with("fuzz: ")),
    };
    let image = &decoded.image;
    assert!(image.width() > 0 && image.height() > 0);
    if image.width().saturating_mul(image.height()) > MOST_PIXELS {
        return;
    }
    let metadata = encode::Metadata { profile: decoded.profile.as_deref(), ..encode::Metadata::default() };
    for name in ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"] {
        let bytes = encode::encode_image(Path::new(name), image, metadata, 90).unwrap();
        let again = decode::decode_bytes(Path::new(name), &bytes).unwrap();
        assert_eq!(again.image.dimensions(), image.dimensions());
        assert!(name == "a.jpg" || again.image == *image, "{name} is lossless");
        assert!(name == "a.bmp" || again.profile == decoded.profile, "{name} keeps the profile");
    }
}
