//! What one stylization is asked to do: plain validated values, no files and no YAML.

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
    /// The content, recoloured to the style's mean and covariance of RGB.
    Colour,
    /// The content as it is.
    Content,
    /// Seeded Gaussian noise.
    Noise,
    /// The content under the physics of [`Settings::weather`], with the reference's numbers.
    Weather,
}

/// A condition whose physics is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weather {
    /// Koschmieder's law: contrast falls with distance, air light takes its place.
    Fog,
    /// Less light, of another colour, and no sky that sheds it.
    Night,
}

/// The parts of a picture whose statistics are matched with each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionKind {
    /// The picture is one part.
    None,
    /// Three soft horizontal bands, for views with a horizon.
    Bands,
    /// The sky, where one is found, and the rest.
    Scene,
    /// Named masks beside the pictures, and the rest.
    Masks(Vec<String>),
}

/// A number that is drawn anew for each job, between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// `uniform` of 0..1 as a value between the bounds.
    pub fn at(self, uniform: f64) -> f64 {
        self.low + uniform * (self.high - self.low)
    }
}

/// What falls in front of the finished picture; see [`Precipitation`] for the units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrecipitationRange {
    pub kind: Option<PrecipitationKind>,
    pub density: Range,
    pub wind: Range,
    pub exposure: Range,
}

impl PrecipitationRange {
    /// One job's, by three `uniform` numbers of 0..1.
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
    /// A local affine map of the original's colours: edges stay where the labels say.
    Photoreal,
    /// The optimized pixels themselves, resized.
    Pixels,
}

/// Whose colours a photoreal render has; its light is always the optimized picture's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chroma {
    /// The optimized picture's own.
    Style,
    /// Those of the picture that the optimizer started from: Gram matrices know no place, and lend a wall the red of a
    /// tail lamp; the start's colours come from physics or from a whole region.
    Start,
}

/// One side of the loss: its weight and the taps that it is summed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Weight of this term in the total loss, finite and at least 0.
    pub weight: f64,
    /// Taps with their relative weights (finite, at least 0, sum above 0), from the pixels up.
    pub layers: Vec<(Tap, f64)>,
}

/// Everything that one stylization depends on besides its two pictures, the backbone and a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Long side in pixels that the optimizer works on; smaller pictures are never enlarged.
    pub size: usize,
    /// Evaluations of loss and gradient, at the working size.
    pub steps: usize,
    /// Sizes that the optimizer goes through, each half the next; `None`: as the render needs.
    pub scales: Option<usize>,
    pub optimizer: Optimizer,
    pub init: Init,
    /// What [`Init::Weather`] means.
    pub weather: Weather,
    pub regions: RegionKind,
    pub content: Term,
    pub style: Term,
    /// Weight of the total variation.
    pub tv: f64,
    pub pool: Pool,
    pub padding: Padding,
    pub render: Render,
    pub chroma: Chroma,
    /// Blend between the content (0) and the result (1).
    pub strength: Range,
    /// Whether labelled objects are kept visible.
    pub guard: bool,
    pub falling: PrecipitationRange,
    /// Whether only luma is stylized, and the content's chroma stays.
    pub keep_colours: bool,
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
            strength: Range::from(1.0),
            guard: true,
            falling: PrecipitationRange::default(),
            keep_colours: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_carry_the_names_and_places_of_torchvision() {
        let places: Vec<_> = ["relu1_1", "relu1_2", "relu2_1", "relu3_1", "relu4_2", "relu5_1", "relu5_4"]
            .iter()
            .map(|name| name.parse::<Tap>().unwrap())
            .map(|tap| (tap.index(), tap.torchvision_index()))
            .collect();
        assert_eq!(places, [(0, 0), (1, 2), (2, 5), (4, 10), (9, 21), (12, 28), (15, 34)]);
        assert_eq!(Tap::all().count(), 16);
        assert!("relu1_3".parse::<Tap>().is_err());
    }
}
