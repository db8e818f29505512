//! Reads a config file and every `--set` into a checked [`Config`].

use crate::config::draft::Draft;
use crate::config::origin::Origin;
use crate::config::values::Config;
use crate::config::wire::WireConfig;
use crate::error::{Error, Result};
use crate::files::text;
use crate::yaml::{self, Yaml};
use std::path::Path;

impl Config {
    /// Reads the file at `path`, lays every `--set` of `sets` (`a.b=yaml`) over it and checks the whole.
    ///
    /// # Errors
    /// [`Error::Config`] for everything that is not as documented, with `file:line:column` or the `--set` as its place;
    /// [`Error::Usage`] for a file that cannot be read or is not UTF-8 and for a `--set` that is no `KEY=VALUE`;
    /// [`Error::Io`] if a folder of styles cannot be listed.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        let text = text::read(path).map_err(|error| Error::Usage(error.to_string()))?;
        Self::parse(&text, path, sets)
    }

    /// [`Config::load`] for the text of a file that lies at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path, sets: &[String]) -> Result<Self> {
        let file = Origin::file(path)?;
        let here = std::env::current_dir().map_err(Error::io(Path::new("."), "find the current folder"))?;
        let mut draft = Draft::new();
        draft.apply(parse_wire(text, &file)?, &file)?;
        for set in sets {
            apply_set(&mut draft, set, &Origin::set(set, &here))?;
        }
        draft.finish(path)
    }
}

fn parse_wire(text: &str, origin: &Origin) -> Result<WireConfig> {
    // An empty file is a config that leaves everything at its default.
    let wire: Option<WireConfig> = yaml::parse(text).map_err(|fault| origin.fault(fault))?;
    Ok(wire.unwrap_or_default())
}

/// The keys that others lie below.
const PARENTS: [&[&str]; 3] = [&["stylize"], &["stylize", "effects"], &["output"]];

