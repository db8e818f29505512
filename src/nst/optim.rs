//! L-BFGS and Adam over a plain vector of pixels, counted in evaluations of loss and gradient.

use super::loss::Loss;
use super::settings::Optimizer;
use super::sums::{axpy, dot, norm2};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Curvature pairs that L-BFGS remembers.
const HISTORY: usize = 10;
/// Sufficient decrease (Nocedal and Wright 2006, equation 3.4).
const ARMIJO: f64 = 1e-4;
/// The step that L-BFGS tries first, in units of its own: with so few pairs for so many pixels its guess of the
/// curvature is too high. Measured over real frames and styles, 1.4 to 1.8 reach the lowest loss.
const OVERSTEP: f64 = 1.4;
/// Adam's step in units of the pixel range.
const ADAM_RATE: f32 = 0.02;

/// Why an optimization ended without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The loss of the start, or a gradient, is not a number.
    NotFinite,
    /// Whoever hears of the steps asked for no more.
    Stopped,
    /// Losses can no longer be had.
    Evaluation(String),
}

/// Minimizes from `x` with at most `steps` evaluations and leaves the best point seen in `x`.
///
/// `precondition(x, gradient)` is `M x` with a symmetric positive definite `M`, which L-BFGS takes for the inverse
/// curvature, up to its scale, where it has seen none; `gradient` is that of the loss at the point it is at.
/// `evaluate(x, gradient)` returns the loss at `x`; `on_step(evaluation, loss)` hears of each, counted from 1, and may end
/// it all. Returns the losses at the start and at the end.
///
/// # Errors
/// See [`Failure`].
pub fn minimize(
    optimizer: Optimizer,
    steps: usize,
    x: &mut Vec<f32>,
    precondition: impl Fn(&[f32], &[f32]) -> Vec<f32>,
    mut evaluate: impl FnMut(&[f32], &mut [f32]) -> Result<Loss, String>,
    mut on_step: impl FnMut(usize, Loss) -> ControlFlow<()>,
) -> Result<(Loss, Loss), Failure> {
    let mut count = 0;
    let counted = |x: &[f32], gradient: &mut [f32]| {
        let loss = evaluate(x, gradient).map_err(Failure::Evaluation)?;
        count += 1;
        match on_step(count, loss) {
            ControlFlow::Continue(()) => Ok(loss),
            ControlFlow::Break(()) => Err(Failure::Stopped),
        }
    };
    match optimizer {
        Optimizer::Lbfgs => lbfgs(steps, x, precondition, counted),
        Optimizer::Adam => adam(steps, x, counted),
    }
}

/// The last [`HISTORY`] steps and gradient changes, as an approximation of the inverse Hessian.
struct Curvature<P> {
    /// `(s, y, 1 / s.y)`, the newest last.
    pairs: VecDeque<(Vec<f32>, Vec<f32>, f64)>,
    /// `M x` by `x` and the gradient, where nothing is known.
    precondition: P,
}

impl<P: Fn(&[f32], &[f32]) -> Vec<f32>> Curvature<P> {
    /// Remembers a step `s` that changed the gradient by `y`, if the curvature along it is positive.
    fn push(&mut self, s: Vec<f32>, y: Vec<f32>) {
        let sy = dot(&s, &y);
        if sy <= 1e-10 * norm2(&y) {
            return;
        }
        if self.pairs.len() == HISTORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back((s, y, 1.0 / sy));
    }

    /// `-H g` by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4).
    fn direction(&self, gradient: &[f32]) -> Vec<f32> {
        let mut q: Vec<f32> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y, rho) in self.pairs.iter().rev() {
            let alpha = rho * dot(s, &q);
            axpy(-alpha, y, &mut q);
            alphas.push(alpha);
        }
        q = (self.precondition)(&q, gradient);
        if let Some((_, y, rho)) = self.pairs.back() {
            // The scale of `M` that the newest pair shows (Nocedal and Wright 2006, equation 7.20, there for `M = I`).
            let scale = (1.0 / (rho * dot(y, &(self.precondition)(y, gradient)))) as f32;
            q.iter_mut().for_each(|v| *v *= scale);
        }
        for ((s, y, rho), alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = rho * dot(y, &q);
            axpy(alpha - beta, s, &mut q);
        }
        q
    }
}

