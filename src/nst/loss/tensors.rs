//! The loss and its gradient on Candle's tensors, for a batch of pictures of one size.

use crate::nst::kernels::gram;
use crate::nst::layers::{Padding, Tap};
use crate::nst::loss::{Guides, LEAST_NORM, Loss, StyleTarget, Target, share};
use crate::nst::network::tensors::TensorTrunk;
use crate::nst::picture::plane::Plane;
use crate::nst::settings::{Settings, Term};
use candle_core::{DType, Device, Result, Tensor};

/// What the pictures of a batch shall come close to, on the device. A batch is put together of single pictures.
pub struct TensorObjective {
    content: Vec<(Tap, ContentTensors)>,
    style: Vec<(Tap, StyleTensors)>,
}

/// The content targets of one tap.
struct ContentTensors {
    /// `[pictures, channels, height, width]`
    features: Tensor,
    /// Two over their squared norms: `[pictures, 1, 1, 1]`.
    factors: Tensor,
}

/// The style targets of one tap, by region. A region that content or style lacks has weights of zero.
struct StyleTensors {
    /// `[pictures, regions, channels, channels]`
    grams: Tensor,
    /// The share of each pixel that belongs to a region: `[pictures, regions, 1, pixels]`.
    weights: Tensor,
    /// One over the sums of these, or 0 for a sum of 0: `[pictures, regions, 1, 1]`.
    inverses: Tensor,
    /// These sums over the norm that all regions share, `sum a |S|^2`: `[pictures, regions]`.
    shares: Tensor,
    /// Four over that norm: `[pictures, 1, 1]`.
    factors: Tensor,
}

