//! The convolutions of a VGG19 as named tensors, and the `.safetensors` files that hold them.

use crate::error::Result;
use crate::nst::Tap;
use crate::nst::kernels::simd::LANES;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::file::Weights;
    use crate::weights::file::testing::narrow;

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
