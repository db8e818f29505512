//! L-BFGS and Adam over the pixels of one picture or of several in step, counted in evaluations of loss and gradient.
//!
//! Here everything is decided, and all that is decided is numbers: how far to go, what to remember, when to start over. The
//! vectors, each as long as a picture, stay where their [`Vectors`] has them: in [`slices`] of the processor's memory, or in
//! [`tensors`] of a device, which so works for all pictures at once and answers with a few inner products each.
//!
//! L-BFGS needs no more than these. The first loop of the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4) takes
//! `s_i.q` from a `q` that has lost some `y_j` since: `s_i.q = -s_i.g - sum a_j s_i.y_j`, over the newer pairs `j`. Known
//! are all `s_i.g` and `s_i.y_j`, so all `a_i` are, and `q` is one sum. The second loop is one sum in the same way.

pub mod metric;
pub mod slices;
pub mod tensors;

use crate::nst::loss::Loss;
use crate::nst::picture::filter::Border;
use crate::nst::settings::Optimizer;
use std::ops::ControlFlow;

/// Curvature pairs that L-BFGS remembers.
const HISTORY: usize = 10;

/// Places for pairs: one is free to take the newest.
pub const SLOTS: usize = HISTORY + 1;

/// Sufficient decrease (Nocedal and Wright 2006, equation 3.4).
const ARMIJO: f64 = 1e-4;

/// The step that L-BFGS tries first, in units of its own: with so few pairs for so many pixels its guess of the
/// curvature is too high. Measured over real frames and styles, 1.4 to 1.8 reach the lowest loss.
const OVERSTEP: f64 = 1.4;

/// The step that begins without memory, in units of the pixel range, as the root of its mean square.
const FIRST_STEP: f64 = 0.01;

/// The shortest step that is worth a trial, in units of its own.
const LEAST_STEP: f64 = 1e-4;

/// Adam's decay of its means of gradients and of their squares.
pub const BETA: (f32, f32) = (0.9, 0.999);

/// Adam's step in units of the pixel range.
pub const ADAM_RATE: f32 = 0.02;

/// How pictures are optimized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    pub optimizer: Optimizer,
    /// Evaluations of loss and gradient at most.
    pub steps: usize,
    /// Whether L-BFGS begins with [`super::metric`], and what lies beyond a picture then; else with a multiple of `I`.
    pub metric: Option<Border>,
    /// Whether grey pictures stay grey.
    pub grey: bool,
}

/// Why an optimization ended without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptimError {
    /// The loss of the start, or a gradient, is not a number.
    NotFinite,
    /// Whoever hears of the steps asked for no more.
    Stopped,
    /// Losses can no longer be had.
    Evaluation(String),
}

/// The losses of the start and of the best point seen.
pub type Outcome = Result<(Loss, Loss), OptimError>;

/// A number for each remembered pair, 0 where there is none.
pub type Factors = [f64; SLOTS];

/// Vectors of one or several pictures: of each the best point `x` so far with its gradient `g`, a trial with a gradient of
/// its own, pairs of how far `x` went (`s`) and how `g` changed (`y`), and a bent gradient `r`. Arguments and answers hold
/// one entry for each picture.
pub trait Vectors {
    type Error;

    /// Losses and gradients at the trials, which are the starts in the beginning.
    ///
    /// # Errors
    /// When losses cannot be had.
    fn evaluate(&mut self) -> Result<Vec<Loss>, Self::Error>;

    /// Where a slot is named, puts there how the trial and its gradient differ from `x` and `g`.
    ///
    /// # Errors
    /// When the device refuses.
    fn remember(&mut self, slots: &[Option<usize>]) -> Result<Vec<Remembered>, Self::Error>;

    /// Where it says so, the trial becomes `x`.
    ///
    /// # Errors
    /// When the device refuses.
    fn keep(&mut self, which: &[bool]) -> Result<(), Self::Error>;

    /// `r = M (-g - sum pulls_i y_i)`, with the `M` that L-BFGS begins with.
    ///
    /// # Errors
    /// When the device refuses.
    fn bend(&mut self, bends: &[Bend]) -> Result<Vec<Bent>, Self::Error>;

