//! Keras' weights: its HDF5 files, its layout and the normalisation that its VGG19 expects.

use crate::nst::Tap;
use crate::nst::layers::{MEAN_F64, STD_F64};
use crate::weights::import::archive::Archive;
use crate::weights::tensors::Named;
use hdf5_pure::{DType, File, Group};
use std::path::Path;

/// The mean colour, R, G, B of 0 to 255, that Keras subtracts from what its VGG19 sees as B, G, R.
const KERAS_MEAN: [f64; 3] = [123.68, 116.779, 103.939];

/// Groups in groups: more than Keras makes, and an end to links that go round.
const DEEPEST: usize = 8;

/// The datasets of an HDF5 file.
pub struct Hdf5 {
    file: File,
    listed: Vec<(String, Vec<usize>)>,
}

impl Hdf5 {
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
    format!(
        "is no readable HDF5 file: {error}; in Python, `safetensors.numpy.save_file` writes Keras' weights under names \
         such as block1_conv1.kernel, which import reads too"
    )
}

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

/// `[pixels, inputs, outputs]` as `[outputs, inputs, pixels]`; `values` has so many.
pub fn outputs_first(values: &[f32], pixels: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let at = |n: usize| {
        let (output, input, pixel) = (n / (inputs * pixels), n / pixels % inputs, n % pixels);
        values[(pixel * inputs + input) * outputs + output]
    };
    (0..pixels * inputs * outputs).map(at).collect()
}

/// Changes the first convolution of `tensors` so that it gives for this engine's input what it gave for Keras'.
///
/// With v the colour of 0 to 1, Keras' input is u = 255 v - k, its channels in the order B, G, R, and this engine's is
/// x = (v - m) / s. So u = 255 s x + (255 m - k), and for a kernel w and a bias b
///
/// ```text
/// sum w u + b = sum (255 s w) x + (b + sum w (255 m - k))
/// ```
///
/// where both sums are over the channels and the nine places of the window. The second is a constant and goes into the
/// bias. At the border zeros stand for what is outside: there the constant is half a grey level off what Keras' padding
/// stands for, since u = 0 is the mean colour to Keras and x = 0 the mean colour here, and 255 m - k is -0.5 at most.
///
/// # Errors
/// When the first convolution is missing or has another shape.
pub fn fold_input(tensors: &mut [Named]) -> Result<(), String> {
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
    tensors[kernel] = Named::of_f32(names[0].clone(), vec![outputs, 3, 3, 3], &folded);
    tensors[bias] = Named::of_f32(names[1].clone(), vec![outputs], &constants);
    Ok(())
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
        // Plain and compressed; the script that makes the file numbers kernels in torchvision's layout.
        for (name, inputs) in [("block1_conv1/block1_conv1_W_1:0", 3), ("block1_conv2/block1_conv2_W_1:0", 16)] {
            let values = outputs_first(&file.values(name).unwrap(), 9, inputs, 16);
            assert!(
                values.iter().enumerate().all(|(n, value)| *value == (n * 37 % 101) as f32 / 64.0 - 0.75),
                "{name}"
            );
        }
        assert!(file.values("block1_conv1").is_err());
    }

    #[test]
    fn layouts_are_turned() {
        // Two pixels, three inputs, two outputs, numbered by 100 pixel + 10 input + output.
        let keras: Vec<f32> = (0..12).map(|n| (n / 6 * 100 + n / 2 % 3 * 10 + n % 2) as f32).collect();
        let turned = outputs_first(&keras, 2, 3, 2);
        assert_eq!(turned, [0.0, 100.0, 10.0, 110.0, 20.0, 120.0, 1.0, 101.0, 11.0, 111.0, 21.0, 121.0]);
    }

    #[test]
    fn the_folded_convolution_gives_what_keras_gives() {
        let [weight, bias] = Tap::all().next().unwrap().parameters();
        let number = |n: usize| (n * 37 % 101) as f32 / 50.0 - 1.0;
        let kernel: Vec<f32> = (0..16 * 27).map(number).collect();
        let biases: Vec<f32> = (0..16).map(number).collect();
        let mut tensors =
            vec![Named::of_f32(weight, vec![16, 3, 3, 3], &kernel), Named::of_f32(bias, vec![16], &biases)];
        fold_input(&mut tensors).unwrap();
        let (folded, constants) = (tensors[0].values().unwrap(), tensors[1].values().unwrap());
        // A window of colours, R, G, B of 0 to 1 by colour and place.
        let window: Vec<f64> = (0..27).map(|n| f64::from(n * 11 % 27) / 26.0).collect();
        for output in 0..16 {
            let (mut keras, mut own) = (f64::from(biases[output]), f64::from(constants[output]));
            for n in 0..27 {
                let (colour, place) = (n / 9, n % 9);
                let blue_first = 255.0 * window[n] - KERAS_MEAN[colour];
                keras += f64::from(kernel[output * 27 + (2 - colour) * 9 + place]) * blue_first;
                own += f64::from(folded[output * 27 + n]) * (window[n] - MEAN_F64[colour]) / STD_F64[colour];
            }
            assert!((keras - own).abs() < 1e-3, "{keras} {own}");
        }
        assert!(fold_input(&mut tensors[..1]).is_err());
    }
}
