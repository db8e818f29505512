//! What each verb of the command line does; returns the exit code.

use crate::cli::device::{self, Choice};
use crate::cli::{args, terminal};
use crate::config::values::Config;
use crate::error::{Error, Result};
use crate::nst::backend::Machine;
use serde::Serialize;
use std::path::Path;

/// What every verb that computes begins with: threads, device, and the config with its seed.
pub fn set_up(path: &Path, machine: &args::Machine, seed: Option<u64>) -> Result<(Machine, Config)> {
    use_threads(machine.threads)?;
    let place = choose_device(machine)?;
    let mut config = Config::load(path, &machine.sets)?;
    config.seed = seed.unwrap_or(config.seed);
    Ok((place, config))
}

/// What `--device` names; where that is nothing but `auto` and no GPU can be used, it says why.
pub fn choose_device(machine: &args::Machine) -> Result<Machine> {
    let Choice { machine, no_gpu } = device::choose(&machine.device, machine.precision)?;
    no_gpu.iter().for_each(|why| terminal::tell(&format!("warning: the processor computes, no GPU: {why}")));
    Ok(machine)
}

pub fn use_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
    pool.build_global().map_err(|e| Error::Run(format!("--threads {threads}: {e}")))
}

pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => terminal::say(&text),
        Err(error) => unreachable!("plain values always serialize: {error}"),
    }
}
