//! The two back ends behind one interface: the CPU kernels of this crate, and Candle tensors in batches.
//!
//! [`Network`] makes an [`Evaluator`] for pictures of one size. An evaluator makes an [`Objective`] for each picture,
//! which is then minimized.
//!
//! - [`device`]: the choice between the two
//! - [`batcher`]: work for a device, from any number of threads
//! - `device_thread`: the thread that owns a device and works in batches
//! - [`limit`]: how many pictures a batch holds
//! - [`cuda`]: opening a GPU

pub mod batcher;
pub mod cuda;
pub mod device;
mod device_thread;
pub mod limit;

use crate::nst::backend::batcher::{BatchEvaluator, Batcher, DeviceObjective};
use crate::nst::backend::device::Device;
use crate::nst::failure::StylizeError;
use crate::nst::layers::{Padding, Tap};
use crate::nst::loss::slices::{CpuEvaluator, CpuObjective};
use crate::nst::loss::{self, Guides, Loss, StyleTarget};
use crate::nst::network::backbone::Backbone;
use crate::nst::network::tensors::TensorTrunk;
use crate::nst::network::trunk::Trunk;
use crate::nst::optim::{self, OptimOptions, preconditioner};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::photoreal::AffineField;
use crate::nst::settings::Settings;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// The frozen network on its device.
#[derive(Clone)]
pub enum Network {
    Cpu(Arc<Trunk>),
    Tensors(Batcher),
}

/// Evaluates losses of pictures of one size.
pub enum Evaluator<'a> {
    Cpu(Box<CpuEvaluator<'a>>),
    Tensors(BatchEvaluator),
}

/// What one picture shall come close to, with the evaluator that it is for.
pub enum Objective<'o, 'a> {
    Cpu(CpuObjective<'o, 'a>),
    Tensors(DeviceObjective<'o>),
}

impl Network {
    /// # Errors
    /// When the settings name no tap, the backbone ends before the deepest, or the device refuses.
    pub fn new(backbone: &Backbone, settings: &Settings, device: &Device) -> Result<Self, String> {
        let deepest: Tap = loss::deepest_tap(settings)?;
        match device {
            Device::Cpu(isa) => Trunk::new(backbone, deepest, settings.pool, *isa).map(Arc::new).map(Self::Cpu),
            Device::Tensors { device, precision, limit, .. } => {
                let (backbone, pool, device, precision) = (backbone.clone(), settings.pool, device.clone(), *precision);
                let make = move || TensorTrunk::new(&backbone, deepest, pool, &device, precision);
                Batcher::new(make, limit.clone()).map(Self::Tensors)
            }
        }
    }

    /// The number of pictures of `size` that a batch holds; `None` where there are no batches.
    pub fn batch(&self, size: Size) -> Option<usize> {
        match self {
            Self::Cpu(_) => None,
            Self::Tensors(batcher) => Some(batcher.pictures(size)),
        }
    }

    /// Applies the colour maps that take `content` to `stylized` to `original`; see
    /// [`photoreal`](crate::nst::render::photoreal).
    ///
    /// # Errors
    /// When the device refuses; the CPU never does.
    pub fn photoreal(
        &self,
        content: &Pixels,
        stylized: &Pixels,
        mut original: Pixels,
        padding: Padding,
    ) -> Result<Pixels, StylizeError> {
        match self {
            Self::Cpu(_) => {
                AffineField::fit(content, stylized, padding).apply(&mut original);
                Ok(original)
            }
            Self::Tensors(batcher) => batcher.photoreal(content, stylized, original, padding),
        }
    }

    /// An evaluator of pictures of `size`.
    pub fn evaluator<'a>(&'a self, settings: &'a Settings, size: Size) -> Evaluator<'a> {
        match self {
            Self::Cpu(trunk) => Evaluator::Cpu(Box::new(CpuEvaluator::new(trunk, settings, size))),
            Self::Tensors(batcher) => Evaluator::Tensors(batcher.evaluator(settings, size)),
        }
    }
}

impl<'a> Evaluator<'a> {
    /// With another padding than that of the settings.
    pub fn padded(self, padding: Padding) -> Self {
        match self {
            Self::Cpu(evaluator) => Self::Cpu(Box::new(evaluator.padded(padding))),
            Self::Tensors(evaluator) => Self::Tensors(evaluator.padded(padding)),
        }
    }

