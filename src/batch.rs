//! A batch: a dataset and a config, checked before any work, and the run that makes the pictures.
//!
//! - [`capacity`]: how many frames at once, and how long a plan takes
//! - [`context`]: what all workers share
//! - [`pending`]: which jobs are still to be done
//! - [`pool`]: several workers at once
//! - [`progress`]: what a run reports
//! - [`provenance`]: what a row says about how its picture was made
//! - [`remedy`]: what helps when the engine fails
//! - [`sources`]: the files that one picture is made from
//! - [`stop`]: requests to end early
//! - [`styles`]: measured styles, kept
//! - [`worker`]: one frame

pub mod capacity;
pub mod context;
pub mod pending;
pub mod pool;
pub mod progress;
pub mod provenance;
pub mod remedy;
pub mod sources;
pub mod stop;
pub mod styles;
pub mod worker;

use crate::batch::context::JobContext;
use crate::batch::pending::{Again, Pending};
use crate::batch::pool::{Step, WorkerEvent, WorkerPool};
use crate::batch::progress::{Event, FailedFrame, Header, Observer, Summary};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::{Reason, Stop};
use crate::batch::worker::Worker;
use crate::config::values::{Config, Pairing};
use crate::dataset::description::root_of;
use crate::dataset::split::Split;
use crate::dataset::{Dataset, Layout, foreign, scan};
use crate::error::{Error, Result};
use crate::files::marker::MANIFEST_NAME;
use crate::nst::backend::device::Device;
use crate::nst::stylizer::Stylizer;
use crate::output::annotations::Copies;
use crate::output::manifest::{self, Manifest};
use crate::output::row::{Row, Status};
use crate::output::{annotations, data_yaml, folder};
use crate::plan::shard::Shard;
use crate::plan::styles::{Style, find_styles};
use crate::plan::{self, Job, Plan};
use crate::weights::locate;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many failures a summary names; the manifest has them all.
const MOST_FAILURES: usize = 100;

/// What the command line says about a run, besides what is done with each frame.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The output folder; `None` for one beside the dataset.
    pub output: Option<PathBuf>,
    /// The most jobs to plan.
    pub limit: Option<usize>,
    pub shard: Option<Shard>,
    /// `None` for as many as device and memory allow.
    pub frames_at_once: Option<usize>,
    /// Do again what is done.
    pub force: bool,
    /// Do again what failed.
    pub retry_failed: bool,
}

/// A dataset, a config and options, read and checked, before any work.
pub struct Batch {
    config: Config,
    dataset: Dataset,
    styles: Vec<Style>,
    /// Absolute.
    output: PathBuf,
    options: RunOptions,
}

impl Batch {
    /// # Errors
    /// When the dataset or the styles cannot be read; see [`Dataset::open`] and [`find_styles`].
    pub fn open(config: Config, dataset: &Path, options: RunOptions) -> Result<Self> {
        let output = match &options.output {
            Some(output) => output.clone(),
            None => folder::default_folder(&root_of(dataset)?, &config.condition)?,
        };
        let output = std::path::absolute(&output).map_err(Error::io(&output, "find it"))?;
        let dataset = Dataset::open(dataset, &config.splits, &output)?;
        let styles = find_styles(&config.styles, &config.stylize)?;
        Ok(Self { config, dataset, styles, output, options })
    }

    /// The same for a look at the result: `count` frames, drawn by the seed from all parts of the dataset, each under
    /// every style in turn, or, where styles are blended, once.
    pub fn preview(mut self, count: usize) -> Self {
        let frames = std::mem::take(&mut self.dataset.frames);
        let chosen = plan::sample_frames(&frames, count, self.config.seed);
        self.dataset.frames = chosen.into_iter().map(|index| frames[index].clone()).collect();
        // Nobody trains on a preview.
        self.dataset.annotations.clear();
        self.config.fraction = 1.0;
        self.config.variants = 1;
        if self.config.pairing != Pairing::Blend {
            (self.config.pairing, self.config.variants) = (Pairing::Cycle, self.styles.len() as u32);
        }
        self
    }