/// L-BFGS whose steps shrink until the loss falls enough, and which starts over when its memory misleads it.
fn lbfgs(
    steps: usize,
    x: &mut Vec<f32>,
    precondition: impl Fn(&[f32], &[f32]) -> Vec<f32>,
    mut evaluate: impl FnMut(&[f32], &mut [f32]) -> Result<Loss, Failure>,
) -> Result<(Loss, Loss), Failure> {
    let mut gradient = vec![0.0; x.len()];
    let first = evaluate(x, &mut gradient)?;
    if !first.is_finite() {
        return Err(Failure::NotFinite);
    }
    let mut here = first;
    let mut used = 1;
    let mut curvature = Curvature { pairs: VecDeque::new(), precondition };
    let (mut trial, mut trial_gradient) = (x.clone(), gradient.clone());
    while used < steps {
        let mut direction = curvature.direction(&gradient);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 || !slope.is_finite() {
            curvature.pairs.clear();
            direction = curvature.direction(&gradient);
            slope = dot(&direction, &gradient);
        }
        if !slope.is_finite() {
            return Err(Failure::NotFinite);
        }
        if slope == 0.0 {
            break;
        }
        // Without memory the length of the gradient means nothing; begin with a step that the eye would not see.
        let mut length = if curvature.pairs.is_empty() { first_step(&direction) } else { OVERSTEP };
        loop {
            trial.copy_from_slice(x);
            axpy(length, &direction, &mut trial);
            let there = evaluate(&trial, &mut trial_gradient)?;
            used += 1;
            if there.is_finite() && there.total <= here.total + ARMIJO * length * slope {
                let s = trial.iter().zip(x.iter()).map(|(new, old)| new - old).collect();
                let y = trial_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
                curvature.push(s, y);
                std::mem::swap(x, &mut trial);
                std::mem::swap(&mut gradient, &mut trial_gradient);
                here = there;
                break;
            }
            if used >= steps {
                return Ok((first, here));
            }
            let shorter = shorten(length, slope, here.total, there.total);
            if shorter < 1e-4 {
                if curvature.pairs.is_empty() {
                    return Ok((first, here));
                }
                curvature.pairs.clear();
                break;
            }
            length = shorter;
        }
    }
    Ok((first, here))
}

/// The step along `direction` that changes pixels by 0.01 in the root of the mean square.
fn first_step(direction: &[f32]) -> f64 {
    0.01 / (norm2(direction) / direction.len() as f64).sqrt()
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

/// Adam without weight decay (Kingma and Ba 2015, algorithm 1).
fn adam(
    steps: usize,
    x: &mut [f32],
    mut evaluate: impl FnMut(&[f32], &mut [f32]) -> Result<Loss, Failure>,
) -> Result<(Loss, Loss), Failure> {
    const BETA: (f32, f32) = (0.9, 0.999);
    let mut gradient = vec![0.0; x.len()];
    let (mut mean, mut square) = (vec![0.0_f32; x.len()], vec![0.0_f32; x.len()]);
    let mut walker = x.to_vec();
    let mut first = None;
    let mut best: Option<Loss> = None;
    for step in 1..=steps {
        let loss = evaluate(&walker, &mut gradient)?;
        if !loss.is_finite() {
            break;
        }
        first.get_or_insert(loss);
        if best.is_none_or(|best| loss.total < best.total) {
            best = Some(loss);
            x.copy_from_slice(&walker);
        }
        let correction = (1.0 - BETA.0.powi(step as i32), 1.0 - BETA.1.powi(step as i32));
        for i in 0..walker.len() {
            mean[i] = BETA.0 * mean[i] + (1.0 - BETA.0) * gradient[i];
            square[i] = BETA.1 * square[i] + (1.0 - BETA.1) * gradient[i] * gradient[i];
            let (m, v) = (mean[i] / correction.0, square[i] / correction.1);
            walker[i] -= ADAM_RATE * m / (v.sqrt() + 1e-8);
        }
    }
    first.zip(best).ok_or(Failure::NotFinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(x: &[f32], _: &[f32]) -> Vec<f32> {
        x.to_vec()
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
        let reached = |precondition: fn(&[f32], &[f32]) -> Vec<f32>| {
            let mut x = vec![0.0; 50];
            minimize(Optimizer::Lbfgs, 12, &mut x, precondition, valley, |_, _| ControlFlow::Continue(()))
                .unwrap()
                .1
                .total
        };
        let known = |x: &[f32], _: &[f32]| x.iter().enumerate().map(|(k, x)| x / (k + 1) as f32).collect();
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
            assert_eq!(
                minimize(optimizer, 9, &mut vec![0.0; 3], plain, nowhere, |_, _| ControlFlow::Continue(())),
                Err(Failure::NotFinite)
            );
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
            assert_eq!(minimize(optimizer, 9, &mut vec![0.0; 3], plain, valley, on_step), Err(Failure::Stopped));
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
            assert_eq!(ended, Err(Failure::Evaluation("unplugged".into())));
        }
    }
}
