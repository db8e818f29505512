//! The frozen kernels of VGG19, from tensors with torchvision's names or from the built-in bank.

use crate::nst::layers::Tap;
use crate::nst::network::shapes::shape_errors;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write;

/// The filter bank in VGG19's shape that `scripts/make_builtin.py` makes.
const BUILTIN: &[u8] = include_bytes!("../builtin.safetensors");

/// A frozen VGG19, from the pixels up to some layer.
#[derive(Clone)]
pub struct Backbone {
    name: String,
    digest: String,
    convs: Vec<Conv>,
}

/// The tensors of one convolution in `f32`: `[outputs, inputs, 3, 3]` and `[outputs]`.
#[derive(Clone)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
}

/// The numbers of one convolution.
pub struct Kernel3x3 {
    pub outputs: usize,
    pub inputs: usize,
    /// `[outputs][inputs][3][3]`
    weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Kernel3x3 {
    /// The weight between `output` and the pixel at row `y` and column `x` of the window of `input`.
    pub fn at(&self, output: usize, input: usize, y: usize, x: usize) -> f32 {
        self.weight[((output * self.inputs + input) * 3 + y) * 3 + x]
    }
}

impl Backbone {
    /// The bank that is part of the program, up to `deepest`.
    ///
    /// # Errors
    /// When the bank ends before `deepest`.
    pub fn builtin(deepest: Tap) -> Result<Self, String> {
        let tensors = VarBuilder::from_slice_safetensors(BUILTIN, DType::F32, &Device::Cpu)
            .map_err(|e| format!("is damaged: {e}"))?;
        Self::read("builtin", tensors, deepest)
    }

    /// The convolutions up to `deepest` under torchvision's names (`features.0.weight`, …); other tensors are ignored.
    ///
    /// Widths may differ from VGG19's, see [`shape_errors`].
    ///
    /// # Errors
    /// When a tensor is missing, has the wrong shape or cannot be read; the message names the first one.
    pub fn read(name: impl Into<String>, tensors: VarBuilder, deepest: Tap) -> Result<Self, String> {
        let mut found = HashMap::new();
        for parameter in Tap::all().take_while(|&tap| tap <= deepest).flat_map(Tap::parameters) {
            if tensors.contains_tensor(&parameter) {
                let tensor = tensors.get_unchecked(&parameter).map_err(|e| format!("`{parameter}`: {e}"))?;
                found.insert(parameter, tensor);
            }
        }
        if let Some(first) = shape_errors(deepest, |parameter| found.get(parameter).map(Tensor::dims)).first() {
            return Err(first.clone());
        }
        let conv = |tap: Tap| {
            let [weight, bias] = tap.parameters();
            Some(Conv { weight: found.remove(&weight)?, bias: found.remove(&bias)? })
        };
        let convs: Vec<Conv> = Tap::all().take_while(|&tap| tap <= deepest).filter_map(conv).collect();
        let digest = digest(&convs).map_err(|e| e.to_string())?;
        Ok(Self { name: name.into(), digest, convs })
    }

    /// `builtin`, or the name that [`Backbone::read`] was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 16 hexadecimal digits of the SHA-256 over all its kernels and biases.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Kernel `[outputs, inputs, 3, 3]` and bias `[outputs]` of each convolution, in order.
    pub fn tensors(&self) -> impl Iterator<Item = (&Tensor, &Tensor)> {
        self.convs.iter().map(|conv| (&conv.weight, &conv.bias))
    }

