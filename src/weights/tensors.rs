//! The convolutions of a VGG19 as named tensors, and the `.safetensors` files that hold them.

use super::header::{self, Header};
use crate::error::{Error, Result};
use crate::nst::settings::Tap;
use crate::nst::simd::LANES;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// One tensor as a file holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// torchvision's name.
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Little-endian, the last index fastest.
    pub bytes: Vec<u8>,
}

/// What a file holds of a VGG19.
#[derive(Debug)]
pub struct Weights {
    /// In the order of the network, weight before bias.
    pub tensors: Vec<Named>,
    /// What the file says about itself.
    pub notes: BTreeMap<String, String>,
}

/// The names of all convolutions as far as `through`, in the order of the network.
pub fn names(through: Tap) -> Vec<String> {
    Tap::all().take_while(|&tap| tap <= through).flat_map(Tap::parameters).collect()
}

/// What is missing or has a wrong shape among the tensors as far as `through`, one sentence each.
///
/// The rule is that of [`Backbone::read`](crate::nst::weights::Backbone::read): 3x3 kernels, each with as many inputs as
/// the one before has outputs, and these a multiple of 16.
pub fn misfits<'a>(through: Tap, shape_of: impl Fn(&str) -> Option<&'a [usize]>) -> Vec<String> {
    let mut found = Vec::new();
    let mut inputs = Some(3);
    for tap in Tap::all().take_while(|&tap| tap <= through) {
        let [weight, bias] = tap.parameters();
        let outputs = match shape_of(&weight) {
            None => {
                found.push(format!("`{weight}` (the layer of {tap}) is missing"));
                None
            }
            Some(&[outputs, depth, 3, 3])
                if outputs > 0 && outputs % LANES == 0 && inputs.is_none_or(|inputs| inputs == depth) =>
            {
                Some(outputs)
            }
            Some(shape) => {
                let inputs = inputs.map_or("n".to_string(), |inputs| inputs.to_string());
                found.push(format!(
                    "`{weight}` (the layer of {tap}) has shape {shape:?}; needed is [n, {inputs}, 3, 3] with n a \
                     multiple of {LANES}"
                ));
                None
            }
        };
        match shape_of(&bias) {
            None => found.push(format!("`{bias}` (the layer of {tap}) is missing")),
            Some(shape) if outputs.is_some_and(|outputs| shape != [outputs]) || shape.len() != 1 => {
                found.push(format!("`{bias}` (the layer of {tap}) has shape {shape:?}, unlike its kernel"));
            }
            Some(_) => {}
        }
        inputs = outputs;
    }
    found
}

impl Named {
    /// `values` as 32-bit floats.
    pub fn of_f32(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F32, shape, bytes }
    }

    /// The numbers, whatever type of float they are stored as.
    ///
    /// # Errors
    /// When they are of another type.
    pub fn values(&self) -> Result<Vec<f32>, String> {
        let dtype = match self.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(format!("`{}` is of type {other}, which is no float", self.name)),
        };
        let bytes = self.shape.iter().try_fold(dtype.size_in_bytes(), |bytes, &side| bytes.checked_mul(side));
        if bytes != Some(self.bytes.len()) {
            return Err(format!(
                "`{}` has {} bytes, too many or few for shape {:?}",
                self.name,
                self.bytes.len(),
                self.shape
            ));
        }
        let tensor = Tensor::from_raw_buffer(&self.bytes, dtype, &self.shape, &Device::Cpu);
        let values = tensor.and_then(|tensor| tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1());
        values.map_err(|e| format!("`{}`: {e}", self.name))
    }

    /// Why the numbers cannot be weights, if they cannot.
    pub fn fault(&self) -> Option<String> {
        match self.values() {
            Err(message) => Some(message),
            Ok(values) if values.iter().all(|value| value.is_finite()) => None,
            Ok(_) => Some(format!("`{}` has values that are infinite or no numbers", self.name)),
        }
    }
}

impl safetensors::View for &Named {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The header of the file at `path`, which is as long as its header says.
///
/// # Errors
/// When the file cannot be read, is no `.safetensors` file or is cut off.
pub fn read_header(path: &Path, file: &mut File) -> Result<Header> {
    let bad = |message: String| Error::bad_file(path, message);
    let found = file.metadata().map_err(Error::io(path, "read it"))?;
    if !found.is_file() {
        return Err(bad("is no file".into()));
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
        len => Err(bad(format!("is damaged: it has {} bytes, its header tells of {len}", found.len()))),
    }
}

/// Bytes `start` to `start + len` of a file.
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
    /// Tensors in the order of the network.
    pub fn new(mut tensors: Vec<Named>, notes: BTreeMap<String, String>) -> Self {
        let order = names(Tap::LAST);
        tensors.sort_by_key(|tensor| order.iter().position(|name| *name == tensor.name));
        Self { tensors, notes }
    }

    /// The convolutions in a `.safetensors` file with torchvision's names, as far as `through`; other tensors are not
    /// looked at.
    ///
    /// # Errors
    /// When the file cannot be read, is none or is cut off.
    pub fn read(path: &Path, through: Tap) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io(path, "read the weights"))?;
        let header = read_header(path, &mut file)?;
        let mut tensors = Vec::new();
        for part in header.convolutions(through) {
            let bytes = read_range(path, &mut file, part.start, part.len)?;
            tensors.push(part.with(bytes));
        }
        Ok(Self::new(tensors, header.notes()))
    }

    /// The bytes of a `.safetensors` file.
    ///
    /// # Errors
    /// When a tensor has other bytes than its shape needs.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let notes: HashMap<String, String> = self.notes.clone().into_iter().collect();
        let tensors = self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
        safetensors::serialize(tensors, Some(notes)).map_err(|e| e.to_string())
    }

    pub fn get(&self, name: &str) -> Option<&Named> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The last layer that the file has a kernel or bias for.
    pub fn reach(&self) -> Option<Tap> {
        Tap::all().filter(|&tap| tap.parameters().iter().any(|name| self.get(name).is_some())).last()
    }

    /// What makes the weights useless as far as `through`: missing tensors, wrong shapes, numbers that are none.
    pub fn faults(&self, through: Tap) -> Vec<String> {
        let mut found = misfits(through, |name| self.get(name).map(|tensor| &tensor.shape[..]));
        found.extend(self.tensors.iter().filter_map(Named::fault));
        found
    }

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
            tensors.push(Named::of_f32(weight, vec![16, inputs, 3, 3], &numbers(16 * inputs * 9)));
            tensors.push(Named::of_f32(bias, vec![16], &numbers(16)));
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
    fn what_is_written_is_read_again_and_other_tensors_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("narrow.safetensors");
        let mut weights = narrow("relu5_1");
        weights.notes.insert("source".into(), "a test".into());
        weights.tensors.push(Named::of_f32("classifier.0.bias".into(), vec![2], &[1.0, 2.0]));
        std::fs::write(&path, weights.encode().unwrap()).unwrap();
        let read = Weights::read(&path, Tap::LAST).unwrap();
        assert_eq!(read.tensors, weights.tensors[..26]);
        assert_eq!((read.reach(), read.notes), ("relu5_1".parse().ok(), weights.notes));
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
    fn a_file_that_is_cut_off_or_none_is_named() {
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
