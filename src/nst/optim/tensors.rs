//! A batch's vectors on a device: each question is put for all pictures at once, and only numbers come back.

use crate::nst::loss::Loss;
use crate::nst::optim::{ADAM_RATE, BETA, Bend, Bent, Factors, Move, Remembered, SLOTS, Vectors};
use candle_core::{DType, Result, Tensor};
use std::array;

/// Pictures of one size, planar, `[pictures, values]` in `f32`; see [`Vectors`].
pub struct Tensors<E, P> {
    x: Tensor,
    gradient: Tensor,
    trial: Tensor,
    trial_gradient: Tensor,
    /// Steps and changes of gradients, `[pictures * SLOTS, values]` each; `None` until something is remembered.
    pairs: Option<[Tensor; 2]>,
    bent: Tensor,
    /// Adam's means of gradients and of their squares, before its first step none.
    moments: Option<[Tensor; 2]>,
    evaluate: E,
    precondition: P,
}

impl<E, P> Tensors<E, P>
where
    E: FnMut(&Tensor) -> Result<(Vec<Loss>, Tensor)>,
    P: Fn(&Tensor, &Tensor) -> Result<Tensor>,
{
    /// From `start`, `[pictures, values]`, where `evaluate(x)` returns every picture's loss at `x` and all gradients, and
    /// `precondition(x, gradient)` is `M x` for each.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(start: Tensor, evaluate: E, precondition: P) -> Result<Self> {
        let zeros = start.zeros_like()?;
        Ok(Self {
            x: start.clone(),
            trial: start,
            gradient: zeros.clone(),
            trial_gradient: zeros.clone(),
            pairs: None,
            bent: zeros,
            moments: None,
            evaluate,
            precondition,
        })
    }

    /// The best points seen.
    pub fn into_x(self) -> Tensor {
        self.x
    }

    fn dims(&self) -> Result<(usize, usize)> {
        self.x.dims2()
    }

    /// Numbers of each picture, `[pictures, count]`.
    fn numbers<const N: usize>(&self, of: impl Iterator<Item = [f64; N]>) -> Result<Tensor> {
        let values: Vec<f32> = of.flatten().map(|v| v as f32).collect();
        Tensor::from_vec(values, (self.dims()?.0, N), self.x.device())
    }

    /// `sum factors_i rows_i` of each picture, `[pictures, values]`; `rows` is half of `pairs`.
    fn sum(&self, factors: impl Iterator<Item = Factors>, rows: &Tensor) -> Result<Tensor> {
        let (pictures, values) = self.dims()?;
        let factors = self.numbers(factors)?.unsqueeze(1)?;
        factors.matmul(&rows.reshape((pictures, SLOTS, values))?)?.squeeze(1)
    }

    /// `rows_i.v` of each picture for every `v`, `[pictures, SLOTS * vectors]`, those of one row side by side.
    fn dots(&self, rows: &Tensor, vectors: &[&Tensor]) -> Result<Tensor> {
        let (pictures, values) = self.dims()?;
        let vectors = Tensor::stack(vectors, 1)?.transpose(1, 2)?;
        rows.reshape((pictures, SLOTS, values))?.matmul(&vectors)?.flatten_from(1)
    }

    /// Writes the differences between trials and places into the named slots; those of the gradients.
    fn write(&mut self, slots: &[Option<usize>]) -> Result<Tensor> {
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

    fn remember(&mut self, slots: &[Option<usize>]) -> Result<Vec<Remembered>> {
        if slots.iter().all(Option::is_none) {
            return Ok(vec![Remembered::default(); slots.len()]);
        }
        let y = self.write(slots)?;
        let Some([s, _]) = &self.pairs else { candle_core::bail!("nothing was remembered") };
        let products = self.dots(s, &[&y, &self.trial_gradient])?;
        let told = Tensor::cat(&[&products, &y.sqr()?.sum_keepdim(1)?], 1)?.to_vec2::<f32>()?;
        let remembered = |told: &Vec<f32>| Remembered {
            sy: array::from_fn(|i| told[2 * i].into()),
            sg: array::from_fn(|i| told[2 * i + 1].into()),
            yy: told[2 * SLOTS].into(),
        };
        Ok(told.iter().map(remembered).collect())
    }

    fn keep(&mut self, which: &[bool]) -> Result<()> {
        if which.iter().all(|&kept| kept) {
            (self.x, self.gradient) = (self.trial.clone(), self.trial_gradient.clone());
        } else if which.contains(&true) {
            let mask: Vec<u8> = which.iter().map(|&kept| kept.into()).collect();
            let mask = Tensor::from_vec(mask, (which.len(), 1), self.x.device())?.broadcast_as(self.x.shape())?;
            self.x = mask.where_cond(&self.trial, &self.x)?;
            self.gradient = mask.where_cond(&self.trial_gradient, &self.gradient)?;
        }
        Ok(())
    }

    fn bend(&mut self, bends: &[Bend]) -> Result<Vec<Bent>> {
        let Some([_, y]) = &self.pairs else { candle_core::bail!("nothing was remembered") };
        let q = (&self.gradient + self.sum(bends.iter().map(|bend| bend.pulls), y)?)?.neg()?;
        self.bent = (self.precondition)(&q, &self.gradient)?;
        let only = |bend: &Bend| array::from_fn(|slot| f64::from(u8::from(bend.newest == Some(slot))));
        let newest = self.sum(bends.iter().map(only), y)?;
        let ymy = (&newest * (self.precondition)(&newest, &self.gradient)?)?.sum_keepdim(1)?;
        let rg = (&self.bent * &self.gradient)?.sum_keepdim(1)?;
        let mean_square = self.bent.sqr()?.mean_keepdim(1)?;
        let told = Tensor::cat(&[&self.dots(y, &[&self.bent])?, &rg, &mean_square, &ymy], 1)?.to_vec2::<f32>()?;
        let bent = |told: &Vec<f32>| Bent {
            yr: array::from_fn(|i| told[i].into()),
            rg: told[SLOTS].into(),
            mean_square: told[SLOTS + 1].into(),
            ymy: told[SLOTS + 2].into(),
        };
        Ok(told.iter().map(bent).collect())
    }

    fn advance(&mut self, moves: &[Move]) -> Result<()> {
        let Some([s, _]) = &self.pairs else { candle_core::bail!("nothing was remembered") };
        let along = self.bent.broadcast_mul(&self.numbers(moves.iter().map(|m| [m.along]))?)?;
        let step = (along + self.sum(moves.iter().map(|m| m.pushes), s)?)?;
        self.trial = (&self.x + step)?;
        Ok(())
    }

    fn descend(&mut self, step: usize) -> Result<()> {
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
    use crate::nst::optim::{OptimError, Outcome, minimize, slices};
    use crate::nst::settings::Optimizer;
    use crate::nst::testing::assert_close;
    use candle_core::Device;
    use std::ops::ControlFlow;

    const VALUES: usize = 24;

    /// As far as single precision leads all the same way.
    const STEPS: usize = 24;

    /// What each picture of a batch walks over: its loss and gradient at `x`.
    type Ground = fn(&[f32], &mut [f32]) -> f64;

    /// `sum k (x_k - 1)^2`, which L-BFGS solves step by step.
    fn valley(x: &[f32], gradient: &mut [f32]) -> f64 {
        let mut total = 0.0;
        for (k, (x, g)) in x.iter().zip(gradient).enumerate() {
            let (curvature, off) = ((k + 1) as f64, *x as f64 - 1.0);
            total += curvature * off * off;
            *g = (2.0 * curvature * off) as f32;
        }
        total
    }

    /// Rosenbrock's valley in every two values, where steps must be shortened and memory misleads.
    fn banana(x: &[f32], gradient: &mut [f32]) -> f64 {
        let mut total = 0.0;
        for (x, g) in x.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
            let (a, b) = (x[0] as f64, x[1] as f64);
            g[0] = (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a)) as f32;
            g[1] = (200.0 * (b - a * a)) as f32;
            total += (1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2);
        }
        total
    }

    /// Falls away where it is no number.
    fn cliff(x: &[f32], gradient: &mut [f32]) -> f64 {
        if x[0] < 0.6 {
            return valley(x, gradient);
        }
        gradient.fill(f32::NAN);
        f64::NAN
    }

    fn nowhere(_: &[f32], _: &mut [f32]) -> f64 {
        f64::NAN
    }

    fn plain(x: &[f32], gradient: &mut [f32]) -> f64 {
        gradient.fill(0.0);
        x.len() as f64
    }

    fn loss(total: f64) -> Loss {
        Loss { total, content: 0.0, style: 0.0, tv: 0.0 }
    }

    /// `M`: more where values have higher indices, as the valley is not.
    fn factor(k: usize) -> f32 {
        1.0 / (k + 2) as f32
    }

    /// Off the valley's axis, and on the far side of the banana.
    fn start() -> Vec<f32> {
        (0..VALUES).map(|k| if k % 2 == 0 { -1.2 } else { 0.1 }).collect()
    }

    /// All grounds in one batch: outcomes, best points, and what was heard of each.
    fn batch(optimizer: Optimizer, grounds: &[Ground]) -> (Vec<Outcome>, Vec<Vec<f32>>, Vec<Vec<f64>>) {
        let shape = (grounds.len(), VALUES);
        let starts: Vec<f32> = grounds.iter().flat_map(|_| start()).collect();
        let starts = Tensor::from_vec(starts, shape, &Device::Cpu).unwrap();
        let evaluate = |x: &Tensor| {
            let mut gradients = vec![0.0; grounds.len() * VALUES];
            let places = x.to_vec2::<f32>()?;
            let walks = grounds.iter().zip(&places).zip(gradients.chunks_exact_mut(VALUES));
            let losses = walks.map(|((ground, x), gradient)| loss(ground(x, gradient))).collect();
            Ok((losses, Tensor::from_vec(gradients, shape, &Device::Cpu)?))
        };
        let factors = Tensor::from_vec((0..VALUES).map(factor).collect(), (1, VALUES), &Device::Cpu).unwrap();
        let mut vectors = Tensors::new(starts, evaluate, |x, _| x.broadcast_mul(&factors)).unwrap();
        let mut heard = vec![Vec::new(); grounds.len()];
        let on_step = |picture: usize, evaluation: usize, loss: Loss| {
            heard[picture].push(loss.total);
            assert_eq!(heard[picture].len(), evaluation);
            ControlFlow::Continue(())
        };
        let outcomes = minimize(optimizer, STEPS, &mut vectors, on_step).unwrap();
        (outcomes, vectors.into_x().to_vec2().unwrap(), heard)
    }

    #[test]
    fn each_of_a_batch_goes_the_way_that_it_goes_alone_on_the_cpu() {
        let grounds: [Ground; 5] = [valley, banana, cliff, nowhere, plain];
        for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
            let (outcomes, places, heard) = batch(optimizer, &grounds);
            for (n, &ground) in grounds.iter().enumerate() {
                let mut alone = Vec::new();
                let on_step = |_, loss: Loss| {
                    alone.push(loss.total);
                    ControlFlow::Continue(())
                };
                let evaluate = |x: &[f32], gradient: &mut [f32]| Ok(loss(ground(x, gradient)));
                let precondition = |x: Vec<f32>, _: &[f32]| x.iter().enumerate().map(|(k, x)| x * factor(k)).collect();
                let made = slices::minimize(optimizer, STEPS, start(), evaluate, precondition, on_step);
                // Rounding decides how far a walk has come that is all but at its end.
                let same =
                    heard[n].iter().zip(&alone).take_while(|(a, b)| a.is_nan() || **b > 1e-4 * alone[0] || a < b);
                for (step, (a, b)) in same.enumerate() {
                    let same = if b.is_nan() { a.is_nan() } else { (a / b - 1.0).abs() < 1e-2 };
                    assert!(same, "{n} {step}: {a} and {b}");
                }
                assert_eq!(heard[n].len(), alone.len(), "{optimizer:?} {n}");
                match made {
                    Ok((x, (first, _))) => {
                        assert_eq!(outcomes[n].as_ref().unwrap().0, first);
                        assert_close(&places[n], &x, 1e-2, "the place");
                    }
                    Err(failure) => {
                        assert_eq!((outcomes[n].clone(), failure), (Err(OptimError::NotFinite), OptimError::NotFinite))
                    }
                }
            }
        }
    }

    #[test]
    fn who_is_stopped_holds_up_nobody() {
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
            assert_eq!(outcomes[0], Err(OptimError::Stopped));
            let (first, last) = outcomes[1].clone().unwrap();
            assert!(last.total < 0.9 * first.total, "{optimizer:?}: {first:?} {last:?}");
        }
    }
}
