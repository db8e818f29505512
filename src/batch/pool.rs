//! Several frames at once. One worker a thread makes more frames an hour than all threads on one frame, since no
//! thread waits for another and files are read and written meanwhile; it takes a workbench for each.

use crate::batch::stop::Stop;
use crate::batch::styles::JobContext;
use crate::batch::worker::{Step, Worker};
use crate::error::{Error, Result};
use crate::output::row::{Row, Status};
use crate::plan::Job;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

/// What a worker says of its work.
pub enum WorkerEvent<'a> {
    /// It began a job.
    Frame(&'a Job),
    /// It made an evaluation of it.
    Evaluated(&'a Job, Step),
    /// It is done with it.
    Row(Box<Row>),
    /// It met what every other frame would meet too.
    Broken(Error),
}

/// Thread pools, one for each frame that is worked on at once.
pub struct WorkerPool(Vec<ThreadPool>);

impl WorkerPool {
    /// `threads` dealt out to `workers`, both at least 1. Where there are more workers, which mostly wait for a device, each
    /// has one.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(workers: usize, threads: usize) -> Result<Self> {
        let workers = workers.max(1);
        let pool = |n: usize| {
            let own = (threads / workers + usize::from(n < threads % workers)).max(1);
            let pool = ThreadPoolBuilder::new().num_threads(own).build();
            pool.map_err(|error| Error::Run(format!("no threads to work with: {error}")))
        };
        (0..workers).map(pool).collect::<Result<_>>().map(Self)
    }

    /// Works through `jobs`, which start in their order, until the end or until `stop` says so; `empty` is the row of one
    /// that has come to nothing yet. `listen` hears every note on the calling thread; an error of its own ends the work.
    ///
    /// # Errors
    /// What `listen` says.
    pub fn run<'a>(
        &self,
        context: &'a JobContext<'a>,
        jobs: &[&'a Job],
        empty: impl Fn(&Job) -> Row + Sync,
        stop: &Stop,
        mut listen: impl FnMut(WorkerEvent<'a>) -> Result<()>,
    ) -> Result<()> {
        let (next, broken) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (notes, heard) = channel();
        thread::scope(|scope| {
            for pool in &self.0 {
                let (notes, empty, next, broken) = (notes.clone(), &empty, &next, &broken);
                scope.spawn(move || {
                    let mut worker = Worker::new(context);
                    while !stop.asked()
                        && !broken.load(Ordering::Relaxed)
                        && let Some(&job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let last = pool.install(|| job_note(&mut worker, job, empty(job), &notes, stop));
                        // Nobody listens any more once the run has failed: what is made then would have no row.
                        if last.is_some_and(|last| notes.send(last).is_err()) {
                            break;
                        }
                    }
                });
            }
            drop(notes);
            let result = heard.iter().try_for_each(&mut listen);
            broken.store(true, Ordering::Relaxed);
            result
        })
    }
}

/// Does one job and says how it went; `None` if it was given up unfinished.
fn job_note<'a>(
    worker: &mut Worker,
    job: &'a Job,
    mut row: Row,
    notes: &Sender<WorkerEvent<'a>>,
    stop: &Stop,
) -> Option<WorkerEvent<'a>> {
    let begun = Instant::now();
    let _ = notes.send(WorkerEvent::Frame(job));
    let on_step = |step| {
        let _ = notes.send(WorkerEvent::Evaluated(job, step));
        if stop.overdue() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // A decoder's panic over one file is that frame's failure.
    match catch_unwind(AssertUnwindSafe(|| worker.work(job, &mut row, on_step))) {
        Ok(Ok(true)) => row.status = Status::Done,
        Ok(Ok(false)) => return None,
        Ok(Err(error)) if error.ends_run() => return Some(WorkerEvent::Broken(error)),
        Ok(Err(error)) => row.error = Some(error.to_string()),
        Err(_) => {
            worker.reset();
            row.error = Some(format!("{}: the program panicked over this frame; please report it", row.source));
        }
    }
    if row.status == Status::Failed {
        if let Err(error) = worker.clear(job) {
            return Some(WorkerEvent::Broken(error));
        }
        stop.count_failure();
    }
    row.seconds = begun.elapsed().as_secs_f64();
    Some(WorkerEvent::Row(Box::new(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::capacity::frames_that_fit;

    #[test]
    fn threads_are_dealt_out_and_none_is_left() {
        for (workers, threads) in [(1, 4), (3, 8), (8, 8), (9, 2), (0, 2)] {
            let WorkerPool(pools) = WorkerPool::new(workers, threads).unwrap();
            assert_eq!(pools.len(), workers.max(1));
            assert_eq!(pools.iter().map(ThreadPool::current_num_threads).sum::<usize>(), threads.max(workers));
        }
    }

    #[test]
    fn frames_too_large_for_memory_are_worked_on_one_by_one() {
        assert_eq!(frames_that_fit(16, u64::MAX), 1);
        assert_eq!(frames_that_fit(3, 1), 3);
    }
}
