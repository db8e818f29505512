//! What each verb of the command line does; returns the exit code.

use crate::cli::device::{self, Selected};
use crate::cli::{args, terminal};
use crate::config::values::Config;
use crate::error::{Error, Result};
use crate::nst::Device;
use serde::Serialize;
use std::path::Path;

/// What every verb that computes begins with: threads, device, and the config with its seed.
pub fn set_up(path: &Path, compute: &args::ComputeArgs, seed: Option<u64>) -> Result<(Device, Config)> {
    use_threads(compute.threads)?;
    let device = choose_device(compute)?;
    let mut config = Config::load(path, &compute.sets)?;
    config.seed = seed.unwrap_or(config.seed);
    Ok((device, config))
}

/// What `--device` names; where that is nothing but `auto` and no GPU can be used, it says why.
pub fn choose_device(compute: &args::ComputeArgs) -> Result<Device> {
    let Selected { device, no_gpu } = device::choose(&compute.device, compute.precision)?;
    no_gpu.iter().for_each(|why| terminal::print_err(&format!("warning: the processor computes, no GPU: {why}")));
    Ok(device)
}

pub fn use_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
    pool.build_global().map_err(|e| Error::Run(format!("--threads {threads}: {e}")))
}

pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => terminal::print_out(&text),
        Err(error) => unreachable!("plain values always serialize: {error}"),
    }
}
