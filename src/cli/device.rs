//! Where to compute: what `--device` and `--precision` say, against what this build and machine have.

use crate::error::{Error, Result};
use crate::nst::backend::cuda;
use crate::nst::{Device, Isa, Precision};
use clap::ValueEnum;

/// In what numbers a GPU keeps activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    F32,
    Bf16,
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::Bf16 => Self::Bf16,
        }
    }
}

/// What `--device NAME` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceArg {
    Auto,
    Cpu,
    Candle,
    Cuda(usize),
}

impl DeviceArg {
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
pub struct Selected {
    pub device: Device,
    /// Why `auto` did not take a GPU in a build that could.
    pub no_gpu: Option<String>,
}

impl From<Device> for Selected {
    fn from(device: Device) -> Self {
        Self { device, no_gpu: None }
    }
}

/// The device that `--device` and `--precision` ask for; `auto` is the first GPU where this build and computer have
/// one, else the processor.
///
/// # Errors
/// [`Error::Usage`] for a name that is no device, a precision that the processor's kernels do not have, and an
/// `AUGMENT_ISA` that it lacks; [`Error::Run`] for a GPU that cannot be used, with the reason: nothing falls back to
/// the CPU unasked.
pub fn choose(name: &str, asked: Option<PrecisionArg>) -> Result<Selected> {
    let precision = asked.unwrap_or(PrecisionArg::F32).into();
    match DeviceArg::parse(name)? {
        DeviceArg::Cuda(index) => cuda::open(index, precision).map(Selected::from).map_err(|why| {
            let build = if cuda::IS_BUILT_IN { "" } else { "; build it with `cargo build --release --features cuda`" };
            Error::Run(format!("--device {name}: {why}{build}\n  help: leave --device out, or say --device cpu"))
        }),
        DeviceArg::Candle => Ok(Device::candle(precision).into()),
        DeviceArg::Auto => match cuda::open(0, precision) {
            Ok(device) => Ok(device.into()),
            Err(why) if asked == Some(PrecisionArg::Bf16) => {
                Err(Error::Usage(format!("{ONLY_F32}, and no GPU: {why}")))
            }
            Err(why) => Ok(Selected { device: cpu(asked)?, no_gpu: cuda::IS_BUILT_IN.then_some(why) }),
        },
        DeviceArg::Cpu => cpu(asked).map(Selected::from),
    }
}

const ONLY_F32: &str = "--precision bf16 is for GPUs; the processor computes in f32";

fn cpu(asked: Option<PrecisionArg>) -> Result<Device> {
    if asked == Some(PrecisionArg::Bf16) {
        return Err(Error::Usage(ONLY_F32.into()));
    }
    let name = std::env::var("AUGMENT_ISA").ok();
    Isa::named(name.as_deref()).map(Device::Cpu).map_err(|why| Error::Usage(format!("AUGMENT_ISA: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_devices_or_refused() {
        assert!(matches!(choose("cpu", None), Ok(Selected { device: Device::Cpu(_), no_gpu: None })));
        assert!(choose("auto", None).is_ok());
        assert!(matches!(
            choose("candle", Some(PrecisionArg::Bf16)),
            Ok(Selected { device: Device::Tensors { .. }, no_gpu: None })
        ));
        assert_eq!(DeviceArg::parse("cuda").ok(), Some(DeviceArg::Cuda(0)));
        assert_eq!(DeviceArg::parse("cuda:3").ok(), Some(DeviceArg::Cuda(3)));
        for name in ["cuda:x", "cuda:-1", "tpu", ""] {
            assert_eq!(choose(name, None).map_err(|e| e.exit_code()).err(), Some(2), "{name}");
        }
    }

    #[test]
    fn the_processor_has_one_precision() {
        assert_eq!(choose("cpu", Some(PrecisionArg::Bf16)).map_err(|e| e.exit_code()).err(), Some(2));
        assert!(choose("cpu", Some(PrecisionArg::F32)).is_ok());
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_gpu_is_refused_with_the_reason_and_never_replaced() {
        let error = choose("cuda:1", None).err().unwrap();
        assert!(error.to_string().contains("cuda:1") && error.to_string().contains("--features cuda"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
