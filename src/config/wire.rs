//! The config as its text says it, key by key, each value with its place; and what each key may be.
//!
//! The docs of the keys, their bounds, names and defaults are also what the JSON Schema and a new config say: they stand
//! here once. [`super::Draft`] checks values against the same bounds and names.

use crate::config::keys::{
    Names, density, exposure, falling_default, layers, name_of, names, output_default, range_default, regions, scales,
    splits, strength, term_default, wind,
};
use crate::config::values::{Defaults, OutputFormat, Pairing};
use crate::dataset::split::Split;
use crate::nst::Settings;
use crate::nst::layers::{Padding, Pool};
use crate::nst::render::precipitation::PrecipitationKind;
use crate::nst::settings::{Chroma, Init, Optimizer, RegionKind, Render, Weather};
use crate::yaml::{Pairs, Yaml};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::Spanned;
use std::ops::RangeInclusive;

pub(super) const SIZE: RangeInclusive<i64> = 32..=4096;

pub(super) const SCALES: RangeInclusive<i64> = 1..=8;

pub(super) const STEPS: RangeInclusive<i64> = 1..=10_000;

pub(super) const MIX: RangeInclusive<i64> = 1..=16;

pub(super) const VARIANTS: RangeInclusive<i64> = 1..=1000;

pub(super) const QUALITY: RangeInclusive<i64> = 1..=100;

pub(super) const WEIGHT: RangeInclusive<f64> = 0.0..=1e9;

pub(super) const SHARE: RangeInclusive<f64> = 0.0..=1.0;

pub(super) const WIND: RangeInclusive<f64> = -30.0..=30.0;

pub(super) const EXPOSURE: RangeInclusive<f64> = 0.0001..=0.1;

pub(super) const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

pub(super) const PAIRINGS: Names<Pairing, 3> =
    [("random", Pairing::Random), ("cycle", Pairing::Cycle), ("blend", Pairing::Blend)];

pub(super) const FORMATS: Names<OutputFormat, 3> =
    [("same", OutputFormat::Same), ("jpg", OutputFormat::Jpg), ("png", OutputFormat::Png)];

pub(super) const SPLITS: Names<Split, 3> = [("train", Split::Train), ("val", Split::Val), ("test", Split::Test)];

pub(super) const OPTIMIZERS: Names<Optimizer, 2> = [("lbfgs", Optimizer::Lbfgs), ("adam", Optimizer::Adam)];

pub(super) const INITS: Names<Init, 4> =
    [("colour", Init::Colour), ("content", Init::Content), ("noise", Init::Noise), ("weather", Init::Weather)];

pub(super) const WEATHERS: Names<Weather, 2> = [("fog", Weather::Fog), ("night", Weather::Night)];

pub(super) const REGIONS: Names<RegionKind, 3> =
    [("none", RegionKind::None), ("bands", RegionKind::Bands), ("scene", RegionKind::Scene)];

pub(super) const KINDS: Names<Option<PrecipitationKind>, 3> =
    [("none", None), ("rain", Some(PrecipitationKind::Rain)), ("snow", Some(PrecipitationKind::Snow))];

pub(super) const POOLS: Names<Pool, 2> = [("max", Pool::Max), ("avg", Pool::Avg)];

pub(super) const CHROMAS: Names<Chroma, 2> = [("style", Chroma::Style), ("start", Chroma::Start)];

pub(super) const PADDINGS: Names<Padding, 3> =
    [("zero", Padding::Zero), ("replicate", Padding::Replicate), ("wrap", Padding::Wrap)];

pub(super) const RENDERS: Names<Render, 2> = [("photoreal", Render::Photoreal), ("pixels", Render::Pixels)];

pub(super) type Value<T> = Option<Spanned<T>>;

