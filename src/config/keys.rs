//! The config's keys: names, bounds and choices, each said once.

use crate::config::values::{Defaults, OutputFormat, Pairing};
use crate::dataset::split::Split;
use crate::nst::Tap;
use crate::nst::layers::{Padding, Pool};
use crate::nst::render::precipitation::PrecipitationKind;
use crate::nst::settings::{Chroma, Init, Optimizer, Range, RegionKind, Render, Settings, Term, Weather};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
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

/// What a text may say, and the value that it stands for.
pub(super) type Names<T, const N: usize> = [(&'static str, T); N];

pub(super) fn name_of<T: PartialEq, const N: usize>(names: &Names<T, N>, value: &T) -> &'static str {
    names.iter().find(|(_, named)| named == value).map_or("", |&(name, _)| name)
}

pub(super) fn names<T, const N: usize>(names: &Names<T, N>) -> [&'static str; N] {
    names.each_ref().map(|&(name, _)| name)
}

pub(super) fn splits(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "enum": names(&SPLITS) }, "minItems": 1 })
}

pub(super) fn scales(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "const": "auto" },
        { "type": "integer", "minimum": SCALES.start(), "maximum": SCALES.end() },
    ] })
}

pub(super) fn regions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "enum": names(&REGIONS) },
        { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": NAME } },
    ] })
}

pub(super) fn layers(_: &mut SchemaGenerator) -> Schema {
    let weight = json!({ "type": "number", "minimum": WEIGHT.start(), "maximum": WEIGHT.end() });
    let taps: Map<String, Value> = Tap::all().map(|tap| (tap.to_string(), weight.clone())).collect();
    json_schema!({ "type": "object", "properties": taps, "additionalProperties": false })
}

pub(super) fn strength(_: &mut SchemaGenerator) -> Schema {
    span(SHARE)
}

pub(super) fn density(_: &mut SchemaGenerator) -> Schema {
    span(SHARE)
}

pub(super) fn wind(_: &mut SchemaGenerator) -> Schema {
    span(WIND)
}

pub(super) fn exposure(_: &mut SchemaGenerator) -> Schema {
    span(EXPOSURE)
}

/// A number, or a list of two.
fn span(range: RangeInclusive<f64>) -> Schema {
    let number = json!({ "type": "number", "minimum": range.start(), "maximum": range.end() });
    json_schema!({ "anyOf": [number, { "type": "array", "items": number, "minItems": 2, "maxItems": 2 }] })
}

pub(super) fn range_default(range: Range) -> Value {
    if range.low == range.high { json!(range.low) } else { json!([range.low, range.high]) }
}

pub(super) fn term_default(term: &Term) -> Value {
    let layers: Map<String, Value> = term.layers.iter().map(|(tap, weight)| (tap.to_string(), json!(weight))).collect();
    json!({ "weight": term.weight, "layers": layers })
}

pub(super) fn output_default() -> Value {
    let Defaults { format, quality, .. } = Defaults::default();
    json!({ "format": name_of(&FORMATS, &format), "quality": quality })
}

pub(super) fn falling_default() -> Value {
    let falling = Settings::default().falling;
    let [density, wind, exposure] = [falling.density, falling.wind, falling.exposure].map(range_default);
    json!({ "kind": name_of(&KINDS, &falling.kind), "density": density, "wind": wind, "exposure": exposure })
}