    /// The trial becomes `x + along r + sum pushes_i s_i`.
    ///
    /// # Errors
    /// When the device refuses.
    fn advance(&mut self, moves: &[Move]) -> Result<(), Self::Error>;

    /// The trial goes a step of Adam, the `step`-th from 1, along its gradient (Kingma and Ba 2015, algorithm 1).
    ///
    /// # Errors
    /// When the device refuses.
    fn descend(&mut self, step: usize) -> Result<(), Self::Error>;
}

/// What came of a new pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    /// `s_i.y` and `s_i.g` for the new `y` and the trial's gradient, and `y.y`.
    pub sy: Factors,
    pub sg: Factors,
    pub yy: f64,
}

/// The first loop's outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bend {
    pub pulls: Factors,
    /// The slot of the newest pair.
    pub newest: Option<usize>,
}

/// What the second loop starts from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bent {
    /// `y_i.r`, `r.g`, and the mean square of `r`.
    pub yr: Factors,
    pub rg: f64,
    pub mean_square: f64,
    /// `y.M y` of the newest pair.
    pub ymy: f64,
}

/// A step from `x`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Move {
    pub along: f64,
    pub pushes: Factors,
}

/// Minimizes from the trials of `vectors` with at most `steps` evaluations and leaves the best points seen in their `x`.
///
/// `on_step(picture, evaluation, loss)` hears of each, counted from 1, and may end it for that picture. An outcome for each
/// picture.
///
/// # Errors
/// When losses cannot be had: then there is no result for any.
pub fn minimize<V: Vectors>(
    optimizer: Optimizer,
    steps: usize,
    vectors: &mut V,
    on_step: impl FnMut(usize, usize, Loss) -> ControlFlow<()>,
) -> Result<Vec<Outcome>, V::Error> {
    match optimizer {
        Optimizer::Lbfgs => lbfgs(steps, vectors, on_step),
        Optimizer::Adam => adam(steps, vectors, on_step),
    }
}

/// One picture's way, as far as it has come.
struct Walk {
    first: Loss,
    here: Loss,
    ended: Option<Result<(), OptimError>>,
}

impl Walk {
    fn new(first: Loss) -> Self {
        let ended = (!first.is_finite()).then_some(Err(OptimError::NotFinite));
        Self { first, here: first, ended }
    }

    fn goes_on(&self) -> bool {
        self.ended.is_none()
    }

    /// Ends where `told` says so, unless it has ended by itself.
    fn heed(&mut self, told: ControlFlow<()>) {
        if told.is_break() {
            self.ended.get_or_insert(Err(OptimError::Stopped));
        }
    }

    fn outcome(self) -> Outcome {
        self.ended.unwrap_or(Ok(())).map(|()| (self.first, self.here))
    }
}

/// One picture's way under L-BFGS and what it remembers of it.
struct Lbfgs {
    walk: Walk,
    /// Slots of the remembered pairs, the newest last.
    pairs: Vec<usize>,
    /// `s_i.y_j`
    sy: [Factors; SLOTS],
    /// `s_i.g`
    sg: Factors,
    /// Of the loss along the step of length 1.
    slope: f64,
    /// Of the trial; `None` until it is known which way to go.
    length: Option<f64>,
}

impl Lbfgs {
    fn new(walk: Walk) -> Self {
        Self { walk, pairs: Vec::new(), sy: [[0.0; SLOTS]; SLOTS], sg: [0.0; SLOTS], slope: 0.0, length: None }
    }

    /// A slot that holds no pair.
    fn free(&self) -> usize {
        (0..SLOTS).find(|slot| !self.pairs.contains(slot)).unwrap_or_default()
    }

    /// Takes up the pair in `slot`, if the curvature along it is positive.
    fn remember(&mut self, slot: usize, told: &Remembered) {
        self.sg = told.sg;
        for (row, value) in self.sy.iter_mut().zip(told.sy) {
            row[slot] = value;
        }
        if told.sy[slot] <= 1e-10 * told.yy {
            return;
        }
        if self.pairs.len() == HISTORY {
            self.pairs.remove(0);
        }
        self.pairs.push(slot);
    }

