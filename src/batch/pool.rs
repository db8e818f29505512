//! Several frames at once: the jobs of a run, spread over workers that each have their own threads.
//!
//! One thread for each frame makes more frames an hour than all threads on one frame: no thread waits for another, and
//! files are read and written meanwhile. Each worker needs memory of its own.

use crate::batch::stop::Stop;
use crate::error::{Error, Result};
use crate::nst::loss::Loss;
use crate::output::row::{Row, Status};
use crate::plan::Job;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

/// Does one job after the other.
pub trait FrameWorker: Send {
    /// Makes the picture of `job` and its label, and writes into `row` what becomes known on the way. The answer is
    /// `false` where `on_evaluation` ended the work; then nothing of it is left on disk.
    ///
    /// # Errors
    /// When nothing can be made of the job; see [`Error::ends_run`] for those that end the run.
    fn work(&mut self, job: &Job, row: &mut Row, on_evaluation: OnEvaluation) -> Result<bool>;

    /// Forgets what a panic may have left half done.
    fn reset(&mut self);

    /// Removes what an earlier run made of a job that has failed now: it would be trained on.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn clear(&self, job: &Job) -> Result<()>;
}

/// Hears of every evaluation of a job, and may end the work.
pub type OnEvaluation<'a> = &'a mut dyn FnMut(Evaluation) -> ControlFlow<()>;

/// One evaluation of a job.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation {
    /// From 1.
    pub evaluation: usize,
    /// How many there are at most, at all scales.
    pub of: usize,
    pub loss: Loss,
}

