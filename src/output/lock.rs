//! The locks that keep two runs from one output.

use crate::error::{Error, Result};
use crate::files::listing::entries;
use crate::files::marker::LOCK_NAME;
use crate::plan::shard::Shard;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// A lock that a run holds while it takes or releases its other locks; runs wait for it. While a run tidies the folder
/// it holds [`LOCK_NAME`] alone for a moment. Without this lock, a run that starts or ends at that moment would take it
/// for a run over everything.
const GATE_NAME: &str = ".augment.gate.lock";

/// Takes the locks of a run over `shard`, or over everything. If no other run holds the folder, calls `when_alone`
/// while this run holds it alone. The locks are released when the files are closed, also if the process is killed.
///
/// # Errors
/// [`Error::Run`] if another run holds the folder or the shard, [`Error::Io`] if the system refuses, and those of
/// `when_alone`.
pub fn take_locks(folder: &Path, shard: Option<Shard>, when_alone: impl FnOnce() -> Result<()>) -> Result<Vec<File>> {
    let path = folder.join(LOCK_NAME);
    let all = open_lock(&path)?;
    let _gate = pass_gate(folder)?;
    let alone = locked(all.try_lock(), &path)?;
    if alone {
        when_alone()?;
    }
    let Some(shard) = shard else {
        return if alone { Ok(vec![all]) } else { Err(held(folder, "another run is writing here")) };
    };
    all.unlock().map_err(Error::io(&path, "unlock it"))?;
    if !locked(all.try_lock_shared(), &path)? {
        return Err(held(folder, "another run over all shards is writing here"));
    }
    if let Some(other) = other_division(folder, shard)? {
        let who = format!("a run over the shard {other} is writing here, which divides the frames in another way");
        return Err(held(folder, &who));
    }
    let path = folder.join(format!(".augment.{shard}.lock"));
    let own = open_lock(&path)?;
    if !locked(own.try_lock(), &path)? {
        return Err(held(folder, &format!("another run over the shard {shard} is writing here")));
    }
    Ok(vec![all, own])
}

/// A shard of another number of shards that a run holds. Both would make the same pictures at the same time. The caller
/// holds the gate.
fn other_division(folder: &Path, shard: Shard) -> Result<Option<Shard>> {
    for path in entries(folder) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let other = name.strip_prefix(".augment.").and_then(|name| name.strip_suffix(".lock"));
        let Some(other) = other.and_then(Shard::of_file_name) else { continue };
        if other.count() != shard.count() && !locked(open_lock(&path)?.try_lock(), &path)? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Keeps runs from `folder` while its files are read, until the returned file is closed. Where no run has ever been or
/// can be, as on a disk that cannot be written, there is nothing to hold, and nothing is written.
///
/// # Errors
/// [`Error::Run`] if a run holds the folder, [`Error::Io`] if the system refuses.
pub fn hold(folder: &Path) -> Result<Option<File>> {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    let path = folder.join(LOCK_NAME);
    let lock = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(lock) => lock,
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem) => return Ok(None),
        Err(error) => return Err(Error::io(&path, "open the lock file")(error)),
    };
    let _gate = pass_gate(folder)?;
    if !locked(lock.try_lock(), &path)? {
        return Err(held(folder, "a run is writing here"));
    }
    Ok(Some(lock))
}

/// Waits until no other run takes or releases locks. They wait until the returned file is closed.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn pass_gate(folder: &Path) -> Result<File> {
    let path = folder.join(GATE_NAME);
    let gate = open_lock(&path)?;
    gate.lock().map_err(Error::io(&path, "lock it"))?;
    Ok(gate)
}

/// Opens a lock file, and creates it if there is none.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn open_lock(path: &Path) -> Result<File> {
    // NFS makes record locks of these locks, and a shared one needs a file that is open for reading.
    let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    options.map_err(Error::io(path, "create the lock file"))
}

/// Whether a lock was taken; `false` if another process holds it.
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
