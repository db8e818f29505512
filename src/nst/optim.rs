//! L-BFGS and Adam over the pixels of one picture, or of several in step. Their cost is counted in evaluations of loss
//! and gradient.
//!
//! Only scalars are decided here: how far to go, which pairs to keep, when to start over. The vectors, each as long as
//! a picture, stay with their [`Vectors`]: [`slices`] of memory for one picture, or [`tensors`] on a device for a
//! batch. A batch answers each question for all of its pictures at once, with a few inner products per picture.
//!
//! L-BFGS needs no more than these. The first loop of the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4)
//! needs `s_i.q`, where `q` has lost some `y_j`: `s_i.q = -s_i.g - sum alpha_j s_i.y_j`, over the newer pairs `j`. All
//! `s_i.g` and `s_i.y_j` are known, so all `alpha_i` are, and `q` is one sum. The second loop is one sum in the same
//! way.
//!
//! - [`slices`]: the vectors of one picture in memory
//! - [`tensors`]: the vectors of a batch on a device
//! - [`preconditioner`]: what L-BFGS takes for the inverse curvature before it has seen any

pub mod preconditioner;
pub mod slices;
pub mod tensors;

use crate::nst::failure::StylizeError;
use crate::nst::loss::Loss;
use crate::nst::picture::filter::Border;
use crate::nst::settings::Optimizer;
use std::ops::ControlFlow;

/// The number of curvature pairs that L-BFGS keeps.
const HISTORY: usize = 10;

/// Slots for pairs. One more than are kept, so that the newest has a free one.
pub const SLOTS: usize = HISTORY + 1;

/// Sufficient decrease (Nocedal and Wright 2006, equation 3.4).
const ARMIJO: f64 = 1e-4;

/// The first length that L-BFGS tries, in units of its own step. With so few pairs for so many pixels, it overestimates
/// the curvature. Measured over real frames and styles: 1.4 to 1.8 reach the lowest loss.
const OVERSTEP: f64 = 1.4;

/// The length of a step without pairs: its root mean square, in units of the pixel range.
const FIRST_STEP: f64 = 0.01;

/// The least length that is tried, in units of the step.
const LEAST_STEP: f64 = 1e-4;

/// The decay of Adam's means of gradients and of their squares.
pub const BETA: (f32, f32) = (0.9, 0.999);

/// The step of Adam, in units of the pixel range.
pub const ADAM_RATE: f32 = 0.02;

/// How pictures are optimized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimOptions {
    pub optimizer: Optimizer,
    /// The largest number of evaluations of loss and gradient.
    pub steps: usize,
    /// Where L-BFGS begins with the [`preconditioner`], the border of its filters; `None` for a multiple of `I`.
    pub preconditioner: Option<Border>,
    /// Whether grey pictures stay grey.
    pub grey: bool,
}

/// The losses of the start and of the best point, or why there is no result.
pub type Minimized = Result<(Loss, Loss), StylizeError>;

/// One number for each slot, 0 where no pair is.
pub type SlotValues = [f64; SLOTS];

/// The vectors of one or several pictures. For each picture these are
///
/// - `x`, the best point so far, and `g`, its gradient;
/// - a trial and its gradient;
/// - pairs `s`, `y`: how far `x` went, and how `g` changed;
/// - `r`, the preconditioned gradient.
///
/// Arguments and answers have one entry for each picture.
pub trait Vectors {
    /// Why vectors cannot be computed, such as a device that refuses.
    type Error;

    /// Evaluates losses and gradients at the trials. The first trials are the starts.
    ///
    /// # Errors
    /// When the device refuses.
    fn evaluate(&mut self) -> Result<Vec<Loss>, Self::Error>;

    /// Where a slot is given, stores there the pair from `x` to the trial. Returns the products with the stored pairs.
    ///
    /// # Errors
    /// When the device refuses.
    fn store_pairs(&mut self, slots: &[Option<usize>]) -> Result<Vec<PairProducts>, Self::Error>;

    /// Where `accepted` is true, the trial becomes `x`.
    ///
    /// # Errors
    /// When the device refuses.
    fn accept(&mut self, accepted: &[bool]) -> Result<(), Self::Error>;

    /// Computes `r = M (-g - sum alpha_i y_i)`, with the `M` that L-BFGS begins with, and returns its products.
    ///
    /// # Errors
    /// When the device refuses.
    fn precondition(&mut self, loops: &[FirstLoop]) -> Result<Vec<Preconditioned>, Self::Error>;

