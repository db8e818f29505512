//! The preconditioner for a batch on a device; see [`apply`](super::apply).

use crate::nst::optim::preconditioner::{CHANNELS, FLOOR, OCTAVES, RADIUS};
use crate::nst::picture::filter::Border;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::separable::Separable;
use candle_core::{Device, Result, Tensor};

/// The filters for pictures of one size.
pub struct Preconditioner {
    size: Size,
    near: Separable,
    /// Each smooths the result of the last.
    octaves: Vec<Separable>,
}

impl Preconditioner {
    /// # Errors
    /// When the device refuses.
    pub fn new(size: Size, border: Border, device: &Device) -> Result<Self> {
        let mean = |radius: usize| Separable::box_mean(size, radius, border, device);
        let octaves = (0..OCTAVES).map(|octave| mean(1 << octave)?.twice()).collect::<Result<_>>()?;
        Ok(Self { size, near: mean(RADIUS)?, octaves })
    }

    /// `M x` for every picture, whose loss has this `gradient`. Both are planar, `[pictures, values]`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn apply(&self, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let shape = (x.dim(0)?, CHANNELS, self.size.height, self.size.width);
        let weights = self.inverse_rms(&gradient.reshape(shape)?)?;
        let x = x.reshape(shape)?.broadcast_mul(&weights)?;
        let (mut smooth, mut sum) = (x.clone(), x);
        for (octave, filter) in self.octaves.iter().enumerate() {
            smooth = filter.apply(&smooth)?;
            sum = (sum + (&smooth * (1 << octave) as f64)?)?;
        }
        sum.broadcast_mul(&weights)?.flatten_from(1)
    }

    /// The diagonal of `W`, `[pictures, 1, rows, columns]`.
    fn inverse_rms(&self, gradient: &Tensor) -> Result<Tensor> {
        let squares = gradient.sqr()?.sum_keepdim(1)?;
        // This keeps the quotient finite where there is no gradient. Nothing moves there, whatever the weights.
        let mean = (squares.mean_keepdim((2, 3))? + f64::from(f32::MIN_POSITIVE))?;
        let near = self.near.apply(&squares)?.broadcast_div(&mean)?;
        ((near + FLOOR as f64)?.recip()? * (1.0 + FLOOR) as f64)?.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::optim::preconditioner::apply;
    use crate::nst::testing::{Random, assert_close};

    #[test]
    fn each_picture_of_a_batch_gets_what_it_gets_alone_on_the_cpu() {
        let mut random = Random(8);
        for (height, width) in [(16, 16), (19, 33)] {
            let size = Size { height, width };
            for border in [Border::Mirrored, Border::Around] {
                let preconditioner = Preconditioner::new(size, border, &Device::Cpu).unwrap();
                let mut interleaved = |level: f32| -> Vec<f32> {
                    (0..size.pixels() * 3).map(|n| level * (random.uniform() - 0.5) / (1 + n / 300) as f32).collect()
                };
                let pictures = [1.0, 3.0].map(&mut interleaved);
                let gradients = [0.01, 20.0].map(&mut interleaved);
                let planar = |pictures: &[Vec<f32>; 2]| {
                    let all = Tensor::from_vec(pictures.concat(), (2, height * width, 3), &Device::Cpu).unwrap();
                    all.transpose(1, 2).unwrap().contiguous().unwrap().flatten_from(1).unwrap()
                };
                let made = preconditioner.apply(&planar(&pictures), &planar(&gradients)).unwrap();
                let made = made.reshape((2, 3, height * width)).unwrap().transpose(1, 2).unwrap();
                let made = made.contiguous().unwrap().flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
                for (made, (x, gradient)) in made.iter().zip(pictures.iter().zip(&gradients)) {
                    assert_close(made, &apply(x.clone(), gradient, size, border), 1e-5, "a picture");
                }
            }
        }
    }
}
