//! The threads that compute.
//!
//! A process that forks, as the workers of a PyTorch loader do, has none of its parent's threads. So threads belong to a
//! process: another process gets its own, when it first asks.

use crate::failure::Error;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// By number of threads.
type Pools = HashMap<usize, Arc<ThreadPool>>;

/// Those of the process with this id.
static POOLS: Mutex<Option<(u32, Pools)>> = Mutex::new(None);

/// The threads of this process, `count` of them, or one for each core for 0.
///
/// # Errors
/// When the system gives no threads.
///
/// The lock is held only while the caller holds Python's own lock (`_py`), which a fork takes too. So no child begins
/// with a lock that is never released.
pub fn of_process(_py: Python<'_>, count: usize) -> PyResult<Arc<ThreadPool>> {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let own = std::process::id();
    if let Some((process, of_parent)) = pools.take_if(|(process, _)| *process != own) {
        debug_assert_ne!(process, own);
        // Closing them would wait for threads that are not there.
        std::mem::forget(of_parent);
    }
    let (_, pools) = pools.get_or_insert_with(|| (own, HashMap::new()));
    if let Some(pool) = pools.get(&count) {
        return Ok(pool.clone());
    }
    let pool = ThreadPoolBuilder::new().num_threads(count).build();
    let pool = Arc::new(pool.map_err(|error| Error::new_err(format!("no threads to work with: {error}")))?);
    pools.insert(count, pool.clone());
    Ok(pool)
}