    /// The trial becomes `x + scale r + sum coefficients_i s_i`.
    ///
    /// # Errors
    /// When the device refuses.
    fn set_trials(&mut self, steps: &[TrialStep]) -> Result<(), Self::Error>;

    /// Moves the trial by Adam's step number `step`, counted from 1, along its gradient (Kingma and Ba 2015, algorithm
    /// 1).
    ///
    /// # Errors
    /// When the device refuses.
    fn adam_step(&mut self, step: usize) -> Result<(), Self::Error>;
}

/// Inner products with a new pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct PairProducts {
    /// `s_i.y`, with the new `y`.
    pub sy: SlotValues,
    /// `s_i.g`, with the gradient of the trial.
    pub sg: SlotValues,
    /// `y.y`, with the new `y`.
    pub yy: f64,
}

/// The result of the first loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstLoop {
    pub alpha: SlotValues,
    /// The slot of the newest pair.
    pub newest: Option<usize>,
}

/// Inner products with `r`, which the second loop starts from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preconditioned {
    /// `y_i.r`
    pub yr: SlotValues,
    /// `r.g`
    pub rg: f64,
    /// The mean square of `r`.
    pub mean_square: f64,
    /// `y.M y` of the newest pair.
    pub ymy: f64,
}

/// A step from `x` to the next trial; see [`Vectors::set_trials`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TrialStep {
    pub scale: f64,
    pub coefficients: SlotValues,
}

/// Minimizes from the trials of `vectors` with at most `steps` evaluations, and leaves the best points in their `x`.
///
/// `on_step(picture, evaluation, loss)` is called after each evaluation, counted from 1, and may end it for that
/// picture. Returns one outcome for each picture.
///
/// # Errors
/// When the device refuses: then no picture has a result.
pub fn minimize<V: Vectors>(
    optimizer: Optimizer,
    steps: usize,
    vectors: &mut V,
    on_step: impl FnMut(usize, usize, Loss) -> ControlFlow<()>,
) -> Result<Vec<Minimized>, V::Error> {
    match optimizer {
        Optimizer::Lbfgs => lbfgs(steps, vectors, on_step),
        Optimizer::Adam => adam(steps, vectors, on_step),
    }
}

/// How far the optimization of one picture has come.
struct Progress {
    /// The loss of the start.
    first: Loss,
    /// The loss of the best point, `x`.
    best: Loss,
    ended: Option<Result<(), StylizeError>>,
}

impl Progress {
    fn new(first: Loss) -> Self {
        let ended = (!first.is_finite()).then_some(Err(StylizeError::LossNotFinite));
        Self { first, best: first, ended }
    }

    fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// Ends if the answer of `on_step` says so, unless it has already ended.
    fn note_stop(&mut self, answer: ControlFlow<()>) {
        if answer.is_break() {
            self.ended.get_or_insert(Err(StylizeError::Stopped));
        }
    }

    fn outcome(self) -> Minimized {
        self.ended.unwrap_or(Ok(())).map(|()| (self.first, self.best))
    }
}

/// L-BFGS of one picture.
struct Lbfgs {
    progress: Progress,
    /// The slots of all pairs, the newest last.
    pairs: Vec<usize>,
    /// `s_i.y_j`
    sy: [SlotValues; SLOTS],
    /// `s_i.g`
    sg: SlotValues,
    /// The slope of the loss along the step, at length 0.
    slope: f64,
    /// The length of the trial, in units of the step; `None` before the direction is known.
    length: Option<f64>,
}

impl Lbfgs {
    fn new(progress: Progress) -> Self {
        Self { progress, pairs: Vec::new(), sy: [[0.0; SLOTS]; SLOTS], sg: [0.0; SLOTS], slope: 0.0, length: None }
    }

    fn free_slot(&self) -> usize {
        (0..SLOTS).find(|slot| !self.pairs.contains(slot)).unwrap_or_default()
    }

    /// Keeps the pair in `slot` if the curvature along it is positive.
    fn add_pair(&mut self, slot: usize, products: &PairProducts) {
        self.sg = products.sg;
        for (row, value) in self.sy.iter_mut().zip(products.sy) {
            row[slot] = value;
        }
        if products.sy[slot] <= 1e-10 * products.yy {
            return;
        }
        if self.pairs.len() == HISTORY {
            self.pairs.remove(0);
        }
        self.pairs.push(slot);
    }

