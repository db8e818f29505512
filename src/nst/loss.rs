//! The loss of Gatys, Ecker and Bethge (2016), normalised so that one set of weights fits every backbone and size.
//!
//! ```text
//! total   = content.weight * content + style.weight * style + tv.weight * tv
//! content = mean over its taps of |F - C|^2 / |C|^2
//! style   = mean over its taps of sum a |G - S|^2 / sum a |S|^2 over regions,   G = F F^T / pixels
//! tv      = mean over pixels and colours of the squared differences to the right and below (around, where planes wrap)
//! ```
//!
//! The paper divides by sizes. Here each term is divided by the norm of its target, which makes it 0 at the target and
//! about 1 far from it. Means over taps are weighted by the weights of the taps. Each region of the picture has Gram
//! matrices of its own, and `a` is its share of the picture. All regions of a tap share one norm: the own norm of a
//! dark region is almost 0, and it would outweigh the rest.
//!
//! - [`slices`]: the loss and its gradient on the CPU
//! - [`tensors`]: the same for a batch on a device

#[cfg(test)]
mod definition;
pub mod slices;
pub mod tensors;

use crate::nst::kernels::sums::{axpy, norm2};
use crate::nst::layers::{BLOCKS, Tap};
use crate::nst::picture::plane::Plane;
use crate::nst::scene::regions::Regions;
use crate::nst::settings::{Settings, Term};

/// The least norm of a target. It keeps the relative distance to a target of zeros finite.
pub(super) const LEAST_NORM: f64 = 1e-12;

/// The values of one evaluation. All except `total` are before their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    pub total: f64,
    pub content: f64,
    pub style: f64,
    pub tv: f64,
}

impl Loss {
    /// The loss of these terms under the weights of `settings`.
    pub fn of(settings: &Settings, content: f64, style: f64, tv: f64) -> Self {
        let total = settings.content.weight * content + settings.style.weight * style + settings.tv * tv;
        Self { total, content, style, tv }
    }

    pub fn is_finite(&self) -> bool {
        self.total.is_finite()
    }
}

/// The target of one tap, or of one region of it.
#[derive(Clone)]
pub(super) struct Target {
    pub values: Vec<f32>,
    /// Their squared norm, at least [`LEAST_NORM`].
    pub norm: f64,
}

impl Target {
    pub fn new(values: Vec<f32>) -> Self {
        let norm = norm2(&values).max(LEAST_NORM);
        Self { values, norm }
    }

    /// The weighted mean; the weights sum to more than 0. `None` without any part.
    fn blend<'a>(parts: impl Iterator<Item = (&'a Self, f64)> + Clone) -> Option<Self> {
        let total: f64 = parts.clone().map(|(_, weight)| weight).sum();
        let mut values = vec![0.0; parts.clone().next()?.0.values.len()];
        parts.for_each(|(part, weight)| axpy(weight / total, &part.values, &mut values));
        Some(Self::new(values))
    }
}

/// The Gram matrices of one style picture, per tap and region: `[channels][channels]`.
#[derive(Clone)]
pub struct StyleTarget {
    pub(super) grams: Vec<(Tap, Vec<Option<Target>>)>,
}

/// The weights of the regions of a picture, at the size of each block.
pub struct Guides(Vec<Vec<Option<Plane>>>);

impl Guides {
    pub fn new(regions: &Regions) -> Self {
        Self(regions.pyramid(BLOCKS.len()))
    }

    /// The weights of all regions at the size of `tap`; `None` for a region that the picture lacks.
    pub(super) fn at(&self, tap: Tap) -> &[Option<Plane>] {
        &self.0[tap.block()]
    }
}

impl StyleTarget {
    /// The memory that it takes, approximately, in bytes.
    pub fn bytes(&self) -> usize {
        let targets = self.grams.iter().flat_map(|(_, regions)| regions).flatten();
        targets.map(|target| size_of_val(&target.values[..])).sum()
    }

    /// The weighted mean of targets of the same settings: the target of a picture that is made of parts in these
    /// styles. A region is blended of the targets that have it.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let grams = parts.first().map_or_else(Vec::new, |(first, _)| {
            let regions = |at: usize| (0..first.grams[at].1.len()).map(move |region| (at, region));
            let blended = |(at, region): (usize, usize)| {
                Target::blend(
                    parts.iter().filter_map(|&(part, weight)| Some((part.grams[at].1[region].as_ref()?, weight))),
                )
            };
            first.grams.iter().enumerate().map(|(at, &(tap, _))| (tap, regions(at).map(blended).collect())).collect()
        });
        Self { grams }
    }
}

/// The taps that `settings` reads, from the pixels up.
pub fn taps(settings: &Settings) -> Vec<Tap> {
    let mut taps: Vec<_> =
        [&settings.content, &settings.style].iter().flat_map(|term| term.layers.iter().map(|&(tap, _)| tap)).collect();
    taps.sort_unstable();
    taps.dedup();
    taps
}

/// The deepest tap that `settings` reads, up to which a trunk must go.
///
/// # Errors
/// When they read none.
pub fn deepest_tap(settings: &Settings) -> Result<Tap, String> {
    taps(settings).pop().ok_or_else(|| "neither content nor style names a layer".into())
}

/// The share of `tap` in the weighted mean of `term`.
pub(super) fn share(term: &Term, tap: Tap) -> f64 {
    let all: f64 = term.layers.iter().map(|(_, weight)| weight).sum();
    let own: f64 = term.layers.iter().filter(|(other, _)| *other == tap).map(|(_, weight)| weight).sum();
    if all > 0.0 { own / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_is_made_per_tap_and_region_of_the_targets_that_have_it() {
        let tap = "relu1_1".parse().unwrap();
        let gram = |values: &[f32]| Some(Target::new(values.to_vec()));
        let of = |regions: Vec<Option<Target>>| StyleTarget { grams: vec![(tap, regions)] };
        let a = of(vec![gram(&[1.0, 2.0]), gram(&[4.0, 0.0]), None]);
        let b = of(vec![gram(&[3.0, -2.0]), None, None]);
        let blended = StyleTarget::blend(&[(&a, 0.75), (&b, 0.25)]);
        let [(_, regions)] = &blended.grams[..] else { panic!("one tap") };
        let values = |region: &Option<Target>| region.as_ref().map(|target| (target.values.clone(), target.norm));
        assert_eq!(values(&regions[0]), Some((vec![1.5, 1.0], 3.25)), "the norm is that of the blended matrix");
        assert_eq!(values(&regions[1]), Some((vec![4.0, 0.0], 16.0)));
        assert_eq!(values(&regions[2]), None);
    }
}
