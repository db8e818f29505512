//! What the command line says about a run.

use crate::batch::learn;
use crate::batch::pending::Again;
use crate::plan::shard::Shard;
use std::path::PathBuf;

/// What the command line says about a run, besides what is done with each frame.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The output folder; `None` for one beside the dataset.
    pub output: Option<PathBuf>,
    /// Of several conditions, how many each frame gets; `None` for one.
    pub per_frame: Option<usize>,
    /// The most jobs to plan.
    pub limit: Option<usize>,
    pub shard: Option<Shard>,
    /// `None` for as many as device and memory allow.
    pub frames_at_once: Option<usize>,
    /// Do again what is done.
    pub force: bool,
    /// Do again what failed.
    pub retry_failed: bool,
    /// Weights were asked for, which configs without steps do not read.
    pub weights_given: bool,
    /// The most frames that a student learns from.
    pub learn_frames: usize,
}

impl RunOptions {
    /// What is done again although nothing has changed.
    pub fn again(&self) -> Again {
        Again { done: self.force, failed: self.force || self.retry_failed }
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            output: None,
            per_frame: None,
            limit: None,
            shard: None,
            frames_at_once: None,
            force: false,
            retry_failed: false,
            weights_given: false,
            learn_frames: learn::FRAMES,
        }
    }
}
