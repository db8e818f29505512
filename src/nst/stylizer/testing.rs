//! Stylizers and pictures for the stylizer's tests.

use crate::nst::failure::StylizeError;
use crate::nst::kernels::simd::Isa;
use crate::nst::loss;
use crate::nst::network::backbone::Backbone;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::settings::Settings;
use crate::nst::stylizer::{Stylized, Stylizer};
use crate::nst::testing::Random;
use std::ops::ControlFlow;

/// A stylizer with a random backbone on the CPU.
pub fn stylizer(settings: Settings) -> Stylizer {
    let deepest = loss::deepest_tap(&settings).unwrap();
    Stylizer::new(&Backbone::random([16; 5], deepest), settings, Isa::available()[0]).unwrap()
}

/// Small and fast, and as deep as the default.
pub fn settings() -> Settings {
    Settings { size: 48, steps: 4, ..Settings::default() }
}

/// A noisy picture that grows lighter to the right.
pub fn picture(height: usize, width: usize, seed: u64) -> Pixels {
    let mut random = Random(seed);
    let level = random.uniform();
    let data =
        (0..height * width * 3).map(|n| level * ((n / 3 % width) as f32 / width as f32) + 0.3 * random.uniform());
    Pixels::new(Size { height, width }, data.collect())
}

/// A light sky over a noisy ground.
pub fn street(height: usize, width: usize, sky: [f32; 3], seed: u64) -> Pixels {
    let mut data = picture(height, width, seed).into_data();
    for (n, rgb) in data.chunks_exact_mut(3).enumerate().filter(|(n, _)| n / width * 5 < height * 2) {
        rgb.iter_mut().zip(sky).for_each(|(v, sky)| *v = sky - 0.001 * (n / width) as f32);
    }
    Pixels::new(Size { height, width }, data)
}

/// Stylizes `content` after a fixed style picture.
pub fn run(stylizer: &Stylizer, content: &Pixels, seed: u64) -> Result<Stylized, StylizeError> {
    let style = stylizer.style(&picture(40, 60, 9).into()).unwrap();
    let mut evaluators = stylizer.evaluators(stylizer.working_size(content.size()));
    stylizer.stylize(&mut evaluators, &content.clone().into(), &style, seed, |_, _| ControlFlow::Continue(()))
}