/// Reads `a.b=value` as the config `{a: {b: value}}` and lays it over the draft.
fn apply_set(draft: &mut Draft, set: &str, origin: &Origin) -> Result<()> {
    let (key, value) = set
        .split_once('=')
        .filter(|(key, _)| key.split('.').all(|part| !part.trim().is_empty()))
        .ok_or_else(|| Error::Usage(format!("--set {set}: expected KEY=VALUE, such as `stylize.strength=0.9`")))?;
    let value: Yaml = yaml::parse(value).map_err(|fault| origin.fault(fault))?;
    if value == Yaml::Null {
        return Err(Error::Usage(format!("--set {set}: no value after the `=`")));
    }
    let keys: Vec<&str> = key.split('.').map(str::trim).collect();
    let read = |keys: &[&str]| {
        let nest = |inner, key: &&str| Yaml::Map(vec![(Yaml::Text(key.to_string()), inner)]);
        parse_wire(&keys.iter().rev().fold(value.clone(), nest).to_string(), origin)
    };
    let wire = read(&keys).map_err(|error| {
        // The end of a key, such as `steps`, is easily taken for the whole.
        let whole = PARENTS.iter().map(|parents| [parents, &keys[..]].concat()).find(|keys| read(keys).is_ok());
        match (error, whole) {
            (Error::Config { place, message, .. }, Some(whole)) => {
                Error::config(place, message, Some(format!("did you mean `--set {}={value}`?", whole.join("."))))
            }
            (error, _) => error,
        }
    })?;
    match (&keys[..], wire) {
        // One layer by name changes that layer; `layers` as a whole replaces them all.
        (["stylize", "content" | "style", "layers", _], WireConfig { stylize: Some(stylize), .. }) => {
            draft.apply_single_layers(stylize, origin)
        }
        (_, wire) => draft.apply(wire, origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::{FULL, complaint, config_folder, load};
    use crate::nst::Settings;
    use std::fs;

    #[test]
    fn every_default_is_the_documented_value() {
        let (folder, path) = config_folder(FULL);
        let full = Config::load(&path, &[]).unwrap();
        fs::write(&path, "styles: [{path: styles/fog}]").unwrap();
        assert_eq!(Config::load(&path, &[]).unwrap(), full);
        assert_eq!(full.stylize, Settings::default());
        assert_eq!(full.styles[0].path, folder.path().join("styles/fog"));
    }

    #[test]
    fn an_unknown_key_has_its_place_and_the_nearest_key() {
        assert_eq!(
            complaint("stylize:\n  stpes: 3\n", &[]),
            "fog.yaml:3:3: unknown key `stpes`\n  help: did you mean `steps`?"
        );
        assert!(complaint("colour: 3\n", &[]).starts_with("fog.yaml:2:1: unknown key `colour`"));
    }

    #[test]
    fn a_wrong_type_has_its_place_and_what_was_expected() {
        assert_eq!(complaint("stylize:\n  steps: abc\n", &[]), "fog.yaml:3:10: a whole number was expected");
        assert_eq!(complaint("fraction: [1]\n", &[]).split(": ").next().unwrap(), "fog.yaml:2:11");
        assert_eq!(
            complaint("stylize: {keep_colours: yes}\n", &[]),
            "fog.yaml:2:25: invalid boolean (true or false expected)"
        );
        assert_eq!(complaint("stylize: 3\n", &[]), "fog.yaml:2:10: a mapping was expected");
        let list = complaint("splits: train\n", &[]);
        assert!(list.starts_with("fog.yaml:2:9: a list was expected") && list.contains("[train, val]"), "{list}");
        assert!(complaint("condition: [fog]\n", &[]).starts_with("fog.yaml:2:12: "));
        assert!(complaint("a: [\n", &[]).starts_with("fog.yaml:"));
    }

    #[test]
    fn a_config_that_cannot_be_read_is_a_usage_error() {
        let error = Config::load(Path::new("nowhere.yaml"), &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().starts_with("nowhere.yaml: could not read"), "{error}");
    }

    #[test]
    fn duplicate_keys_are_errors() {
        assert!(complaint("seed: 1\nseed: 2\n", &[]).starts_with("fog.yaml:3:1: the key `seed`"));
    }

    #[test]
    fn a_set_overrides_the_file_by_the_same_rules() {
        let sets = ["stylize.steps=60", "condition=mist", "stylize.style.layers.relu4_1=0.5", "output={quality: 80}"];
        let config = load(FULL, &sets).unwrap();
        assert_eq!((config.stylize.steps, config.condition.as_str(), config.quality), (60, "mist", 80.0.into()));
        let expected: Vec<_> = Settings::default()
            .style
            .layers
            .iter()
            .map(|&(tap, w)| (tap, if tap.to_string() == "relu4_1" { 0.5 } else { w }))
            .collect();
        assert_eq!(config.stylize.style.layers, expected, "one layer changes, the others stay");

        let config = load(FULL, &["stylize.style.layers={relu4_1: 2}"]).unwrap();
        assert_eq!(config.stylize.style.layers, [("relu4_1".parse().unwrap(), 2.0)], "the whole map is replaced");
    }

    #[test]
    fn a_bad_set_is_its_own_place() {
        assert_eq!(complaint("", &["stylize.steps=abc"]), "--set stylize.steps=abc: a whole number was expected");
        let unknown = complaint("", &["stylise.steps=3"]);
        for (set, whole) in [("steps=3", "stylize.steps=3"), ("snow=[0, 1]", "stylize.effects.snow=[0, 1]")] {
            let short = complaint("", &[set]);
            assert!(short.ends_with(&format!("did you mean `--set {whole}`?")), "{short}");
        }
        assert!(unknown.starts_with("--set stylise.steps=3: unknown key `stylise`") && unknown.contains("`stylize`"));
        assert!(
            complaint("", &["stylize.style.layers.relu9_1=1"]).starts_with("--set stylize.style.layers.relu9_1=1: ")
        );
        for usage in ["steps", "=3", "a..b=3", "seed="] {
            assert!(complaint("", &[usage]).starts_with(&format!("--set {usage}: ")));
        }
    }

    #[test]
    fn paths_in_a_set_start_at_the_current_folder() {
        let (folder, path) = config_folder("styles: [{path: nowhere}]");
        let absolute = folder.path().join("styles/fog/a.png");
        let config = Config::load(&path, &[format!("styles=[{{path: '{}'}}]", absolute.display())]).unwrap();
        assert_eq!(config.styles[0].path, absolute, "the file's own broken styles no longer matter");

        let complaint = Config::load(&path, &["styles=[{path: no-such/fog}]".into()]).unwrap_err().to_string();
        let here = std::env::current_dir().unwrap().join("no-such/fog");
        assert!(complaint.contains(&here.display().to_string()), "{complaint}");
    }
}
