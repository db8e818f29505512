//! `.safetensors` files on the disk, and the convolutions of a VGG19 in them.

use crate::error::{Error, Result};
use crate::nst::layers::Tap;
use crate::nst::network::shapes::shape_errors;
use crate::weights::header::{self, Header};
use crate::weights::tensors::{NamedTensor, names};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The tensors of a VGG19 that a file holds.
#[derive(Debug)]
pub struct Weights {
    /// In the order of the network, weight before bias.
    pub tensors: Vec<NamedTensor>,
    /// The file's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Reads the header of `file`, which is open at its start. `path` is for errors.
///
/// # Errors
/// When the file cannot be read, is no `.safetensors` file, or is not as long as its header says.
pub fn read_header(path: &Path, file: &mut File) -> Result<Header> {
    let bad = |message: String| Error::bad_file(path, message);
    let found = file.metadata().map_err(Error::io(path, "read it"))?;
    if !found.is_file() {
        return Err(bad("is not a file".into()));
    }
    let mut first = [0; header::LENGTH];
    file.read_exact(&mut first).map_err(|_| bad("is no .safetensors file: it ends before its header".into()))?;
    let length = header::length(first).map_err(bad)?;
    if length > found.len() {
        return Err(bad("is no .safetensors file, or cut off: it ends within its header".into()));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes).map_err(Error::io(path, "read it"))?;
    let header = Header::parse(&bytes).map_err(bad)?;
    match header.file_len() {
        len if len == found.len() => Ok(header),
        len => Err(bad(format!("is damaged: it has {} bytes, but {len} by its header", found.len()))),
    }
}

/// Reads the bytes `start` to `start + len` of `file`. `path` is for errors.
///
/// # Errors
/// [`Error::Io`].
pub fn read_range(path: &Path, file: &mut File, start: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(Error::io(path, "read it"))?;
    Ok(bytes)
}

impl Weights {
    /// Sorts `tensors` into the order of the network.
    pub fn new(mut tensors: Vec<NamedTensor>, metadata: BTreeMap<String, String>) -> Self {
        let order = names(Tap::LAST);
        tensors.sort_by_key(|tensor| order.iter().position(|name| *name == tensor.name));
        Self { tensors, metadata }
    }

    /// Reads the convolutions as far as `through` from a `.safetensors` file with torchvision's names. Ignores all
    /// other tensors.
    ///
    /// # Errors
    /// When the file cannot be read, is no `.safetensors` file, or is cut off.
    pub fn read(path: &Path, through: Tap) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io(path, "read the weights"))?;
        let header = read_header(path, &mut file)?;
        let mut tensors = Vec::new();
        for entry in header.convolutions(through) {
            let bytes = read_range(path, &mut file, entry.start, entry.len)?;
            tensors.push(entry.with(bytes));
        }
        Ok(Self::new(tensors, header.metadata()))
    }

    /// The bytes of a `.safetensors` file.
    ///
    /// # Errors
    /// When a tensor has more or fewer bytes than its shape needs.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let metadata: HashMap<String, String> = self.metadata.clone().into_iter().collect();
        let tensors = self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
        safetensors::serialize(tensors, Some(metadata)).map_err(|e| e.to_string())
    }

    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The deepest layer of which the file has the kernel or the bias.
    pub fn reach(&self) -> Option<Tap> {
        Tap::all().filter(|&tap| tap.parameters().iter().any(|name| self.get(name).is_some())).last()
    }

    /// Why the weights cannot be used as far as `through`: missing tensors, wrong shapes, values that are not finite.
    /// One sentence each; empty if they can be used.
    pub fn faults(&self, through: Tap) -> Vec<String> {
        let mut found = shape_errors(through, |name| self.get(name).map(|tensor| &tensor.shape[..]));
        found.extend(self.tensors.iter().filter_map(NamedTensor::fault));
        found
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes.len() as u64).sum()
    }
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// A VGG19 of made-up kernels, sixteen channels wide, as far as `through`.
    pub fn narrow(through: &str) -> Weights {
        let numbers = |count: usize| -> Vec<f32> { (0..count).map(|n| (n * 37 % 101) as f32 / 64.0 - 0.75).collect() };
        let through = through.parse().unwrap();
        let mut tensors = Vec::new();
        let mut inputs = 3;
        for tap in Tap::all().take_while(|&tap| tap <= through) {
            let [weight, bias] = tap.parameters();
            tensors.push(NamedTensor::of_f32(weight, vec![16, inputs, 3, 3], &numbers(16 * inputs * 9)));
            tensors.push(NamedTensor::of_f32(bias, vec![16], &numbers(16)));
            inputs = 16;
        }
        Weights::new(tensors, BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::narrow;
    use super::*;

    #[test]
    fn written_weights_are_read_again_without_the_other_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("narrow.safetensors");
        let mut weights = narrow("relu5_1");
        weights.metadata.insert("source".into(), "a test".into());
        weights.tensors.push(NamedTensor::of_f32("classifier.0.bias".into(), vec![2], &[1.0, 2.0]));
        std::fs::write(&path, weights.encode().unwrap()).unwrap();
        let read = Weights::read(&path, Tap::LAST).unwrap();
        assert_eq!(read.tensors, weights.tensors[..26]);
        assert_eq!((read.reach(), read.metadata), ("relu5_1".parse().ok(), weights.metadata));
        assert_eq!(Weights::read(&path, "relu1_2".parse().unwrap()).unwrap().tensors.len(), 4);
    }

    #[test]
    fn faults_name_their_tensors() {
        let through = "relu2_1".parse().unwrap();
        let mut weights = narrow("relu2_1");
        assert!(weights.faults(through).is_empty());
        weights.tensors[4].shape = vec![16, 1, 16, 9];
        weights.tensors[1].bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        weights.tensors.remove(3);
        let faults = weights.faults(through).join("\n");
        for words in ["`features.2.bias` (the layer of relu1_2) is missing", "`features.5.weight`", "`features.0.bias`"]
        {
            assert!(faults.contains(words), "{words}: {faults}");
        }
        assert!(faults.contains("[n, 16, 3, 3]"), "{faults}");
        assert_eq!(weights.faults("relu2_2".parse().unwrap()).len(), faults.lines().count() + 2);
    }

    #[test]
    fn errors_tell_a_cut_file_from_another_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.safetensors");
        let bytes = narrow("relu1_1").encode().unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Weights::read(&path, Tap::LAST).unwrap_err().to_string()
        };
        assert!(read(&bytes[..bytes.len() - 1]).contains("is damaged"));
        assert!(read(&bytes[..100]).contains("cut off"));
        assert!(read(b"<html>").contains("no .safetensors file"));
        assert!(Weights::read(folder.path(), Tap::LAST).is_err());
    }
}
