//! Losses and gradients on Candle's tensors.

use crate::nst::kernels::gram;
use crate::nst::layers::{Padding, Tap};
use crate::nst::loss::{Guides, LEAST_NORM, Loss, StyleTarget, Target, share};
use crate::nst::network::tensors::TensorTrunk;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::settings::{Settings, Term};
use candle_core::{DType, Result, Tensor};

/// What the pictures of a batch shall come close to, on the device; of one to begin with.
pub struct TensorGoal {
    content: Vec<(Tap, ContentGoal)>,
    style: Vec<(Tap, StyleGoal)>,
}

/// One tap's features, `[pictures, channels, height, width]`, and two over their squared norms, `[pictures, 1, 1, 1]`.
struct ContentGoal {
    features: Tensor,
    factors: Tensor,
}

/// One tap's targets, by region. A region that either side lacks has weights of zero.
struct StyleGoal {
    /// `[pictures, regions, channels, channels]`
    grams: Tensor,
    /// How much of each pixel belongs to a region: `[pictures, regions, 1, pixels]`.
    weights: Tensor,
    /// One over the sums of these, or 0: `[pictures, regions, 1, 1]`.
    inverses: Tensor,
    /// These sums over the norm that all regions share, the paper's `sum a |S|^2`: `[pictures, regions]`.
    shares: Tensor,
    /// Four over that norm: `[pictures, 1, 1]`.
    factors: Tensor,
}

impl TensorGoal {
    /// Those of several pictures of one size, in their order.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn together(goals: &[&Self]) -> Result<Self> {
        let Some(first) = goals.first() else { candle_core::bail!("a batch of nothing") };
        let content = |at: usize| {
            let all = |pick: fn(&ContentGoal) -> &Tensor| joined(goals.iter().map(|goal| pick(&goal.content[at].1)));
            let goal = ContentGoal { features: all(|goal| &goal.features)?, factors: all(|goal| &goal.factors)? };
            Ok((first.content[at].0, goal))
        };
        let style = |at: usize| {
            let all = |pick: fn(&StyleGoal) -> &Tensor| joined(goals.iter().map(|goal| pick(&goal.style[at].1)));
            let goal = StyleGoal {
                grams: all(|goal| &goal.grams)?,
                weights: all(|goal| &goal.weights)?,
                inverses: all(|goal| &goal.inverses)?,
                shares: all(|goal| &goal.shares)?,
                factors: all(|goal| &goal.factors)?,
            };
            Ok((first.style[at].0, goal))
        };
        Ok(Self {
            content: (0..first.content.len()).map(content).collect::<Result<_>>()?,
            style: (0..first.style.len()).map(style).collect::<Result<_>>()?,
        })
    }
}

fn joined<'a>(parts: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
    Tensor::cat(&parts.collect::<Vec<_>>(), 0)
}

impl TensorTrunk {
    /// The style target of `pixels`, `[height][width][3]`, whose regions are `guides`.
    pub fn style_target(
        &self,
        style: &Term,
        pixels: &[f32],
        size: Size,
        padding: Padding,
        guides: &Guides,
    ) -> Result<StyleTarget> {
        let Some(deepest) = deepest(&[style]) else { return Ok(StyleTarget { grams: Vec::new() }) };
        let activations = self.forward(&self.upload(&[pixels], size)?, padding, deepest)?;
        let gram = |tap: Tap, region: &Plane| -> Result<Target> {
            let features = rows(&activations[tap.index()])?;
            let weights = Tensor::from_slice(region.data(), (1, 1, region.data().len()), &self.device)?;
            let total = gram::total(region.data()).max(f32::MIN_POSITIVE) as f64;
            let gram = (self.product(&features.broadcast_mul(&weights)?, &features.t()?)? / total)?;
            Ok(Target::new(gram.flatten_all()?.to_vec1()?))
        };
        let regions = |tap: Tap| -> Result<Vec<Option<Target>>> {
            guides.at(tap).iter().map(|region| region.as_ref().map(|region| gram(tap, region)).transpose()).collect()
        };
        let grams = style.layers.iter().map(|&(tap, _)| Ok((tap, regions(tap)?))).collect::<Result<_>>()?;
        Ok(StyleTarget { grams })
    }

