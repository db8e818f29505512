//! Which backbone a run takes: from the command line, else the config, the environment, the cache, or the program
//! itself.

use crate::config::values::BackboneChoice;
use crate::error::{Error, Result};
use crate::nst::{Backbone, Settings, Tap, loss};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The environment variable with the path of a `.safetensors` file, or `builtin`. It counts where neither the command
/// line nor the config names a backbone.
pub const VARIABLE: &str = "AUGMENT_WEIGHTS";

/// How to get better weights.
pub const HINT: &str = "`augment weights pull` fetches ImageNet's VGG19";

/// Opens the backbone up to the deepest layer of `settings`: `asked` on the command line, else what the config says.
/// `auto` means the first of [`VARIABLE`], the cache and the built-in backbone.
///
/// # Errors
/// [`Error::Usage`] when `settings` name no layer. Other errors when the chosen file cannot be read, lacks a layer, or
/// has one of the wrong shape. A file that was asked for is never replaced by another.
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

/// The file that `auto` means, `None` for the built-in backbone; and why.
pub fn automatic() -> (Option<PathBuf>, &'static str) {
    let named = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let installed = installed_path().filter(|path| path.is_file());
    match (named, installed) {
        (Some(named), _) if named == "builtin" => (None, "AUGMENT_WEIGHTS says so"),
        (Some(named), _) => (Some(named.into()), "AUGMENT_WEIGHTS names it"),
        (None, Some(path)) => (Some(path), "it is in the cache"),
        (None, None) => (None, "AUGMENT_WEIGHTS is not set, and the cache holds no weights"),
    }
}

/// Where weights are installed: `$XDG_CACHE_HOME/augment/vgg19.safetensors`, by default below `~/.cache`.
pub fn installed_path() -> Option<PathBuf> {
    Some(cache_folder()?.join("augment/vgg19.safetensors"))
}

/// The folder for files of this user that can be made or downloaded again.
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
        return Err(Error::bad_file(path, "weights must be a .safetensors file, and this is none"));
    }
    // SAFETY: the mapping ends with this function, which copies all tensors out of it. This program never changes
    // weights in place: it renames a new file over the old one. Only another program could change the mapped bytes
    // meanwhile.
    let tensors = unsafe { VarBuilder::from_mmaped_safetensors(&[path], DType::F32, &Device::Cpu) }
        .map_err(|e| Error::bad_file(path, format!("is not a readable .safetensors file: {e}")))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Backbone::read(name, tensors, deepest)
        .map_err(|message| Error::bad_file(path, format!("{message}; is this a VGG19 with torchvision's names?")))
}
