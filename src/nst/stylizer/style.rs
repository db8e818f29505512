//! A style picture, measured once for all contents.

use crate::nst::backend::Network;
use crate::nst::failure::StylizeError;
use crate::nst::layers::Padding;
use crate::nst::loss::{Guides, StyleTarget};
use crate::nst::picture::statistics::ColourStatistics;
use crate::nst::scene::Scene;
use crate::nst::scene::regions::Regions;
use crate::nst::scene::surface::Surface;
use crate::nst::schedule;
use crate::nst::settings::{SceneKind, Settings};
use crate::nst::start::Reference;
use crate::nst::start::weather::WeatherStatistics;
use crate::nst::student::view::StyleCode;
use crate::nst::stylizer::input::{Picture, network_input};
use std::borrow::Cow;

/// A measured style picture.
pub struct Style {
    /// Gram matrices, one target for each number of halvings of the working size; none without a network.
    pub(super) targets: Vec<StyleTarget>,
    pub(super) reference: Reference,
    /// What a student sees of it.
    pub(super) code: StyleCode,
}

impl Style {
    /// Measures a style picture at the sizes that contents are optimized at.
    ///
    /// # Errors
    /// When the device refuses; see [`StylizeError`].
    pub(super) fn measure(
        network: Option<&Network>,
        settings: &Settings,
        picture: &Picture,
    ) -> Result<Self, StylizeError> {
        let size = settings.working_size(picture.pixels.size());
        let small = picture.pixels.resized(size);
        let scene = match settings.start_reads_surfaces() {
            true => Scene::of(&Surface::of(&small, &[], SceneKind::Auto, picture.depth.as_ref()), size),
            false => Scene::unknown(size),
        };
        let regions = Regions::of_style(&settings.regions, size, &scene, &picture.masks);
        let (full, small) = (network_input(settings, &picture.pixels), network_input(settings, &small));
        let target = |network: &Network, level| {
            let pixels = match level {
                0 => Cow::Borrowed(&*small),
                _ => Cow::Owned(full.resized(settings.halved(size, level))),
            };
            let evaluator = network.evaluator(settings, pixels.size());
            // Few styles tile. The step between their opposite sides would count as a part of the style.
            let mut evaluator = if settings.padding.wraps() { evaluator.padded(Padding::Replicate) } else { evaluator };
            evaluator.style_target(pixels.data(), Guides::new(&regions.resized(pixels.size())))
        };
        let targets = |network| (0..schedule::max_count(settings)).map(|level| target(network, level)).collect();
        let targets: Vec<StyleTarget> = network.map(targets).transpose()?.unwrap_or_default();
        let regions = regions.for_colours(true);
        let rest = regions.parts().last().flatten();
        let colours = regions.parts().filter_map(|part| part.or(rest)).map(|part| ColourStatistics::of(&small, part));
        let colours = colours.collect();
        let weather = WeatherStatistics::of(&small, &scene);
        let has_sky = scene.sky.as_ref().is_some_and(Regions::is_enough);
        let reference = Reference { colours, weather, has_sky };
        Ok(Self { targets, reference, code: StyleCode::of(&small) })
    }

    /// The memory that it takes, approximately, in bytes.
    pub fn bytes(&self) -> usize {
        self.targets.iter().map(StyleTarget::bytes).sum()
    }

    /// Blends several styles of one stylizer, each with its share; shares sum to 1. See [`Reference::blend`].
    ///
    /// # Panics
    /// Without any style.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let (main, _) = parts[0];
        let targets =
            |level: usize| parts.iter().map(|&(part, share)| (&part.targets[level], share)).collect::<Vec<_>>();
        let references: Vec<_> = parts.iter().map(|&(part, share)| (&part.reference, share)).collect();
        let codes: Vec<_> = parts.iter().map(|&(part, share)| (&part.code, share)).collect();
        Self {
            targets: (0..main.targets.len()).map(|level| StyleTarget::blend(&targets(level))).collect(),
            reference: Reference::blend(&references),
            code: StyleCode::blend(&codes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::pixels::Pixels;
    use crate::nst::stylizer::testing::{picture, settings, stylizer};
    use std::ops::ControlFlow;

    #[test]
    fn a_blend_lies_between_its_styles_and_with_a_share_of_1_it_is_one_of_them() {
        let stylizer = stylizer(Settings { steps: 20, ..settings() });
        let content: Picture = picture(40, 50, 6).into();
        let (a, b) =
            (stylizer.style(&picture(40, 60, 9).into()).unwrap(), stylizer.style(&picture(50, 40, 14).into()).unwrap());
        let mut evaluators = stylizer.evaluators(stylizer.working_size(content.pixels.size()));
        let mut made = |style: &Style| {
            stylizer.stylize(&mut evaluators, &content, style, 0, |_, _| ControlFlow::Continue(())).unwrap()
        };
        let (own, half) = (made(&a).pixels, made(&Style::blend(&[(&a, 0.5), (&b, 0.5)])).pixels);
        assert!(made(&Style::blend(&[(&a, 1.0)])).pixels == own);
        assert!(made(&Style::blend(&[(&a, 1.0), (&b, 0.0)])).pixels == own);
        let mean = |pixels: &Pixels| pixels.data().iter().sum::<f32>() / pixels.data().len() as f32;
        let (own, half, other) = (mean(&own), mean(&half), mean(&made(&b).pixels));
        assert!((own < half && half < other) || (other < half && half < own), "{own} {half} {other}");
    }
}
