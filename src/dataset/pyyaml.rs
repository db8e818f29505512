//! Reads YAML as PyYAML does, which is what Ultralytics reads a `data.yaml` with, and keeps the place of every value.
//!
//! PyYAML follows YAML 1.1: `no` is a boolean, `010` is 8, `12:30` is 750, but `08` and `1e3` are texts. Unlike PyYAML,
//! a key that stands twice in one mapping is an error here. Dates stay texts.

use crate::yaml::{Fault, Yaml};
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use std::collections::{HashMap, HashSet};

/// Nodes up to which aliases are followed: a few lines of them can stand for billions.
const MOST_NODES: usize = 1_000_000;

/// The tags of YAML itself.
const CORE: &str = "tag:yaml.org,2002:";

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    pub content: Content,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Neither a list nor a mapping.
    Scalar(Yaml),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value without places.
    pub fn value(&self) -> Yaml {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Yaml::List(items.iter().map(Self::value).collect()),
            Content::Map(pairs) => Yaml::Map(pairs.iter().map(|(key, value)| (key.value(), value.value())).collect()),
        }
    }

    /// The key and value of the entry `key`, if this is a mapping with this key.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let Content::Map(pairs) = &self.content else { return None };
        pairs.iter().find(|(name, _)| name.text() == Some(key)).map(|(key, value)| (key, value))
    }

    /// The text, if this is one.
    pub fn text(&self) -> Option<&str> {
        let Content::Scalar(value) = &self.content else { return None };
        value.text()
    }

    /// All nodes, this one first.
    pub fn all(&self) -> Vec<&Node> {
        let mut nodes = vec![self];
        match &self.content {
            Content::Scalar(_) => {}
            Content::List(items) => nodes.extend(items.iter().flat_map(Self::all)),
            Content::Map(pairs) => {
                nodes.extend(pairs.iter().flat_map(|(key, value)| [key.all(), value.all()].concat()))
            }
        }
        nodes
    }
}

/// Python's `str` of a value that is neither a list nor a mapping; that is how Ultralytics makes names of classes.
pub fn python_text(value: &Yaml) -> String {
    match value {
        Yaml::Null => "None".to_string(),
        Yaml::Bool(true) => "True".to_string(),
        Yaml::Bool(false) => "False".to_string(),
        Yaml::Float(value) => python_float(*value),
        Yaml::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

fn python_float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    // Both languages print the shortest digits that come back, and change to exponents at the same sizes.
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Reads the only document of `text`; an empty text is null.
///
/// # Errors
/// A [`Fault`] if the text is not YAML.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let options = granit_parser::options! { emit_comments: false };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, anchors: HashMap::new(), nodes: 0 };
    let mut document = None;
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(..) if document.is_some() => {
                return Err(fault(span.start, "a second document begins; one was expected"));
            }
            Event::DocumentStart(..) => {}
            event => document = Some(builder.node(event, span)?.0),
        }
    }
    Ok(document.unwrap_or(Node { line: 1, column: 1, content: Content::Scalar(Yaml::Null) }))
}

fn fault(at: Marker, message: impl Into<String>) -> Fault {
    Fault { at: Some((at.line() as u64, at.col() as u64 + 1)), message: message.into(), help: None }
}

struct Builder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    /// How many nodes there are so far, with those behind aliases.
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Fault> {
        let next = self.parser.next_event().transpose();
        next.map_err(|error| fault(*error.marker(), error.info()))
    }

    fn expect(&mut self) -> Result<(Event<'t>, Span), Fault> {
        let end = Fault { at: None, message: "the text ends too early".to_string(), help: None };
        self.next()?.ok_or(end)
    }

    /// The node that begins with this event, and whether it is a key that merges mappings.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<(Node, bool), Fault> {
        self.count(1, span)?;
        let at = |content| Node { line: span.start.line(), column: span.start.col() + 1, content };
        let mut merges = false;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                merges = style == ScalarStyle::Plain && text == "<<";
                let value = scalar(&text, style == ScalarStyle::Plain, tag.as_deref());
                (Content::Scalar(value.map_err(|message| fault(span.start, message))?), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (Content::List(self.items()?), anchor),
            Event::MappingStart(_, anchor, _) => (Content::Map(self.pairs()?), anchor),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault(span.start, "this alias stands inside of what it stands for"));
                };
                self.count(node.all().len(), span)?;
                (node.content, 0)
            }
            _ => return Err(fault(span.start, "a value was expected")),
        };
        let node = at(content);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok((node, merges))
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            return Err(fault(span.start, format!("there are more than {MOST_NODES} values")));
        }
        Ok(())
    }

    fn items(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.expect()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?.0),
            }
        }
    }

    fn pairs(&mut self) -> Result<Vec<(Node, Node)>, Fault> {
        let (mut pairs, mut merged, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        loop {
            let (event, span) = self.expect()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let (key, merges) = self.node(event, span)?;
            let (event, value_span) = self.expect()?;
            let value = self.node(event, value_span)?.0;
            if merges {
                merged.extend(mappings(value)?);
            } else if seen.insert(key.value().to_string()) {
                pairs.push((key, value));
            } else {
                let message = format!("the key `{}` is there twice; keep one of the two", python_text(&key.value()));
                return Err(fault(span.start, message));
            }
        }
        // Own keys win over merged ones, and earlier merged ones over later ones.
        merged.retain(|(key, _)| seen.insert(key.value().to_string()));
        merged.append(&mut pairs);
        Ok(merged)
    }
}

