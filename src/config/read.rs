//! The config file and `--set`, from YAML to validated values.
//!
//! The wire structs hold what a text says, key by key, each value with its place. `Draft::apply` checks one such text
//! and lays it over what is already there: first the defaults, then the file, then every `--set` in turn. What needs the
//! whole picture (are there styles? do these files exist?) is checked once at the end.

use crate::config::keys::Names;
use crate::config::values::{BackboneChoice, Config, Defaults, Pairing, StyleSource};
use crate::config::wire::{
    CHROMAS, EXPOSURE, FORMATS, INITS, KINDS, MIX, OPTIMIZERS, PADDINGS, PAIRINGS, POOLS, QUALITY, REGIONS, RENDERS,
    SCALES, SHARE, SIZE, SPLITS, STEPS, VARIANTS, WEATHERS, WEIGHT, WIND, WireConfig, WireOutput, WirePrecipitation,
    WireStyle, WireStylize, WireTerm,
};
use crate::dataset::scan::{image_files, is_image};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::nst::Tap;
use crate::nst::settings::{PrecipitationRange, Range, RegionKind, Term};
use crate::yaml::{self, Fault, Pairs, Yaml};
use serde_yaml::{Location, Spanned};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const LONGEST_CONDITION: usize = 64;

const STYLES_EXAMPLE: &str = "write, for example, `styles: [{path: ../styles/fog}]`";

impl Config {
    /// Reads the file at `path`, lays every `--set` of `sets` (`a.b=yaml`) over it and checks the whole.
    ///
    /// # Errors
    /// [`Error::Config`] for everything that is not as documented, with `file:line:column` or the `--set` as its place;
    /// [`Error::Usage`] for a file that cannot be read and a `--set` that is no `KEY=VALUE`; [`Error::Io`] if a folder of
    /// styles cannot be listed.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Usage(format!("{}: could not read the config: {error}", path.display())))?;
        Self::parse(&text, path, sets)
    }

    /// [`Config::load`] for the text of a file that lies at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path, sets: &[String]) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(Error::io(path, "find its folder"))?;
        let here = std::env::current_dir().map_err(Error::io(Path::new("."), "find the current folder"))?;
        let mut draft = Draft::default();

        let file = Origin { name: Name::File(path), base: absolute.parent().unwrap_or(&absolute).to_path_buf() };
        draft.apply(parse_wire(text, &file)?, &file)?;
        for set in sets {
            let origin = Origin { name: Name::Set(set), base: here.clone() };
            draft.apply_set(set, &origin)?;
        }
        draft.finish(path)
    }
}

/// Where a text comes from: for the places in messages and as the start of relative paths.
struct Origin<'a> {
    name: Name<'a>,
    base: PathBuf,
}

