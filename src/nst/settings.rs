//! What one stylization is asked to do, as plain valid values.

use crate::nst::effects::amounts::Effects;
use crate::nst::layers::{Padding, Pool, Tap};
use crate::nst::render::precipitation::{Precipitation, PrecipitationKind};
use serde::{Deserialize, Serialize};

/// How the pixels are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Limited-memory BFGS (Nocedal and Wright 2006, algorithm 7.5).
    Lbfgs,
    /// Adam without weight decay (Kingma and Ba 2015).
    Adam,
}

/// The picture that the optimizer starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// The content, with the style's mean and covariance of RGB.
    Colour,
    /// The content as it is.
    Content,
    /// Seeded Gaussian noise.
    Noise,
    /// The content in the condition of [`Settings::weather`], with numbers measured on the style picture.
    Weather,
}

/// A condition that is rendered by its physics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weather {
    /// Koschmieder's law: with distance, contrast falls and air light grows.
    Fog,
    /// Less light, of another colour, and none from the sky.
    Night,
}

/// The regions of a picture. The statistics of each are matched with those of the same region of the style.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionKind {
    /// The whole picture is one region.
    None,
    /// Three soft horizontal bands, for views with a horizon.
    Bands,
    /// Sky, ground, plants and the rest, each where it is found.
    Scene,
    /// Masks of these names, and the rest.
    Masks(Vec<String>),
}

/// What a picture shows, which decides what effects can be drawn on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SceneKind {
    /// A road if the picture has a horizon, the ground from above if its vehicles show that, else no ground at all.
    Auto,
    /// A view over the ground towards the horizon.
    Road,
    /// A view of the ground from above.
    Aerial,
    /// No ground plane: nothing that needs one is drawn.
    None,
}

/// A number that is drawn for each picture, uniformly between two bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// The value between the bounds at `uniform`, 0..1.
    pub fn at(self, uniform: f64) -> f64 {
        self.low + uniform * (self.high - self.low)
    }
}

/// Rain or snow in front of the finished picture, with ranges to draw from; see [`Precipitation`] for the units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrecipitationRange {
    /// `None` where nothing falls.
    pub kind: Option<PrecipitationKind>,
    pub density: Range,
    pub wind: Range,
    pub exposure: Range,
}

impl PrecipitationRange {
    /// Draws the precipitation of one picture with three numbers in 0..1 from `uniform`.
    pub fn draw(&self, mut uniform: impl FnMut() -> f64) -> Option<Precipitation> {
        let Self { kind, density, wind, exposure } = *self;
        let [density, wind, exposure] = [density, wind, exposure].map(|range| range.at(uniform()));
        Some(Precipitation { kind: kind?, density, wind, exposure })
    }
}

impl Default for PrecipitationRange {
    fn default() -> Self {
        let range = |low: f64, high: f64| Range { low, high };
        Self { kind: None, density: range(0.3, 0.7), wind: range(-2.0, 2.0), exposure: range(0.004, 0.016) }
    }
}

impl From<f64> for Range {
    fn from(value: f64) -> Self {
        Self { low: value, high: value }
    }
}

/// How the optimized picture becomes the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Render {
    /// The original under an affine map of its colours that varies slowly, so that edges stay where the labels say.
    Photoreal,
    /// The optimized pixels themselves, resized.
    Pixels,
}

/// Where a photoreal render has its chroma from. Its luma is always the optimized picture's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chroma {
    /// From the optimized picture.
    Style,
    /// From the picture that the optimizer started from. Gram matrices hold no positions, so the optimizer may paint
    /// the red of a tail lamp on a wall; the start's colours come from physics or from a whole region.
    Start,
}

/// The content or the style term of the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Weight of this term in the total loss, finite and at least 0.
    pub weight: f64,
    /// Taps with their relative weights (finite, at least 0, sum above 0), from the pixels up.
    pub layers: Vec<(Tap, f64)>,
}

/// Everything that one stylization depends on, apart from its two pictures, the backbone and a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The long side, in pixels, of the picture that is optimized; smaller pictures are never enlarged.
    pub size: usize,
    /// Evaluations of loss and gradient at the working size.
    pub steps: usize,
    /// Sizes that the optimizer goes through, each half of the next; with `None` the render decides.
    pub scales: Option<usize>,
    pub optimizer: Optimizer,
    pub init: Init,
    /// The condition of [`Init::Weather`].
    pub weather: Weather,
    pub regions: RegionKind,
    pub content: Term,
    pub style: Term,
    /// Weight of the total variation in the loss, finite and at least 0.
    pub tv: f64,
    pub pool: Pool,
    pub padding: Padding,
    pub render: Render,
    pub chroma: Chroma,
    /// How much of the optimizer's texture, which the maps of [`Render::Photoreal`] leave out, is added outside of
    /// labelled objects, 0..1, drawn for each picture.
    pub residual: Range,
    /// Blend between the content (0) and the result (1), drawn for each picture.
    pub strength: Range,
    /// Whether labelled objects are kept visible.
    pub guard: bool,
    pub falling: PrecipitationRange,
    pub scene: SceneKind,
    /// Effects of weather and light on the surfaces of the picture.
    pub effects: Effects<Range>,
    /// Whether only luma is stylized and the content's chroma stays.
    pub keep_colours: bool,
}

impl Settings {
    /// Whether a ground plane is sought in each picture and an effect needs it.
    pub fn seeks_ground(&self) -> bool {
        self.scene == SceneKind::Auto && self.effects.map(|range| range.high as f32).needs_ground()
    }

    /// Whether regions or the start read the surfaces of pictures: their sky, ground, plants and distances.
    pub fn start_reads_surfaces(&self) -> bool {
        self.init == Init::Weather || self.regions == RegionKind::Scene
    }

    /// Whether anything reads the surfaces of pictures or their labelled objects.
    pub fn reads_surfaces(&self) -> bool {
        let effects = self.effects.map(|range| range.high as f32);
        self.guard || self.residual.high > 0.0 || effects.needs_surface() || self.start_reads_surfaces()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let taps = |names: &[(usize, usize)]| {
            names.iter().filter_map(|&(block, conv)| Some((Tap::new(block, conv)?, 1.0))).collect()
        };
        Self {
            size: 384,
            steps: 30,
            scales: None,
            optimizer: Optimizer::Lbfgs,
            init: Init::Colour,
            weather: Weather::Fog,
            regions: RegionKind::None,
            content: Term { weight: 1.0, layers: taps(&[(4, 2)]) },
            style: Term { weight: 10.0, layers: taps(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]) },
            tv: 0.0,
            pool: Pool::Max,
            padding: Padding::Zero,
            render: Render::Photoreal,
            chroma: Chroma::Style,
            residual: Range::default(),
            strength: Range::from(1.0),
            guard: true,
            falling: PrecipitationRange::default(),
            scene: SceneKind::Auto,
            effects: Effects::default(),
            keep_colours: false,
        }
    }
}