    pub fn size(&self) -> Size {
        match self {
            Self::Cpu(evaluator) => evaluator.size(),
            Self::Tensors(evaluator) => evaluator.size(),
        }
    }

    /// The style target of `pixels`, `[height][width][3]` in 0..1, with the regions of `guides`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn style_target(&mut self, pixels: &[f32], guides: Guides) -> Result<StyleTarget, StylizeError> {
        match self {
            Self::Cpu(evaluator) => Ok(evaluator.style_target(pixels, &guides)),
            Self::Tensors(evaluator) => evaluator.style_target(pixels, guides),
        }
    }

    /// The objective of a picture that shows `content`, `[height][width][3]` in 0..1, with the regions of `guides`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn objective<'o>(
        &'o mut self,
        content: &[f32],
        style: &'o StyleTarget,
        guides: Guides,
    ) -> Result<Objective<'o, 'a>, StylizeError> {
        match self {
            Self::Cpu(evaluator) => Ok(Objective::Cpu(evaluator.objective(content, style, guides))),
            Self::Tensors(evaluator) => evaluator.objective(content, style, guides).map(Objective::Tensors),
        }
    }
}

impl Objective<'_, '_> {
    /// The loss of `pixels`, `[height][width][3]`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn loss(&mut self, pixels: &[f32]) -> Result<Loss, StylizeError> {
        match self {
            Self::Cpu(objective) => Ok(objective.evaluate(pixels, &mut pixels.to_vec())),
            Self::Tensors(objective) => objective.evaluate(pixels).map(|(loss, _)| loss),
        }
    }

    /// Minimizes the loss from `x`, which becomes the picture with the lowest loss. Returns the losses of both.
    /// `on_step(evaluation, loss)` is called after each evaluation and may end it.
    ///
    /// # Errors
    /// When the first loss or gradient is not finite, `on_step` ends it, or the device refuses.
    pub fn minimize(
        &mut self,
        options: OptimOptions,
        x: &mut Pixels,
        mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<(Loss, Loss), StylizeError> {
        let size = x.size();
        let (data, losses) = match self {
            Self::Cpu(objective) => {
                let evaluate = |x: &[f32], gradient: &mut [f32]| {
                    let loss = objective.evaluate(x, gradient);
                    if options.grey {
                        project_to_grey(gradient);
                    }
                    loss
                };
                let precondition = |x: Vec<f32>, gradient: &[f32]| match options.preconditioner {
                    Some(border) => preconditioner::apply(x, gradient, size, border),
                    None => x,
                };
                let start = x.data().to_vec();
                optim::slices::minimize(options.optimizer, options.steps, start, evaluate, precondition, on_step)?
            }
            Self::Tensors(objective) => objective.minimize(options, x.data(), &mut on_step)?,
        };
        *x = Pixels::new(size, data);
        Ok(losses)
    }

    /// The mean wall time of an evaluation, in seconds, over `count` of them. Where there are batches, it is the time
    /// per picture of a full batch.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn seconds_per_evaluation(&mut self, pixels: &[f32], count: usize) -> Result<f64, StylizeError> {
        if let Self::Tensors(objective) = self {
            return objective.seconds_per_evaluation(pixels, count);
        }
        let begun = Instant::now();
        (0..count).try_for_each(|_| self.loss(pixels).map(drop))?;
        Ok(begun.elapsed().as_secs_f64() / count as f64)
    }
}

/// Projects a gradient onto the directions in which a grey picture stays grey.
fn project_to_grey(gradient: &mut [f32]) {
    for rgb in gradient.chunks_exact_mut(3) {
        rgb.fill(rgb.iter().sum::<f32>() / 3.0);
    }
}
