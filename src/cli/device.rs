//! Where to compute: what `--device` and `--precision` say, against what this build and machine have.

use crate::error::{Error, Result};
use crate::nst::backend::Machine;
use crate::nst::backend::batcher::Room;
use crate::nst::kernels::simd::Isa;
use crate::nst::network::tensors::Precision;
use candle_core::Device;
use clap::ValueEnum;
use std::sync::Arc;

/// Pictures of a batch on Candle's CPU back end, which gains nothing by more.
const CANDLE_BATCH: usize = 2;

/// In what numbers a GPU keeps activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Numbers {
    F32,
    Bf16,
}

impl From<Numbers> for Precision {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::F32 => Self::F32,
            Numbers::Bf16 => Self::Bf16,
        }
    }
}

/// What `--device NAME` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Auto,
    Cpu,
    Candle,
    Cuda(usize),
}

impl Asked {
    fn parse(name: &str) -> Result<Self> {
        let gpu = |index: &str| index.parse().ok().map(Self::Cuda);
        let asked = match name {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "candle" => Some(Self::Candle),
            "cuda" => Some(Self::Cuda(0)),
            _ => name.strip_prefix("cuda:").and_then(gpu),
        };
        asked.ok_or_else(|| {
            Error::Usage(format!("--device {name}: no such device; expected auto, cpu, cuda, cuda:N or candle"))
        })
    }
}

/// Where to compute.
pub struct Choice {
    pub machine: Machine,
    /// Why `auto` did not take a GPU in a build that could.
    pub no_gpu: Option<String>,
}

impl From<Machine> for Choice {
    fn from(machine: Machine) -> Self {
        Self { machine, no_gpu: None }
    }
}

/// The machine that `--device` and `--precision` ask for; `auto` is the first GPU where this build and computer have one,
/// else the processor.
///
/// # Errors
/// [`Error::Usage`] for a name that is no device, numbers that the processor's kernels do not have, and an `AUGMENT_ISA`
/// that it lacks; [`Error::Run`] for a GPU that cannot be used, with the reason: nothing falls back to the CPU unasked.
pub fn choose(name: &str, numbers: Option<Numbers>) -> Result<Choice> {
    let precision = numbers.unwrap_or(Numbers::F32).into();
    match Asked::parse(name)? {
        Asked::Cuda(index) => cuda::open(index, precision).map(Choice::from).map_err(|why| {
            Error::Run(format!("--device {name}: {why}\n  help: leave --device out, or say --device cpu"))
        }),
        Asked::Candle => {
            let name = "candle cpu".to_string();
            Ok(Machine::Tensors {
                device: Device::Cpu,
                name,
                precision,
                room: Arc::new(Room::new(CANDLE_BATCH, usize::MAX)),
            }
            .into())
        }
        Asked::Auto => match cuda::open(0, precision) {
            Ok(machine) => Ok(machine.into()),
            Err(why) if numbers == Some(Numbers::Bf16) => Err(Error::Usage(format!("{ONLY_F32}, and no GPU: {why}"))),
            Err(why) => Ok(Choice { machine: cpu(numbers)?, no_gpu: cfg!(feature = "cuda").then_some(why) }),
        },
        Asked::Cpu => cpu(numbers).map(Choice::from),
    }
}

const ONLY_F32: &str = "--precision bf16 is for GPUs; the processor computes in f32";

fn cpu(numbers: Option<Numbers>) -> Result<Machine> {
    if numbers == Some(Numbers::Bf16) {
        return Err(Error::Usage(ONLY_F32.into()));
    }
    Isa::from_env().map(Machine::Cpu).map_err(Error::Usage)
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::{Machine, Precision};

    pub fn open(_: usize, _: Precision) -> Result<Machine, String> {
        Err("this build has no CUDA; build it with `cargo build --release --features cuda`".into())
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::{Arc, Machine, Precision, Room};
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
    use candle_core::{DType, Device, Tensor};
    use std::fmt::Display;

    /// Pictures of a batch at most: larger ones fill the device no better.
    const BATCH: usize = 16;

    /// About what a pixel takes while its picture is evaluated with VGG19 up to relu5_1, in bytes: 1,200 of activations, as
    /// much again for what the first block passes back, and as much twice for the convolutions' own. What does not fit all the
    /// same is found by trying.
    const PIXEL: usize = 6 << 10;

    /// The first compute capability whose tensor cores take bf16.
    const BF16: (i32, i32) = (8, 0);

    pub fn open(index: usize, precision: Precision) -> Result<Machine, String> {
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
            return Err(format!("--precision bf16 takes compute capability 8.0, and {name} has {major}.{minor}"));
        }
        keep_memory(&context).map_err(|error| unusable(&error))?;
        let device = Device::new_cuda(index).map_err(|error| unusable(&error))?;
        try_out(&device, precision).map_err(|error| unusable(&error))?;
        let (free, _) = result::mem_get_info().map_err(|error| unusable(&error))?;
        let room = Arc::new(Room::new(BATCH, free / PIXEL));
        Ok(Machine::Tensors { device, name: format!("cuda:{index} {name}"), precision, room })
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
    fn try_out(device: &Device, precision: Precision) -> candle_core::Result<()> {
        let ones = |shape: [usize; 4]| Tensor::ones(&shape, precision.stored(), device);
        let sums = ones([1, 16, 8, 8])?.conv2d(&ones([16, 16, 3, 3])?, 1, 1, 1, 1)?.relu()?.to_dtype(DType::F32)?;
        let most = sums.max_all()?.to_scalar::<f32>()?;
        if most == 144.0 { Ok(()) } else { candle_core::bail!("its sum of 144 ones is {most}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_devices_or_refused() {
        assert!(matches!(choose("cpu", None), Ok(Choice { machine: Machine::Cpu(_), no_gpu: None })));
        assert!(choose("auto", None).is_ok());
        assert!(matches!(
            choose("candle", Some(Numbers::Bf16)),
            Ok(Choice { machine: Machine::Tensors { .. }, no_gpu: None })
        ));
        assert_eq!(Asked::parse("cuda").ok(), Some(Asked::Cuda(0)));
        assert_eq!(Asked::parse("cuda:3").ok(), Some(Asked::Cuda(3)));
        for name in ["cuda:x", "cuda:-1", "tpu", ""] {
            assert_eq!(choose(name, None).map_err(|e| e.exit_code()).err(), Some(2), "{name}");
        }
    }

    #[test]
    fn the_processor_has_one_precision() {
        assert_eq!(choose("cpu", Some(Numbers::Bf16)).map_err(|e| e.exit_code()).err(), Some(2));
        assert!(choose("cpu", Some(Numbers::F32)).is_ok());
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_gpu_is_refused_with_the_reason_and_never_replaced() {
        let error = choose("cuda:1", None).err().unwrap();
        assert!(error.to_string().contains("cuda:1") && error.to_string().contains("--features cuda"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