    /// What `content`, `[height][width][3]`, shall come close to under `guides`.
    pub fn goal(
        &self,
        settings: &Settings,
        content: &[f32],
        size: Size,
        padding: Padding,
        style: &StyleTarget,
        guides: &Guides,
    ) -> Result<TensorGoal> {
        let activations = match deepest(&[&settings.content]) {
            Some(deepest) => self.forward(&self.upload(&[content], size)?, padding, deepest)?,
            None => Vec::new(),
        };
        let features = |&(tap, _): &(Tap, f64)| -> Result<_> {
            let features = activations[tap.index()].to_dtype(DType::F32)?;
            let norm = features.sqr()?.sum_all()?.to_scalar::<f32>()?.max(LEAST_NORM as f32);
            let factors = Tensor::full(2.0 / norm, (1, 1, 1, 1), &self.device)?;
            Ok((tap, ContentGoal { features, factors }))
        };
        let content = settings.content.layers.iter().map(features).collect::<Result<_>>()?;
        let style = style.grams.iter().map(|(tap, targets)| Ok((*tap, self.style_goal(targets, guides.at(*tap))?)));
        Ok(TensorGoal { content, style: style.collect::<Result<_>>()? })
    }

    fn style_goal(&self, targets: &[Option<Target>], regions: &[Option<Plane>]) -> Result<StyleGoal> {
        let pixels = regions.iter().flatten().map(|region| region.data().len()).next().unwrap_or(1);
        let matrix = targets.iter().flatten().map(|target| target.values.len()).next().unwrap_or(1);
        let (mut grams, mut weights, mut totals, mut norm) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        for (target, region) in targets.iter().zip(regions) {
            match (target, region) {
                (Some(target), Some(region)) => {
                    let total = gram::total(region.data());
                    grams.extend_from_slice(&target.values);
                    weights.extend_from_slice(region.data());
                    totals.push(total);
                    norm += total as f64 * target.norm;
                }
                _ => {
                    grams.resize(grams.len() + matrix, 0.0);
                    weights.resize(weights.len() + pixels, 0.0);
                    totals.push(0.0);
                }
            }
        }
        let (count, channels, norm) = (totals.len(), matrix.isqrt(), norm.max(LEAST_NORM) as f32);
        let inverses = totals.iter().map(|&total| if total > 0.0 { 1.0 / total } else { 0.0 }).collect();
        let shares = totals.iter().map(|total| total / norm).collect();
        Ok(StyleGoal {
            grams: Tensor::from_vec(grams, (1, count, channels, channels), &self.device)?,
            weights: Tensor::from_vec(weights, (1, count, 1, pixels), &self.device)?,
            inverses: Tensor::from_vec(inverses, (1, count, 1, 1), &self.device)?,
            shares: Tensor::from_vec(shares, (1, count), &self.device)?,
            factors: Tensor::full(4.0 / norm, (1, 1, 1), &self.device)?,
        })
    }

    /// The loss of every picture, `[pictures, 3, height, width]`, for its goal, and the gradients in the same shape.
    ///
    /// # Errors
    /// When the device refuses, mostly since its memory is too short for the batch.
    pub fn evaluate(
        &self,
        settings: &Settings,
        pictures: &Tensor,
        padding: Padding,
        goal: &TensorGoal,
    ) -> Result<(Vec<Loss>, Tensor)> {
        let Some(deepest) = deepest(&[&settings.content, &settings.style]) else {
            candle_core::bail!("neither content nor style names a layer")
        };
        let activations = self.forward(pictures, padding, deepest)?;
        let zeros = Tensor::zeros(pictures.dim(0)?, DType::F32, &self.device)?;
        let (mut content, mut style, mut tv) = (zeros.clone(), zeros.clone(), zeros);
        let tap_gradient = |tap: Tap, features: &Tensor| {
            let mut gradient: Option<Tensor> = None;
            let mut add = |more: Tensor| -> Result<()> {
                gradient = Some(match gradient.take() {
                    Some(sum) => (sum + more)?,
                    None => more,
                });
                Ok(())
            };
            if let Some((_, goal)) = goal.content.iter().find(|(other, _)| *other == tap) {
                let (distance, own) = content_gradient(features, goal)?;
                let share = share(&settings.content, tap);
                content = (&content + (distance * share)?)?;
                add((own * (settings.content.weight * share))?)?;
            }
            if let Some((_, goal)) = goal.style.iter().find(|(other, _)| *other == tap) {
                let (distance, own) = self.style_gradient(features, goal)?;
                let share = share(&settings.style, tap);
                style = (&style + (distance * share)?)?;
                add((own * (settings.style.weight * share))?)?;
            }
            Ok(gradient)
        };
        let mut gradients = self.backward(&activations, padding, tap_gradient)?;
        if settings.tv > 0.0 {
            let (variation, own) = total_variation(pictures, padding)?;
            tv = variation;
            gradients = (gradients + (own * settings.tv)?)?;
        }
        let terms = Tensor::stack(&[content, style, tv], 1)?.to_vec2::<f32>()?;
        let loss = |terms: &Vec<f32>| Loss::of(settings, terms[0].into(), terms[1].into(), terms[2].into());
        Ok((terms.iter().map(loss).collect(), gradients))
    }

