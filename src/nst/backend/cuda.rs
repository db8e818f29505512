//! Opening a GPU, in builds that have CUDA.

use crate::nst::backend::device::Device;
use crate::nst::network::tensors::Precision;

/// Whether this build has CUDA.
pub const IS_BUILT_IN: bool = cfg!(feature = "cuda");

/// Opens the GPU number `index` and tries it with one small convolution.
///
/// # Errors
/// When this build has no CUDA, no driver answers, there is no such GPU, its compute capability is too low, or a part
/// of cuDNN is missing; the message says which.
pub fn open(index: usize, precision: Precision) -> Result<Device, String> {
    platform::open(index, precision)
}

#[cfg(not(feature = "cuda"))]
mod platform {
    use super::{Device, Precision};

    pub fn open(_: usize, _: Precision) -> Result<Device, String> {
        Err("this build has no CUDA".into())
    }
}

#[cfg(feature = "cuda")]
mod platform {
    use super::{Device, Precision};
    use crate::nst::backend::limit::BatchLimit;
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
    use candle_core::{DType, Tensor};
    use std::fmt::Display;
    use std::sync::Arc;

    /// The largest number of pictures in a batch. Larger batches use the device no better.
    const BATCH: usize = 16;

    /// Approximate bytes per pixel of an evaluation with VGG19 up to relu5_1: 1,200 for the activations, as much for
    /// the gradients of the first block, and twice as much for the work memory of the convolutions. A batch that still
    /// does not fit is halved.
    const PIXEL: usize = 6 << 10;

    /// The first compute capability whose tensor cores take bf16.
    const BF16: (i32, i32) = (8, 0);

    pub fn open(index: usize, precision: Precision) -> Result<Device, String> {
        let count = CudaContext::device_count().map_err(|error| format!("no CUDA driver answers: {error}"))?;
        if index >= count as usize {
            return Err(format!("there is no GPU {index}; this computer has {count}"));
        }
        let unusable = |error: &dyn Display| format!("the GPU cannot be used: {error}");
        let context = CudaContext::new(index).map_err(|error| unusable(&error))?;
        let name = context.name().map_err(|error| unusable(&error))?;
        let capability = context.compute_capability().map_err(|error| unusable(&error))?;
        if precision == Precision::Bf16 && capability < BF16 {
            let (major, minor) = capability;
            return Err(format!("bf16 takes compute capability 8.0, and {name} has {major}.{minor}"));
        }
        keep_memory(&context).map_err(|error| unusable(&error))?;
        let device = candle_core::Device::new_cuda(index).map_err(|error| unusable(&error))?;
        try_out(&device, precision).map_err(|error| unusable(&error))?;
        let (free, _) = result::mem_get_info().map_err(|error| unusable(&error))?;
        let limit = Arc::new(BatchLimit::new(BATCH, free / PIXEL));
        Ok(Device::Tensors { device, name: format!("cuda:{index} {name}"), precision, limit })
    }

    /// Tells the driver to keep freed memory. By default it gives memory back at every synchronization, and each
    /// evaluation would allocate gigabytes again.
    fn keep_memory(context: &CudaContext) -> Result<(), DriverError> {
        let mut threshold = u64::MAX;
        let name = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the device is that of the context, its default pool lives as long as the device, and the attribute is
        // a 64-bit number, which the driver copies.
        unsafe {
            let pool = result::device::get_default_mem_pool(context.cu_device())?;
            result::mem_pool::set_attribute(pool, name, (&raw mut threshold).cast())
        }
    }

    /// Computes one small convolution, so that a build for other GPUs, or a missing part of cuDNN, is found here and
    /// not in every picture.
    fn try_out(device: &candle_core::Device, precision: Precision) -> candle_core::Result<()> {
        let ones = |shape: [usize; 4]| Tensor::ones(&shape, precision.stored(), device);
        let sums = ones([1, 16, 8, 8])?.conv2d(&ones([16, 16, 3, 3])?, 1, 1, 1, 1)?.relu()?.to_dtype(DType::F32)?;
        let most = sums.max_all()?.to_scalar::<f32>()?;
        if most == 144.0 { Ok(()) } else { candle_core::bail!("its sum of 144 ones is {most}") }
    }
}