    fn forget_pairs(&mut self) {
        self.pairs.clear();
        self.length = None;
    }

    fn first_loop(&self) -> FirstLoop {
        let mut alpha = [0.0; SLOTS];
        for (at, &i) in self.pairs.iter().enumerate().rev() {
            let newer: f64 = self.pairs[at + 1..].iter().map(|&j| alpha[j] * self.sy[i][j]).sum();
            alpha[i] = (-self.sg[i] - newer) / self.sy[i][i];
        }
        FirstLoop { alpha, newest: self.pairs.last().copied() }
    }

    /// The step to the next trial; `None` if the pairs gave no direction in which the loss falls. They are forgotten
    /// then.
    fn second_loop(&mut self, FirstLoop { alpha, newest }: &FirstLoop, r: &Preconditioned) -> Option<TrialStep> {
        if !self.progress.is_running() {
            return Some(TrialStep::default());
        }
        // The scale of `M` that the newest pair shows (Nocedal and Wright 2006, equation 7.20, there for `M = I`).
        let scale = newest.map_or(1.0, |newest| self.sy[newest][newest] / r.ymy);
        let mut coefficients = [0.0; SLOTS];
        for (at, &i) in self.pairs.iter().enumerate() {
            let older: f64 = self.pairs[..at].iter().map(|&j| coefficients[j] * self.sy[j][i]).sum();
            coefficients[i] = alpha[i] - (scale * r.yr[i] + older) / self.sy[i][i];
        }
        self.slope = scale * r.rg + coefficients.iter().zip(&self.sg).map(|(c, sg)| c * sg).sum::<f64>();
        let falls = self.slope < 0.0 && self.slope.is_finite();
        if !falls && !self.pairs.is_empty() {
            self.forget_pairs();
            return None;
        }
        if !falls {
            self.progress.ended = Some(if self.slope == 0.0 { Ok(()) } else { Err(StylizeError::LossNotFinite) });
            return Some(TrialStep::default());
        }
        // Without pairs the length of the gradient means nothing, so the first step is one that is not visible.
        let full = if self.pairs.is_empty() { FIRST_STEP / r.mean_square.sqrt() } else { OVERSTEP };
        let length = *self.length.get_or_insert(full);
        Some(TrialStep { scale: length * scale, coefficients: coefficients.map(|c| length * c) })
    }

    /// Whether the trial, whose loss is `trial`, becomes `x`. If not, the next trial is shorter.
    fn accept(&mut self, trial: Loss) -> bool {
        let Some(length) = self.length.filter(|_| self.progress.is_running()) else { return false };
        let best = self.progress.best.total;
        if trial.is_finite() && trial.total <= best + ARMIJO * length * self.slope {
            self.progress.best = trial;
            self.length = None;
            return true;
        }
        let shorter = shorten(length, self.slope, best, trial.total);
        if shorter >= LEAST_STEP {
            self.length = Some(shorter);
        } else if self.pairs.is_empty() {
            self.progress.ended = Some(Ok(()));
        } else {
            self.forget_pairs();
        }
        false
    }
}

/// The minimum of the parabola through loss and slope at length 0, `best` and `slope`, and the loss at `length`,
/// `trial`. It is kept between a tenth and a half of `length` (Nocedal and Wright 2006, equation 3.58).
fn shorten(length: f64, slope: f64, best: f64, trial: f64) -> f64 {
    if !trial.is_finite() {
        return length * 0.1;
    }
    let minimum = -slope * length * length / (2.0 * (trial - best - slope * length));
    minimum.clamp(0.1 * length, 0.5 * length)
}