    /// The jobs of this run, whether done before or not.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan(&self) -> Result<Plan<'_>> {
        self.whole_plan().map(|whole| self.part(whole))
    }

    /// The jobs of the whole dataset.
    fn whole_plan(&self) -> Result<Plan<'_>> {
        Plan::new(&self.config, &self.dataset.frames, &self.styles)
    }

    /// The part of a whole plan that this run is asked for.
    fn part<'p>(&self, mut plan: Plan<'p>) -> Plan<'p> {
        if let Some(limit) = self.options.limit {
            plan = plan.limit(limit);
        }
        if let Some(shard) = self.options.shard {
            plan = plan.shard(shard);
        }
        plan
    }

    /// How long `plan` would take here; see [`capacity::estimate`].
    ///
    /// # Errors
    /// When the engine cannot be set up.
    pub fn estimate(&self, plan: &Plan, engine: &Engine) -> Result<Option<Duration>> {
        capacity::estimate(plan, &self.stylizer(engine)?)
    }

    /// The last rows of this run's jobs in the plan's order, as far as there are any. For previews: it reads all rows.
    ///
    /// # Errors
    /// See [`Plan::new`] and [`manifest::last_rows`].
    pub fn rows(&self) -> Result<Vec<Row>> {
        let rows = manifest::last_rows(&self.output)?.into_iter().map(|row| (row.identity.output.clone(), row));
        let mut rows: HashMap<String, Row> = rows.collect();
        Ok(self.plan()?.jobs.iter().filter_map(|job| rows.remove(&job.output)).collect())
    }

    /// What a person should know about the files that the batch leaves out, before it begins.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder of styles cannot be listed.
    pub fn left_out(&self) -> Result<Vec<String>> {
        let folders = self.config.styles.iter().map(|source| &source.path).filter(|path| path.is_dir());
        let styles = folders.map(|folder| scan::foreign_files(folder)).collect::<Result<Vec<_>>>()?.concat();
        let frames = foreign::message(&self.dataset.foreign, "image files");
        Ok(frames.into_iter().chain(foreign::message(&styles, "style pictures")).collect())
    }

    /// How the dataset says what belongs to it.
    pub fn layout(&self) -> &Layout {
        &self.dataset.layout
    }

    /// Whether every picture in the output folder would count as a frame of the dataset in training.
    pub fn is_trained_on(&self) -> bool {
        let mut train = self.dataset.sources.get(&Split::Train).into_iter().flatten();
        train.any(|source| source.holds(&self.output))
    }

    /// What a person should know about the dataset before a run.
    pub fn warnings(&self) -> &[String] {
        &self.dataset.warnings
    }

    /// Adds what is known about the dataset's labels.
    fn with_labels(&self, mut summary: Summary) -> Summary {
        let frames = &self.dataset.frames;
        summary.labelled = frames.iter().filter(|frame| frame.label.is_some()).count();
        summary.background = frames.len() - summary.labelled;
        summary.unused_labels = self.dataset.unused_labels;
        summary.warnings = self.dataset.warnings.iter().chain(&summary.data_yaml_warnings).cloned().collect();
        summary
    }

    /// Opens the backbone as far as the config's layers need it.
    ///
    /// # Errors
    /// See [`locate::open`].
    pub fn engine(&self, weights: Option<&str>, device: Device) -> Result<Engine> {
        Ok(Engine { backbone: locate::open(weights, &self.config.backbone, &self.config.stylize)?, device })
    }

    fn stylizer(&self, engine: &Engine) -> Result<Stylizer> {
        Stylizer::new(&engine.backbone, self.config.stylize.clone(), engine.device.clone()).map_err(Error::Run)
    }

    /// Does what is not done yet of the plan, until `stop` is asked for. A frame that fails becomes a failed row, and
    /// the run goes on with the next.
    ///
    /// # Errors
    /// When the run as a whole cannot go on: the output cannot be written, another run holds it, or the device is lost.
    pub fn run(&self, engine: &Engine, stop: &Stop, observer: &mut dyn Observer) -> Result<Summary> {
        let begun = Instant::now();
        let whole = self.whole_plan()?;
        folder::check_folder(&self.output, &whole.jobs)?;
        let mut manifest = Manifest::open(&self.output, self.options.shard)?;
        let plan = match (self.options.limit, self.options.shard) {
            (None, None) => Cow::Borrowed(&whole),
            _ => Cow::Owned(self.part(whole.clone())),
        };
        let run =
            Run { batch: self, engine, provenance: Provenance::new(&self.config, engine), whole: &whole, plan: &plan };
        self.left_out()?.iter().for_each(|text| observer.event(Event::Warning(text)));
        run.warn(&manifest, observer);
        let pending = run.pending(&manifest);
        let header = run.header(&pending);
        observer.event(Event::Begin(&header));
        let counts = run.work(&pending.todo, &mut manifest, stop, observer)?;
        let written = run.describe(&mut manifest)?;
        let failures = run.failures(&manifest)?;
        manifest.close()?;
        let unread = foreign::by_extension(&self.dataset.foreign);
        let summary = summary(header, counts, written, failures, stop.reason(), begun.elapsed());
        Ok(self.with_labels(Summary { unread, ..summary }))
    }
}

