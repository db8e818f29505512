//! Reads YAML into typed or untyped values, with errors that name line and column.

use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_yaml::{Error, MessageFormatter, UserMessageFormatter};
use std::fmt;

/// Why a text could not be read as the expected YAML.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Line and column, both from 1, if they are known.
    pub at: Option<(u64, u64)>,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Reads one YAML document. Duplicate keys are errors, and only `true` and `false` are booleans (YAML 1.2).
///
/// # Errors
/// A [`Fault`] if the text is not YAML or does not describe a `T`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let options = serde_yaml::options! { with_snippet: false, strict_booleans: true };
    serde_yaml::from_str_with_options(text, options).map_err(|error| Fault::from(&error))
}

/// The candidate closest to the misspelt `name`; `None` if none is close. Candidates are in lower case; the case of
/// `name` does not matter.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    // A name with more than half of its letters wrong is another word.
    let tolerance = name.chars().count().div_ceil(2).min(4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|&(distance, _)| distance <= tolerance)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean ...?" if one of `known` is close to `name`, else the list of `known`.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!(
            "one of {} was expected",
            known.into_iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        let at = error.location().map(|location| (location.line(), location.column()));
        let error = match error {
            Error::AliasError { error, .. } => error,
            other => other,
        };
        let (message, help) = match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                (format!("unknown key `{field}`"), Some(suggest(field, expected.iter().copied())))
            }
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                (format!("the key `{key}` is there twice"), Some("keep one of the two".into()))
            }
            Error::Unexpected { expected, .. } | Error::InvalidScalar { ty: expected, .. } => {
                let example = "write it in brackets, such as `[train, val]` or `[{path: ../styles/fog}]`";
                let is_list = *expected == "sequence start";
                (format!("{} was expected", kind(expected)), is_list.then(|| example.to_string()))
            }
            other => (UserMessageFormatter.format_message(other).into_owned(), None),
        };
        Self { at, message, help }
    }
}

/// A name for users, where `word` is the parser's name of a type.
fn kind(word: &str) -> &str {
    match word {
        "sequence start" => "a list",
        "mapping start" => "a mapping",
        "string scalar" => "a text",
        "i64" | "i128" => "a whole number",
        "f64" => "a number",
        other => other,
    }
}

/// Any YAML value, with mappings in the order of the text. `Display` prints YAML on one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(Yaml, Yaml)>),
}

impl Yaml {
    /// The value of `key`, if this is a mapping with this key.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| matches!(name, Self::Text(name) if name == key)).map(|(_, value)| value)
    }

    /// The text, if this is one.
    pub fn text(&self) -> Option<&str> {
        let Self::Text(text) = self else { return None };
        Some(text)
    }
}

impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&float(*value)),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The number in a form that readers of YAML 1.1 and 1.2 take for a floating-point number.
fn float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_string();
    }
    // Debug keeps the decimal point: without it, 1.0 would be read back as a whole number.
    let text = format!("{value:?}");
    // YAML 1.1 demands the point and the sign of the exponent.
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

/// The text as a double-quoted YAML scalar: JSON's escapes are a subset of YAML's.
pub fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    // JSON leaves these as they are, and YAML does not allow them or takes them for line breaks.
    let is_special =
        |c: char| matches!(c, '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(is_special) {
        return json;
    }
    json.chars().fold(String::new(), |text, c| match is_special(c) {
        true => format!("{text}\\u{:04x}", c as u32),
        false => format!("{text}{c}"),
    })
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Yaml::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Yaml::Map(pairs))
    }
}

/// A mapping as a list of pairs. It keeps the order and, with [`serde_yaml::Spanned`] keys, the position of each key.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pairs<K, V>(pub Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Pairs<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<K, V>(std::marker::PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Collect<K, V> {
            type Value = Pairs<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_printed_and_read_again_is_the_same_value() {
        let text = "names: {0: person, 1: 'yes', 10: \"a: b\"}\nkpt_shape: [17, 3]\nx: 1.0\nb: true\nn: ~\n";
        let value: Yaml = parse(text).unwrap();
        let printed = value.to_string();
        assert_eq!(parse::<Yaml>(&printed).unwrap(), value, "{printed}");
        assert!(printed.contains(r#"{0: "person", 1: "yes", 10: "a: b"}"#), "{printed}");
        assert!(printed.contains(r#""x": 1.0"#), "{printed}");
    }

    #[test]
    fn names_that_look_like_yaml_1_1_booleans_stay_names() {
        assert_eq!(
            parse::<Yaml>("[no, on]").unwrap(),
            Yaml::List(vec![Yaml::Text("no".into()), Yaml::Text("on".into())])
        );
    }

    #[test]
    fn a_duplicate_key_is_an_error_with_its_place() {
        let fault = parse::<Yaml>("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(fault.at, Some((3, 1)));
        assert!(fault.message.contains("`a`"), "{fault:?}");
    }

    #[test]
    fn the_nearest_name_is_near_or_nothing() {
        assert_eq!(nearest("stpes", ["size", "steps"]), Some("steps"));
        assert_eq!(nearest("LBFGS", ["adam", "lbfgs"]), Some("lbfgs"));
        assert_eq!(nearest("zzzzzz", ["size", "steps"]), None);
    }
}
