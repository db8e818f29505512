//! The kinds of value that a key can have. Each says how YAML writes it, how it is checked, and the same rule as JSON
//! Schema.

use crate::config::keys::{Bounds, Named, Weight, names};
use crate::config::origin::Origin;
use crate::config::values::{ClassChoice, ClassName, Fractions, Pattern, Sequence};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::nst::Tap;
use crate::nst::settings::{Range, RegionKind};
use crate::yaml::{self, Pairs, Yaml};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_yaml::Spanned;
use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

/// A kind of value.
pub(super) trait Kind {
    /// As YAML has it.
    type Written: DeserializeOwned;
    /// As the rest of the program sees it.
    type Value;

    /// The value.
    ///
    /// # Errors
    /// [`Error::Config`], which names `key` and the place of `written`.
    fn check(written: Spanned<Self::Written>, key: &str, origin: &Origin) -> Result<Self::Value>;

    /// The same rule as JSON Schema.
    ///
    /// Description and default come from the row of the key. A `null` in their place only says where they stand in the
    /// text of the schema.
    fn schema() -> Schema;
}

/// A key that a text may set.
#[derive(Deserialize)]
#[serde(transparent, bound = "")]
pub(super) struct Key<K: Kind>(Option<Spanned<K::Written>>);

impl<K: Kind> Key<K> {
    /// The value, if the text sets one.
    pub(super) fn read(self, key: &str, origin: &Origin) -> Result<Option<K::Value>> {
        self.0.map(|written| K::check(written, key, origin)).transpose()
    }

    /// Sets `target`, if the text sets the key.
    pub(super) fn set(self, target: &mut K::Value, key: &str, origin: &Origin) -> Result<()> {
        if let Some(value) = self.read(key, origin)? {
            *target = value;
        }
        Ok(())
    }

    /// The place of the value, if the text sets one.
    pub(super) fn place(&self, origin: &Origin) -> Option<String> {
        self.0.as_ref().map(|written| origin.place(written.referenced))
    }
}

impl<K: Kind> Default for Key<K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Kind> JsonSchema for Key<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        K::schema()
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) struct Whole<T, const MIN: i64, const MAX: i64>(PhantomData<T>);

impl<T: TryFrom<i64>, const MIN: i64, const MAX: i64> Kind for Whole<T, MIN, MAX> {
    type Written = i64;
    type Value = T;

    fn check(written: Spanned<i64>, key: &str, origin: &Origin) -> Result<T> {
        let value = within(&written, MIN..=MAX, key, origin)?;
        T::try_from(value).map_err(|_| out_of_range(&written, &(MIN..=MAX), key, origin))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "default": null, "description": null, "minimum": MIN, "maximum": MAX })
    }
}

/// Any whole number of 64 bits that is not negative.
pub(super) struct Seed;

impl Kind for Seed {
    type Written = i128;
    type Value = u64;

    fn check(written: Spanned<i128>, key: &str, origin: &Origin) -> Result<u64> {
        u64::try_from(written.value).map_err(|_| out_of_range(&written, &(0..=u64::MAX.into()), key, origin))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "default": null, "minimum": 0 })
    }
}

/// A number within bounds.
pub(super) struct Number<B>(PhantomData<B>);

impl<B: Bounds> Kind for Number<B> {
    type Written = f64;
    type Value = f64;

    fn check(written: Spanned<f64>, key: &str, origin: &Origin) -> Result<f64> {
        within(&written, B::RANGE, key, origin)
    }

    fn schema() -> Schema {
        let [least, most] = [*B::RANGE.start(), *B::RANGE.end()];
        json_schema!({ "type": "number", "default": null, "description": null, "minimum": least, "maximum": most })
    }
}

/// A share of something that must not be empty, for all splits or for each.
pub(super) struct Fraction;

impl Kind for Fraction {
    type Written = Yaml;
    type Value = Fractions;

