//! The config's keys: names, bounds and choices, each said once.

use crate::config::values::Defaults;
use crate::config::wire::{EXPOSURE, FORMATS, KINDS, NAME, REGIONS, SCALES, SHARE, SPLITS, WEIGHT, WIND};
use crate::nst::settings::{Range, Term};
use crate::nst::{Settings, Tap};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

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

/// What a text may say, and the value that it stands for.
pub(super) type Names<T, const N: usize> = [(&'static str, T); N];

pub(super) fn name_of<T: PartialEq, const N: usize>(names: &Names<T, N>, value: &T) -> &'static str {
    names.iter().find(|(_, named)| named == value).map_or("", |&(name, _)| name)
}
