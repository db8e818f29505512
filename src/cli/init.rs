//! `augment init`

use crate::cli::{args, terminal};
use crate::config::preset;
use crate::error::Result;

/// Runs `augment init PRESET` and returns the exit code.
///
/// # Errors
/// See [`preset::write`].
pub fn init(args: &args::InitArgs) -> Result<u8> {
    let config = preset::write(args.preset, &args.folder)?;
    terminal::print_err(&format!("{0}; next: augment preview --config {0} DATASET --open", config.display()));
    Ok(0)
}
