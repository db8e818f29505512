//! Stylizes pictures with one backbone and one group of settings.

use crate::nst::backend::device::Device;
use crate::nst::backend::{Evaluator, Goal, Network};
use crate::nst::failure::StylizeError;
use crate::nst::layers::Padding;
use crate::nst::loss::{Guides, Loss, StyleTarget};
use crate::nst::network::backbone::Backbone;
use crate::nst::optim::{self, Descent};
use crate::nst::picture::filter::Border;
use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::ColourStatistics;
use crate::nst::random::Random;
use crate::nst::render::guard::{self, GuardReport};
use crate::nst::render::precipitation;
use crate::nst::scene::Scene;
use crate::nst::scene::regions::Regions;
use crate::nst::schedule::{self, Scale};
use crate::nst::settings::{Chroma, Init, RegionKind, Render, Settings};
use crate::nst::start::transfer;
use crate::nst::start::weather::{self, WeatherStatistics};
use std::borrow::Cow;
use std::cell::LazyCell;
use std::ops::{ControlFlow, Deref};

/// Stylizes pictures with one backbone and one group of settings.
pub struct Stylizer {
    network: Network,
    settings: Settings,
}

/// A picture and what is known of it. The pixels have no letterbox bars; everything else speaks of the same part.
pub struct Picture {
    pub pixels: Pixels,
    /// Labelled objects, which [`guard`] keeps visible.
    pub boxes: Vec<Area>,
    /// Distances of any scale and size, see [`Scene::of`].
    pub depth: Option<Plane>,
    /// Those that [`RegionKind::Masks`] names, 0..1, of any size.
    pub masks: Vec<Option<Plane>>,
}

impl From<Pixels> for Picture {
    fn from(pixels: Pixels) -> Self {
        Self { pixels, boxes: Vec::new(), depth: None, masks: Vec::new() }
    }
}

/// A style picture, measured once.
pub struct Style {
    /// By how often the working size was halved.
    targets: Vec<StyleTarget>,
    /// By region.
    colours: Vec<ColourStatistics>,
    climate: WeatherStatistics,
}

impl Style {
    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.targets.iter().map(StyleTarget::bytes).sum()
    }

    /// Several styles of one stylizer in one, each with its share; shares sum to 1. Weather is the first one's: between
    /// two climates lies none that either picture shows.
    ///
    /// # Panics
    /// Without any style.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let (main, _) = parts[0];
        let targets =
            |level: usize| parts.iter().map(|&(part, share)| (&part.targets[level], share)).collect::<Vec<_>>();
        let colours =
            |region: usize| parts.iter().map(|&(part, share)| (&part.colours[region], share)).collect::<Vec<_>>();
        Self {
            targets: (0..main.targets.len()).map(|level| StyleTarget::blend(&targets(level))).collect(),
            colours: (0..main.colours.len()).map(|region| ColourStatistics::blend(&colours(region))).collect(),
            climate: main.climate.clone(),
        }
    }
}

/// BatchLimit for pictures of one working size, one evaluator for each of its scales, by how often that size was halved; made
/// once and used for all of them.
pub struct Evaluators<'a>(Vec<Evaluator<'a>>);

impl Evaluators<'_> {
    /// The mean wall time that an evaluation at the working size costs, over `count` of them, on a grey picture; where the
    /// device works in batches, of one in a full batch.
    ///
    /// # Errors
    /// [`StylizeError::Device`], [`StylizeError::Memory`].
    pub fn seconds_per_evaluation(&mut self, count: usize) -> Result<f64, StylizeError> {
        let evaluator = &mut self.0[0];
        let grey = vec![0.5; evaluator.size().pixels() * 3];
        let whole = Regions::whole(evaluator.size());
        // The targets' forward passes warm up memory and caches.
        let style = evaluator.style_target(&grey, Guides::new(&whole)).map_err(StylizeError::device)?;
        let goal = evaluator.goal(&grey, &style, Guides::new(&whole)).map_err(StylizeError::device)?;
        evaluator.seconds_per_evaluation(&goal, &grey, count).map_err(StylizeError::device)
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
    /// The blend that was drawn, see [`Settings::strength`].
    pub strength: f64,
    /// What became of the labelled objects; `None` where the guard is off.
    pub guard: Option<GuardReport>,
}

