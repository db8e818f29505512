//! Stylizes pictures with one backbone and one group of settings.
//!
//! - [`Stylizer`]: the network and its settings; [`Stylizer::stylize`] is the order of all steps
//! - [`Picture`]: what goes in; [`Stylized`]: what comes out
//! - [`Style`]: a style picture, measured once
//! - [`Evaluators`]: the memory of the optimizer for one working size
//! - `prepared`: a content with the effects on its surfaces
//! - `coarse_to_fine`: the optimization
//! - `rendering`: from the working size to the full one

mod coarse_to_fine;
mod evaluators;
mod input;
mod prepared;
mod rendering;
mod style;
#[cfg(test)]
mod testing;

use crate::nst::backend::Network;
use crate::nst::backend::device::Device;
use crate::nst::failure::StylizeError;
use crate::nst::kernels::simd::vectorized;
use crate::nst::loss::Loss;
use crate::nst::network::backbone::Backbone;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::{FrameSeed, Random};
use crate::nst::render::guard::GuardReport;
use crate::nst::render::precipitation;
use crate::nst::scene::regions::Layers;
use crate::nst::scene::surface::Surface;
use crate::nst::schedule::{self, Scale};
use crate::nst::settings::{SceneKind, Settings};
use crate::nst::start::Start;
use crate::nst::student::grid::Grid;
use crate::nst::student::lesson::{Lesson, LessonPictures};
use crate::nst::student::view::StudentView;
use crate::nst::student::{Prediction, Student};
use crate::nst::stylizer::coarse_to_fine::{CoarseToFine, Optimized};
use crate::nst::stylizer::input::network_input;
use crate::nst::stylizer::prepared::Prepared;
use crate::nst::stylizer::rendering::{PlainStart, Rendered, Renderer};
use std::ops::ControlFlow;
use std::sync::Arc;

pub use crate::nst::stylizer::coarse_to_fine::Losses;
pub use crate::nst::stylizer::evaluators::Evaluators;
pub use crate::nst::stylizer::input::Picture;
pub use crate::nst::stylizer::style::Style;

/// Stylizes pictures with one backbone and one group of settings.
pub struct Stylizer {
    /// `None` where nothing is optimized.
    network: Option<Network>,
    /// Draws what the optimizer would make, where it knows.
    student: Option<Arc<Student>>,
    settings: Settings,
}

/// A stylized picture and how it came about.
pub struct Stylized {
    /// At the size of the content. All values are finite, but they may leave 0..1.
    pub pixels: Pixels,
    /// Evaluations of loss and gradient that were used, at all scales.
    pub evals: usize,
    /// How the loss fell; `None` where nothing was optimized.
    pub losses: Option<Losses>,
    /// The blend that was drawn; see [`Settings::strength`].
    pub strength: f64,
    /// What became of the labelled objects; `None` where the guard is off or there are no objects.
    pub guard: Option<GuardReport>,
    /// What the picture was taken for; `None` if neither effects nor the guard had to know.
    pub scene: Option<SceneKind>,
    /// What the student said; `None` without one.
    pub student: Option<Judgement>,
}

/// What a student said of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// See [`Prediction::disagreement`](crate::nst::student::Prediction::disagreement).
    pub disagreement: f32,
    /// Whether its picture was taken; otherwise the optimizer made one.
    pub is_trusted: bool,
}

impl Stylizer {
    /// Prepares `backbone` for `device`.
    ///
    /// # Errors
    /// When the settings name a tap that the backbone does not reach, or no tap at all, or when the device refuses.
    pub fn new(backbone: &Backbone, settings: Settings, device: impl Into<Device>) -> Result<Self, String> {
        let network = Network::new(backbone, &settings, &device.into())?;
        Ok(Self { network: Some(network), student: None, settings })
    }

    /// Lets `student` draw the pictures that it knows; the optimizer makes the others.
    pub fn with_student(self, student: Option<Arc<Student>>) -> Self {
        Self { student, ..self }
    }

    pub fn has_student(&self) -> bool {
        self.student.is_some()
    }

    /// For settings with 0 steps: pictures are their starts, and no network is needed.
    ///
    /// # Panics
    /// When the settings ask for steps.
    pub fn without_network(settings: Settings) -> Self {
        assert_eq!(settings.steps, 0, "steps need a network");
        Self { network: None, student: None, settings }
    }

