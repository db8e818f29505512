//! The batch: plan, engine, crew, manifest. With [`crate::work`], the only file that knows every stage.

use crate::backbone;
use crate::coco;
use crate::config::{Config, Pairing};
use crate::crew::{self, Crew, Note};
use crate::dataset::{self, Dataset, Frame, Layout, Split};
use crate::decode;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::manifest::{self, Change, Manifest, Row, State, Status, Work};
use crate::maps;
use crate::nst::backend::Machine;
use crate::nst::conv::Size;
use crate::nst::settings::Settings;
use crate::nst::weights::Backbone;
use crate::nst::{Stylizer, schedule};
use crate::output;
use crate::plan::{self, Job, Plan, Shard, Style};
use crate::progress::{Event, Failure, Header, Observer, Summary};
use crate::sheet;
use crate::stop::Stop;
use crate::work::{Step, Workshop};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Frames whose size is looked at for an estimate.
const SAMPLE: usize = 16;
/// Failures that the end of a run names; the manifest has them all.
const MOST_FAILURES: usize = 100;
/// Frames on the sheet of a run.
const SHEET_ROWS: usize = 6;

/// What the command line says of a run, besides what is done with each frame.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// `None` lets it lie beside the dataset.
    pub output: Option<PathBuf>,
    pub limit: Option<usize>,
    pub shard: Option<Shard>,
    /// `None` lets the machine decide.
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
    output: PathBuf,
    order: Order,
    /// Whether a run ends with a sheet; who previews draws one of all that there is.
    sheet: bool,
}

/// The engine's parts that a batch runs on.
pub struct Engine {
    pub backbone: Backbone,
    pub machine: Machine,
}

/// The jobs of a plan by what is known of them.
struct Sorted<'p> {
    todo: Vec<&'p Job>,
    done: usize,
    /// Failed before and left so.
    failed: usize,
    /// Why some of them are to be done again.
    stale: BTreeMap<Change, usize>,
}

/// What a run has come to.
#[derive(Default)]
struct Tally {
    done: usize,
    failed: usize,
    reduced: usize,
    several: usize,
}

impl Batch {
    /// # Errors
    /// When the dataset or the styles cannot be read; see [`Dataset::open`] and [`plan::find_styles`].
    pub fn open(config: Config, dataset: &Path, order: Order) -> Result<Self> {
        let output = match &order.output {
            Some(output) => output.clone(),
            None => output::default_folder(&dataset::root_of(dataset)?, &config.condition)?,
        };
        let output = std::path::absolute(&output).map_err(Error::io(&output, "find it"))?;
        let dataset = Dataset::open(dataset, &config.splits, &output)?;
        let styles = plan::find_styles(&config.styles, &config.stylize)?;
        Ok(Self { config, dataset, styles, output, order, sheet: true })
    }

