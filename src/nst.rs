//! The engine: pixels in, pixels out. Nothing in here knows files, terminals or datasets.
//!
//! ```text
//! content ─ resize ─┬─ init ── optimize the pixels ──┬─ render ── blend ── result
//!                   └─ content target ─┘             │
//! style ─── resize ──── style target ──┘   original ─┘
//! ```
//!
//! [`pixels`] are the pictures, [`colour`] the start, [`vgg`] the network on the kernels of [`conv`], [`loss`] and
//! [`optim`] the optimization, [`photoreal`] the render, [`weights`] and [`settings`] what is given.

pub mod colour;
pub mod conv;
pub mod gram;
pub mod loss;
pub mod optim;
pub mod parallel;
pub mod photoreal;
pub mod pixels;
pub mod schedule;
pub mod settings;
pub mod simd;
mod sums;
#[cfg(test)]
mod testing;
pub mod vgg;
pub mod weights;

use colour::ColourStatistics;
use conv::Size;
use loss::{ContentTarget, Evaluator, Loss, StyleTarget};
use photoreal::AffineField;
use pixels::Pixels;
use schedule::Scale;
use settings::{Init, Padding, Render, Settings};
use simd::Isa;
use std::borrow::Cow;
use std::fmt;
use std::time::Instant;
use vgg::Trunk;
use weights::Backbone;

/// Stylizes pictures with one backbone and one group of settings.
pub struct Stylizer {
    trunk: Trunk,
    settings: Settings,
}

/// A style picture, measured once.
pub struct Style {
    /// By how often the working size was halved.
    targets: Vec<StyleTarget>,
    colours: ColourStatistics,
}

/// Room for pictures of one working size, one evaluator for each of its scales, by how often that size was halved; made
/// once and used for all of them.
pub struct Workbench<'a>(Vec<Evaluator<'a>>);

impl Workbench<'_> {
    /// The mean wall time of an evaluation at the working size, over `count` of them, on a grey picture.
    pub fn seconds_per_evaluation(&mut self, count: usize) -> f64 {
        let evaluator = &mut self.0[0];
        let grey = vec![0.5; evaluator.size().pixels() * 3];
        let mut gradient = grey.clone();
        // The targets' forward passes warm up memory and caches.
        let (content, style) = (evaluator.content_target(&grey), evaluator.style_target(&grey));
        let begun = Instant::now();
        for _ in 0..count {
            evaluator.evaluate(&content, &style, &grey, &mut gradient);
        }
        begun.elapsed().as_secs_f64() / count as f64
    }
}

/// A stylized picture and how it came about.
pub struct Stylized {
    /// At the content's own size, finite, cut to 0..1 only on the way to 8 bits.
    pub pixels: Pixels,
    /// Evaluations of loss and gradient that were used, at all scales.
    pub evals: usize,
    /// The loss of the start, at the working size.
    pub first: Loss,
    /// The loss of the optimized picture, before it was cut to 0..1, rendered and blended.
    pub last: Loss,
}

impl Style {
    /// Several styles of one stylizer in one, each with its share; shares sum to 1.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let levels = parts.first().map_or(0, |(first, _)| first.targets.len());
        let at = |level: usize| parts.iter().map(|&(part, share)| (&part.targets[level], share)).collect::<Vec<_>>();
        let colours: Vec<_> = parts.iter().map(|&(part, share)| (&part.colours, share)).collect();
        Self {
            targets: (0..levels).map(|level| StyleTarget::blend(&at(level))).collect(),
            colours: ColourStatistics::blend(&colours),
        }
    }
}

/// What the optimizer leaves.
struct Optimized {
    /// Not cut to 0..1.
    pixels: Pixels,
    evals: usize,
    first: Loss,
    last: Loss,
}

/// Why a picture could not be stylized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The loss was no number from the start.
    LossNotFinite,
    /// The result holds values that are no numbers.
    PixelsNotFinite,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::LossNotFinite => "the loss of the first evaluation is not finite; are the weights damaged?",
            Self::PixelsNotFinite => "the result holds values that are not finite",
        })
    }
}

