//! What of a config can change a pixel or a file name, as one digest.

use crate::config::keys::name_of;
use crate::config::values::Config;
use crate::files::digest::short_digest;
use crate::nst::Settings;
use crate::nst::settings::Term;
use serde_json::{Map, Value, json};

impl Config {
    /// Sixteen hex digits that change with every value that can change a pixel or a file name of one job.
    ///
    /// Left out are the keys that only decide which jobs there are (`variants`, `fraction`, `where`, `splits`) and
    /// where files lie (`styles`, `backbone`, `engine`). A job's style, backbone and student are known by the digests of
    /// their contents.
    /// `sequence` only decides style, seed and place of a job, which rows hold and which are compared by themselves.
    pub fn digest(&self) -> String {
        // Without `..`: a new field does not compile until it is put in or left out here.
        let Self {
            condition,
            pairing,
            mix,
            seed,
            format,
            quality,
            stylize,
            styles: _,
            backbone: _,
            engine: _,
            variants: _,
            fraction: _,
            selection: _,
            sequence: _,
            splits: _,
        } = self;
        let mut canonical = json!({
            "condition": condition, "pairing": name_of(pairing), "mix": mix, "seed": seed,
            "format": name_of(format), "quality": quality,
        });
        let settings = settings(stylize);
        canonical.as_object_mut().into_iter().for_each(|all| all.extend(settings.clone()));
        canonical.sort_all_objects();
        short_digest(canonical.to_string().as_bytes())
    }
}

/// Sixteen hex digits that change with every value that a student learns from, apart from the style pictures.
pub fn learning_digest(config: &Config) -> String {
    let mut learned = Value::from(settings(&config.stylize));
    // What comes after the optimizer.
    let after = ["strength", "falling", "residual"];
    learned.as_object_mut().into_iter().for_each(|all| all.retain(|key, _| !after.contains(&key.as_str())));
    let styles = json!({ "pairing": name_of(&config.pairing), "mix": config.mix });
    learned.as_object_mut().into_iter().for_each(|all| all.extend(styles.as_object().cloned().into_iter().flatten()));
    learned.sort_all_objects();
    short_digest(learned.to_string().as_bytes())
}

/// All settings by name.
fn settings(stylize: &Settings) -> Map<String, Value> {
    let Settings {
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
        // Serialized whole, as all structs and enums here but the terms.
        falling,
        scene,
        effects,
        keep_colours,
    } = stylize;
    let settings = json!({
        "size": size, "steps": steps, "scales": scales, "optimizer": optimizer, "init": init, "weather": weather,
        "regions": regions, "content": term(content), "style": term(style), "tv": tv, "pool": pool,
        "padding": padding, "render": render, "chroma": chroma, "residual": residual, "strength": strength, "guard": guard,
        "falling": falling, "scene": scene, "effects": effects, "keep_colours": keep_colours,
    });
    match settings {
        Value::Object(settings) => settings,
        _ => unreachable!("an object was written"),
    }
}

/// A term with its layers in the network's order: the order in the file changes nothing.
fn term(term: &Term) -> Value {
    let Term { weight, layers } = term;
    let mut layers = layers.clone();
    layers.sort_by_key(|&(tap, _)| tap);
    let layers: Vec<_> = layers.iter().map(|(tap, weight)| (tap.to_string(), weight)).collect();
    json!({ "weight": weight, "layers": layers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::{FULL, load};
    use std::path::Path;

    /// If this fails, frames that are done become stale for every user: change a preset, or raise the version, on
    /// purpose.
    #[test]
    fn the_digests_of_the_presets_are_those_of_version_0_2_0() {
        let presets = [
            ("fog", "bf420bb67e08f92a"),
            ("rain", "acec2184ed47d2e5"),
            ("snow", "5594f43bcc51bd4f"),
            ("night", "c08c24463341a316"),
            ("dusk", "cb3894487b9cf914"),
            ("painting", "d5eabaf55bbabb1f"),
        ];
        for (name, digest) in presets {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/{name}.yaml"));
            assert_eq!(Config::load(&path, &[]).unwrap().digest(), digest, "{name}");
        }
    }

    #[test]
    fn the_digest_follows_what_changes_a_pixel_and_nothing_else() {
        let base = load(FULL, &[]).unwrap().digest();
        assert_eq!(base.len(), 16);
        for same in [
            "variants=3",
            "fraction=0.5",
            "where.classes=[car]",
            "sequence=folder",
            "splits=[val]",
            "stylize.backbone=builtin",
        ] {
            assert_eq!(load(FULL, &[same]).unwrap().digest(), base, "{same}");
        }
        for other in [
            "seed=1",
            "condition=mist",
            "output.quality=90",
            "output.format=png",
            "pairing=cycle",
            "pairing=blend",
            "mix=2",
            "stylize.size=64",
            "stylize.steps=3",
            "stylize.scales=2",
            "stylize.optimizer=adam",
            "stylize.init=noise",
            "stylize.weather=night",
            "stylize.regions=scene",
            "stylize.regions=[sky]",
            "stylize.content.weight=2",
            "stylize.style.layers.relu4_1=0.5",
            "stylize.tv=0.1",
            "stylize.pool=avg",
            "stylize.padding=wrap",
            "stylize.render=pixels",
            "stylize.chroma=start",
            "stylize.residual=0.5",
            "stylize.strength=0.5",
            "stylize.guard=false",
            "stylize.falling.kind=rain",
            "stylize.falling.wind=3",
            "stylize.keep_colours=true",
            "stylize.effects.glare=1",
        ] {
            assert_ne!(load(FULL, &[other]).unwrap().digest(), base, "{other}");
        }
    }
}
