//! How many frames fit into memory at once, and how long a plan takes.

use crate::batch::Batch;
use crate::batch::pool::WorkerPool;
use crate::batch::provenance::Engine;
use crate::batch::remedy;
use crate::error::{Error, Result};
use crate::imageio::decode;
use crate::memory;
use crate::nst::schedule::Scale;
use crate::nst::{Size, Stylizer, schedule};
use crate::plan::{Job, Plan};
use std::time::Duration;

/// About what one more frame in hand takes, besides the network that all share.
pub fn bytes_per_frame(full: Size, scales: &[Scale]) -> u64 {
    // Measured: activations, gradients and ReLU bits to relu5_1 at each working size; copies in f32 at the full one.
    let working: usize = scales.iter().map(|scale| scale.size.pixels()).sum();
    (working * 1500 + full.pixels() * 100) as u64
}

/// Frames to work on at once, were memory no matter: as many as there are threads, since one that needs no other waits for
/// none. For a device that works on `batch` pictures at once, two batches: one is decoded, optimized and written while the
/// device has the other.
pub fn most_frames(batch: Option<usize>, threads: usize) -> usize {
    batch.map_or(threads, |batch| 2 * batch)
}

/// How many frames of `bytes` each fit into half of the memory that is free now, 1 to `most`.
pub fn frames_that_fit(most: usize, bytes: u64) -> usize {
    (memory::free() / 2 / bytes.max(1)).clamp(1, most as u64) as usize
}

/// Frames whose size is looked at for an estimate.
const SAMPLE: usize = 16;

impl Batch {
    /// How long `plan` would take here, by measuring two evaluations at the size of its first readable frame.
    ///
    /// # Errors
    /// When the engine cannot be set up. Frames that cannot be read do not count.
    pub fn estimate(&self, plan: &Plan, engine: &Engine) -> Result<Option<Duration>> {
        let stylizer = self.stylizer(engine)?;
        let every = plan.jobs.len().div_ceil(SAMPLE).max(1);
        let sizes: Vec<Size> = plan
            .jobs
            .iter()
            .step_by(every)
            .filter_map(|job| decode::dimensions(&plan.frame(job).path).ok())
            .map(|(width, height)| Size { height: height as usize, width: width as usize })
            .map(|full| stylizer.working_size(full))
            .collect();
        let Some(&first) = sizes.first() else { return Ok(None) };
        let work = |size: &Size| size.pixels() as f64 * schedule::cost(&stylizer.scales(*size));
        let mean = sizes.iter().map(work).sum::<f64>() / sizes.len() as f64;
        let evaluation =
            stylizer.evaluators(first).seconds_per_evaluation(2).map_err(|why| Error::Run(remedy::message(&why)))?;
        let seconds = evaluation * mean / first.pixels() as f64 * plan.jobs.len() as f64;
        Ok(Some(Duration::from_secs_f64(seconds)))
    }

    /// As many frames at once as [`crew::most_frames`] says, if memory allows.
    pub(crate) fn crew(&self, stylizer: &Stylizer, plan: &Plan, todo: &[&Job]) -> Result<WorkerPool> {
        let threads = rayon::current_num_threads();
        let sample = todo.iter().step_by(todo.len().div_ceil(SAMPLE).max(1));
        let sizes = sample.filter_map(|job| decode::dimensions(&plan.frame(job).path).ok());
        let sizes: Vec<Size> =
            sizes.map(|(width, height)| Size { height: height as usize, width: width as usize }).collect();
        let at_once = |&full: &Size| most_frames(stylizer.batch(stylizer.working_size(full)), threads);
        let most = sizes.iter().map(at_once).max().unwrap_or(threads);
        let frames = self.order.frames_at_once.unwrap_or_else(|| {
            let bytes = sizes.iter().map(|&full| bytes_per_frame(full, &stylizer.scales(stylizer.working_size(full))));
            frames_that_fit(most, bytes.max().unwrap_or(0))
        });
        WorkerPool::new(frames.min(most).min(todo.len()), threads)
    }
}