    fn check(written: Spanned<Yaml>, key: &str, origin: &Origin) -> Result<Fractions> {
        let error = |message: String, help| origin.error(written.referenced, message, help);
        let share = |key: &str, value: &Yaml| match number(value) {
            Some(share) if share > 0.0 && share <= 1.0 => Ok(share),
            Some(share) => Err(error(format!("`{key}` must lie above 0 and at most at 1, not at {share}"), None)),
            None => Err(error(
                format!("`{key}` must be a number or a mapping from splits to numbers, not {value}"),
                Some(format!("write, for example, `{key}: 0.5` or `{key}: {{train: 1, val: 0.2}}`")),
            )),
        };
        let Yaml::Map(pairs) = &written.value else { return Ok(share(key, &written.value)?.into()) };
        let mut splits = Vec::new();
        for (name, value) in pairs {
            let split = Split::NAMES.iter().find(|(known, _)| name.text() == Some(known)).ok_or_else(|| {
                let help = yaml::suggest(name.text().unwrap_or_default(), names::<Split>());
                error(format!("`{key}` has {name}, which is not a split"), Some(help))
            })?;
            splits.push((split.1, share(&format!("{key}.{}", split.0), value)?));
        }
        splits.sort_by_key(|&(split, _)| split);
        Ok(Fractions { other: 1.0, splits })
    }

    fn schema() -> Schema {
        let share = json!({ "type": "number", "maximum": 1, "exclusiveMinimum": 0 });
        let splits: Map<String, Value> = names::<Split>().map(|name| (name.into(), share.clone())).collect();
        json_schema!({ "anyOf": [
            share,
            { "type": "object", "properties": splits, "additionalProperties": false },
        ] })
    }
}

/// `none`, `folder`, or a regular expression with one group.
pub(super) struct SequenceRule;

impl Kind for SequenceRule {
    type Written = String;
    type Value = Sequence;