impl Stylizer {
    /// # Errors
    /// When the settings name a tap that the backbone does not reach, or no tap at all.
    pub fn new(backbone: &Backbone, settings: Settings, isa: Isa) -> Result<Self, String> {
        let deepest = loss::deepest_tap(&settings)?;
        let trunk = Trunk::new(backbone, deepest, settings.pool, isa)?;
        Ok(Self { trunk, settings })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The size that a picture of `full` is optimized at.
    pub fn working_size(&self, full: Size) -> Size {
        self.settings.working_size(full)
    }

    fn wraps(&self) -> bool {
        self.settings.padding == Padding::Wrap
    }

    /// The scales that a picture of the working size `size` goes through.
    pub fn scales(&self, size: Size) -> Vec<Scale> {
        schedule::scales(&self.settings, size)
    }

    /// Room for pictures that are optimized at `size`.
    pub fn workbench(&self, size: Size) -> Workbench<'_> {
        let scales = self.scales(size);
        Workbench(scales.iter().rev().map(|scale| self.evaluator(scale.size)).collect())
    }

    fn evaluator(&self, size: Size) -> Evaluator<'_> {
        Evaluator::new(&self.trunk, &self.settings, size)
    }

    /// Measures a style picture, at the sizes that contents are worked on.
    pub fn style(&self, pixels: &Pixels) -> Style {
        let seen = self.seen(pixels);
        let size = self.working_size(pixels.size());
        let levels = schedule::most(&self.settings);
        let target = |level| {
            let small = seen.resized(self.settings.halved(size, level));
            let evaluator = self.evaluator(small.size());
            // Few styles tile, and the step between their sides would count as a part of the style.
            let mut evaluator = if self.wraps() { evaluator.padded(Padding::Replicate) } else { evaluator };
            evaluator.style_target(small.data())
        };
        Style { targets: (0..levels).map(target).collect(), colours: ColourStatistics::of(&seen.resized(size)) }
    }

    /// Stylizes `content`; `bench` is for its working size. `on_step(evaluation, loss)` hears of every evaluation.
    ///
    /// The result depends on the arguments alone. `seed` matters for [`Init::Noise`].
    ///
    /// # Errors
    /// See [`Failure`].
    ///
    /// # Panics
    /// When `bench` is for another size.
    pub fn stylize(
        &self,
        bench: &mut Workbench,
        content: &Pixels,
        style: &Style,
        seed: u64,
        mut on_step: impl FnMut(usize, Loss),
    ) -> Result<Stylized, Failure> {
        let seen = self.seen(content);
        let small = self.resized(&seen, self.working_size(content.size()));
        assert_eq!(small.size(), bench.0[0].size(), "a workbench is for one working size");
        let Optimized { pixels: mut optimized, evals, first, last } =
            self.optimize(bench, &small, style, seed, &mut on_step)?;
        optimized.data_mut().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let mut pixels = self.render(&seen, &small, optimized);
        if self.settings.keep_colours {
            colour::take_chroma(&mut pixels, content);
        }
        if !pixels.is_finite() {
            return Err(Failure::PixelsNotFinite);
        }
        Ok(Stylized { pixels, evals, first, last })
    }

    /// Optimizes `small` at its own size, and where it has several scales before that at the coarser ones.
    fn optimize(
        &self,
        Workbench(evaluators): &mut Workbench,
        small: &Pixels,
        style: &Style,
        seed: u64,
        on_step: &mut impl FnMut(usize, Loss),
    ) -> Result<Optimized, Failure> {
        let scales = self.scales(small.size());
        let Some((finest, coarser)) = scales.split_last() else { unreachable!("every picture has a scale") };
        let mut evals = 0;
        let mut count = |loss: Loss| {
            evals += 1;
            on_step(evals, loss);
        };
        let target = evaluators[0].content_target(small.data());
        let mut x = self.start(small, style, seed);
        let mut first = None;
        if !coarser.is_empty() {
            // Losses at two sizes do not compare, so the start is judged where the result will be.
            let mut gradient = vec![0.0; x.data().len()];
            let loss = evaluators[0].evaluate(&target, &style.targets[0], x.data(), &mut gradient);
            if !loss.is_finite() {
                return Err(Failure::LossNotFinite);
            }
            count(loss);
            first = Some(loss);
            let mut change: Option<Pixels> = None;
            for &Scale { level, size, steps } in coarser {
                let content = self.resized(small, size);
                let target = evaluators[level].content_target(content.data());
                let start = self.start(&content, style, seed);
                let mut x = start.clone();
                change.iter().for_each(|change| self.enlarge(change, &mut x));
                self.minimize(&mut evaluators[level], &target, &style.targets[level], steps, &mut x, &mut count)?;
                if self.settings.init != Init::Noise {
                    x.data_mut().iter_mut().zip(start.data()).for_each(|(x, start)| *x -= start);
                }
                change = Some(x);
            }
            change.iter().for_each(|change| self.enlarge(change, &mut x));
        }
        let steps = finest.steps - first.is_some() as usize;
        let (began, last) = self.minimize(&mut evaluators[0], &target, &style.targets[0], steps, &mut x, &mut count)?;
        Ok(Optimized { pixels: x, evals, first: first.unwrap_or(began), last })
    }

    /// Carries what a coarser scale has changed into the start of the next, which so keeps its own detail. Noise has no
    /// detail worth keeping, and there the change is the whole picture.
    fn enlarge(&self, change: &Pixels, start: &mut Pixels) {
        let change = self.resized(change, start.size());
        match self.settings.init {
            Init::Noise => *start = change,
            _ => start.data_mut().iter_mut().zip(change.data()).for_each(|(v, change)| *v += change),
        }
    }

    /// Minimizes the loss at one scale from `x`, which becomes the best picture seen; the losses of both.
    fn minimize(
        &self,
        evaluator: &mut Evaluator,
        content: &ContentTarget,
        style: &StyleTarget,
        steps: usize,
        x: &mut Pixels,
        count: &mut impl FnMut(Loss),
    ) -> Result<(Loss, Loss), Failure> {
        let mut data = x.data().to_vec();
        let evaluate = |x: &[f32], gradient: &mut [f32]| {
            let loss = evaluator.evaluate(content, style, x, gradient);
            if self.settings.keep_colours {
                along_grey(gradient);
            }
            loss
        };
        let losses = optim::minimize(self.settings.optimizer, steps, &mut data, evaluate, |_, loss| count(loss))
            .map_err(|optim::NotFinite| Failure::LossNotFinite)?;
        *x = Pixels::new(x.size(), data);
        Ok(losses)
    }

    fn start(&self, content: &Pixels, style: &Style, seed: u64) -> Pixels {
        match self.settings.init {
            Init::Colour => colour::transfer(content, &style.colours),
            Init::Content => content.clone(),
            Init::Noise => self.seen(&noise(content.size(), seed)).into_owned(),
        }
    }

    fn resized(&self, pixels: &Pixels, size: Size) -> Pixels {
        if self.wraps() { pixels.resized_around(size) } else { pixels.resized(size) }
    }

    /// The picture as the network sees it.
    fn seen<'p>(&self, pixels: &'p Pixels) -> Cow<'p, Pixels> {
        if self.settings.keep_colours { Cow::Owned(colour::grey(pixels)) } else { Cow::Borrowed(pixels) }
    }

    /// Brings the optimized picture to the content's size, and blends the two.
    fn render(&self, content: &Pixels, small: &Pixels, optimized: Pixels) -> Pixels {
        let mut out = match self.settings.render {
            Render::Photoreal => {
                let mut out = content.clone();
                AffineField::fit(small, &optimized, self.settings.padding).apply(&mut out);
                out
            }
            Render::Pixels => self.resized(&optimized, content.size()),
        };
        let strength = self.settings.strength as f32;
        for (out, content) in out.data_mut().iter_mut().zip(content.data()) {
            *out = content + strength * (*out - content);
        }
        out
    }
}