    fn forget(&mut self) {
        self.pairs.clear();
        self.length = None;
    }

    /// The first loop.
    fn bend(&self) -> Bend {
        let mut pulls = [0.0; SLOTS];
        for (at, &i) in self.pairs.iter().enumerate().rev() {
            let newer: f64 = self.pairs[at + 1..].iter().map(|&j| pulls[j] * self.sy[i][j]).sum();
            pulls[i] = (-self.sg[i] - newer) / self.sy[i][i];
        }
        Bend { pulls, newest: self.pairs.last().copied() }
    }

    /// The second loop, and how far to go; `None` where the memory misled, which then is gone.
    fn aim(&mut self, Bend { pulls, newest }: &Bend, bent: &Bent) -> Option<Move> {
        if !self.walk.goes_on() {
            return Some(Move::default());
        }
        // The scale of `M` that the newest pair shows (Nocedal and Wright 2006, equation 7.20, there for `M = I`).
        let scale = newest.map_or(1.0, |newest| self.sy[newest][newest] / bent.ymy);
        let mut pushes = [0.0; SLOTS];
        for (at, &i) in self.pairs.iter().enumerate() {
            let older: f64 = self.pairs[..at].iter().map(|&j| pushes[j] * self.sy[j][i]).sum();
            pushes[i] = pulls[i] - (scale * bent.yr[i] + older) / self.sy[i][i];
        }
        self.slope = scale * bent.rg + pushes.iter().zip(&self.sg).map(|(push, sg)| push * sg).sum::<f64>();
        let falls = self.slope < 0.0 && self.slope.is_finite();
        if !falls && !self.pairs.is_empty() {
            self.forget();
            return None;
        }
        if !falls {
            self.walk.ended = Some(if self.slope == 0.0 { Ok(()) } else { Err(OptimError::NotFinite) });
            return Some(Move::default());
        }
        // Without memory the length of the gradient means nothing; begin with a step that the eye would not see.
        let full = if self.pairs.is_empty() { FIRST_STEP / bent.mean_square.sqrt() } else { OVERSTEP };
        let length = *self.length.get_or_insert(full);
        Some(Move { along: length * scale, pushes: pushes.map(|push| length * push) })
    }

    /// Whether the trial becomes the place, its loss being `there`; if not, the next one is shorter.
    fn accepts(&mut self, there: Loss) -> bool {
        let Some(length) = self.length.filter(|_| self.walk.goes_on()) else { return false };
        if there.is_finite() && there.total <= self.walk.here.total + ARMIJO * length * self.slope {
            self.walk.here = there;
            self.length = None;
            return true;
        }
        let shorter = shorten(length, self.slope, self.walk.here.total, there.total);
        if shorter >= LEAST_STEP {
            self.length = Some(shorter);
        } else if self.pairs.is_empty() {
            self.walk.ended = Some(Ok(()));
        } else {
            self.forget();
        }
        false
    }
}

/// The minimum of the parabola through the loss and slope at 0 and the loss at `length`, kept within a tenth and a half
/// of it (Nocedal and Wright 2006, equation 3.58).
fn shorten(length: f64, slope: f64, here: f64, there: f64) -> f64 {
    if !there.is_finite() {
        return length * 0.1;
    }
    let minimum = -slope * length * length / (2.0 * (there - here - slope * length));
    minimum.clamp(0.1 * length, 0.5 * length)
}

