//! What a batch writes: pictures, labels, data.yaml, annotations and the manifest.

pub mod annotations;
pub mod data_yaml;
pub mod folder;
pub mod lock;
pub mod manifest;
pub mod merge;
pub mod origins;
pub mod resume;
pub mod row;