enum Name<'a> {
    File(&'a Path),
    Set(&'a str),
}

impl Origin<'_> {
    fn place(&self, line: u64, column: u64) -> String {
        match self.name {
            Name::File(path) => format!("{}:{line}:{column}", path.display()),
            Name::Set(set) => format!("--set {set}"),
        }
    }

    fn of(&self, at: Location) -> String {
        self.place(at.line(), at.column())
    }

    fn error(&self, at: Location, message: impl Into<String>, help: Option<String>) -> Error {
        Error::Config { place: self.of(at), message: message.into(), help }
    }

    fn fault(&self, fault: Fault) -> Error {
        let (line, column) = fault.at.unwrap_or((1, 1));
        Error::Config { place: self.place(line, column), message: fault.message, help: fault.help }
    }

    /// The value, if `range` holds it.
    fn within<T: PartialOrd + Copy + Display>(
        &self,
        value: &Spanned<T>,
        range: RangeInclusive<T>,
        key: &str,
    ) -> Result<T> {
        if range.contains(&value.value) {
            return Ok(value.value);
        }
        let message = format!("`{key}` must lie between {} and {}, not at {}", range.start(), range.end(), value.value);
        Err(self.error(value.referenced, message, None))
    }

    /// The value that `names` gives to this name.
    fn choice<T: Clone, const N: usize>(&self, value: &Spanned<String>, names: &Names<T, N>, key: &str) -> Result<T> {
        names.iter().find(|(name, _)| *name == value.value).map(|(_, choice)| choice.clone()).ok_or_else(|| {
            let help = yaml::suggest(&value.value, names.iter().map(|&(name, _)| name));
            self.error(value.referenced, format!("`{key}` cannot be `{}`", value.value), Some(help))
        })
    }

    /// A number or `[low, high]`, both in `range`.
    fn span(&self, value: &Spanned<Yaml>, range: RangeInclusive<f64>, key: &str) -> Result<Range> {
        let number = |value: &Yaml| match *value {
            Yaml::Int(v) => Some(v as f64),
            Yaml::Float(v) => Some(v),
            _ => None,
        };
        let found = match &value.value {
            Yaml::List(bounds) => match &bounds[..] {
                [low, high] => number(low).zip(number(high)).map(|(low, high)| Range { low, high }),
                _ => None,
            },
            one => number(one).map(Range::from),
        };
        let span = found.ok_or_else(|| {
            let help = format!(
                "write, for example, `{key}: {}` or `{key}: [{}, {}]`",
                range.end(),
                range.start(),
                range.end()
            );
            self.error(value.referenced, format!("`{key}` must be a number or a list of two"), Some(help))
        })?;
        if !range.contains(&span.low) || !range.contains(&span.high) || span.low > span.high {
            let message = format!(
                "`{key}` must lie between {} and {}, the lower bound first, not at {}",
                range.start(),
                range.end(),
                value.value
            );
            return Err(self.error(value.referenced, message, None));
        }
        Ok(span)
    }

    /// A kind of regions by name, or the names of masks.
    fn regions(&self, value: Spanned<Yaml>) -> Result<RegionKind> {
        let Spanned { value, referenced, defined } = value;
        match value {
            Yaml::Text(name) => self.choice(&Spanned { value: name, referenced, defined }, &REGIONS, "regions"),
            Yaml::List(names) if !names.is_empty() => {
                let name = |name: Yaml| match name {
                    Yaml::Text(name) if check_condition(&name).is_ok() => Ok(name),
                    other => Err(self.error(referenced, format!("`{other}` cannot be the name of a mask"), None)),
                };
                Ok(RegionKind::Masks(names.into_iter().map(name).collect::<Result<_>>()?))
            }
            _ => {
                let help = "write `none`, `bands`, `scene`, or the names of masks: `[sky, road]`".to_string();
                Err(self.error(referenced, "`regions` must be a name or a list of names", Some(help)))
            }
        }
    }

    fn path(&self, written: &str) -> PathBuf {
        crate::files::paths::normalize(&self.base.join(written))
    }
}

/// What the texts so far add up to, with the places of what only the end can check.
#[derive(Default)]
struct Draft {
    condition: Option<String>,
    styles: Option<Placed<Vec<Placed<StyleSource>>>>,
    backbone: Option<Placed<String>>,
    backbone_path: PathBuf,
    rest: Defaults,
    mix_place: Option<String>,
    content_place: Option<String>,
    style_place: Option<String>,
}

struct Placed<T> {
    value: T,
    place: String,
}

fn parse_wire(text: &str, origin: &Origin) -> Result<WireConfig> {
    // An empty file is a config that leaves everything at its default.
    let wire: Option<WireConfig> = yaml::parse(text).map_err(|fault| origin.fault(fault))?;
    Ok(wire.unwrap_or_default())
}

