//! Keras' HDF5 files.

use crate::weights::import::archive::Archive;
use crate::weights::import::keras;
use hdf5_pure::{DType, File, Group};
use std::path::Path;

/// The most groups inside each other that are looked into. Keras makes fewer, and links may form a cycle.
const DEEPEST: usize = 8;

/// The datasets of an HDF5 file.
pub struct Hdf5 {
    file: File,
    listed: Vec<(String, Vec<usize>)>,
}

impl Hdf5 {
    /// Lists the datasets of the file at `path`.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = File::open_streaming(path).map_err(unreadable)?;
        let mut listed = Vec::new();
        list(&file.root(), "", 0, &mut listed).map_err(unreadable)?;
        Ok(Self { file, listed })
    }
}

fn unreadable(error: hdf5_pure::Error) -> String {
    format!("is not a readable HDF5 file: {error}; {}", keras::WITHOUT_HDF5)
}

/// Adds the datasets of `group` and the groups in it to `listed`.
fn list(
    group: &Group,
    prefix: &str,
    depth: usize,
    listed: &mut Vec<(String, Vec<usize>)>,
) -> Result<(), hdf5_pure::Error> {
    for (name, dataset) in group.iter_datasets()? {
        let shape = dataset.shape()?.into_iter().map(|n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
        listed.push((format!("{prefix}{name}"), shape));
    }
    if depth < DEEPEST {
        for (name, inner) in group.iter_groups()? {
            list(&inner, &format!("{prefix}{name}/"), depth + 1, listed)?;
        }
    }
    Ok(())
}

impl Archive for Hdf5 {
    fn list(&self) -> Vec<(String, Vec<usize>)> {
        self.listed.clone()
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, String> {
        let dataset = self.file.dataset(name).map_err(unreadable)?;
        match dataset.dtype().map_err(unreadable)? {
            DType::F32 | DType::F64 => dataset.read_f32().map_err(unreadable),
            other => Err(format!("is of type {other:?}, no float of 32 or 64 bits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_h5py_wrote_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights/keras.h5");
        let mut file = Hdf5::open(&path).unwrap();
        let mut listed = file.list();
        listed.sort();
        let of = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec());
        assert_eq!(
            listed,
            [
                of("block1_conv1/block1_conv1_W_1:0", &[3, 3, 3, 16]),
                of("block1_conv1/block1_conv1_b_1:0", &[16]),
                of("block1_conv2/block1_conv2_W_1:0", &[3, 3, 16, 16]),
                of("block1_conv2/block1_conv2_b_1:0", &[16]),
            ]
        );
        // One kernel is plain and one is compressed. The script that makes the file numbers the values in torchvision's
        // layout.
        for (name, inputs) in [("block1_conv1/block1_conv1_W_1:0", 3), ("block1_conv2/block1_conv2_W_1:0", 16)] {
            let values = keras::outputs_first(&file.values(name).unwrap(), 9, inputs, 16);
            assert!(
                values.iter().enumerate().all(|(n, value)| *value == (n * 37 % 101) as f32 / 64.0 - 0.75),
                "{name}"
            );
        }
        assert!(file.values("block1_conv1").is_err());
    }
}
