//! The config as its text says it, key by key, each value with its place.
//!
//! The docs of the keys, their bounds, names and defaults are also what the JSON Schema and a new config say: they stand
//! here and in [`super::keys`] once.

use crate::config::keys::{
    CHROMAS, FORMATS, INITS, KINDS, MIX, NAME, OPTIMIZERS, PADDINGS, PAIRINGS, POOLS, QUALITY, REGIONS, RENDERS, SIZE,
    STEPS, VARIANTS, WEATHERS, WEIGHT, density, exposure, falling_default, layers, name_of, names, output_default,
    range_default, regions, scales, splits, strength, term_default, wind,
};
use crate::config::values::Defaults;
use crate::nst::settings::Settings;
use crate::yaml::{Pairs, Yaml};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::Spanned;

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