    /// The same network under other settings, which must name the same taps and pool.
    pub fn with(&self, settings: Settings) -> Self {
        Self { network: self.network.clone(), student: self.student.clone(), settings }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of pictures, optimized at `size`, that the device works on at once; `None` where it does not work in
    /// batches, and each picture has the threads that ask for it.
    pub fn batch(&self, size: Size) -> Option<usize> {
        self.network.as_ref()?.batch(size)
    }

    /// The size that a picture of `full` is optimized at.
    pub fn working_size(&self, full: Size) -> Size {
        self.settings.working_size(full)
    }

    /// The scales of a picture of the working size `size`.
    pub fn scales(&self, size: Size) -> Vec<Scale> {
        schedule::scales(&self.settings, size)
    }

    /// Allocates evaluators for pictures of the working size `size`.
    pub fn evaluators(&self, size: Size) -> Evaluators<'_> {
        Evaluators::new(self.network.as_ref(), &self.settings, size)
    }

    /// Measures a style picture, at the sizes that contents are optimized at.
    ///
    /// # Errors
    /// When the device refuses; see [`StylizeError`].
    pub fn style(&self, picture: &Picture) -> Result<Style, StylizeError> {
        Style::measure(self.network.as_ref(), &self.settings, picture)
    }

    /// Stylizes `content` with `evaluators` for its working size. `on_step(evaluation, loss)` is called after each
    /// evaluation and may end the work.
    ///
    /// The result depends on the arguments alone. `seed` decides what the settings leave to chance: the noise of
    /// [`Init::Noise`](crate::nst::settings::Init::Noise), the values of drawn settings within their ranges, and where
    /// particles of rain and snow are. A plain number is the seed of a picture that is in no sequence. With a place in
    /// a sequence, particles have moved on and the noise of the sensor is another; all else is as at place 0.
    ///
    /// # Errors
    /// See [`StylizeError`].
    ///
    /// # Panics
    /// When `evaluators` are for another size.
    pub fn stylize(
        &self,
        evaluators: &mut Evaluators,
        content: &Picture,
        style: &Style,
        seed: impl Into<FrameSeed>,
        on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<Stylized, StylizeError> {
        let frame_seed: FrameSeed = seed.into();
        let prepared = Prepared::of(&self.settings, content, frame_seed);
        let Prepared { frame, surface, .. } = &prepared;
        let small = prepared.layers(self.working_size(frame.size()));
        assert_eq!(small.pixels.size(), evaluators.size(), "evaluators are for one working size");
        let start = Start::of(&self.settings, &small, &style.reference, frame_seed.seed);
        let mut random = Random::new(frame_seed.seed);
        let strength = self.settings.strength.at(random.uniform());
        let precipitation = self.settings.falling.draw(|| random.uniform());
        let residual = self.settings.residual.at(random.uniform()) as f32;
        let renderer = self.renderer(frame, &small.pixels);
        let (judgement, prediction) = self.predicted(&small, &start, style)?.unzip();
        let rendered = match prediction.flatten() {
            Some(grid) => {
                let start = prepared.full_start(&start);
                let mut pixels = start.clone();
                grid.apply(&mut pixels, &network_input(&self.settings, frame));
                let plain = PlainStart::Full(renderer.coloured(start));
                Rendered { pixels: renderer.coloured(pixels), plain, evals: 0, losses: None }
            }
            None if self.settings.steps == 0 => {
                let pixels = renderer.coloured(prepared.full_start(&start));
                Rendered { pixels, plain: PlainStart::Result, evals: 0, losses: None }
            }
            None => {
                let optimized = CoarseToFine::new(&self.settings, &small, style, &start, on_step).run(evaluators)?;
                renderer.rendered(optimized, surface.as_ref().map(|surface| &surface.shapes), residual)?
            }
        };
        let Rendered { mut pixels, plain, evals, losses } = rendered;
        blend(&mut pixels, frame, strength as f32);
        checked(&pixels)?;
        let mut guard = prepared.protect(&mut pixels, start.extinction() > 0.0, || renderer.plain(plain))?;
        prepared.finish(&mut pixels, start.extinction());
        if let Some(precipitation) = precipitation {
            precipitation::add(&mut pixels, &precipitation, frame_seed);
        }
        checked(&pixels)?;
        // The report is about the final picture and whole boxes, with what falls in front of an object.
        guard.iter_mut().for_each(|report| report.measure(&content.pixels, &pixels));
        let scene = surface.as_ref().map(Surface::kind);
        Ok(Stylized { pixels, evals, losses, strength, guard, scene, student: judgement })
    }

    /// What brings pictures of the working size to that of `frame`. `small` is the network's input from it.
    fn renderer<'a>(&'a self, frame: &'a Pixels, small: &'a Pixels) -> Renderer<'a> {
        Renderer { settings: &self.settings, network: self.network.as_ref(), frame, small }
    }

    /// What the student says of the picture, and the maps that make it from its start if they are trusted; `None` without
    /// a student. `small` is at the working size.
    ///
    /// # Errors
    /// When memory is short.
    fn predicted(
        &self,
        small: &Layers,
        start: &Start,
        style: &Style,
    ) -> Result<Option<(Judgement, Option<Grid>)>, StylizeError> {
        let Some(student) = &self.student else { return Ok(None) };
        let start = start.draw(&self.settings, small);
        let view = StudentView::of(&small.pixels, &start, &style.code, self.settings.padding.wraps());
        let Prediction { grid, disagreement } =
            student.predict(&view).map_err(|error| StylizeError::Device(error.to_string()))?;
        // A disagreement that is not a number is not trusted.
        let is_trusted = disagreement <= student.gate();
        Ok(Some((Judgement { disagreement, is_trusted }, is_trusted.then_some(grid))))
    }

    /// Optimizes `content` for a student to learn from, as [`Stylizer::stylize`] does up to the render.
    ///
    /// # Errors
    /// See [`StylizeError`].
    ///
    /// # Panics
    /// When `evaluators` are for another size, or nothing is optimized.
    pub fn lesson(
        &self,
        evaluators: &mut Evaluators,
        content: &Picture,
        style: &Style,
        seed: impl Into<FrameSeed>,
        on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<Lesson, StylizeError> {
        let seed = seed.into();
        let prepared = Prepared::of(&self.settings, content, seed);
        let small = prepared.layers(self.working_size(prepared.frame.size()));
        let start = Start::of(&self.settings, &small, &style.reference, seed.seed);
        let optimized = CoarseToFine::new(&self.settings, &small, style, &start, on_step).run(evaluators)?;
        let Optimized { start, pixels: mut optimized, .. } = optimized;
        optimized.cut();
        let frame = small.pixels;
        let (rendered, _) = self.renderer(&frame, &frame).in_chroma(start.clone(), &optimized)?;
        checked(&rendered)?;
        let pictures = LessonPictures { frame, start, optimized: rendered };
        Ok(Lesson::new(pictures, &style.code, self.settings.padding.wraps()))
    }
}