    /// The numbers of all convolutions up to `deepest`.
    ///
    /// # Errors
    /// When the backbone was read for fewer.
    pub fn kernels(&self, deepest: Tap) -> Result<Vec<Kernel3x3>, String> {
        let wanted = deepest.index() + 1;
        let convs = self
            .convs
            .get(..wanted)
            .ok_or_else(|| format!("{deepest} needs {wanted} convolutions, {} has {}", self.name, self.convs.len()))?;
        convs.iter().map(|conv| conv.kernel().map_err(|e| e.to_string())).collect()
    }
}

impl Conv {
    fn kernel(&self) -> candle_core::Result<Kernel3x3> {
        let (outputs, inputs, _, _) = self.weight.dims4()?;
        let weight = self.weight.flatten_all()?.to_vec1()?;
        Ok(Kernel3x3 { outputs, inputs, weight, bias: self.bias.to_vec1()? })
    }
}

fn digest(convs: &[Conv]) -> candle_core::Result<String> {
    let mut hash = Sha256::new();
    for conv in convs {
        for tensor in [&conv.weight, &conv.bias] {
            for value in tensor.flatten_all()?.to_vec1::<f32>()? {
                hash.update(value.to_le_bytes());
            }
        }
    }
    Ok(hash.finalize()[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
impl Backbone {
    /// Random kernels with so many channels in each block, scaled to keep the size of activations (He et al. 2015).
    pub fn random(widths: [usize; 5], deepest: Tap) -> Self {
        let mut random = crate::nst::testing::Random(11);
        let mut inputs = 3;
        let convs = Tap::all()
            .take_while(|&tap| tap <= deepest)
            .map(|tap| {
                let outputs = widths[tap.block()];
                let scale = (2.0 / (9 * inputs) as f32).sqrt();
                let weight = random.normal(outputs * inputs * 9).iter().map(|w| w * scale).collect();
                let bias = random.normal(outputs).iter().map(|b| b * 0.1).collect();
                let weight = Tensor::from_vec::<_, f32>(weight, (outputs, inputs, 3, 3), &Device::Cpu).unwrap();
                inputs = outputs;
                Conv { weight, bias: Tensor::from_vec::<_, f32>(bias, outputs, &Device::Cpu).unwrap() }
            })
            .collect();
        Self { name: "random".into(), digest: String::new(), convs }
    }

    /// This backbone with every bias of conv1_1 set to `value`.
    pub fn with_first_bias(mut self, value: f32) -> Self {
        let bias = Tensor::full(value, self.convs[0].bias.elem_count(), &Device::Cpu).unwrap();
        self.convs[0].bias = bias;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of the file that `scripts/make_builtin.py` writes with its default seed.
    const BUILTIN_DIGEST: &str = "f9f6c6eb8c79e05b";

    fn tap(name: &str) -> Tap {
        name.parse().unwrap()
    }

    #[test]
    fn the_builtin_bank_is_that_of_the_script() {
        let bank = Backbone::builtin(tap("relu5_1")).unwrap();
        assert_eq!((bank.name(), bank.digest()), ("builtin", BUILTIN_DIGEST));
        assert!(BUILTIN.len() <= 8_000_000, "{} bytes", BUILTIN.len());
    }

    #[test]
    fn every_component_of_the_builtin_bank_is_a_pair_of_opposite_kernels() {
        let bank = Backbone::builtin(tap("relu5_1")).unwrap();
        let kernels = bank.kernels(tap("relu5_1")).unwrap();
        let widths: Vec<_> = kernels.iter().map(|kernel| kernel.outputs).collect();
        assert_eq!(widths, [32, 32, 64, 64, 80, 80, 80, 80, 128, 128, 128, 128, 128]);
        for (kernel, tap) in kernels.iter().zip(Tap::all()) {
            let (above, below) = kernel.weight.split_at(kernel.weight.len() / 2);
            assert!(above.iter().zip(below).all(|(a, b)| a.is_finite() && *a == -b), "{tap}");
            let (above, below) = kernel.bias.split_at(kernel.outputs / 2);
            assert!(above.iter().zip(below).all(|(a, b)| a.is_finite() && *a == -b), "{tap}");
        }
    }

    #[test]
    fn a_layer_that_the_builtin_bank_lacks_is_named_in_the_error() {
        let message = Backbone::builtin(tap("relu5_2")).map(|_| ()).unwrap_err();
        assert!(message.contains("features.30.weight") && message.contains("relu5_2"), "{message}");
        let bank = Backbone::builtin(tap("relu3_1")).unwrap();
        let message = bank.kernels(tap("relu4_1")).map(|_| ()).unwrap_err();
        assert!(message.contains("relu4_1 needs 9 convolutions, builtin has 5"), "{message}");
    }
}