impl Draft {
    fn apply_set(&mut self, set: &str, origin: &Origin) -> Result<()> {
        let (key, value) = set
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty() && key.split('.').all(|part| !part.trim().is_empty()))
            .ok_or_else(|| Error::Usage(format!("--set {set}: expected KEY=VALUE, such as `stylize.steps=60`")))?;
        let value: Yaml = yaml::parse(value).map_err(|fault| origin.fault(fault))?;
        if value == Yaml::Null {
            return Err(Error::Usage(format!("--set {set}: no value after the `=`")));
        }
        let keys: Vec<&str> = key.split('.').map(str::trim).collect();
        let nested = keys.iter().rev().fold(value, |inner, key| Yaml::Map(vec![(Yaml::Text(key.to_string()), inner)]));
        let wire = parse_wire(&nested.to_string(), origin)?;
        match (&keys[..], wire) {
            // One layer by name changes that layer; `layers` as a whole replaces them all.
            (["stylize", "content" | "style", "layers", _], WireConfig { stylize: Some(stylize), .. }) => {
                self.apply_layer(stylize, origin)
            }
            (_, wire) => self.apply(wire, origin),
        }
    }

    fn apply(&mut self, wire: WireConfig, origin: &Origin) -> Result<()> {
        if let Some(condition) = wire.condition {
            check_condition(&condition.value).map_err(|why| origin.error(condition.referenced, why, None))?;
            self.condition = Some(condition.value);
        }
        if let Some(styles) = wire.styles {
            let place = origin.of(styles.referenced);
            let value = styles.value.into_iter().map(|style| read_style(style, origin)).collect::<Result<_>>()?;
            self.styles = Some(Placed { value, place });
        }
        let rest = &mut self.rest;
        if let Some(pairing) = wire.pairing {
            rest.pairing = origin.choice(&pairing, &PAIRINGS, "pairing")?;
        }
        if let Some(mix) = wire.mix {
            rest.mix = origin.within(&mix, MIX, "mix")? as u32;
            self.mix_place = Some(origin.of(mix.referenced));
        }
        if let Some(variants) = wire.variants {
            rest.variants = origin.within(&variants, VARIANTS, "variants")? as u32;
        }
        if let Some(fraction) = wire.fraction {
            if !(fraction.value > 0.0 && fraction.value <= 1.0) {
                let message = format!("`fraction` must lie above 0 and at most at 1, not at {}", fraction.value);
                return Err(origin.error(fraction.referenced, message, None));
            }
            rest.fraction = fraction.value;
        }
        if let Some(splits) = wire.splits {
            rest.splits = read_splits(&splits, origin)?;
        }
        if let Some(seed) = wire.seed {
            rest.seed = origin.within(&seed, 0..=u64::MAX.into(), "seed")? as u64;
        }
        if let Some(output) = wire.output {
            rest.apply_output(output, origin)?;
        }
        wire.stylize.map_or(Ok(()), |stylize| self.apply_stylize(stylize, origin))
    }

    fn apply_stylize(&mut self, wire: WireStylize, origin: &Origin) -> Result<()> {
        if let Some(backbone) = wire.backbone {
            self.backbone_path = origin.path(&backbone.value);
            self.backbone = Some(Placed { place: origin.of(backbone.referenced), value: backbone.value });
        }
        let settings = &mut self.rest.stylize;
        if let Some(size) = wire.size {
            settings.size = origin.within(&size, SIZE, "size")? as usize;
        }
        if let Some(steps) = wire.steps {
            settings.steps = origin.within(&steps, STEPS, "steps")? as usize;
        }
        if let Some(scales) = wire.scales {
            settings.scales = read_scales(scales, origin)?;
        }
        if let Some(optimizer) = wire.optimizer {
            settings.optimizer = origin.choice(&optimizer, &OPTIMIZERS, "optimizer")?;
        }
        if let Some(init) = wire.init {
            settings.init = origin.choice(&init, &INITS, "init")?;
        }
        if let Some(weather) = wire.weather {
            settings.weather = origin.choice(&weather, &WEATHERS, "weather")?;
        }
        if let Some(regions) = wire.regions {
            settings.regions = origin.regions(regions)?;
        }
        if let Some(term) = wire.content {
            apply_term(&mut settings.content, &mut self.content_place, term, origin)?;
        }
        if let Some(term) = wire.style {
            apply_term(&mut settings.style, &mut self.style_place, term, origin)?;
        }
        if let Some(tv) = wire.tv {
            settings.tv = origin.within(&tv, WEIGHT, "tv")?;
        }
        if let Some(pool) = wire.pool {
            settings.pool = origin.choice(&pool, &POOLS, "pool")?;
        }
        if let Some(padding) = wire.padding {
            settings.padding = origin.choice(&padding, &PADDINGS, "padding")?;
        }
        if let Some(render) = wire.render {
            settings.render = origin.choice(&render, &RENDERS, "render")?;
        }
        if let Some(chroma) = wire.chroma {
            settings.chroma = origin.choice(&chroma, &CHROMAS, "chroma")?;
        }
        if let Some(strength) = wire.strength {
            settings.strength = origin.span(&strength, SHARE, "strength")?;
        }
        if let Some(guard) = wire.guard {
            settings.guard = guard.value;
        }
        if let Some(keep_colours) = wire.keep_colours {
            settings.keep_colours = keep_colours.value;
        }
        wire.falling.map_or(Ok(()), |falling| apply_falling(&mut settings.falling, falling, origin))
    }

    /// Lays single layers over those that are already there.
    fn apply_layer(&mut self, wire: WireStylize, origin: &Origin) -> Result<()> {
        let settings = &mut self.rest.stylize;
        let sides = [
            (wire.content, &mut settings.content, &mut self.content_place),
            (wire.style, &mut settings.style, &mut self.style_place),
        ];
        for (term, target, place) in sides {
            let Some(layers) = term.and_then(|term| term.layers) else { continue };
            *place = Some(origin.of(layers.referenced));
            for (tap, weight) in read_layers(layers, origin)? {
                target.layers.retain(|&(known, _)| known != tap);
                target.layers.push((tap, weight));
            }
            target.layers.sort_by_key(|&(tap, _)| tap);
        }
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<Config> {
        let condition = match &self.condition {
            Some(condition) => condition.clone(),
            None => condition_of_file(path)?,
        };
        let styles = check_styles(self.styles, path)?;
        let backbone = check_backbone(self.backbone, self.backbone_path)?;
        let rest = self.rest;
        if rest.pairing == Pairing::Blend && rest.mix > 1 {
            let message = format!("`mix: {}` draws styles where `pairing: blend` takes them all", rest.mix);
            let help = Some("leave `mix` out, or pair by `random` or `cycle`".to_string());
            return Err(Error::Config { place: self.mix_place.unwrap_or(first_line(path)), message, help });
        }
        let terms = [
            (&rest.stylize.content, &self.content_place, "content"),
            (&rest.stylize.style, &self.style_place, "style"),
        ];
        for (term, place, key) in terms {
            if term.weight > 0.0 && !term.layers.iter().any(|&(_, weight)| weight > 0.0) {
                let message = format!("`{key}` has a weight but no layer with a weight above 0");
                let help = Some("name a layer, such as `layers: {relu4_2: 1}`, or set the weight to 0".to_string());
                return Err(Error::Config { place: place.clone().unwrap_or(first_line(path)), message, help });
            }
        }
        let Defaults { pairing, mix, variants, fraction, splits, seed, format, quality, stylize } = rest;
        Ok(Config {
            condition,
            styles,
            pairing,
            mix,
            variants,
            fraction,
            splits,
            seed,
            format,
            quality,
            backbone,
            stylize,
        })
    }
}

