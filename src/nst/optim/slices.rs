//! One picture's vectors in the processor's memory.

use super::{ADAM_RATE, BETA, Bend, Bent, Factors, Failure, Move, Remembered, SLOTS, Vectors};
use crate::nst::loss::Loss;
use crate::nst::settings::Optimizer;
use crate::nst::sums::{axpy, dot, norm2};
use std::array;
use std::ops::ControlFlow;

/// Minimizes from `start` with at most `steps` evaluations; the best point seen, and the losses of both.
///
/// `evaluate(x, gradient)` returns the loss at `x`. `precondition(x, gradient)` is `M x` with a symmetric positive definite
/// `M`, which L-BFGS takes for the inverse curvature, up to its scale, where it has seen none; `gradient` is that of the loss
/// at the point it is at. `on_step(evaluation, loss)` hears of each, counted from 1, and may end it all.
///
/// # Errors
/// See [`Failure`].
pub fn minimize(
    optimizer: Optimizer,
    steps: usize,
    start: Vec<f32>,
    evaluate: impl FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
    precondition: impl Fn(&[f32], &[f32]) -> Vec<f32>,
    mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
) -> Result<(Vec<f32>, (Loss, Loss)), Failure> {
    let mut vectors = Slices::new(start, evaluate, precondition);
    let outcomes = super::minimize(optimizer, steps, &mut vectors, |_, evaluation, loss| on_step(evaluation, loss));
    let losses = outcomes.map_err(Failure::Evaluation)?.pop().unwrap_or(Err(Failure::NotFinite))?;
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
    P: Fn(&[f32], &[f32]) -> Vec<f32>,
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

/// `rows_i.v`, 0 for rows that hold nothing.
fn dots(rows: &[Vec<f32>; SLOTS], v: &[f32]) -> Factors {
    array::from_fn(|i| if rows[i].is_empty() { 0.0 } else { dot(&rows[i], v) })
}

/// `to += sum factors_i rows_i`
fn add(factors: &Factors, rows: &[Vec<f32>; SLOTS], to: &mut [f32]) {
    factors.iter().zip(rows).filter(|(factor, _)| **factor != 0.0).for_each(|(&factor, row)| axpy(factor, row, to));
}

impl<E, P> Vectors for Slices<E, P>
where
    E: FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
    P: Fn(&[f32], &[f32]) -> Vec<f32>,
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
        Ok(vec![Remembered { sy: dots(&self.s, y), sg: dots(&self.s, &self.trial_gradient), yy: norm2(y) }])
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
            add(&pulls.map(|pull| -pull), &self.y, &mut q);
            self.bent = (self.precondition)(&q, &self.gradient);
            let ymy = newest.map(|slot| &self.y[slot]).map(|y| dot(y, &(self.precondition)(y, &self.gradient)));
            Bent {
                yr: dots(&self.y, &self.bent),
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
            add(pushes, &self.s, &mut self.bent);
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
