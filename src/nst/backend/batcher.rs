//! Work for a device, from any number of threads: one thread owns it and does what is asked, whole optimizations in batches.
//!
//! Whatever waits to be optimized when the device is free becomes the next batch, as far as sizes and settings agree and
//! memory goes. Its pictures go in step from the first evaluation to the last, and all that belongs to them stays on the
//! device; meanwhile their callers wait and others read, render and write.

use crate::nst::failure::is_memory;
use crate::nst::layers::Padding;
use crate::nst::loss::tensors::TensorGoal;
use crate::nst::loss::{Guides, Loss, StyleTarget};
use crate::nst::network::tensors::{TensorTrunk, download};
use crate::nst::optim::metric::tensors::Metric;
use crate::nst::optim::tensors::Tensors;
use crate::nst::optim::{self, Descent, OptimError, Outcome};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::photoreal;
use crate::nst::settings::Settings;
use candle_core::Tensor;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub const GONE: &str = "the device's thread has ended";

/// How long a batch waits for one more picture while it could be larger: little beside its evaluations.
const GATHER: Duration = Duration::from_millis(5);

/// A device at work.
#[derive(Clone)]
pub struct Batcher {
    thread: Arc<Thread>,
    room: Arc<BatchLimit>,
}

/// The device's thread, which ends with the last handle; whoever drops that waits, or the program could end under it.
struct Thread {
    tickets: Option<Sender<Request>>,
    joins: Option<JoinHandle<()>>,
}

impl Thread {
    fn ask(&self, ticket: Request) -> Result<(), String> {
        self.tickets.as_ref().and_then(|tickets| tickets.send(ticket).ok()).ok_or_else(|| GONE.into())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.tickets = None;
        self.joins.take().map(JoinHandle::join);
    }
}

/// What one picture shall come close to. It lies on the device, and goes where it came from: memory that another thread
/// gives back is in no order with the device's work.
pub struct Goal {
    tensors: Option<Arc<TensorGoal>>,
    thread: Arc<Thread>,
}

impl Goal {
    fn tensors(&self) -> Arc<TensorGoal> {
        self.tensors.clone().unwrap_or_else(|| unreachable!("it is taken when it is dropped"))
    }
}

impl Drop for Goal {
    fn drop(&mut self) {
        let tensors = self.tensors.take();
        let _ = self.thread.ask(Request::Once(Box::new(move |_| drop(tensors))));
    }
}

/// What a batch may hold, by the memory that was free at the start.
#[derive(Debug)]
pub struct BatchLimit {
    /// Pictures at most.
    pictures: usize,
    /// Pixels of all pictures together at most; fewer whenever the device's memory was too short.
    pixels: AtomicUsize,
}

impl BatchLimit {
    /// For at least one picture, of any size.
    pub fn new(pictures: usize, pixels: usize) -> Self {
        Self { pictures: pictures.max(1), pixels: AtomicUsize::new(pixels) }
    }

    /// As many pictures of `size` as a batch holds.
    pub fn pictures(&self, size: Size) -> usize {
        (self.pixels.load(Ordering::Relaxed) / size.pixels()).clamp(1, self.pictures)
    }

    fn shrink(&self, pictures: usize, size: Size) {
        self.pixels.fetch_min(pictures * size.pixels(), Ordering::Relaxed);
    }
}

enum Request {
    Optimize(Box<Optimization>),
    /// Something that is done by itself.
    Once(Box<dyn FnOnce(&TensorTrunk) + Send>),
}

/// One picture that is to be optimized.
struct Optimization {
    settings: Arc<Settings>,
    descent: Descent,
    size: Size,
    padding: Padding,
    goal: Arc<TensorGoal>,
    start: Vec<f32>,
    notes: Sender<Note>,
    /// Evaluations that were told of; a batch that is done again in halves tells none of them twice.
    told: AtomicUsize,
}

/// What whoever waits for an optimization hears of it.
enum Note {
    Evaluated(usize, Loss),
    Ended(Result<(Vec<f32>, Outcome), String>),
}

impl Optimization {
    fn goes_with(&self, other: &Self) -> bool {
        (self.size, self.padding, &self.descent, &self.settings)
            == (other.size, other.padding, &other.descent, &other.settings)
    }

