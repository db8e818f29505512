//! Work for a device, from any number of threads.
//!
//! A [`Batcher`] sends requests to the thread that owns the device and waits for the answers. Meanwhile other threads
//! read, render and write.

use crate::nst::backend::device_thread::{DeviceThread, Optimization, Reply, Request, TensorTask, ended, in_halves};
use crate::nst::backend::limit::BatchLimit;
use crate::nst::failure::StylizeError;
use crate::nst::layers::Padding;
use crate::nst::loss::tensors::TensorObjective;
use crate::nst::loss::{Guides, Loss, StyleTarget};
use crate::nst::network::tensors::{TensorTrunk, download};
use crate::nst::optim::OptimOptions;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::photoreal;
use crate::nst::settings::Settings;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::Instant;

/// A handle of the thread that owns a device.
#[derive(Clone)]
pub struct Batcher {
    thread: Arc<DeviceThread>,
    limit: Arc<BatchLimit>,
}

/// Evaluates losses of pictures of one size on a device.
pub struct BatchEvaluator {
    batcher: Batcher,
    task: TensorTask,
}

/// What one picture shall come close to, with the evaluator that it is for.
pub struct DeviceObjective<'o> {
    evaluator: &'o BatchEvaluator,
    /// `None` only while it is dropped. It is dropped on the device's thread: CUDA does not order other threads' frees.
    tensors: Option<Arc<TensorObjective>>,
}

impl Batcher {
    /// Starts the thread of a device, on which `make` builds the network.
    ///
    /// # Errors
    /// The error of `make`.
    pub fn new(
        make: impl FnOnce() -> Result<TensorTrunk, String> + Send + 'static,
        limit: Arc<BatchLimit>,
    ) -> Result<Self, String> {
        let thread = DeviceThread::spawn(make, limit.clone())?;
        Ok(Self { thread: Arc::new(thread), limit })
    }

    /// The number of pictures of `size` that a batch holds.
    pub fn pictures(&self, size: Size) -> usize {
        self.limit.pictures(size)
    }

    /// An evaluator of pictures of `size` under `settings`.
    pub fn evaluator(&self, settings: &Settings, size: Size) -> BatchEvaluator {
        let task = TensorTask { settings: Arc::new(settings.clone()), size, padding: settings.padding };
        BatchEvaluator { batcher: self.clone(), task }
    }

    /// Applies the colour maps that take `content` to `stylized` to `original`; see [`photoreal`].
    ///
    /// # Errors
    /// When the device refuses.
    pub fn photoreal(
        &self,
        content: &Pixels,
        stylized: &Pixels,
        original: Pixels,
        padding: Padding,
    ) -> Result<Pixels, StylizeError> {
        let (content, stylized) = (content.clone(), stylized.clone());
        self.thread.run(move |trunk| {
            let planes = |picture: &Pixels| trunk.upload(&[picture.data()], picture.size())?.squeeze(0);
            let (content, stylized) = (planes(&content)?, planes(&stylized)?);
            let rendered = photoreal::tensors::render(&content, &stylized, &planes(&original)?, padding.wraps())?;
            Ok(Pixels::new(original.size(), rendered.permute((1, 2, 0))?.flatten_all()?.to_vec1()?))
        })
    }
}

impl BatchEvaluator {
    /// With another padding than that of the settings.
    pub fn padded(mut self, padding: Padding) -> Self {
        self.task.padding = padding;
        self
    }

    pub fn size(&self) -> Size {
        self.task.size
    }

    /// The style target of `pixels`, `[height][width][3]` in 0..1, with the regions of `guides`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn style_target(&self, pixels: &[f32], guides: Guides) -> Result<StyleTarget, StylizeError> {
        let (task, pixels) = (self.task.clone(), pixels.to_vec());
        self.batcher.thread.run(move |trunk| Ok(task.style_target(trunk, &pixels, &guides)?))
    }

    /// The objective of a picture that shows `content`, `[height][width][3]` in 0..1, with the regions of `guides`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn objective(
        &self,
        content: &[f32],
        style: &StyleTarget,
        guides: Guides,
    ) -> Result<DeviceObjective<'_>, StylizeError> {
        let (task, content, style) = (self.task.clone(), content.to_vec(), style.clone());
        let make = move |trunk: &TensorTrunk| Ok(task.objective(trunk, &content, &style, &guides)?);
        let tensors = self.batcher.thread.run(make)?;
        Ok(DeviceObjective { evaluator: self, tensors: Some(Arc::new(tensors)) })
    }
}

