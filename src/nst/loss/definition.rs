//! The loss by its definition, in double precision, on Candle's own operations, whose forward passes are right.

use crate::nst::layers::{Padding, Pool, Tap};
use crate::nst::loss::{Guides, share};
use crate::nst::network::backbone::Backbone;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::settings::Settings;
use candle_core::{DType, Device, Result, Tensor};

/// The loss of one group of settings at one size.
pub struct Definition<'a> {
    pub backbone: &'a Backbone,
    pub settings: &'a Settings,
    pub size: Size,
    /// Of the picture and of the style.
    pub guides: [&'a Guides; 2],
}

impl Definition<'_> {
    /// The loss of `pixels` for these content and style pictures, all `[height][width][3]`.
    pub fn loss(&self, content: &[f64], style: &[f64], pixels: &[f64]) -> Result<f64> {
        let (c, s, x) = (self.taps(content)?, self.taps(style)?, self.taps(pixels)?);
        let relative =
            |a: &Tensor, b: &Tensor| -> Result<f64> { ((a - b)?.sqr()?.sum_all()? / b.sqr()?.sum_all()?)?.to_scalar() };
        let mut total = 0.0;
        let Settings { content, style, .. } = self.settings;
        for &(tap, _) in &content.layers {
            total += content.weight * share(content, tap) * relative(&x[tap.index()], &c[tap.index()])?;
        }
        for &(tap, _) in &style.layers {
            total += style.weight * share(style, tap) * self.style(tap, &x[tap.index()], &s[tap.index()])?;
        }
        let Size { height, width } = self.size;
        let picture = Tensor::from_slice(pixels, (height, width, 3), &Device::Cpu)?;
        let next = |dim: usize, len: usize| match self.settings.padding {
            Padding::Wrap => Tensor::cat(&[picture.narrow(dim, 1, len - 1)?, picture.narrow(dim, 0, 1)?], dim),
            _ => Tensor::cat(&[picture.narrow(dim, 1, len - 1)?, picture.narrow(dim, len - 1, 1)?], dim),
        };
        let (across, down) = ((next(1, width)? - &picture)?, (next(0, height)? - &picture)?);
        let variation = (across.sqr()?.sum_all()? + down.sqr()?.sum_all()?)?;
        Ok(total + self.settings.tv * variation.to_scalar::<f64>()? / pixels.len() as f64)
    }

    /// The activations of all layers, `[1, channels, height, width]` each.
    fn taps(&self, pixels: &[f64]) -> Result<Vec<Tensor>> {
        let Size { height, width } = self.size;
        let x = Tensor::from_slice(pixels, (height, width, 3), &Device::Cpu)?;
        let mean = Tensor::new(&[0.485_f64, 0.456, 0.406], &Device::Cpu)?;
        let std = Tensor::new(&[0.229_f64, 0.224, 0.225], &Device::Cpu)?;
        let x = x.broadcast_sub(&mean)?.broadcast_div(&std)?;
        let mut x = x.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()?;
        let mut out = Vec::new();
        for ((weight, bias), tap) in self.backbone.tensors().zip(Tap::all()) {
            if tap.opens_block() && tap.block() > 0 {
                x = match self.settings.pool {
                    Pool::Max => x.max_pool2d(2)?,
                    Pool::Avg => x.avg_pool2d(2)?,
                };
            }
            let bias = bias.to_dtype(DType::F64)?.reshape((1, (), 1, 1))?;
            x = self.padded(&self.padded(&x, 2)?, 3)?;
            x = x.conv2d(&weight.to_dtype(DType::F64)?, 0, 1, 1, 1)?.broadcast_add(&bias)?.relu()?;
            out.push(x.clone());
        }
        Ok(out)
    }

    /// `x` with one more value at both ends of `dim`.
    fn padded(&self, x: &Tensor, dim: usize) -> Result<Tensor> {
        let last = x.dim(dim)? - 1;
        match self.settings.padding {
            Padding::Zero => x.pad_with_zeros(dim, 1, 1),
            Padding::Replicate => Tensor::cat(&[&x.narrow(dim, 0, 1)?, x, &x.narrow(dim, last, 1)?], dim),
            Padding::Wrap => Tensor::cat(&[&x.narrow(dim, last, 1)?, x, &x.narrow(dim, 0, 1)?], dim),
        }
    }

    /// `sum w f f^T / sum w` over the pixels of a region with weights `w`.
    fn gram(features: &Tensor, region: &Plane) -> Result<Tensor> {
        let (_, channels, height, width) = features.dims4()?;
        let rows = features.reshape((channels, height * width))?;
        let weights = Tensor::from_slice(region.data(), (1, height * width), &Device::Cpu)?.to_dtype(DType::F64)?;
        let weighted = rows.broadcast_mul(&weights)?;
        weighted.matmul(&rows.t()?)? / weights.sum_all()?.to_scalar::<f64>()?
    }

    /// `sum a |G - S|^2 / sum a |S|^2` over the regions that both pictures have.
    fn style(&self, tap: Tap, own: &Tensor, style: &Tensor) -> Result<f64> {
        let (mut above, mut below) = (0.0, 0.0);
        for (region, styles) in self.guides[0].at(tap).iter().zip(self.guides[1].at(tap)) {
            let (Some(region), Some(styles)) = (region, styles) else { continue };
            let (own, target) = (Self::gram(own, region)?, Self::gram(style, styles)?);
            above += region.mean() * (own - &target)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
            below += region.mean() * target.sqr()?.sum_all()?.to_scalar::<f64>()?;
        }
        Ok(above / below)
    }
}
