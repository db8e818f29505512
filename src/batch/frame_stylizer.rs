//! One config, ready to stylize frames that another program hands over: pictures in memory, or tasks of a run.

use crate::batch::capacity;
use crate::batch::context::{DatasetFacts, JobContext};
use crate::batch::pool::{Step, WorkerEvent, WorkerPool};
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
use crate::nst::settings::RegionKind;
use crate::output::row::{Row, Status};
use crate::plan::styles::{Style, find_styles};
use crate::plan::task::Task;
use crate::plan::{Job, Plan};
use image::RgbImage;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A config with its styles, its network and what it has measured. It is kept from frame to frame.
pub struct FrameStylizer {
    config: Config,
    styles: Vec<Style>,
    engine: Engine,
    stylizers: Stylizers,
}

/// A picture in memory.
pub struct FrameInput<'a> {
    pub image: RgbImage,
    /// The content of its label file; `None` for a background frame.
    pub label: Option<&'a [u8]>,
    /// The path that it has, or would have, below its dataset's folder, with `/`. Everything that is drawn depends on it.
    pub key: &'a str,
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

    /// Stylizes one picture as a run would stylize the frame at its key, up to encoding. Returns the picture and its
    /// row, or `None` if `on_step` ended it. A depth beside the frame is not looked for.
    ///
    /// # Errors
    /// When nothing can be made of the picture, or the config asks for masks.
    pub fn stylize(
        &self,
        input: FrameInput,
        schema: &Schema,
        on_step: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Option<(RgbImage, Row)>> {
        if let RegionKind::Masks(_) = self.config.stylize.regions {
            let why =
                "`regions` names masks, which are files beside the frames of a dataset; a picture in memory has none";
            return Err(Error::Usage(why.into()));
        }
        let begun = Instant::now();
        let FrameInput { image, label, key, variant, place } = input;
        let label_path = label.map(|_| PathBuf::new());
        let frame = [Frame { path: key.into(), relative: key.into(), split: Split::Train, label: label_path }];
        let plan = Plan::of_frame(&self.config, &frame, &self.styles, variant, place)?;
        let job = &plan.jobs[0];
        let facts = DatasetFacts { schema: schema.clone(), keeps_orientation: false };
        let context = self.context(&plan, facts, Path::new(""));
        let mut row = Provenance::new(&self.config, &self.engine).row(&plan, job);
        let mut worker = Worker::new(&context);
        let maps = Maps { masks: Vec::new(), depth: None };
        let (picture, part) = worker.picture(&image, &maps, label, &mut row)?;
        let Some(made) = worker.make(job, image, &picture, part, &mut row.outcome, on_step)? else { return Ok(None) };
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
        let provenance = Provenance::new(&self.config, &self.engine);
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
        JobContext { plan, stylizers: &self.stylizers, output, quality: self.config.quality, facts }
    }
}
