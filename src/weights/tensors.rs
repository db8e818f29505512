//! One tensor of a VGG19 as files hold it, and the names of all of them.

use crate::error::Result;
use crate::nst::layers::Tap;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use std::borrow::Cow;

/// A tensor with its name, in the bytes of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// torchvision's name.
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Little-endian; the last index varies fastest.
    pub bytes: Vec<u8>,
}

/// torchvision's names of all kernels and biases as far as `through`, in the order of the network.
pub fn names(through: Tap) -> Vec<String> {
    Tap::all().take_while(|&tap| tap <= through).flat_map(Tap::parameters).collect()
}

impl NamedTensor {
    /// A tensor of 32-bit floats.
    pub fn of_f32(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F32, shape, bytes }
    }

    /// The values, converted from floats of 16, 32 or 64 bits.
    ///
    /// # Errors
    /// When the tensor is of another type, or has more or fewer bytes than its shape needs.
    pub fn values(&self) -> Result<Vec<f32>, String> {
        let dtype = match self.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(format!("`{}` is of type {other}, which is not a float", self.name)),
        };
        let needed = self.shape.iter().try_fold(dtype.size_in_bytes(), |bytes, &side| bytes.checked_mul(side));
        if needed != Some(self.bytes.len()) {
            let (name, bytes, shape) = (&self.name, self.bytes.len(), &self.shape);
            return Err(format!("`{name}` has {bytes} bytes, too many or too few for shape {shape:?}"));
        }
        let tensor = Tensor::from_raw_buffer(&self.bytes, dtype, &self.shape, &Device::Cpu);
        let values = tensor.and_then(|tensor| tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1());
        values.map_err(|e| format!("`{}`: {e}", self.name))
    }

    /// Why the values cannot be weights; `None` if they can.
    pub fn fault(&self) -> Option<String> {
        match self.values() {
            Err(message) => Some(message),
            Ok(values) if values.iter().all(|value| value.is_finite()) => None,
            Ok(_) => Some(format!("`{}` has values that are infinite or not a number", self.name)),
        }
    }
}

impl safetensors::View for &NamedTensor {
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

    #[test]
    fn only_finite_floats_of_the_right_size_can_be_weights() {
        let mut tensor = NamedTensor::of_f32("features.0.bias".into(), vec![2], &[1.0, -2.0]);
        assert_eq!((tensor.values().unwrap(), tensor.fault()), (vec![1.0, -2.0], None));
        tensor.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(tensor.fault().unwrap().contains("infinite"));
        tensor.shape = vec![3];
        assert!(tensor.fault().unwrap().contains("too few for shape [3]"));
        tensor.dtype = Dtype::I32;
        assert!(tensor.fault().unwrap().contains("not a float"));
    }
}
