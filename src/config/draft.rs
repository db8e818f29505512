//! A config while texts are laid over its defaults.

use crate::config::check;
use crate::config::origin::{Origin, Placed};
use crate::config::values::{Config, StyleSource};
use crate::config::wire::{
    WireConfig, WireEffects, WireOutput, WirePrecipitation, WireSelection, WireStyle, WireStylize, WireTerm,
};
use crate::error::Result;
use crate::nst::effects::amounts::Effects;
use crate::nst::settings::{PrecipitationRange, Range, Term};
use serde_yaml::Spanned;
use std::path::Path;

/// What the texts so far add up to.
pub(super) struct Draft {
    /// Its condition is empty until a text has one; its styles and backbone come at the end.
    config: Config,
    styles: Option<Placed<Vec<Placed<StyleSource>>>>,
    backbone: Option<check::WrittenFile>,
    engine: Option<check::WrittenFile>,
    places: Places,
}

/// The places of keys that can only be checked together with others.
#[derive(Default)]
struct Places {
    mix: Option<String>,
    at_least: Option<String>,
    steps: Option<String>,
    content: Option<String>,
    style: Option<String>,
}

/// Sets fields of `$target` to the keys of the same names, in this order, as far as the text has them.
///
/// Each group of keys is destructured without `..` before, so that a key that is not applied does not compile.
macro_rules! set {
    ($target:expr, $origin:expr; $($key:ident),+ $(,)?) => {
        $($key.set(&mut $target.$key, stringify!($key), $origin)?;)+
    };
}

impl Draft {
    /// Every key at its default.
    pub(super) fn new() -> Self {
        Self { config: Config::defaults(), styles: None, backbone: None, engine: None, places: Places::default() }
    }

    /// Lays a text over what is there.
    pub(super) fn apply(&mut self, wire: WireConfig, origin: &Origin) -> Result<()> {
        let WireConfig {
            condition,
            styles,
            pairing,
            mix,
            variants,
            fraction,
            selection,
            sequence,
            splits,
            seed,
            output,
            stylize,
        } = wire;
        let config = &mut self.config;
        set!(config, origin; condition);
        if let Some(styles) = styles {
            self.styles = Some(read_styles(styles, origin)?);
        }
        self.places.mix = mix.place(origin).or(self.places.mix.take());
        set!(config, origin; pairing, mix, variants, fraction, sequence, splits, seed);
        if let Some(WireSelection { classes, at_least }) = selection {
            self.places.at_least = at_least.place(origin).or(self.places.at_least.take());
            set!(config.selection, origin; classes, at_least);
        }
        if let Some(WireOutput { format, quality }) = output {
            set!(config, origin; format, quality);
        }
        stylize.map_or(Ok(()), |stylize| self.apply_stylize(stylize, origin))
    }

    fn apply_stylize(&mut self, wire: WireStylize, origin: &Origin) -> Result<()> {
        let WireStylize {
            backbone,
            engine,
            size,
            steps,
            scales,
            optimizer,
            init,
            weather,
            regions,
            content,
            style,
            tv,
            pool,
            padding,
            render,
            chroma,
            residual,
            strength,
            guard,
            keep_colours,
            scene,
            effects,
            falling,
        } = wire;
        if let Some(place) = backbone.place(origin)
            && let Some(written) = backbone.read("backbone", origin)?
        {
            self.backbone = Some(check::WrittenFile { path: origin.path(&written), written, place });
        }
        if let Some(place) = engine.place(origin)
            && let Some(written) = engine.read("engine", origin)?
        {
            self.engine = Some(check::WrittenFile { path: origin.path(&written), written, place });
        }
        self.places.steps = steps.place(origin).or(self.places.steps.take());
        let settings = &mut self.config.stylize;
        set!(settings, origin; size, steps, scales, optimizer, init, weather, regions);
        apply_term(&mut settings.content, &mut self.places.content, content, origin)?;
        apply_term(&mut settings.style, &mut self.places.style, style, origin)?;
        set!(settings, origin; tv, pool, padding, render, chroma, residual, strength, guard, keep_colours, scene);
        if let Some(effects) = effects {
            apply_effects(&mut settings.effects, effects, origin)?;
        }
        falling.map_or(Ok(()), |falling| apply_falling(&mut settings.falling, falling, origin))
    }

