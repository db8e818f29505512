//! The two back ends behind one face: the CPU's own kernels, and Candle's tensors in batches.

pub mod batcher;
pub mod cuda;
pub mod device;

use crate::nst::backend::batcher::Batcher;
use crate::nst::backend::device::Device;
use crate::nst::layers::{Padding, Tap};
use crate::nst::loss::slices::{self, ContentTarget};
use crate::nst::loss::{self, Guides, Loss, StyleTarget};
use crate::nst::network::backbone::Backbone;
use crate::nst::network::tensors::TensorTrunk;
use crate::nst::network::trunk::Trunk;
use crate::nst::optim::{self, Descent, OptimError, metric};
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

/// Evaluations of pictures of one size.
pub enum Evaluator<'a> {
    Cpu(Box<slices::Evaluator<'a>>),
    Tensors(batcher::Evaluator),
}

/// What a picture shall come close to at one scale.
pub enum Goal<'a> {
    Cpu(ContentTarget, &'a StyleTarget, Guides),
    Tensors(batcher::Goal),
}

impl Network {
    /// # Errors
    /// When the backbone ends before the deepest tap of the settings, or the device refuses.
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

    /// Pictures of `size` in a batch at most, where there are batches.
    pub fn batch(&self, size: Size) -> Option<usize> {
        match self {
            Self::Cpu(_) => None,
            Self::Tensors(batcher) => Some(batcher.most(size)),
        }
    }

    /// `original` under the smooth field of maps that takes `content` to `stylized`; see [`super::photoreal`].
    ///
    /// # Errors
    /// What a device says that refuses; the CPU never does.
    pub fn photoreal(
        &self,
        content: &Pixels,
        stylized: &Pixels,
        mut original: Pixels,
        padding: Padding,
    ) -> Result<Pixels, String> {
        match self {
            Self::Cpu(_) => {
                AffineField::fit(content, stylized, padding).apply(&mut original);
                Ok(original)
            }
            Self::Tensors(batcher) => batcher.photoreal(content, stylized, original, padding),
        }
    }

    pub fn evaluator<'a>(&'a self, settings: &'a Settings, size: Size) -> Evaluator<'a> {
        match self {
            Self::Cpu(trunk) => Evaluator::Cpu(Box::new(slices::Evaluator::new(trunk, settings, size))),
            Self::Tensors(batcher) => Evaluator::Tensors(batcher.evaluator(settings, size)),
        }
    }
}

impl Evaluator<'_> {
    /// With another padding than the settings say.
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

    /// See [`loss::Evaluator::style_target`].
    ///
    /// # Errors
    /// What a device says that refuses; the CPU never does.
    pub fn style_target(&mut self, pixels: &[f32], guides: Guides) -> Result<StyleTarget, String> {
        match self {
            Self::Cpu(evaluator) => Ok(evaluator.style_target(pixels, &guides)),
            Self::Tensors(evaluator) => evaluator.style_target(pixels, guides),
        }
    }

    /// What `content`, `[height][width][3]` in 0..1, shall come close to.
    ///
    /// # Errors
    /// As [`Evaluator::style_target`].
    pub fn goal<'a>(&mut self, content: &[f32], style: &'a StyleTarget, guides: Guides) -> Result<Goal<'a>, String> {
        match self {
            Self::Cpu(evaluator) => Ok(Goal::Cpu(evaluator.content_target(content), style, guides)),
            Self::Tensors(evaluator) => evaluator.goal(content, style, guides).map(Goal::Tensors),
        }
    }

    /// The loss of `pixels`.
    ///
    /// # Errors
    /// As [`Evaluator::style_target`].
    ///
    /// # Panics
    /// When `goal` is another back end's.
    pub fn loss(&mut self, goal: &Goal, pixels: &[f32]) -> Result<Loss, String> {
        match (self, goal) {
            (Self::Cpu(evaluator), Goal::Cpu(content, style, guides)) => {
                Ok(evaluator.evaluate(content, style, guides, pixels, &mut pixels.to_vec()))
            }
            (Self::Tensors(evaluator), Goal::Tensors(goal)) => evaluator.evaluate(goal, pixels).map(|(loss, _)| loss),
            _ => unreachable!("a goal is of its evaluator"),
        }
    }

    /// Minimizes the loss from `x`, which becomes the best picture seen; the losses of both. `on_step(evaluation, loss)`
    /// hears of every evaluation and may end it.
    ///
    /// # Errors
    /// See [`OptimError`].
    ///
    /// # Panics
    /// When `goal` is another back end's.
    pub fn minimize(
        &mut self,
        goal: &Goal,
        descent: Descent,
        x: &mut Pixels,
        mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<(Loss, Loss), OptimError> {
        let size = x.size();
        let (data, losses) = match (self, goal) {
            (Self::Cpu(evaluator), Goal::Cpu(content, style, guides)) => {
                let evaluate = |x: &[f32], gradient: &mut [f32]| {
                    let loss = evaluator.evaluate(content, style, guides, x, gradient);
                    if descent.grey {
                        along_grey(gradient);
                    }
                    Ok(loss)
                };
                let precondition = |x: Vec<f32>, gradient: &[f32]| match descent.metric {
                    Some(border) => metric::apply(x, gradient, size, border),
                    None => x,
                };
                let start = x.data().to_vec();
                optim::slices::minimize(descent.optimizer, descent.steps, start, evaluate, precondition, on_step)?
            }
            (Self::Tensors(evaluator), Goal::Tensors(goal)) => {
                evaluator.minimize(goal, descent, x.data(), &mut on_step)?
            }
            _ => unreachable!("a goal is of its evaluator"),
        };
        *x = Pixels::new(size, data);
        Ok(losses)
    }

    /// The mean wall time of an evaluation over `count` of them; where there are batches, of one in a full batch.
    ///
    /// # Errors
    /// As [`Evaluator::style_target`].
    pub fn seconds_per_evaluation(&mut self, goal: &Goal, pixels: &[f32], count: usize) -> Result<f64, String> {
        if let (Self::Tensors(evaluator), Goal::Tensors(goal)) = (&*self, goal) {
            return evaluator.seconds_per_evaluation(goal, pixels, count);
        }
        let begun = Instant::now();
        (0..count).try_for_each(|_| self.loss(goal, pixels).map(drop))?;
        Ok(begun.elapsed().as_secs_f64() / count as f64)
    }
}

/// Projects a gradient onto the directions in which a grey picture stays grey.
fn along_grey(gradient: &mut [f32]) {
    for rgb in gradient.chunks_exact_mut(3) {
        rgb.fill(rgb.iter().sum::<f32>() / 3.0);
    }
}
