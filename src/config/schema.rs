//! The config as JSON Schema, so that editors complete and check it.

use super::Rest;
use super::wire::{
    EXPOSURE, FORMATS, KINDS, NAME, Names, REGIONS, SCALES, SHARE, SPLITS, WEIGHT, WIND, WireConfig, name_of,
};
use crate::nst::settings::{Range, Settings, Tap, Term};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

/// What the schema is called where it lies beside a config.
pub const FILE_NAME: &str = "augment.schema.json";

/// The JSON Schema (draft 7, which every editor knows) of a config, each key with its description, bounds and default.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(tidy));
    let mut schema = settings.into_generator().into_root_schema_for::<WireConfig>().to_value();
    // People who open the file want to see first what it is.
    let mut root: Map<String, Value> =
        ["$schema", "title", "description"].map(|key| (key.to_string(), schema[key].take())).into_iter().collect();
    root.extend(schema.as_object().cloned().into_iter().flatten().filter(|(_, value)| !value.is_null()));
    root.into()
}

/// Takes out what only Rust means: line breaks of doc comments, widths of numbers, and the absence of a value.
fn tidy(schema: &mut Schema) {
    schema.remove("format");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// The text of the file [`FILE_NAME`].
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
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
    let Rest { format, quality, .. } = Rest::default();
    json!({ "format": name_of(&FORMATS, &format), "quality": quality })
}

pub(super) fn falling_default() -> Value {
    let falling = Settings::default().falling;
    let [density, wind, exposure] = [falling.density, falling.wind, falling.exposure].map(range_default);
    json!({ "kind": name_of(&KINDS, &falling.kind), "density": density, "wind": wind, "exposure": exposure })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    /// The program's answer to a config with one `key` of `block` set.
    fn takes(block: &str, key: &str, value: &Value) -> bool {
        let styles = concat!("styles: [{path: ", env!("CARGO_MANIFEST_DIR"), "/styles/fog}]\n");
        let set = if block.is_empty() { format!("{key}: {value}") } else { format!("{block}: {{{key}: {value}}}") };
        Config::parse(&format!("{styles}{set}\n"), Path::new("fog.yaml"), &[]).is_ok()
    }

    /// Every property below `schema` with the path of its block.
    fn properties(schema: &Value, block: &str) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        for (key, property) in schema["properties"].as_object().unwrap() {
            all.push((block.to_string(), key.clone(), property.clone()));
            if ["output", "stylize"].contains(&key.as_str()) {
                all.extend(properties(property, key));
            }
        }
        all
    }

    /// Values that the schema allows, and ones that it does not.
    fn examples(property: &Value) -> (Vec<Value>, Vec<Value>) {
        let (mut good, mut bad) = (Vec::new(), vec![json!({ "no such key": 1 })]);
        good.extend(property.get("default").cloned());
        if let Some(names) = property["enum"].as_array() {
            good.extend(names.iter().cloned());
            bad.push(json!("nonsense"));
        }
        if let Some(least) = property["minimum"].as_f64() {
            good.push(property["minimum"].clone());
            bad.push(json!(least - 1.0));
        }
        if let Some(most) = property["maximum"].as_f64() {
            good.push(property["maximum"].clone());
            bad.push(json!(most + 1.0));
        }
        bad.extend(property.get("exclusiveMinimum").cloned());
        for form in property["anyOf"].as_array().into_iter().flatten() {
            let (more, worse) = examples(form);
            good.extend(more);
            bad.extend(worse);
            good.extend(form.get("const").cloned());
            if let Some(number) = form["items"].get("minimum") {
                good.push(json!([number, number]));
                bad.push(json!([number]));
            }
        }
        (good, bad)
    }

    #[test]
    fn the_program_takes_what_the_schema_allows_and_nothing_else() {
        let (mut allowed, mut refused) = (0, 0);
        for (block, key, property) in properties(&schema(), "") {
            assert!(property["description"].is_string(), "{block} {key}");
            let (good, bad) = examples(&property);
            for value in &good {
                assert!(takes(&block, &key, value), "{block} {key}: {value}");
            }
            for value in &bad {
                assert!(!takes(&block, &key, value), "{block} {key}: {value}");
            }
            (allowed, refused) = (allowed + good.len(), refused + bad.len());
        }
        assert!(allowed > 60 && refused > 40, "{allowed} {refused}");
    }

    #[test]
    fn every_layer_of_a_term_is_known_to_both() {
        let layers = &schema()["properties"]["stylize"]["properties"]["style"]["properties"]["layers"];
        assert_eq!(layers["properties"].as_object().unwrap().len(), 16);
        for tap in layers["properties"].as_object().unwrap().keys() {
            assert!(takes("stylize", "style", &json!({ "layers": { tap: 1 } })), "{tap}");
        }
        assert_eq!(layers["additionalProperties"], false);
    }

    #[test]
    fn shipped_configs_name_the_schema_that_the_types_make() {
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let kept = std::fs::read_to_string(configs.join(FILE_NAME)).unwrap();
        assert_eq!(kept, schema_text(), "make it anew: augment schema > configs/{FILE_NAME}");
        let line = format!("# yaml-language-server: $schema={FILE_NAME}\n");
        let mut found = 0;
        for entry in std::fs::read_dir(configs).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                assert!(std::fs::read_to_string(&path).unwrap().starts_with(&line), "{}", path.display());
                found += 1;
            }
        }
        assert!(found >= 6, "{found} configs");
    }
}
