//! Why a picture could not be stylized.

use crate::nst::backend::batcher::GONE;
use std::fmt;

/// Why a picture could not be stylized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StylizeError {
    /// The loss was no number from the start.
    LossNotFinite,
    /// The result holds values that are no numbers.
    PixelsNotFinite,
    /// Whoever hears of the steps asked for no more.
    Stopped,
    /// The device refused, with its own words.
    Device(String),
    /// So it did since its memory is too short, even for this picture alone.
    Memory(String),
    /// The device will do nothing more for this process.
    Lost(String),
}

impl StylizeError {
    pub(crate) fn device(words: String) -> Self {
        match () {
            () if is_memory(&words) => Self::Memory(words),
            () if is_lost(&words) => Self::Lost(words),
            () => Self::Device(words),
        }
    }
}

impl std::error::Error for StylizeError {}

impl fmt::Display for StylizeError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Device(why) => return write!(f, "the device refuses: {why}"),
            Self::Lost(why) => return write!(f, "the device can no longer be used: {why}"),
            Self::Memory(why) => {
                return write!(
                    f,
                    "the device's memory is too short even for this frame alone ({why}); lower stylize.size, scale the \
                     frame down, or use --device cpu"
                );
            }
            Self::LossNotFinite => "the loss of the first evaluation is not finite; are the weights damaged?",
            Self::PixelsNotFinite => "the result holds values that are not finite",
            Self::Stopped => "it was given up unfinished",
        })
    }
}

/// Whether a device said that its memory is too short: CUDA, cuDNN and cuBLAS each have a name of their own for it.
pub fn is_memory(error: &str) -> bool {
    let error = error.to_lowercase();
    ["out of memory", "out_of_memory", "alloc_failed", "allocation_failed"].iter().any(|name| error.contains(name))
}

/// Whether a device said what it will say to everything from now on: such faults outlive what met them.
pub fn is_lost(error: &str) -> bool {
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
    error == GONE || FAULTS.iter().any(|fault| error.contains(&format!("CUDA_ERROR_{fault}")))
}
