//! What helps against failures of the engine, which knows no config keys and no flags.

use crate::nst::StylizeError;

/// The words of the engine and, where there is one, the remedy.
pub fn message(failure: &StylizeError) -> String {
    match failure {
        StylizeError::Memory(_) => {
            format!("{failure}; lower stylize.size, scale the frame down, or use --device cpu")
        }
        _ => failure.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_whose_memory_is_too_short_is_reported_with_what_helps() {
        assert_eq!(
            message(&StylizeError::Memory("out of memory".into())),
            "the device's memory is too short even for this frame alone (out of memory); lower stylize.size, scale the \
             frame down, or use --device cpu"
        );
        assert_eq!(message(&StylizeError::Device("no".into())), "the device refuses: no");
    }
}
