//! One picture's vectors in the processor's memory.

use crate::nst::kernels::sums::{add_sum, axpy, dot, dots, norm2};
use crate::nst::loss::Loss;
use crate::nst::optim::{ADAM_RATE, BETA, Bend, Bent, Factors, Move, OptimError, Remembered, SLOTS, Vectors};
use crate::nst::settings::Optimizer;
use std::array;
use std::ops::ControlFlow;

/// Minimizes from `start` with at most `steps` evaluations; the best point seen, and the losses of both.
///
/// `evaluate(x, gradient)` returns the loss at `x`. `precondition(x, gradient)` is `M x` with a symmetric positive definite
/// `M`, which L-BFGS takes for the inverse curvature, up to its scale, where it has seen none; `gradient` is that of the loss
/// at the point it is at. `on_step(evaluation, loss)` hears of each, counted from 1, and may end it all.
///
/// # Errors
/// See [`OptimError`].
pub fn minimize(
    optimizer: Optimizer,
    steps: usize,
    start: Vec<f32>,
    evaluate: impl FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
    precondition: impl Fn(Vec<f32>, &[f32]) -> Vec<f32>,
    mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
) -> Result<(Vec<f32>, (Loss, Loss)), OptimError> {
    let mut vectors = Slices::new(start, evaluate, precondition);
    let outcomes = super::minimize(optimizer, steps, &mut vectors, |_, evaluation, loss| on_step(evaluation, loss));
    let losses = outcomes.map_err(OptimError::Evaluation)?.pop().unwrap_or(Err(OptimError::NotFinite))?;
    Ok((vectors.x, losses))
}

struct Slices<E, P> {
    x: Vec<f32>,
    gradient: Vec<f32>,
    trial: Vec<f32>,
    trial_gradient: Vec<f32>,
    /// Empty until something is remembered there.
    s: [Vec<f32>; SLOTS],
    y: [Vec<f32>; SLOTS],
    bent: Vec<f32>,
    /// Adam's means of gradients and of their squares; empty before its first step.
    mean: Vec<f32>,
    square: Vec<f32>,
    evaluate: E,
    precondition: P,
}

impl<E, P> Slices<E, P>
where
    E: FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
    P: Fn(Vec<f32>, &[f32]) -> Vec<f32>,
{
    fn new(start: Vec<f32>, evaluate: E, precondition: P) -> Self {
        let zeros = vec![0.0; start.len()];
        Self {
            x: start.clone(),
            trial: start,
            gradient: zeros.clone(),
            trial_gradient: zeros,
            s: array::from_fn(|_| Vec::new()),
            y: array::from_fn(|_| Vec::new()),
            bent: Vec::new(),
            mean: Vec::new(),
            square: Vec::new(),
            evaluate,
            precondition,
        }
    }
}

/// `rows_i.v` for each of `vs`, 0 for rows that hold nothing.
fn factors<const N: usize>(rows: &[Vec<f32>; SLOTS], vs: [&[f32]; N]) -> [Factors; N] {
    let (places, held): (Vec<usize>, Vec<&[f32]>) =
        rows.iter().enumerate().filter(|(_, row)| !row.is_empty()).map(|(place, row)| (place, &row[..])).unzip();
    let mut factors = [[0.0; SLOTS]; N];
    for (place, products) in places.into_iter().zip(dots(&held, vs)) {
        factors.iter_mut().zip(products).for_each(|(factors, product)| factors[place] = product);
    }
    factors
}

/// `to += sum factors_i rows_i`
fn add(factors: Factors, rows: &[Vec<f32>; SLOTS], to: &mut [f32]) {
    let held = factors.into_iter().zip(rows).filter(|(factor, _)| *factor != 0.0);
    add_sum(&held.map(|(factor, row)| (factor, &row[..])).collect::<Vec<_>>(), to);
}

impl<E, P> Vectors for Slices<E, P>
where
    E: FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
    P: Fn(Vec<f32>, &[f32]) -> Vec<f32>,
{
    type Error = String;

    fn evaluate(&mut self) -> Result<Vec<Loss>, String> {
        (self.evaluate)(&self.trial, &mut self.trial_gradient).map(|loss| vec![loss])
    }

    fn remember(&mut self, slots: &[Option<usize>]) -> Result<Vec<Remembered>, String> {
        let [Some(slot)] = *slots else { return Ok(vec![Remembered::default()]) };
        let difference = |new: &[f32], old: &[f32]| new.iter().zip(old).map(|(new, old)| new - old).collect();
        self.s[slot] = difference(&self.trial, &self.x);
        self.y[slot] = difference(&self.trial_gradient, &self.gradient);
        let y = &self.y[slot];
        let [sy, sg] = factors(&self.s, [y, &self.trial_gradient]);
        Ok(vec![Remembered { sy, sg, yy: norm2(y) }])
    }

    fn keep(&mut self, which: &[bool]) -> Result<(), String> {
        if which == [true] {
            self.x.copy_from_slice(&self.trial);
            self.gradient.copy_from_slice(&self.trial_gradient);
        }
        Ok(())
    }

    fn bend(&mut self, bends: &[Bend]) -> Result<Vec<Bent>, String> {
        let bent = |&Bend { pulls, newest }: &Bend| {
            let mut q: Vec<f32> = self.gradient.iter().map(|g| -g).collect();
            add(pulls.map(|pull| -pull), &self.y, &mut q);
            self.bent = (self.precondition)(q, &self.gradient);
            let ymy = newest.map(|slot| &self.y[slot]).map(|y| dot(y, &(self.precondition)(y.clone(), &self.gradient)));
            let [yr] = factors(&self.y, [&self.bent]);
            Bent {
                yr,
                rg: dot(&self.bent, &self.gradient),
                mean_square: norm2(&self.bent) / self.bent.len() as f64,
                ymy: ymy.unwrap_or_default(),
            }
        };
        Ok(bends.iter().map(bent).collect())
    }

    fn advance(&mut self, moves: &[Move]) -> Result<(), String> {
        for Move { along, pushes } in moves {
            // Summed up apart: beside `x` small steps would lose their last digits one by one.
            self.bent.iter_mut().for_each(|v| *v *= *along as f32);
            add(*pushes, &self.s, &mut self.bent);
            self.trial.copy_from_slice(&self.x);
            axpy(1.0, &self.bent, &mut self.trial);
        }
        Ok(())
    }

    fn descend(&mut self, step: usize) -> Result<(), String> {
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