    /// Whoever waits may have been stopped: then nobody needs a result.
    fn tell(&self, evaluation: usize, loss: Loss) -> ControlFlow<()> {
        if self.told.fetch_max(evaluation, Ordering::Relaxed) >= evaluation {
            return ControlFlow::Continue(());
        }
        match self.notes.send(Note::Evaluated(evaluation, loss)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Pictures of one size on a [`Batcher`].
pub struct Evaluator {
    batcher: Batcher,
    settings: Arc<Settings>,
    size: Size,
    padding: Padding,
}

impl Batcher {
    /// Has `make` build the trunk on the thread that works with it: CUDA orders only what comes from one thread.
    ///
    /// # Errors
    /// What `make` says.
    pub fn new(
        make: impl FnOnce() -> Result<TensorTrunk, String> + Send + 'static,
        room: Arc<BatchLimit>,
    ) -> Result<Self, String> {
        let (tickets, waiting) = channel();
        let (ready, heard) = channel();
        let shared = room.clone();
        let joins = thread::spawn(move || match make() {
            Ok(trunk) => {
                let _ = ready.send(Ok(()));
                serve(&trunk, &waiting, &shared);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        heard.recv().unwrap_or_else(|_| Err(GONE.into()))?;
        Ok(Self { thread: Arc::new(Thread { tickets: Some(tickets), joins: Some(joins) }), room })
    }

    /// Pictures of a batch at most, as memory turned out.
    pub fn most(&self, size: Size) -> usize {
        self.room.pictures(size)
    }

    /// For pictures of `size` under `settings`.
    pub fn evaluator(&self, settings: &Settings, size: Size) -> Evaluator {
        Evaluator { batcher: self.clone(), settings: Arc::new(settings.clone()), size, padding: settings.padding }
    }

    /// `original` under the maps that take `content` to `stylized`; see [`photoreal`].
    ///
    /// # Errors
    /// What the device says.
    pub fn photoreal(
        &self,
        content: &Pixels,
        stylized: &Pixels,
        original: Pixels,
        padding: Padding,
    ) -> Result<Pixels, String> {
        let (content, stylized) = (content.clone(), stylized.clone());
        self.once(move |trunk| {
            let planes = |picture: &Pixels| trunk.upload(&[picture.data()], picture.size())?.squeeze(0);
            let (content, stylized, wraps) = (planes(&content)?, planes(&stylized)?, padding == Padding::Wrap);
            let rendered = photoreal::tensors::render(&content, &stylized, &planes(&original)?, wraps)?;
            Ok(Pixels::new(original.size(), rendered.permute((1, 2, 0))?.flatten_all()?.to_vec1()?))
        })
    }

    /// Runs `work` on the device's thread.
    fn once<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TensorTrunk) -> candle_core::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let (answer, heard) = channel();
        let work = move |trunk: &TensorTrunk| {
            let _ = answer.send(unharmed(|| work(trunk)).map_err(words));
        };
        self.thread.ask(Request::Once(Box::new(work)))?;
        heard.recv().unwrap_or_else(|_| Err(GONE.into()))
    }
}

impl Evaluator {
    /// With another padding than the settings say.
    pub fn padded(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// See [`super::loss::Evaluator::style_target`].
    ///
    /// # Errors
    /// What the device says.
    pub fn style_target(&self, pixels: &[f32], guides: Guides) -> Result<StyleTarget, String> {
        let (settings, size, padding, pixels) = (self.settings.clone(), self.size, self.padding, pixels.to_vec());
        self.batcher.once(move |trunk| trunk.style_target(&settings.style, &pixels, size, padding, &guides))
    }

    /// What `content` shall come close to.
    ///
    /// # Errors
    /// What the device says.
    pub fn goal(&self, content: &[f32], style: &StyleTarget, guides: Guides) -> Result<Goal, String> {
        let (settings, size, padding, content) = (self.settings.clone(), self.size, self.padding, content.to_vec());
        let style = style.clone();
        let make = move |trunk: &TensorTrunk| trunk.goal(&settings, &content, size, padding, &style, &guides);
        let tensors = self.batcher.once(make)?;
        Ok(Goal { tensors: Some(Arc::new(tensors)), thread: self.batcher.thread.clone() })
    }

    /// The loss of `pixels` and its gradient; see [`super::loss::Evaluator::evaluate`].
    ///
    /// # Errors
    /// What the device says.
    pub fn evaluate(&self, goal: &Goal, pixels: &[f32]) -> Result<(Loss, Vec<f32>), String> {
        let (settings, size, padding) = (self.settings.clone(), self.size, self.padding);
        let (goal, pixels) = (goal.tensors(), pixels.to_vec());
        self.batcher.once(move |trunk| {
            let (losses, gradients) = trunk.evaluate(&settings, &trunk.upload(&[&pixels], size)?, padding, &goal)?;
            Ok((losses[0], download(&gradients)?.concat()))
        })
    }

    /// Minimizes the loss from `start` with others that wait for the same, as [`optim::minimize`] does; the best picture seen,
    /// and the losses. `on_step(evaluation, loss)` hears of every evaluation and may end it.
    ///
    /// # Errors
    /// When it is stopped, the loss is no number, or the device refuses a batch of this picture alone.
    pub fn minimize(
        &self,
        goal: &Goal,
        descent: Descent,
        start: &[f32],
        on_step: &mut impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<(Vec<f32>, (Loss, Loss)), OptimError> {
        let (notes, heard) = channel();
        let ticket = Request::Optimize(Box::new(Optimization {
            settings: self.settings.clone(),
            descent,
            size: self.size,
            padding: self.padding,
            goal: goal.tensors(),
            start: start.to_vec(),
            notes,
            told: AtomicUsize::new(0),
        }));
        let gone = || OptimError::Evaluation(GONE.into());
        self.batcher.thread.ask(ticket).map_err(OptimError::Evaluation)?;
        loop {
            match heard.recv().map_err(|_| gone())? {
                Note::Evaluated(evaluation, loss) if on_step(evaluation, loss).is_break() => {
                    return Err(OptimError::Stopped);
                }
                Note::Evaluated(..) => {}
                Note::Ended(result) => {
                    let (x, outcome) = result.map_err(OptimError::Evaluation)?;
                    return outcome.map(|losses| (x, losses));
                }
            }
        }
    }

    /// The mean wall time of an evaluation of one picture in a full batch, over `count` of them.
    ///
    /// # Errors
    /// What the device says.
    pub fn seconds_per_evaluation(&self, goal: &Goal, pixels: &[f32], count: usize) -> Result<f64, String> {
        let (settings, size, padding) = (self.settings.clone(), self.size, self.padding);
        let (goal, pixels, room) = (goal.tensors(), pixels.to_vec(), self.batcher.room.clone());
        let timed = move |trunk: &TensorTrunk, batch: usize| -> candle_core::Result<f64> {
            let pictures = trunk.upload(&vec![&pixels[..]; batch], size)?;
            let goal = TensorGoal::together(&vec![&*goal; batch])?;
            // The first one warms up memory and chooses kernels.
            let run = || trunk.evaluate(&settings, &pictures, padding, &goal).map(drop);
            run()?;
            let begun = Instant::now();
            (0..count).try_for_each(|_| run())?;
            Ok(begun.elapsed().as_secs_f64() / (count * batch) as f64)
        };
        self.batcher.once(move |trunk| {
            let each =
                |batch: &[()]| timed(trunk, batch.len()).map(|seconds| vec![seconds; batch.len()]).map_err(words);
            let all = in_halves(&vec![(); room.pictures(size)], &|batch| room.shrink(batch, size), &each);
            all.into_iter().next().unwrap_or_else(|| Err(GONE.into())).map_err(candle_core::Error::msg)
        })
    }
}

/// Does what is asked until nobody can ask any more.
fn serve(trunk: &TensorTrunk, waiting: &Receiver<Request>, room: &BatchLimit) {
    let mut queue: Vec<Optimization> = Vec::new();
    loop {
        if queue.is_empty() {
            match waiting.recv() {
                Ok(ticket) => accept(trunk, ticket, &mut queue),
                Err(_) => return,
            }
        }
        while let Some(head) = queue.first()
            && queue.iter().filter(|other| head.goes_with(other)).count() < room.pictures(head.size)
            && let Ok(ticket) = waiting.recv_timeout(GATHER)
        {
            accept(trunk, ticket, &mut queue);
        }
        // What is done by itself does not wait for a whole batch.
        while let Ok(ticket) = waiting.try_recv() {
            accept(trunk, ticket, &mut queue);
        }
        if queue.is_empty() {
            continue;
        }
        let head = queue.remove(0);
        let (mut batch, rest): (Vec<_>, Vec<_>) = queue.into_iter().partition(|other| head.goes_with(other));
        let size = head.size;
        batch.insert(0, head);
        let left = batch.split_off(batch.len().min(room.pictures(size)));
        // Others' turn comes before what is left of the same.
        queue = rest;
        queue.extend(left);
        let shrink = |pictures: usize| room.shrink(pictures, size);
        let run = |batch: &[Optimization]| unharmed(|| optimize(trunk, batch)).map_err(words);
        let results = in_halves(&batch, &shrink, &run);
        for (asked, result) in batch.iter().zip(results) {
            let _ = asked.notes.send(Note::Ended(result));
        }
    }
}

fn accept(trunk: &TensorTrunk, ticket: Request, queue: &mut Vec<Optimization>) {
    match ticket {
        Request::Optimize(optimization) => queue.push(*optimization),
        Request::Once(work) => work(trunk),
    }
}

/// One picture's panic is its own failure, and the device's thread goes on for the others.
fn unharmed<T>(work: impl FnOnce() -> candle_core::Result<T>) -> candle_core::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| candle_core::bail!("the program panicked over it"))
}

/// Optimizes pictures that go together, in step: of each the best picture seen, and the losses.
fn optimize(trunk: &TensorTrunk, batch: &[Optimization]) -> candle_core::Result<Vec<(Vec<f32>, Outcome)>> {
    let Some(Optimization { settings, descent, size, padding, .. }) = batch.first() else { return Ok(Vec::new()) };
    let starts: Vec<&[f32]> = batch.iter().map(|one| &one.start[..]).collect();
    let goal = TensorGoal::together(&batch.iter().map(|one| &*one.goal).collect::<Vec<_>>())?;
    let starts = trunk.upload(&starts, *size)?;
    let shape = starts.shape().clone();
    let evaluate = |x: &Tensor| {
        let (losses, mut gradients) = trunk.evaluate(settings, &x.reshape(&shape)?, *padding, &goal)?;
        if descent.grey {
            gradients = gradients.mean_keepdim(1)?.broadcast_as(&shape)?;
        }
        Ok((losses, gradients.contiguous()?.flatten_from(1)?))
    };
    let metric = descent.metric.map(|border| Metric::new(*size, border, trunk.device())).transpose()?;
    let precondition = |x: &Tensor, gradient: &Tensor| match &metric {
        Some(metric) => metric.apply(x, gradient),
        None => Ok(x.clone()),
    };
    let mut vectors = Tensors::new(starts.flatten_from(1)?, evaluate, precondition)?;
    let tell = |picture: usize, evaluation: usize, loss: Loss| batch[picture].tell(evaluation, loss);
    let outcomes = optim::minimize(descent.optimizer, descent.steps, &mut vectors, tell)?;
    let pictures = download(&vectors.into_x().reshape(&shape)?)?;
    Ok(pictures.into_iter().zip(outcomes).collect())
}

/// One answer for each of `batch`. Where the device's memory is too short the batch is done in halves, and `shrink` hears
/// how many are not too many.
fn in_halves<T, R>(
    batch: &[T],
    shrink: &impl Fn(usize),
    run: &impl Fn(&[T]) -> Result<Vec<R>, String>,
) -> Vec<Result<R, String>> {
    match run(batch) {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) if batch.len() > 1 && is_memory(&error) => {
            let half = batch.len().div_ceil(2);
            shrink(half);
            batch.chunks(half).flat_map(|part| in_halves(part, shrink, run)).collect()
        }
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn words(error: candle_core::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::failure::is_lost;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::kernels::sums::{dot, norm2};
    use crate::nst::layers::Pool;
    use crate::nst::loss::tests::scene;
    use crate::nst::loss::{self, slices};
    use crate::nst::network::backbone::Backbone;
    use crate::nst::network::tensors::Precision;
    use crate::nst::network::trunk::Trunk;
    use crate::nst::picture::plane::Plane;
    use crate::nst::scene::Scene;
    use crate::nst::scene::regions::Regions;
    use crate::nst::settings::RegionKind;
    use crate::nst::testing::Random;
    use candle_core::Device;

    #[test]
    fn a_batch_too_large_for_memory_is_done_in_halves_from_then_on() {
        let size = Size { height: 20, width: 10 };
        let room = BatchLimit::new(8, 1700);
        assert_eq!((room.pictures(size), room.pictures(Size { height: 50, width: 100 })), (8, 1));
        let shrink = |pictures: usize| room.shrink(pictures, size);
        let run = |batch: &[u32]| match batch.len() {
            ..=2 => Ok(batch.iter().map(|n| n * 10).collect()),
            _ => Err("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".to_string()),
        };
        let answers = in_halves(&[1, 2, 3, 4, 5, 6, 7], &shrink, &run);
        assert_eq!(answers, [10, 20, 30, 40, 50, 60, 70].map(Ok));
        assert_eq!((room.pictures(size), room.pictures(Size { height: 10, width: 10 })), (2, 4));
    }

    #[test]
    fn other_faults_and_batches_of_one_that_do_not_fit_are_told_to_all() {
        let shrunk = AtomicUsize::new(0);
        let shrink = |pictures| shrunk.store(pictures, Ordering::Relaxed);
        let fault = |_: &[u32]| Err::<Vec<u32>, _>("the bus fell off".to_string());
        assert_eq!(
            in_halves(&[1, 2], &shrink, &fault),
            [Err("the bus fell off".into()), Err("the bus fell off".into())]
        );
        assert_eq!(shrunk.load(Ordering::Relaxed), 0);
        let full = |_: &[u32]| Err::<Vec<u32>, _>("CUDNN_STATUS_ALLOC_FAILED".to_string());
        assert!(in_halves(&[1, 2, 3], &shrink, &full).iter().all(Result::is_err));
    }

    #[test]
    fn a_lost_device_is_told_from_one_that_is_full_or_refuses() {
        let told = |words: &str| (is_memory(words), is_lost(words));
        assert_eq!(told("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")"), (true, false));
        assert_eq!(told("DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access\")"), (false, true));
        assert_eq!(told("CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)"), (true, false));
        assert_eq!(told("DriverError(CUDA_ERROR_INVALID_VALUE, \"invalid argument\")"), (false, false));
        assert_eq!(told("unexpected dtype, expected: F32, got: BF16"), (false, false));
        assert_eq!(told(GONE), (false, true));
    }

    #[test]
    fn a_panic_on_the_devices_thread_is_one_answer_and_not_its_end() {
        let backbone = Backbone::random([16; 5], "relu1_1".parse().unwrap());
        let trunk = TensorTrunk::new(&backbone, "relu1_1".parse().unwrap(), Pool::Max, &Device::Cpu, Precision::F32);
        let batcher = Batcher::new(|| trunk, Arc::new(BatchLimit::new(1, 1))).unwrap();
        let failed = batcher.once(|_| -> candle_core::Result<()> { panic!("a bug") });
        assert!(failed.unwrap_err().contains("panicked"));
        assert_eq!(batcher.once(|_| Ok(7)), Ok(7));
        let missing = Batcher::new(|| Err("no such device".into()), Arc::new(BatchLimit::new(1, 1)));
        assert_eq!(missing.err().unwrap(), "no such device");
    }

    /// The most that both back ends differ by over several pictures, each with a goal of its own.
    #[derive(Debug)]
    struct Off {
        /// Of the losses, relative.
        loss: f64,
        /// Of a value of the gradient, over the largest one.
        gradient: f64,
        /// One minus the cosine between the gradients.
        angle: f64,
    }

    fn off(settings: &Settings, size: Size, precision: Precision) -> Off {
        let deepest = loss::deepest_tap(settings).unwrap();
        let backbone = Backbone::random([16, 32, 32, 48, 32], deepest);
        let fast = Trunk::new(&backbone, deepest, settings.pool, Isa::available()[0]).unwrap();
        let slow = TensorTrunk::new(&backbone, deepest, settings.pool, &Device::Cpu, precision);
        let batcher = Batcher::new(|| slow, Arc::new(BatchLimit::new(3, usize::MAX))).unwrap();
        let mut random = Random(3);
        let mut picture = || -> Vec<f32> {
            let level = random.uniform();
            (0..size.pixels() * 3)
                .map(|n| level * (0.5 + 0.4 * (n as f32 * 0.01).sin()) + 0.2 * random.uniform())
                .collect()
        };
        let jobs: Vec<[Vec<f32>; 3]> = (0..4).map(|_| [picture(), picture(), picture()]).collect();
        // Every other frame has no sky.
        let regions = |n: usize| match n % 2 {
            0 => Regions::of(&RegionKind::Scene, size, &Scene { sky: None, depth: Plane::filled(size, 1.0) }, &[]),
            _ => scene(size, size.height as f32 / 3.0),
        };
        let guides = |n: usize| Guides::new(&regions(n));
        let one = |(n, [content, style, x]): (usize, &[Vec<f32>; 3])| {
            let mut evaluator = slices::Evaluator::new(&fast, settings, size);
            let target = evaluator.style_target(style, &guides(n));
            let goal = evaluator.content_target(content);
            let mut expected = vec![0.0; x.len()];
            let loss = evaluator.evaluate(&goal, &target, &guides(n), x, &mut expected);
            let other = batcher.evaluator(settings, size);
            let target = other.style_target(style, guides(n)).unwrap();
            let goal = other.goal(content, &target, guides(n)).unwrap();
            let (found, gradient) = other.evaluate(&goal, x).unwrap();
            let relative = |a: f64, b: f64| if a == b { 0.0 } else { (a / b - 1.0).abs() };
            let losses = [(found.total, loss.total), (found.style, loss.style), (found.tv, loss.tv)];
            let most = expected.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
            let apart = gradient.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            Off {
                loss: losses.map(|(a, b)| relative(a, b)).into_iter().fold(0.0, f64::max),
                gradient: (apart / most).into(),
                angle: 1.0 - dot(&gradient, &expected) / (norm2(&gradient) * norm2(&expected)).sqrt(),
            }
        };
        let one = &one;
        let all = thread::scope(|scope| {
            let callers: Vec<_> = jobs.iter().enumerate().map(|job| scope.spawn(move || one(job))).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
        });
        let most = |pick: fn(&Off) -> f64| all.iter().map(pick).fold(0.0, f64::max);
        Off { loss: most(|off| off.loss), gradient: most(|off| off.gradient), angle: most(|off| off.angle) }
    }

    #[track_caller]
    fn check(settings: &Settings, size: Size) {
        let off = off(settings, size, Precision::F32);
        assert!(off.loss < 1e-4 && off.gradient < 1e-3, "{size:?} {settings:?}: {off:?}");
    }

    #[test]
    fn every_padding_pool_and_odd_size_equals_the_kernels_of_the_cpu() {
        for padding in [Padding::Zero, Padding::Replicate, Padding::Wrap] {
            for pool in [Pool::Max, Pool::Avg] {
                let settings = Settings { padding, pool, tv: 0.3, ..Settings::default() };
                check(&settings, Size { height: 32, width: 48 });
                check(&settings, Size { height: 35, width: 49 });
            }
        }
    }

    #[test]
    fn taps_before_pools_equal_the_kernels_of_the_cpu() {
        let taps = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), 1.0)).collect();
        let mut settings = Settings::default();
        settings.style.layers = taps(&["relu1_2", "relu2_2", "relu3_4"]);
        settings.content.layers = taps(&["relu2_2", "relu3_1"]);
        check(&settings, Size { height: 33, width: 40 });
    }

    #[test]
    fn rounded_activations_change_losses_by_a_few_per_cent_and_hardly_turn_gradients() {
        let off = off(&Settings::default(), Size { height: 96, width: 128 }, Precision::Bf16);
        assert!(off.loss < 0.05 && off.angle < 0.1, "{off:?}");
    }
}
