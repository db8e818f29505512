//! The locks that keep two runs from one output.

use crate::error::{Error, Result};
use crate::output::manifest::{LOCK_NAME, tidy};
use crate::plan::shard::Shard;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// Held while a run takes or gives back its other locks, and waited for. Who tidies holds the lock above alone for a
/// moment, which no run that comes or goes meanwhile must take for another run's.
const GATE_NAME: &str = ".augment.gate.lock";

/// The locks of a run over `shard`; while it holds the folder alone, it tidies it.
pub fn take_locks(folder: &Path, shard: Option<Shard>) -> Result<Vec<File>> {
    let path = folder.join(LOCK_NAME);
    let all = open_lock(&path)?;
    let _gate = pass_gate(folder)?;
    let alone = locked(all.try_lock(), &path)?;
    if alone {
        tidy(folder)?;
    }
    let Some(shard) = shard else {
        return if alone { Ok(vec![all]) } else { Err(held(folder, "another run is writing here")) };
    };
    all.unlock().map_err(Error::io(&path, "unlock it"))?;
    if !locked(all.try_lock_shared(), &path)? {
        return Err(held(folder, "another run over all shards is writing here"));
    }
    let path = folder.join(format!(".augment.{shard}.lock"));
    let own = open_lock(&path)?;
    if !locked(own.try_lock(), &path)? {
        return Err(held(folder, &format!("another run over the shard {shard} is writing here")));
    }
    Ok(vec![all, own])
}

/// Waits for the gate, which is open again when the answer is dropped.
pub fn pass_gate(folder: &Path) -> Result<File> {
    let path = folder.join(GATE_NAME);
    let gate = open_lock(&path)?;
    gate.lock().map_err(Error::io(&path, "lock it"))?;
    Ok(gate)
}

pub fn open_lock(path: &Path) -> Result<File> {
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    options.map_err(Error::io(path, "make the lock file"))
}

fn locked(tried: Result<(), TryLockError>, path: &Path) -> Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io(path, "lock it")(error)),
    }
}

fn held(folder: &Path, who: &str) -> Error {
    Error::Run(format!("{}: {who}; wait for it or choose another --output", folder.display()))
}
