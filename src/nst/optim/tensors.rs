//! The vectors of a batch on a device. Each method works on all pictures at once, and only inner products come back.

use crate::nst::loss::Loss;
use crate::nst::optim::{
    ADAM_RATE, BETA, FirstLoop, PairProducts, Preconditioned, SLOTS, SlotValues, TrialStep, Vectors,
};
use candle_core::{DType, Result, Tensor};
use std::array;

/// Pictures of one size, planar, `[pictures, values]` in `f32`; see [`Vectors`].
pub struct Tensors<E, P> {
    x: Tensor,
    gradient: Tensor,
    trial: Tensor,
    trial_gradient: Tensor,
    /// All `s` and all `y`, `[pictures * SLOTS, values]` each; `None` before the first is stored.
    pairs: Option<[Tensor; 2]>,
    r: Tensor,
    /// Adam's means of gradients and of their squares; `None` before its first step.
    moments: Option<[Tensor; 2]>,
    evaluate: E,
    preconditioner: P,
}

impl<E, P> Tensors<E, P>
where
    E: FnMut(&Tensor) -> Result<(Vec<Loss>, Tensor)>,
    P: Fn(&Tensor, &Tensor) -> Result<Tensor>,
{
    /// Starts from `start`, `[pictures, values]`. `evaluate(x)` returns the losses of all pictures at `x`, and their
    /// gradients. `preconditioner(v, gradient)` is `M v` for each picture.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(start: Tensor, evaluate: E, preconditioner: P) -> Result<Self> {
        let zeros = start.zeros_like()?;
        Ok(Self {
            x: start.clone(),
            trial: start,
            gradient: zeros.clone(),
            trial_gradient: zeros.clone(),
            pairs: None,
            r: zeros,
            moments: None,
            evaluate,
            preconditioner,
        })
    }

    /// The best points.
    pub fn into_x(self) -> Tensor {
        self.x
    }

    fn dims(&self) -> Result<(usize, usize)> {
        self.x.dims2()
    }

    /// `N` numbers for each picture, uploaded as `[pictures, N]`.
    fn numbers<const N: usize>(&self, of: impl Iterator<Item = [f64; N]>) -> Result<Tensor> {
        let values: Vec<f32> = of.flatten().map(|v| v as f32).collect();
        Tensor::from_vec(values, (self.dims()?.0, N), self.x.device())
    }

    /// `sum factors_i rows_i` for each picture, `[pictures, values]`; `rows` is one of `pairs`.
    fn sum(&self, factors: impl Iterator<Item = SlotValues>, rows: &Tensor) -> Result<Tensor> {
        let (pictures, values) = self.dims()?;
        let factors = self.numbers(factors)?.unsqueeze(1)?;
        factors.matmul(&rows.reshape((pictures, SLOTS, values))?)?.squeeze(1)
    }

    /// `rows_i.v` for each picture and each `v`, `[pictures, SLOTS * vectors]`: the products of one row are next to
    /// each other.
    fn dots(&self, rows: &Tensor, vectors: &[&Tensor]) -> Result<Tensor> {
        let (pictures, values) = self.dims()?;
        let vectors = Tensor::stack(vectors, 1)?.transpose(1, 2)?;
        rows.reshape((pictures, SLOTS, values))?.matmul(&vectors)?.flatten_from(1)
    }

    /// Writes the pairs from `x` to the trials into the given slots. Returns the new `y` of all pictures.
    fn write_pairs(&mut self, slots: &[Option<usize>]) -> Result<Tensor> {
        let (pictures, values) = self.dims()?;
        let empty = || Tensor::zeros((pictures * SLOTS, values), DType::F32, self.x.device());
        let pairs = match self.pairs.take() {
            Some(pairs) => pairs,
            None => [empty()?, empty()?],
        };
        let differences = [(&self.trial - &self.x)?, (&self.trial_gradient - &self.gradient)?];
        for (rows, difference) in pairs.iter().zip(&differences) {
            for (picture, slot) in slots.iter().enumerate() {
                if let Some(slot) = slot {
                    rows.slice_set(&difference.narrow(0, picture, 1)?, 0, picture * SLOTS + slot)?;
                }
            }
        }
        self.pairs = Some(pairs);
        let [_, y] = differences;
        Ok(y)
    }
}