/// A content as the network sees it at one of its sizes, and what is where in it.
struct View {
    pixels: Pixels,
    scene: Scene,
    regions: Regions,
}

/// What the optimizer leaves.
struct Optimized {
    /// What it began with, at the working size.
    start: Pixels,
    /// Not cut to 0..1.
    pixels: Pixels,
    evals: usize,
    first: Loss,
    last: Loss,
}

impl Stylizer {
    /// # Errors
    /// When the settings name a tap that the backbone does not reach, or no tap at all.
    pub fn new(backbone: &Backbone, settings: Settings, device: impl Into<Device>) -> Result<Self, String> {
        let network = Network::new(backbone, &settings, &device.into())?;
        Ok(Self { network, settings })
    }

    /// The same network under other settings, which must name the same taps and pool.
    pub fn with(&self, settings: Settings) -> Self {
        Self { network: self.network.clone(), settings }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Pictures that the device works on at once, optimized at `size`; `None` where each has the threads that ask for it.
    pub fn batch(&self, size: Size) -> Option<usize> {
        self.network.batch(size)
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

    /// BatchLimit for pictures that are optimized at `size`.
    pub fn evaluators(&self, size: Size) -> Evaluators<'_> {
        let scales = self.scales(size);
        Evaluators(scales.iter().rev().map(|scale| self.evaluator(scale.size)).collect())
    }

    fn evaluator(&self, size: Size) -> Evaluator<'_> {
        self.network.evaluator(&self.settings, size)
    }

    /// Measures a style picture, at the sizes that contents are worked on.
    ///
    /// # Errors
    /// [`StylizeError::Device`], [`StylizeError::Memory`].
    pub fn style(&self, picture: &Picture) -> Result<Style, StylizeError> {
        let size = self.working_size(picture.pixels.size());
        let small = picture.pixels.resized(size);
        let scene = self.scene(&small, picture);
        let regions = Regions::of_style(&self.settings.regions, size, &scene, &picture.masks);
        let (seen, small) = (self.seen(&picture.pixels), self.seen(&small));
        let target = |level| {
            let small = match level {
                0 => Cow::Borrowed(&*small),
                _ => Cow::Owned(seen.resized(self.settings.halved(size, level))),
            };
            let evaluator = self.evaluator(small.size());
            // Few styles tile, and the step between their sides would count as a part of the style.
            let mut evaluator = if self.wraps() { evaluator.padded(Padding::Replicate) } else { evaluator };
            evaluator
                .style_target(small.data(), Guides::new(&regions.resized(small.size())))
                .map_err(StylizeError::device)
        };
        let targets = (0..schedule::most(&self.settings)).map(target).collect::<Result<_, _>>()?;
        let colours = regions.parts().flatten().map(|part| ColourStatistics::of(&small, part)).collect();
        Ok(Style { targets, colours, climate: WeatherStatistics::of(&small, &scene) })
    }

    /// What is where in `small`, if anything asks for it.
    fn scene(&self, small: &Pixels, picture: &Picture) -> Scene {
        if self.settings.init == Init::Weather || self.settings.regions == RegionKind::Scene {
            Scene::of(small, picture.depth.as_ref())
        } else {
            Scene::unknown(small.size())
        }
    }