/// What a worker reports.
pub enum WorkerEvent<'a> {
    /// It began a job.
    Began(&'a Job),
    /// It made an evaluation of it.
    Evaluated(&'a Job, Evaluation),
    /// It finished a job, done or failed.
    Finished(Box<Row>),
    /// It met an error that every other frame would meet too, and ended.
    Broken(Error),
}

/// Thread pools, one for each worker.
pub struct WorkerPool(Vec<ThreadPool>);

impl WorkerPool {
    /// Shares `threads` out among `workers`. Each worker has at least one thread, also if there are more workers than
    /// threads: with a device, workers mostly wait for it.
    ///
    /// # Errors
    /// [`Error::Run`] when the system gives no threads.
    pub fn new(workers: usize, threads: usize) -> Result<Self> {
        let workers = workers.max(1);
        let pool = |n: usize| {
            let own = (threads / workers + usize::from(n < threads % workers)).max(1);
            let pool = ThreadPoolBuilder::new().num_threads(own).build();
            pool.map_err(|error| Error::Run(format!("no threads to work with: {error}")))
        };
        (0..workers).map(pool).collect::<Result<_>>().map(Self)
    }

    /// Does `jobs`, which begin in their order, until all are done or `stop` is asked for. `new_row` makes the row of a
    /// job that has not come to anything yet. `listen` hears of every event, on the calling thread. If it returns an
    /// error, no job begins any more, those in progress are given up, and no event follows.
    ///
    /// # Errors
    /// What `listen` returns.
    pub fn run<'a, W: FrameWorker>(
        &self,
        jobs: &[&'a Job],
        new_worker: impl Fn() -> W + Sync,
        new_row: impl Fn(&Job) -> Row + Sync,
        stop: &Stop,
        listen: impl FnMut(WorkerEvent<'a>) -> Result<()>,
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let (events, received) = channel();
        thread::scope(|scope| {
            for pool in &self.0 {
                let (events, next, new_worker, new_row) = (events.clone(), &next, &new_worker, &new_row);
                scope.spawn(move || {
                    let mut worker = new_worker();
                    // Events can no longer be sent once `listen` has failed.
                    while !stop.asked()
                        && let Some(&job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                        && events.send(WorkerEvent::Began(job)).is_ok()
                    {
                        let Some(event) = pool.install(|| do_job(&mut worker, job, new_row(job), &events, stop)) else {
                            continue;
                        };
                        let is_last = matches!(event, WorkerEvent::Broken(_));
                        if events.send(event).is_err() || is_last {
                            break;
                        }
                    }
                });
            }
            drop(events);
            received.into_iter().try_for_each(listen)
        })
    }
}

/// Does one job. Returns its last event, or `None` if it was given up unfinished.
fn do_job<'a>(
    worker: &mut impl FrameWorker,
    job: &'a Job,
    mut row: Row,
    events: &Sender<WorkerEvent<'a>>,
    stop: &Stop,
) -> Option<WorkerEvent<'a>> {
    let begun = Instant::now();
    let mut on_evaluation = |evaluation| {
        let is_heard = events.send(WorkerEvent::Evaluated(job, evaluation)).is_ok();
        if is_heard && !stop.overdue() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    // A decoder that panics over one file fails that frame alone.
    match catch_unwind(AssertUnwindSafe(|| worker.work(job, &mut row, &mut on_evaluation))) {
        Ok(Ok(true)) => row.status = Status::Done,
        Ok(Ok(false)) => return None,
        Ok(Err(error)) if error.ends_run() => return Some(WorkerEvent::Broken(error)),
        Ok(Err(error)) => row.outcome.error = Some(error.to_string()),
        Err(_) => {
            worker.reset();
            let source = &row.identity.source;
            row.outcome.error = Some(format!("{source}: the program panicked over this frame; please report it"));
        }
    }
    if row.status == Status::Failed {
        // Any other error is over what is in the place of this frame's files, which is why the frame has failed.
        if let Err(error) = worker.clear(job).map_err(Error::over_output)
            && error.ends_run()
        {
            return Some(WorkerEvent::Broken(error));
        }
        stop.count_failure();
    }
    row.outcome.seconds = begun.elapsed().as_secs_f64();
    Some(WorkerEvent::Finished(Box::new(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::stop::Reason;
    use crate::output::row::{Identity, Producer};
    use std::io;
    use std::path::Path;
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    /// So that a test that would wait forever fails.
    const LONGEST_WAIT: Duration = Duration::from_secs(60);

    /// Does to each job what `act` says, by the job's number.
    struct Fake<'a, F> {
        act: &'a F,
        calls: &'a Mutex<Vec<String>>,
    }

    impl<F: Fn(u32, OnEvaluation) -> Result<bool> + Sync> FrameWorker for Fake<'_, F> {
        fn work(&mut self, job: &Job, row: &mut Row, on_evaluation: OnEvaluation) -> Result<bool> {
            row.outcome.evals = Some(1);
            (self.act)(job.variant, on_evaluation)
        }

        fn reset(&mut self) {
            self.calls.lock().unwrap().push("reset".into());
        }

        fn clear(&self, job: &Job) -> Result<()> {
            self.calls.lock().unwrap().push(format!("clear {}", job.variant));
            Ok(())
        }
    }

    fn job(number: u32) -> Job {
        Job { frame: 0, variant: number, styles: Vec::new(), seed: 0, output: number.to_string(), label_output: None }
    }

    fn new_row(job: &Job) -> Row {
        Row::new(Identity { source: job.output.clone(), ..Identity::default() }, Producer::default())
    }

    /// What came of a run.
    struct Ran {
        events: Vec<String>,
        /// Calls of [`FrameWorker::reset`] and [`FrameWorker::clear`].
        calls: Vec<String>,
        ended: Result<()>,
    }

    impl Ran {
        /// The rows, in any order.
        fn rows(&self) -> Vec<&str> {
            let is_row = |event: &&str| event.starts_with("done") || event.starts_with("failed");
            let mut rows: Vec<&str> = self.events.iter().map(String::as_str).filter(is_row).collect();
            rows.sort_unstable();
            rows
        }
    }

    /// Runs the jobs 1 to `count` on this many workers.
    fn run(workers: usize, count: u32, stop: &Stop, act: impl Fn(u32, OnEvaluation) -> Result<bool> + Sync) -> Ran {
        let jobs: Vec<Job> = (1..=count).map(job).collect();
        let jobs: Vec<&Job> = jobs.iter().collect();
        let (mut events, calls) = (Vec::new(), Mutex::new(Vec::new()));
        let listen = |event: WorkerEvent| {
            events.push(match event {
                WorkerEvent::Began(job) => format!("began {}", job.variant),
                WorkerEvent::Evaluated(job, made) => format!("evaluated {} {}", job.variant, made.evaluation),
                WorkerEvent::Finished(row) if row.status == Status::Done => format!("done {}", row.identity.source),
                WorkerEvent::Finished(row) => format!("failed {}", row.outcome.error.unwrap()),
                WorkerEvent::Broken(error) => return Err(error),
            });
            Ok(())
        };
        let pool = WorkerPool::new(workers, workers).unwrap();
        let ended = pool.run(&jobs, || Fake { act: &act, calls: &calls }, new_row, stop, listen);
        Ran { events, calls: calls.into_inner().unwrap(), ended }
    }

    fn evaluation(evaluation: usize) -> Evaluation {
        Evaluation { evaluation, of: 9, loss: Loss { total: 1.0, content: 1.0, style: 1.0, tv: 1.0 } }
    }

    fn bad_frame(number: u32) -> Error {
        Error::bad_file(Path::new(&number.to_string()), "no picture")
    }

    fn lost_device() -> Error {
        Error::Fatal("the device can no longer be used".into())
    }

    fn full_disk() -> Error {
        Error::io(Path::new("out"), "write it")(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn every_thread_is_given_to_a_worker() {
        for (workers, threads) in [(1, 4), (3, 8), (8, 8), (9, 2), (0, 2)] {
            let WorkerPool(pools) = WorkerPool::new(workers, threads).unwrap();
            assert_eq!(pools.len(), workers.max(1));
            assert_eq!(pools.iter().map(ThreadPool::current_num_threads).sum::<usize>(), threads.max(workers));
        }
    }

    #[test]
    fn one_worker_does_the_jobs_in_their_order_and_reports_each_evaluation() {
        let ran = run(1, 2, &Stop::default(), |_, on_evaluation| Ok(on_evaluation(evaluation(1)).is_continue()));
        assert!(ran.ended.is_ok() && ran.calls.is_empty());
        assert_eq!(ran.events, ["began 1", "evaluated 1 1", "done 1", "began 2", "evaluated 2 1", "done 2"]);
    }

    #[test]
    fn a_slow_frame_holds_up_no_other_and_every_job_is_done_once() {
        let (others, changed) = (Mutex::new(0), Condvar::new());
        let ran = run(2, 5, &Stop::default(), |number, _| {
            let mut done = others.lock().unwrap();
            if number == 1 {
                // The other worker does all other jobs meanwhile.
                let (_done, waited) = changed.wait_timeout_while(done, LONGEST_WAIT, |done| *done < 4).unwrap();
                return Ok(!waited.timed_out());
            }
            *done += 1;
            changed.notify_all();
            Ok(true)
        });
        assert!(ran.ended.is_ok());
        assert_eq!(ran.rows(), ["done 1", "done 2", "done 3", "done 4", "done 5"]);
    }

    #[test]
    fn a_stop_request_lets_the_frame_in_progress_finish_and_no_other_begin() {
        let stop = Stop::default();
        let ran = run(1, 3, &stop, |number, on_evaluation| {
            if number == 2 {
                stop.ask(Reason::Interrupted);
            }
            Ok(on_evaluation(evaluation(1)).is_continue())
        });
        assert!(ran.ended.is_ok());
        assert_eq!(ran.events, ["began 1", "evaluated 1 1", "done 1", "began 2", "evaluated 2 1", "done 2"]);
    }

    #[test]
    fn a_frame_that_is_given_up_after_the_grace_period_has_no_row() {
        let stop = Stop::default();
        let ran = run(1, 3, &stop, |_, on_evaluation| {
            stop.ask_overdue();
            Ok(on_evaluation(evaluation(1)).is_continue())
        });
        assert!(ran.ended.is_ok());
        assert_eq!(ran.events, ["began 1", "evaluated 1 1"]);
    }

    #[test]
    fn a_run_stops_after_as_many_failures_as_are_allowed() {
        let stop = Stop::after_failures(Some(2));
        let ran = run(1, 5, &stop, |number, _| if number == 1 { Ok(true) } else { Err(bad_frame(number)) });
        assert!(ran.ended.is_ok());
        assert_eq!(ran.rows(), ["done 1", "failed 2: no picture", "failed 3: no picture"]);
        assert_eq!(ran.calls, ["clear 2", "clear 3"]);
        assert_eq!(stop.reason(), Some(Reason::TooManyFailures));
    }

    #[test]
    fn a_panic_fails_its_frame_alone_and_the_worker_goes_on_after_a_reset() {
        let ran = run(1, 3, &Stop::default(), |number, _| {
            assert!(number != 2, "this test panics here on purpose");
            Ok(true)
        });
        assert!(ran.ended.is_ok());
        let failed = "failed 2: the program panicked over this frame; please report it";
        assert_eq!(ran.events, ["began 1", "done 1", "began 2", failed, "began 3", "done 3"]);
        assert_eq!(ran.calls, ["reset", "clear 2"]);
    }

    #[test]
    fn an_error_that_every_frame_would_meet_ends_the_run_without_a_row() {
        for error in [lost_device, full_disk] {
            let ran = run(1, 3, &Stop::default(), |number, _| if number == 2 { Err(error()) } else { Ok(true) });
            assert_eq!(ran.ended.unwrap_err().to_string(), error().to_string());
            assert_eq!(ran.events, ["began 1", "done 1", "began 2"]);
        }
    }

    #[test]
    fn frames_in_progress_are_given_up_without_a_row_once_the_run_has_ended() {
        let (other_begun, changed) = (Mutex::new(false), Condvar::new());
        let ran = run(2, 9, &Stop::default(), |number, on_evaluation| {
            let mut begun = other_begun.lock().unwrap();
            if number == 1 {
                drop(changed.wait_timeout_while(begun, LONGEST_WAIT, |begun| !*begun).unwrap());
                return Err(lost_device());
            }
            *begun = true;
            changed.notify_all();
            drop(begun);
            // Evaluates until it is told to give up.
            Ok((1..).all(|n| on_evaluation(evaluation(n)).is_continue()))
        });
        assert!(ran.ended.is_err());
        assert!(ran.rows().is_empty() && !ran.events.contains(&"began 3".into()), "{:?}", ran.events);
    }

    #[test]
    fn an_error_of_the_listener_ends_the_run() {
        let jobs = [job(1), job(2)];
        let (mut events, calls) = (0, Mutex::new(Vec::new()));
        let act = |_, _: OnEvaluation| Ok(true);
        let new_worker = || Fake { act: &act, calls: &calls };
        let pool = WorkerPool::new(1, 1).unwrap();
        let ended = pool.run(&[&jobs[0], &jobs[1]], new_worker, new_row, &Stop::default(), |event| {
            events += 1;
            if matches!(event, WorkerEvent::Finished(_)) { Err(full_disk()) } else { Ok(()) }
        });
        assert!(ended.is_err() && events == 2, "{events}");
    }
}