/// A run of augment: which frames of a dataset become what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "augment config")]
pub(super) struct WireConfig {
    /// What the copies show; goes into file names. By default the config's own name.
    #[schemars(with = "String", extend("pattern" = NAME))]
    pub condition: Value<String>,
    /// Style references: folders or pictures, relative to this file; a folder shares its weight.
    #[schemars(with = "Vec<WireStyle>", length(min = 1))]
    pub styles: Value<Vec<Spanned<WireStyle>>>,
    /// random: weighted draw per frame. cycle: variants go through the styles in turn. blend: all styles in every
    /// picture, by their weights.
    #[schemars(with = "String", extend("enum" = names(&PAIRINGS), "default" = name_of(&PAIRINGS, &Defaults::default().pairing)))]
    pub pairing: Value<String>,
    /// Different styles drawn into one picture, with drawn shares.
    #[schemars(with = "i64", range(min = *MIX.start(), max = *MIX.end()), extend("default" = Defaults::default().mix))]
    pub mix: Value<i64>,
    /// Stylized copies per frame.
    #[schemars(with = "i64", range(min = *VARIANTS.start(), max = *VARIANTS.end()), extend("default" = Defaults::default().variants))]
    pub variants: Value<i64>,
    /// Share of the frames that is stylized, above 0.
    #[schemars(with = "f64", extend("exclusiveMinimum" = 0, "maximum" = 1, "default" = Defaults::default().fraction))]
    pub fraction: Value<f64>,
    /// Splits that are stylized.
    #[schemars(schema_with = "splits", extend("default" = ["train"]))]
    pub splits: Value<Vec<Spanned<String>>>,
    /// Seed of the pairing, of drawn numbers and of noise.
    #[schemars(with = "u64", extend("default" = Defaults::default().seed))]
    pub seed: Value<i128>,
    /// The files that are written.
    #[schemars(with = "WireOutput", extend("default" = output_default()))]
    pub output: Option<WireOutput>,
    /// How a frame is stylized.
    #[schemars(with = "WireStylize")]
    pub stylize: Option<WireStylize>,
}

/// A style picture, or a folder of them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
pub(super) struct WireStyle {
    /// A folder or a picture, relative to this file.
    #[schemars(with = "String")]
    pub path: Value<String>,
    /// Share of the random pairing and of the blend; a folder's pictures divide it.
    #[schemars(with = "f64", range(min = *WEIGHT.start(), max = *WEIGHT.end()), extend("default" = 1.0))]
    pub weight: Value<f64>,
}

/// The files that are written.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireOutput {
    /// Format of the new images; same: that of the source.
    #[schemars(with = "String", extend("enum" = names(&FORMATS), "default" = name_of(&FORMATS, &Defaults::default().format)))]
    pub format: Value<String>,
    /// Quality of JPEG.
    #[schemars(with = "i64", range(min = *QUALITY.start(), max = *QUALITY.end()), extend("default" = Defaults::default().quality))]
    pub quality: Value<i64>,
}

