//! The batch: plan, engine, crew, manifest. With [`crate::work`], the only file that knows every stage.

pub mod capacity;
pub mod pending;
pub mod pool;
pub mod progress;
pub mod provenance;
pub mod remedy;
pub mod stop;
pub mod styles;
pub mod worker;

use crate::batch::pending::Pending;
use crate::batch::pool::WorkerEvent;
use crate::batch::progress::{Event, FailedFrame, Header, Observer, Summary};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::Stop;
use crate::batch::styles::JobContext;
use crate::batch::worker::Step;
use crate::config::values::{Config, Pairing};
use crate::dataset::data_yaml::root_of;
use crate::dataset::split::Split;
use crate::dataset::{Dataset, Layout};
use crate::error::{Error, Result};
use crate::nst::{Device, Stylizer};
use crate::output::manifest::{self, Manifest};
use crate::output::row::{Row, Status};
use crate::output::{annotations, data_yaml, folder};
use crate::plan::shard::Shard;
use crate::plan::styles::{Style, find_styles};
use crate::plan::{self, Job, Plan};
use crate::view::sheet;
use crate::weights::locate;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Failures that the end of a run names; the manifest has them all.
const MOST_FAILURES: usize = 100;

/// What the command line says of a run, besides what is done with each frame.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// `None` lets it lie beside the dataset.
    pub output: Option<PathBuf>,
    pub limit: Option<usize>,
    pub shard: Option<Shard>,
    /// `None` lets the device decide.
    pub frames_at_once: Option<usize>,
    /// Do again what is done.
    pub force: bool,
    /// Do again what failed.
    pub retry_failed: bool,
}

/// A dataset, a config and an order, read and checked, before any work.
pub struct Batch {
    config: Config,
    dataset: Dataset,
    styles: Vec<Style>,
    pub(crate) output: PathBuf,
    order: RunOptions,
    /// Whether a run ends with a sheet; who previews draws one of all that there is.
    sheet: bool,
}

/// What a run has come to.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    reduced: usize,
    several: usize,
}

impl Batch {
    /// # Errors
    /// When the dataset or the styles cannot be read; see [`Dataset::open`] and [`plan::find_styles`].
    pub fn open(config: Config, dataset: &Path, order: RunOptions) -> Result<Self> {
        let output = match &order.output {
            Some(output) => output.clone(),
            None => folder::default_folder(&root_of(dataset)?, &config.condition)?,
        };
        let output = std::path::absolute(&output).map_err(Error::io(&output, "find it"))?;
        let dataset = Dataset::open(dataset, &config.splits, &output)?;
        let styles = find_styles(&config.styles, &config.stylize)?;
        Ok(Self { config, dataset, styles, output, order, sheet: true })
    }

    /// The same for looking at: `count` frames, spread over all by the seed, each under every style in turn, or, where
    /// styles are blended, once.
    pub fn preview(mut self, count: usize) -> Self {
        let frames = std::mem::take(&mut self.dataset.frames);
        let chosen = plan::sample_frames(&frames, count, self.config.seed);
        self.dataset.frames = chosen.into_iter().map(|index| frames[index].clone()).collect();
        // Nobody trains on a preview.
        self.dataset.annotations.clear();
        self.sheet = false;
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
        Plan::new(&self.config, &self.dataset.frames, &self.styles).map(|plan| self.part(plan))
    }

    /// The last rows of this run's jobs in the plan's order, as far as there are any. For previews: it reads all rows.
    ///
    /// # Errors
    /// See [`Plan::new`] and [`manifest::last_rows`].
    pub fn rows(&self) -> Result<Vec<Row>> {
        let rows = manifest::last_rows(&self.output)?.into_iter().map(|row| (row.output.clone(), row));
        let mut rows: HashMap<String, Row> = rows.collect();
        Ok(self.plan()?.jobs.iter().filter_map(|job| rows.remove(&job.output)).collect())
    }