impl Drop for DeviceObjective<'_> {
    fn drop(&mut self) {
        let tensors = self.tensors.take();
        let _ = self.evaluator.batcher.thread.send(Request::Run(Box::new(move |_| drop(tensors))));
    }
}

impl DeviceObjective<'_> {
    fn tensors(&self) -> Arc<TensorObjective> {
        self.tensors.clone().unwrap_or_else(|| unreachable!("it is taken when this is dropped"))
    }

    /// The loss of `pixels`, `[height][width][3]`, and its gradient with respect to them.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn evaluate(&self, pixels: &[f32]) -> Result<(Loss, Vec<f32>), StylizeError> {
        let (task, objective, pixels) = (self.evaluator.task.clone(), self.tensors(), pixels.to_vec());
        self.evaluator.batcher.thread.run(move |trunk| {
            let pictures = trunk.upload(&[&pixels], task.size)?;
            let (losses, gradients) = task.evaluate(trunk, &pictures, &objective)?;
            Ok((losses[0], download(&gradients)?.concat()))
        })
    }

    /// Minimizes the loss from `start`, in a batch with others that wait for the same; see
    /// [`crate::nst::optim::minimize`]. Returns the best picture, and the losses of both. `on_step(evaluation, loss)`
    /// is called after each evaluation and may end it.
    ///
    /// # Errors
    /// When the first loss or gradient is not finite, `on_step` ends it, or the device refuses even a batch of one.
    pub fn minimize(
        &self,
        options: OptimOptions,
        start: &[f32],
        on_step: &mut impl FnMut(usize, Loss) -> ControlFlow<()>,
    ) -> Result<(Vec<f32>, (Loss, Loss)), StylizeError> {
        let (replies, received) = channel();
        let request = Request::Optimize(Box::new(Optimization {
            task: self.evaluator.task.clone(),
            options,
            objective: self.tensors(),
            start: start.to_vec(),
            replies,
            reported: AtomicUsize::new(0),
        }));
        self.evaluator.batcher.thread.send(request)?;
        loop {
            match received.recv().map_err(|_| ended())? {
                Reply::Evaluated(evaluation, loss) if on_step(evaluation, loss).is_break() => {
                    return Err(StylizeError::Stopped);
                }
                Reply::Evaluated(..) => {}
                Reply::Ended(result) => return result,
            }
        }
    }

    /// The mean wall time of an evaluation of one picture in a full batch, in seconds, over `count` of them.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn seconds_per_evaluation(&self, pixels: &[f32], count: usize) -> Result<f64, StylizeError> {
        let BatchEvaluator { batcher, task } = self.evaluator;
        let (task, limit, objective, pixels) = (task.clone(), batcher.limit.clone(), self.tensors(), pixels.to_vec());
        batcher.thread.run(move |trunk| {
            let timed = |batch: &[()]| -> Result<Vec<f64>, StylizeError> {
                let pictures = trunk.upload(&vec![&pixels[..]; batch.len()], task.size)?;
                let objective = TensorObjective::batch(&vec![&*objective; batch.len()])?;
                // The first one warms up memory and chooses kernels.
                task.evaluate(trunk, &pictures, &objective)?;
                let begun = Instant::now();
                for _ in 0..count {
                    task.evaluate(trunk, &pictures, &objective)?;
                }
                let seconds = begun.elapsed().as_secs_f64() / (count * batch.len()) as f64;
                Ok(vec![seconds; batch.len()])
            };
            let batch = vec![(); limit.pictures(task.size)];
            let all = in_halves(&batch, &|pictures| limit.shrink(pictures, task.size), &timed);
            all.into_iter().next().unwrap_or_else(|| Err(ended()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::kernels::sums::{dot, norm2};
    use crate::nst::layers::Pool;
    use crate::nst::loss;
    use crate::nst::loss::slices::CpuEvaluator;
    use crate::nst::network::backbone::Backbone;
    use crate::nst::network::tensors::Precision;
    use crate::nst::network::trunk::Trunk;
    use crate::nst::scene::Scene;
    use crate::nst::scene::regions::Regions;
    use crate::nst::settings::RegionKind;
    use crate::nst::testing::{Random, sky_above};
    use candle_core::Device;
    use std::thread;

    /// The largest differences between both back ends over several pictures, each with an objective of its own.
    #[derive(Debug)]
    struct Off {
        /// Of the losses, relative.
        loss: f64,
        /// Of a value of the gradient, over the largest one.
        gradient: f64,
        /// One minus the cosine between the gradients.
        angle: f64,
    }

    /// The content, style and current picture of one job.
    type Pictures = [Vec<f32>; 3];

    fn pictures(size: Size, count: usize) -> Vec<Pictures> {
        let mut random = Random(3);
        let mut picture = || -> Vec<f32> {
            let level = random.uniform();
            (0..size.pixels() * 3)
                .map(|n| level * (0.5 + 0.4 * (n as f32 * 0.01).sin()) + 0.2 * random.uniform())
                .collect()
        };
        (0..count).map(|_| [picture(), picture(), picture()]).collect()
    }

    /// The differences for one picture.
    fn compare(
        cpu: &mut CpuEvaluator,
        device: &BatchEvaluator,
        [content, style, x]: &Pictures,
        regions: &Regions,
    ) -> Off {
        let guides = || Guides::new(regions);
        let target = cpu.style_target(style, &guides());
        let mut expected = vec![0.0; x.len()];
        let loss = cpu.objective(content, &target, guides()).evaluate(x, &mut expected);
        let target = device.style_target(style, guides()).unwrap();
        let (found, gradient) = device.objective(content, &target, guides()).unwrap().evaluate(x).unwrap();
        let relative = |a: f64, b: f64| if a == b { 0.0 } else { (a / b - 1.0).abs() };
        let losses = [(found.total, loss.total), (found.style, loss.style), (found.tv, loss.tv)];
        let most = expected.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
        let apart = gradient.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        Off {
            loss: losses.map(|(a, b)| relative(a, b)).into_iter().fold(0.0, f64::max),
            gradient: (apart / most).into(),
            angle: 1.0 - dot(&gradient, &expected) / (norm2(&gradient) * norm2(&expected)).sqrt(),
        }
    }

    fn off(settings: &Settings, size: Size, precision: Precision) -> Off {
        let deepest = loss::deepest_tap(settings).unwrap();
        let backbone = Backbone::random([16, 32, 32, 48, 32], deepest);
        let trunk = Trunk::new(&backbone, deepest, settings.pool, Isa::available()[0]).unwrap();
        let tensors = TensorTrunk::new(&backbone, deepest, settings.pool, &Device::Cpu, precision);
        let batcher = Batcher::new(|| tensors, Arc::new(BatchLimit::new(3, usize::MAX))).unwrap();
        // Every other picture has no sky.
        let regions = |n: usize| match n % 2 {
            0 => Regions::of(&RegionKind::Scene, size, &Scene::unknown(size), &[]),
            _ => sky_above(size, size.height as f32 / 3.0),
        };
        let one = |n: usize, pictures: &Pictures| {
            let mut cpu = CpuEvaluator::new(&trunk, settings, size);
            compare(&mut cpu, &batcher.evaluator(settings, size), pictures, &regions(n))
        };
        let (one, jobs) = (&one, pictures(size, 4));
        let all = thread::scope(|scope| {
            let threads: Vec<_> =
                jobs.iter().enumerate().map(|(n, pictures)| scope.spawn(move || one(n, pictures))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
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
    fn every_padding_pool_and_odd_size_matches_the_cpu() {
        for padding in [Padding::Zero, Padding::Replicate, Padding::Wrap] {
            for pool in [Pool::Max, Pool::Avg] {
                let settings = Settings { padding, pool, tv: 0.3, ..Settings::default() };
                check(&settings, Size { height: 32, width: 48 });
                check(&settings, Size { height: 35, width: 49 });
            }
        }
    }

    #[test]
    fn taps_before_pools_match_the_cpu() {
        let taps = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), 1.0)).collect();
        let mut settings = Settings::default();
        settings.style.layers = taps(&["relu1_2", "relu2_2", "relu3_4"]);
        settings.content.layers = taps(&["relu2_2", "relu3_1"]);
        check(&settings, Size { height: 33, width: 40 });
    }

    #[test]
    fn bf16_changes_losses_by_a_few_per_cent_and_hardly_turns_gradients() {
        let off = off(&Settings::default(), Size { height: 96, width: 128 }, Precision::Bf16);
        assert!(off.loss < 0.05 && off.angle < 0.1, "{off:?}");
    }
}
