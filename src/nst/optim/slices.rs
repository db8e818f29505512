//! The vectors of one picture in memory.

use crate::nst::failure::StylizeError;
use crate::nst::kernels::sums::{add_sum, axpy, dot, dots, norm2};
use crate::nst::loss::Loss;
use crate::nst::optim::{
    ADAM_RATE, BETA, FirstLoop, PairProducts, Preconditioned, SLOTS, SlotValues, TrialStep, Vectors,
};
use crate::nst::settings::Optimizer;
use std::array;
use std::convert::Infallible;
use std::ops::ControlFlow;

/// Minimizes from `start` with at most `steps` evaluations. Returns the best point, and the losses of both.
///
/// `evaluate(x, gradient)` returns the loss at `x` and writes its gradient. `precondition(v, gradient)` is `M v`, where
/// the loss has this `gradient`, with a symmetric positive definite `M`. L-BFGS takes `M` for the inverse curvature, up
/// to its scale, before it has seen any. `on_step(evaluation, loss)` is called after each evaluation, counted from 1,
/// and may end it.
///
/// # Errors
/// When the first loss or gradient is not finite, or `on_step` ends it.
pub fn minimize(
    optimizer: Optimizer,
    steps: usize,
    start: Vec<f32>,
    evaluate: impl FnMut(&[f32], &mut [f32]) -> Loss,
    precondition: impl Fn(Vec<f32>, &[f32]) -> Vec<f32>,
    mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
) -> Result<(Vec<f32>, (Loss, Loss)), StylizeError> {
    let mut vectors = Slices::new(start, evaluate, precondition);
    let Ok(mut outcomes) =
        super::minimize(optimizer, steps, &mut vectors, |_, evaluation, loss| on_step(evaluation, loss));
    let losses = outcomes.pop().unwrap_or(Err(StylizeError::LossNotFinite))?;
    Ok((vectors.x, losses))
}

struct Slices<E, P> {
    x: Vec<f32>,
    gradient: Vec<f32>,
    trial: Vec<f32>,
    trial_gradient: Vec<f32>,
    /// Both are empty in slots that were never used.
    s: [Vec<f32>; SLOTS],
    y: [Vec<f32>; SLOTS],
    r: Vec<f32>,
    /// Adam's means of gradients and of their squares, empty before its first step.
    mean: Vec<f32>,
    square: Vec<f32>,
    evaluate: E,
    preconditioner: P,
}

impl<E, P> Slices<E, P>
where
    E: FnMut(&[f32], &mut [f32]) -> Loss,
    P: Fn(Vec<f32>, &[f32]) -> Vec<f32>,
{
    fn new(start: Vec<f32>, evaluate: E, preconditioner: P) -> Self {
        let zeros = vec![0.0; start.len()];
        Self {
            x: start.clone(),
            trial: start,
            gradient: zeros.clone(),
            trial_gradient: zeros,
            s: array::from_fn(|_| Vec::new()),
            y: array::from_fn(|_| Vec::new()),
            r: Vec::new(),
            mean: Vec::new(),
            square: Vec::new(),
            evaluate,
            preconditioner,
        }
    }
}

/// `rows_i.v` for each of `vs`, 0 for rows that are empty.
fn products<const N: usize>(rows: &[Vec<f32>; SLOTS], vs: [&[f32]; N]) -> [SlotValues; N] {
    let (slots, used): (Vec<usize>, Vec<&[f32]>) =
        rows.iter().enumerate().filter(|(_, row)| !row.is_empty()).map(|(slot, row)| (slot, &row[..])).unzip();
    let mut values = [[0.0; SLOTS]; N];
    for (slot, products) in slots.into_iter().zip(dots(&used, vs)) {
        values.iter_mut().zip(products).for_each(|(values, product)| values[slot] = product);
    }
    values
}