    /// The same for looking at: `count` frames, spread over all by the seed, each under every style in turn, or, where
    /// styles are blended, once.
    pub fn preview(mut self, count: usize) -> Self {
        let frames = std::mem::take(&mut self.dataset.frames);
        let chosen = plan::spread(&frames, count, self.config.seed);
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
    pub fn engine(&self, weights: Option<&str>, machine: Machine) -> Result<Engine> {
        Ok(Engine { backbone: backbone::open(weights, &self.config.backbone, &self.config.stylize)?, machine })
    }

    /// How long `plan` would take here, by measuring two evaluations at the size of its first readable frame.
    ///
    /// # Errors
    /// When the engine cannot be set up. Frames that cannot be read do not count.
    pub fn estimate(&self, plan: &Plan, engine: &Engine) -> Result<Option<Duration>> {
        let stylizer = self.stylizer(engine)?;
        let every = plan.jobs.len().div_ceil(SAMPLE).max(1);
        let sizes: Vec<Size> = plan
            .jobs
            .iter()
            .step_by(every)
            .filter_map(|job| decode::dimensions(&plan.frame(job).path).ok())
            .map(|(width, height)| Size { height: height as usize, width: width as usize })
            .map(|full| stylizer.working_size(full))
            .collect();
        let Some(&first) = sizes.first() else { return Ok(None) };
        let work = |size: &Size| size.pixels() as f64 * schedule::cost(&stylizer.scales(*size));
        let mean = sizes.iter().map(work).sum::<f64>() / sizes.len() as f64;
        let evaluation =
            stylizer.workbench(first).seconds_per_evaluation(2).map_err(|why| Error::Run(why.to_string()))?;
        let seconds = evaluation * mean / first.pixels() as f64 * plan.jobs.len() as f64;
        Ok(Some(Duration::from_secs_f64(seconds)))
    }

    fn stylizer(&self, engine: &Engine) -> Result<Stylizer> {
        Stylizer::new(&engine.backbone, self.config.stylize.clone(), engine.machine.clone()).map_err(Error::Run)
    }

    /// Does what of the plan is not done yet, until `stop` says so. A frame that fails becomes a failed row, and the next
    /// one's turn comes.
    ///
    /// # Errors
    /// When the run as a whole cannot go on: the output cannot be written, or another run holds it.
    pub fn run(&self, engine: &Engine, stop: &Stop, observer: &mut dyn Observer) -> Result<Summary> {
        let begun = Instant::now();
        let whole = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        output::check_folder(&self.output, &whole.jobs)?;
        let mut manifest = Manifest::open(&self.output, self.order.shard)?;
        if let Some(text) = self.strays(&whole, &manifest) {
            observer.event(Event::Warning(&text));
        }
        let plan = self.part(whole);
        let stamp = Stamp::new(&self.config, engine);
        let sorted = self.sort(&plan, &stamp, &manifest);
        if manifest.damaged() > 0 {
            let text =
                format!("{} rows of the manifest cannot be read; their frames are done again", manifest.damaged());
            observer.event(Event::Warning(&text));
        }
        let header = self.header(engine, &plan, &sorted);
        observer.event(Event::Begin(&header));
        let tally = match sorted.todo.is_empty() {
            true => Tally::default(),
            false => self.work(engine, &plan, &stamp, &sorted.todo, &mut manifest, stop, observer)?,
        };
        // Shards that end at one moment write one after the other, and the last knows all rows.
        let gate = self.order.shard.is_some().then(|| manifest.pass_gate()).transpose()?;
        if gate.is_some() {
            manifest.read_back()?;
        }
        let moved = self.moved(&manifest)?;
        let done = manifest.done().map(|(source, output)| (moved.get(output).map_or(source, |now| now), output));
        let data_yaml = output::write_data_yaml(&self.output, &self.dataset, done)?;
        let annotations = self.write_annotations(&manifest)?;
        drop(gate);
        // In a flat output, as in a folder of images to train on, every picture is one of them.
        let sheet = self.sheet && self.dataset.layout != Layout::Flat && !self.is_trained_on();
        if sheet
            && tally.done > 0
            && let Err(error) = self.write_sheet(&header, plan.condition, &manifest)
        {
            // The frames are what counts; they are done.
            observer.event(Event::Warning(&format!("no {} was made: {error}", sheet::FILE_NAME)));
        }
        let failures = failures(&plan, &manifest)?;
        manifest.close()?;
        let seconds = begun.elapsed().as_secs_f64();
        let left = sorted.todo.len() - tally.done - tally.failed;
        Ok(Summary {
            jobs: header.jobs,
            done: tally.done,
            failed: tally.failed,
            failed_before: sorted.failed,
            skipped: sorted.done,
            left,
            reduced: tally.reduced,
            several: tally.several,
            // A wish that came with the last frame changed nothing.
            stopped: stop.reason().filter(|_| left > 0),
            failures,
            seconds,
            frames_per_second: tally.done as f64 / seconds,
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
    fn write_annotations(&self, manifest: &Manifest) -> Result<coco::Copies> {
        if self.dataset.annotations.is_empty() {
            return Ok(coco::Copies::default());
        }
        let whole = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        let is_done =
            |output: &str| manifest.status(output) == Some(Status::Done) && self.output.join(output).is_file();
        coco::write_copies(&self.output, &self.dataset, &whole, is_done)
    }

    /// Writes the sheet of a few frames, spread over what is done.
    fn write_sheet(&self, header: &Header, condition: &str, manifest: &Manifest) -> Result<()> {
        let mut done: Vec<&str> = manifest.done().map(|(_, output)| output).collect();
        done.sort_unstable();
        let mut rows = manifest.rows(&sheet::spread(&done, SHEET_ROWS))?;
        // A row names its frame as text; a name that is none leads nowhere.
        rows.retain(|row| Path::new(&row.source).exists());
        let title = format!("{condition}: {} of {} pictures", rows.len(), done.len());
        let facts = [("backbone".to_string(), format!("{} {}", header.backbone, header.backbone_digest))];
        sheet::write(&self.output, &title, &facts, &rows).map(drop)
    }

    /// By output, where the frames now lie whose rows name another place: the dataset was moved, or was elsewhere on the
    /// machine that did them.
    fn moved(&self, manifest: &Manifest) -> Result<HashMap<String, String>> {
        let here = |source: &str| Path::new(source).starts_with(&self.dataset.root);
        if manifest.done().all(|(source, _)| here(source)) {
            return Ok(HashMap::new());
        }
        let whole = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        let place = |job: &Job| (job.output.clone(), whole.frame(job).path.to_string_lossy().into_owned());
        Ok(whole.jobs.iter().map(place).collect())
    }

    /// Which jobs are left to do. Looks at every file of every job that was done before.
    fn sort<'p>(&self, plan: &'p Plan, stamp: &Stamp, manifest: &Manifest) -> Sorted<'p> {
        let settings = &self.config.stylize;
        let state = |job: &'p Job| (job, manifest.state(&stamp.work(plan, job, settings, &plan.style_digest(job))));
        let states: Vec<(&Job, State)> = plan.jobs.par_iter().map(state).collect();
        let mut sorted = Sorted { todo: Vec::new(), done: 0, failed: 0, stale: BTreeMap::new() };
        for (job, state) in states {
            match state {
                State::Done if !self.order.force => sorted.done += 1,
                State::Failed if !self.order.force && !self.order.retry_failed => sorted.failed += 1,
                State::New | State::Done | State::Failed => sorted.todo.push(job),
                State::Stale(change) => {
                    *sorted.stale.entry(change).or_default() += 1;
                    sorted.todo.push(job);
                }
            }
        }
        sorted
    }

    /// Says if there are pictures of this dataset and condition that the plan does not have: they would train along.
    fn strays(&self, whole: &Plan, manifest: &Manifest) -> Option<String> {
        let planned: HashSet<&str> = whole.jobs.iter().map(|job| &*job.output).collect();
        let mark = format!("__{}-", self.config.condition);
        let is_stray = |&(source, output): &(&str, &str)| {
            !planned.contains(output)
                && output.contains(&mark)
                && Path::new(source).starts_with(&self.dataset.root)
                && self.output.join(output).exists()
        };
        let mut strays: Vec<&str> = manifest.done().filter(is_stray).map(|(_, output)| output).collect();
        strays.sort_unstable();
        let first = strays.first()?;
        Some(format!(
            "{} pictures of earlier runs, such as {first}, are not of this plan and would be trained on with the others; \
             remove them and their labels, or choose another --output",
            strays.len()
        ))
    }

    #[allow(clippy::too_many_arguments, reason = "this is where everything meets")]
    fn work(
        &self,
        engine: &Engine,
        plan: &Plan,
        stamp: &Stamp,
        todo: &[&Job],
        manifest: &mut Manifest,
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<Tally> {
        let stylizer = self.stylizer(engine)?;
        let crew = self.crew(&stylizer, plan, todo)?;
        let keypoints = self.dataset.schema().keypoints;
        let shop = Workshop::new(plan, stylizer, &self.output, self.config.quality, keypoints);
        let mut tally = Tally::default();
        let empty = |job: &Job| stamp.row(plan, job, &self.config.stylize);
        crew.run(&shop, todo, empty, stop, |note| {
            match note {
                Note::Frame(job) => observer.event(Event::Frame { name: &plan.frame(job).relative }),
                Note::Evaluated(job, Step { evaluation, of, loss }) => observer.event(Event::Evaluated {
                    name: &plan.frame(job).relative,
                    evaluation,
                    of,
                    loss: loss.total,
                }),
                Note::Row(row) => {
                    manifest.append(&row)?;
                    tally.add(&row);
                    observer.event(Event::Row(&row));
                }
                Note::Broken(error) => {
                    let help = match error {
                        Error::Run(_) => "what is done stays done; give the same command again, or add --device cpu",
                        _ => "what is done stays done; make room there and give the same command again",
                    };
                    return Err(Error::Run(format!("{error}\n  help: {help}")));
                }
            }
            Ok(())
        })?;
        Ok(tally)
    }

    /// As many frames at once as [`crew::most_frames`] says, if memory allows.
    fn crew(&self, stylizer: &Stylizer, plan: &Plan, todo: &[&Job]) -> Result<Crew> {
        let threads = rayon::current_num_threads();
        let sample = todo.iter().step_by(todo.len().div_ceil(SAMPLE).max(1));
        let sizes = sample.filter_map(|job| decode::dimensions(&plan.frame(job).path).ok());
        let sizes: Vec<Size> =
            sizes.map(|(width, height)| Size { height: height as usize, width: width as usize }).collect();
        let at_once = |&full: &Size| crew::most_frames(stylizer.batch(stylizer.working_size(full)), threads);
        let most = sizes.iter().map(at_once).max().unwrap_or(threads);
        let frames = self.order.frames_at_once.unwrap_or_else(|| {
            let bytes =
                sizes.iter().map(|&full| crew::bytes_per_frame(full, &stylizer.scales(stylizer.working_size(full))));
            crew::frames_that_fit(most, bytes.max().unwrap_or(0))
        });
        Crew::new(frames.min(most).min(todo.len()), threads)
    }

    fn header(&self, engine: &Engine, plan: &Plan, sorted: &Sorted) -> Header {
        let stale = sorted.stale.iter().map(|(change, count)| format!("{count} for {change}"));
        Header {
            backbone: engine.backbone.name().into(),
            backbone_digest: engine.backbone.digest().into(),
            device: format!("{}, {} threads", engine.machine, rayon::current_num_threads()),
            output: self.output.clone(),
            jobs: plan.jobs.len(),
            todo: sorted.todo.len(),
            skipped: sorted.done,
            failed_before: sorted.failed,
            done_again: stale.collect(),
            styles: self.styles.len(),
        }
    }
}

impl Tally {
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
fn failures(plan: &Plan, manifest: &Manifest) -> Result<Vec<Failure>> {
    let failed =
        plan.jobs.iter().map(|job| &*job.output).filter(|output| manifest.status(output) == Some(Status::Failed));
    let outputs: Vec<&str> = failed.take(MOST_FAILURES).collect();
    if outputs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = manifest.rows(&outputs)?.into_iter();
    Ok(rows.map(|row| Failure { source: row.source, error: row.error.unwrap_or_default() }).collect())
}

/// What all rows of a run share.
struct Stamp {
    device: String,
    config_digest: String,
    backbone: manifest::Backbone,
}

impl Stamp {
    fn new(config: &Config, engine: &Engine) -> Self {
        Self {
            device: engine.machine.to_string(),
            config_digest: config.digest(),
            backbone: manifest::Backbone {
                name: engine.backbone.name().into(),
                digest: engine.backbone.digest().into(),
            },
        }
    }

    fn work<'a>(&'a self, plan: &Plan<'a>, job: &'a Job, settings: &Settings, style_digest: &'a str) -> Work<'a> {
        let frame = plan.frame(job);
        Work {
            source: frame.path.to_string_lossy(),
            source_files: source_files(frame, settings),
            output: &job.output,
            label: job.label_output.as_deref(),
            seed: job.seed,
            style_digest,
            config_digest: &self.config_digest,
            backbone_digest: &self.backbone.digest,
            engine: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The row of a job that has not come to anything yet.
    fn row(&self, plan: &Plan, job: &Job, settings: &Settings) -> Row {
        let (frame, style) = (plan.frame(job), plan.style(job));
        let part =
            |(style, weight): (&Style, f64)| manifest::Part { path: style.path.to_string_lossy().into_owned(), weight };
        Row {
            status: Status::Failed,
            source: frame.path.to_string_lossy().into_owned(),
            source_files: Some(Fingerprint::of(&source_files(frame, settings))),
            made_files: None,
            style: style.path.to_string_lossy().into_owned(),
            styles: if job.styles.len() > 1 { plan.parts(job).map(part).collect() } else { Vec::new() },
            style_digest: plan.style_digest(job),
            output: job.output.clone(),
            label: job.label_output.clone(),
            condition: plan.condition.into(),
            variant: job.variant,
            seed: job.seed,
            width: None,
            height: None,
            device: self.device.clone(),
            backbone: self.backbone.clone(),
            config_digest: self.config_digest.clone(),
            engine: env!("CARGO_PKG_VERSION").into(),
            evals: None,
            content_loss: None,
            style_loss: None,
            first_content_loss: None,
            first_style_loss: None,
            losses: Vec::new(),
            strength: None,
            boxes: None,
            box_edges_min: None,
            guard: None,
            malformed_labels: None,
            reduced_size: None,
            restarted: false,
            first_of_several: false,
            seconds: 0.0,
            error: None,
        }
    }
}

/// The files that a frame's picture and label are made from.
fn source_files(frame: &Frame, settings: &Settings) -> Vec<PathBuf> {
    let own = std::iter::once(frame.path.clone()).chain(frame.label.clone());
    own.chain(maps::Paths::of(&frame.path, settings).all()).collect()
}
