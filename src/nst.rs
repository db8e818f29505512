//! The engine: pixels in, pixels out. Nothing in here knows files, terminals or datasets.
//!
//! ```text
//! content ─ resize ─ scene ─ regions ─┬─ init ── optimize the pixels ──┬─ render ── blend ── guard ── rain, snow ── result
//!                                     └─ content target ─┘             │
//! style ─── resize ─ scene ─ regions ──── style target ──┘   original ─┘
//! ```
//!
//! [`pixels`] and [`plane`] are the pictures, [`scene`] and [`regions`] what is where in them, [`colour`] and [`weather`]
//! the start, [`vgg`] the network on the kernels of [`conv`], [`loss`] and [`optim`] the optimization, [`photoreal`] the
//! render, [`guard`] what keeps labelled objects visible, [`falling`] what falls in front of them, [`weights`] and
//! [`settings`] what is given.

pub mod aligned;
pub mod bars;
pub mod colour;
pub mod conv;
pub mod falling;
pub mod gram;
pub mod guard;
pub mod loss;
pub mod optim;
pub mod parallel;
pub mod photoreal;
pub mod pixels;
pub mod plane;
pub mod random;
pub mod regions;
pub mod scene;
pub mod settings;
pub mod simd;
pub mod sky;
mod sums;
#[cfg(test)]
mod testing;
pub mod vgg;
pub mod weather;
pub mod weights;

use colour::ColourStatistics;
use conv::Size;
use guard::{Area, Report};
use loss::{Evaluator, Guides, Loss, StyleTarget};
use photoreal::AffineField;
use pixels::{Pixels, working_size};
use plane::Plane;
use random::Random;
use regions::Regions;
use scene::Scene;
use settings::{Chroma, Init, RegionKind, Render, Settings};
use simd::Isa;
use std::fmt;
use std::time::Instant;
use vgg::{MIN_SIDE, Trunk};
use weather::Climate;
use weights::Backbone;

/// Stylizes pictures with one backbone and one group of settings.
pub struct Stylizer {
    trunk: Trunk,
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
    target: StyleTarget,
    /// By region.
    colours: Vec<ColourStatistics>,
    climate: Climate,
}

/// Room for pictures of one working size; made once and used for all of them.
pub struct Workbench<'a>(Evaluator<'a>);

impl Workbench<'_> {
    /// The mean wall time of an evaluation here, over `count` of them, on a grey picture.
    pub fn seconds_per_evaluation(&mut self, count: usize) -> f64 {
        let Self(evaluator) = self;
        let grey = vec![0.5; evaluator.size().pixels() * 3];
        let mut gradient = grey.clone();
        // The targets' forward passes warm up memory and caches.
        let guides = Guides::new(&Regions::whole(evaluator.size()));
        let (content, style) = (evaluator.content_target(&grey), evaluator.style_target(&grey, &guides));
        let begun = Instant::now();
        for _ in 0..count {
            evaluator.evaluate(&content, &style, &guides, &grey, &mut gradient);
        }
        begun.elapsed().as_secs_f64() / count as f64
    }
}