/// L-BFGS with a line search that backtracks. It starts over where its pairs give no direction in which the loss falls.
fn lbfgs<V: Vectors>(
    steps: usize,
    vectors: &mut V,
    mut on_step: impl FnMut(usize, usize, Loss) -> ControlFlow<()>,
) -> Result<Vec<Minimized>, V::Error> {
    let mut all: Vec<Lbfgs> = Vec::new();
    for evaluation in 1..=steps {
        let losses = vectors.evaluate()?;
        // The evaluation that ends a picture is still reported.
        let mut reported: Vec<bool> = all.iter().map(|one| one.progress.is_running()).collect();
        reported.resize(losses.len(), true);
        let slots: Vec<Option<usize>> = if all.is_empty() {
            all = losses.iter().map(|&loss| Lbfgs::new(Progress::new(loss))).collect();
            vec![Some(0); losses.len()]
        } else {
            all.iter_mut().zip(&losses).map(|(one, &trial)| one.accept(trial).then(|| one.free_slot())).collect()
        };
        for (picture, (one, &loss)) in all.iter_mut().zip(&losses).enumerate().filter(|&(n, _)| reported[n]) {
            one.progress.note_stop(on_step(picture, evaluation, loss));
        }
        let products = vectors.store_pairs(&slots)?;
        vectors.accept(&slots.iter().map(Option::is_some).collect::<Vec<_>>())?;
        for ((one, slot), products) in all.iter_mut().zip(slots).zip(&products) {
            slot.into_iter().for_each(|slot| one.add_pair(slot, products));
        }
        if evaluation == steps || !next_trials(vectors, &mut all)? {
            break;
        }
    }
    Ok(all.into_iter().map(|one| one.progress.outcome()).collect())
}

/// Sets the next trials. Returns whether any picture is still running.
fn next_trials<V: Vectors>(vectors: &mut V, all: &mut [Lbfgs]) -> Result<bool, V::Error> {
    while all.iter().any(|one| one.progress.is_running()) {
        let loops: Vec<FirstLoop> = all.iter().map(Lbfgs::first_loop).collect();
        let r = vectors.precondition(&loops)?;
        let steps = all.iter_mut().zip(loops.iter().zip(&r)).map(|(one, (first, r))| one.second_loop(first, r));
        // All pictures are asked again if one has forgotten its pairs. The others give the same answer.
        let steps: Vec<Option<TrialStep>> = steps.collect();
        if let Some(steps) = steps.into_iter().collect::<Option<Vec<_>>>() {
            vectors.set_trials(&steps)?;
            return Ok(all.iter().any(|one| one.progress.is_running()));
        }
    }
    Ok(false)
}