    /// Lays single layers over those that are there.
    pub(super) fn apply_single_layers(&mut self, wire: WireStylize, origin: &Origin) -> Result<()> {
        let settings = &mut self.config.stylize;
        let terms = [
            (wire.content, &mut settings.content, &mut self.places.content),
            (wire.style, &mut settings.style, &mut self.places.style),
        ];
        for (wire, term, place) in terms {
            let Some(WireTerm { layers, .. }) = wire else { continue };
            *place = layers.place(origin).or(place.take());
            for (tap, weight) in layers.read("layers", origin)?.into_iter().flatten() {
                term.layers.retain(|&(known, _)| known != tap);
                term.layers.push((tap, weight));
            }
            term.layers.sort_by_key(|&(tap, _)| tap);
        }
        Ok(())
    }

    /// The whole, checked. The config file lies at `path`.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] for what does not go together or does not exist; [`crate::error::Error::Io`] for
    /// a folder of styles that cannot be listed.
    pub(super) fn finish(self, path: &Path) -> Result<Config> {
        let Self { mut config, styles, backbone, engine, places } = self;
        if config.condition.is_empty() {
            config.condition = check::condition_of_file(path)?;
        }
        config.styles = check::styles(styles, path)?;
        config.backbone = check::backbone(backbone)?;
        config.engine = check::engine(engine, &config.stylize)?;
        check::mix(&config, places.mix, path)?;
        check::selection(&config, places.at_least, path)?;
        check::steps(&config, places.steps, path)?;
        check::term(&config.stylize.content, "content", places.content, path)?;
        check::term(&config.stylize.style, "style", places.style, path)?;
        Ok(config)
    }
}

fn read_styles(styles: Spanned<Vec<Spanned<WireStyle>>>, origin: &Origin) -> Result<Placed<Vec<Placed<StyleSource>>>> {
    let place = origin.place(styles.referenced);
    let value = styles.value.into_iter().map(|style| read_style(style, origin)).collect::<Result<_>>()?;
    Ok(Placed { value, place })
}

fn read_style(style: Spanned<WireStyle>, origin: &Origin) -> Result<Placed<StyleSource>> {
    let Spanned { value: WireStyle { path, weight }, referenced, .. } = style;
    let place = path.place(origin).unwrap_or_default();
    let Some(path) = path.read("path", origin)? else {
        return Err(origin.error(referenced, "a style needs a `path`", Some(check::STYLES_EXAMPLE.into())));
    };
    let weight = weight.read("weight", origin)?.unwrap_or(1.0);
    Ok(Placed { value: StyleSource { path: origin.path(&path), weight }, place })
}

fn apply_term(term: &mut Term, place: &mut Option<String>, wire: Option<WireTerm>, origin: &Origin) -> Result<()> {
    let Some(WireTerm { weight, layers }) = wire else { return Ok(()) };
    *place = layers.place(origin).or(weight.place(origin)).or(place.take());
    set!(term, origin; weight, layers);
    Ok(())
}

fn apply_effects(target: &mut Effects<Range>, wire: WireEffects, origin: &Origin) -> Result<()> {
    let WireEffects {
        air,
        snow,
        tracks,
        snowy_vehicles,
        wet,
        puddles,
        spray,
        lamps,
        headlamps,
        street_lamps,
        windows,
        glare,
        drops,
        noise,
        blur,
        motion,
        overcast,
        black,
    } = wire;
    set!(target, origin; air, snow, tracks, snowy_vehicles, wet, puddles, spray);
    set!(target, origin; lamps, headlamps, street_lamps, windows, glare, drops, noise, blur, motion, overcast, black);
    Ok(())
}

fn apply_falling(falling: &mut PrecipitationRange, wire: WirePrecipitation, origin: &Origin) -> Result<()> {
    let WirePrecipitation { kind, density, wind, exposure } = wire;
    set!(falling, origin; kind, density, wind, exposure);
    Ok(())
}
