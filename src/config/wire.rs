//! The config as a text says it, key by key, each value with its place.
//!
//! The row of a key says its name, docs, kind with bounds, and default. The JSON Schema, `augment init` and the checks
//! of [`crate::config::draft`] all follow it.

use crate::config::keys::{Amount, Exposure, Named, Quality, Share, Weight, Wind, name_of};
use crate::config::kinds::{
    Choice, Classes, Condition, CountOrAuto, Flag, Fraction, Key, Layers, Number, Regions, Seed, SequenceRule, Span,
    Splits, Text, Whole,
};
use crate::config::values::{Config, OutputFormat, Pairing};
use crate::nst::Settings;
use crate::nst::layers::{Padding, Pool};
use crate::nst::render::precipitation::PrecipitationKind;
use crate::nst::settings::{Chroma, Init, Optimizer, Range, Render, SceneKind, Term, Weather};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use serde_yaml::Spanned;

/// A run of augment: which frames of a dataset become what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "augment config")]
pub(super) struct WireConfig {
    /// What the copies show; goes into file names. By default the config's own name.
    pub condition: Key<Condition>,
    /// Style references: folders or pictures, relative to this file; a folder shares its weight.
    #[schemars(with = "Vec<WireStyle>", length(min = 1))]
    pub styles: Option<Spanned<Vec<Spanned<WireStyle>>>>,
    /// random: weighted draw per frame. cycle: variants go through the styles in turn. blend: all styles in every
    /// picture, by their weights.
    #[schemars(extend("default" = name_of(&Config::defaults().pairing)))]
    pub pairing: Key<Choice<Pairing>>,
    /// Different styles drawn into one picture, with drawn shares.
    #[schemars(extend("default" = Config::defaults().mix))]
    pub mix: Key<Whole<u32, 1, 16>>,
    /// Stylized copies per frame.
    #[schemars(extend("default" = Config::defaults().variants))]
    pub variants: Key<Whole<u32, 1, 1000>>,
    /// Share of the frames that is stylized, above 0; or a share for each split, such as {train: 1, val: 0.2}.
    #[schemars(extend("default" = Config::defaults().fraction.other))]
    pub fraction: Key<Fraction>,
    /// Only frames whose labels hold objects of these classes are stylized.
    #[serde(rename = "where")]
    #[schemars(with = "WireSelection", transform = default_of_keys)]
    pub selection: Option<WireSelection>,
    /// Frames that share style, strength and all that is drawn. none: each is on its own. folder: those of one folder.
    /// Or a regular expression whose one group takes the sequence's name from the frame's path below the dataset.
    #[schemars(extend("default" = "none", "examples" = ["none", "folder", "(drive_[0-9]+)/"]))]
    pub sequence: Key<SequenceRule>,
    /// Splits that are stylized.
    #[schemars(extend("default" = names_of(&Config::defaults().splits)))]
    pub splits: Key<Splits>,
    /// Seed of the pairing, of drawn numbers and of noise.
    #[schemars(extend("default" = Config::defaults().seed))]
    pub seed: Key<Seed>,
    /// The files that are written.
    #[schemars(with = "WireOutput", transform = default_of_keys)]
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
    pub path: Key<Text>,
    /// Share of the random pairing and of the blend; a folder's pictures divide it.
    #[schemars(extend("default" = 1.0))]
    pub weight: Key<Number<Weight>>,
}

/// What the labels of a frame must hold, so that it is stylized.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireSelection {
    /// Names or ids of classes; without any, every frame is stylized.
    #[schemars(extend("default" = Vec::<u32>::new()))]
    pub classes: Key<Classes>,
    /// The least number of boxes of these classes, all together.
    #[schemars(extend("default" = Config::defaults().selection.at_least))]
    pub at_least: Key<Whole<u32, 1, 100_000>>,
}

/// The files that are written.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireOutput {
    /// Format of the new images; same: that of the source.
    #[schemars(extend("default" = name_of(&Config::defaults().format)))]
    pub format: Key<Choice<OutputFormat>>,
    /// Quality of JPEG, 1 to 100, or [low, high]: drawn for each frame.
    #[schemars(extend("default" = span(&Config::defaults().quality)))]
    pub quality: Key<Span<Quality>>,
}