impl Defaults {
    fn apply_output(&mut self, wire: WireOutput, origin: &Origin) -> Result<()> {
        if let Some(format) = wire.format {
            self.format = origin.choice(&format, &FORMATS, "format")?;
        }
        if let Some(quality) = wire.quality {
            self.quality = origin.within(&quality, QUALITY, "quality")? as u8;
        }
        Ok(())
    }
}

fn first_line(path: &Path) -> String {
    format!("{}:1:1", path.display())
}

fn check_condition(condition: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if condition.is_empty() || condition.len() > LONGEST_CONDITION || !condition.chars().all(good) {
        return Err(format!(
            "`condition` goes into file names: 1 to {LONGEST_CONDITION} letters, digits, `_` and `-` were expected, not `{condition}`"
        ));
    }
    Ok(())
}

fn condition_of_file(path: &Path) -> Result<String> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    check_condition(&stem).map(|()| stem).map_err(|why| Error::Config {
        place: first_line(path),
        message: format!("without a `condition` the file's own name is taken, but {why}"),
        help: Some("write, for example, `condition: fog`".into()),
    })
}

fn read_style(style: Spanned<WireStyle>, origin: &Origin) -> Result<Placed<StyleSource>> {
    let Some(path) = style.value.path else {
        return Err(origin.error(style.referenced, "a style needs a `path`", Some(STYLES_EXAMPLE.into())));
    };
    let weight = style.value.weight.map_or(Ok(1.0), |weight| origin.within(&weight, WEIGHT, "weight"))?;
    let value = StyleSource { path: origin.path(&path.value), weight };
    Ok(Placed { value, place: origin.of(path.referenced) })
}

