//! Keras' layout of kernels, and the normalization that its VGG19 expects.

use crate::nst::layers::{MEAN_F64, STD_F64, Tap};
use crate::weights::tensors::NamedTensor;

/// How to import Keras' weights without their HDF5 file.
pub const WITHOUT_HDF5: &str = "in Python, `safetensors.numpy.save_file` writes Keras' weights under names such as \
                                block1_conv1.kernel, which import reads too";

/// The mean colour that Keras subtracts, R, G, B from 0 to 255. Its network gets B, G, R.
const KERAS_MEAN: [f64; 3] = [123.68, 116.779, 103.939];

/// Turns `values` from `[pixels, inputs, outputs]` into `[outputs, inputs, pixels]`.
pub fn outputs_first(values: &[f32], pixels: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let at = |n: usize| {
        let (output, input, pixel) = (n / (inputs * pixels), n / pixels % inputs, n % pixels);
        values[(pixel * inputs + input) * outputs + output]
    };
    (0..pixels * inputs * outputs).map(at).collect()
}

/// Changes the first convolution of `tensors` so that it gives for this engine's input what it gave for Keras' input.
///
/// Let v be a colour from 0 to 1. Keras' input is u = 255 v - k in the order B, G, R, and this engine's is
/// x = (v - m) / s. So u = 255 s x + (255 m - k), and for a kernel w and a bias b
///
/// ```text
/// sum w u + b = sum (255 s w) x + (b + sum w (255 m - k))
/// ```
///
/// Both sums are over the channels and the nine places of the window. The second one is a constant and goes into the
/// bias.
///
/// This is exact inside the picture. Outside, both programs put zeros, and a zero is the mean colour: k for Keras, m
/// here. The two differ by less than 0.5 of 255 grey levels.
///
/// # Errors
/// When the first convolution is missing or has another shape.
pub fn fold_input(tensors: &mut [NamedTensor]) -> Result<(), String> {
    let names = Tap::all().next().unwrap_or(Tap::LAST).parameters();
    let find = |name: &String| tensors.iter().position(|tensor| tensor.name == *name);
    let (Some(kernel), Some(bias)) = (find(&names[0]), find(&names[1])) else {
        return Err("has no kernel and bias for block1_conv1".into());
    };
    let (weights, biases) = (tensors[kernel].values()?, tensors[bias].values()?);
    let &[outputs, 3, 3, 3] = &tensors[kernel].shape[..] else {
        return Err(format!("its first kernel has shape {:?}; needed is [n, 3, 3, 3]", tensors[kernel].shape));
    };
    if biases.len() != outputs {
        return Err(format!("its first kernel has {outputs} outputs, its bias {}", biases.len()));
    }
    let (mut folded, mut constants) = (vec![0.0; weights.len()], Vec::new());
    for output in 0..outputs {
        let mut constant = f64::from(biases[output]);
        for colour in 0..3 {
            for place in 0..9 {
                let weight = f64::from(weights[(output * 3 + 2 - colour) * 9 + place]);
                folded[(output * 3 + colour) * 9 + place] = (255.0 * STD_F64[colour] * weight) as f32;
                constant += weight * (255.0 * MEAN_F64[colour] - KERAS_MEAN[colour]);
            }
        }
        constants.push(constant as f32);
    }
    tensors[kernel] = NamedTensor::of_f32(names[0].clone(), vec![outputs, 3, 3, 3], &folded);
    tensors[bias] = NamedTensor::of_f32(names[1].clone(), vec![outputs], &constants);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_turned_so_that_outputs_come_first() {
        // Two pixels, three inputs, two outputs, numbered by 100 pixel + 10 input + output.
        let keras: Vec<f32> = (0..12).map(|n| (n / 6 * 100 + n / 2 % 3 * 10 + n % 2) as f32).collect();
        let turned = outputs_first(&keras, 2, 3, 2);
        assert_eq!(turned, [0.0, 100.0, 10.0, 110.0, 20.0, 120.0, 1.0, 101.0, 11.0, 111.0, 21.0, 121.0]);
    }

    #[test]
    fn the_folded_convolution_gives_the_same_as_in_keras() {
        let [weight, bias] = Tap::all().next().unwrap().parameters();
        let number = |n: usize| (n * 37 % 101) as f32 / 50.0 - 1.0;
        let kernel: Vec<f32> = (0..16 * 27).map(number).collect();
        let biases: Vec<f32> = (0..16).map(number).collect();
        let mut tensors =
            vec![NamedTensor::of_f32(weight, vec![16, 3, 3, 3], &kernel), NamedTensor::of_f32(bias, vec![16], &biases)];
        fold_input(&mut tensors).unwrap();
        let (folded, constants) = (tensors[0].values().unwrap(), tensors[1].values().unwrap());
        // The colours of a window, from 0 to 1, by channel (R, G, B) and place.
        let window: Vec<f64> = (0..27).map(|n| f64::from(n * 11 % 27) / 26.0).collect();
        for output in 0..16 {
            let (mut keras, mut own) = (f64::from(biases[output]), f64::from(constants[output]));
            for n in 0..27 {
                let (colour, place) = (n / 9, n % 9);
                let input = 255.0 * window[n] - KERAS_MEAN[colour];
                keras += f64::from(kernel[output * 27 + (2 - colour) * 9 + place]) * input;
                own += f64::from(folded[output * 27 + n]) * (window[n] - MEAN_F64[colour]) / STD_F64[colour];
            }
            assert!((keras - own).abs() < 1e-3, "{keras} {own}");
        }
        assert!(fold_input(&mut tensors[..1]).is_err());
    }
}