/// How a frame is stylized.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireStylize {
    /// auto (environment, cache, builtin), builtin, or the path of a .safetensors file.
    #[schemars(extend("default" = "auto", "examples" = ["auto", "builtin"]))]
    pub backbone: Key<Text>,
    /// optimize: the optimizer makes every picture. learn: a student learns from some optimized frames and draws the
    /// pictures. Or the path of a student that `augment learn` wrote.
    #[schemars(extend("default" = "optimize", "examples" = ["optimize", "learn", "fog.student"]))]
    pub engine: Key<Text>,
    /// Long side in pixels that the optimizer works on; never enlarged.
    #[schemars(extend("default" = Settings::default().size))]
    pub size: Key<Whole<usize, 32, 4096>>,
    /// Evaluations of loss and gradient at the working size.
    #[schemars(extend("default" = Settings::default().steps))]
    pub steps: Key<Whole<usize, 0, 10_000>>,
    /// Sizes to optimize at, each half the next, 1 to 8. auto: photoreal 1, pixels down to 192.
    #[schemars(extend("default" = "auto"))]
    pub scales: Key<CountOrAuto<1, 8>>,
    /// How the pixels are updated.
    #[schemars(extend("default" = name_of(&Settings::default().optimizer)))]
    pub optimizer: Key<Choice<Optimizer>>,
    /// The picture to start from. colour: the frame in the style's colours. weather: the frame under the physics of
    /// `weather`, with the reference's numbers.
    #[schemars(extend("default" = name_of(&Settings::default().init)))]
    pub init: Key<Choice<Init>>,
    /// What `init: weather` means.
    #[schemars(extend("default" = name_of(&Settings::default().weather)))]
    pub weather: Key<Choice<Weather>>,
    /// What is matched with what. none: all with all. scene: sky with sky, ground with ground, plants with plants, the
    /// rest with the rest. bands: three soft horizontal bands. Or the names of masks, such as [sky, road].
    #[schemars(extend("default" = name_of(&Settings::default().regions)))]
    pub regions: Key<Regions>,
    /// What the result keeps of the frame: the maps of these layers of VGG19, relu1_1 to relu5_4.
    #[schemars(with = "WireTerm", extend("default" = term(Settings::default().content)))]
    pub content: Option<WireTerm>,
    /// What the result takes from the style: the Gram matrices of these layers.
    #[schemars(with = "WireTerm", extend("default" = term(Settings::default().style)))]
    pub style: Option<WireTerm>,
    /// Weight of the total variation.
    #[schemars(extend("default" = Settings::default().tv))]
    pub tv: Key<Number<Weight>>,
    /// Pools of the network: the maximum, as trained, or the mean, for smoother strokes.
    #[schemars(extend("default" = name_of(&Settings::default().pool)))]
    pub pool: Key<Choice<Pool>>,
    /// What convolutions read outside. zero: as trained. replicate: the border. wrap: results tile.
    #[schemars(extend("default" = name_of(&Settings::default().padding)))]
    pub padding: Key<Choice<Padding>>,
    /// photoreal: the original under local colour maps, edges stay. pixels: the optimized picture itself.
    #[schemars(extend("default" = name_of(&Settings::default().render)))]
    pub render: Key<Choice<Render>>,
    /// Colours of a photoreal render. style: the optimized picture's. start: its start's.
    #[schemars(extend("default" = name_of(&Settings::default().chroma)))]
    pub chroma: Key<Choice<Chroma>>,
    /// Share of the optimizer's texture that a photoreal render adds outside of labelled objects, or [low, high]: drawn
    /// for each frame.
    #[schemars(extend("default" = span(&Settings::default().residual)))]
    pub residual: Key<Span<Share>>,
    /// Blend between the original (0) and the result (1), or [low, high]: drawn for each frame.
    #[schemars(extend("default" = span(&Settings::default().strength)))]
    pub strength: Key<Span<Share>>,
    /// Keep labelled objects visible.
    #[schemars(extend("default" = Settings::default().guard))]
    pub guard: Key<Flag>,
    /// Only the luma is stylized, the original's chroma stays.
    #[schemars(extend("default" = Settings::default().keep_colours))]
    pub keep_colours: Key<Flag>,
    /// What frames show, for `effects`. auto: a road where there is a horizon, the ground from above where vehicles
    /// show it, else nothing that needs a ground.
    #[schemars(extend("default" = name_of(&Settings::default().scene)))]
    pub scene: Key<Choice<SceneKind>>,
    /// Weather and light on the surfaces of the frame, each 0 (off) or more, or [low, high]: drawn for each frame.
    #[schemars(with = "WireEffects", transform = default_of_keys)]
    pub effects: Option<WireEffects>,
    /// Rain or snow in the air; each number may be a range that is drawn from for each frame.
    #[schemars(with = "WirePrecipitation", transform = default_of_keys)]
    pub falling: Option<WirePrecipitation>,
}

