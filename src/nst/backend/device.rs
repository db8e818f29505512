//! The choice between the CPU's kernels and a device of Candle's.

use crate::nst::backend::limit::BatchLimit;
use crate::nst::kernels::simd::Isa;
use crate::nst::network::tensors::Precision;
use std::fmt;
use std::sync::Arc;

/// What a network runs on.
#[derive(Clone, Debug)]
pub enum Device {
    /// The kernels for this instruction set. Each evaluation runs on the threads that ask for it.
    Cpu(Isa),
    /// A device of Candle's. It works on as many pictures at once as `limit` allows.
    Tensors { device: candle_core::Device, name: String, precision: Precision, limit: Arc<BatchLimit> },
}

impl From<Isa> for Device {
    fn from(isa: Isa) -> Self {
        Self::Cpu(isa)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cpu(isa) => write!(f, "cpu {isa}"),
            Self::Tensors { name, precision: Precision::F32, .. } => write!(f, "{name} f32"),
            Self::Tensors { name, precision: Precision::Bf16, .. } => write!(f, "{name} bf16"),
        }
    }
}

impl Device {
    /// Candle's own operations on the CPU: slow, for comparison.
    pub fn candle(precision: Precision) -> Self {
        // Larger batches gain nothing on a processor.
        let limit = Arc::new(BatchLimit::new(2, usize::MAX));
        Self::Tensors { device: candle_core::Device::Cpu, name: "candle cpu".into(), precision, limit }
    }
}
