//! The trunk and the loss over Candle's tensors, for pictures of one size in a batch: what runs on a GPU.
//!
//! The CPU has kernels of its own in [`super::conv`]; this is the same chain in operations that every back end of Candle
//! has. Candle's own way back is not used: it computes kernel gradients that nobody needs, and its pools' gradients are
//! wrong. The gradient of a frozen 3x3 convolution is the same convolution with the kernel turned and its channels
//! swapped, so both directions are `conv2d`, which is cuDNN's on a GPU.

use super::conv::Size;
use super::gram;
use super::loss::{Guides, LEAST_NORM, Loss, StyleTarget, Target, share};
use super::plane::Plane;
use super::settings::{Padding, Pool, Settings, Tap, Term};
use super::vgg::{MEAN, STD};
use super::weights::Backbone;
use candle_core::{D, DType, Device, Result, Tensor};

/// In what numbers activations and their gradients are kept; losses, Gram matrices and pixels are `f32` in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// Half the memory and, on a GPU, tensor cores. Candle's CPU has no such convolution: there `f32` ones between rounded
    /// activations stand in, which sum the same products in the same precision.
    Bf16,
}

impl Precision {
    /// The type of what is kept.
    pub fn stored(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// The frozen network up to its deepest tap on one device.
pub struct TensorTrunk {
    device: Device,
    precision: Precision,
    pool: Pool,
    convs: Vec<Conv>,
    /// `[1, 3, 1, 1]`
    mean: Tensor,
    std: Tensor,
}

/// Kernels `[outputs, inputs, 3, 3]`, `[inputs, outputs, 3, 3]`, and the bias `[1, outputs, 1, 1]`.
struct Conv {
    forward: Tensor,
    backward: Tensor,
    bias: Tensor,
}

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
    /// Uploads `backbone` up to `deepest`.
    ///
    /// # Errors
    /// When the backbone ends before `deepest`, or the device refuses.
    pub fn new(
        backbone: &Backbone,
        deepest: Tap,
        pool: Pool,
        device: &Device,
        precision: Precision,
    ) -> std::result::Result<Self, String> {
        let conv = |(weight, bias): (&Tensor, &Tensor)| -> Result<Conv> {
            let backward = weight.flip(&[2, 3])?.transpose(0, 1)?.contiguous()?;
            let place = |tensor: &Tensor| tensor.to_dtype(precision.stored())?.to_device(device);
            Ok(Conv {
                forward: place(weight)?,
                backward: place(&backward)?,
                bias: place(&bias.reshape((1, (), 1, 1))?)?,
            })
        };
        let convs = backbone.tensors().take(deepest.index() + 1).map(conv).collect::<Result<Vec<_>>>();
        let convs = convs.map_err(|error| format!("the device refuses the network: {error}"))?;
        if convs.len() <= deepest.index() {
            return Err(format!("{} ends before {deepest}", backbone.name()));
        }
        let colours = |values: [f32; 3]| Tensor::new(&values, device).and_then(|t| t.reshape((1, 3, 1, 1)));
        let (mean, std) = (colours(MEAN), colours(STD));
        let (mean, std) = mean.and_then(|mean| Ok((mean, std?))).map_err(|error| error.to_string())?;
        Ok(Self { device: device.clone(), precision, pool, convs, mean, std })
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Uploads pictures, each `[height][width][3]`, as `[pictures, 3, height, width]`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn upload(&self, pictures: &[&[f32]], size: Size) -> Result<Tensor> {
        let shape = (pictures.len(), size.height, size.width, 3);
        let uploaded = match pictures {
            [one] => Tensor::from_slice(one, shape, &self.device)?,
            several => Tensor::from_vec(several.concat(), shape, &self.device)?,
        };
        uploaded.permute((0, 3, 1, 2))?.contiguous()
    }

    /// The activations of every layer, `[pictures, channels, height, width]`, for RGB in 0..1.
    fn forward(&self, pixels: &Tensor, padding: Padding, deepest: Tap) -> Result<Vec<Tensor>> {
        let mut x = pixels.broadcast_sub(&self.mean)?.broadcast_div(&self.std)?.to_dtype(self.precision.stored())?;
        let mut activations: Vec<Tensor> = Vec::new();
        for (conv, tap) in self.convs.iter().zip(Tap::all()).take(deepest.index() + 1) {
            if tap.opens_block() && tap.block() > 0 {
                x = pooled(&x, self.pool)?;
            }
            x = match padding {
                Padding::Zero => self.conv2d(&x, &conv.forward, 1)?,
                _ => self.conv2d(&padded(&x, padding)?, &conv.forward, 0)?,
            };
            x = x.broadcast_add(&conv.bias)?.relu()?;
            activations.push(x.clone());
        }
        Ok(activations)
    }

    fn conv2d(&self, x: &Tensor, kernel: &Tensor, padding: usize) -> Result<Tensor> {
        if self.precision == Precision::Bf16 && self.device.is_cpu() {
            let wide = |tensor: &Tensor| tensor.to_dtype(DType::F32);
            return wide(x)?.conv2d(&wide(kernel)?, padding, 1, 1, 1)?.to_dtype(DType::BF16);
        }
        x.conv2d(kernel, padding, 1, 1, 1)
    }

    /// Takes the gradients of taps back to the pixels, `[pictures, 3, height, width]`; `tap_gradient(tap, features)`, in `f32`,
    /// is called from the deepest tap up.
    fn backward(
        &self,
        activations: &[Tensor],
        padding: Padding,
        mut tap_gradient: impl FnMut(Tap, &Tensor) -> Result<Option<Tensor>>,
    ) -> Result<Tensor> {
        let mut passing: Option<Tensor> = None;
        let taps: Vec<Tap> = Tap::all().take(activations.len()).collect();
        for ((&tap, conv), activation) in taps.iter().zip(&self.convs).zip(activations).rev() {
            // What comes from above belongs to the pooled plane where a pool follows.
            let pools = taps.get(tap.index() + 1).is_some_and(|above| above.opens_block());
            if let (Some(above), true) = (&passing, pools) {
                passing = Some(unpooled(above, activation, self.pool)?);
            }
            if let Some(own) = tap_gradient(tap, activation)? {
                let own = own.to_dtype(self.precision.stored())?;
                passing = Some(match passing {
                    Some(above) => (above + own)?,
                    None => own,
                });
            }
            let Some(gradient) = &passing else { continue };
            // What ReLU has left is not negative, so its sign says where a gradient passes.
            let masked = (gradient * activation.sign()?)?;
            passing = Some(match padding {
                Padding::Zero => self.conv2d(&masked, &conv.backward, 1)?,
                Padding::Wrap => self.conv2d(&padded(&masked, padding)?, &conv.backward, 0)?,
                Padding::Replicate => folded(&self.conv2d(&masked, &conv.backward, 2)?)?,
            });
        }
        let Some(gradient) = passing else { candle_core::bail!("no tap has a gradient") };
        gradient.to_dtype(DType::F32)?.broadcast_div(&self.std)
    }

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

    /// A product of features: operands in `f32`, which tensor cores may round to TF32 where activations are rounded anyway.
    fn product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        candle_core::cuda::set_gemm_reduced_precision_f32(self.precision == Precision::Bf16);
        let product = a.matmul(b);
        // A setting of the whole process, and the optimizer's inner products need every digit.
        #[cfg(feature = "cuda")]
        candle_core::cuda::set_gemm_reduced_precision_f32(false);
        product
    }
}

/// `|F - C|^2 / |C|^2` of every picture and its gradient.
fn content_gradient(features: &Tensor, goal: &ContentGoal) -> Result<(Tensor, Tensor)> {
    let off = (features.to_dtype(DType::F32)? - &goal.features)?;
    let distance = (off.sqr()?.flatten_from(1)?.sum(1)? * goal.factors.flatten_all()?)?;
    Ok(((distance * 0.5)?, off.broadcast_mul(&goal.factors)?))
}

/// What [`TensorTrunk::upload`] was given, from `[pictures, 3, height, width]`.
///
/// # Errors
/// When the device refuses.
pub fn download(pictures: &Tensor) -> Result<Vec<Vec<f32>>> {
    pictures.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?.to_vec2()
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

fn deepest(terms: &[&Term]) -> Option<Tap> {
    terms.iter().flat_map(|term| term.layers.iter().map(|&(tap, _)| tap)).max()
}

/// `[pictures, channels, pixels]` in `f32`.
fn rows(features: &Tensor) -> Result<Tensor> {
    features.to_dtype(DType::F32)?.flatten_from(2)
}

/// With one more place at all four sides, as `padding` fills it.
fn padded(x: &Tensor, padding: Padding) -> Result<Tensor> {
    let around = |x: &Tensor, dim: D| -> Result<Tensor> {
        let last = x.dim(dim)? - 1;
        let (before, after) = if padding == Padding::Wrap { (last, 0) } else { (0, last) };
        Tensor::cat(&[&x.narrow(dim, before, 1)?, x, &x.narrow(dim, after, 1)?], dim)
    };
    around(&around(x, D::Minus2)?, D::Minus1)?.contiguous()
}

/// The way back through a replicated border: what fell on it belongs to the nearest place inside.
fn folded(x: &Tensor) -> Result<Tensor> {
    let fold = |x: &Tensor, dim: usize| -> Result<Tensor> {
        let inside = x.dim(dim)? - 2;
        let first = x.narrow(dim, 0, 1)?.pad_with_zeros(dim, 0, inside - 1)?;
        let last = x.narrow(dim, inside + 1, 1)?.pad_with_zeros(dim, inside - 1, 0)?;
        x.narrow(dim, 1, inside)? + first + last
    };
    fold(&fold(x, 2)?, 3)?.contiguous()
}

/// The four places of every 2x2 window, each `[pictures, channels, height / 2, width / 2]`, row by row; an odd last row or
/// column is in none.
fn windows(x: &Tensor) -> Result<[Tensor; 4]> {
    let (pictures, channels, height, width) = x.dims4()?;
    let (height, width) = (height / 2, width / 2);
    let even = x.narrow(2, 0, height * 2)?.narrow(3, 0, width * 2)?.contiguous()?;
    let even = even.reshape((pictures, channels, height, 2, width, 2))?;
    let place = |y: usize, x: usize| even.narrow(3, y, 1)?.narrow(5, x, 1)?.squeeze(5)?.squeeze(3)?.contiguous();
    Ok([place(0, 0)?, place(0, 1)?, place(1, 0)?, place(1, 1)?])
}

fn pooled(x: &Tensor, pool: Pool) -> Result<Tensor> {
    match pool {
        Pool::Max => x.max_pool2d(2),
        Pool::Avg => x.avg_pool2d(2),
    }
}

/// The gradient with respect to `x`, whose pool got `gradient`: the first maximum of a window has all of it, or each place
/// a quarter.
fn unpooled(gradient: &Tensor, x: &Tensor, pool: Pool) -> Result<Tensor> {
    let parts = match pool {
        Pool::Avg => {
            let quarter = (gradient * 0.25)?;
            [quarter.clone(), quarter.clone(), quarter.clone(), quarter]
        }
        Pool::Max => {
            let places = windows(x)?;
            let most = pooled(x, pool)?;
            let mut free = gradient.ones_like()?;
            let mut part = |place: &Tensor| -> Result<Tensor> {
                let mine = (place.eq(&most)?.to_dtype(gradient.dtype())? * &free)?;
                free = (&free - &mine)?;
                gradient * mine
            };
            [part(&places[0])?, part(&places[1])?, part(&places[2])?, part(&places[3])?]
        }
    };
    let (pictures, channels, height, width) = x.dims4()?;
    let row = |left: &Tensor, right: &Tensor| Tensor::stack(&[left, right], 4)?.flatten(3, 4);
    let (upper, lower) = (row(&parts[0], &parts[1])?, row(&parts[2], &parts[3])?);
    let all = Tensor::stack(&[upper, lower], 3)?.reshape((pictures, channels, height / 2 * 2, width / 2 * 2))?;
    all.pad_with_zeros(2, 0, height % 2)?.pad_with_zeros(3, 0, width % 2)?.contiguous()
}
