//! What of a config can change a pixel or a file name, as one digest.

use crate::config::keys::name_of;
use crate::config::values::Config;
use crate::config::wire::{FORMATS, PAIRINGS};
use crate::files::digest::short_digest;
use crate::nst::settings::Term;

impl Config {
    /// Sixteen hex digits that change with everything here that can change a pixel or a file name of one job.
    ///
    /// Left out is what only decides which jobs there are (`variants`, `fraction`, `splits`) and where files lie
    /// (`styles`, `backbone`): a job's style and backbone are known by the digests of their contents.
    pub fn digest(&self) -> String {
        let settings = &self.stylize;
        let term = |term: &Term| {
            let mut layers = term.layers.clone();
            layers.sort_by_key(|&(tap, _)| tap);
            let layers: Vec<_> = layers.iter().map(|(tap, weight)| (tap.to_string(), weight)).collect();
            serde_json::json!({ "weight": term.weight, "layers": layers })
        };
        let mut canonical = serde_json::json!({
            "condition": self.condition, "pairing": name_of(&PAIRINGS, &self.pairing), "mix": self.mix,
            "seed": self.seed,
            "format": name_of(&FORMATS, &self.format), "quality": self.quality,
            "size": settings.size, "steps": settings.steps, "scales": settings.scales,
            "optimizer": settings.optimizer, "init": settings.init,
            "content": term(&settings.content), "style": term(&settings.style), "tv": settings.tv,
            "pool": settings.pool, "render": settings.render, "strength": settings.strength,
            "weather": settings.weather, "regions": settings.regions, "guard": settings.guard,
            "falling": settings.falling, "chroma": settings.chroma,
            "padding": settings.padding, "keep_colours": settings.keep_colours,
        });
        canonical.sort_all_objects();
        short_digest(canonical.to_string().as_bytes())
    }
}
