//! One config, ready to stylize frames that another program hands over: pictures in memory, or tasks of a run.

use crate::batch::budget::Budget;
use crate::batch::capacity;
use crate::batch::context::{DatasetFacts, JobContext};
use crate::batch::pool::{WorkerEvent, WorkerPool};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::Stop;
use crate::batch::stylizers::Stylizers;
use crate::batch::worker::Worker;
use crate::config::values::{Config, EngineChoice};
use crate::dataset::Frame;
use crate::dataset::labels::Schema;
use crate::dataset::masks::Maps;
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::nst::backend::device::Device;
use crate::nst::picture::geometry::Size;
use crate::nst::settings::RegionKind;
use crate::output::row::{Row, Status};
use crate::plan::styles::{StylePicture, find_styles};
use crate::plan::task::Task;
use crate::plan::{Job, Plan};
use image::RgbImage;
use rayon::prelude::*;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A config with its styles, its network and what it has measured. It is kept from frame to frame.
pub struct FrameStylizer {
    config: Config,
    styles: Vec<StylePicture>,
    engine: Engine,
    stylizers: Stylizers,
}

/// A picture in memory.
pub struct FrameInput {
    pub image: RgbImage,
    /// The content of its label file; `None` for a background frame.
    pub label: Option<Vec<u8>>,
    /// The path that it has, or would have, below its dataset's folder, with `/`. Everything that is drawn depends on it.
    pub key: String,
    /// Which copy of the frame this is, from 1.
    pub variant: u32,
    /// Its place in its sequence, if the config asks for sequences.
    pub place: u64,
}