/// Projects a gradient onto the directions in which a grey picture stays grey.
fn along_grey(gradient: &mut [f32]) {
    for rgb in gradient.chunks_exact_mut(3) {
        rgb.fill(rgb.iter().sum::<f32>() / 3.0);
    }
}

/// Grey Gaussian noise around the middle of the range, as Gatys et al. start from.
fn noise(size: Size, seed: u64) -> Pixels {
    const DEVIATION: f64 = 0.1;
    let mut state = seed;
    let mut uniform = || {
        // SplitMix64 (Steele, Lea and Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let data = (0..size.pixels() * 3)
        .map(|_| {
            // Box and Muller; 1 - u keeps the logarithm's argument above 0.
            let (radius, angle) = ((-2.0 * (1.0 - uniform()).ln()).sqrt(), std::f64::consts::TAU * uniform());
            (0.5 + DEVIATION * radius * angle.cos()).clamp(0.0, 1.0) as f32
        })
        .collect();
    Pixels::new(size, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use settings::{Optimizer, Tap, Term};
    use testing::Random;

    fn stylizer(settings: Settings) -> Stylizer {
        let deepest = loss::deepest_tap(&settings).unwrap();
        Stylizer::new(&Backbone::random([16; 5], deepest), settings, Isa::available()[0]).unwrap()
    }

    /// Small, quick, and as deep as the default.
    fn settings() -> Settings {
        Settings { size: 48, steps: 4, ..Settings::default() }
    }

    fn picture(height: usize, width: usize, seed: u64) -> Pixels {
        let mut random = Random(seed);
        let level = random.uniform();
        let data =
            (0..height * width * 3).map(|n| level * ((n / 3 % width) as f32 / width as f32) + 0.3 * random.uniform());
        Pixels::new(Size { height, width }, data.collect())
    }

    fn run(stylizer: &Stylizer, content: &Pixels, seed: u64) -> Result<Stylized, Failure> {
        let style = stylizer.style(&picture(40, 60, 9));
        let mut bench = stylizer.workbench(stylizer.working_size(content.size()));
        stylizer.stylize(&mut bench, content, &style, seed, |_, _| {})
    }

    #[test]
    fn results_have_the_contents_size_whatever_it_is() {
        for render in [Render::Photoreal, Render::Pixels] {
            let stylizer = stylizer(Settings { render, ..settings() });
            for (height, width) in [(1, 1), (1, 200), (130, 2), (48, 48), (37, 75), (100, 90)] {
                let made = run(&stylizer, &picture(height, width, 1), 0).unwrap();
                assert_eq!(made.pixels.size(), Size { height, width });
                assert!(made.pixels.is_finite());
            }
        }
    }

    #[test]
    fn strength_blends_between_the_content_and_the_result() {
        let content = picture(40, 50, 2);
        let at = |strength: f64| run(&stylizer(Settings { strength, ..settings() }), &content, 0).unwrap().pixels;
        let (none, half, all) = (at(0.0), at(0.5), at(1.0));
        assert_eq!(none, content);
        for ((half, all), content) in half.data().iter().zip(all.data()).zip(content.data()) {
            assert!((half - (all + content) / 2.0).abs() < 1e-5);
        }
        assert!(all != content);
    }

    #[test]
    fn the_same_arguments_give_the_same_bits_and_the_seed_is_the_noises() {
        let content = picture(40, 50, 3);
        let noise = stylizer(Settings { init: Init::Noise, render: Render::Pixels, ..settings() });
        let made = |seed| run(&noise, &content, seed).unwrap().pixels;
        assert!(made(1) == made(1) && made(1) != made(2));
        let colour = stylizer(settings());
        assert!(run(&colour, &content, 1).unwrap().pixels == run(&colour, &content, 2).unwrap().pixels);
    }

    #[test]
    fn kept_colours_are_the_contents_while_the_luma_moves_to_the_styles() {
        let content = picture(40, 50, 6);
        let chroma = |pixels: &Pixels| -> Vec<f32> {
            let grey = colour::grey(pixels);
            pixels.data().iter().zip(grey.data()).map(|(v, luma)| v - luma).collect()
        };
        for render in [Render::Photoreal, Render::Pixels] {
            for init in [Init::Colour, Init::Noise] {
                let stylizer = stylizer(Settings { render, init, keep_colours: true, ..settings() });
                let made = run(&stylizer, &content, 1).unwrap();
                testing::assert_close(&chroma(&made.pixels), &chroma(&content), 1e-5, "chroma");
                let (luma, own) = (colour::grey(&made.pixels), colour::grey(&content));
                assert!(luma.data().iter().zip(own.data()).any(|(a, b)| (a - b).abs() > 0.01));
                assert!(made.last.total < made.first.total, "{render:?} {init:?}");
            }
        }
    }

    /// The mean step of luma from the last column to the first and from the last row to the first, over the mean step
    /// between neighbours.
    fn seam(pixels: &Pixels) -> f64 {
        let Size { height, width } = pixels.size();
        let grey = colour::grey(pixels);
        let luma = |y: usize, x: usize| grey.data()[(y % height * width + x % width) * 3] as f64;
        let across = |x: usize| (0..height).map(|y| (luma(y, x + 1) - luma(y, x)).abs()).sum::<f64>() / height as f64;
        let down = |y: usize| (0..width).map(|x| (luma(y + 1, x) - luma(y, x)).abs()).sum::<f64>() / width as f64;
        let inside = (0..width - 1).map(across).sum::<f64>() / (width - 1) as f64
            + (0..height - 1).map(down).sum::<f64>() / (height - 1) as f64;
        (across(width - 1) + down(height - 1)) / inside
    }

    #[test]
    fn a_wrapped_result_tiles_without_a_seam_and_others_do_not() {
        let made = |padding, render| {
            let content = Term { weight: 0.0, layers: Vec::new() };
            let init = Init::Noise;
            let settings = Settings { padding, render, init, content, tv: 100.0, size: 64, steps: 30, ..settings() };
            run(&stylizer(settings), &picture(90, 100, 7), 3).unwrap().pixels
        };
        let wrapped = seam(&made(Padding::Wrap, Render::Pixels));
        assert!(wrapped < 1.1, "{wrapped}");
        for padding in [Padding::Zero, Padding::Replicate] {
            let other = seam(&made(padding, Render::Pixels));
            assert!(other > 1.3, "{padding:?} {other}");
        }
    }

    #[test]
    fn under_wrap_the_result_follows_a_cyclic_shift_of_the_content_whatever_the_render() {
        let size = Size { height: 96, width: 128 };
        let wave = |n: usize| {
            let (y, x) = (n / 3 / size.width, n / 3 % size.width);
            let turn = std::f32::consts::TAU;
            0.5 + 0.3 * (turn * (x as f32 * 3.0 / 128.0 + y as f32 * 2.0 / 96.0 + (n % 3) as f32 * 0.2)).sin()
        };
        let content = Pixels::new(size, (0..size.pixels() * 3).map(wave).collect());
        let shifted = |pixels: &Pixels| {
            let mut data = pixels.data().to_vec();
            data.chunks_exact_mut(size.width * 3).for_each(|row| row.rotate_right(64 * 3));
            Pixels::new(size, data)
        };
        for render in [Render::Photoreal, Render::Pixels] {
            let settings = Settings { padding: Padding::Wrap, render, size: 64, ..settings() };
            let made = |content: &Pixels| run(&stylizer(settings.clone()), content, 0).unwrap().pixels;
            testing::assert_close(made(&shifted(&content)).data(), shifted(&made(&content)).data(), 1e-2, "a shift");
        }
    }

    #[test]
    fn a_blend_lies_between_its_styles_and_with_the_share_1_it_is_one_of_them() {
        let stylizer = stylizer(Settings { steps: 20, ..settings() });
        let content = picture(40, 50, 6);
        let (a, b) = (stylizer.style(&picture(40, 60, 9)), stylizer.style(&picture(50, 40, 14)));
        let mut bench = stylizer.workbench(stylizer.working_size(content.size()));
        let mut made = |style: &Style| stylizer.stylize(&mut bench, &content, style, 0, |_, _| {}).unwrap();
        let (own, half) = (made(&a).pixels, made(&Style::blend(&[(&a, 0.5), (&b, 0.5)])).pixels);
        assert!(made(&Style::blend(&[(&a, 1.0)])).pixels == own);
        assert!(made(&Style::blend(&[(&a, 1.0), (&b, 0.0)])).pixels == own);
        let mean = |pixels: &Pixels| pixels.data().iter().sum::<f32>() / pixels.data().len() as f32;
        let (own, half, other) = (mean(&own), mean(&half), mean(&made(&b).pixels));
        assert!((own < half && half < other) || (other < half && half < own), "{own} {half} {other}");
    }

    #[test]
    fn coarser_scales_come_on_top_and_both_losses_are_those_at_the_working_size() {
        for (init, padding) in [(Init::Colour, Padding::Zero), (Init::Noise, Padding::Wrap)] {
            let content = picture(90, 120, 6);
            let at = |scales| {
                let settings = Settings { size: 96, steps: 20, init, padding, scales: Some(scales), ..settings() };
                let stylizer = stylizer(Settings { render: Render::Pixels, ..settings });
                let scales = stylizer.scales(stylizer.working_size(content.size()));
                (schedule::evaluations(&scales), run(&stylizer, &content, 1).unwrap())
            };
            let ((_, one), (planned, three)) = (at(1), at(3));
            assert_eq!((one.evals, three.evals, planned), (20, 40, 40));
            assert_eq!(one.first, three.first, "the same start at the same size");
            assert!(three.last.total < three.first.total, "{:?} {:?}", three.first, three.last);
            assert!(three.pixels != one.pixels);
        }
    }

    #[test]
    fn the_loss_falls_under_both_optimizers() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let stylizer = stylizer(Settings { optimizer, steps: 15, ..settings() });
            let made = run(&stylizer, &picture(40, 50, 4), 0).unwrap();
            assert!(made.last.total < 0.9 * made.first.total, "{optimizer:?}: {:?} {:?}", made.first, made.last);
            assert_eq!(made.evals, 15);
        }
    }

    #[test]
    fn damaged_weights_are_a_failure_and_never_a_picture() {
        let settings = settings();
        let deepest: Tap = "relu5_1".parse().unwrap();
        let damaged = Backbone::random([16; 5], deepest).with_first_bias(f32::NAN);
        let stylizer = Stylizer::new(&damaged, settings, Isa::available()[0]).unwrap();
        assert!(matches!(run(&stylizer, &picture(40, 50, 5), 0), Err(Failure::LossNotFinite)));
    }
}
