//! What fuzzing began with, and what it found: every seed of `tests/fuzz` through its target.

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

/// How many files of a folder were put through the target.
fn replay(folder: &str, target: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let replayed = files.inspect(|path| {
        eprintln!("{}", path.display());
        target(&fs::read(path).unwrap());
    });
    replayed.count()
}

#[test]
fn configs_are_read_or_refused() {
    assert!(replay("configs", targets::config) > 0);
    assert!(replay("tests/fuzz/seeds/config", targets::config) > 0);
}

#[test]
fn datasets_are_opened_or_refused() {
    assert!(replay("tests/fuzz/seeds/dataset", targets::dataset) > 0);
}

#[test]
fn images_are_decoded_and_come_back_or_are_refused() {
    assert!(replay("tests/corpus", targets::image) > 0);
    assert!(replay("tests/fuzz/seeds/image", targets::image) > 0);
}
