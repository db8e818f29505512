//! Where to compute: what `--device` says, against what this build and machine have.

use crate::error::{Error, Result};
use crate::nst::simd::Isa;

/// Resolves `--device` to the processor's instruction set.
///
/// # Errors
/// [`Error::Usage`] for a name that is no device and for an `AUGMENT_ISA` that this processor lacks; [`Error::Run`] for
/// a GPU, which this build cannot use: nothing falls back to the CPU unasked.
pub fn choose(name: &str) -> Result<Isa> {
    let gpu = name == "cuda" || name.strip_prefix("cuda:").is_some_and(|index| index.parse::<usize>().is_ok());
    match name {
        "auto" | "cpu" => Isa::from_env().map_err(Error::Usage),
        _ if gpu => Err(Error::Run(format!(
            "--device {name}: this build computes on the CPU only; leave --device out, or say --device cpu"
        ))),
        _ => Err(Error::Usage(format!("--device {name}: no such device; expected auto or cpu"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_refused_and_never_replaced() {
        assert!(choose("cpu").is_ok() && choose("auto").is_ok());
        assert_eq!(choose("cuda:1").map_err(|e| e.exit_code()), Err(1));
        assert_eq!(choose("cuda:x").map_err(|e| e.exit_code()), Err(2));
        assert_eq!(choose("tpu").map_err(|e| e.exit_code()), Err(2));
    }
}