/// L-BFGS whose steps shrink until the loss falls enough, and which starts over when its memory misleads it.
fn lbfgs<V: Vectors>(
    steps: usize,
    vectors: &mut V,
    mut on_step: impl FnMut(usize, usize, Loss) -> ControlFlow<()>,
) -> Result<Vec<Outcome>, V::Error> {
    let mut all: Vec<Lbfgs> = Vec::new();
    for evaluation in 1..=steps {
        let losses = vectors.evaluate()?;
        // Whoever ends with this evaluation is heard of once more.
        let mut heard: Vec<bool> = all.iter().map(|one| one.walk.goes_on()).collect();
        heard.resize(losses.len(), true);
        let slots: Vec<Option<usize>> = if all.is_empty() {
            all = losses.iter().map(|&loss| Lbfgs::new(Walk::new(loss))).collect();
            vec![Some(0); losses.len()]
        } else {
            all.iter_mut().zip(&losses).map(|(one, &there)| one.accepts(there).then(|| one.free())).collect()
        };
        for (picture, (one, &loss)) in all.iter_mut().zip(&losses).enumerate().filter(|&(picture, _)| heard[picture]) {
            one.walk.heed(on_step(picture, evaluation, loss));
        }
        let told = vectors.remember(&slots)?;
        vectors.keep(&slots.iter().map(Option::is_some).collect::<Vec<_>>())?;
        for ((one, slot), told) in all.iter_mut().zip(slots).zip(&told) {
            slot.into_iter().for_each(|slot| one.remember(slot, told));
        }
        if evaluation == steps || !aim(vectors, &mut all)? {
            break;
        }
    }
    Ok(all.into_iter().map(|one| one.walk.outcome()).collect())
}

/// Sends all trials off; whether any goes on.
fn aim<V: Vectors>(vectors: &mut V, all: &mut [Lbfgs]) -> Result<bool, V::Error> {
    while all.iter().any(|one| one.walk.goes_on()) {
        let bends: Vec<Bend> = all.iter().map(Lbfgs::bend).collect();
        let bent = vectors.bend(&bends)?;
        let moves = all.iter_mut().zip(bends.iter().zip(&bent)).map(|(one, (bend, bent))| one.aim(bend, bent));
        // Where one has forgotten, all look again, and the others see what they saw.
        let moves: Vec<Option<Move>> = moves.collect();
        if let Some(moves) = moves.into_iter().collect::<Option<Vec<_>>>() {
            vectors.advance(&moves)?;
            return Ok(all.iter().any(|one| one.walk.goes_on()));
        }
    }
    Ok(false)
}

