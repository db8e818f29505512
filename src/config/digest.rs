//! What of a config can change a pixel or a file name, as one digest.

use crate::config::keys::{FORMATS, PAIRINGS, name_of};
use crate::config::values::Config;
use crate::files::digest::short_digest;
use crate::nst::settings::{Settings, Term};
use serde_json::{Value, json};

impl Config {
    /// Sixteen hex digits that change with every value that can change a pixel or a file name of one job.
    ///
    /// Left out are the keys that only decide which jobs there are (`variants`, `fraction`, `splits`) and where files
    /// lie (`styles`, `backbone`). A job's style and backbone are known by the digests of their contents.
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
            variants: _,
            fraction: _,
            splits: _,
        } = self;
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
            strength,
            guard,
            falling,
            keep_colours,
        } = stylize;
        let mut canonical = json!({
            "condition": condition, "pairing": name_of(&PAIRINGS, pairing), "mix": mix, "seed": seed,
            "format": name_of(&FORMATS, format), "quality": quality,
            "size": size, "steps": steps, "scales": scales, "optimizer": optimizer, "init": init, "weather": weather,
            "regions": regions, "content": term(content), "style": term(style), "tv": tv, "pool": pool,
            "padding": padding, "render": render, "chroma": chroma, "strength": strength, "guard": guard,
            "falling": falling, "keep_colours": keep_colours,
        });
        canonical.sort_all_objects();
        short_digest(canonical.to_string().as_bytes())
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
    use std::path::Path;

    /// If this fails, frames that are done become stale for every user: change a preset, or raise the version, on purpose.
    #[test]
    fn the_digests_of_the_presets_are_those_of_version_0_1_0() {
        let presets = [
            ("fog", "c25252a6b8289adf"),
            ("rain", "6ed6425b542e998d"),
            ("snow", "f3a65fe70b193bf7"),
            ("night", "4ac6f8a2edc7e65c"),
            ("dusk", "81c89d04ae632c7e"),
            ("painting", "361649845c8ba264"),
        ];
        for (name, digest) in presets {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/{name}.yaml"));
            assert_eq!(Config::load(&path, &[]).unwrap().digest(), digest, "{name}");
        }
    }
}
