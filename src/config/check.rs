//! What can only be checked once all texts are read: keys that must go together, and files that must exist.

use crate::config::kinds;
use crate::config::origin::{Placed, first_line};
use crate::config::values::{BackboneChoice, Config, EngineChoice, Pairing, StyleSource};
use crate::dataset::scan::{image_files, is_image};
use crate::error::{Error, Result};
use crate::nst::Settings;
use crate::nst::settings::{Init, Render, Term};
use crate::yaml;
use std::path::{Path, PathBuf};

pub(super) const STYLES_EXAMPLE: &str = "write, for example, `styles: [{path: ../styles/fog}]`";

/// A key that is a name or a file, as a text has it.
pub(super) struct WrittenFile {
    pub written: String,
    /// The file, if the text means one.
    pub path: PathBuf,
    pub place: String,
}

/// The condition of a config without one: the file's name without its extension.
pub(super) fn condition_of_file(path: &Path) -> Result<String> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    kinds::condition(stem).map_err(|why| {
        let message = format!("without a `condition` the file's own name is taken, but {why}");
        Error::config(first_line(path), message, Some("write, for example, `condition: fog`".into()))
    })
}

/// The styles, if each of them exists, one of them counts, and there is any.
pub(super) fn styles(styles: Option<Placed<Vec<Placed<StyleSource>>>>, path: &Path) -> Result<Vec<StyleSource>> {
    let Some(styles) = styles.filter(|styles| !styles.value.is_empty()) else {
        let message = "no `styles`: nothing says what the frames shall look like";
        return Err(Error::config(first_line(path), message, Some(STYLES_EXAMPLE.into())));
    };
    styles.value.iter().try_for_each(style)?;
    if styles.value.iter().all(|style| style.value.weight == 0.0) {
        let help = Some("give one a weight above 0".into());
        return Err(Error::config(styles.place, "every style has the weight 0", help));
    }
    Ok(styles.value.into_iter().map(|style| style.value).collect())
}

fn style(Placed { value: StyleSource { path, .. }, place }: &Placed<StyleSource>) -> Result<()> {
    let error = |what: &str, help: &str| {
        Err(Error::config(place, format!("the style {} {what}", path.display()), Some(help.to_string())))
    };
    if path.is_dir() {
        if image_files(path)?.is_empty() {
            return error("is a folder without images", "put jpg, png, webp, bmp or tiff files into it");
        }
    } else if !path.exists() {
        return error("does not exist", "paths start at the config's own folder, those of --set at the current one");
    } else if !is_image(path) {
        return error("is not an image by its extension", "jpg, jpeg, mpo, png, webp, bmp, tif and tiff are read");
    }
    Ok(())
}

