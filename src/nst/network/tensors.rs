//! Forward and backward through the frozen VGG19 on Candle's tensors, for a batch of pictures of one size: what runs on
//! a GPU.
//!
//! This is the chain of [`trunk`](super::trunk) in operations that every back end of Candle has. Candle's own backward
//! pass is not used: it computes gradients of the kernels, which are not needed, and its gradients of pools are wrong.
//! The gradient of a frozen 3x3 convolution is the same convolution with the kernel turned and its channels swapped. So
//! both directions are `conv2d`, which is cuDNN's on a GPU.

use crate::nst::layers::{MEAN, Padding, Pool, STD, Tap};
use crate::nst::network::backbone::Backbone;
use crate::nst::picture::geometry::Size;
use candle_core::{D, DType, Device, Result, Tensor};

/// The numbers that activations and their gradients are kept in. Losses, Gram matrices and pixels are always `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// Half the memory and, on a GPU, tensor cores. Candle has no such convolution on the CPU. There, convolutions in
    /// `f32` of rounded activations stand in: they sum the same products in the same precision.
    Bf16,
}

impl Precision {
    /// The type of activations and their gradients.
    pub fn stored(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// The network up to its deepest tap, on one device.
pub struct TensorTrunk {
    device: Device,
    precision: Precision,
    pool: Pool,
    convs: Vec<Conv>,
    /// `[1, 3, 1, 1]`, as is `std`.
    mean: Tensor,
    std: Tensor,
}

/// Kernels `[outputs, inputs, 3, 3]`, `[inputs, outputs, 3, 3]`, and the bias `[1, outputs, 1, 1]`.
struct Conv {
    forward: Tensor,
    backward: Tensor,
    bias: Tensor,
}

impl TensorTrunk {
    /// Uploads `backbone` up to `deepest`.
    ///
    /// # Errors
    /// When the backbone ends before `deepest`, or the device refuses.
    pub fn new(
        backbone: &Backbone,
        deepest: Tap,
        pool: Pool,
        device: &Device,
        precision: Precision,
    ) -> std::result::Result<Self, String> {
        let conv = |(weight, bias): (&Tensor, &Tensor)| -> Result<Conv> {
            let backward = weight.flip(&[2, 3])?.transpose(0, 1)?.contiguous()?;
            let upload = |tensor: &Tensor| tensor.to_dtype(precision.stored())?.to_device(device);
            Ok(Conv {
                forward: upload(weight)?,
                backward: upload(&backward)?,
                bias: upload(&bias.reshape((1, (), 1, 1))?)?,
            })
        };
        let convs = backbone.tensors().take(deepest.index() + 1).map(conv).collect::<Result<Vec<_>>>();
        let convs = convs.map_err(|error| format!("the device refuses the network: {error}"))?;
        if convs.len() <= deepest.index() {
            return Err(format!("{} ends before {deepest}", backbone.name()));
        }
        let colours = |values: [f32; 3]| {
            let tensor = Tensor::new(&values, device).and_then(|tensor| tensor.reshape((1, 3, 1, 1)));
            tensor.map_err(|error| error.to_string())
        };
        let (mean, std) = (colours(MEAN)?, colours(STD)?);
        Ok(Self { device: device.clone(), precision, pool, convs, mean, std })
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Uploads pictures of `size`, each `[height][width][3]`, as `[pictures, 3, height, width]`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn upload(&self, pictures: &[&[f32]], size: Size) -> Result<Tensor> {
        let shape = (pictures.len(), size.height, size.width, 3);
        let uploaded = match pictures {
            [one] => Tensor::from_slice(one, shape, &self.device)?,
            several => Tensor::from_vec(several.concat(), shape, &self.device)?,
        };
        uploaded.permute((0, 3, 1, 2))?.contiguous()
    }

    /// The activations of all layers up to `deepest`, `[pictures, channels, height, width]` each, from pictures
    /// `[pictures, 3, height, width]`, RGB in 0..1.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn forward(&self, pixels: &Tensor, padding: Padding, deepest: Tap) -> Result<Vec<Tensor>> {
        let mut x = pixels.broadcast_sub(&self.mean)?.broadcast_div(&self.std)?.to_dtype(self.precision.stored())?;
        let mut activations: Vec<Tensor> = Vec::new();
        for (conv, tap) in self.convs.iter().zip(Tap::all()).take(deepest.index() + 1) {
            if tap.opens_block() && tap.block() > 0 {
                x = pooled(&x, self.pool)?;
            }
            x = match padding {
                Padding::Zero => self.conv2d(&x, &conv.forward, 1)?,
                _ => self.conv2d(&padded(&x, padding)?, &conv.forward, 0)?,
            };
            x = x.broadcast_add(&conv.bias)?.relu()?;
            activations.push(x.clone());
        }
        Ok(activations)
    }

    fn conv2d(&self, x: &Tensor, kernel: &Tensor, padding: usize) -> Result<Tensor> {
        if self.precision == Precision::Bf16 && self.device.is_cpu() {
            let wide = |tensor: &Tensor| tensor.to_dtype(DType::F32);
            return wide(x)?.conv2d(&wide(kernel)?, padding, 1, 1, 1)?.to_dtype(DType::BF16);
        }
        x.conv2d(kernel, padding, 1, 1, 1)
    }

    /// Takes the gradients of taps back to the pixels, `[pictures, 3, height, width]`. `activations` are those of
    /// [`TensorTrunk::forward`] with the same `padding`.
    ///
    /// `tap_gradient(tap, features)` is called for each layer, the deepest first. It returns the gradient of the loss
    /// with respect to the features, in `f32`, or `None` if the loss does not read them.
    ///
    /// # Errors
    /// When the device refuses, or there is no gradient.
    pub fn backward(
        &self,
        activations: &[Tensor],
        padding: Padding,
        mut tap_gradient: impl FnMut(Tap, &Tensor) -> Result<Option<Tensor>>,
    ) -> Result<Tensor> {
        let mut passing: Option<Tensor> = None;
        let taps: Vec<Tap> = Tap::all().take(activations.len()).collect();
        for ((&tap, conv), activation) in taps.iter().zip(&self.convs).zip(activations).rev() {
            // Where a pool follows, the gradient from above is that of the pooled plane.
            let pools = taps.get(tap.index() + 1).is_some_and(|above| above.opens_block());
            if let (Some(above), true) = (&passing, pools) {
                passing = Some(unpooled(above, activation, self.pool)?);
            }
            if let Some(own) = tap_gradient(tap, activation)? {
                let own = own.to_dtype(self.precision.stored())?;
                passing = Some(match passing {
                    Some(above) => (above + own)?,
                    None => own,
                });
            }
            let Some(gradient) = &passing else { continue };
            // Activations are not negative, so their sign says where the ReLU passes a gradient.
            let masked = (gradient * activation.sign()?)?;
            passing = Some(match padding {
                Padding::Zero => self.conv2d(&masked, &conv.backward, 1)?,
                Padding::Wrap => self.conv2d(&padded(&masked, padding)?, &conv.backward, 0)?,
                Padding::Replicate => folded(&self.conv2d(&masked, &conv.backward, 2)?)?,
            });
        }
        let Some(gradient) = passing else { candle_core::bail!("no tap has a gradient") };
        gradient.to_dtype(DType::F32)?.broadcast_div(&self.std)
    }

    /// The matrix product of `a` and `b`, in `f32`. Tensor cores may round the operands to TF32 if activations are
    /// rounded too.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        candle_core::cuda::set_gemm_reduced_precision_f32(self.precision == Precision::Bf16);
        let product = a.matmul(b);
        // The setting is the whole process's, and the inner products of the optimizer need every digit.
        #[cfg(feature = "cuda")]
        candle_core::cuda::set_gemm_reduced_precision_f32(false);
        product
    }
}

/// The inverse of [`TensorTrunk::upload`]: pictures `[height][width][3]` from `[pictures, 3, height, width]`.
///
/// # Errors
/// When the device refuses.
pub fn download(pictures: &Tensor) -> Result<Vec<Vec<f32>>> {
    pictures.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?.to_vec2()
}

/// `x` with one more pixel on each side, which `padding` fills.
fn padded(x: &Tensor, padding: Padding) -> Result<Tensor> {
    let around = |x: &Tensor, dim: D| -> Result<Tensor> {
        let last = x.dim(dim)? - 1;
        let (before, after) = if padding == Padding::Wrap { (last, 0) } else { (0, last) };
        Tensor::cat(&[&x.narrow(dim, before, 1)?, x, &x.narrow(dim, after, 1)?], dim)
    };
    around(&around(x, D::Minus2)?, D::Minus1)?.contiguous()
}

/// The way back through a replicated border: its gradient belongs to the nearest pixel inside.
fn folded(x: &Tensor) -> Result<Tensor> {
    let fold = |x: &Tensor, dim: usize| -> Result<Tensor> {
        let inside = x.dim(dim)? - 2;
        let first = x.narrow(dim, 0, 1)?.pad_with_zeros(dim, 0, inside - 1)?;
        let last = x.narrow(dim, inside + 1, 1)?.pad_with_zeros(dim, inside - 1, 0)?;
        x.narrow(dim, 1, inside)? + first + last
    };
    fold(&fold(x, 2)?, 3)?.contiguous()
}

/// The four values of every 2x2 window, row by row, each `[pictures, channels, height / 2, width / 2]`. An odd last row
/// or column is in no window.
fn windows(x: &Tensor) -> Result<[Tensor; 4]> {
    let (pictures, channels, height, width) = x.dims4()?;
    let (height, width) = (height / 2, width / 2);
    let even = x.narrow(2, 0, height * 2)?.narrow(3, 0, width * 2)?.contiguous()?;
    let even = even.reshape((pictures, channels, height, 2, width, 2))?;
    let at = |y: usize, x: usize| even.narrow(3, y, 1)?.narrow(5, x, 1)?.squeeze(5)?.squeeze(3)?.contiguous();
    Ok([at(0, 0)?, at(0, 1)?, at(1, 0)?, at(1, 1)?])
}

fn pooled(x: &Tensor, pool: Pool) -> Result<Tensor> {
    match pool {
        Pool::Max => x.max_pool2d(2),
        Pool::Avg => x.avg_pool2d(2),
    }
}

/// The gradient with respect to `x` from `gradient`, that with respect to its pool: the first maximum of each window
/// gets all of it, or each value a quarter.
fn unpooled(gradient: &Tensor, x: &Tensor, pool: Pool) -> Result<Tensor> {
    let parts = match pool {
        Pool::Avg => {
            let quarter = (gradient * 0.25)?;
            [quarter.clone(), quarter.clone(), quarter.clone(), quarter]
        }
        Pool::Max => {
            let values = windows(x)?;
            let most = pooled(x, pool)?;
            // 1 in windows whose maximum has not been found yet.
            let mut open = gradient.ones_like()?;
            let mut part = |value: &Tensor| -> Result<Tensor> {
                let is_first = (value.eq(&most)?.to_dtype(gradient.dtype())? * &open)?;
                open = (&open - &is_first)?;
                gradient * is_first
            };
            [part(&values[0])?, part(&values[1])?, part(&values[2])?, part(&values[3])?]
        }
    };
    let (pictures, channels, height, width) = x.dims4()?;
    let row = |left: &Tensor, right: &Tensor| Tensor::stack(&[left, right], 4)?.flatten(3, 4);
    let (upper, lower) = (row(&parts[0], &parts[1])?, row(&parts[2], &parts[3])?);
    let all = Tensor::stack(&[upper, lower], 3)?.reshape((pictures, channels, height / 2 * 2, width / 2 * 2))?;
    all.pad_with_zeros(2, 0, height % 2)?.pad_with_zeros(3, 0, width % 2)?.contiguous()
}
