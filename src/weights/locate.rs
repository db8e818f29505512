//! Which backbone a run gets: the command line, then the config, the environment, the cache, the built-in bank.

use crate::config::values::BackboneChoice;
use crate::error::{Error, Result};
use crate::nst::{Backbone, Settings, Tap, loss};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Names a `.safetensors` file, or `builtin`, where neither the command line nor the config does.
pub const VARIABLE: &str = "AUGMENT_WEIGHTS";

/// How to come by better weights.
pub const HINT: &str = "`augment weights pull` fetches ImageNet's VGG19";

/// Opens the backbone as far as the layers of `settings` need it: `asked` on the command line, else what the config says, where `auto` is the
/// first of [`VARIABLE`], the cache and the built-in bank.
///
/// # Errors
/// [`Error::Usage`] when `settings` name no layer; else when the chosen file cannot be read, lacks a layer or has one of the wrong shape. A file that was asked for is never
/// replaced by another.
pub fn open(asked: Option<&str>, config: &BackboneChoice, settings: &Settings) -> Result<Backbone> {
    let deepest = loss::deepest_tap(settings).map_err(Error::Usage)?;
    let choice = match asked {
        Some("auto") => BackboneChoice::Auto,
        Some("builtin") => BackboneChoice::Builtin,
        Some(path) => BackboneChoice::Path(path.into()),
        None => config.clone(),
    };
    let path = match choice {
        BackboneChoice::Path(path) => path,
        BackboneChoice::Builtin => return builtin(deepest),
        BackboneChoice::Auto => match automatic() {
            (Some(path), _) => path,
            (None, _) => return builtin(deepest),
        },
    };
    read(&path, deepest)
}

/// The file that `auto` means, `None` for the built-in bank, and why.
pub fn automatic() -> (Option<PathBuf>, &'static str) {
    match (env::var_os(VARIABLE).filter(|value| !value.is_empty()), cached().filter(|path| path.is_file())) {
        (Some(named), _) if named == "builtin" => (None, "AUGMENT_WEIGHTS says so"),
        (Some(named), _) => (Some(named.into()), "AUGMENT_WEIGHTS names it"),
        (None, Some(path)) => (Some(path), "it is in the cache"),
        (None, None) => (None, "AUGMENT_WEIGHTS is not set, and the cache holds no weights"),
    }
}

/// `$XDG_CACHE_HOME/augment/vgg19.safetensors`, by default below `~/.cache`.
pub fn cached() -> Option<PathBuf> {
    Some(cache_folder()?.join("augment/vgg19.safetensors"))
}

/// Where programs of this user keep what can be had again.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

fn builtin(deepest: Tap) -> Result<Backbone> {
    Backbone::builtin(deepest).map_err(|message| Error::Run(format!("the built-in backbone: {message}; {HINT}")))
}

fn read(path: &Path, deepest: Tap) -> Result<Backbone> {
    let metadata = path.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::bad_file(path, format!("these weights are not there; {HINT}")),
        _ => Error::io(path, "read the weights")(error),
    })?;
    if !metadata.is_file() {
        return Err(Error::bad_file(path, "weights must be a .safetensors file, and this is a folder"));
    }
    // SAFETY: all tensors are copied out before this function returns. As with every mapped file, a program that
    // truncates it in that time is at fault.
    let tensors = unsafe { VarBuilder::from_mmaped_safetensors(&[path], DType::F32, &Device::Cpu) }
        .map_err(|e| Error::bad_file(path, format!("is no readable .safetensors file: {e}")))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Backbone::read(name, tensors, deepest).map_err(|message| Error::bad_file(path, message))
}