/// The pairs that a merge key takes in.
fn mappings(value: Node) -> Result<Vec<(Node, Node)>, Fault> {
    let (line, column) = (value.line as u64, value.column as u64);
    match value.content {
        Content::Map(pairs) => Ok(pairs),
        Content::List(items) => Ok(items.into_iter().map(mappings).collect::<Result<Vec<_>, _>>()?.concat()),
        Content::Scalar(_) => {
            Err(Fault { at: Some((line, column)), message: "`<<` takes a mapping".to_string(), help: None })
        }
    }
}

/// A scalar by its tag, or by its form.
fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Result<Yaml, String> {
    let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
    match tag.as_deref() {
        None if plain => Ok(resolve(text)),
        None | Some("!") => Ok(Yaml::Text(text.to_string())),
        Some(tag) => match tag.strip_prefix(CORE) {
            Some("str") => Ok(Yaml::Text(text.to_string())),
            Some("bool" | "int" | "float" | "null") => Ok(resolve(text)),
            _ => Err(format!("the tag `{tag}` is not known")),
        },
    }
}

/// The value of a scalar without quotes and tag.
fn resolve(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Yaml::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Yaml::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Yaml::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Yaml::Float(f64::NAN),
        _ => {}
    }
    let number = float(text).map(Yaml::Float).or_else(|| integer(text).map(Yaml::Int));
    number.unwrap_or_else(|| Yaml::Text(text.to_string()))
}

/// Without its sign, and whether that is a minus.
fn unsigned(text: &str) -> (&str, bool) {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    (bare, text.starts_with('-'))
}

fn all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// Digits and underscores that begin with a digit.
fn digits(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && all(text, |c| c.is_ascii_digit() || c == '_')
}

fn integer(text: &str) -> Option<i128> {
    let (bare, minus) = unsigned(text);
    let plain = bare.replace('_', "");
    let value = if let Some(rest) = bare.strip_prefix("0b").filter(|rest| all(rest, |c| "01_".contains(c))) {
        i128::from_str_radix(&rest.replace('_', ""), 2).ok()?
    } else if let Some(rest) = bare.strip_prefix("0x").filter(|rest| all(rest, |c| c.is_ascii_hexdigit() || c == '_')) {
        i128::from_str_radix(&rest.replace('_', ""), 16).ok()?
    } else if bare.starts_with('0') && all(bare, |c| ('0'..='7').contains(&c) || c == '_') {
        i128::from_str_radix(&plain, 8).ok()?
    } else if !bare.starts_with('0') && digits(bare) {
        plain.parse().ok()?
    } else {
        let (first, rest) = bare.split_once(':').filter(|(first, _)| digits(first) && !first.starts_with('0'))?;
        rest.split(':').try_fold(first.replace('_', "").parse::<i128>().ok()?, |sum, part| {
            sum.checked_mul(60)?.checked_add(i128::from(sixtieth(part)?))
        })?
    };
    Some(if minus { -value } else { value })
}

/// A part of a number to the base 60.
fn sixtieth(part: &str) -> Option<u8> {
    let fits = all(part, |c| c.is_ascii_digit()) && part.len() <= 2;
    part.parse().ok().filter(|&value: &u8| fits && value < 60)
}

