//! The config as JSON Schema, so that editors complete and check it.

use crate::config::wire::WireConfig;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value};

/// The schema's name where it lies beside a config.
pub const FILE_NAME: &str = "augment.schema.json";

/// The JSON Schema (draft 7, which every editor knows) of a config, each key with its description, bounds and default.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(clean_up));
    let mut schema = settings.into_generator().into_root_schema_for::<WireConfig>().to_value();
    // Title and description come first, for people who open the file.
    let mut root: Map<String, Value> =
        ["$schema", "title", "description"].map(|key| (key.to_string(), schema[key].take())).into_iter().collect();
    root.extend(schema.as_object().cloned().into_iter().flatten().filter(|(_, value)| !value.is_null()));
    root.into()
}

/// Joins the lines of doc comments, and removes the mark for a default where there is none.
fn clean_up(schema: &mut Schema) {
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

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::values::Config;
    use serde_json::json;
    use std::path::Path;

    /// The program's answer to a config with one `key` of `block` set.
    fn takes(block: &str, key: &str, value: &Value) -> bool {
        let styles = concat!("styles: [{path: ", env!("CARGO_MANIFEST_DIR"), "/styles/fog}]\n");
        // A number of boxes needs a class.
        let key = if key == "at_least" { "classes: [0], at_least" } else { key };
        let set = if block.is_empty() { format!("{key}: {value}") } else { format!("{block}: {{{key}: {value}}}") };
        Config::parse(&format!("{styles}{set}\n"), Path::new("fog.yaml"), &[]).is_ok()
    }

    /// Every property below `schema` with the path of its block.
    fn properties(schema: &Value, block: &str) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        for (key, property) in schema["properties"].as_object().unwrap() {
            all.push((block.to_string(), key.clone(), property.clone()));
            if ["output", "stylize", "where"].contains(&key.as_str()) {
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