impl FrameStylizer {
    /// Finds the styles, and opens the network as far as the config needs it.
    ///
    /// # Errors
    /// When styles, weights or a student cannot be used, the config asks to learn a student, or the device refuses.
    pub fn open(config: Config, weights: Option<&str>, device: Device) -> Result<Self> {
        if config.engine == EngineChoice::Learn {
            return Err(Error::Usage(format!(
                "{}: `engine: learn` learns from the frames of a run; run `augment learn` once and set `engine` to its file",
                config.condition
            )));
        }
        let styles = find_styles(&config.styles, &config.stylize)?;
        let mut engine = Engine::open(weights, &config.backbone, &config.stylize, device)?;
        engine.read_student(&config, &styles)?;
        let stylizers = Stylizers::new(engine.stylizer(config.stylize.clone())?, styles.len());
        Ok(Self { config, styles, engine, stylizers })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Stylizes pictures as a run would stylize the frames at their keys, up to encoding, on the calling thread pool and
    /// as many at once as fit into memory. Returns the pictures with their rows in the order of `inputs`, or `None` if
    /// `stop` was asked for. A depth beside a frame is not looked for.
    ///
    /// # Errors
    /// When nothing can be made of a picture, or the config asks for masks. No further picture begins then.
    pub fn stylize_all(
        &self,
        inputs: Vec<FrameInput>,
        schema: &Schema,
        stop: &Stop,
    ) -> Result<Option<Vec<(RgbImage, Row)>>> {
        let sizes: Vec<Size> = inputs.iter().map(|input| Size::of(&input.image)).collect();
        let stylizer = &self.stylizers.by_size()[0];
        let at_once = capacity::frames_of_sizes(&sizes, stylizer, None, rayon::current_num_threads());
        let (waiting, failed) = (Mutex::new(inputs.into_iter().enumerate()), AtomicBool::new(false));
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        // A parallel loop over the pictures would begin some while others wait for a part of theirs, without a limit.
        let worker = |_| -> Result<Option<Vec<_>>> {
            let mut made = Vec::new();
            while !failed.load(Ordering::Relaxed)
                && let Some((place, input)) = next()
            {
                let one = self.stylize(input, schema, stop);
                failed.fetch_or(one.is_err(), Ordering::Relaxed);
                let Some(one) = one? else { return Ok(None) };
                made.push((place, one));
            }
            Ok(Some(made))
        };
        let made: Option<Vec<_>> = (0..at_once).into_par_iter().map(worker).collect::<Result<_>>()?;
        let Some(made) = made else { return Ok(None) };
        let mut made: Vec<_> = made.into_iter().flatten().collect();
        made.sort_unstable_by_key(|(place, _)| *place);
        Ok(Some(made.into_iter().map(|(_, one)| one).collect()))
    }

    /// One picture of [`stylize_all`](Self::stylize_all).
    fn stylize(&self, input: FrameInput, schema: &Schema, stop: &Stop) -> Result<Option<(RgbImage, Row)>> {
        // Without evaluations, nothing else asks.
        if stop.asked() {
            return Ok(None);
        }
        if let RegionKind::Masks(_) = self.config.stylize.regions {
            let why =
                "`regions` names masks, which are files beside the frames of a dataset; a picture in memory has none";
            return Err(Error::Usage(why.into()));
        }
        let begun = Instant::now();
        let FrameInput { image, label, key, variant, place } = input;
        let label_path = label.as_ref().map(|_| PathBuf::new());
        let path = PathBuf::from(&key);
        let frame = [Frame { path, relative: key, split: Split::Train, label: label_path, annotated: None }];
        let plan = Plan::of_frame(&self.config, &frame, &self.styles, variant, place)?;
        let job = &plan.jobs[0];
        let facts = DatasetFacts { schema: schema.clone(), keeps_orientation: false };
        let context = self.context(&plan, facts, Path::new(""));
        let mut row = Provenance::new(&self.config, &self.engine, &context.facts).row(&plan, job);
        let mut worker = Worker::new(&context);
        let maps = Maps { masks: Vec::new(), depth: None };
        let (picture, part) = worker.picture(&image, &maps, label.as_deref(), &mut row)?;
        let mut on_evaluation = |_| if stop.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let made = worker.make(job, image, &picture, part, &mut row.outcome, &mut on_evaluation)?;
        let Some(made) = made else { return Ok(None) };
        row.status = Status::Done;
        row.outcome.seconds = begun.elapsed().as_secs_f64();
        Ok(Some((made, row)))
    }

    /// Does tasks of a run, which another process planned, with `threads` threads: reads the frames, and writes pictures
    /// and labels into the folder `output`. Returns their rows, in any order. A frame that fails is a failed row.
    ///
    /// # Errors
    /// When the tasks are not of this config and these styles, and when no frame can be done.
    pub fn work(
        &self,
        tasks: &[Task],
        facts: DatasetFacts,
        output: &Path,
        threads: usize,
        stop: &Stop,
    ) -> Result<Vec<Row>> {
        let frames: Vec<Frame> = tasks.iter().map(|task| task.frame.clone()).collect();
        let plan = Task::plan(tasks, &self.config, &frames, &self.styles)?;
        let context = self.context(&plan, facts, output);
        let provenance = Provenance::new(&self.config, &self.engine, &context.facts);
        let todo: Vec<&Job> = plan.jobs.iter().collect();
        let at_once = capacity::frames_at_once(&plan, &todo, &self.stylizers.by_size()[0], None, threads);
        let mut rows = Vec::new();
        let listen = |event| {
            match event {
                WorkerEvent::Began(_) | WorkerEvent::Evaluated(..) => {}
                WorkerEvent::Finished(row) => rows.push(*row),
                WorkerEvent::Broken(error) => return Err(error),
            }
            Ok(())
        };
        let new_row = |job: &Job| provenance.row(&plan, job);
        WorkerPool::new(at_once, threads)?.run(&todo, || Worker::new(&context), new_row, stop, listen)?;
        Ok(rows)
    }

    fn context<'a>(&'a self, plan: &'a Plan<'a>, facts: DatasetFacts, output: &'a Path) -> JobContext<'a> {
        let Self { config, stylizers, .. } = self;
        JobContext { plan, stylizers, output, quality: config.quality, facts, memory: Budget::free() }
    }
}