fn read_scales(scales: Spanned<Yaml>, origin: &Origin) -> Result<Option<usize>> {
    match scales.value {
        Yaml::Text(text) if text == "auto" => Ok(None),
        Yaml::Int(count) if SCALES.contains(&i64::try_from(count).unwrap_or(0)) => Ok(Some(count as usize)),
        other => {
            let message =
                format!("`scales` must be `auto` or lie between {} and {}, not", SCALES.start(), SCALES.end());
            Err(origin.error(scales.referenced, format!("{message} {other}"), None))
        }
    }
}

fn read_splits(splits: &Spanned<Vec<Spanned<String>>>, origin: &Origin) -> Result<Vec<Split>> {
    let mut read =
        splits.value.iter().map(|split| origin.choice(split, &SPLITS, "splits")).collect::<Result<Vec<_>>>()?;
    read.sort();
    read.dedup();
    if read.is_empty() {
        let help = Some("write, for example, `splits: [train]`".into());
        return Err(origin.error(splits.referenced, "`splits` names no split", help));
    }
    Ok(read)
}

fn apply_term(target: &mut Term, place: &mut Option<String>, wire: WireTerm, origin: &Origin) -> Result<()> {
    if let Some(weight) = wire.weight {
        target.weight = origin.within(&weight, WEIGHT, "weight")?;
        *place = Some(origin.of(weight.referenced));
    }
    if let Some(layers) = wire.layers {
        *place = Some(origin.of(layers.referenced));
        target.layers = read_layers(layers, origin)?;
    }
    Ok(())
}

fn apply_falling(target: &mut PrecipitationRange, wire: WirePrecipitation, origin: &Origin) -> Result<()> {
    if let Some(kind) = wire.kind {
        target.kind = origin.choice(&kind, &KINDS, "kind")?;
    }
    if let Some(density) = wire.density {
        target.density = origin.span(&density, SHARE, "density")?;
    }
    if let Some(wind) = wire.wind {
        target.wind = origin.span(&wind, WIND, "wind")?;
    }
    if let Some(exposure) = wire.exposure {
        target.exposure = origin.span(&exposure, EXPOSURE, "exposure")?;
    }
    Ok(())
}

fn read_layers(layers: Spanned<Pairs<Spanned<String>, Spanned<f64>>>, origin: &Origin) -> Result<Vec<(Tap, f64)>> {
    let mut read = Vec::new();
    for (name, weight) in layers.value.0 {
        let tap: Tap = name.value.parse().map_err(|why: String| {
            let all: Vec<String> = Tap::all().map(|tap| tap.to_string()).collect();
            let help = yaml::nearest(&name.value, all.iter().map(String::as_str));
            origin.error(name.referenced, why, help.map(|near| format!("did you mean `{near}`?")))
        })?;
        read.push((tap, origin.within(&weight, WEIGHT, &name.value)?));
    }
    read.sort_by_key(|&(tap, _)| tap);
    Ok(read)
}

fn check_styles(styles: Option<Placed<Vec<Placed<StyleSource>>>>, path: &Path) -> Result<Vec<StyleSource>> {
    let Some(styles) = styles.filter(|styles| !styles.value.is_empty()) else {
        let message = "no `styles`: nothing says what the frames shall look like".to_string();
        return Err(Error::Config { place: first_line(path), message, help: Some(STYLES_EXAMPLE.into()) });
    };
    for Placed { value: StyleSource { path, .. }, place } in &styles.value {
        let error = |what: &str, help: &str| {
            let message = format!("the style {} {what}", path.display());
            Error::Config { place: place.clone(), message, help: Some(help.to_string()) }
        };
        if path.is_dir() {
            if image_files(path)?.is_empty() {
                return Err(error("is a folder without images", "put jpg, png, webp, bmp or tiff files into it"));
            }
        } else if !path.exists() {
            return Err(error(
                "does not exist",
                "paths start at the config's own folder, those of --set at the current one",
            ));
        } else if !is_image(path) {
            return Err(error("is no image by its extension", "jpg, jpeg, png, webp, bmp, tif and tiff are read"));
        }
    }
    if styles.value.iter().all(|style| style.value.weight == 0.0) {
        let message = "every style has the weight 0".to_string();
        return Err(Error::Config { place: styles.place, message, help: Some("give one a weight above 0".into()) });
    }
    Ok(styles.value.into_iter().map(|style| style.value).collect())
}

