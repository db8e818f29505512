//! `augment init`

use crate::cli::{args, terminal};
use crate::config::preset;
use crate::error::Result;

/// `augment init PRESET`
pub fn init(args: &args::Init) -> Result<u8> {
    let config = preset::write(args.preset, &args.folder)?;
    terminal::tell(&format!("{0}; next: augment preview --config {0} DATASET --open", config.display()));
    Ok(0)
}