    /// The distance of every picture's Gram matrices and its gradient; see [`super::loss`] for the formula. The share of a
    /// region and its matrix' own divisor are one number and cancel.
    fn style_gradient(&self, features: &Tensor, goal: &StyleGoal) -> Result<(Tensor, Tensor)> {
        let rows = rows(features)?;
        let turned = rows.t()?;
        let mut gradient = rows.zeros_like()?;
        let mut distances = Vec::new();
        for region in 0..goal.grams.dim(1)? {
            let here = |tensor: &Tensor| tensor.narrow(1, region, 1)?.squeeze(1);
            let weight = here(&goal.weights)?;
            let gram = self.product(&rows.broadcast_mul(&weight)?, &turned)?;
            let off = (gram.broadcast_mul(&here(&goal.inverses)?)? - here(&goal.grams)?)?;
            distances.push(off.sqr()?.flatten_from(1)?.sum(1)?);
            let through = self.product(&off.broadcast_mul(&goal.factors)?, &rows)?;
            gradient = (gradient + through.broadcast_mul(&weight)?)?;
        }
        let distance = (Tensor::stack(&distances, 1)? * &goal.shares)?.sum(1)?;
        Ok((distance, gradient.reshape(features.shape())?))
    }
}

/// `|F - C|^2 / |C|^2` of every picture and its gradient.
fn content_gradient(features: &Tensor, goal: &ContentGoal) -> Result<(Tensor, Tensor)> {
    let off = (features.to_dtype(DType::F32)? - &goal.features)?;
    let distance = (off.sqr()?.flatten_from(1)?.sum(1)? * goal.factors.flatten_all()?)?;
    Ok(((distance * 0.5)?, off.broadcast_mul(&goal.factors)?))
}

/// The total variation of every picture, as [`super::loss`] defines it, and its gradient.
fn total_variation(pictures: &Tensor, padding: Padding) -> Result<(Tensor, Tensor)> {
    let count = pictures.elem_count() / pictures.dim(0)?;
    let mut sum = pictures.flatten_from(1)?.zeros_like()?.sum(1)?;
    let mut gradient = pictures.zeros_like()?;
    for dim in [2, 3] {
        let last = pictures.dim(dim)? - 1;
        let (steps, back) = if padding == Padding::Wrap {
            let steps = (turned(pictures, dim, 1)? - pictures)?;
            let back = turned(&steps, dim, last)?;
            (steps, back)
        } else {
            let steps = (pictures.narrow(dim, 1, last)? - pictures.narrow(dim, 0, last)?)?;
            (steps.pad_with_zeros(dim, 0, 1)?, steps.pad_with_zeros(dim, 1, 0)?)
        };
        sum = (sum + steps.sqr()?.flatten_from(1)?.sum(1)?)?;
        gradient = (gradient + (back - steps)?)?;
    }
    Ok(((sum / count as f64)?, (gradient * (2.0 / count as f64))?))
}

/// Turned along `dim`: place 0 takes what was at place `by`.
fn turned(x: &Tensor, dim: usize, by: usize) -> Result<Tensor> {
    Tensor::cat(&[x.narrow(dim, by, x.dim(dim)? - by)?, x.narrow(dim, 0, by)?], dim)
}

pub fn deepest(terms: &[&Term]) -> Option<Tap> {
    terms.iter().flat_map(|term| term.layers.iter().map(|&(tap, _)| tap)).max()
}

/// `[pictures, channels, pixels]` in `f32`.
fn rows(features: &Tensor) -> Result<Tensor> {
    features.to_dtype(DType::F32)?.flatten_from(2)
}
