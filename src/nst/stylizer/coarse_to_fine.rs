//! Optimizes one picture, scale by scale, up to the working size.

use crate::nst::backend::{Evaluator, Objective};
use crate::nst::failure::StylizeError;
use crate::nst::loss::{Guides, Loss};
use crate::nst::optim::OptimOptions;
use crate::nst::picture::filter::Border;
use crate::nst::picture::pixels::Pixels;
use crate::nst::scene::regions::Layers;
use crate::nst::schedule::{self, Scale};
use crate::nst::settings::{Init, Render, Settings};
use crate::nst::start::Start;
use crate::nst::stylizer::evaluators::Evaluators;
use crate::nst::stylizer::input::{resampled, resized};
use crate::nst::stylizer::style::Style;
use std::ops::ControlFlow;

/// The optimized picture, at the working size.
pub struct Optimized {
    /// The picture that the optimizer started from.
    pub start: Pixels,
    /// The picture with the lowest loss; it may leave 0..1.
    pub pixels: Pixels,
    /// Evaluations of loss and gradient, at all scales.
    pub evals: usize,
    pub losses: Losses,
}

/// The losses of one picture at the working size.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// That of the start.
    pub first: Loss,
    /// That of the optimized picture, before it was cut to 0..1, rendered and blended.
    pub last: Loss,
}

/// The optimization of one picture. `on_step(evaluation, loss)` is called after each evaluation and may end it.
pub struct CoarseToFine<'a, F> {
    settings: &'a Settings,
    content: &'a Layers,
    style: &'a Style,
    start: &'a Start,
    on_step: F,
    evals: usize,
}

impl<'a, F: FnMut(usize, Loss) -> ControlFlow<()>> CoarseToFine<'a, F> {
    /// `content` is at the working size.
    pub fn new(settings: &'a Settings, content: &'a Layers, style: &'a Style, start: &'a Start, on_step: F) -> Self {
        Self { settings, content, style, start, on_step, evals: 0 }
    }

    /// Optimizes the picture with `evaluators` for its working size.
    ///
    /// # Errors
    /// When the first loss is not finite, `on_step` ends it, or the device refuses; see [`StylizeError`].
    pub fn run(mut self, evaluators: &mut Evaluators) -> Result<Optimized, StylizeError> {
        let content = self.content;
        let scales = schedule::scales(self.settings, content.pixels.size());
        let Some((last_scale, coarser)) = scales.split_last() else { unreachable!("every picture has a scale") };
        let (finest, coarser_evaluators) = evaluators.split();
        let mut objective = self.objective(finest, content, 0)?;
        let start = self.start.draw(self.settings, content);
        let mut x = start.clone();
        let mut first = None;
        if !coarser.is_empty() {
            // Losses at two sizes do not compare, so the start is judged at the working size.
            first = Some(self.judge(&mut objective, &start)?);
            if let Some(change) = self.coarser_scales(coarser_evaluators, coarser)? {
                self.add_upsampled(&change, &mut x);
            }
        }
        let steps = last_scale.steps - first.is_some() as usize;
        let (began, last) = self.minimize(&mut objective, steps, &mut x)?;
        let losses = Losses { first: first.unwrap_or(began), last };
        Ok(Optimized { start, pixels: x, evals: self.evals, losses })
    }

    /// Optimizes at the coarser scales and returns what the last of them has changed, at its size. The first of
    /// `evaluators` is for one halving.
    fn coarser_scales(
        &mut self,
        evaluators: &mut [Evaluator],
        scales: &[Scale],
    ) -> Result<Option<Pixels>, StylizeError> {
        let mut change: Option<Pixels> = None;
        for &Scale { level, size, steps } in scales {
            let view = Layers {
                pixels: resized(self.settings, &self.content.pixels, size),
                scene: self.content.scene.resized(size),
                regions: self.content.regions.resized(size),
            };
            let mut objective = self.objective(&mut evaluators[level - 1], &view, level)?;
            let start = self.start.draw(self.settings, &view);
            let mut x = start.clone();
            if let Some(change) = &change {
                self.add_upsampled(change, &mut x);
            }
            self.minimize(&mut objective, steps, &mut x)?;
            if self.settings.init != Init::Noise {
                x.data_mut().iter_mut().zip(start.data()).for_each(|(x, start)| *x -= start);
            }
            change = Some(x);
        }
        Ok(change)
    }