impl<E, P> Vectors for Tensors<E, P>
where
    E: FnMut(&Tensor) -> Result<(Vec<Loss>, Tensor)>,
    P: Fn(&Tensor, &Tensor) -> Result<Tensor>,
{
    type Error = candle_core::Error;

    fn evaluate(&mut self) -> Result<Vec<Loss>> {
        let (losses, gradients) = (self.evaluate)(&self.trial)?;
        self.trial_gradient = gradients;
        Ok(losses)
    }

    fn store_pairs(&mut self, slots: &[Option<usize>]) -> Result<Vec<PairProducts>> {
        if slots.iter().all(Option::is_none) {
            return Ok(vec![PairProducts::default(); slots.len()]);
        }
        let y = self.write_pairs(slots)?;
        let Some([s, _]) = &self.pairs else { candle_core::bail!("no pair was stored") };
        let products = self.dots(s, &[&y, &self.trial_gradient])?;
        let numbers = Tensor::cat(&[&products, &y.sqr()?.sum_keepdim(1)?], 1)?.to_vec2::<f32>()?;
        let one = |numbers: &Vec<f32>| PairProducts {
            sy: array::from_fn(|i| numbers[2 * i].into()),
            sg: array::from_fn(|i| numbers[2 * i + 1].into()),
            yy: numbers[2 * SLOTS].into(),
        };
        Ok(numbers.iter().map(one).collect())
    }

    fn accept(&mut self, accepted: &[bool]) -> Result<()> {
        if accepted.iter().all(|&accepted| accepted) {
            (self.x, self.gradient) = (self.trial.clone(), self.trial_gradient.clone());
        } else if accepted.contains(&true) {
            let mask: Vec<u8> = accepted.iter().map(|&accepted| accepted.into()).collect();
            let mask = Tensor::from_vec(mask, (accepted.len(), 1), self.x.device())?.broadcast_as(self.x.shape())?;
            self.x = mask.where_cond(&self.trial, &self.x)?;
            self.gradient = mask.where_cond(&self.trial_gradient, &self.gradient)?;
        }
        Ok(())
    }

    fn precondition(&mut self, loops: &[FirstLoop]) -> Result<Vec<Preconditioned>> {
        let Some([_, y]) = &self.pairs else { candle_core::bail!("no pair was stored") };
        let q = (&self.gradient + self.sum(loops.iter().map(|one| one.alpha), y)?)?.neg()?;
        self.r = (self.preconditioner)(&q, &self.gradient)?;
        let select = |one: &FirstLoop| array::from_fn(|slot| f64::from(u8::from(one.newest == Some(slot))));
        let newest = self.sum(loops.iter().map(select), y)?;
        let ymy = (&newest * (self.preconditioner)(&newest, &self.gradient)?)?.sum_keepdim(1)?;
        let rg = (&self.r * &self.gradient)?.sum_keepdim(1)?;
        let mean_square = self.r.sqr()?.mean_keepdim(1)?;
        let numbers = Tensor::cat(&[&self.dots(y, &[&self.r])?, &rg, &mean_square, &ymy], 1)?.to_vec2::<f32>()?;
        let one = |numbers: &Vec<f32>| Preconditioned {
            yr: array::from_fn(|i| numbers[i].into()),
            rg: numbers[SLOTS].into(),
            mean_square: numbers[SLOTS + 1].into(),
            ymy: numbers[SLOTS + 2].into(),
        };
        Ok(numbers.iter().map(one).collect())
    }

    fn set_trials(&mut self, steps: &[TrialStep]) -> Result<()> {
        let Some([s, _]) = &self.pairs else { candle_core::bail!("no pair was stored") };
        let scaled = self.r.broadcast_mul(&self.numbers(steps.iter().map(|step| [step.scale]))?)?;
        let step = (scaled + self.sum(steps.iter().map(|step| step.coefficients), s)?)?;
        self.trial = (&self.x + step)?;
        Ok(())
    }

    fn adam_step(&mut self, step: usize) -> Result<()> {
        let g = &self.trial_gradient;
        let [mean, square] = match self.moments.take() {
            Some(moments) => moments,
            None => [g.zeros_like()?, g.zeros_like()?],
        };
        let decayed = |mean: Tensor, new: &Tensor, beta: f32| (mean * beta as f64)? + (new * (1.0 - beta) as f64)?;
        let (mean, square) = (decayed(mean, g, BETA.0)?, decayed(square, &g.sqr()?, BETA.1)?);
        let correction = |beta: f32| 1.0 / (1.0 - beta.powi(step as i32)) as f64;
        let length = (((&square * correction(BETA.1))?.sqrt()? + 1e-8)? / ADAM_RATE as f64)?;
        self.trial = (&self.trial - ((&mean * correction(BETA.0))? / length)?)?;
        self.moments = Some([mean, square]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::failure::StylizeError;
    use crate::nst::optim::{Minimized, minimize, slices};
    use crate::nst::settings::Optimizer;
    use crate::nst::testing::assert_close;
    use candle_core::Device;
    use std::ops::ControlFlow;

    const VALUES: usize = 24;

    /// As long as single precision gives both back ends the same steps.
    const STEPS: usize = 24;

    /// The loss at `x`; writes its gradient.
    type Function = fn(&[f32], &mut [f32]) -> f64;

    /// `sum k (x_k - 1)^2`
    fn valley(x: &[f32], gradient: &mut [f32]) -> f64 {
        let mut total = 0.0;
        for (k, (x, g)) in x.iter().zip(gradient).enumerate() {
            let (curvature, off) = ((k + 1) as f64, *x as f64 - 1.0);
            total += curvature * off * off;
            *g = (2.0 * curvature * off) as f32;
        }
        total
    }

    /// Rosenbrock's valley in every two values, where steps must be shortened and pairs mislead.
    fn rosenbrock(x: &[f32], gradient: &mut [f32]) -> f64 {
        let mut total = 0.0;
        for (x, g) in x.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
            let (a, b) = (x[0] as f64, x[1] as f64);
            g[0] = (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a)) as f32;
            g[1] = (200.0 * (b - a * a)) as f32;
            total += (1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2);
        }
        total
    }

    /// The valley up to a cliff, behind which it is not finite.
    fn cliff(x: &[f32], gradient: &mut [f32]) -> f64 {
        if x[0] < 0.6 {
            return valley(x, gradient);
        }
        gradient.fill(f32::NAN);
        f64::NAN
    }

    fn not_finite(_: &[f32], _: &mut [f32]) -> f64 {
        f64::NAN
    }

    fn flat(x: &[f32], gradient: &mut [f32]) -> f64 {
        gradient.fill(0.0);
        x.len() as f64
    }

    fn loss(total: f64) -> Loss {
        Loss { total, content: 0.0, style: 0.0, tv: 0.0 }
    }

    /// The diagonal of `M`.
    fn factor(k: usize) -> f32 {
        1.0 / (k + 2) as f32
    }

    /// Off the axis of the valley, and on the far side of Rosenbrock's.
    fn start() -> Vec<f32> {
        (0..VALUES).map(|k| if k % 2 == 0 { -1.2 } else { 0.1 }).collect()
    }

    /// All functions in one batch: outcomes, best points, and the reported losses of each.
    fn batch(optimizer: Optimizer, functions: &[Function]) -> (Vec<Minimized>, Vec<Vec<f32>>, Vec<Vec<f64>>) {
        let shape = (functions.len(), VALUES);
        let starts: Vec<f32> = functions.iter().flat_map(|_| start()).collect();
        let starts = Tensor::from_vec(starts, shape, &Device::Cpu).unwrap();
        let evaluate = |x: &Tensor| {
            let mut gradients = vec![0.0; functions.len() * VALUES];
            let points = x.to_vec2::<f32>()?;
            let each = functions.iter().zip(&points).zip(gradients.chunks_exact_mut(VALUES));
            let losses = each.map(|((function, x), gradient)| loss(function(x, gradient))).collect();
            Ok((losses, Tensor::from_vec(gradients, shape, &Device::Cpu)?))
        };
        let factors = Tensor::from_vec((0..VALUES).map(factor).collect(), (1, VALUES), &Device::Cpu).unwrap();
        let mut vectors = Tensors::new(starts, evaluate, |x, _| x.broadcast_mul(&factors)).unwrap();
        let mut reported = vec![Vec::new(); functions.len()];
        let on_step = |picture: usize, evaluation: usize, loss: Loss| {
            reported[picture].push(loss.total);
            assert_eq!(reported[picture].len(), evaluation);
            ControlFlow::Continue(())
        };
        let outcomes = minimize(optimizer, STEPS, &mut vectors, on_step).unwrap();
        (outcomes, vectors.into_x().to_vec2().unwrap(), reported)
    }

    #[test]
    fn each_picture_of_a_batch_is_optimized_as_it_is_alone_on_the_cpu() {
        let functions: [Function; 5] = [valley, rosenbrock, cliff, not_finite, flat];
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let (outcomes, points, reported) = batch(optimizer, &functions);
            for (n, &function) in functions.iter().enumerate() {
                let mut alone = Vec::new();
                let on_step = |_, loss: Loss| {
                    alone.push(loss.total);
                    ControlFlow::Continue(())
                };
                let evaluate = |x: &[f32], gradient: &mut [f32]| loss(function(x, gradient));
                let precondition = |x: Vec<f32>, _: &[f32]| x.iter().enumerate().map(|(k, x)| x * factor(k)).collect();
                let made = slices::minimize(optimizer, STEPS, start(), evaluate, precondition, on_step);
                // Close to the minimum the losses differ by rounding.
                let same =
                    reported[n].iter().zip(&alone).take_while(|(a, b)| a.is_nan() || **b > 1e-4 * alone[0] || a < b);
                for (step, (a, b)) in same.enumerate() {
                    let same = if b.is_nan() { a.is_nan() } else { (a / b - 1.0).abs() < 1e-2 };
                    assert!(same, "{n} {step}: {a} and {b}");
                }
                assert_eq!(reported[n].len(), alone.len(), "{optimizer:?} {n}");
                match made {
                    Ok((x, (first, _))) => {
                        assert_eq!(outcomes[n].as_ref().unwrap().0, first);
                        assert_close(&points[n], &x, 1e-2, "the best point");
                    }
                    Err(error) => {
                        assert_eq!(error, StylizeError::LossNotFinite);
                        assert_eq!(outcomes[n], Err(error));
                    }
                }
            }
        }
    }

    #[test]
    fn a_stopped_picture_does_not_hold_up_the_others() {
        let starts = Tensor::zeros((2, VALUES), DType::F32, &Device::Cpu).unwrap();
        let evaluate = |x: &Tensor| {
            let off = (x - 1.0)?;
            let totals = off.sqr()?.sum(1)?.to_vec1::<f32>()?;
            Ok((totals.into_iter().map(|total| loss(total.into())).collect(), (off * 2.0)?))
        };
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let mut vectors = Tensors::new(starts.clone(), evaluate, |x: &Tensor, _: &Tensor| Ok(x.clone())).unwrap();
            let on_step = |picture: usize, evaluation: usize, _: Loss| match (picture, evaluation) {
                (0, 3..) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            let outcomes = minimize(optimizer, STEPS, &mut vectors, on_step).unwrap();
            assert_eq!(outcomes[0], Err(StylizeError::Stopped));
            let (first, last) = outcomes[1].clone().unwrap();
            assert!(last.total < 0.9 * first.total, "{optimizer:?}: {first:?} {last:?}");
        }
    }

    #[test]
    fn a_device_that_refuses_an_evaluation_ends_the_batch_with_its_words() {
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let mut left = 3;
            let evaluate = |x: &Tensor| {
                left -= 1;
                if left == 0 {
                    candle_core::bail!("unplugged")
                }
                Ok((vec![loss(left.into())], x.ones_like()?))
            };
            let start = Tensor::zeros((1, VALUES), DType::F32, &Device::Cpu).unwrap();
            let mut vectors = Tensors::new(start, evaluate, |x: &Tensor, _: &Tensor| Ok(x.clone())).unwrap();
            let error = minimize(optimizer, STEPS, &mut vectors, |_, _, _| ControlFlow::Continue(())).unwrap_err();
            assert!(error.to_string().contains("unplugged"), "{error}");
        }
    }
}