fn check_backbone(backbone: Option<Placed<String>>, path: PathBuf) -> Result<BackboneChoice> {
    let Some(Placed { value, place }) = backbone else { return Ok(BackboneChoice::Auto) };
    match value.as_str() {
        "auto" => Ok(BackboneChoice::Auto),
        "builtin" => Ok(BackboneChoice::Builtin),
        _ if path.is_file() => Ok(BackboneChoice::Path(path)),
        name => {
            let message = format!("the backbone {} is no file", path.display());
            let help = match yaml::nearest(name, ["auto", "builtin"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`auto`, `builtin` or the path of a .safetensors file was expected".to_string(),
            };
            Err(Error::Config { place, message, help: Some(help) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::Settings;
    use crate::nst::render::precipitation::PrecipitationKind;
    use std::fs;
    use tempfile::TempDir;

    /// A folder with `styles/fog/a.png` and the config file `fog.yaml`.
    fn config_folder(text: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("styles/fog")).unwrap();
        fs::write(folder.path().join("styles/fog/a.png"), b"x").unwrap();
        let path = folder.path().join("fog.yaml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn load(text: &str, sets: &[&str]) -> Result<Config> {
        let (_folder, path) = config_folder(text);
        Config::load(&path, &sets.iter().map(|set| set.to_string()).collect::<Vec<_>>())
    }

    /// The message for a config that starts with valid styles, with its folder cut off.
    fn complaint(text: &str, sets: &[&str]) -> String {
        let (folder, path) = config_folder(&format!("styles: [{{path: styles/fog}}]\n{text}"));
        let sets: Vec<_> = sets.iter().map(|set| set.to_string()).collect();
        let error = Config::load(&path, &sets).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    const FULL: &str = "
condition: fog
styles: [{path: styles/fog, weight: 1.0}]
pairing: random
mix: 1
variants: 1
fraction: 1.0
splits: [train]
seed: 0
output: {format: same, quality: 95}
stylize:
  backbone: auto
  size: 384
  steps: 30
  scales: auto
  optimizer: lbfgs
  init: colour
  content: {weight: 1.0, layers: {relu4_2: 1.0}}
  style: {weight: 10.0, layers: {relu1_1: 1, relu2_1: 1, relu3_1: 1, relu4_1: 1, relu5_1: 1}}
  tv: 0.0
  pool: max
  padding: zero
  render: photoreal
  strength: 1.0
  weather: fog
  regions: none
  chroma: style
  guard: true
  falling: {kind: none, density: [0.3, 0.7], wind: [-2, 2], exposure: [0.004, 0.016]}
  keep_colours: false
";

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
        assert_eq!(complaint("splits: train\n", &[]), "fog.yaml:2:9: a list was expected");
        assert!(complaint("condition: [fog]\n", &[]).starts_with("fog.yaml:2:12: "));
        assert!(complaint("a: [\n", &[]).starts_with("fog.yaml:"));
    }

    #[test]
    fn a_value_out_of_range_is_told_the_range() {
        assert_eq!(complaint("variants: 0\n", &[]), "fog.yaml:2:11: `variants` must lie between 1 and 1000, not at 0");
        for text in [
            "fraction: 0\n",
            "fraction: 1.5\n",
            "fraction: .nan\n",
            "seed: -1\n",
            "mix: 0\n",
            "mix: 17\n",
            "output: {quality: 101}\n",
            "stylize: {size: 8}\n",
            "stylize: {steps: 0}\n",
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
    fn a_config_that_cannot_be_read_is_a_usage_error() {
        let error = Config::load(Path::new("nowhere.yaml"), &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().starts_with("nowhere.yaml: could not read"), "{error}");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let expected = "fog.yaml:2:10: `pairing` cannot be `cicle`\n  help: did you mean `cycle`?";
        assert_eq!(complaint("pairing: cicle\n", &[]), expected);
        assert!(complaint("splits: [valid]\n", &[]).contains("`val`"));
        assert!(complaint("stylize: {render: photo}\n", &[]).contains("`photoreal`"));
        assert!(complaint("stylize: {padding: repeat}\n", &[]).contains("`replicate`"));
        let layer = complaint("stylize: {style: {layers: {relu41: 1}}}\n", &[]);
        assert!(layer.starts_with("fog.yaml:2:28: `relu41`") && layer.ends_with("did you mean `relu4_1`?"), "{layer}");
        assert!(complaint("stylize: {backbone: buildin}\n", &[]).contains("`builtin`"));
    }

    #[test]
    fn a_blend_of_all_styles_draws_none() {
        let complaint = complaint("pairing: blend\nmix: 2\n", &[]);
        assert!(complaint.starts_with("fog.yaml:3:6: `mix: 2` draws styles"), "{complaint}");
        assert_eq!(load(FULL, &["pairing=blend"]).unwrap().pairing, Pairing::Blend);
    }

    #[test]
    fn duplicate_keys_are_errors() {
        assert!(complaint("seed: 1\nseed: 2\n", &[]).starts_with("fog.yaml:3:1: the key `seed`"));
    }

    #[test]
    fn missing_and_empty_styles_are_named_with_their_place() {
        let none = load("seed: 1\n", &[]).unwrap_err().to_string();
        assert!(none.contains("fog.yaml:1:1: no `styles`") && none.contains("styles: [{path:"), "{none}");

        let missing = load("styles:\n  - path: styles/rain\n", &[]).unwrap_err().to_string();
        assert!(missing.contains("fog.yaml:2:11: the style") && missing.contains("does not exist"), "{missing}");

        let (folder, path) = config_folder("styles: [{path: empty}]");
        fs::create_dir(folder.path().join("empty")).unwrap();
        let empty = Config::load(&path, &[]).unwrap_err().to_string();
        assert!(empty.contains("fog.yaml:1:17: the style") && empty.contains("without images"), "{empty}");

        let weightless = load("styles: [{path: styles/fog, weight: 0}]", &[]).unwrap_err().to_string();
        assert!(weightless.contains("weight 0"), "{weightless}");
    }

    #[test]
    fn the_condition_defaults_to_the_name_of_the_file() {
        assert_eq!(load("styles: [{path: styles/fog}]", &[]).unwrap().condition, "fog");
        assert!(complaint("condition: a/b\n", &[]).starts_with("fog.yaml:2:12: `condition`"));
    }

    #[test]
    fn a_term_needs_layers_only_when_it_has_a_weight() {
        assert!(complaint("stylize: {content: {layers: {}}}\n", &[]).starts_with("fog.yaml:2:29: `content`"));
        assert!(complaint("stylize: {content: {layers: {relu4_2: 0}}}\n", &[]).contains("no layer"));
        assert!(load("styles: [{path: styles/fog}]\nstylize: {content: {weight: 0, layers: {}}}", &[]).is_ok());
    }

    #[test]
    fn a_set_overrides_the_file_by_the_same_rules() {
        let sets = ["stylize.steps=60", "condition=mist", "stylize.style.layers.relu4_1=0.5", "output={quality: 80}"];
        let config = load(FULL, &sets).unwrap();
        assert_eq!((config.stylize.steps, config.condition.as_str(), config.quality), (60, "mist", 80));
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

    #[test]
    fn the_digest_follows_what_changes_a_pixel_and_nothing_else() {
        let base = load(FULL, &[]).unwrap().digest();
        assert_eq!(base.len(), 16);
        for same in ["variants=3", "fraction=0.5", "splits=[val]", "stylize.backbone=builtin"] {
            assert_eq!(load(FULL, &[same]).unwrap().digest(), base, "{same}");
        }
        for other in [
            "seed=1",
            "condition=mist",
            "output.quality=90",
            "stylize.tv=0.1",
            "stylize.content.weight=2",
            "stylize.style.layers.relu4_1=0.5",
            "stylize.render=pixels",
            "stylize.keep_colours=true",
            "stylize.padding=wrap",
            "stylize.scales=2",
            "pairing=cycle",
            "pairing=blend",
            "mix=2",
        ] {
            assert_ne!(load(FULL, &[other]).unwrap().digest(), base, "{other}");
        }
    }
}