/// How a frame is stylized.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireStylize {
    /// auto (environment, cache, builtin), builtin, or the path of a .safetensors file.
    #[schemars(with = "String", extend("default" = "auto", "examples" = ["auto", "builtin"]))]
    pub backbone: Value<String>,
    /// Long side in pixels that the optimizer works on; never enlarged.
    #[schemars(with = "i64", range(min = *SIZE.start(), max = *SIZE.end()), extend("default" = Settings::default().size))]
    pub size: Value<i64>,
    /// Evaluations of loss and gradient at the working size.
    #[schemars(with = "i64", range(min = *STEPS.start(), max = *STEPS.end()), extend("default" = Settings::default().steps))]
    pub steps: Value<i64>,
    /// Sizes to optimize at, each half the next, 1 to 8. auto: photoreal 1, pixels down to 192.
    #[schemars(schema_with = "scales", extend("default" = "auto"))]
    pub scales: Value<Yaml>,
    /// How the pixels are updated.
    #[schemars(with = "String",
        extend("enum" = names(&OPTIMIZERS), "default" = name_of(&OPTIMIZERS, &Settings::default().optimizer)))]
    pub optimizer: Value<String>,
    /// The picture to start from. colour: the frame in the style's colours. weather: the frame under the physics of
    /// `weather`, with the reference's numbers.
    #[schemars(with = "String", extend("enum" = names(&INITS), "default" = name_of(&INITS, &Settings::default().init)))]
    pub init: Value<String>,
    /// What `init: weather` means.
    #[schemars(with = "String", extend("enum" = names(&WEATHERS), "default" = name_of(&WEATHERS, &Settings::default().weather)))]
    pub weather: Value<String>,
    /// What is matched with what. none: all with all. scene: sky with sky, the rest with the rest. bands: three soft
    /// horizontal bands. Or the names of masks, such as [sky, road].
    #[schemars(schema_with = "regions", extend("default" = name_of(&REGIONS, &Settings::default().regions)))]
    pub regions: Value<Yaml>,
    /// What the result keeps of the frame: the maps of these layers of VGG19, relu1_1 to relu5_4.
    #[schemars(with = "WireTerm", extend("default" = term_default(&Settings::default().content)))]
    pub content: Option<WireTerm>,
    /// What the result takes from the style: the Gram matrices of these layers.
    #[schemars(with = "WireTerm", extend("default" = term_default(&Settings::default().style)))]
    pub style: Option<WireTerm>,
    /// Weight of the total variation.
    #[schemars(with = "f64", range(min = *WEIGHT.start(), max = *WEIGHT.end()), extend("default" = Settings::default().tv))]
    pub tv: Value<f64>,
    /// Pools of the network: the maximum, as trained, or the mean, for smoother strokes.
    #[schemars(with = "String", extend("enum" = names(&POOLS), "default" = name_of(&POOLS, &Settings::default().pool)))]
    pub pool: Value<String>,
    /// What convolutions read outside. zero: as trained. replicate: the border. wrap: results tile.
    #[schemars(with = "String", extend("enum" = names(&PADDINGS), "default" = name_of(&PADDINGS, &Settings::default().padding)))]
    pub padding: Value<String>,
    /// photoreal: the original under local colour maps, edges stay. pixels: the optimized picture itself.
    #[schemars(with = "String", extend("enum" = names(&RENDERS), "default" = name_of(&RENDERS, &Settings::default().render)))]
    pub render: Value<String>,
    /// Colours of a photoreal render. style: the optimized picture's. start: its start's.
    #[schemars(with = "String", extend("enum" = names(&CHROMAS), "default" = name_of(&CHROMAS, &Settings::default().chroma)))]
    pub chroma: Value<String>,
    /// Blend between the original (0) and the result (1), or [low, high]: drawn for each frame.
    #[schemars(schema_with = "strength", extend("default" = range_default(Settings::default().strength)))]
    pub strength: Value<Yaml>,
    /// Keep labelled objects visible.
    #[schemars(with = "bool", extend("default" = Settings::default().guard))]
    pub guard: Value<bool>,
    /// Only the luma is stylized, the original's chroma stays.
    #[schemars(with = "bool", extend("default" = Settings::default().keep_colours))]
    pub keep_colours: Value<bool>,
    /// Rain or snow in the air; each number may be a range that is drawn from for each frame.
    #[schemars(with = "WirePrecipitation", extend("default" = falling_default()))]
    pub falling: Option<WirePrecipitation>,
}

/// Rain or snow in the air.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WirePrecipitation {
    /// What falls.
    #[schemars(with = "String", extend("enum" = names(&KINDS), "default" = name_of(&KINDS, &Settings::default().falling.kind)))]
    pub kind: Value<String>,
    /// From 0 to 1, a downpour or blizzard.
    #[schemars(schema_with = "density", extend("default" = range_default(Settings::default().falling.density)))]
    pub density: Value<Yaml>,
    /// Metres per second, to the right.
    #[schemars(schema_with = "wind", extend("default" = range_default(Settings::default().falling.wind)))]
    pub wind: Value<Yaml>,
    /// Seconds; the longer the longer the streaks.
    #[schemars(schema_with = "exposure", extend("default" = range_default(Settings::default().falling.exposure)))]
    pub exposure: Value<Yaml>,
}

/// One side of the loss.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireTerm {
    /// Weight in the total loss.
    #[schemars(with = "f64", range(min = *WEIGHT.start(), max = *WEIGHT.end()))]
    pub weight: Value<f64>,
    /// Layers of VGG19 and their relative weights.
    #[schemars(schema_with = "layers")]
    pub layers: Value<Pairs<Spanned<String>, Spanned<f64>>>,
}
