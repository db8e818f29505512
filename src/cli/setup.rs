//! The first steps of every verb that computes, and the output of JSON.

use crate::cli::device::{self, Selected};
use crate::cli::{args, terminal};
use crate::config::values::Config;
use crate::error::{Error, Result};
use crate::nst::Device;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Starts the threads, opens the device and loads the config at `path`. A `seed` replaces the config's.
///
/// # Errors
/// See [`use_threads`], [`choose_device`] and [`Config::load`].
pub fn set_up(path: &Path, compute: &args::ComputeArgs, seed: Option<u64>) -> Result<(Device, Config)> {
    let device = start(compute)?;
    Ok((device, load(path, compute, seed)?))
}

/// [`set_up`] with the configs at all of `paths`.
///
/// # Errors
/// As [`set_up`].
pub fn set_up_all(paths: &[PathBuf], compute: &args::ComputeArgs, seed: Option<u64>) -> Result<(Device, Vec<Config>)> {
    let device = start(compute)?;
    Ok((device, paths.iter().map(|path| load(path, compute, seed)).collect::<Result<_>>()?))
}

fn start(compute: &args::ComputeArgs) -> Result<Device> {
    use_threads(compute.threads)?;
    choose_device(compute)
}

fn load(path: &Path, compute: &args::ComputeArgs, seed: Option<u64>) -> Result<Config> {
    let mut config = Config::load(path, &compute.sets)?;
    config.seed = seed.unwrap_or(config.seed);
    Ok(config)
}

/// The device that `--device` and `--precision` ask for. If `auto` finds no GPU in a build for GPUs, prints a warning
/// with the reason.
///
/// # Errors
/// See [`device::choose`].
pub fn choose_device(compute: &args::ComputeArgs) -> Result<Device> {
    let Selected { device, no_gpu } = device::choose(&compute.device, compute.precision)?;
    if let Some(why) = no_gpu {
        terminal::print_err(&format!("warning: no GPU can be used, so the processor computes: {why}"));
    }
    Ok(device)
}

/// Starts `threads` threads to compute with. Without a number, rayon starts them on first use: as many as
/// `RAYON_NUM_THREADS` says, or else one per core.
///
/// # Errors
/// [`Error::Run`] if the system refuses a thread, or if the threads are running already.
pub fn use_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
    pool.build_global().map_err(|e| Error::Run(format!("--threads {threads}: {e}")))
}

/// Prints `value` as JSON on standard output.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => terminal::print_out(&text),
        Err(error) => unreachable!("plain values always serialize: {error}"),
    }
}