/// The backbone, if it is a known name or a file.
pub(super) fn backbone(backbone: Option<WrittenFile>) -> Result<BackboneChoice> {
    let Some(WrittenFile { written, path, place }) = backbone else { return Ok(BackboneChoice::Auto) };
    match written.as_str() {
        "auto" => Ok(BackboneChoice::Auto),
        "builtin" => Ok(BackboneChoice::Builtin),
        _ if path.is_file() => Ok(BackboneChoice::Path(path)),
        name => {
            let message = format!("the backbone {} is not a file", path.display());
            let help = match yaml::nearest(name, ["auto", "builtin"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`auto`, `builtin` or the path of a .safetensors file was expected".to_string(),
            };
            Err(Error::config(place, message, Some(help)))
        }
    }
}

/// The engine, if it is a known name or a file, and a student can draw what the settings ask for.
pub(super) fn engine(engine: Option<WrittenFile>, settings: &Settings) -> Result<EngineChoice> {
    let Some(WrittenFile { written, path, place }) = engine else { return Ok(EngineChoice::Optimize) };
    let choice = match written.as_str() {
        "optimize" => return Ok(EngineChoice::Optimize),
        "learn" => EngineChoice::Learn,
        _ if path.is_file() => EngineChoice::Student(path),
        name => {
            let message = format!("the student {} is not a file", path.display());
            let help = match yaml::nearest(name, ["optimize", "learn"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`optimize`, `learn` or the path of a file that `augment learn` wrote was expected".to_string(),
            };
            return Err(Error::config(place, message, Some(help)));
        }
    };
    match unlearnable(settings) {
        Some((what, help)) => Err(Error::config(place, format!("no student: {what}"), Some(help.into()))),
        None => Ok(choice),
    }
}

/// Why no student can draw what the settings ask for, and what to do.
pub fn unlearnable(settings: &Settings) -> Option<(&'static str, &'static str)> {
    if settings.steps == 0 {
        return Some((
            "with `steps: 0` nothing is optimized that could be learned",
            "leave `engine` out, or set `steps`",
        ));
    }
    if settings.render == Render::Pixels {
        let what = "it draws maps of colours, and `render: pixels` is made of strokes";
        return Some((what, "set `render: photoreal`, or `engine: optimize`"));
    }
    if settings.init == Init::Noise {
        return Some(("it draws on the start, and `init: noise` shows no frame", "set another `init`"));
    }
    if settings.residual.high > 0.0 {
        return Some(("it draws no texture, and `residual` asks for some", "leave `residual` out"));
    }
    None
}

/// Styles cannot be drawn for a picture that takes all of them.
pub(super) fn mix(config: &Config, place: Option<String>, path: &Path) -> Result<()> {
    if config.pairing != Pairing::Blend || config.mix == 1 {
        return Ok(());
    }
    let message = format!("`mix: {}` draws styles where `pairing: blend` takes them all", config.mix);
    let help = Some("leave `mix` out, or pair by `random` or `cycle`".to_string());
    Err(Error::config(place.unwrap_or(first_line(path)), message, help))
}

/// A number of boxes needs classes to count.
pub(super) fn selection(config: &Config, place: Option<String>, path: &Path) -> Result<()> {
    let at_least = config.selection.at_least;
    if at_least == 1 || !config.selection.classes.is_empty() {
        return Ok(());
    }
    let message = format!("`at_least: {at_least}` counts boxes of no class");
    let help = Some("name classes, such as `where: {classes: [person]}`".to_string());
    Err(Error::config(place.unwrap_or(first_line(path)), message, help))
}

/// Without an optimizer, a picture that starts from noise stays noise.
pub(super) fn steps(config: &Config, place: Option<String>, path: &Path) -> Result<()> {
    if config.stylize.steps > 0 || config.stylize.init != Init::Noise {
        return Ok(());
    }
    let message = "`steps: 0` leaves nothing of a frame under `init: noise`".to_string();
    let help = Some("set another `init`, or steps".to_string());
    Err(Error::config(place.unwrap_or(first_line(path)), message, help))
}

/// A term with a weight needs a layer with a weight.
pub(super) fn term(term: &Term, key: &str, place: Option<String>, path: &Path) -> Result<()> {
    if term.weight == 0.0 || term.layers.iter().any(|&(_, weight)| weight > 0.0) {
        return Ok(());
    }
    let message = format!("`{key}` has a weight but no layer with a weight above 0");
    let help = Some("name a layer, such as `layers: {relu4_2: 1}`, or set the weight to 0".to_string());
    Err(Error::config(place.unwrap_or(first_line(path)), message, help))
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{FULL, complaint, config_folder, load};
    use crate::config::values::{Config, EngineChoice, Pairing};
    use std::fs;

    #[test]
    fn a_blend_of_all_styles_draws_none() {
        let complaint = complaint("pairing: blend\nmix: 2\n", &[]);
        assert!(complaint.starts_with("fog.yaml:3:6: `mix: 2` draws styles"), "{complaint}");
        assert_eq!(load(FULL, &["pairing=blend"]).unwrap().pairing, Pairing::Blend);
    }

    #[test]
    fn missing_and_empty_styles_are_named_with_their_place() {
        let none = load("seed: 1\n", &[]).unwrap_err().to_string();
        assert!(none.contains("fog.yaml:1:1: no `styles`") && none.contains("styles: [{path:"), "{none}");

        let pathless = load("styles: [{weight: 1}]\n", &[]).unwrap_err().to_string();
        assert!(pathless.contains("fog.yaml:1:10: a style needs a `path`"), "{pathless}");

        let missing = load("styles:\n  - path: styles/rain\n", &[]).unwrap_err().to_string();
        assert!(missing.contains("fog.yaml:2:11: the style") && missing.contains("does not exist"), "{missing}");

        let (folder, path) = config_folder("styles: [{path: empty}]");
        fs::create_dir(folder.path().join("empty")).unwrap();
        let empty = Config::load(&path, &[]).unwrap_err().to_string();
        assert!(empty.contains("fog.yaml:1:17: the style") && empty.contains("without images"), "{empty}");

        let weightless = load("styles: [{path: styles/fog, weight: 0}]", &[]).unwrap_err().to_string();
        assert!(weightless.contains("fog.yaml:1:9: every style has the weight 0"), "{weightless}");
    }

    #[test]
    fn noise_needs_steps() {
        let complaint = complaint("stylize: {init: noise, steps: 0}\n", &[]);
        assert!(complaint.contains("`steps: 0` leaves nothing of a frame"), "{complaint}");
        assert!(load(FULL, &["stylize.init=colour", "stylize.steps=0"]).is_ok());
    }

    #[test]
    fn a_backbone_is_a_name_or_a_file() {
        assert!(complaint("stylize: {backbone: buildin}\n", &[]).contains("did you mean `builtin`?"));
        let complaint = complaint("stylize: {backbone: nowhere.safetensors}\n", &[]);
        assert!(complaint.starts_with("fog.yaml:2:21: the backbone nowhere.safetensors is not a file"), "{complaint}");
    }

    #[test]
    fn an_engine_is_a_name_or_a_file_and_a_student_needs_what_it_can_draw() {
        assert!(complaint("stylize: {engine: lern}\n", &[]).contains("did you mean `learn`?"));
        let text = complaint("stylize: {engine: fog.student}\n", &[]);
        assert!(text.starts_with("fog.yaml:2:19: the student fog.student is not a file"), "{text}");
        for (set, reason) in [
            ("steps: 0", "nothing is optimized"),
            ("render: pixels", "made of strokes"),
            ("init: noise", "shows no frame"),
            ("residual: [0, 0.4]", "no texture"),
        ] {
            let text = complaint(&format!("stylize: {{engine: learn, {set}}}\n"), &[]);
            assert!(text.starts_with("fog.yaml:2:19: no student: ") && text.contains(reason), "{text}");
        }
        assert_eq!(load(FULL, &["stylize.engine=optimize"]).unwrap().engine, EngineChoice::Optimize);
    }

    #[test]
    fn the_condition_defaults_to_the_name_of_the_file() {
        assert_eq!(load("styles: [{path: styles/fog}]", &[]).unwrap().condition, "fog");
        assert!(complaint("condition: a/b\n", &[]).starts_with("fog.yaml:2:12: `condition`"));
        let (folder, _path) = config_folder("");
        let path = folder.path().join("my fog.yaml");
        let error = Config::parse("styles: [{path: styles/fog}]", &path, &[]).unwrap_err().to_string();
        assert!(error.contains("my fog.yaml:1:1: without a `condition`"), "{error}");
    }

    #[test]
    fn a_term_needs_layers_only_when_it_has_a_weight() {
        assert!(complaint("stylize: {content: {layers: {}}}\n", &[]).starts_with("fog.yaml:2:29: `content`"));
        assert!(complaint("stylize: {content: {layers: {relu4_2: 0}}}\n", &[]).contains("no layer"));
        assert!(load("styles: [{path: styles/fog}]\nstylize: {content: {weight: 0, layers: {}}}", &[]).is_ok());
    }
}
