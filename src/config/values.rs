//! The config's values, as the rest of the program sees them.

use crate::dataset::split::Split;
use crate::nst::Settings;
use crate::nst::settings::Range;
use std::path::PathBuf;

/// One validated run: which frames become what.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the copies show, as it goes into file names: 1 to 64 letters, digits, `_` and `-`.
    pub condition: String,
    /// Where the style pictures come from; at least one has a weight above 0.
    pub styles: Vec<StyleSource>,
    pub pairing: Pairing,
    /// Different styles in one picture, 1 to 16; 1 where the pairing blends them all.
    pub mix: u32,
    /// Stylized copies per frame, 1 to 1000.
    pub variants: u32,
    /// Share of the frames that is stylized, above 0 and at most 1.
    pub fraction: f64,
    /// The splits that are stylized, in the order train, val, test; at least one.
    pub splits: Vec<Split>,
    pub seed: u64,
    pub format: OutputFormat,
    /// JPEG quality, 1 to 100, drawn for each picture.
    pub quality: Range,
    pub backbone: BackboneChoice,
    pub stylize: Settings,
}

impl Config {
    /// Every key at its default. Condition and styles have none: they are empty, which no config may be.
    pub fn defaults() -> Self {
        Self {
            condition: String::new(),
            styles: Vec::new(),
            pairing: Pairing::Random,
            mix: 1,
            variants: 1,
            fraction: 1.0,
            splits: vec![Split::Train],
            seed: 0,
            format: OutputFormat::Same,
            quality: Range::from(95.0),
            backbone: BackboneChoice::Auto,
            stylize: Settings::default(),
        }
    }
}

/// A style picture, or a folder of them that shares one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleSource {
    /// Absolute; exists and is or holds an image.
    pub path: PathBuf,
    /// Relative share of the random pairing and of the blend, finite and at least 0.
    pub weight: f64,
}

/// How frames find their styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// A weighted draw per frame and variant.
    Random,
    /// The variants of one frame go through the styles in turn, from a drawn start; weights do not count.
    Cycle,
    /// All styles in every picture, by their weights.
    Blend,
}

/// The file format of the stylized images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// That of the source, by its extension.
    Same,
    Jpg,
    Png,
}

/// Where the backbone's weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackboneChoice {
    /// The first found of the environment, the cache and the built-in weights.
    Auto,
    /// The weights that come with the program.
    Builtin,
    /// This `.safetensors` file: absolute, exists.
    Path(PathBuf),
}
