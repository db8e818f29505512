//! The config's values, as the rest of the program sees them.

use crate::dataset::split::Split;
use crate::nst::Settings;
use std::path::PathBuf;

/// One validated run: which frames become what.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the copies show, as it goes into file names: letters, digits, `_` and `-`.
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
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    pub backbone: BackboneChoice,
    pub stylize: Settings,
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

/// Where the trunk's weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackboneChoice {
    /// The first found of the environment, the cache and the built-in bank.
    Auto,
    /// The filter bank that comes with the program.
    Builtin,
    /// This `.safetensors` file: absolute, exists.
    Path(PathBuf),
}

/// The keys that are complete as soon as they are read.
pub struct Defaults {
    pub(crate) pairing: Pairing,
    pub(crate) mix: u32,
    pub(crate) variants: u32,
    pub(crate) fraction: f64,
    pub(crate) splits: Vec<Split>,
    pub(crate) seed: u64,
    pub(crate) format: OutputFormat,
    pub(crate) quality: u8,
    pub(crate) stylize: Settings,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            pairing: Pairing::Random,
            mix: 1,
            variants: 1,
            fraction: 1.0,
            splits: vec![Split::Train],
            seed: 0,
            format: OutputFormat::Same,
            quality: 95,
            stylize: Settings::default(),
        }
    }
}