/// One run of a batch.
struct Run<'a> {
    batch: &'a Batch,
    engine: &'a Engine,
    provenance: Provenance<'a>,
    /// The jobs of the whole dataset.
    whole: &'a Plan<'a>,
    /// Those of them that the run is asked for.
    plan: &'a Plan<'a>,
}

/// What a run has done so far.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    /// Frames that were worked on at a smaller size than the config's.
    reduced: usize,
    /// Frames whose files hold several pictures.
    several: usize,
}

/// What was written about all pictures together.
struct Written {
    data_yaml: Option<data_yaml::Written>,
    annotations: Copies,
}

impl Run<'_> {
    /// Says what a person should know about the output before the run begins.
    fn warn(&self, manifest: &Manifest, observer: &mut dyn Observer) {
        let Batch { dataset, output, .. } = self.batch;
        dataset.warnings.iter().for_each(|text| observer.event(Event::Warning(text)));
        if let Some(text) = pending::unplanned_outputs(self.whole, &dataset.root, output, manifest) {
            observer.event(Event::Warning(&text));
        }
        if manifest.damaged() > 0 {
            let text =
                format!("{} rows of the manifest cannot be read; their frames are done again", manifest.damaged());
            observer.event(Event::Warning(&text));
        }
    }

    fn pending(&self, manifest: &Manifest) -> Pending<'_> {
        let RunOptions { force, retry_failed, .. } = self.batch.options;
        let again = Again { done: force, failed: force || retry_failed };
        Pending::of(self.plan, &self.provenance, manifest, again)
    }

    fn header(&self, pending: &Pending) -> Header {
        let Engine { backbone, device } = self.engine;
        let stale = pending.stale.iter().map(|(change, count)| format!("{count} for {change}"));
        Header {
            backbone: backbone.name().into(),
            backbone_digest: backbone.digest().into(),
            device: format!("{device}, {} threads", rayon::current_num_threads()),
            output: self.batch.output.clone(),
            jobs: self.plan.jobs.len(),
            todo: pending.todo.len(),
            skipped: pending.done,
            failed_before: pending.failed,
            done_again: stale.collect(),
            styles: self.batch.styles.len(),
        }
    }

    /// Does the jobs `todo` and appends their rows.
    fn work(&self, todo: &[&Job], manifest: &mut Manifest, stop: &Stop, observer: &mut dyn Observer) -> Result<Counts> {
        let mut counts = Counts::default();
        if todo.is_empty() {
            return Ok(counts);
        }
        let (batch, plan) = (self.batch, self.plan);
        let stylizer = batch.stylizer(self.engine)?;
        let threads = rayon::current_num_threads();
        let asked = batch.options.frames_at_once;
        let pool = WorkerPool::new(capacity::frames_at_once(plan, todo, &stylizer, asked, threads), threads)?;
        let context = JobContext::new(plan, &batch.dataset, stylizer, &batch.output, batch.config.quality);
        let new_row = |job: &Job| self.provenance.row(plan, job);
        pool.run(
            todo,
            || Worker::new(&context),
            new_row,
            stop,
            |event| {
                match event {
                    WorkerEvent::Began(job) => observer.event(Event::Frame { name: &plan.frame(job).relative }),
                    WorkerEvent::Evaluated(job, Step { evaluation, of, loss }) => {
                        let name = &plan.frame(job).relative;
                        observer.event(Event::Evaluated { name, evaluation, of, loss: loss.total });
                    }
                    WorkerEvent::Finished(row) => {
                        manifest.append(&row)?;
                        counts.add(&row);
                        observer.event(Event::Row(&row));
                    }
                    WorkerEvent::Broken(error) => return Err(with_help(&error)),
                }
                Ok(())
            },
        )?;
        Ok(counts)
    }

    /// Writes `data.yaml` and the COCO annotations of all that the manifest knows to be done, whichever run did it.
    fn describe(&self, manifest: &mut Manifest) -> Result<Written> {
        let Batch { dataset, output, options, .. } = self.batch;
        // Shards that end at the same moment write one after the other, so the last one knows all rows.
        let gate = options.shard.is_some().then(|| manifest.pass_gate()).transpose()?;
        if gate.is_some() {
            manifest.read_back()?;
        }
        let moved = pending::moved_sources(self.whole, &dataset.root, manifest);
        let done = manifest.done().map(|(source, output)| (moved.get(output).map_or(source, |now| now), output));
        let data_yaml = data_yaml::write_data_yaml(output, dataset, done)?;
        let mut annotations = Copies::default();
        if !dataset.annotations.is_empty() {
            let is_done = |name: &str| manifest.status(name) == Some(Status::Done) && output.join(name).is_file();
            annotations = annotations::write_copies(output, dataset, self.whole, is_done)?;
        }
        Ok(Written { data_yaml, annotations })
    }

    /// The first of the plan's jobs that have failed, in this run or before, with their reasons.
    fn failures(&self, manifest: &Manifest) -> Result<Vec<FailedFrame>> {
        let outputs = self.plan.jobs.iter().map(|job| &*job.output);
        let failed = outputs.filter(|output| manifest.status(output) == Some(Status::Failed));
        let failed: Vec<&str> = failed.take(MOST_FAILURES).collect();
        if failed.is_empty() {
            return Ok(Vec::new());
        }
        let frame =
            |row: Row| FailedFrame { source: row.identity.source, error: row.outcome.error.unwrap_or_default() };
        Ok(manifest.rows(&failed)?.into_iter().map(frame).collect())
    }
}