    /// Whether who trains on the dataset would take every picture in the output for one of its frames.
    pub fn is_trained_on(&self) -> bool {
        let mut train = self.dataset.sources.get(&Split::Train).into_iter().flatten();
        train.any(|source| source.holds(&self.output))
    }

    /// The part of a whole plan that is asked for.
    fn part<'p>(&self, mut plan: Plan<'p>) -> Plan<'p> {
        if let Some(limit) = self.order.limit {
            plan = plan.limit(limit);
        }
        if let Some(shard) = self.order.shard {
            plan = plan.shard(shard);
        }
        plan
    }

    /// Opens the backbone as far as the config's layers need it.
    ///
    /// # Errors
    /// See [`backbone::open`].
    pub fn engine(&self, weights: Option<&str>, device: Device) -> Result<Engine> {
        Ok(Engine { backbone: locate::open(weights, &self.config.backbone, &self.config.stylize)?, device })
    }

    fn stylizer(&self, engine: &Engine) -> Result<Stylizer> {
        Stylizer::new(&engine.backbone, self.config.stylize.clone(), engine.device.clone()).map_err(Error::Run)
    }

    /// Does what of the plan is not done yet, until `stop` says so. A frame that fails becomes a failed row, and the next
    /// one's turn comes.
    ///
    /// # Errors
    /// When the run as a whole cannot go on: the output cannot be written, or another run holds it.
    pub fn run(&self, engine: &Engine, stop: &Stop, observer: &mut dyn Observer) -> Result<Summary> {
        let begun = Instant::now();
        let whole = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        folder::check_folder(&self.output, &whole.jobs)?;
        let mut manifest = Manifest::open(&self.output, self.order.shard)?;
        if let Some(text) = self.unplanned_outputs(&whole, &manifest) {
            observer.event(Event::Warning(&text));
        }
        let plan = self.part(whole);
        let provenance = Provenance::new(&self.config, engine);
        let pending = self.sort(&plan, &provenance, &manifest);
        if manifest.damaged() > 0 {
            let text =
                format!("{} rows of the manifest cannot be read; their frames are done again", manifest.damaged());
            observer.event(Event::Warning(&text));
        }
        let header = self.header(engine, &plan, &pending);
        observer.event(Event::Begin(&header));
        let counts = match pending.todo.is_empty() {
            true => Counts::default(),
            false => self.work(engine, &plan, &provenance, &pending.todo, &mut manifest, stop, observer)?,
        };
        // Shards that end at one moment write one after the other, and the last knows all rows.
        let gate = self.order.shard.is_some().then(|| manifest.pass_gate()).transpose()?;
        if gate.is_some() {
            manifest.read_back()?;
        }
        let moved = self.moved(&manifest)?;
        let done = manifest.done().map(|(source, output)| (moved.get(output).map_or(source, |now| now), output));
        let data_yaml = data_yaml::write_data_yaml(&self.output, &self.dataset, done)?;
        let annotations = self.write_annotations(&manifest)?;
        drop(gate);
        // In a flat output, as in a folder of images to train on, every picture is one of them.
        let sheet = self.sheet && self.dataset.layout != Layout::Flat && !self.is_trained_on();
        if sheet
            && counts.done > 0
            && let Err(error) = self.write_sheet(&header, plan.condition, &manifest)
        {
            // The frames are what counts; they are done.
            observer.event(Event::Warning(&format!("no {} was made: {error}", sheet::FILE_NAME)));
        }
        let failures = failures(&plan, &manifest)?;
        manifest.close()?;
        let seconds = begun.elapsed().as_secs_f64();
        let left = pending.todo.len() - counts.done - counts.failed;
        Ok(Summary {
            jobs: header.jobs,
            done: counts.done,
            failed: counts.failed,
            failed_before: pending.failed,
            skipped: pending.done,
            left,
            reduced: counts.reduced,
            several: counts.several,
            // A wish that came with the last frame changed nothing.
            stopped: stop.reason().filter(|_| left > 0),
            failures,
            seconds,
            frames_per_second: counts.done as f64 / seconds,
            manifest: self.output.join(manifest::FILE_NAME),
            output: self.output.clone(),
            data_yaml,
            annotations: annotations.written,
            annotations_left: annotations.left,
            backbone: header.backbone,
            backbone_digest: header.backbone_digest,
            device: header.device,
        })
    }

    /// The COCO annotations of what the manifest knows to be done, whatever part of it this run did.
    fn write_annotations(&self, manifest: &Manifest) -> Result<annotations::Copies> {
        if self.dataset.annotations.is_empty() {
            return Ok(annotations::Copies::default());
        }
        let whole = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        let is_done =
            |output: &str| manifest.status(output) == Some(Status::Done) && self.output.join(output).is_file();
        annotations::write_copies(&self.output, &self.dataset, &whole, is_done)
    }

    #[allow(clippy::too_many_arguments, reason = "this is where everything meets")]
    fn work(
        &self,
        engine: &Engine,
        plan: &Plan,
        provenance: &Provenance,
        todo: &[&Job],
        manifest: &mut Manifest,
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<Counts> {
        let stylizer = self.stylizer(engine)?;
        let crew = self.crew(&stylizer, plan, todo)?;
        let keypoints = self.dataset.schema().keypoints;
        let context = JobContext::new(plan, stylizer, &self.output, self.config.quality, keypoints);
        let mut counts = Counts::default();
        let empty = |job: &Job| provenance.row(plan, job, &self.config.stylize);
        crew.run(&context, todo, empty, stop, |note| {
            match note {
                WorkerEvent::Frame(job) => observer.event(Event::Frame { name: &plan.frame(job).relative }),
                WorkerEvent::Evaluated(job, Step { evaluation, of, loss }) => observer.event(Event::Evaluated {
                    name: &plan.frame(job).relative,
                    evaluation,
                    of,
                    loss: loss.total,
                }),
                WorkerEvent::Row(row) => {
                    manifest.append(&row)?;
                    counts.add(&row);
                    observer.event(Event::Row(&row));
                }
                WorkerEvent::Broken(error) => {
                    let help = match error {
                        Error::Fatal(_) => "what is done stays done; give the same command again, or add --device cpu",
                        _ => "what is done stays done; make room there and give the same command again",
                    };
                    return Err(Error::Run(format!("{error}\n  help: {help}")));
                }
            }
            Ok(())
        })?;
        Ok(counts)
    }

    fn header(&self, engine: &Engine, plan: &Plan, pending: &Pending) -> Header {
        let stale = pending.stale.iter().map(|(change, count)| format!("{count} for {change}"));
        Header {
            backbone: engine.backbone.name().into(),
            backbone_digest: engine.backbone.digest().into(),
            device: format!("{}, {} threads", engine.device, rayon::current_num_threads()),
            output: self.output.clone(),
            jobs: plan.jobs.len(),
            todo: pending.todo.len(),
            skipped: pending.done,
            failed_before: pending.failed,
            done_again: stale.collect(),
            styles: self.styles.len(),
        }
    }
}

impl Counts {
    fn add(&mut self, row: &Row) {
        match row.status {
            Status::Done => self.done += 1,
            Status::Failed => self.failed += 1,
        }
        self.reduced += usize::from(row.reduced_size.is_some());
        self.several += usize::from(row.first_of_several);
    }
}

/// The first of the plan's jobs that have failed, now or before, with their reasons.
fn failures(plan: &Plan, manifest: &Manifest) -> Result<Vec<FailedFrame>> {
    let failed =
        plan.jobs.iter().map(|job| &*job.output).filter(|output| manifest.status(output) == Some(Status::Failed));
    let outputs: Vec<&str> = failed.take(MOST_FAILURES).collect();
    if outputs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = manifest.rows(&outputs)?.into_iter();
    Ok(rows.map(|row| FailedFrame { source: row.source, error: row.error.unwrap_or_default() }).collect())
}
