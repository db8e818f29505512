//! The thread that owns a device. It does what other threads ask for, and optimizes pictures in batches.
//!
//! When the device is free, the pictures that wait and have the same size and settings become the next batch, as many
//! as memory allows. They go in step from the first evaluation to the last, and their vectors stay on the device.

use crate::nst::backend::limit::BatchLimit;
use crate::nst::failure::StylizeError;
use crate::nst::layers::Padding;
use crate::nst::loss::tensors::{self, TensorObjective};
use crate::nst::loss::{Guides, Loss, StyleTarget};
use crate::nst::network::tensors::{TensorTrunk, download};
use crate::nst::optim::preconditioner::tensors::Preconditioner;
use crate::nst::optim::tensors::Tensors;
use crate::nst::optim::{self, OptimOptions};
use crate::nst::picture::geometry::Size;
use crate::nst::settings::Settings;
use candle_core::Tensor;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a batch that has room waits for one more picture: little, compared with its evaluations.
const GATHER: Duration = Duration::from_millis(5);

/// The thread of a device. Dropping it waits for the thread to end, so that the program does not end before.
pub struct DeviceThread {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl DeviceThread {
    /// Starts a thread that builds its trunk with `make`: CUDA orders only the work of one thread.
    ///
    /// # Errors
    /// The error of `make`.
    pub fn spawn(
        make: impl FnOnce() -> Result<TensorTrunk, String> + Send + 'static,
        limit: Arc<BatchLimit>,
    ) -> Result<Self, String> {
        let (requests, waiting) = channel();
        let (ready, started) = channel();
        let thread = thread::spawn(move || match make() {
            Ok(trunk) => {
                let _ = ready.send(Ok(()));
                serve(&trunk, &waiting, &limit);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        started.recv().unwrap_or_else(|_| Err(ENDED.into()))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// # Errors
    /// When the thread has ended.
    pub fn send(&self, request: Request) -> Result<(), StylizeError> {
        self.requests.as_ref().and_then(|requests| requests.send(request).ok()).ok_or_else(ended)
    }

    /// Does `work` on the thread and waits for its result.
    ///
    /// # Errors
    /// When the device refuses, `work` panics, or the thread has ended.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TensorTrunk) -> Result<T, StylizeError> + Send + 'static,
    ) -> Result<T, StylizeError> {
        let (reply, result) = channel();
        let work = move |trunk: &TensorTrunk| {
            let _ = reply.send(catch_panic(|| work(trunk)));
        };
        self.send(Request::Run(Box::new(work)))?;
        result.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for DeviceThread {
    fn drop(&mut self) {
        self.requests = None;
        self.thread.take().map(JoinHandle::join);
    }
}

const ENDED: &str = "the device's thread has ended";

/// The error of a request that the thread no longer answers.
pub fn ended() -> StylizeError {
    StylizeError::Lost(ENDED.into())
}

/// What other threads ask for.
pub enum Request {
    Optimize(Box<Optimization>),
    /// Work that is no part of a batch.
    Run(Box<dyn FnOnce(&TensorTrunk) + Send>),
}

/// Pictures with the same task are optimized in one batch.
#[derive(Clone, PartialEq)]
pub struct TensorTask {
    pub settings: Arc<Settings>,
    pub size: Size,
    pub padding: Padding,
}

impl TensorTask {
    /// See [`tensors::style_target`].
    ///
    /// # Errors
    /// When the device refuses.
    pub fn style_target(
        &self,
        trunk: &TensorTrunk,
        pixels: &[f32],
        guides: &Guides,
    ) -> candle_core::Result<StyleTarget> {
        let picture = trunk.upload(&[pixels], self.size)?;
        tensors::style_target(trunk, &self.settings.style, &picture, self.padding, guides)
    }

    /// See [`tensors::objective`].
    ///
    /// # Errors
    /// When the device refuses.
    pub fn objective(
        &self,
        trunk: &TensorTrunk,
        content: &[f32],
        style: &StyleTarget,
        guides: &Guides,
    ) -> candle_core::Result<TensorObjective> {
        let content = trunk.upload(&[content], self.size)?;
        tensors::objective(trunk, &self.settings, &content, self.padding, style, guides)
    }

    /// See [`tensors::evaluate`].
    ///
    /// # Errors
    /// When the device refuses.
    pub fn evaluate(
        &self,
        trunk: &TensorTrunk,
        pictures: &Tensor,
        objective: &TensorObjective,
    ) -> candle_core::Result<(Vec<Loss>, Tensor)> {
        tensors::evaluate(trunk, &self.settings, pictures, self.padding, objective)
    }
}

/// One picture to optimize.
pub struct Optimization {
    pub task: TensorTask,
    pub options: OptimOptions,
    pub objective: Arc<TensorObjective>,
    /// `[height][width][3]`
    pub start: Vec<f32>,
    pub replies: Sender<Reply>,
    /// The number of evaluations that were reported. A batch that is repeated in halves reports none twice.
    pub reported: AtomicUsize,
}

/// The best picture, and the losses of the start and of the best.
pub type Optimized = Result<(Vec<f32>, (Loss, Loss)), StylizeError>;

/// What the thread answers to an [`Optimization`].
pub enum Reply {
    /// The number of the evaluation, from 1, and its loss.
    Evaluated(usize, Loss),
    Ended(Optimized),
}

impl Optimization {
    fn fits_batch_of(&self, other: &Self) -> bool {
        (&self.task, &self.options) == (&other.task, &other.options)
    }

    /// Reports an evaluation. Ends the optimization if nobody waits for it any more.
    fn report(&self, evaluation: usize, loss: Loss) -> ControlFlow<()> {
        if self.reported.fetch_max(evaluation, Ordering::Relaxed) >= evaluation {
            return ControlFlow::Continue(());
        }
        match self.replies.send(Reply::Evaluated(evaluation, loss)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Serves requests until nobody can send any more.
fn serve(trunk: &TensorTrunk, waiting: &Receiver<Request>, limit: &BatchLimit) {
    let mut queue: Vec<Optimization> = Vec::new();
    loop {
        if queue.is_empty() {
            match waiting.recv() {
                Ok(request) => accept(trunk, request, &mut queue),
                Err(_) => return,
            }
        }
        while let Some(head) = queue.first()
            && queue.iter().filter(|other| head.fits_batch_of(other)).count() < limit.pictures(head.task.size)
            && let Ok(request) = waiting.recv_timeout(GATHER)
        {
            accept(trunk, request, &mut queue);
        }
        // Other work does not wait for a whole batch.
        while let Ok(request) = waiting.try_recv() {
            accept(trunk, request, &mut queue);
        }
        if queue.is_empty() {
            continue;
        }
        let head = queue.remove(0);
        let (mut batch, rest): (Vec<_>, Vec<_>) = queue.into_iter().partition(|other| head.fits_batch_of(other));
        let size = head.task.size;
        batch.insert(0, head);
        let left = batch.split_off(batch.len().min(limit.pictures(size)));
        // Other tasks come before what is left of this one.
        queue = rest;
        queue.extend(left);
        let shrink = |pictures: usize| limit.shrink(pictures, size);
        let results = in_halves(&batch, &shrink, &|batch| catch_panic(|| optimize(trunk, batch)));
        for (asked, result) in batch.iter().zip(results) {
            let _ = asked.replies.send(Reply::Ended(result.flatten()));
        }
    }
}

fn accept(trunk: &TensorTrunk, request: Request, queue: &mut Vec<Optimization>) {
    match request {
        Request::Optimize(optimization) => queue.push(*optimization),
        Request::Run(work) => work(trunk),
    }
}

/// Turns a panic into the error of one request, so that the thread goes on for the others.
fn catch_panic<T>(work: impl FnOnce() -> Result<T, StylizeError>) -> Result<T, StylizeError> {
    let panicked = |_| Err(StylizeError::Device("the program panicked over it".into()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

/// Optimizes pictures of one task in step.
fn optimize(trunk: &TensorTrunk, batch: &[Optimization]) -> Result<Vec<Optimized>, StylizeError> {
    let Some(Optimization { task, options, .. }) = batch.first() else { return Ok(Vec::new()) };
    let starts: Vec<&[f32]> = batch.iter().map(|one| &one.start[..]).collect();
    let objective = TensorObjective::batch(&batch.iter().map(|one| &*one.objective).collect::<Vec<_>>())?;
    let starts = trunk.upload(&starts, task.size)?;
    let shape = starts.shape().clone();
    let evaluate = |x: &Tensor| {
        let (losses, mut gradients) = task.evaluate(trunk, &x.reshape(&shape)?, &objective)?;
        if options.grey {
            gradients = gradients.mean_keepdim(1)?.broadcast_as(&shape)?;
        }
        Ok((losses, gradients.contiguous()?.flatten_from(1)?))
    };
    let filters = options.preconditioner.map(|border| Preconditioner::new(task.size, border, trunk.device()));
    let filters = filters.transpose()?;
    let precondition = |x: &Tensor, gradient: &Tensor| match &filters {
        Some(filters) => filters.apply(x, gradient),
        None => Ok(x.clone()),
    };
    let mut vectors = Tensors::new(starts.flatten_from(1)?, evaluate, precondition)?;
    let report = |picture: usize, evaluation, loss| batch[picture].report(evaluation, loss);
    let outcomes = optim::minimize(options.optimizer, options.steps, &mut vectors, report)?;
    let pictures = download(&vectors.into_x().reshape(&shape)?)?;
    Ok(pictures.into_iter().zip(outcomes).map(|(picture, outcome)| Ok((picture, outcome?))).collect())
}

/// One answer for each of `batch`. If the memory of the device is too short, the batch is repeated in halves, and
/// `shrink(pictures)` is told how many each half has.
pub fn in_halves<T, R>(
    batch: &[T],
    shrink: &impl Fn(usize),
    run: &impl Fn(&[T]) -> Result<Vec<R>, StylizeError>,
) -> Vec<Result<R, StylizeError>> {
    match run(batch) {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(StylizeError::Memory(_)) if batch.len() > 1 => {
            let half = batch.len().div_ceil(2);
            shrink(half);
            batch.chunks(half).flat_map(|part| in_halves(part, shrink, run)).collect()
        }
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::layers::Pool;
    use crate::nst::network::backbone::Backbone;
    use crate::nst::network::tensors::Precision;
    use candle_core::Device;

    #[test]
    fn a_batch_too_large_for_memory_is_repeated_in_halves_and_later_ones_are_smaller() {
        let size = Size { height: 20, width: 10 };
        let limit = BatchLimit::new(8, 1700);
        assert_eq!((limit.pictures(size), limit.pictures(Size { height: 50, width: 100 })), (8, 1));
        let shrink = |pictures: usize| limit.shrink(pictures, size);
        let run = |batch: &[u32]| match batch.len() {
            ..=2 => Ok(batch.iter().map(|n| n * 10).collect()),
            _ => Err(StylizeError::Memory("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".into())),
        };
        let answers = in_halves(&[1, 2, 3, 4, 5, 6, 7], &shrink, &run);
        assert_eq!(answers, [10, 20, 30, 40, 50, 60, 70].map(Ok));
        assert_eq!((limit.pictures(size), limit.pictures(Size { height: 10, width: 10 })), (2, 4));
    }

    #[test]
    fn all_pictures_of_a_batch_get_an_error_that_halves_do_not_help_against() {
        let shrunk = AtomicUsize::new(0);
        let shrink = |pictures| shrunk.store(pictures, Ordering::Relaxed);
        let refusal = || StylizeError::Device("the bus fell off".into());
        let fault = |_: &[u32]| Err::<Vec<u32>, _>(refusal());
        assert_eq!(in_halves(&[1, 2], &shrink, &fault), [Err(refusal()), Err(refusal())]);
        assert_eq!(shrunk.load(Ordering::Relaxed), 0);
        let full = |_: &[u32]| Err::<Vec<u32>, _>(StylizeError::Memory("CUDNN_STATUS_ALLOC_FAILED".into()));
        assert!(in_halves(&[1, 2, 3], &shrink, &full).iter().all(Result::is_err));
    }

    #[test]
    fn a_panic_on_the_thread_fails_one_request_and_the_thread_goes_on() {
        let backbone = Backbone::random([16; 5], "relu1_1".parse().unwrap());
        let trunk = TensorTrunk::new(&backbone, "relu1_1".parse().unwrap(), Pool::Max, &Device::Cpu, Precision::F32);
        let thread = DeviceThread::spawn(|| trunk, Arc::new(BatchLimit::new(1, 1))).unwrap();
        let failed = thread.run(|_| -> Result<(), StylizeError> { panic!("a bug") });
        assert!(failed.unwrap_err().to_string().contains("panicked"));
        assert_eq!(thread.run(|_| Ok(7)), Ok(7));
        let missing = DeviceThread::spawn(|| Err("no such device".into()), Arc::new(BatchLimit::new(1, 1)));
        assert_eq!(missing.err().unwrap(), "no such device");
    }
}