impl Counts {
    fn add(&mut self, row: &Row) {
        match row.status {
            Status::Done => self.done += 1,
            Status::Failed => self.failed += 1,
        }
        self.reduced += usize::from(row.outcome.reduced_size.is_some());
        self.several += usize::from(row.outcome.first_of_several);
    }
}

fn summary(
    header: Header,
    counts: Counts,
    written: Written,
    failures: Vec<FailedFrame>,
    stopped: Option<Reason>,
    time: Duration,
) -> Summary {
    let left = header.todo - counts.done - counts.failed;
    let (data_yaml, data_yaml_warnings) = written.data_yaml.map(|file| (file.path, file.warnings)).unzip();
    let seconds = time.as_secs_f64();
    Summary {
        jobs: header.jobs,
        done: counts.done,
        failed: counts.failed,
        failed_before: header.failed_before,
        skipped: header.skipped,
        left,
        reduced: counts.reduced,
        several: counts.several,
        unread: BTreeMap::new(),
        // A stop request after the last frame has no effect.
        stopped: stopped.filter(|_| left > 0),
        failures,
        seconds,
        frames_per_second: counts.done as f64 / seconds,
        manifest: header.output.join(MANIFEST_NAME),
        output: header.output,
        data_yaml,
        data_yaml_warnings: data_yaml_warnings.unwrap_or_default(),
        labelled: 0,
        background: 0,
        unused_labels: 0,
        warnings: Vec::new(),
        annotations: written.annotations.written,
        annotations_left: written.annotations.left,
        annotations_partial: written.annotations.partial,
        backbone: header.backbone,
        backbone_digest: header.backbone_digest,
        device: header.device,
    }
}

/// An error that ended the run, with what to do about it.
fn with_help(error: &Error) -> Error {
    let help = match error {
        Error::Fatal(_) => "what is done stays done; give the same command again, or add --device cpu",
        _ => "what is done stays done; make room there and give the same command again",
    };
    Error::Run(format!("{error}\n  help: {help}"))
}
