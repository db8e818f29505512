//! The shapes that the tensors of a VGG19 must have.

use crate::nst::kernels::simd::LANES;
use crate::nst::layers::Tap;

/// Which tensors are missing or have a wrong shape among those of the convolutions up to `deepest`. One sentence each,
/// in the order of the network; empty if all fit.
///
/// `shape_of` returns the shape of a tensor by torchvision's name (`features.0.weight`, …). A kernel must be
/// `[outputs, inputs, 3, 3]` and its bias `[outputs]`. The first layer has 3 inputs, each other one has the outputs of
/// the layer before. Outputs must be a multiple of 16, because the kernels compute so many channels at once. They need
/// not be VGG19's own. Behind a kernel that is missing or wrong, any number of inputs is accepted.
pub fn shape_errors<'a>(deepest: Tap, shape_of: impl Fn(&str) -> Option<&'a [usize]>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut inputs = Some(3);
    for tap in Tap::all().take_while(|&tap| tap <= deepest) {
        let [weight, bias] = tap.parameters();
        let outputs = match outputs_of(shape_of(&weight), inputs) {
            Ok(outputs) => Some(outputs),
            Err(why) => {
                errors.push(format!("`{weight}` (the layer of {tap}) {why}"));
                None
            }
        };
        match shape_of(&bias) {
            None => errors.push(format!("`{bias}` (the layer of {tap}) is missing")),
            Some(shape) if shape.len() != 1 || outputs.is_some_and(|outputs| shape != [outputs]) => {
                errors
                    .push(format!("`{bias}` (the layer of {tap}) has shape {shape:?}, which does not fit its kernel"));
            }
            Some(_) => {}
        }
        inputs = outputs;
    }
    errors
}

/// The outputs of a kernel with this shape and `inputs`, where these are known.
fn outputs_of(shape: Option<&[usize]>, inputs: Option<usize>) -> Result<usize, String> {
    match shape {
        None => Err("is missing".into()),
        Some(&[outputs, depth, 3, 3])
            if outputs > 0 && outputs % LANES == 0 && inputs.is_none_or(|inputs| inputs == depth) =>
        {
            Ok(outputs)
        }
        Some(shape) => {
            let inputs = inputs.map_or("m".to_string(), |inputs| inputs.to_string());
            Err(format!("has shape {shape:?}; needed is [n, {inputs}, 3, 3] with n a multiple of {LANES}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The shapes of a VGG19 of 16 channels up to relu1_2.
    fn shapes() -> HashMap<String, Vec<usize>> {
        let shapes = [vec![16, 3, 3, 3], vec![16], vec![16, 16, 3, 3], vec![16]];
        Tap::all().take(2).flat_map(Tap::parameters).zip(shapes).collect()
    }

    fn errors(shapes: &HashMap<String, Vec<usize>>) -> Vec<String> {
        shape_errors(Tap::new(1, 2).unwrap(), |name| shapes.get(name).map(Vec::as_slice))
    }

    #[test]
    fn every_tensor_that_is_missing_or_does_not_fit_is_named() {
        assert!(errors(&shapes()).is_empty());
        for (name, shape, words) in [
            ("features.0.weight", vec![8, 3, 3, 3], "needed is [n, 3, 3, 3] with n a multiple of 16"),
            ("features.0.weight", vec![0, 3, 3, 3], "needed is [n, 3, 3, 3]"),
            ("features.2.weight", vec![16, 3, 3, 3], "needed is [n, 16, 3, 3]"),
            ("features.2.weight", vec![16, 16, 1, 1], "has shape [16, 16, 1, 1]"),
            ("features.2.bias", vec![32], "has shape [32], which does not fit its kernel"),
            ("features.2.bias", vec![16, 1], "has shape [16, 1]"),
        ] {
            let mut shapes = shapes();
            shapes.insert(name.into(), shape);
            let found = errors(&shapes);
            assert!(found.len() == 1 && found[0].contains(name) && found[0].contains(words), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_missing_kernel_is_one_error_and_not_one_for_each_layer_behind_it() {
        let mut shapes = shapes();
        shapes.remove("features.0.weight");
        assert_eq!(errors(&shapes), ["`features.0.weight` (the layer of relu1_1) is missing"]);
    }
}