/// Adam without weight decay.
fn adam<V: Vectors>(
    steps: usize,
    vectors: &mut V,
    mut on_step: impl FnMut(usize, usize, Loss) -> ControlFlow<()>,
) -> Result<Vec<Outcome>, V::Error> {
    let mut all: Vec<Walk> = Vec::new();
    for evaluation in 1..=steps {
        let losses = vectors.evaluate()?;
        if all.is_empty() {
            all = losses.iter().map(|&loss| Walk::new(loss)).collect();
        }
        let mut better = vec![evaluation == 1; losses.len()];
        for (picture, (walk, &loss)) in all.iter_mut().zip(&losses).enumerate() {
            if evaluation > 1 && !walk.goes_on() {
                continue;
            }
            walk.heed(on_step(picture, evaluation, loss));
            if !loss.is_finite() {
                walk.ended.get_or_insert(Ok(()));
            } else if loss.total < walk.here.total {
                (walk.here, better[picture]) = (loss, true);
            }
        }
        vectors.keep(&better)?;
        if evaluation == steps || !all.iter().any(Walk::goes_on) {
            break;
        }
        vectors.descend(evaluation)?;
    }
    Ok(all.into_iter().map(Walk::outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::optim::slices;

    /// From `x`, which becomes the best point seen.
    fn minimize(
        optimizer: Optimizer,
        steps: usize,
        x: &mut Vec<f32>,
        precondition: impl Fn(Vec<f32>, &[f32]) -> Vec<f32>,
        evaluate: impl FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
        on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<(Loss, Loss), OptimError> {
        let (best, losses) = slices::minimize(optimizer, steps, x.clone(), evaluate, precondition, on_step)?;
        *x = best;
        Ok(losses)
    }

    fn plain(x: Vec<f32>, _: &[f32]) -> Vec<f32> {
        x
    }

    fn loss(total: f64) -> Result<Loss, String> {
        Ok(Loss { total, content: 0.0, style: 0.0, tv: 0.0 })
    }

    /// A long narrow valley: `sum k (x_k - 1)^2`.
    fn valley(x: &[f32], gradient: &mut [f32]) -> Result<Loss, String> {
        let mut total = 0.0;
        for (k, (x, g)) in x.iter().zip(gradient).enumerate() {
            let (curvature, off) = ((k + 1) as f64, *x as f64 - 1.0);
            total += curvature * off * off;
            *g = (2.0 * curvature * off) as f32;
        }
        loss(total)
    }

    /// Rosenbrock's curved valley.
    fn banana(x: &[f32], gradient: &mut [f32]) -> Result<Loss, String> {
        let (a, b) = (x[0] as f64, x[1] as f64);
        gradient[0] = (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a)) as f32;
        gradient[1] = (200.0 * (b - a * a)) as f32;
        loss((1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2))
    }

    #[test]
    fn lbfgs_finds_the_bottom_of_valleys_straight_and_curved() {
        let mut x = vec![0.0; 50];
        let (first, last) =
            minimize(Optimizer::Lbfgs, 60, &mut x, plain, valley, |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(first.total, 1275.0);
        assert!(last.total < 1e-4, "{}", last.total);
        assert!(x.iter().all(|v| (v - 1.0).abs() < 1e-2));
        let mut x = vec![-1.2, 1.0];
        let (_, last) =
            minimize(Optimizer::Lbfgs, 120, &mut x, plain, banana, |_, _| ControlFlow::Continue(())).unwrap();
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
    fn the_result_is_the_best_point_seen_and_no_step_is_over_the_budget() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            for steps in [1, 2, 5, 17] {
                let mut seen = Vec::new();
                let mut x = vec![-1.2, 1.0];
                let on_step = |n, loss| {
                    seen.push((n, loss));
                    ControlFlow::Continue(())
                };
                let (first, last) = minimize(optimizer, steps, &mut x, plain, banana, on_step).unwrap();
                assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=steps).collect::<Vec<_>>());
                assert_eq!(first, seen[0].1);
                let best = seen.iter().map(|(_, loss)| loss.total).fold(f64::INFINITY, f64::min);
                assert_eq!(last.total, best, "{optimizer:?} {steps}");
                assert_eq!(banana(&x, &mut [0.0; 2]).unwrap().total, best, "{optimizer:?} {steps}");
            }
        }
    }

    #[test]
    fn adam_goes_downhill() {
        let mut x = vec![0.0; 50];
        let (first, last) =
            minimize(Optimizer::Adam, 100, &mut x, plain, valley, |_, _| ControlFlow::Continue(())).unwrap();
        assert!(last.total < 0.05 * first.total);
    }

    #[test]
    fn a_start_without_a_loss_is_an_error_and_a_cliff_on_the_way_is_avoided() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let nowhere = |_: &[f32], _: &mut [f32]| loss(f64::NAN);
            let mut heard = 0;
            let on_step = |n, _| {
                heard = n;
                ControlFlow::Continue(())
            };
            let ended = minimize(optimizer, 9, &mut vec![0.0; 3], plain, nowhere, on_step);
            assert_eq!((ended, heard), (Err(OptimError::NotFinite), 1));
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
    fn who_hears_of_the_steps_can_end_them() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let mut heard = 0;
            let on_step = |n, _| {
                heard = n;
                if n < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            assert_eq!(minimize(optimizer, 9, &mut vec![0.0; 3], plain, valley, on_step), Err(OptimError::Stopped));
            assert_eq!(heard, 3);
        }
    }

    #[test]
    fn a_loss_that_cannot_be_had_ends_it_with_the_reason() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let mut left = 3;
            let unplugged = |x: &[f32], gradient: &mut [f32]| {
                left -= 1;
                if left > 0 { valley(x, gradient) } else { Err("unplugged".into()) }
            };
            let ended = minimize(optimizer, 9, &mut vec![0.0; 3], plain, unplugged, |_, _| ControlFlow::Continue(()));
            assert_eq!(ended, Err(OptimError::Evaluation("unplugged".into())));
        }
    }
}