    /// Stylizes `content`; `bench` is for its working size. `on_step(evaluation, loss)` hears of every evaluation
    /// and may end it all.
    ///
    /// The result depends on the arguments alone. `seed` decides what the settings leave to chance: the noise of
    /// [`Init::Noise`] and where in their ranges drawn settings lie.
    ///
    /// # Errors
    /// See [`StylizeError`].
    ///
    /// # Panics
    /// When `bench` is for another size.
    pub fn stylize(
        &self,
        bench: &mut Evaluators,
        content: &Picture,
        style: &Style,
        seed: u64,
        mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<Stylized, StylizeError> {
        let small = self.resized(&content.pixels, self.working_size(content.pixels.size()));
        assert_eq!(small.size(), bench.0[0].size(), "a workbench is for one working size");
        // Skies are known by their colours, whether these are stylized or not.
        let scene = self.scene(&small, content);
        let regions = Regions::of(&self.settings.regions, small.size(), &scene, &content.masks);
        let view = View { pixels: self.seen(&small).into_owned(), scene, regions };
        let Optimized { start, pixels: mut optimized, evals, first, last } =
            self.optimize(bench, &view, style, seed, &mut on_step)?;
        optimized.data_mut().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let mut random = Random::new(seed);
        let strength = self.settings.strength.at(random.uniform());
        let falling = self.settings.falling.draw(|| random.uniform());
        // At full size, and mostly nobody asks for it.
        let plain = LazyCell::new(|| self.render(&content.pixels, &view.pixels, &start));
        let plain = || (*plain).as_ref().map_err(StylizeError::clone);
        let mut pixels = self.render(&content.pixels, &view.pixels, &optimized)?;
        if (self.settings.render, self.settings.chroma) == (Render::Photoreal, Chroma::Start) {
            luma::take_chroma(&mut pixels, plain()?);
        }
        blend(&mut pixels, &content.pixels, strength as f32);
        if !pixels.is_finite() {
            return Err(StylizeError::PixelsNotFinite);
        }
        let mut guard = None;
        if self.settings.guard && !content.boxes.is_empty() {
            let stages = |result: &Pixels| Ok(guard::relit([plain()?, &content.pixels], result));
            guard = Some(guard::protect(&content.pixels, stages, &mut pixels, &content.boxes)?);
        }
        if let Some(falling) = falling {
            precipitation::add(&mut pixels, &falling, seed);
            // What falls in front of an object is a part of what the report says of it.
            guard.iter_mut().for_each(|report| report.measure(&content.pixels, &pixels));
        }
        Ok(Stylized { pixels, evals, first, last, strength, guard })
    }

    /// Optimizes `finest` at its own size, and where it has several scales before that at the coarser ones.
    fn optimize(
        &self,
        Evaluators(evaluators): &mut Evaluators,
        finest: &View,
        style: &Style,
        seed: u64,
        on_step: &mut impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<Optimized, StylizeError> {
        let scales = self.scales(finest.pixels.size());
        let Some((last_scale, coarser)) = scales.split_last() else { unreachable!("every picture has a scale") };
        let mut evals = 0;
        let mut count = |loss: Loss| {
            evals += 1;
            on_step(evals, loss)
        };
        let goal = |evaluator: &mut Evaluator, view: &View, level: usize| {
            let (style, guides) = (&style.targets[level], Guides::new(&view.regions));
            evaluator.goal(view.pixels.data(), style, guides).map_err(StylizeError::device)
        };
        // Contrasts depend on the size, and the style's were taken at the working size: all scales share these.
        let climate = LazyCell::new(|| WeatherStatistics::of(&finest.pixels, &finest.scene));
        let target = goal(&mut evaluators[0], finest, 0)?;
        let start = self.start(finest, &climate, style, seed);
        let mut x = start.clone();
        let mut first = None;
        if !coarser.is_empty() {
            // Losses at two sizes do not compare, so the start is judged where the result will be.
            let loss = evaluators[0].loss(&target, x.data()).map_err(StylizeError::device)?;
            if !loss.is_finite() {
                return Err(StylizeError::LossNotFinite);
            }
            if count(loss).is_break() {
                return Err(StylizeError::Stopped);
            }
            first = Some(loss);
            let mut change: Option<Pixels> = None;
            for &Scale { level, size, steps } in coarser {
                let view = View {
                    pixels: self.resized(&finest.pixels, size),
                    scene: finest.scene.resized(size),
                    regions: finest.regions.resized(size),
                };
                let target = goal(&mut evaluators[level], &view, level)?;
                let start = self.start(&view, &climate, style, seed);
                let mut x = start.clone();
                change.iter().for_each(|change| self.enlarge(change, &mut x));
                self.minimize(&mut evaluators[level], &target, steps, &mut x, &mut count)?;
                if self.settings.init != Init::Noise {
                    x.data_mut().iter_mut().zip(start.data()).for_each(|(x, start)| *x -= start);
                }
                change = Some(x);
            }
            change.iter().for_each(|change| self.enlarge(change, &mut x));
        }
        let steps = last_scale.steps - first.is_some() as usize;
        let (began, last) = self.minimize(&mut evaluators[0], &target, steps, &mut x, &mut count)?;
        Ok(Optimized { start, pixels: x, evals, first: first.unwrap_or(began), last })
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
        goal: &Goal,
        steps: usize,
        x: &mut Pixels,
        count: &mut impl FnMut(Loss) -> ControlFlow<()>,
    ) -> Result<(Loss, Loss), StylizeError> {
        let border = if self.wraps() { Border::Around } else { Border::Mirrored };
        let descent = Descent {
            optimizer: self.settings.optimizer,
            steps,
            // The field of a photoreal render makes broad steps of narrow ones anyway; broader ones are blotches in skies
            // and roads.
            metric: (self.settings.render == Render::Pixels).then_some(border),
            grey: self.settings.keep_colours,
        };
        evaluator.minimize(goal, descent, x, |_, loss| count(loss)).map_err(|failure| match failure {
            optim::OptimError::NotFinite => StylizeError::LossNotFinite,
            optim::OptimError::Stopped => StylizeError::Stopped,
            optim::OptimError::Evaluation(why) => StylizeError::device(why),
        })
    }

    /// What the optimizer starts from; `climate` is the content's own.
    fn start(
        &self,
        content: &View,
        climate: &impl Deref<Target = WeatherStatistics>,
        style: &Style,
        seed: u64,
    ) -> Pixels {
        let View { pixels, scene, regions } = content;
        match self.settings.init {
            Init::Colour => transfer::transfer(pixels, regions, &style.colours),
            Init::Content => pixels.clone(),
            Init::Noise => self.seen(&noise(pixels.size(), seed)).into_owned(),
            Init::Weather => weather::render(self.settings.weather, pixels, scene, climate, &style.climate),
        }
    }

    fn resized(&self, pixels: &Pixels, size: Size) -> Pixels {
        if self.wraps() { pixels.resized_around(size) } else { pixels.resized(size) }
    }

    /// The picture as the network sees it.
    fn seen<'p>(&self, pixels: &'p Pixels) -> Cow<'p, Pixels> {
        if self.settings.keep_colours { Cow::Owned(luma::grey(pixels)) } else { Cow::Borrowed(pixels) }
    }

