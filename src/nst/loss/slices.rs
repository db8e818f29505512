//! Losses and gradients on the processor.

use crate::nst::kernels::gram;
use crate::nst::kernels::sums::{add_scaled_difference, sum2};
use crate::nst::layers::{Padding, Tap};
use crate::nst::loss::{Guides, Loss, StyleTarget, Target, share, taps};
use crate::nst::network::trunk::{Trunk, Workspace};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::settings::Settings;

/// The features of one content picture, per tap, blocked.
pub struct ContentTarget {
    features: Vec<(Tap, Target)>,
}

/// What evaluations of one picture size need besides the targets, allocated once.
pub struct Evaluator<'a> {
    trunk: &'a Trunk,
    settings: &'a Settings,
    space: Workspace,
    scratch: gram::Scratch,
    /// One tap's Gram matrix, then the derivative of the loss with respect to it.
    gram: Vec<f32>,
}

impl<'a> Evaluator<'a> {
    /// For pictures of `size`, both sides at least [`MIN_SIDE`](crate::nst::layers::MIN_SIDE).
    pub fn new(trunk: &'a Trunk, settings: &'a Settings, size: Size) -> Self {
        let taps = taps(settings);
        let space = trunk.workspace(size, settings.padding, &taps);
        let channels = taps.iter().filter_map(|&tap| Some(space.features(tap)?.1)).max().unwrap_or(0);
        Self { trunk, settings, space, scratch: gram::Scratch::new(channels), gram: vec![0.0; channels * channels] }
    }

    /// With another padding than the settings say.
    pub fn padded(mut self, padding: Padding) -> Self {
        self.space.set_padding(padding);
        self
    }

    pub fn size(&self) -> Size {
        self.space.size()
    }

    /// The content target of `pixels`, `[height][width][3]` in 0..1.
    pub fn content_target(&mut self, pixels: &[f32]) -> ContentTarget {
        self.trunk.forward(&mut self.space, pixels);
        let features = |&(tap, _): &(Tap, f64)| Some((tap, Target::new(self.space.features(tap)?.0.to_vec())));
        ContentTarget { features: self.settings.content.layers.iter().filter_map(features).collect() }
    }

    /// The style target of `pixels`, `[height][width][3]` in 0..1, whose regions are `guides`.
    pub fn style_target(&mut self, pixels: &[f32], guides: &Guides) -> StyleTarget {
        let Self { trunk, settings, space, scratch, .. } = self;
        trunk.forward(space, pixels);
        let mut of = |tap: Tap, region: &Plane| {
            let (features, channels, _) = space.features(tap)?;
            let mut gram = vec![0.0; channels * channels];
            scratch.gram(trunk.isa(), features, channels, region.data(), &mut gram);
            Some(Target::new(gram))
        };
        let mut regions =
            |tap: Tap| guides.at(tap).iter().map(|region| region.as_ref().and_then(|r| of(tap, r))).collect();
        StyleTarget { grams: settings.style.layers.iter().map(|&(tap, _)| (tap, regions(tap))).collect() }
    }

    /// The loss of `pixels`, whose regions are `guides`, against the targets, and its gradient with respect to them, both
    /// `[height][width][3]`. Regions that either side lacks don't count.
    pub fn evaluate(
        &mut self,
        content: &ContentTarget,
        style: &StyleTarget,
        guides: &Guides,
        pixels: &[f32],
        gradient: &mut [f32],
    ) -> Loss {
        let Self { trunk, settings, space, scratch, gram } = self;
        let (mut content_loss, mut style_loss, mut tv) = (0.0, 0.0, 0.0);
        trunk.forward(space, pixels);
        let tap_gradient = |tap: Tap, features: &[f32], gradient: &mut [f32]| {
            if let Some((_, target)) = content.features.iter().find(|(other, _)| *other == tap) {
                let share = share(&settings.content, tap);
                let off = add_content(features, target, settings.content.weight * share, gradient);
                content_loss += share * off;
            }
            if let Some((_, targets)) = style.grams.iter().find(|(other, _)| *other == tap) {
                let share = share(&settings.style, tap);
                let regions = guides.at(tap).iter().zip(targets).filter_map(|(r, t)| Some((r.as_ref()?, t.as_ref()?)));
                let weight = settings.style.weight * share;
                style_loss += share * add_style(trunk, scratch, features, regions, gram, weight, gradient);
            }
        };
        trunk.backward(space, tap_gradient, gradient);
        if settings.tv > 0.0 {
            tv = add_total_variation(space.size(), space.padding(), pixels, settings.tv, gradient);
        }
        Loss::of(settings, content_loss, style_loss, tv)
    }
}

/// Returns `|F - C|^2 / |C|^2` and adds `weight` times its gradient.
fn add_content(features: &[f32], target: &Target, weight: f64, gradient: &mut [f32]) -> f64 {
    let factor = (2.0 * weight / target.norm) as f32;
    add_scaled_difference(factor, features, &target.values, gradient) / target.norm
}

/// Returns the distance of the regions' Gram matrices from their targets and adds `weight` times its gradient with respect
/// to the features.
fn add_style<'a>(
    trunk: &Trunk,
    scratch: &mut gram::Scratch,
    features: &[f32],
    regions: impl Iterator<Item = (&'a Plane, &'a Target)> + Clone,
    gram: &mut [f32],
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let shares = || regions.clone().map(|(region, _)| gram::total(region.data()) as f64);
    let norm: f64 = regions.clone().zip(shares()).map(|((_, target), share)| share * target.norm).sum();
    let mut distance = 0.0;
    for ((region, target), share) in regions.clone().zip(shares()) {
        let channels = target.values.len().isqrt();
        let gram = &mut gram[..target.values.len()];
        scratch.gram(trunk.isa(), features, channels, region.data(), gram);
        distance += share * sum2(gram, &target.values, |g, t| ((g - t) as f64).powi(2)) / norm;
        // G is symmetric, so dL/dG + dL/dG^T = 2 dL/dG; the share and G's own divisor are one number and cancel.
        let factor = (4.0 * weight / norm) as f32;
        for (g, t) in gram.iter_mut().zip(&target.values) {
            *g = factor * (*g - t);
        }
        scratch.add_gradient(trunk.isa(), features, channels, region.data(), gram, gradient);
    }
    distance
}

/// Returns the total variation of `[height][width][3]` and adds `weight` times its gradient.
fn add_total_variation(size: Size, padding: Padding, pixels: &[f32], weight: f64, gradient: &mut [f32]) -> f64 {
    let wraps = padding == Padding::Wrap;
    let row = size.width * 3;
    let count = pixels.len() as f64;
    let factor = (2.0 * weight / count) as f32;
    let mut sum = 0.0;
    for at in 0..pixels.len() {
        let right = if at % row + 3 < row { Some(at + 3) } else { wraps.then_some(at + 3 - row) };
        let below = if at + row < pixels.len() { Some(at + row) } else { wraps.then_some(at % row) };
        for next in [right, below].into_iter().flatten() {
            let step = pixels[next] - pixels[at];
            sum += (step as f64).powi(2);
            gradient[next] += factor * step;
            gradient[at] -= factor * step;
        }
    }
    sum / count
}