/// Adam without weight decay.
fn adam<V: Vectors>(
    steps: usize,
    vectors: &mut V,
    mut on_step: impl FnMut(usize, usize, Loss) -> ControlFlow<()>,
) -> Result<Vec<Minimized>, V::Error> {
    let mut all: Vec<Progress> = Vec::new();
    for evaluation in 1..=steps {
        let losses = vectors.evaluate()?;
        if all.is_empty() {
            all = losses.iter().map(|&loss| Progress::new(loss)).collect();
        }
        let mut accepted = vec![evaluation == 1; losses.len()];
        for (picture, (progress, &loss)) in all.iter_mut().zip(&losses).enumerate() {
            if evaluation > 1 && !progress.is_running() {
                continue;
            }
            progress.note_stop(on_step(picture, evaluation, loss));
            if !loss.is_finite() {
                progress.ended.get_or_insert(Ok(()));
            } else if loss.total < progress.best.total {
                (progress.best, accepted[picture]) = (loss, true);
            }
        }
        vectors.accept(&accepted)?;
        if evaluation == steps || !all.iter().any(Progress::is_running) {
            break;
        }
        vectors.adam_step(evaluation)?;
    }
    Ok(all.into_iter().map(Progress::outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::optim::slices;

    /// Minimizes from `x`, which becomes the best point.
    fn minimize(
        optimizer: Optimizer,
        steps: usize,
        x: &mut Vec<f32>,
        precondition: impl Fn(Vec<f32>, &[f32]) -> Vec<f32>,
        evaluate: impl FnMut(&[f32], &mut [f32]) -> Loss,
        on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Minimized {
        let (best, losses) = slices::minimize(optimizer, steps, x.clone(), evaluate, precondition, on_step)?;
        *x = best;
        Ok(losses)
    }

    fn plain(x: Vec<f32>, _: &[f32]) -> Vec<f32> {
        x
    }

    fn loss(total: f64) -> Loss {
        Loss { total, content: 0.0, style: 0.0, tv: 0.0 }
    }

    /// A long narrow valley: `sum k (x_k - 1)^2`.
    fn valley(x: &[f32], gradient: &mut [f32]) -> Loss {
        let mut total = 0.0;
        for (k, (x, g)) in x.iter().zip(gradient).enumerate() {
            let (curvature, off) = ((k + 1) as f64, *x as f64 - 1.0);
            total += curvature * off * off;
            *g = (2.0 * curvature * off) as f32;
        }
        loss(total)
    }

    /// Rosenbrock's curved valley in two values.
    fn rosenbrock(x: &[f32], gradient: &mut [f32]) -> Loss {
        let (a, b) = (x[0] as f64, x[1] as f64);
        gradient[0] = (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a)) as f32;
        gradient[1] = (200.0 * (b - a * a)) as f32;
        loss((1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2))
    }

    #[test]
    fn lbfgs_finds_the_minimum_of_a_narrow_and_of_a_curved_valley() {
        let mut x = vec![0.0; 50];
        let (first, last) =
            minimize(Optimizer::Lbfgs, 60, &mut x, plain, valley, |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(first.total, 1275.0);
        assert!(last.total < 1e-4, "{}", last.total);
        assert!(x.iter().all(|v| (v - 1.0).abs() < 1e-2));
        let mut x = vec![-1.2, 1.0];
        let (_, last) =
            minimize(Optimizer::Lbfgs, 120, &mut x, plain, rosenbrock, |_, _| ControlFlow::Continue(())).unwrap();
        assert!(last.total < 1e-4, "{}", last.total);
    }

    #[test]
    fn a_preconditioner_that_knows_the_curvature_saves_steps() {
        let reached = |precondition: fn(Vec<f32>, &[f32]) -> Vec<f32>| {
            let mut x = vec![0.0; 50];
            minimize(Optimizer::Lbfgs, 12, &mut x, precondition, valley, |_, _| ControlFlow::Continue(()))
                .unwrap()
                .1
                .total
        };
        let known = |x: Vec<f32>, _: &[f32]| x.iter().enumerate().map(|(k, x)| x / (k + 1) as f32).collect();
        assert!(reached(known) < 0.1 * reached(plain));
    }

    #[test]
    fn the_result_is_the_best_point_and_evaluations_stay_within_their_number() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            for steps in [1, 2, 5, 17] {
                let mut reported = Vec::new();
                let mut x = vec![-1.2, 1.0];
                let on_step = |n, loss| {
                    reported.push((n, loss));
                    ControlFlow::Continue(())
                };
                let (first, last) = minimize(optimizer, steps, &mut x, plain, rosenbrock, on_step).unwrap();
                assert_eq!(reported.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=steps).collect::<Vec<_>>());
                assert_eq!(first, reported[0].1);
                let best = reported.iter().map(|(_, loss)| loss.total).fold(f64::INFINITY, f64::min);
                assert_eq!(last.total, best, "{optimizer:?} {steps}");
                assert_eq!(rosenbrock(&x, &mut [0.0; 2]).total, best, "{optimizer:?} {steps}");
            }
        }
    }

    #[test]
    fn adam_lowers_the_loss() {
        let mut x = vec![0.0; 50];
        let (first, last) =
            minimize(Optimizer::Adam, 100, &mut x, plain, valley, |_, _| ControlFlow::Continue(())).unwrap();
        assert!(last.total < 0.05 * first.total);
    }

    #[test]
    fn a_start_whose_loss_is_not_finite_is_an_error_and_a_later_point_like_that_is_left() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let not_finite = |_: &[f32], _: &mut [f32]| loss(f64::NAN);
            let mut last_reported = 0;
            let on_step = |n, _| {
                last_reported = n;
                ControlFlow::Continue(())
            };
            let ended = minimize(optimizer, 9, &mut vec![0.0; 3], plain, not_finite, on_step);
            assert_eq!((ended, last_reported), (Err(StylizeError::LossNotFinite), 1));
            let cliff = |x: &[f32], gradient: &mut [f32]| match x[0] {
                ..0.6 => valley(x, gradient),
                _ => {
                    gradient.fill(f32::NAN);
                    loss(f64::NAN)
                }
            };
            let mut x = vec![0.0; 3];
            let (first, last) =
                minimize(optimizer, 40, &mut x, plain, cliff, |_, _| ControlFlow::Continue(())).unwrap();
            assert!(last.total < first.total && x.iter().all(|v| v.is_finite()), "{optimizer:?}");
        }
    }

    #[test]
    fn the_caller_can_end_it_after_any_evaluation() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let mut last_reported = 0;
            let on_step = |n, _| {
                last_reported = n;
                if n < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            assert_eq!(minimize(optimizer, 9, &mut vec![0.0; 3], plain, valley, on_step), Err(StylizeError::Stopped));
            assert_eq!(last_reported, 3);
        }
    }
}
