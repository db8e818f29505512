//! The trunk on real ImageNet weights against another implementation's activations.
//!
//! Neither ships with the project: set `AUGMENT_TEST_DATA` to a folder with `weights/vgg19_features.safetensors` and
//! `weights/golden_64.safetensors` (`input`, normalised, and what follows from it: `relu1_1` …, whose values are stored
//! channels-last whatever their shape says, and `gram_relu1_1` …).

use crate::place::skipped;
use augment::config::values::BackboneChoice;
use augment::nst::kernels::gram;
use augment::nst::kernels::simd::{Isa, LANES};
use augment::nst::layers::{Padding, Pool, Tap};
use augment::nst::network::trunk::Trunk;
use augment::nst::picture::geometry::Size;
use augment::nst::settings::Settings;
use augment::weights::locate;
use candle_core::{Device, safetensors};
use std::path::PathBuf;

/// The largest difference relative to the largest expected value.
fn error(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len());
    let scale = expected.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
    actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0, f32::max) / scale
}

#[test]
fn taps_and_gram_matrices_equal_those_of_another_implementation() {
    let Some(data) = std::env::var_os("AUGMENT_TEST_DATA").map(PathBuf::from) else {
        let what = "the trunk on real weights against another implementation's activations";
        skipped(what, "AUGMENT_TEST_DATA names no folder that has them");
        return;
    };
    let golden = safetensors::load(data.join("weights/golden_64.safetensors"), &Device::Cpu).unwrap();
    let weights = data.join("weights/vgg19_features.safetensors");
    let deepest: Tap = "relu5_1".parse().unwrap();
    let backbone = locate::open(None, &BackboneChoice::Path(weights), &Settings::default()).unwrap();
    let input = golden["input"].squeeze(0).unwrap().permute((1, 2, 0)).unwrap().contiguous().unwrap();
    let (height, width, _) = input.dims3().unwrap();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let normalised: Vec<f32> = input.flatten_all().unwrap().to_vec1().unwrap();
    let pixels: Vec<f32> = normalised.iter().enumerate().map(|(n, v)| v * std[n % 3] + mean[n % 3]).collect();
    let names = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"];
    let taps = names.map(|name| name.parse().unwrap());
    let mut grams = 0;
    for isa in Isa::available() {
        let trunk = Trunk::new(&backbone, deepest, Pool::Max, isa).unwrap();
        let mut space = trunk.workspace(Size { height, width }, Padding::Zero, &taps);
        trunk.forward(&mut space, &pixels);
        for (name, tap) in names.iter().zip(taps) {
            let (features, channels, size) = space.features(tap).unwrap();
            let expected: Vec<f32> = golden[*name].flatten_all().unwrap().to_vec1().unwrap();
            let channels_last: Vec<f32> = (0..features.len())
                .map(|n| (n / channels, n % channels))
                .map(|(p, c)| features[(c / LANES * size.pixels() + p) * LANES + c % LANES])
                .collect();
            let off = error(&channels_last, &expected);
            assert!(off < 1e-3, "{isa} {name}: {off}");
            if let Some(expected) = golden.get(&format!("gram_{name}")) {
                let mut gram = vec![0.0; channels * channels];
                let whole = vec![1.0; size.pixels()];
                gram::Scratch::new(channels).gram(isa, features, channels, &whole, &mut gram);
                grams += 1;
                let off = error(&gram, &expected.flatten_all().unwrap().to_vec1::<f32>().unwrap());
                assert!(off < 1e-3, "{isa} gram of {name}: {off}");
            }
        }
    }
    assert!(grams > 0, "no Gram matrix is among the activations");
}