    fn check(written: Spanned<String>, key: &str, origin: &Origin) -> Result<Sequence> {
        let Spanned { value, referenced, .. } = written;
        match value.as_str() {
            "none" => Ok(Sequence::None),
            "folder" => Ok(Sequence::Folder),
            text => Pattern::new(text, origin.place(referenced)).map(Sequence::Pattern).map_err(|why| {
                let help = yaml::nearest(text, ["none", "folder"]).map(|near| format!("did you mean `{near}`?"));
                let example = || "write `none`, `folder`, or an expression such as `(drive_[0-9]+)/`".to_string();
                origin.error(referenced, format!("`{key}: {text}` {why}"), help.or_else(|| Some(example())))
            }),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Classes by their names or ids.
pub(super) struct Classes;

impl Kind for Classes {
    type Written = Vec<Spanned<Yaml>>;
    type Value = Vec<ClassChoice>;

    fn check(written: Spanned<Self::Written>, key: &str, origin: &Origin) -> Result<Vec<ClassChoice>> {
        let class = |Spanned { value, referenced, .. }: Spanned<Yaml>| {
            let class = match &value {
                Yaml::Int(id) => u32::try_from(*id).ok().map(ClassName::Id),
                Yaml::Text(name) => Some(ClassName::Name(name.clone())),
                _ => None,
            };
            let help = || Some(format!("write, for example, `{key}: [person, 3]`"));
            let class = class.ok_or_else(|| {
                origin.error(referenced, format!("`{key}` has {value}, which is neither a name nor an id"), help())
            })?;
            Ok(ClassChoice { class, place: origin.place(referenced) })
        };
        written.value.into_iter().map(class).collect()
    }

    fn schema() -> Schema {
        json_schema!({ "type": "array", "items": { "anyOf": [
            { "type": "string" },
            { "type": "integer", "minimum": 0, "maximum": u32::MAX },
        ] } })
    }
}

/// A number within bounds, or `[low, high]` to draw from.
pub(super) struct Span<B>(PhantomData<B>);

impl<B: Bounds> Kind for Span<B> {
    type Written = Yaml;
    type Value = Range;

    fn check(written: Spanned<Yaml>, key: &str, origin: &Origin) -> Result<Range> {
        let bounds = B::RANGE;
        let (least, most) = (bounds.start(), bounds.end());
        let span = range(&written.value).ok_or_else(|| {
            let help = format!("write, for example, `{key}: {most}` or `{key}: [{least}, {most}]`");
            origin.error(written.referenced, format!("`{key}` must be a number or a list of two"), Some(help))
        })?;
        if !bounds.contains(&span.low) || !bounds.contains(&span.high) || span.low > span.high {
            let value = &written.value;
            let message = format!("`{key}` must lie between {least} and {most}, the lower bound first, not at {value}");
            return Err(origin.error(written.referenced, message, None));
        }
        Ok(span)
    }

    fn schema() -> Schema {
        let number = json!({ "type": "number", "minimum": B::RANGE.start(), "maximum": B::RANGE.end() });
        json_schema!({ "anyOf": [number, { "type": "array", "items": number, "minItems": 2, "maxItems": 2 }] })
    }
}

fn number(value: &Yaml) -> Option<f64> {
    match *value {
        Yaml::Int(v) => Some(v as f64),
        Yaml::Float(v) => Some(v),
        _ => None,
    }
}

fn range(value: &Yaml) -> Option<Range> {
    match value {
        Yaml::List(bounds) => match &bounds[..] {
            [low, high] => number(low).zip(number(high)).map(|(low, high)| Range { low, high }),
            _ => None,
        },
        one => number(one).map(Range::from),
    }
}

/// One of the names of a `T`.
pub(super) struct Choice<T>(PhantomData<T>);

impl<T: Named> Kind for Choice<T> {
    type Written = String;
    type Value = T;

    fn check(written: Spanned<String>, key: &str, origin: &Origin) -> Result<T> {
        T::NAMES.iter().find(|(name, _)| *name == written.value).map(|(_, value)| value.clone()).ok_or_else(|| {
            let help = yaml::suggest(&written.value, names::<T>());
            origin.error(written.referenced, format!("`{key}` cannot be `{}`", written.value), Some(help))
        })
    }

    fn schema() -> Schema {
        let names: Vec<_> = names::<T>().collect();
        json_schema!({ "type": "string", "description": null, "default": null, "enum": names })
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Written = bool;
    type Value = bool;

    fn check(written: Spanned<bool>, _: &str, _: &Origin) -> Result<bool> {
        Ok(written.value)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// Any text.
pub(super) struct Text;

impl Kind for Text {
    type Written = String;
    type Value = String;

    fn check(written: Spanned<String>, _: &str, _: &Origin) -> Result<String> {
        Ok(written.value)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// What goes into the name of a file, in characters. Systems take names of 255 bytes, and the frame's own name and the
/// variant go in too.
const LONGEST_NAME: usize = 64;

fn name_pattern() -> String {
    format!("^[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}$")
}

/// Whether the text may go into the name of a file on every system.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(allowed)
}

/// The text, if it may be a condition, or else why not. Names of outputs are `frame__condition-variant`. So that none is
/// that of another frame in another condition, each `_` of a condition stands between other characters.
pub(super) fn condition(text: String) -> Result<String, String> {
    match is_name(&text) && text.split('_').all(|part| !part.is_empty()) {
        true => Ok(text),
        false => Err(format!(
            "`condition` goes into file names: 1 to {LONGEST_NAME} letters, digits, `-` and single `_` between them were \
             expected, not `{text}`"
        )),
    }
}

/// A condition, which goes into file names.
pub(super) struct Condition;

impl Kind for Condition {
    type Written = String;
    type Value = String;

    fn check(written: Spanned<String>, _: &str, origin: &Origin) -> Result<String> {
        condition(written.value).map_err(|why| origin.error(written.referenced, why, None))
    }

    fn schema() -> Schema {
        let pattern = "^[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$";
        json_schema!({ "type": "string", "description": null, "pattern": pattern, "maxLength": LONGEST_NAME })
    }
}

/// A list of splits. Their order does not count.
pub(super) struct Splits;

impl Kind for Splits {
    type Written = Vec<Spanned<String>>;
    type Value = Vec<Split>;

    fn check(written: Spanned<Vec<Spanned<String>>>, key: &str, origin: &Origin) -> Result<Vec<Split>> {
        let splits = written.value.into_iter().map(|split| Choice::check(split, key, origin));
        let mut splits = splits.collect::<Result<Vec<Split>>>()?;
        splits.sort();
        splits.dedup();
        if splits.is_empty() {
            let help = Some(format!("write, for example, `{key}: [train]`"));
            return Err(origin.error(written.referenced, format!("`{key}` names no split"), help));
        }
        Ok(splits)
    }

    fn schema() -> Schema {
        let names: Vec<_> = names::<Split>().collect();
        json_schema!({ "type": "array", "items": { "enum": names }, "minItems": 1 })
    }
}

/// A count from `MIN` to `MAX`, or `auto`, which is `None`.
pub(super) struct CountOrAuto<const MIN: i64, const MAX: i64>;

impl<const MIN: i64, const MAX: i64> Kind for CountOrAuto<MIN, MAX> {
    type Written = Yaml;
    type Value = Option<usize>;

    fn check(written: Spanned<Yaml>, key: &str, origin: &Origin) -> Result<Option<usize>> {
        match written.value {
            Yaml::Text(text) if text == "auto" => Ok(None),
            Yaml::Int(count) if (i128::from(MIN)..=i128::from(MAX)).contains(&count) => Ok(Some(count as usize)),
            other => {
                let message = format!("`{key}` must be `auto` or lie between {MIN} and {MAX}, not {other}");
                Err(origin.error(written.referenced, message, None))
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({ "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": MIN, "maximum": MAX }] })
    }
}

/// A kind of regions by its name, or the names of masks.
pub(super) struct Regions;

impl Kind for Regions {
    type Written = Yaml;
    type Value = RegionKind;

    fn check(written: Spanned<Yaml>, key: &str, origin: &Origin) -> Result<RegionKind> {
        let Spanned { value, referenced, defined } = written;
        match value {
            Yaml::Text(value) => Choice::check(Spanned { value, referenced, defined }, key, origin),
            Yaml::List(names) if !names.is_empty() => {
                let mask = |name: Yaml| match name {
                    Yaml::Text(name) if is_name(&name) => Ok(name),
                    other => Err(origin.error(referenced, format!("`{other}` cannot be the name of a mask"), None)),
                };
                Ok(RegionKind::Masks(names.into_iter().map(mask).collect::<Result<_>>()?))
            }
            _ => {
                let help = "write `none`, `bands`, `scene`, or the names of masks: `[sky, road]`".to_string();
                Err(origin.error(referenced, format!("`{key}` must be a name or a list of names"), Some(help)))
            }
        }
    }

    fn schema() -> Schema {
        let names: Vec<_> = names::<RegionKind>().collect();
        json_schema!({ "anyOf": [
            { "enum": names },
            { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": name_pattern() } },
        ] })
    }
}

/// Layers of VGG19 with their weights, from the pixels up.
pub(super) struct Layers;

impl Kind for Layers {
    type Written = Pairs<Spanned<String>, Spanned<f64>>;
    type Value = Vec<(Tap, f64)>;

    fn check(written: Spanned<Self::Written>, _: &str, origin: &Origin) -> Result<Vec<(Tap, f64)>> {
        let mut layers = Vec::new();
        for (name, weight) in written.value.0 {
            let tap: Tap = name.value.parse().map_err(|why: String| {
                let all: Vec<String> = Tap::all().map(|tap| tap.to_string()).collect();
                let help = yaml::nearest(&name.value, all.iter().map(String::as_str));
                origin.error(name.referenced, why, help.map(|near| format!("did you mean `{near}`?")))
            })?;
            layers.push((tap, within(&weight, Weight::RANGE, &name.value, origin)?));
        }
        layers.sort_by_key(|&(tap, _)| tap);
        Ok(layers)
    }

    fn schema() -> Schema {
        let weight = json!({ "type": "number", "minimum": Weight::RANGE.start(), "maximum": Weight::RANGE.end() });
        let taps: Map<String, Value> = Tap::all().map(|tap| (tap.to_string(), weight.clone())).collect();
        json_schema!({ "type": "object", "properties": taps, "additionalProperties": false })
    }
}

/// The value, if `range` holds it; it does not hold a NaN.
fn within<T>(written: &Spanned<T>, range: RangeInclusive<T>, key: &str, origin: &Origin) -> Result<T>
where
    T: PartialOrd + Copy + Display,
{
    match range.contains(&written.value) {
        true => Ok(written.value),
        false => Err(out_of_range(written, &range, key, origin)),
    }
}

fn out_of_range<T: Display>(written: &Spanned<T>, range: &RangeInclusive<T>, key: &str, origin: &Origin) -> Error {
    let message = format!("`{key}` must lie between {} and {}, not at {}", range.start(), range.end(), written.value);
    origin.error(written.referenced, message, None)
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{FULL, complaint, load};
    use crate::config::values::{ClassName, Sequence};
    use crate::dataset::split::Split;
    use crate::nst::render::precipitation::PrecipitationKind;
    use crate::nst::settings::{Range, RegionKind};

    #[test]
    fn a_condition_has_no_underscore_that_could_be_one_of_those_before_it() {
        for good in ["fog", "fog-rare", "fog_2", "a_b_c"] {
            assert!(super::condition(good.to_string()).is_ok(), "{good}");
        }
        for bad in ["", "x__fog", "_fog", "fog_", "a b", "fog.1"] {
            assert!(super::condition(bad.to_string()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_told_the_range() {
        assert_eq!(complaint("variants: 0\n", &[]), "fog.yaml:2:11: `variants` must lie between 1 and 1000, not at 0");
        for text in [
            "fraction: 0\n",
            "fraction: 1.5\n",
            "seed: -1\n",
            "seed: 18446744073709551616\n",
            "mix: 0\n",
            "mix: 17\n",
            "output: {quality: 101}\n",
            "stylize: {size: 8}\n",
            "stylize: {steps: 10001}\n",
            "stylize: {strength: 1.1}\n",
            "stylize: {strength: [0.5, 1.1]}\n",
            "stylize: {strength: [0.9, 0.5]}\n",
            "stylize: {falling: {wind: 31}}\n",
            "stylize: {tv: .inf}\n",
            "stylize: {content: {weight: -1}}\n",
            "stylize: {style: {layers: {relu1_1: .nan}}}\n",
        ] {
            let complaint = complaint(text, &[]);
            assert!(complaint.starts_with("fog.yaml:2:") && complaint.contains("must lie"), "{complaint}");
        }
        assert_eq!(load(FULL, &["seed=18446744073709551615"]).unwrap().seed, u64::MAX);
    }

    #[test]
    fn what_is_drawn_is_a_number_or_two_and_regions_a_name_or_names() {
        let text = "styles: [{path: styles/fog}]\nstylize: {strength: [0.5, 1], regions: [sky, road]}\n";
        let config = load(text, &["stylize.falling={kind: snow, density: 0.4}"]).unwrap();
        assert_eq!(config.stylize.strength, Range { low: 0.5, high: 1.0 });
        assert_eq!(config.stylize.regions, RegionKind::Masks(vec!["sky".into(), "road".into()]));
        assert_eq!(config.stylize.falling.kind, Some(PrecipitationKind::Snow));
        assert_eq!(config.stylize.falling.density, Range::from(0.4));
        for (text, what) in [
            ("stylize: {strength: [1]}", "fog.yaml:2:21: `strength` must be a number or a list of two"),
            ("stylize: {strength: much}", "must be a number or a list of two"),
            ("stylize: {regions: bandz}", "did you mean `bands`?"),
            ("stylize: {regions: []}", "`regions` must be a name or a list of names"),
            ("stylize: {regions: [a/b]}", "cannot be the name of a mask"),
            ("stylize: {falling: {kind: hail}}", "`kind` cannot be `hail`"),
        ] {
            let complaint = complaint(text, &[]);
            assert!(complaint.contains(what), "{text}: {complaint}");
        }
    }

    #[test]
    fn a_fraction_is_a_number_or_one_for_each_split() {
        let config = load(FULL, &["fraction={val: 0.2, train: 1}"]).unwrap();
        let of = |split: Split| config.fraction.of(split);
        assert_eq!((of(Split::Train), of(Split::Val), of(Split::Test)), (1.0, 0.2, 1.0));
        assert_eq!(load(FULL, &["fraction=0.3"]).unwrap().fraction.of(Split::Test), 0.3);
        for (text, what) in [
            ("fraction: {val: 2}", "fog.yaml:2:11: `fraction.val` must lie above 0 and at most at 1, not at 2"),
            (
                "fraction: {vol: 0.2}",
                "fog.yaml:2:11: `fraction` has \"vol\", which is not a split\n  help: did you mean `val`?",
            ),
            ("fraction: .nan", "fog.yaml:2:11: value `.nan` is not a finite number"),
            ("fraction: much", "fog.yaml:2:11: `fraction` must be a number or a mapping"),
            ("fraction: {train: [1]}", "`fraction.train` must be a number"),
        ] {
            let complaint = complaint(text, &[]);
            assert!(complaint.contains(what), "{text}: {complaint}");
        }
    }

    #[test]
    fn a_sequence_is_a_word_or_an_expression_with_one_group() {
        assert_eq!(load(FULL, &["sequence=folder"]).unwrap().sequence, Sequence::Folder);
        let text = "styles: [{path: styles/fog}]\nsequence: '(drive_\\d+)(?:_cam)?/'\n";
        let Sequence::Pattern(pattern) = load(text, &[]).unwrap().sequence else { panic!("no expression") };
        assert_eq!(pattern.name("images/drive_12_cam/7.jpg"), Some("drive_12"));
        assert_eq!((pattern.name("images/other/7.jpg"), pattern.name("drive_1")), (None, None));
        for (text, what) in [
            ("sequence: foldr", "fog.yaml:2:11: `sequence: foldr` has no group; put parentheses"),
            ("sequence: foldr", "did you mean `folder`?"),
            ("sequence: (a)(b)", "`sequence: (a)(b)` has 2 groups where one was expected"),
            ("sequence: '(a'", "`sequence: (a` is not a regular expression: unclosed group"),
            ("sequence: [a]", "fog.yaml:2:11: "),
        ] {
            let complaint = complaint(text, &[]);
            assert!(complaint.contains(what), "{text}: {complaint}");
        }
    }

    #[test]
    fn classes_are_named_or_numbered_and_remember_their_places() {
        let text = "styles: [{path: styles/fog}]\nwhere: {classes: [person, 3], at_least: 2}\n";
        let selection = load(text, &[]).unwrap().selection;
        let classes: Vec<_> = selection.classes.into_iter().map(|choice| choice.class).collect();
        assert_eq!(classes, [ClassName::Name("person".into()), ClassName::Id(3)]);
        assert_eq!(selection.at_least, 2);
        for (text, what) in [
            ("where: {classes: [1.5]}", "fog.yaml:2:19: `classes` has 1.5, which is neither a name nor an id"),
            ("where: {classes: [-1]}", "neither a name nor an id"),
            ("where: {classes: person}", "a list was expected"),
            ("where: {classes: [a], at_least: 0}", "`at_least` must lie between 1 and"),
            ("where: {at_least: 2}", "fog.yaml:2:19: `at_least: 2` counts boxes of no class"),
        ] {
            let complaint = complaint(text, &[]);
            assert!(complaint.contains(what), "{text}: {complaint}");
        }
    }

    #[test]
    fn scales_are_a_count_or_left_to_the_render() {
        assert_eq!(load(FULL, &["stylize.scales=3"]).unwrap().stylize.scales, Some(3));
        assert_eq!(load(FULL, &["stylize.scales=auto"]).unwrap().stylize.scales, None);
        for bad in ["0", "9", "all", "1.5", "[2]"] {
            let complaint = complaint(&format!("stylize: {{scales: {bad}}}\n"), &[]);
            assert!(
                complaint.starts_with("fog.yaml:2:19: `scales` must be `auto` or lie between 1 and 8"),
                "{complaint}"
            );
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let expected = "fog.yaml:2:10: `pairing` cannot be `cicle`\n  help: did you mean `cycle`?";
        assert_eq!(complaint("pairing: cicle\n", &[]), expected);
        assert!(complaint("splits: [valid]\n", &[]).contains("`val`"));
        assert!(complaint("splits: []\n", &[]).starts_with("fog.yaml:2:9: `splits` names no split"));
        assert!(complaint("stylize: {render: photo}\n", &[]).contains("`photoreal`"));
        assert!(complaint("stylize: {padding: repeat}\n", &[]).contains("`replicate`"));
        let layer = complaint("stylize: {style: {layers: {relu41: 1}}}\n", &[]);
        assert!(layer.starts_with("fog.yaml:2:28: `relu41`") && layer.ends_with("did you mean `relu4_1`?"), "{layer}");
    }
}