/// A stylized picture and how it came about.
pub struct Stylized {
    /// At the content's own size, finite, cut to 0..1 only on the way to 8 bits.
    pub pixels: Pixels,
    /// Evaluations of loss and gradient that were used.
    pub evals: usize,
    /// The loss of the start.
    pub first: Loss,
    /// The loss of the optimized picture, before it was cut to 0..1, rendered and blended.
    pub last: Loss,
    /// The blend that was drawn, see [`Settings::strength`].
    pub strength: f64,
    /// What became of the labelled objects; `None` where the guard is off.
    pub guard: Option<Report>,
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
        working_size(full, self.settings.size, MIN_SIDE)
    }

    /// Room for pictures that are optimized at `size`.
    pub fn workbench(&self, size: Size) -> Workbench<'_> {
        Workbench(Evaluator::new(&self.trunk, &self.settings, size))
    }

    /// Measures a style picture, at the size that contents are worked on.
    pub fn style(&self, picture: &Picture) -> Style {
        let small = picture.pixels.resized(self.working_size(picture.pixels.size()));
        let scene = self.scene(&small, picture);
        let regions = Regions::of_style(&self.settings.regions, small.size(), &scene, &picture.masks);
        let target = self.workbench(small.size()).0.style_target(small.data(), &Guides::new(&regions));
        let colours = regions.parts().flatten().map(|part| ColourStatistics::of(&small, part)).collect();
        Style { target, colours, climate: Climate::of(&small, &scene) }
    }

    /// What is where in `small`, if anything asks for it.
    fn scene(&self, small: &Pixels, picture: &Picture) -> Scene {
        if self.settings.init == Init::Weather || self.settings.regions == RegionKind::Scene {
            Scene::of(small, picture.depth.as_ref())
        } else {
            Scene::unknown(small.size())
        }
    }

    /// Stylizes `content`; `bench` is for its working size. `on_step(evaluation, loss)` hears of every evaluation.
    ///
    /// The result depends on the arguments alone. `seed` decides what the settings leave to chance: the noise of
    /// [`Init::Noise`] and where in their ranges drawn settings lie.
    ///
    /// # Errors
    /// See [`Failure`].
    ///
    /// # Panics
    /// When `bench` is for another size.
    pub fn stylize(
        &self,
        bench: &mut Workbench,
        content: &Picture,
        style: &Style,
        seed: u64,
        mut on_step: impl FnMut(usize, Loss),
    ) -> Result<Stylized, Failure> {
        let Workbench(evaluator) = bench;
        let small = content.pixels.resized(self.working_size(content.pixels.size()));
        assert_eq!(small.size(), evaluator.size(), "a workbench is for one working size");
        let scene = self.scene(&small, content);
        let regions = Regions::of(&self.settings.regions, small.size(), &scene, &content.masks);
        let guides = Guides::new(&regions);
        let target = evaluator.content_target(small.data());
        let start = self.start(&small, &scene, &regions, style, seed);
        let mut x = start.data().to_vec();
        let mut evals = 0;
        let (first, last) = optim::minimize(
            self.settings.optimizer,
            self.settings.steps,
            &mut x,
            |x, gradient| evaluator.evaluate(&target, &style.target, &guides, x, gradient),
            |step, loss| {
                evals = step;
                on_step(step, loss);
            },
        )
        .map_err(|optim::NotFinite| Failure::LossNotFinite)?;
        x.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let mut random = Random::new(seed);
        let strength = self.settings.strength.at(random.uniform());
        let falling = self.settings.falling.draw(|| random.uniform());
        let plain = self.render(&content.pixels, &small, &start);
        let mut pixels = self.render(&content.pixels, &small, &Pixels::new(small.size(), x));
        if (self.settings.render, self.settings.chroma) == (Render::Photoreal, Chroma::Start) {
            colour::take_chroma(&mut pixels, &plain);
        }
        blend(&mut pixels, &content.pixels, strength as f32);
        if !pixels.is_finite() {
            return Err(Failure::PixelsNotFinite);
        }
        let guard = (self.settings.guard && !content.boxes.is_empty()).then(|| {
            let stages = [&plain, &content.pixels].map(|stage| guard::relit(stage, &pixels));
            guard::protect(&content.pixels, stages.each_ref(), &mut pixels, &content.boxes)
        });
        if let Some(falling) = falling {
            falling::add(&mut pixels, &falling, seed);
        }
        Ok(Stylized { pixels, evals, first, last, strength, guard })
    }

    fn start(&self, content: &Pixels, scene: &Scene, regions: &Regions, style: &Style, seed: u64) -> Pixels {
        match self.settings.init {
            Init::Colour => colour::transfer(content, regions, &style.colours),
            Init::Content => content.clone(),
            Init::Noise => noise(content.size(), seed),
            Init::Weather => {
                let own = Climate::of(content, scene);
                weather::render(self.settings.weather, content, scene, &own, &style.climate)
            }
        }
    }

    /// Brings the optimized picture to the content's size.
    fn render(&self, content: &Pixels, small: &Pixels, optimized: &Pixels) -> Pixels {
        match self.settings.render {
            Render::Photoreal => {
                let mut out = content.clone();
                AffineField::fit(small, optimized).apply(&mut out);
                out
            }
            Render::Pixels => optimized.resized(content.size()),
        }
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
    use settings::{Optimizer, Tap};

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

    fn run(stylizer: &Stylizer, content: &Pixels, seed: u64) -> Result<Stylized, Failure> {
        let style = stylizer.style(&picture(40, 60, 9).into());
        let mut bench = stylizer.workbench(stylizer.working_size(content.size()));
        stylizer.stylize(&mut bench, &content.clone().into(), &style, seed, |_, _| {})
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
