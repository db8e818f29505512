//! Small plans for the tests of this folder.

use crate::config::values::Config;
use crate::dataset::Frame;
use crate::dataset::split::Split;
use crate::plan::Job;
use crate::plan::styles::StylePicture;
use std::path::{Path, PathBuf};

/// Condition `fog`, one picture per frame, a random style each.
pub fn config() -> Config {
    Config { condition: "fog".into(), ..Config::defaults() }
}

/// Frames with these relative paths, all labelled.
pub fn frames<S: AsRef<str>>(paths: &[S]) -> Vec<Frame> {
    let frame = |path: &S| Frame {
        path: Path::new("/ds").join(path.as_ref()),
        relative: path.as_ref().to_string(),
        split: Split::Train,
        label: Some(PathBuf::from("/ds/label.txt")),
        annotated: None,
    };
    paths.iter().map(frame).collect()
}

/// That many frames.
pub fn many(count: usize) -> Vec<Frame> {
    frames(&(0..count).map(|i| format!("images/train/{i:05}.jpg")).collect::<Vec<_>>())
}

/// Styles of these weights, all of different content.
pub fn styles(weights: &[f64]) -> Vec<StylePicture> {
    let style = |(i, &weight): (usize, &f64)| StylePicture {
        path: format!("/styles/{i}.png").into(),
        digest: i.to_string(),
        weight,
    };
    weights.iter().enumerate().map(style).collect()
}

/// Index of the main style.
pub fn main(job: &Job) -> usize {
    job.styles[0].style
}
