//! `cargo bench`: all convolutions of VGG19 in both directions, Gram products, one whole evaluation, the work of L-BFGS
//! itself, and the render.
//!
//! Sizes are those of a 256x256 picture, unless a name says another. `augment bench` measures whole frames of any size.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use augment::nst::kernels::aligned::Aligned;
use augment::nst::kernels::conv::first::{First, Padded};
use augment::nst::kernels::conv::sink::Store;
use augment::nst::kernels::conv::source::Plain;
use augment::nst::kernels::conv::winograd::Winograd;
use augment::nst::kernels::gram;
use augment::nst::kernels::parallel::Shared;
use augment::nst::kernels::simd::{Isa, LANES};
use augment::nst::layers::{Padding, Pool};
use augment::nst::loss;
use augment::nst::loss::slices::CpuEvaluator;
use augment::nst::loss::{Guides, Loss};
use augment::nst::network::backbone::Backbone;
use augment::nst::network::trunk::Trunk;
use augment::nst::optim::slices;
use augment::nst::picture::geometry::Size;
use augment::nst::picture::pixels::Pixels;
use augment::nst::render::photoreal::AffineField;
use augment::nst::scene::regions::Regions;
use augment::nst::settings::{Optimizer, Settings};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

const SIDE: usize = 256;

/// Inputs, outputs and the number of halvings of the side, for each shape of VGG19 after the first.
const LAYERS: [(&str, usize, usize, u32); 8] = [
    ("conv1_2", 64, 64, 0),
    ("conv2_1", 64, 128, 1),
    ("conv2_2", 128, 128, 1),
    ("conv3_1", 128, 256, 2),
    ("conv3_2", 256, 256, 2),
    ("conv4_1", 256, 512, 3),
    ("conv4_2", 512, 512, 3),
    ("conv5_1", 512, 512, 4),
];

fn values(count: usize) -> Aligned {
    let mut values = Aligned::zeros(count);
    values.iter_mut().enumerate().for_each(|(n, value)| *value = (n * 7919 % 1000) as f32 / 1000.0);
    values
}

/// The instruction set that `AUGMENT_ISA` names, or else the fastest.
fn isa() -> Isa {
    Isa::named(std::env::var("AUGMENT_ISA").ok().as_deref()).unwrap()
}

fn square(side: usize) -> Size {
    Size { height: side, width: side }
}

fn convolutions(c: &mut Criterion) {
    let isa = isa();
    let mut group = c.benchmark_group(format!("convolution {isa}"));
    for (name, inputs, outputs, halved) in LAYERS {
        let size = square(SIDE >> halved);
        for (direction, inputs, outputs) in [("forward", inputs, outputs), ("backward", outputs, inputs)] {
            let conv = Winograd::new(outputs, inputs, |o, i, y, x| ((o * 31 + i * 7 + y * 3 + x) % 17) as f32 / 100.0);
            let data = values(inputs * size.pixels());
            let mut out = Aligned::zeros(outputs * size.pixels());
            let mut scratch: Vec<_> = (0..rayon::current_num_threads()).map(|_| Default::default()).collect();
            // Multiplications and additions of the direct convolution. Winograd's needs fewer.
            group.throughput(Throughput::Elements((18 * inputs * outputs * size.pixels()) as u64));
            group.bench_function(format!("{name} {direction}"), |b| {
                b.iter(|| {
                    let sink = Store { data: Shared::new(&mut out), size };
                    conv.run(isa, &mut scratch, size, Plain { data: black_box(&data), size }, sink);
                });
            });
        }
    }
    group.finish();
}

fn first_convolution(c: &mut Criterion) {
    let (isa, size) = (isa(), square(SIDE));
    let conv = First::new(vec![0.1; 64], |o, i, y, x| ((o * 31 + i * 7 + y * 3 + x) % 17) as f32 / 100.0);
    let mut picture = Padded::new(size);
    picture.fill(&values(3 * size.pixels()), Padding::Zero, |_, v| v);
    let (mut full, mut passed) = (Aligned::zeros(64 * size.pixels()), vec![0; 64 / LANES * size.pixels()]);
    c.bench_function(&format!("convolution {isa}/conv1_1 forward"), |b| {
        b.iter(|| conv.forward(isa, black_box(&picture), &mut full, &mut passed));
    });
}

fn grams(c: &mut Criterion) {
    let isa = isa();
    for (name, channels, halved) in [("relu1_1", 64, 0), ("relu2_1", 128, 1), ("relu3_1", 256, 2), ("relu4_1", 512, 3)]
    {
        let pixels = square(SIDE >> halved).pixels();
        let (features, weights) = (values(channels * pixels), vec![1.0; pixels]);
        let mut scratch = gram::Scratch::new(channels);
        let mut matrix = vec![0.0; channels * channels];
        c.bench_function(&format!("gram {isa}/{name}"), |b| {
            b.iter(|| scratch.gram(isa, black_box(&features), channels, &weights, &mut matrix));
        });
        let mut gradient = Aligned::zeros(features.len());
        c.bench_function(&format!("gram gradient {isa}/{name}"), |b| {
            b.iter(|| scratch.add_gradient(isa, black_box(&features), channels, &weights, &matrix, &mut gradient));
        });
    }
}

fn evaluation(c: &mut Criterion) {
    let (isa, size) = (isa(), square(SIDE));
    let settings = Settings::default();
    let deepest = loss::deepest_tap(&settings).unwrap();
    let trunk = Trunk::new(&Backbone::builtin(deepest).unwrap(), deepest, Pool::Max, isa).unwrap();
    let mut evaluator = CpuEvaluator::new(&trunk, &settings, size);
    let pixels = values(3 * size.pixels());
    let guides = Guides::new(&Regions::whole(size));
    let style = evaluator.style_target(&vec![0.5; pixels.len()], &guides);
    let mut objective = evaluator.objective(&pixels, &style, guides);
    let mut gradient = vec![0.0; pixels.len()];
    c.bench_function(&format!("evaluation {isa}/builtin {SIDE}"), |b| {
        b.iter(|| objective.evaluate(black_box(&pixels), &mut gradient));
    });
}

/// L-BFGS over ten evaluations that cost almost nothing.
fn optimizer(c: &mut Criterion) {
    const EVALUATIONS: usize = 10;
    let size = Size { height: 216, width: 384 };
    let start = values(3 * size.pixels());
    let loss = |total: f64| Loss { total, content: 0.0, style: 0.0, tv: 0.0 };
    c.bench_function("l-bfgs/10 evaluations 384x216", |b| {
        b.iter(|| {
            let mut total = 1e6;
            let evaluate = |x: &[f32], gradient: &mut [f32]| {
                gradient.iter_mut().zip(x).enumerate().for_each(|(n, (g, x))| *g = x * (n % 7 + 1) as f32);
                total -= 1.0;
                loss(total)
            };
            let go_on = |_, _| ControlFlow::Continue(());
            slices::minimize(Optimizer::Lbfgs, EVALUATIONS, start.to_vec(), evaluate, |x, _| x, go_on).unwrap()
        });
    });
}

fn render(c: &mut Criterion) {
    let picture = |height, width| Pixels::new(Size { height, width }, values(height * width * 3).to_vec());
    let (content, stylized, original) = (picture(216, 384), picture(216, 384), picture(720, 1280));
    c.bench_function("photoreal/1280x720 at 384x216", |b| {
        b.iter(|| {
            let mut original = original.clone();
            AffineField::fit(&content, &stylized, Padding::Zero).apply(&mut original);
            original
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2));
    targets = convolutions, first_convolution, grams, evaluation, optimizer, render
}
criterion_main!(benches);