    /// Adds what a coarser scale has changed to the start of the next, which so keeps its own detail. Noise has no
    /// detail worth keeping: there the change is the whole picture.
    fn add_upsampled(&self, change: &Pixels, start: &mut Pixels) {
        let change = resampled(self.settings, change, start.size());
        match self.settings.init {
            Init::Noise => *start = change,
            _ => start.data_mut().iter_mut().zip(change.data()).for_each(|(v, change)| *v += change),
        }
    }

    /// What `view` shall come close to after `level` halvings.
    fn objective<'o, 'e>(
        &self,
        evaluator: &'o mut Evaluator<'e>,
        view: &Layers,
        level: usize,
    ) -> Result<Objective<'o, 'e>, StylizeError>
    where
        'a: 'o,
    {
        evaluator.objective(view.pixels.data(), &self.style.targets[level], Guides::new(&view.regions))
    }

    /// The loss of `start`; it counts as an evaluation.
    fn judge(&mut self, objective: &mut Objective, start: &Pixels) -> Result<Loss, StylizeError> {
        let loss = objective.loss(start.data())?;
        if !loss.is_finite() {
            return Err(StylizeError::LossNotFinite);
        }
        if self.count(loss).is_break() {
            return Err(StylizeError::Stopped);
        }
        Ok(loss)
    }

    /// Minimizes the loss at one scale from `x`, which becomes the picture with the lowest loss. Returns the losses of
    /// both.
    fn minimize(
        &mut self,
        objective: &mut Objective,
        steps: usize,
        x: &mut Pixels,
    ) -> Result<(Loss, Loss), StylizeError> {
        let border = if self.settings.padding.wraps() { Border::Around } else { Border::Mirrored };
        let options = OptimOptions {
            optimizer: self.settings.optimizer,
            steps,
            // The maps of a photoreal render make broad changes of narrow ones anyway. Still broader ones would be
            // blotches in skies and on roads.
            preconditioner: (self.settings.render == Render::Pixels).then_some(border),
            grey: self.settings.keep_colours,
        };
        objective.minimize(options, x, |_, loss| self.count(loss))
    }

    fn count(&mut self, loss: Loss) -> ControlFlow<()> {
        self.evals += 1;
        (self.on_step)(self.evals, loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::layers::Padding;
    use crate::nst::stylizer::testing::{picture, run, settings, stylizer};

    #[test]
    fn coarser_scales_add_evaluations_and_both_losses_are_those_at_the_working_size() {
        for (init, padding) in [(Init::Colour, Padding::Zero), (Init::Noise, Padding::Wrap)] {
            let content = picture(90, 120, 6);
            let at = |scales| {
                let settings = Settings { size: 96, steps: 20, init, padding, scales: Some(scales), ..settings() };
                let stylizer = stylizer(Settings { render: Render::Pixels, ..settings });
                let scales = stylizer.scales(stylizer.working_size(content.size()));
                (schedule::evaluations(&scales), run(&stylizer, &content, 1).unwrap())
            };
            let ((_, one), (planned, three)) = (at(1), at(3));
            assert_eq!((one.evals, three.evals, planned), (20, 40, 40));
            assert_eq!(one.losses.unwrap().first, three.losses.unwrap().first, "the same start at the same size");
            let losses = three.losses.unwrap();
            assert!(losses.last.total < losses.first.total, "{losses:?}");
            assert!(three.pixels != one.pixels);
        }
    }
}
