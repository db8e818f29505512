//! One condition of a batch: a config, its style pictures, and the frames that it chooses.

use crate::batch::provenance::Engine;
use crate::config::values::{Config, Pairing};
use crate::dataset::split::Split;
use crate::dataset::{Dataset, Frame};
use crate::error::{Error, Result};
use crate::nst::backend::device::Device;
use crate::nst::stylizer::Stylizer;
use crate::plan::Plan;
use crate::plan::classes::chosen_frames;
use crate::plan::styles::{StylePicture, find_styles};
use crate::weights::student::Origin;
use std::collections::BTreeMap;

/// What one config makes of a dataset.
pub struct Condition {
    pub config: Config,
    pub styles: Vec<StylePicture>,
    /// By frame of the dataset; `None` where all are chosen.
    chosen: Option<Vec<bool>>,
}

impl Condition {
    /// # Errors
    /// See [`find_styles`] and [`chosen_frames`].
    pub fn open(config: Config, dataset: &Dataset) -> Result<Self> {
        let chosen = chosen_frames(&config.selection, dataset)?;
        let styles = find_styles(&config.styles, &config.stylize)?;
        Ok(Self { config, styles, chosen })
    }

    /// The jobs for the dataset's frames.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan<'a>(&'a self, frames: &'a [Frame]) -> Result<Plan<'a>> {
        let mut plan = Plan::new(&self.config, frames, &self.styles)?;
        if let Some(chosen) = &self.chosen {
            plan.choose(chosen);
        }
        Ok(plan)
    }

    /// Whether `where` chooses the frame of this index.
    pub fn chooses(&self, frame: usize) -> bool {
        self.chosen.as_ref().is_none_or(|chosen| chosen[frame])
    }

    /// Changes the config so that every frame is shown under every style in turn, or, where styles are blended, once.
    pub fn show_every_style(&mut self) {
        self.config.fraction = 1.0.into();
        self.config.variants = 1;
        if self.config.pairing != Pairing::Blend {
            (self.config.pairing, self.config.variants) = (Pairing::Cycle, self.styles.len() as u32);
        }
    }

    /// # Errors
    /// See [`Engine::open`]; and when the config names a student that cannot be read, or learned something else.
    pub fn engine(&self, weights: Option<&str>, device: Device) -> Result<Engine> {
        let mut engine = Engine::open(weights, &self.config.backbone, &self.config.stylize, device)?;
        engine.read_student(&self.config, &self.styles)?;
        Ok(engine)
    }

    /// What a student of this condition learns from.
    pub fn origin(&self, engine: &Engine) -> Origin {
        engine.origin(&self.config, &self.styles)
    }

    /// # Errors
    /// See [`Engine::stylizer`].
    pub fn stylizer(&self, engine: &Engine) -> Result<Stylizer> {
        engine.stylizer(self.config.stylize.clone())
    }
}

/// Sorts the configs of one batch by their conditions, so that the order of `--config` changes nothing.
///
/// # Errors
/// [`Error::Usage`] for configs that do not go together.
pub fn sorted(mut configs: Vec<Config>) -> Result<Vec<Config>> {
    configs.sort_by(|a, b| a.condition.cmp(&b.condition));
    // File systems may not distinguish upper and lower case.
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for config in &configs {
        if let Some(other) = names.insert(config.condition.to_lowercase(), &config.condition) {
            return Err(Error::Usage(format!(
                "two configs have the condition `{}`{}, so their pictures would have the same names; set \
                 another `condition` in one of them",
                config.condition,
                if *other == config.condition { String::new() } else { format!(" or `{other}`") }
            )));
        }
    }
    if let [first, rest @ ..] = &configs[..]
        && let Some(other) = rest.iter().find(|config| config.sequence != first.sequence)
    {
        return Err(Error::Usage(format!(
            "the configs of `{}` and `{}` differ in `sequence`, so it is not clear which frames stay together; set the \
             same in all, for example with --set sequence=folder",
            first.condition, other.condition
        )));
    }
    Ok(configs)
}

/// The splits that any of the configs asks for, in their usual order.
pub fn splits(configs: &[Config]) -> Vec<Split> {
    Split::ALL.into_iter().filter(|split| configs.iter().any(|config| config.splits.contains(split))).collect()
}

/// Warnings about keys that have no effect.
pub fn unused_keys(config: &Config) -> Vec<String> {
    let unused = config.fraction.splits.iter().filter(|(split, _)| !config.splits.contains(split));
    let text = |(split, _): &(Split, f64)| {
        format!(
            "{}: `fraction` has `{split}`, which is not stylized; add it to `splits` or take it out of `fraction`",
            config.condition
        )
    };
    let residual = (config.stylize.steps == 0 && config.stylize.residual.high > 0.0)
        .then(|| format!("{}: `residual` has no effect with `steps: 0`", config.condition));
    unused.map(text).chain(residual).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::{Fractions, Sequence};

    fn config(condition: &str) -> Config {
        Config { condition: condition.into(), ..Config::defaults() }
    }

    #[test]
    fn configs_that_do_not_go_together_are_refused() {
        let names =
            |configs: Vec<Config>| -> Vec<String> { configs.into_iter().map(|config| config.condition).collect() };
        assert_eq!(names(sorted(vec![config("night"), config("fog")]).unwrap()), ["fog", "night"]);
        let text = sorted(vec![config("night"), config("fog"), config("Fog")]).unwrap_err().to_string();
        assert!(["`fog`", "`Fog`", "`condition`"].iter().all(|part| text.contains(part)), "{text}");
        let folder = Config { sequence: Sequence::Folder, ..config("night") };
        let text = sorted(vec![folder, config("fog")]).unwrap_err().to_string();
        assert!(text.contains("differ in `sequence`"), "{text}");
    }

    #[test]
    fn a_fraction_of_a_split_that_is_not_stylized_is_told() {
        let fraction = Fractions { other: 1.0, splits: vec![(Split::Train, 0.5), (Split::Val, 0.2)] };
        let fog = Config { fraction, ..config("fog") };
        let warnings = unused_keys(&fog);
        assert!(warnings.len() == 1 && warnings[0].contains("`val`"), "{warnings:?}");
        assert_eq!(splits(&[fog.clone(), Config { splits: vec![Split::Test], ..fog }]), [Split::Train, Split::Test]);
    }
}