fn float(text: &str) -> Option<f64> {
    let (bare, minus) = unsigned(text);
    let sign = if minus { -1.0 } else { 1.0 };
    if matches!(bare, ".inf" | ".Inf" | ".INF") {
        return Some(sign * f64::INFINITY);
    }
    let (whole, rest) = bare.split_once('.')?;
    if let Some((first, parts)) = whole.split_once(':') {
        let fraction = if rest.is_empty() { Some(0.0) } else { format!("0.{}", rest.replace('_', "")).parse().ok() };
        let is_fraction = rest.chars().all(|c| c.is_ascii_digit() || c == '_');
        let start = digits(first).then(|| first.replace('_', "").parse::<f64>().ok()).flatten()?;
        let value = parts.split(':').try_fold(start, |sum, part| Some(sum * 60.0 + f64::from(sixtieth(part)?)))?;
        return Some(sign * (value + fraction.filter(|_| is_fraction)?));
    }
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    // An exponent needs its sign: `1.5e3` is a text.
    let is_exponent = |text: &str| text.starts_with(['+', '-']) && all(&text[1..], |c| c.is_ascii_digit());
    let is_float = match whole {
        "" => bare == text && digits(fraction),
        _ => digits(whole) && fraction.chars().all(|c| c.is_ascii_digit() || c == '_'),
    };
    (is_float && exponent.is_none_or(is_exponent))
        .then(|| bare.replace('_', "").parse().ok())
        .flatten()
        .map(|v: f64| sign * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Yaml {
        parse(&format!("a: {text}\n")).unwrap().value().get("a").unwrap().clone()
    }

    #[test]
    fn scalars_have_the_types_and_texts_of_pyyaml() {
        // Both columns are what PyYAML 6.0 prints: the type, and `str` of the value.
        for (text, kind, expected) in [
            ("08", "str", "08"),
            ("07", "int", "7"),
            ("'07'", "str", "07"),
            ("010", "int", "8"),
            ("0o7", "str", "0o7"),
            ("0777", "int", "511"),
            ("00", "int", "0"),
            ("-07", "int", "-7"),
            ("0x10", "int", "16"),
            ("0x", "str", "0x"),
            ("0b11", "int", "3"),
            ("-0b1", "int", "-1"),
            ("1_000", "int", "1000"),
            ("1__0", "int", "10"),
            ("1,000", "str", "1,000"),
            ("+1", "int", "1"),
            ("12:30", "int", "750"),
            ("12:60", "str", "12:60"),
            ("0:30", "str", "0:30"),
            ("08:30", "str", "08:30"),
            ("190:20:30.15", "float", "685230.15"),
            ("1e3", "str", "1e3"),
            ("1e-7", "str", "1e-7"),
            ("1.5e3", "str", "1.5e3"),
            ("1.5e+3", "float", "1500.0"),
            ("1.", "float", "1.0"),
            (".5", "float", "0.5"),
            ("+.5", "str", "+.5"),
            ("-.5", "str", "-.5"),
            ("1_.5", "float", "1.5"),
            ("._5", "str", "._5"),
            (".", "str", "."),
            ("1_0.5e-3", "float", "0.0105"),
            ("0.00001", "float", "1e-05"),
            ("0.0001", "float", "0.0001"),
            ("1.0e+20", "float", "1e+20"),
            ("123456789.5e+10", "float", "1.234567895e+18"),
            (".inf", "float", "inf"),
            ("-.INF", "float", "-inf"),
            (".nan", "float", "nan"),
            ("no", "bool", "False"),
            ("Off", "bool", "False"),
            ("yes", "bool", "True"),
            ("y", "str", "y"),
            ("TRUE", "bool", "True"),
            ("~", "NoneType", "None"),
            ("", "NoneType", "None"),
            ("null", "NoneType", "None"),
            ("2024-01-01", "str", "2024-01-01"),
            ("\"1.50\"", "str", "1.50"),
            ("!!str 1.50", "str", "1.50"),
            ("12345678901234567890", "int", "12345678901234567890"),
        ] {
            let value = value(text);
            let found = match &value {
                Yaml::Null => "NoneType",
                Yaml::Bool(_) => "bool",
                Yaml::Int(_) => "int",
                Yaml::Float(_) => "float",
                _ => "str",
            };
            assert_eq!((found, python_text(&value).as_str()), (kind, expected), "{text}");
        }
    }

    #[test]
    fn a_value_printed_by_this_program_is_read_back_the_same() {
        for text in
            ["1e3", "1.0e+20", "0.00001", "-.inf", "08", "'07'", "no", "~", "[1, 2.5, {a: .5}]", r#""a\x7f\x85b""#]
        {
            let first = value(text);
            assert_eq!(value(&first.to_string()), first, "{text}");
        }
        assert!(matches!(value(&value(".nan").to_string()), Yaml::Float(value) if value.is_nan()));
    }

    #[test]
    fn aliases_and_merged_mappings_are_followed() {
        let node = parse("base: &b {x: 1, y: 2}\nlist: [*b]\nall:\n  <<: *b\n  y: 3\n").unwrap();
        let value = node.value();
        assert_eq!(value.get("all").unwrap().to_string(), r#"{"x": 1, "y": 3}"#);
        assert_eq!(value.get("list").unwrap().to_string(), r#"[{"x": 1, "y": 2}]"#);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        (1..30).for_each(|n| {
            let before = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{before}]\n");
        });
        assert!(parse(&bomb).unwrap_err().message.contains("more than"));
        assert!(parse("a: &a [*a]\n").is_err());
    }

    #[test]
    fn faults_and_values_have_their_places() {
        let node = parse("# x\ntrain: a\nval:\n  - b\n  - c\n").unwrap();
        let (key, value) = node.entry("val").unwrap();
        let Content::List(items) = &value.content else { panic!("{value:?}") };
        assert_eq!((key.line, key.column, items[1].line, items[1].column), (3, 1, 5, 5));
        for (text, line) in
            [("a: 1\nb: [\n", 2), ("a: 1\nb: 2\na: 3\n", 3), ("a: 1\n--- \nb: 2\n", 2), ("a: !x 1\n", 1)]
        {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.at.map(|(line, _)| line), Some(line), "{text}: {fault:?}");
        }
        assert!(matches!(parse("").unwrap().value(), Yaml::Null));
    }
}