/// Weather and light on the surfaces of the frame.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireEffects {
    /// White air: optical depth of 100 m.
    #[schemars(extend("default" = span(&Settings::default().effects.air)))]
    pub air: Key<Span<Amount>>,
    /// Share of the ground under snow, which then lies on plants and edges too.
    #[schemars(extend("default" = span(&Settings::default().effects.snow)))]
    pub snow: Key<Span<Share>>,
    /// How much of the snow the wheels have cleared.
    #[schemars(extend("default" = span(&Settings::default().effects.tracks)))]
    pub tracks: Key<Span<Share>>,
    /// Share of the vehicles with snow on their roofs.
    #[schemars(extend("default" = span(&Settings::default().effects.snowy_vehicles)))]
    pub snowy_vehicles: Key<Span<Share>>,
    /// How wet the ground is: darker, with mirror images.
    #[schemars(extend("default" = span(&Settings::default().effects.wet)))]
    pub wet: Key<Span<Share>>,
    /// Share of the wet ground under puddles.
    #[schemars(extend("default" = span(&Settings::default().effects.puddles)))]
    pub puddles: Key<Span<Share>>,
    /// Water that the wheels of vehicles throw up.
    #[schemars(extend("default" = span(&Settings::default().effects.spray)))]
    pub spray: Key<Span<Share>>,
    /// Share of the vehicles whose lamps are on.
    #[schemars(extend("default" = span(&Settings::default().effects.lamps)))]
    pub lamps: Key<Span<Share>>,
    /// Brightness of the camera car's headlamps on the road.
    #[schemars(extend("default" = span(&Settings::default().effects.headlamps)))]
    pub headlamps: Key<Span<Share>>,
    /// Street lamps along the road.
    #[schemars(extend("default" = span(&Settings::default().effects.street_lamps)))]
    pub street_lamps: Key<Span<Share>>,
    /// Share of the windows of façades that are lit.
    #[schemars(extend("default" = span(&Settings::default().effects.windows)))]
    pub windows: Key<Span<Share>>,
    /// Light of lamps that the lens scatters over the picture.
    #[schemars(extend("default" = span(&Settings::default().effects.glare)))]
    pub glare: Key<Span<Share>>,
    /// Drops on the lens.
    #[schemars(extend("default" = span(&Settings::default().effects.drops)))]
    pub drops: Key<Span<Share>>,
    /// Standard deviation of the sensor's noise, as a share of white.
    #[schemars(extend("default" = span(&Settings::default().effects.noise)))]
    pub noise: Key<Span<Share>>,
    /// Standard deviation of blur, in thousandths of the long side.
    #[schemars(extend("default" = span(&Settings::default().effects.blur)))]
    pub blur: Key<Span<Amount>>,
    /// Metres that the camera moves ahead in one exposure; what passes by is blurred.
    #[schemars(extend("default" = span(&Settings::default().effects.motion)))]
    pub motion: Key<Span<Amount>>,
    /// How far the sun's shadows on the ground are evened out.
    #[schemars(extend("default" = span(&Settings::default().effects.overcast)))]
    pub overcast: Key<Span<Share>>,
    /// Share of the picture that the camera shows as black; the rest is darker, too.
    #[schemars(extend("default" = span(&Settings::default().effects.black)))]
    pub black: Key<Span<Share>>,
}

/// Rain or snow in the air.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WirePrecipitation {
    /// What falls.
    #[schemars(extend("default" = name_of(&Settings::default().falling.kind)))]
    pub kind: Key<Choice<Option<PrecipitationKind>>>,
    /// From 0 to 1, a downpour or blizzard.
    #[schemars(extend("default" = span(&Settings::default().falling.density)))]
    pub density: Key<Span<Share>>,
    /// Metres per second, to the right.
    #[schemars(extend("default" = span(&Settings::default().falling.wind)))]
    pub wind: Key<Span<Wind>>,
    /// Seconds; the longer the longer the streaks.
    #[schemars(extend("default" = span(&Settings::default().falling.exposure)))]
    pub exposure: Key<Span<Exposure>>,
}

/// One side of the loss.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WireTerm {
    /// Weight in the total loss.
    pub weight: Key<Number<Weight>>,
    /// Layers of VGG19 and their relative weights.
    pub layers: Key<Layers>,
}

/// A range as a text would say it.
fn span(range: &Range) -> Value {
    if range.low == range.high { json!(range.low) } else { json!([range.low, range.high]) }
}

/// A term as a text would say it.
fn term(Term { weight, layers }: Term) -> Value {
    let layers: Map<String, Value> = layers.iter().map(|(tap, weight)| (tap.to_string(), json!(weight))).collect();
    json!({ "weight": weight, "layers": layers })
}

fn names_of<T: Named>(values: &[T]) -> Vec<&'static str> {
    values.iter().map(name_of).collect()
}

/// Gives a group of keys the defaults of its keys as its own default.
fn default_of_keys(group: &mut Schema) {
    let keys = group.get("properties").and_then(Value::as_object).into_iter().flatten();
    let defaults: Map<String, Value> = keys.map(|(key, schema)| (key.clone(), schema["default"].clone())).collect();
    group.insert("default".into(), defaults.into());
}
