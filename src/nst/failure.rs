//! Why a picture could not be stylized.

use std::fmt;

/// Why a picture could not be stylized. The last three hold the words of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StylizeError {
    /// The loss of the start, or the gradient there, is not finite.
    LossNotFinite,
    /// The result has values that are not finite.
    PixelsNotFinite,
    /// The caller ended the work.
    Stopped,
    /// The device refused.
    Device(String),
    /// The memory of the device is too short, even for this picture alone.
    Memory(String),
    /// The device is lost for this process: it will refuse everything from now on.
    Lost(String),
}

impl From<candle_core::Error> for StylizeError {
    /// Tells the faults of a device apart. Candle wraps those of CUDA, cuDNN and cuBLAS in several layers, so they are
    /// known by their names in its message.
    fn from(error: candle_core::Error) -> Self {
        let words = error.to_string();
        if is_memory(&words) {
            Self::Memory(words)
        } else if is_lost(&words) {
            Self::Lost(words)
        } else {
            Self::Device(words)
        }
    }
}

impl fmt::Display for StylizeError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::LossNotFinite => {
                f.write_str("the loss of the first evaluation is not finite; are the weights damaged?")
            }
            Self::PixelsNotFinite => f.write_str("the result holds values that are not finite"),
            Self::Stopped => f.write_str("it was given up unfinished"),
            Self::Device(why) => write!(f, "the device refuses: {why}"),
            Self::Memory(why) => write!(f, "the device's memory is too short even for this frame alone ({why})"),
            Self::Lost(why) => write!(f, "the device can no longer be used: {why}"),
        }
    }
}

impl std::error::Error for StylizeError {}

/// Whether a device said that its memory is too short. CUDA, cuDNN and cuBLAS each have names of their own for this.
fn is_memory(words: &str) -> bool {
    let words = words.to_lowercase();
    ["out of memory", "out_of_memory", "alloc_failed", "allocation_failed"].iter().any(|name| words.contains(name))
}

/// Whether a device reported a fault that it will answer everything with from now on.
fn is_lost(words: &str) -> bool {
    const FAULTS: [&str; 9] = [
        "ILLEGAL_ADDRESS",
        "ILLEGAL_INSTRUCTION",
        "MISALIGNED_ADDRESS",
        "LAUNCH_FAILED",
        "LAUNCH_TIMEOUT",
        "ECC_UNCORRECTABLE",
        "HARDWARE_STACK_ERROR",
        "DEINITIALIZED",
        "CONTEXT_IS_DESTROYED",
    ];
    FAULTS.iter().any(|fault| words.contains(&format!("CUDA_ERROR_{fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_told_from_one_that_is_full_and_one_that_refuses() {
        let of = |words: &str| StylizeError::from(candle_core::Error::msg(words));
        for words in [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)",
            "CUDNN_STATUS_ALLOC_FAILED",
        ] {
            assert!(matches!(of(words), StylizeError::Memory(_)), "{words}");
        }
        let words = "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access\")";
        assert!(matches!(of(words), StylizeError::Lost(_)), "{words}");
        for words in [
            "DriverError(CUDA_ERROR_INVALID_VALUE, \"invalid argument\")",
            "unexpected dtype, expected: F32, got: BF16",
        ] {
            assert!(matches!(of(words), StylizeError::Device(_)), "{words}");
        }
    }
}