/// `to += sum factors_i rows_i`
fn add(factors: SlotValues, rows: &[Vec<f32>; SLOTS], to: &mut [f32]) {
    let used = factors.into_iter().zip(rows).filter(|(factor, _)| *factor != 0.0);
    add_sum(&used.map(|(factor, row)| (factor, &row[..])).collect::<Vec<_>>(), to);
}

impl<E, P> Vectors for Slices<E, P>
where
    E: FnMut(&[f32], &mut [f32]) -> Loss,
    P: Fn(Vec<f32>, &[f32]) -> Vec<f32>,
{
    type Error = Infallible;

    fn evaluate(&mut self) -> Result<Vec<Loss>, Infallible> {
        Ok(vec![(self.evaluate)(&self.trial, &mut self.trial_gradient)])
    }

    fn store_pairs(&mut self, slots: &[Option<usize>]) -> Result<Vec<PairProducts>, Infallible> {
        let [Some(slot)] = *slots else { return Ok(vec![PairProducts::default()]) };
        let difference = |new: &[f32], old: &[f32]| new.iter().zip(old).map(|(new, old)| new - old).collect();
        self.s[slot] = difference(&self.trial, &self.x);
        self.y[slot] = difference(&self.trial_gradient, &self.gradient);
        let y = &self.y[slot];
        let [sy, sg] = products(&self.s, [y, &self.trial_gradient]);
        Ok(vec![PairProducts { sy, sg, yy: norm2(y) }])
    }

    fn accept(&mut self, accepted: &[bool]) -> Result<(), Infallible> {
        if accepted == [true] {
            self.x.copy_from_slice(&self.trial);
            self.gradient.copy_from_slice(&self.trial_gradient);
        }
        Ok(())
    }

    fn precondition(&mut self, loops: &[FirstLoop]) -> Result<Vec<Preconditioned>, Infallible> {
        let one = |&FirstLoop { alpha, newest }: &FirstLoop| {
            let mut q: Vec<f32> = self.gradient.iter().map(|g| -g).collect();
            add(alpha.map(|alpha| -alpha), &self.y, &mut q);
            self.r = (self.preconditioner)(q, &self.gradient);
            let newest = newest.map(|slot| &self.y[slot]);
            let ymy = newest.map(|y| dot(y, &(self.preconditioner)(y.clone(), &self.gradient)));
            let [yr] = products(&self.y, [&self.r]);
            Preconditioned {
                yr,
                rg: dot(&self.r, &self.gradient),
                mean_square: norm2(&self.r) / self.r.len() as f64,
                ymy: ymy.unwrap_or_default(),
            }
        };
        Ok(loops.iter().map(one).collect())
    }

    fn set_trials(&mut self, steps: &[TrialStep]) -> Result<(), Infallible> {
        for TrialStep { scale, coefficients } in steps {
            // The step is summed before it is added: added to `x` one by one, small terms would lose their last digits.
            self.r.iter_mut().for_each(|v| *v *= *scale as f32);
            add(*coefficients, &self.s, &mut self.r);
            self.trial.copy_from_slice(&self.x);
            axpy(1.0, &self.r, &mut self.trial);
        }
        Ok(())
    }

    fn adam_step(&mut self, step: usize) -> Result<(), Infallible> {
        self.mean.resize(self.trial.len(), 0.0);
        self.square.resize(self.trial.len(), 0.0);
        let correction = (1.0 - BETA.0.powi(step as i32), 1.0 - BETA.1.powi(step as i32));
        for (i, g) in self.trial_gradient.iter().enumerate() {
            self.mean[i] = BETA.0 * self.mean[i] + (1.0 - BETA.0) * g;
            self.square[i] = BETA.1 * self.square[i] + (1.0 - BETA.1) * g * g;
            let (m, v) = (self.mean[i] / correction.0, self.square[i] / correction.1);
            self.trial[i] -= ADAM_RATE * m / (v.sqrt() + 1e-8);
        }
        Ok(())
    }
}
