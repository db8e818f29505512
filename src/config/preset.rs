//! The presets: configs to start from, with their style pictures, as `augment init` writes them.

use crate::config::schema;
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::yaml::{self, Yaml};
use clap::ValueEnum;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A preset. The program holds its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    Fog,
    Rain,
    Snow,
    Night,
    Dusk,
    Painting,
}

/// A style picture: its file's name in `styles/NAME/`, and its bytes.
type StyleFile = (&'static str, &'static [u8]);

macro_rules! files {
    ($name:literal) => {
        (
            include_str!(concat!("../../configs/", $name, ".yaml")),
            [
                (concat!($name, "_1.jpg"), include_bytes!(concat!("../../styles/", $name, "/", $name, "_1.jpg"))),
                (concat!($name, "_2.jpg"), include_bytes!(concat!("../../styles/", $name, "/", $name, "_2.jpg"))),
                (concat!($name, "_3.jpg"), include_bytes!(concat!("../../styles/", $name, "/", $name, "_3.jpg"))),
            ],
        )
    };
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(name, false).map_err(|_| {
            let names: Vec<String> = Self::value_variants().iter().map(|preset| preset.name()).collect();
            format!("`{name}` is not a preset; there are {}", names.join(", "))
        })
    }
}

impl Preset {
    /// The config as it stands in `configs/`, and its style pictures.
    fn files(self) -> (&'static str, [StyleFile; 3]) {
        match self {
            Self::Fog => files!("fog"),
            Self::Rain => files!("rain"),
            Self::Snow => files!("snow"),
            Self::Night => files!("night"),
            Self::Dusk => files!("dusk"),
            Self::Painting => files!("painting"),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    /// The preset's config for a folder with `styles/` in it. Keys that the preset leaves at their defaults follow as
    /// comments, `#key: default` under their description.
    ///
    /// # Errors
    /// [`Error::Run`] if the preset is not YAML.
    pub fn config(self) -> Result<String> {
        let (text, _) = self.files();
        let set: Yaml = yaml::parse(text).map_err(|fault| Error::Run(format!("the preset is damaged: {fault:?}")))?;
        let schema = schema::schema();
        // `stylize` is the last key of every preset, so the rest of its keys may follow at the end.
        let (head, stylize) = text.split_once("\nstylize:").unwrap_or((text, ""));
        let mut config = head.replace("../styles/", "styles/");
        config.push_str("\n# Left as they are by default; take the `#` in front of a key away to set it.\n");
        config.push_str(&commented_out(&schema["properties"], &set, ""));
        config.push_str("\nstylize:");
        config.push_str(stylize);
        config.push_str("\n  # Left as they are by default:\n");
        let inner = set.get("stylize").unwrap_or(&Yaml::Null);
        config.push_str(&commented_out(&schema["properties"]["stylize"]["properties"], inner, "  "));
        Ok(config)
    }
}

/// Every key of `properties` that has a default and is not in `set`, as a comment.
fn commented_out(properties: &Value, set: &Yaml, indent: &str) -> String {
    let mut text = String::new();
    for (key, property) in properties.as_object().into_iter().flatten() {
        let Some(default) = property.get("default").filter(|_| set.get(key).is_none()) else { continue };
        for line in wrapped(property["description"].as_str().unwrap_or_default(), 100) {
            text += &format!("{indent}# {line}\n");
        }
        text += &format!("{indent}#{key}: {}\n", flow(default));
    }
    text
}

/// The words of `text` in lines of at most `width` characters, where no word is longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// A default as YAML on one line. Its texts are names, which need no quotes.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// Writes `PRESET.yaml`, its `styles/PRESET/` and the schema for editors into `folder`; returns the config's path.
///
/// # Errors
/// [`Error::BadFile`] for a file that is already there and says something else, before anything is written;
/// [`Error::Io`].
pub fn write(preset: Preset, folder: &Path) -> Result<PathBuf> {
    let name = preset.name();
    let config = folder.join(format!("{name}.yaml"));
    let mut files = vec![
        (config.clone(), preset.config()?.into_bytes()),
        (folder.join(schema::FILE_NAME), schema::schema_text().into_bytes()),
    ];
    let (_, styles) = preset.files();
    files.extend(styles.map(|(file, bytes)| (folder.join("styles").join(&name).join(file), bytes.to_vec())));
    files.retain(|(path, bytes)| fs::read(path).map_or(true, |there| there != *bytes));
    if let Some((path, _)) =
        files.iter().find(|(path, _)| path.exists() && path.file_name() != Some(schema::FILE_NAME.as_ref()))
    {
        let message = "is already there and is not overwritten; name another folder, or move it away".to_string();
        return Err(Error::bad_file(path, message));
    }
    for (path, bytes) in files {
        atomic::write_file(&path, &bytes)?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::Config;

    /// The text with every key that is commented out put back in.
    fn uncommented(text: &str) -> String {
        let on = |line: &str| {
            let bare = line.trim_start();
            let off = bare.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
            off.map_or(line.to_string(), |rest| format!("{}{rest}", &line[..line.len() - bare.len()]))
        };
        text.lines().map(|line| on(line) + "\n").collect()
    }

    #[test]
    fn every_key_of_a_new_config_can_be_uncommented_and_changes_nothing() {
        for preset in Preset::value_variants() {
            let folder = tempfile::tempdir().unwrap();
            let path = write(*preset, folder.path()).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let on = uncommented(&text);
            assert!(
                on.lines().filter(|line| line.starts_with("  ") && !line.trim_start().starts_with('#')).count() >= 19
            );
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(path.file_name().unwrap());
            let shipped = Config::load(&shipped, &[]).unwrap();
            for text in [text, on] {
                let config = Config::parse(&text, &path, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!(config.stylize, shipped.stylize);
                assert_eq!(config.digest(), shipped.digest());
                assert_eq!(config.styles[0].path, folder.path().join("styles").join(preset.name()));
            }
        }
    }

    #[test]
    fn writing_twice_changes_nothing_and_an_edited_config_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(Preset::Fog, folder.path()).unwrap();
        assert_eq!(write(Preset::Fog, folder.path()).unwrap(), path);
        write(Preset::Night, folder.path()).unwrap();
        fs::write(&path, "mine").unwrap();
        let error = write(Preset::Fog, folder.path()).unwrap_err();
        assert!(error.to_string().contains("fog.yaml") && error.exit_code() == 1, "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