/// # Errors
/// [`StylizeError::PixelsNotFinite`].
fn checked(pixels: &Pixels) -> Result<(), StylizeError> {
    if pixels.is_finite() { Ok(()) } else { Err(StylizeError::PixelsNotFinite) }
}

/// Blends `result` with `content`: at a strength of 1 it stays as it is, at 0 it becomes `content`.
fn blend(result: &mut Pixels, content: &Pixels, strength: f32) {
    let values = result.data_mut().iter_mut().zip(content.data());
    vectorized(
        #[inline(always)]
        || values.for_each(|(out, content)| *out = content + strength * (*out - content)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::backend::limit::BatchLimit;
    use crate::nst::effects::amounts::Effects;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::layers::{Padding, Pool, Tap};
    use crate::nst::network::tensors::Precision;
    use crate::nst::picture::geometry::Area;
    use crate::nst::picture::luma;
    use crate::nst::render::guard::figures::figures;
    use crate::nst::render::guard::{CONTRAST_FLOOR, Easing};
    use crate::nst::render::precipitation::PrecipitationKind;
    use crate::nst::scene::object::{ObjectKind, SceneObject};
    use crate::nst::settings::{Chroma, Init, Optimizer, PrecipitationRange, Range, RegionKind, Render, Term};
    use crate::nst::stylizer::testing::{picture, run, settings, street, stylizer};
    use crate::nst::{loss, testing};

    #[test]
    fn results_have_the_size_of_the_content_whatever_it_is() {
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
    fn without_steps_the_start_is_the_result_and_no_network_is_needed() {
        let content: Picture = street(60, 90, [0.6, 0.8, 1.0], 3).into();
        for init in [Init::Content, Init::Colour, Init::Weather] {
            let settings = Settings { init, steps: 0, regions: RegionKind::Scene, ..settings() };
            let stylizer = Stylizer::without_network(settings);
            let style = stylizer.style(&street(50, 70, [0.9, 0.7, 0.5], 8).into()).unwrap();
            let mut evaluators = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
            let mut made = || {
                let stop = |_, _| panic!("nothing is evaluated");
                stylizer.stylize(&mut evaluators, &content, &style, 5, stop).unwrap()
            };
            let one = made();
            assert_eq!((one.pixels.size(), one.evals, one.losses.is_none()), (content.pixels.size(), 0, true));
            assert_eq!(one.pixels == content.pixels, init == Init::Content);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            assert!(pool.install(&mut made).pixels == one.pixels, "threads");
        }
    }

    #[test]
    fn without_steps_the_result_is_close_to_that_of_one_evaluation() {
        let content = street(120, 180, [0.6, 0.8, 1.0], 3);
        for init in [Init::Colour, Init::Weather] {
            let settings = Settings { size: 180, ..settings() };
            let at = |steps| Settings { init, steps, regions: RegionKind::Scene, guard: false, ..settings.clone() };
            let style_picture = street(80, 120, [0.9, 0.7, 0.5], 8).into();
            let drawn = Stylizer::without_network(at(0));
            let mut evaluators = drawn.evaluators(drawn.working_size(content.size()));
            let style = drawn.style(&style_picture).unwrap();
            let stop = |_, _| ControlFlow::Continue(());
            let start = drawn.stylize(&mut evaluators, &content.clone().into(), &style, 0, stop).unwrap().pixels;
            let one = stylizer(at(1));
            let mut evaluators = one.evaluators(one.working_size(content.size()));
            let style = one.style(&style_picture).unwrap();
            let fitted = one.stylize(&mut evaluators, &content.clone().into(), &style, 0, stop).unwrap().pixels;
            let off = start.data().iter().zip(fitted.data()).map(|(a, b)| (a - b).abs()).sum::<f32>();
            assert!(off / (start.data().len() as f32) < 0.03, "{init:?}: {}", off / start.data().len() as f32);
        }
    }

    #[test]
    fn a_residual_adds_texture_outside_of_objects_alone() {
        let area = Area { left: 0.3, top: 0.3, right: 0.7, bottom: 0.8 };
        let objects = vec![SceneObject::new(area, ObjectKind::Other)];
        let content = Picture { objects, ..Picture::from(picture(60, 80, 4)) };
        let at = |residual: f64| {
            let stylizer = stylizer(Settings { residual: residual.into(), guard: false, ..settings() });
            let style = stylizer.style(&picture(60, 80, 9).into()).unwrap();
            let mut evaluators = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
            stylizer.stylize(&mut evaluators, &content, &style, 0, |_, _| ControlFlow::Continue(())).unwrap().pixels
        };
        let (none, all) = (at(0.0), at(1.0));
        let shapes = Surface::of(&content.pixels, &content.objects, SceneKind::Auto, None).shapes;
        let change = |inside: bool| {
            let picked = (0..shapes.data().len()).filter(|&n| match inside {
                true => shapes.data()[n] > 0.99,
                false => shapes.data()[n] < 0.01,
            });
            let changes: Vec<f32> = picked.map(|n| (all.data()[n * 3] - none.data()[n * 3]).abs()).collect();
            changes.iter().sum::<f32>() / changes.len() as f32
        };
        assert!(change(true) < 2e-3 && change(false) > 2e-3, "{} {}", change(true), change(false));
    }

    #[test]
    fn the_same_arguments_give_the_same_bits_and_the_seed_changes_only_noise() {
        let content = picture(40, 50, 3);
        let noise = stylizer(Settings { init: Init::Noise, render: Render::Pixels, ..settings() });
        let made = |seed| run(&noise, &content, seed).unwrap().pixels;
        assert!(made(1) == made(1) && made(1) != made(2));
        let colour = stylizer(settings());
        assert!(run(&colour, &content, 1).unwrap().pixels == run(&colour, &content, 2).unwrap().pixels);
    }

    #[test]
    fn amounts_of_effects_and_strength_are_drawn_apart() {
        let content: Picture = picture(20, 30, 3).into();
        let any = Range { low: 0.0, high: 1.0 };
        let effects = Effects { air: any, snow: any, ..Effects::default() };
        let stylizer = stylizer(Settings { strength: any, effects, ..settings() });
        for seed in 0..8 {
            let effects = Prepared::of(stylizer.settings(), &content, seed.into()).effects;
            let strength = run(&stylizer, &content.pixels, seed).unwrap().strength as f32;
            assert!([effects.air, effects.snow].iter().all(|amount| (amount - strength).abs() > 1e-4), "{seed}");
        }
    }

    /// Air in front of an object hides it as fog does.
    #[test]
    fn the_guard_keeps_objects_visible_in_any_air() {
        let mut pixels = street(90, 120, [0.9, 0.9, 0.9], 3);
        let area = Area { left: 0.4, top: 0.45, right: 0.6, bottom: 0.55 };
        let (rows, columns) = area.pixels(pixels.size());
        for y in rows {
            for x in columns.clone() {
                let v = if (x + y) % 2 == 0 { 0.2 } else { 0.6 };
                pixels.data_mut()[(y * 120 + x) * 3..][..3].fill(v);
            }
        }
        let objects = vec![SceneObject::new(area, ObjectKind::Car)];
        let content = Picture { objects, ..Picture::from(pixels) };
        let contrast = |guard: bool| {
            let effects = Effects { air: 8.0.into(), ..Effects::default() };
            let settings =
                Settings { init: Init::Content, steps: 0, scene: SceneKind::Road, guard, effects, ..settings() };
            let stylizer = Stylizer::without_network(settings);
            let style = stylizer.style(&picture(40, 60, 9).into()).unwrap();
            let mut evaluators = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
            let stop = |_, _| ControlFlow::Continue(());
            let made = stylizer.stylize(&mut evaluators, &content, &style, 1, stop).unwrap().pixels;
            figures(&content.pixels, &made, &[area])[0].contrast
        };
        let (without, with) = (contrast(false), contrast(true));
        assert!(without < 0.5 * CONTRAST_FLOOR && with >= CONTRAST_FLOOR, "{without} {with}");
    }

    #[test]
    fn at_place_0_of_a_sequence_a_picture_is_as_without_one_and_later_only_what_falls_has_moved() {
        let content = picture(60, 80, 3);
        let falling = PrecipitationRange { kind: Some(PrecipitationKind::Snow), ..PrecipitationRange::default() };
        let strength = Range { low: 0.2, high: 0.9 };
        let snow = stylizer(Settings { falling, strength, ..settings() });
        let clear = stylizer(Settings { strength, ..settings() });
        let at = |stylizer: &Stylizer, seed: FrameSeed| {
            let style = stylizer.style(&picture(40, 60, 9).into()).unwrap();
            let mut evaluators = stylizer.evaluators(stylizer.working_size(content.size()));
            stylizer.stylize(&mut evaluators, &content.clone().into(), &style, seed, |_, _| ControlFlow::Continue(()))
        };
        let place = |place| FrameSeed { seed: 7, place };
        let [first, second] = [0, 1].map(|n| at(&snow, place(n)).unwrap());
        assert!(first.pixels == run(&snow, &content, 7).unwrap().pixels);
        assert!(first.pixels != second.pixels && first.strength == second.strength);
        assert!(at(&clear, place(0)).unwrap().pixels == at(&clear, place(1)).unwrap().pixels);
    }

    #[test]
    fn kept_colours_are_those_of_the_content_while_luma_changes() {
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
                assert!(made.losses.unwrap().last.total < made.losses.unwrap().first.total, "{render:?} {init:?}");
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
    fn a_wrapped_result_tiles_without_a_seam_and_others_have_one() {
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
            // Few steps, since rounding errors of sums in another order grow with each.
            let settings = Settings { padding: Padding::Wrap, render, size: 64, steps: 5, ..settings() };
            let made = |content: &Pixels| run(&stylizer(settings.clone()), content, 0).unwrap().pixels;
            testing::assert_close(made(&shifted(&content)).data(), shifted(&made(&content)).data(), 1e-2, "a shift");
        }
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
                assert_eq!(both.reference.colours.len(), a.reference.colours.len());
                let mut evaluators = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
                let mut made = |style: &Style| {
                    stylizer.stylize(&mut evaluators, &content, style, 0, |_, _| ControlFlow::Continue(())).unwrap()
                };
                let (one, two) = (made(&a), made(&both));
                assert_eq!((one.evals, one.pixels.size()), (24, content.pixels.size()));
                assert!(
                    one.losses.unwrap().last.total < one.losses.unwrap().first.total,
                    "{padding:?} {init:?} {:?} {:?}",
                    one.losses.unwrap().first,
                    one.losses.unwrap().last
                );
                assert!(
                    two.losses.unwrap().last.total < two.losses.unwrap().first.total && two.pixels != one.pixels,
                    "{padding:?} {init:?}"
                );
            }
        }
    }

    #[test]
    fn the_report_is_about_the_picture_with_the_snow_in_it() {
        let content = street(90, 160, [0.85, 0.9, 0.95], 6);
        let area = Area { left: 0.2, top: 0.5, right: 0.8, bottom: 0.9 };
        let picture = Picture { objects: vec![SceneObject::new(area, ObjectKind::Other)], ..content.clone().into() };
        let falling = PrecipitationRange {
            kind: Some(PrecipitationKind::Snow),
            density: 1.0.into(),
            ..PrecipitationRange::default()
        };
        let stylizer = stylizer(Settings { falling, ..settings() });
        let style = stylizer.style(&street(60, 80, [0.6, 0.55, 0.5], 9).into()).unwrap();
        let mut evaluators = stylizer.evaluators(stylizer.working_size(content.size()));
        let made = stylizer.stylize(&mut evaluators, &picture, &style, 1, |_, _| ControlFlow::Continue(())).unwrap();
        let [report] = &made.guard.unwrap().boxes[..] else { panic!("one box") };
        let measured = figures(&content, &made.pixels, &[area])[0];
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
        let picture = Picture { objects: vec![SceneObject::new(area, ObjectKind::Other)], ..content.clone().into() };
        for (render, init, chroma_of) in [
            (Render::Pixels, Init::Noise, Chroma::Style),
            (Render::Photoreal, Init::Weather, Chroma::Start),
            (Render::Photoreal, Init::Colour, Chroma::Style),
        ] {
            let strength = Range { low: 0.6, high: 1.0 };
            let settings = Settings { render, init, chroma: chroma_of, strength, keep_colours: true, ..settings() };
            let stylizer = stylizer(settings);
            let style = stylizer.style(&street(60, 80, [0.6, 0.55, 0.5], 9).into()).unwrap();
            let mut evaluators = stylizer.evaluators(stylizer.working_size(content.size()));
            let made =
                stylizer.stylize(&mut evaluators, &picture, &style, 1, |_, _| ControlFlow::Continue(())).unwrap();
            testing::assert_close(&chroma(&made.pixels), &chroma(&content), 1e-5, "chroma");
            let eased = made.guard.unwrap().boxes.iter().any(|one| one.easing != Easing::None);
            assert!(eased || init != Init::Noise, "noise hides an object");
        }
    }

    #[test]
    fn the_loss_falls_under_both_optimizers() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let stylizer = stylizer(Settings { optimizer, steps: 15, ..settings() });
            let made = run(&stylizer, &picture(40, 50, 4), 0).unwrap();
            assert!(
                made.losses.unwrap().last.total < 0.9 * made.losses.unwrap().first.total,
                "{optimizer:?}: {:?} {:?}",
                made.losses.unwrap().first,
                made.losses.unwrap().last
            );
            assert_eq!(made.evals, 15);
        }
    }

    #[test]
    fn damaged_weights_give_an_error_and_never_a_picture() {
        let settings = settings();
        let deepest: Tap = "relu5_1".parse().unwrap();
        let damaged = Backbone::random([16; 5], deepest).with_first_bias(f32::NAN);
        let stylizer = Stylizer::new(&damaged, settings, Isa::available()[0]).unwrap();
        assert!(matches!(run(&stylizer, &picture(40, 50, 5), 0), Err(StylizeError::LossNotFinite)));
    }

    /// The contract of the two back ends: pictures within 2/255 on average, losses within 1 %.
    #[test]
    fn a_batch_on_tensors_gives_the_pictures_of_the_cpu() {
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
        let preconditioned = Settings { render: Render::Pixels, steps: 8, ..settings() };
        // Average pools: where a grey start is cut off at black, all values of a pool's window are equal except for
        // rounding, and rounding would decide which of them gets the gradient of a maximum.
        let pool = Pool::Avg;
        let tiles = Settings { padding: Padding::Wrap, keep_colours: true, pool, steps: 6, ..settings() };
        for settings in [Settings { steps: 12, ..settings() }, everything, adam, preconditioned, tiles] {
            let backbone = Backbone::random([16; 5], loss::deepest_tap(&settings).unwrap());
            let tensors = Device::Tensors {
                device: candle_core::Device::Cpu,
                name: "cpu".into(),
                precision: Precision::F32,
                limit: Arc::new(BatchLimit::new(2, usize::MAX)),
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
                            (one.losses.unwrap().last.total / other.losses.unwrap().last.total - 1.0).abs() < 0.01,
                            "{:?} {:?}",
                            one.losses.unwrap().last,
                            other.losses.unwrap().last
                        );
                        assert_eq!(one.evals, other.evals);
                    });
                }
            });
        }
    }
}
