//! The native part of the Python module `augment_yolo`.
//!
//! It passes plain values only: arrays, bytes, and JSON text that the Python part reads. The classes and functions that
//! users see are in `augment_yolo/`.
//!
//! - [`failure`]: errors and panics as exceptions
//! - [`frames`]: single pictures and tasks of a run (`FrameStylizer`)
//! - [`run`]: whole runs and plans
//! - [`threads`]: the threads that compute, also after a fork

mod failure;
mod frames;
mod run;
mod threads;

use augment::batch::stop::GRACE;
use augment::config::preset::{self, Preset};
use augment::dataset::scan::EXTENSIONS;
use augment::files::marker::{LOCK_NAME, MANIFEST_NAME};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", module.py().get_type::<failure::Error>())?;
    module.add("ConfigError", module.py().get_type::<failure::ConfigError>())?;
    module.add("IMAGE_EXTENSIONS", EXTENSIONS.to_vec())?;
    module.add("MANIFEST_NAME", MANIFEST_NAME)?;
    module.add("LOCK_NAME", LOCK_NAME)?;
    module.add("GRACE", GRACE.as_secs_f64())?;
    module.add_class::<frames::FrameStylizer>()?;
    module.add_function(wrap_pyfunction!(run::run, module)?)?;
    module.add_function(wrap_pyfunction!(run::plan, module)?)?;
    module.add_function(wrap_pyfunction!(run::fingerprint, module)?)?;
    module.add_function(wrap_pyfunction!(run::rows, module)?)?;
    module.add_function(wrap_pyfunction!(run::labels, module)?)?;
    module.add_function(wrap_pyfunction!(run::class_number, module)?)?;
    module.add_function(wrap_pyfunction!(run::label_name, module)?)?;
    module.add_function(wrap_pyfunction!(init, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)
}

/// Runs the command line `args`, whose first word is the program's name, and returns the exit code.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| augment::cli::run::run(args))
}

/// Writes a preset and its style pictures into `folder`, and returns the path of the config.
#[pyfunction]
fn init(preset: &str, folder: PathBuf) -> PyResult<PathBuf> {
    let preset: Preset = preset.parse().map_err(failure::ConfigError::new_err)?;
    preset::write(preset, &folder).map_err(failure::exception)
}