impl TensorObjective {
    /// The objectives of several pictures of one size, in their order.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn batch(objectives: &[&Self]) -> Result<Self> {
        let Some(first) = objectives.first() else { candle_core::bail!("a batch of nothing") };
        let content = |at: usize| {
            let all =
                |pick: fn(&ContentTensors) -> &Tensor| joined(objectives.iter().map(|one| pick(&one.content[at].1)));
            let tensors = ContentTensors { features: all(|one| &one.features)?, factors: all(|one| &one.factors)? };
            Ok((first.content[at].0, tensors))
        };
        let style = |at: usize| {
            let all = |pick: fn(&StyleTensors) -> &Tensor| joined(objectives.iter().map(|one| pick(&one.style[at].1)));
            let tensors = StyleTensors {
                grams: all(|one| &one.grams)?,
                weights: all(|one| &one.weights)?,
                inverses: all(|one| &one.inverses)?,
                shares: all(|one| &one.shares)?,
                factors: all(|one| &one.factors)?,
            };
            Ok((first.style[at].0, tensors))
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

/// The style target of `picture`, `[1, 3, height, width]`, with the regions of `guides`.
///
/// # Errors
/// When the device refuses.
pub fn style_target(
    trunk: &TensorTrunk,
    style: &Term,
    picture: &Tensor,
    padding: Padding,
    guides: &Guides,
) -> Result<StyleTarget> {
    let Some(deepest) = deepest(&[style]) else { return Ok(StyleTarget { grams: Vec::new() }) };
    let activations = trunk.forward(picture, padding, deepest)?;
    let gram = |tap: Tap, region: &Plane| -> Result<Target> {
        let features = rows(&activations[tap.index()])?;
        let weights = Tensor::from_slice(region.data(), (1, 1, region.data().len()), trunk.device())?;
        let total = gram::total(region.data()).max(f32::MIN_POSITIVE) as f64;
        let gram = (trunk.product(&features.broadcast_mul(&weights)?, &features.t()?)? / total)?;
        Ok(Target::new(gram.flatten_all()?.to_vec1()?))
    };
    let regions = |tap: Tap| -> Result<Vec<Option<Target>>> {
        guides.at(tap).iter().map(|region| region.as_ref().map(|region| gram(tap, region)).transpose()).collect()
    };
    let grams = style.layers.iter().map(|&(tap, _)| Ok((tap, regions(tap)?))).collect::<Result<_>>()?;
    Ok(StyleTarget { grams })
}

/// The objective of a picture that shows `content`, `[1, 3, height, width]`, with the regions of `guides`.
///
/// # Errors
/// When the device refuses.
pub fn objective(
    trunk: &TensorTrunk,
    settings: &Settings,
    content: &Tensor,
    padding: Padding,
    style: &StyleTarget,
    guides: &Guides,
) -> Result<TensorObjective> {
    let activations = match deepest(&[&settings.content]) {
        Some(deepest) => trunk.forward(content, padding, deepest)?,
        None => Vec::new(),
    };
    let features = |&(tap, _): &(Tap, f64)| -> Result<_> {
        let features = activations[tap.index()].to_dtype(DType::F32)?;
        let norm = features.sqr()?.sum_all()?.to_scalar::<f32>()?.max(LEAST_NORM as f32);
        let factors = Tensor::full(2.0 / norm, (1, 1, 1, 1), trunk.device())?;
        Ok((tap, ContentTensors { features, factors }))
    };
    let content = settings.content.layers.iter().map(features).collect::<Result<_>>()?;
    let style = style.grams.iter().map(|(tap, targets)| {
        let tensors = style_tensors(targets, guides.at(*tap), trunk.device())?;
        Ok((*tap, tensors))
    });
    Ok(TensorObjective { content, style: style.collect::<Result<_>>()? })
}

/// The style targets of one tap and the regions of the picture at its size.
fn style_tensors(targets: &[Option<Target>], regions: &[Option<Plane>], device: &Device) -> Result<StyleTensors> {
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
    Ok(StyleTensors {
        grams: Tensor::from_vec(grams, (1, count, channels, channels), device)?,
        weights: Tensor::from_vec(weights, (1, count, 1, pixels), device)?,
        inverses: Tensor::from_vec(inverses, (1, count, 1, 1), device)?,
        shares: Tensor::from_vec(shares, (1, count), device)?,
        factors: Tensor::full(4.0 / norm, (1, 1, 1), device)?,
    })
}

/// The losses of all `pictures`, `[pictures, 3, height, width]`, for their objectives, and the gradients in the same
/// shape.
///
/// # Errors
/// When the device refuses, in most cases because its memory is too short for the batch.
pub fn evaluate(
    trunk: &TensorTrunk,
    settings: &Settings,
    pictures: &Tensor,
    padding: Padding,
    objective: &TensorObjective,
) -> Result<(Vec<Loss>, Tensor)> {
    let Some(deepest) = deepest(&[&settings.content, &settings.style]) else {
        candle_core::bail!("neither content nor style names a layer")
    };
    let activations = trunk.forward(pictures, padding, deepest)?;
    let zeros = Tensor::zeros(pictures.dim(0)?, DType::F32, trunk.device())?;
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
        if let Some((_, targets)) = objective.content.iter().find(|(other, _)| *other == tap) {
            let (distance, own) = content_gradient(features, targets)?;
            let share = share(&settings.content, tap);
            content = (&content + (distance * share)?)?;
            add((own * (settings.content.weight * share))?)?;
        }
        if let Some((_, targets)) = objective.style.iter().find(|(other, _)| *other == tap) {
            let (distance, own) = style_gradient(trunk, features, targets)?;
            let share = share(&settings.style, tap);
            style = (&style + (distance * share)?)?;
            add((own * (settings.style.weight * share))?)?;
        }
        Ok(gradient)
    };
    let mut gradients = trunk.backward(&activations, padding, tap_gradient)?;
    if settings.tv > 0.0 {
        let (variation, own) = total_variation(pictures, padding)?;
        tv = variation;
        gradients = (gradients + (own * settings.tv)?)?;
    }
    let terms = Tensor::stack(&[content, style, tv], 1)?.to_vec2::<f32>()?;
    let loss = |terms: &Vec<f32>| Loss::of(settings, terms[0].into(), terms[1].into(), terms[2].into());
    Ok((terms.iter().map(loss).collect(), gradients))
}

/// The distances of the Gram matrices of all pictures from their targets, and the gradients; see [`super`] for the
/// formula. The share of a region and the divisor of its matrix are one number and cancel.
fn style_gradient(trunk: &TensorTrunk, features: &Tensor, targets: &StyleTensors) -> Result<(Tensor, Tensor)> {
    let rows = rows(features)?;
    let transposed = rows.t()?;
    let mut gradient = rows.zeros_like()?;
    let mut distances = Vec::new();
    for region in 0..targets.grams.dim(1)? {
        let of_region = |tensor: &Tensor| tensor.narrow(1, region, 1)?.squeeze(1);
        let weight = of_region(&targets.weights)?;
        let gram = trunk.product(&rows.broadcast_mul(&weight)?, &transposed)?;
        let off = (gram.broadcast_mul(&of_region(&targets.inverses)?)? - of_region(&targets.grams)?)?;
        distances.push(off.sqr()?.flatten_from(1)?.sum(1)?);
        let through = trunk.product(&off.broadcast_mul(&targets.factors)?, &rows)?;
        gradient = (gradient + through.broadcast_mul(&weight)?)?;
    }
    let distance = (Tensor::stack(&distances, 1)? * &targets.shares)?.sum(1)?;
    Ok((distance, gradient.reshape(features.shape())?))
}

/// `|F - C|^2 / |C|^2` of all pictures, and the gradients.
fn content_gradient(features: &Tensor, targets: &ContentTensors) -> Result<(Tensor, Tensor)> {
    let off = (features.to_dtype(DType::F32)? - &targets.features)?;
    let distance = (off.sqr()?.flatten_from(1)?.sum(1)? * targets.factors.flatten_all()?)?;
    Ok(((distance * 0.5)?, off.broadcast_mul(&targets.factors)?))
}

/// The total variations of all pictures, as [`super`] defines them, and the gradients.
fn total_variation(pictures: &Tensor, padding: Padding) -> Result<(Tensor, Tensor)> {
    let count = pictures.elem_count() / pictures.dim(0)?;
    let mut sum = pictures.flatten_from(1)?.zeros_like()?.sum(1)?;
    let mut gradient = pictures.zeros_like()?;
    for dim in [2, 3] {
        let last = pictures.dim(dim)? - 1;
        let (steps, back) = if padding == Padding::Wrap {
            let steps = (rotated(pictures, dim, 1)? - pictures)?;
            let back = rotated(&steps, dim, last)?;
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

/// Rotated along `dim`: index 0 gets the values of index `by`.
fn rotated(x: &Tensor, dim: usize, by: usize) -> Result<Tensor> {
    Tensor::cat(&[x.narrow(dim, by, x.dim(dim)? - by)?, x.narrow(dim, 0, by)?], dim)
}

/// The deepest tap of `terms`.
fn deepest(terms: &[&Term]) -> Option<Tap> {
    terms.iter().flat_map(|term| term.layers.iter().map(|&(tap, _)| tap)).max()
}

/// `[pictures, channels, pixels]` in `f32`.
fn rows(features: &Tensor) -> Result<Tensor> {
    features.to_dtype(DType::F32)?.flatten_from(2)
}
