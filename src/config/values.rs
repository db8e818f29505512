//! The config's values, as the rest of the program sees them.

use crate::dataset::split::Split;
use crate::nst::Settings;
use crate::nst::settings::Range;
use regex::Regex;
use std::path::PathBuf;

/// One validated run: which frames become what.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the copies show, as it goes into file names: 1 to 64 letters, digits, `-`, and single
    /// `_` between them.
    pub condition: String,
    /// Where the style pictures come from; at least one has a weight above 0.
    pub styles: Vec<StyleSource>,
    pub pairing: Pairing,
    /// Different styles in one picture, 1 to 16; 1 where the pairing blends them all.
    pub mix: u32,
    /// Stylized copies per frame, 1 to 1000.
    pub variants: u32,
    pub fraction: Fractions,
    /// Only frames with these objects are stylized.
    pub selection: Selection,
    /// Which frames share everything that is drawn.
    pub sequence: Sequence,
    /// The splits that are stylized, in the order train, val, test; at least one.
    pub splits: Vec<Split>,
    pub seed: u64,
    pub format: OutputFormat,
    /// JPEG quality, 1 to 100, drawn for each picture.
    pub quality: Range,
    pub backbone: BackboneChoice,
    /// What makes the pictures of settings with steps.
    pub engine: EngineChoice,
    pub stylize: Settings,
}

impl Config {
    /// Every key at its default. Condition and styles have none: they are empty, which no config may be.
    pub fn defaults() -> Self {
        Self {
            condition: String::new(),
            styles: Vec::new(),
            pairing: Pairing::Random,
            mix: 1,
            variants: 1,
            fraction: Fractions::from(1.0),
            selection: Selection { classes: Vec::new(), at_least: 1 },
            sequence: Sequence::None,
            splits: vec![Split::Train],
            seed: 0,
            format: OutputFormat::Same,
            quality: Range::from(95.0),
            backbone: BackboneChoice::Auto,
            engine: EngineChoice::Optimize,
            stylize: Settings::default(),
        }
    }
}

/// Shares of the frames that are stylized, each above 0 and at most 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Fractions {
    /// Of splits that are not named.
    pub other: f64,
    /// Of splits by name, in their order.
    pub splits: Vec<(Split, f64)>,
}

impl Fractions {
    pub fn of(&self, split: Split) -> f64 {
        self.splits.iter().find(|(named, _)| *named == split).map_or(self.other, |&(_, share)| share)
    }
}

/// The same share of all splits.
impl From<f64> for Fractions {
    fn from(share: f64) -> Self {
        Self { other: share, splits: Vec::new() }
    }
}

/// What the labels of a frame must hold, so that it is stylized.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Boxes of any of these classes count; empty where every frame is stylized.
    pub classes: Vec<ClassChoice>,
    /// The least number of such boxes, 1 or more.
    pub at_least: u32,
}

/// A class as a config names it. Whether there is one is known once the dataset is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassChoice {
    pub class: ClassName,
    /// Where the config names it, for errors.
    pub place: String,
}

/// A class by its name or by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassName {
    Id(u32),
    Name(String),
}

/// Which frames belong together, as those of one video do.
#[derive(Clone, Debug, PartialEq)]
pub enum Sequence {
    /// Every frame is on its own.
    None,
    /// Those of one folder.
    Folder,
    /// Those from whose paths the expression takes the same text.
    Pattern(Pattern),
}

/// A regular expression with one group, which takes the name of the sequence from a frame's path below the dataset.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Where the config has it, for errors.
    pub place: String,
}

/// By their texts.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Pattern {
    /// # Errors
    /// Why `text` is no regular expression with exactly one group.
    pub fn new(text: &str, place: String) -> Result<Self, String> {
        let regex =
            Regex::new(text).map_err(|error| format!("is not a regular expression: {}", in_one_line(&error)))?;
        match regex.captures_len() - 1 {
            1 => Ok(Self { regex, place }),
            0 => Err("has no group; put parentheses around what names the sequence".into()),
            groups => Err(format!("has {groups} groups where one was expected; write the others as `(?:…)`")),
        }
    }

    /// What the group takes from `path`; `None` if the expression does not match, or the group takes nothing.
    pub fn name<'p>(&self, path: &'p str) -> Option<&'p str> {
        let group = self.regex.captures(path)?.get(1)?;
        Some(group.as_str()).filter(|name| !name.is_empty())
    }

    pub fn text(&self) -> &str {
        self.regex.as_str()
    }
}

/// The last line of an error of the regex crate, which says what is wrong; those before it draw the place.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_string()
}

/// A style picture, or a folder of them that shares one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleSource {
    /// Absolute; exists and is or holds an image.
    pub path: PathBuf,
    /// Relative share of the random pairing and of the blend, finite and at least 0.
    pub weight: f64,
}

/// How frames find their styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// A weighted draw per frame and variant.
    Random,
    /// The variants of one frame go through the styles in turn, from a drawn start; weights do not count.
    Cycle,
    /// All styles in every picture, by their weights.
    Blend,
}

/// The file format of the stylized images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// That of the source, by its extension.
    Same,
    Jpg,
    Png,
}

/// What makes pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// The optimizer.
    Optimize,
    /// A student that learns from a sample of the frames at the start of a run.
    Learn,
    /// The student in this file: absolute, exists.
    Student(PathBuf),
}

/// Where the backbone's weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackboneChoice {
    /// The first found of the environment, the cache and the built-in weights.
    Auto,
    /// The weights that come with the program.
    Builtin,
    /// This `.safetensors` file: absolute, exists.
    Path(PathBuf),
}
