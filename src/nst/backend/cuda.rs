//! Opening a GPU, in builds that have CUDA.

use crate::nst::backend::device::Device;
use crate::nst::network::tensors::Precision;

/// The GPU number `index`, tried out with one small convolution.
///
/// # Errors
/// Why there is none, or why it cannot be used: the driver, the index, the compute capability or a missing part of cuDNN.
pub fn open(index: usize, precision: Precision) -> Result<Device, String> {
    platform::open(index, precision)
}

#[cfg(not(feature = "cuda"))]
mod platform {
    use super::{Device, Precision};

    pub fn open(_: usize, _: Precision) -> Result<Device, String> {
        Err("this build has no CUDA; build it with `cargo build --release --features cuda`".into())
    }
}

#[cfg(feature = "cuda")]
mod platform {
    use super::{Device, Precision};
    use crate::nst::backend::batcher::BatchLimit;
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
    use candle_core::{DType, Tensor};
    use std::fmt::Display;
    use std::sync::Arc;

    /// Pictures of a batch at most: larger ones fill the device no better.
    const BATCH: usize = 16;

    /// About what a pixel takes while its picture is evaluated with VGG19 up to relu5_1, in bytes: 1,200 of activations, as
    /// much again for what the first block passes back, and as much twice for the convolutions' own. What does not fit all the
    /// same is found by trying.
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

    /// Has the driver keep what is freed: by default it gives memory back at every synchronization, and each evaluation
    /// would ask for gigabytes anew.
    fn keep_memory(context: &CudaContext) -> Result<(), DriverError> {
        let mut threshold = u64::MAX;
        let name = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the device is the context's own, its default pool lives as long as it does, and the threshold is of 64 bits.
        unsafe {
            let pool = result::device::get_default_mem_pool(context.cu_device())?;
            result::mem_pool::set_attribute(pool, name, (&raw mut threshold).cast())
        }
    }

    /// One small convolution: a build for other GPUs, or a cuDNN of which a part is missing, shows here and not in every
    /// frame.
    fn try_out(device: &candle_core::Device, precision: Precision) -> candle_core::Result<()> {
        let ones = |shape: [usize; 4]| Tensor::ones(&shape, precision.stored(), device);
        let sums = ones([1, 16, 8, 8])?.conv2d(&ones([16, 16, 3, 3])?, 1, 1, 1, 1)?.relu()?.to_dtype(DType::F32)?;
        let most = sums.max_all()?.to_scalar::<f32>()?;
        if most == 144.0 { Ok(()) } else { candle_core::bail!("its sum of 144 ones is {most}") }
    }
}