    /// Brings the optimized picture to the content's size, in the content's own colours if these are kept. `small` is what
    /// the network saw of the content.
    ///
    /// # Errors
    /// [`StylizeError::Device`], [`StylizeError::Memory`].
    fn render(&self, content: &Pixels, small: &Pixels, optimized: &Pixels) -> Result<Pixels, StylizeError> {
        let mut out = match self.settings.render {
            Render::Photoreal => {
                let seen = self.seen(content).into_owned();
                self.network.photoreal(small, optimized, seen, self.settings.padding).map_err(StylizeError::device)?
            }
            Render::Pixels => self.resized(optimized, content.size()),
        };
        if self.settings.keep_colours {
            luma::take_chroma(&mut out, content);
        }
        Ok(out)
    }
}

/// From `content` at a strength of 0 to `result` as it is at 1.
fn blend(result: &mut Pixels, content: &Pixels, strength: f32) {
    for (out, content) in result.data_mut().iter_mut().zip(content.data()) {
        *out = content + strength * (*out - content);
    }
}

/// Grey Gaussian noise around the middle of the range, as Gatys et al. start from.
fn noise(size: Size, seed: u64) -> Pixels {
    const DEVIATION: f64 = 0.1;
    let mut random = Random::new(seed);
    let data = (0..size.pixels() * 3).map(|_| (0.5 + DEVIATION * random.normal()).clamp(0.0, 1.0) as f32).collect();
    Pixels::new(size, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::backend::batcher;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::layers::{Pool, Tap};
    use crate::nst::network::tensors;
    use crate::nst::render::guard::figures;
    use crate::nst::settings::{self, Optimizer, Term};
    use crate::nst::{loss, testing};
    use std::sync::Arc;

    fn stylizer(settings: Settings) -> Stylizer {
        let deepest = loss::deepest_tap(&settings).unwrap();
        Stylizer::new(&Backbone::random([16; 5], deepest), settings, Isa::available()[0]).unwrap()
    }

    /// Small, quick, and as deep as the default.
    fn settings() -> Settings {
        Settings { size: 48, steps: 4, ..Settings::default() }
    }

    fn picture(height: usize, width: usize, seed: u64) -> Pixels {
        let mut random = testing::Random(seed);
        let level = random.uniform();
        let data =
            (0..height * width * 3).map(|n| level * ((n / 3 % width) as f32 / width as f32) + 0.3 * random.uniform());
        Pixels::new(Size { height, width }, data.collect())
    }

    fn run(stylizer: &Stylizer, content: &Pixels, seed: u64) -> Result<Stylized, StylizeError> {
        let style = stylizer.style(&picture(40, 60, 9).into()).unwrap();
        let mut bench = stylizer.evaluators(stylizer.working_size(content.size()));
        stylizer.stylize(&mut bench, &content.clone().into(), &style, seed, |_, _| ControlFlow::Continue(()))
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
        let at = |strength: f64| {
            run(&stylizer(Settings { strength: strength.into(), ..settings() }), &content, 0).unwrap().pixels
        };
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
            let grey = luma::grey(pixels);
            pixels.data().iter().zip(grey.data()).map(|(v, luma)| v - luma).collect()
        };
        for render in [Render::Photoreal, Render::Pixels] {
            for init in [Init::Colour, Init::Noise] {
                let stylizer = stylizer(Settings { render, init, keep_colours: true, ..settings() });
                let made = run(&stylizer, &content, 1).unwrap();
                testing::assert_close(&chroma(&made.pixels), &chroma(&content), 1e-5, "chroma");
                let (luma, own) = (luma::grey(&made.pixels), luma::grey(&content));
                assert!(luma.data().iter().zip(own.data()).any(|(a, b)| (a - b).abs() > 0.01));
                assert!(made.last.total < made.first.total, "{render:?} {init:?}");
            }
        }
    }

    /// The mean step of luma from the last column to the first and from the last row to the first, over the mean step
    /// between neighbours.
    fn seam(pixels: &Pixels) -> f64 {
        let Size { height, width } = pixels.size();
        let grey = luma::grey(pixels);
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
            // Few steps: what a sum in another order rounds grows with each.
            let settings = Settings { padding: Padding::Wrap, render, size: 64, steps: 5, ..settings() };
            let made = |content: &Pixels| run(&stylizer(settings.clone()), content, 0).unwrap().pixels;
            testing::assert_close(made(&shifted(&content)).data(), shifted(&made(&content)).data(), 1e-2, "a shift");
        }
    }

    #[test]
    fn a_blend_lies_between_its_styles_and_with_the_share_1_it_is_one_of_them() {
        let stylizer = stylizer(Settings { steps: 20, ..settings() });
        let content: Picture = picture(40, 50, 6).into();
        let (a, b) =
            (stylizer.style(&picture(40, 60, 9).into()).unwrap(), stylizer.style(&picture(50, 40, 14).into()).unwrap());
        let mut bench = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
        let mut made =
            |style: &Style| stylizer.stylize(&mut bench, &content, style, 0, |_, _| ControlFlow::Continue(())).unwrap();
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

    /// A light sky over a textured ground.
    fn street(height: usize, width: usize, sky: [f32; 3], seed: u64) -> Pixels {
        let mut data = picture(height, width, seed).into_data();
        for (n, rgb) in data.chunks_exact_mut(3).enumerate().filter(|(n, _)| n / width * 5 < height * 2) {
            rgb.iter_mut().zip(sky).for_each(|(v, sky)| *v = sky - 0.001 * (n / width) as f32);
        }
        Pixels::new(Size { height, width }, data)
    }

    #[test]
    fn regions_and_weather_go_through_all_scales_and_blends_under_every_padding() {
        let content: Picture = street(108, 192, [0.85, 0.9, 0.95], 6).into();
        let style =
            [([0.7, 0.7, 0.75], 9), ([0.6, 0.55, 0.5], 12)].map(|(sky, seed)| street(90, 120, sky, seed).into());
        for (padding, regions) in [
            (Padding::Zero, RegionKind::Scene),
            (Padding::Replicate, RegionKind::Bands),
            (Padding::Wrap, RegionKind::Scene),
        ] {
            for init in [Init::Weather, Init::Colour] {
                let stylizer = stylizer(Settings {
                    size: 128,
                    steps: 12,
                    scales: Some(3),
                    render: Render::Pixels,
                    padding,
                    init,
                    regions: regions.clone(),
                    ..settings()
                });
                let [a, b] = style.each_ref().map(|style| stylizer.style(style).unwrap());
                let both = Style::blend(&[(&a, 0.6), (&b, 0.4)]);
                assert_eq!(both.colours.len(), a.colours.len());
                let mut bench = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
                let mut made = |style: &Style| {
                    stylizer.stylize(&mut bench, &content, style, 0, |_, _| ControlFlow::Continue(())).unwrap()
                };
                let (one, two) = (made(&a), made(&both));
                assert_eq!((one.evals, one.pixels.size()), (24, content.pixels.size()));
                assert!(one.last.total < one.first.total, "{padding:?} {init:?} {:?} {:?}", one.first, one.last);
                assert!(two.last.total < two.first.total && two.pixels != one.pixels, "{padding:?} {init:?}");
            }
        }
    }

    #[test]
    fn the_report_speaks_of_the_picture_with_the_snow_in_it() {
        let content = street(90, 160, [0.85, 0.9, 0.95], 6);
        let area = Area { left: 0.2, top: 0.5, right: 0.8, bottom: 0.9 };
        let picture = Picture { boxes: vec![area], ..content.clone().into() };
        let falling = settings::PrecipitationRange {
            kind: Some(precipitation::PrecipitationKind::Snow),
            density: 1.0.into(),
            ..settings::PrecipitationRange::default()
        };
        let stylizer = stylizer(Settings { falling, ..settings() });
        let style = stylizer.style(&street(60, 80, [0.6, 0.55, 0.5], 9).into()).unwrap();
        let mut bench = stylizer.evaluators(stylizer.working_size(content.size()));
        let made = stylizer.stylize(&mut bench, &picture, &style, 1, |_, _| ControlFlow::Continue(())).unwrap();
        let [report] = &made.guard.unwrap().boxes[..] else { panic!("one box") };
        let measured = figures::figures(&content, &made.pixels, &[area])[0];
        assert_eq!((report.edges, report.contrast), (measured.edges, measured.contrast));
    }

    #[test]
    fn kept_colours_stay_where_the_guard_eases_and_under_any_strength() {
        let content = street(72, 96, [0.85, 0.9, 0.95], 6);
        let chroma = |pixels: &Pixels| -> Vec<f32> {
            let grey = luma::grey(pixels);
            pixels.data().iter().zip(grey.data()).map(|(v, luma)| v - luma).collect()
        };
        let area = Area { left: 0.2, top: 0.5, right: 0.6, bottom: 0.9 };
        let picture = Picture { boxes: vec![area], ..content.clone().into() };
        for (render, init, chroma_of) in [
            (Render::Pixels, Init::Noise, Chroma::Style),
            (Render::Photoreal, Init::Weather, Chroma::Start),
            (Render::Photoreal, Init::Colour, Chroma::Style),
        ] {
            let strength = settings::Range { low: 0.6, high: 1.0 };
            let settings = Settings { render, init, chroma: chroma_of, strength, keep_colours: true, ..settings() };
            let stylizer = stylizer(settings);
            let style = stylizer.style(&street(60, 80, [0.6, 0.55, 0.5], 9).into()).unwrap();
            let mut bench = stylizer.evaluators(stylizer.working_size(content.size()));
            let made = stylizer.stylize(&mut bench, &picture, &style, 1, |_, _| ControlFlow::Continue(())).unwrap();
            testing::assert_close(&chroma(&made.pixels), &chroma(&content), 1e-5, "chroma");
            let eased = made.guard.unwrap().boxes.iter().any(|one| one.easing != guard::Easing::None);
            assert!(eased || init != Init::Noise, "noise hides an object");
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
        assert!(matches!(run(&stylizer, &picture(40, 50, 5), 0), Err(StylizeError::LossNotFinite)));
    }

    /// The contract of the two back ends: pictures within 2/255 on average, losses within 1 %.
    #[test]
    fn a_batch_on_tensors_makes_the_pictures_that_the_cpu_makes() {
        let everything = Settings {
            regions: RegionKind::Scene,
            init: Init::Weather,
            chroma: Chroma::Start,
            tv: 0.1,
            scales: Some(2),
            steps: 8,
            ..settings()
        };
        let adam = Settings { render: Render::Pixels, optimizer: Optimizer::Adam, ..settings() };
        let metric = Settings { render: Render::Pixels, steps: 8, ..settings() };
        // Where a grey start is cut off at black, all places of a pool are equal but for rounding, and so is its gradient's way.
        let pool = Pool::Avg;
        let tiles = Settings { padding: Padding::Wrap, keep_colours: true, pool, steps: 6, ..settings() };
        for settings in [Settings { steps: 12, ..settings() }, everything, adam, metric, tiles] {
            let backbone = Backbone::random([16; 5], loss::deepest_tap(&settings).unwrap());
            let tensors = Device::Tensors {
                device: candle_core::Device::Cpu,
                name: "cpu".into(),
                precision: tensors::Precision::F32,
                limit: Arc::new(batcher::BatchLimit::new(2, usize::MAX)),
            };
            let cpu = Stylizer::new(&backbone, settings.clone(), Isa::available()[0]).unwrap();
            let tensors = Stylizer::new(&backbone, settings, tensors).unwrap();
            std::thread::scope(|scope| {
                for seed in 1..4 {
                    let (cpu, tensors) = (&cpu, &tensors);
                    scope.spawn(move || {
                        let content = picture(40, 60, seed);
                        let [one, other] = [cpu, tensors].map(|stylizer| run(stylizer, &content, seed).unwrap());
                        let off = one.pixels.data().iter().zip(other.pixels.data()).map(|(a, b)| (a - b).abs() as f64);
                        let mean = off.sum::<f64>() / one.pixels.data().len() as f64;
                        assert!(mean < 2.0 / 255.0, "{mean}");
                        assert!(
                            (one.last.total / other.last.total - 1.0).abs() < 0.01,
                            "{:?} {:?}",
                            one.last,
                            other.last
                        );
                        assert_eq!(one.evals, other.evals);
                    });
                }
            });
        }
    }
}
