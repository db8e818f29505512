//! A batch: a dataset and one or several configs, checked before any work, and the run that makes the pictures.
//!
//! - [`capacity`]: how many frames at once, and how long a plan takes
//! - [`condition`]: one config with its styles
//! - [`context`]: what all workers share
//! - [`executor`]: runs whose frames are stylized by other processes
//! - [`frame_stylizer`]: one config for frames that another program hands over
//! - [`learn`]: a student learns from optimized frames
//! - [`pending`]: which jobs are still to be done
//! - [`pool`]: several workers at once
//! - [`progress`]: what a run reports
//! - [`provenance`]: what a row says about how its picture was made
//! - [`remedy`]: what helps when the engine fails
//! - [`sources`]: the files that one picture is made from
//! - [`stop`]: requests to end early
//! - [`styles`]: measured styles, kept
//! - [`stylizers`]: the stylizers of one condition by working size
//! - [`worker`]: one frame

pub mod capacity;
pub mod condition;
pub mod context;
pub mod executor;
pub mod frame_stylizer;
pub mod learn;
pub mod pending;
pub mod pool;
pub mod progress;
pub mod provenance;
pub mod remedy;
pub mod sources;
pub mod stop;
pub mod styles;
pub mod stylizers;
pub mod worker;

use crate::batch::condition::Condition;
use crate::batch::context::{DatasetFacts, JobContext};
use crate::batch::executor::Executor;
use crate::batch::learn::{LearnOutcome, Learned, Learning};
use crate::batch::pending::{Again, Pending};
use crate::batch::pool::{Step, WorkerEvent, WorkerPool};
use crate::batch::progress::{Event, FailedFrame, Header, Observer, Summary};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::{Reason, Stop};
use crate::batch::stylizers::Stylizers;
use crate::batch::worker::Worker;
use crate::config::values::{Config, EngineChoice};
use crate::dataset::description::root_of;
use crate::dataset::split::Split;
use crate::dataset::{Dataset, Layout, foreign, scan};
use crate::error::{Error, Result};
use crate::files::marker::MANIFEST_NAME;
use crate::files::paths::absolute;
use crate::nst::backend::device::Device;
use crate::output::annotations::Copies;
use crate::output::manifest::{self, Manifest};
use crate::output::resume::Change;
use crate::output::row::{MadeBy, Row, Status};
use crate::output::{annotations, data_yaml, folder};
use crate::plan::balance::balance;
use crate::plan::shard::Shard;
use crate::plan::summary::ConditionCounts;
use crate::plan::task::Task;
use crate::plan::{self, Job, Plan};
use crate::weights::student::StudentFile;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many failures a summary names; the manifest has them all.
const MOST_FAILURES: usize = 100;

/// What the command line says about a run, besides what is done with each frame.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The output folder; `None` for one beside the dataset.
    pub output: Option<PathBuf>,
    /// Of several conditions, how many each frame gets; `None` for one.
    pub per_frame: Option<usize>,
    /// The most jobs to plan.
    pub limit: Option<usize>,
    pub shard: Option<Shard>,
    /// `None` for as many as device and memory allow.
    pub frames_at_once: Option<usize>,
    /// Do again what is done.
    pub force: bool,
    /// Do again what failed.
    pub retry_failed: bool,
    /// Weights were asked for, which configs without steps do not read.
    pub weights_given: bool,
    /// The most frames that a student learns from.
    pub learn_frames: usize,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            output: None,
            per_frame: None,
            limit: None,
            shard: None,
            frames_at_once: None,
            force: false,
            retry_failed: false,
            weights_given: false,
            learn_frames: learn::FRAMES,
        }
    }
}

/// A dataset, one or several configs and options, read and checked, before any work.
pub struct Batch {
    /// At least one, sorted by name.
    conditions: Vec<Condition>,
    dataset: Dataset,
    /// Absolute.
    output: PathBuf,
    options: RunOptions,
    /// For a look at the result: whether each frame is shown.
    shown: Option<Vec<bool>>,
}

impl Batch {
    /// # Errors
    /// When the configs do not go together, or the dataset or the styles cannot be read; see [`condition::sorted`],
    /// [`Dataset::open`] and [`Condition::open`].
    ///
    /// # Panics
    /// Without a config.
    pub fn open(configs: Vec<Config>, dataset: &Path, options: RunOptions) -> Result<Self> {
        assert!(!configs.is_empty(), "a batch has a config");
        check_per_frame(options.per_frame, configs.len())?;
        let configs = condition::sorted(configs)?;
        let names: Vec<&str> = configs.iter().map(|config| &*config.condition).collect();
        let output = match &options.output {
            Some(output) => output.clone(),
            None => folder::default_folder(&root_of(dataset)?, &names.join("-"))?,
        };
        let output = absolute(&output)?;
        let dataset = Dataset::open(dataset, &condition::splits(&configs), &output)?;
        let conditions = configs.into_iter().map(|config| Condition::open(config, &dataset)).collect::<Result<_>>()?;
        Ok(Self { conditions, dataset, output, options, shown: None })
    }

    /// The same for a look at the result: `count` frames, drawn by the seed from all parts of the dataset, each under
    /// every style in turn, or, where styles are blended, once.
    pub fn preview(mut self, count: usize) -> Self {
        let frames = &self.dataset.frames;
        let possible: Vec<usize> = (0..frames.len())
            .filter(|&frame| self.conditions.iter().any(|condition| condition.chooses(frame)))
            .collect();
        let candidates: Vec<_> = possible.iter().map(|&frame| frames[frame].clone()).collect();
        let mut shown = vec![false; frames.len()];
        for index in plan::sample_frames(&candidates, count, self.conditions[0].config.seed) {
            shown[possible[index]] = true;
        }
        self.shown = Some(shown);
        // Nobody trains on a preview.
        self.dataset.annotations.clear();
        self.conditions.iter_mut().for_each(Condition::show_every_style);
        self
    }

    /// The names of the conditions, joined by commas.
    pub fn title(&self) -> String {
        let names: Vec<&str> = self.conditions.iter().map(|condition| &*condition.config.condition).collect();
        names.join(", ")
    }

    /// The jobs of this run, whether done before or not, by condition.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plans(&self) -> Result<Vec<Plan<'_>>> {
        self.whole_plans().map(|whole| self.part(whole))
    }

    /// The jobs of the whole dataset, by condition.
    fn whole_plans(&self) -> Result<Vec<Plan<'_>>> {
        let plans = self.conditions.iter().map(|condition| condition.plan(&self.dataset.frames));
        let mut plans = plans.collect::<Result<Vec<Plan>>>()?;
        if let Some(shown) = &self.shown {
            plans.iter_mut().for_each(|plan| plan.jobs.retain(|job| shown[job.frame]));
        }
        balance(&mut plans, self.options.per_frame.unwrap_or(1), self.conditions[0].config.seed);
        Ok(plans)
    }

    /// The part of whole plans that this run is asked for.
    fn part<'p>(&self, mut plans: Vec<Plan<'p>>) -> Vec<Plan<'p>> {
        if let Some(limit) = self.options.limit {
            Plan::limit(&mut plans, limit);
        }
        match self.options.shard {
            Some(shard) => plans.into_iter().map(|plan| plan.shard(shard)).collect(),
            None => plans,
        }
    }

    /// How long `plans` would take here; see [`capacity::estimate`].
    ///
    /// # Errors
    /// When the engine cannot be set up.
    pub fn estimate(&self, plans: &[Plan], engines: &[Engine]) -> Result<Option<Duration>> {
        let mut all = None;
        let whole = self.whole_plans()?;
        for (((condition, plan), engine), whole) in self.conditions.iter().zip(plans).zip(engines).zip(&whole) {
            let optimized = learn::optimized_share(&condition.config.engine, engine.student.as_ref(), whole.jobs.len());
            if let Some(time) = capacity::estimate(plan, &condition.stylizer(engine)?, optimized)? {
                all = Some(all.unwrap_or_default() + time);
            }
        }
        Ok(all)
    }

    /// The last rows of this run's jobs in the plan's order, as far as there are any. For previews: it reads all rows.
    ///
    /// # Errors
    /// See [`Plan::new`] and [`manifest::last_rows`].
    pub fn rows(&self) -> Result<Vec<Row>> {
        let rows = manifest::last_rows(&self.output)?.into_iter().map(|row| (row.identity.output.clone(), row));
        let mut rows: HashMap<String, Row> = rows.collect();
        Ok(self.plans()?.iter().flat_map(|plan| &plan.jobs).filter_map(|job| rows.remove(&job.output)).collect())
    }

    /// What a person should know about the files that the batch leaves out, before it begins.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder of styles cannot be listed.
    pub fn left_out(&self) -> Result<Vec<String>> {
        let sources = self.conditions.iter().flat_map(|condition| &condition.config.styles);
        // Several configs may have the same styles.
        let folders: BTreeSet<&PathBuf> = sources.map(|source| &source.path).filter(|path| path.is_dir()).collect();
        let styles =
            folders.into_iter().map(|folder| scan::foreign_files(folder)).collect::<Result<Vec<_>>>()?.concat();
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

    /// What a person should know about the dataset, the configs and the plans before a run.
    pub fn warnings(&self, plans: &[Plan]) -> Vec<String> {
        let keys = self.conditions.iter().flat_map(|condition| condition::unused_keys(&condition.config));
        let plans = plans.iter().flat_map(Plan::warnings);
        let read = self.conditions.iter().any(|condition| condition.config.stylize.steps > 0);
        let unread = (self.options.weights_given && !read)
            .then(|| "--weights has no effect: with `steps: 0`, no network is opened".to_string());
        self.dataset.warnings.iter().cloned().chain(keys).chain(plans).chain(unread).collect()
    }

    /// Adds what is known about the dataset's labels.
    fn with_labels(&self, mut summary: Summary) -> Summary {
        let frames = &self.dataset.frames;
        summary.labelled = frames.iter().filter(|frame| frame.label.is_some()).count();
        summary.background = frames.len() - summary.labelled;
        summary.unused_labels = self.dataset.unused_labels;
        summary
    }

    /// Opens the backbone of each condition; see [`Condition::engine`].
    ///
    /// # Errors
    /// See [`Condition::engine`].
    pub fn engines(&self, weights: Option<&str>, device: &Device) -> Result<Vec<Engine>> {
        self.conditions.iter().map(|condition| condition.engine(weights, device.clone())).collect()
    }

    /// Does what is not done yet of the plans, one condition after the other, until `stop` is asked for. A frame that
    /// fails becomes a failed row, and the run goes on with the next. `engines` are those of the conditions.
    ///
    /// # Errors
    /// When the run as a whole cannot go on: the output cannot be written, another run holds it, or the device is lost.
    pub fn run(&self, engines: &[Engine], stop: &Stop, observer: &mut dyn Observer) -> Result<Summary> {
        self.run_on(None, engines, stop, observer)
    }

    /// The same with the frames stylized by `executor`, if there is one.
    ///
    /// # Errors
    /// As [`Batch::run`]; and when a worker of the executor has another config, backbone, student or version.
    pub fn run_on(
        &self,
        executor: Option<&mut dyn Executor>,
        engines: &[Engine],
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<Summary> {
        let begun = Instant::now();
        let whole = self.whole_plans()?;
        self.check_output(&whole)?;
        let mut manifest = Manifest::open(&self.output, self.options.shard)?;
        let plans = match (self.options.limit, self.options.shard) {
            (None, None) => Cow::Borrowed(&whole),
            _ => Cow::Owned(self.part(whole.clone())),
        };
        self.left_out()?.iter().for_each(|text| observer.event(Event::Warning(text)));
        let mut warnings = self.warnings(&whole);
        warnings.iter().for_each(|text| observer.event(Event::Warning(text)));
        let is_divided = self.options.shard.is_some() || executor.is_some();
        let (engines, learning) = self.with_students(engines, &whole, is_divided, stop, observer)?;
        warnings.extend(learning);
        let run = Run { batch: self, engines: &engines, whole: &whole, parts: self.parts(&engines, &plans) };
        warnings.extend(run.warn(&manifest, observer));
        let pending = run.pending(&manifest);
        if !self.options.force {
            run.parts.iter().zip(&pending).try_for_each(|(part, pending)| {
                pending::check_owner(part.plan, &pending.todo, &self.dataset.root, &manifest)
            })?;
        }
        let header = run.header(&pending);
        observer.event(Event::Begin(&header));
        let counts = run.work(executor, &pending, &mut manifest, stop, observer)?;
        let written = run.describe(&mut manifest)?;
        let failures = run.failures(&manifest)?;
        manifest.close()?;
        let unread = foreign::by_extension(&self.dataset.foreign);
        let summary = summary(header, counts, written, failures, stop.reason(), begun.elapsed());
        warnings.extend(summary.data_yaml_warnings.iter().cloned());
        Ok(self.with_labels(run.with_conditions(Summary { unread, warnings, ..summary })))
    }

    /// Whether the output folder can take the pictures of `plans`.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is a file or holds files that this program has not written; [`Error::Usage`] if loaders
    /// would not find the labels in it.
    pub fn check_output(&self, plans: &[Plan]) -> Result<()> {
        plans.iter().try_for_each(|plan| folder::check_folder(&self.output, &plan.jobs))?;
        manifest::check_free(&self.output)
    }

    /// The engines with the students that their configs ask to learn, and what a person should know about that. `whole`
    /// has the jobs of the whole dataset. A run that is divided among several processes learns nothing.
    fn with_students(
        &self,
        engines: &[Engine],
        whole: &[Plan],
        is_divided: bool,
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<Engine>, Vec<String>)> {
        let (mut engines, mut warnings) = (engines.to_vec(), Vec::new());
        for ((condition, engine), plan) in self.conditions.iter().zip(&mut engines).zip(whole) {
            if condition.config.engine != EngineChoice::Learn {
                continue;
            }
            match learn::known(&self.output, condition, engine) {
                Ok(student) => engine.student = Some(student),
                Err(_) if is_divided => return Err(learns_alone(&condition.config.condition)),
                Err(_) if stop.asked() => {}
                Err(why) => {
                    let learning = self.learning(condition, plan, engine);
                    let (student, told) = self.learned(&learning, stop, observer)?;
                    let then = if student.is_some() { "it was learned anew" } else { "it is not used" };
                    engine.student = student;
                    warnings.extend(why.map(|why| format!("{why}; {then}")));
                    warnings.extend(told);
                }
            }
        }
        warnings.iter().for_each(|text| observer.event(Event::Warning(text)));
        Ok((engines, warnings))
    }

    /// Learns a student and writes it to the output folder, and says what a person should know about that. There is no
    /// student where learning does not pay, is of no use, or is stopped.
    fn learned(
        &self,
        learning: &Learning,
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<(Option<StudentFile>, Vec<String>)> {
        let Learning { condition, plan, frames, .. } = *learning;
        let name = &condition.config.condition;
        if !learn::pays(plan.jobs.len(), frames) {
            let jobs = plan.jobs.len();
            return Ok((None, vec![format!("{name}: {jobs} frames are too few to learn from, so all are optimized")]));
        }
        Ok(match learning.learn(stop, observer)? {
            LearnOutcome::Stopped => (None, Vec::new()),
            LearnOutcome::Useless(why) => (None, vec![format!("{why}; all frames are optimized")]),
            LearnOutcome::Learned(learned) => {
                let Learned { file, failures, .. } = *learned;
                file.write(&self.output.join(learn::file_name(name)))?;
                let failed = |why| format!("{name}: the student could not learn from a frame: {why}");
                (Some(file), failures.into_iter().map(failed).collect())
            }
        })
    }

    fn learning<'a>(&'a self, condition: &'a Condition, plan: &'a Plan<'a>, engine: &'a Engine) -> Learning<'a> {
        let RunOptions { learn_frames: frames, frames_at_once, .. } = self.options;
        Learning { condition, dataset: &self.dataset, plan, engine, frames, frames_at_once }
    }

    /// Learns from the whole dataset with the first config; see [`Learning::learn`].
    ///
    /// # Errors
    /// See [`Plan::new`] and [`Learning::learn`].
    pub fn learn(&self, engine: &Engine, stop: &Stop, observer: &mut dyn Observer) -> Result<LearnOutcome> {
        let whole = self.whole_plans()?;
        let told = self.left_out()?.into_iter().chain(self.warnings(&whole));
        told.for_each(|text| observer.event(Event::Warning(&text)));
        self.learning(&self.conditions[0], &whole[0], engine).learn(stop, observer)
    }

    fn parts<'a>(&'a self, engines: &'a [Engine], plans: &'a [Plan<'a>]) -> Vec<Part<'a>> {
        let parts = self.conditions.iter().zip(engines).zip(plans);
        let part = |((condition, engine), plan)| Part {
            condition,
            engine,
            provenance: Provenance::new(&condition.config, engine),
            plan,
        };
        parts.map(part).collect()
    }
}

/// # Errors
/// [`Error::Usage`] for a frame that shall get no condition, or more than there are.
fn check_per_frame(per_frame: Option<usize>, conditions: usize) -> Result<()> {
    match per_frame {
        Some(count) if !(1..=conditions).contains(&count) => Err(Error::Usage(format!(
            "--per-frame {count}: with {conditions} configs, each frame can get 1 to {conditions} conditions"
        ))),
        _ => Ok(()),
    }
}

fn learns_alone(condition: &str) -> Error {
    Error::Usage(format!(
        "{condition}: each shard or worker would learn its own student; run `augment learn` once and set `engine` to its \
         file"
    ))
}

/// One run of a batch.
struct Run<'a> {
    batch: &'a Batch,
    engines: &'a [Engine],
    /// The jobs of the whole dataset, by condition.
    whole: &'a [Plan<'a>],
    /// By condition.
    parts: Vec<Part<'a>>,
}

/// What a run does for one condition.
struct Part<'a> {
    condition: &'a Condition,
    engine: &'a Engine,
    provenance: Provenance<'a>,
    /// The jobs that the run is asked for.
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
    malformed: Doubtful,
    unnamed: Doubtful,
    /// Frames that a student drew, and those that it passed on to the optimizer.
    drawn: usize,
    passed_on: usize,
}

/// Frames whose labels are doubtful.
#[derive(Default)]
struct Doubtful {
    frames: usize,
    /// The label of the first one, below the output folder.
    first: String,
}

/// What was written about all pictures together.
struct Written {
    data_yaml: Option<data_yaml::Written>,
    annotations: Copies,
}

impl Run<'_> {
    /// Says what a person should know about the output before the run begins, and returns it.
    fn warn(&self, manifest: &Manifest, observer: &mut dyn Observer) -> Vec<String> {
        let Batch { dataset, output, .. } = self.batch;
        let mut warnings = Vec::from_iter(pending::unplanned_outputs(self.whole, &dataset.root, output, manifest));
        if manifest.damaged() > 0 {
            warnings.push(format!("{} rows of the manifest cannot be read and count for nothing", manifest.damaged()));
        }
        warnings.iter().for_each(|text| observer.event(Event::Warning(text)));
        warnings
    }

    /// By condition.
    fn pending(&self, manifest: &Manifest) -> Vec<Pending<'_>> {
        let RunOptions { force, retry_failed, .. } = self.batch.options;
        let again = Again { done: force, failed: force || retry_failed };
        self.parts.iter().map(|part| Pending::of(part.plan, &part.provenance, manifest, again)).collect()
    }

    fn header(&self, pending: &[Pending]) -> Header {
        let mut stale: BTreeMap<Change, usize> = BTreeMap::new();
        for (&change, count) in pending.iter().flat_map(|pending| &pending.stale) {
            *stale.entry(change).or_default() += count;
        }
        let device = &self.engines[0].device;
        Header {
            backbone: distinct(self.engines.iter().map(|engine| engine.backbone().0)),
            backbone_digest: distinct(self.engines.iter().map(|engine| engine.backbone().1)),
            students: self.engines.iter().filter_map(|engine| Some(engine.student.as_ref()?.digest.clone())).collect(),
            device: format!("{device}, {} threads", rayon::current_num_threads()),
            output: self.batch.output.clone(),
            jobs: self.parts.iter().map(|part| part.plan.jobs.len()).sum(),
            todo: pending.iter().map(|pending| pending.todo.len()).sum(),
            skipped: pending.iter().map(|pending| pending.done).sum(),
            failed_before: pending.iter().map(|pending| pending.failed).sum(),
            done_again: stale.iter().map(|(change, count)| format!("{count} for {change}")).collect(),
            styles: self.parts.iter().map(|part| part.condition.styles.len()).sum(),
        }
    }

    /// Does the jobs that are left to do, condition by condition, and appends their rows.
    fn work(
        &self,
        mut executor: Option<&mut dyn Executor>,
        pending: &[Pending],
        manifest: &mut Manifest,
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<Counts> {
        let mut counts = Counts::default();
        for (part, pending) in self.parts.iter().zip(pending) {
            if pending.todo.is_empty() || stop.asked() {
                continue;
            }
            let Some(executor) = &mut executor else {
                part.work(self.batch, &pending.todo, manifest, stop, observer, &mut counts)?;
                continue;
            };
            let facts = DatasetFacts::of(&self.batch.dataset);
            part.work_on(*executor, &facts, &pending.todo, stop, &mut |row| {
                if row.status == Status::Failed {
                    stop.count_failure();
                }
                counts.take(&row, manifest, observer)
            })?;
        }
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
        let done = done.filter(|(_, name)| output.join(name).is_file());
        let data_yaml = data_yaml::write_data_yaml(output, dataset, done)?;
        let mut annotations = Copies::default();
        if !dataset.annotations.is_empty() {
            let is_done = |name: &str| manifest.status(name) == Some(Status::Done) && output.join(name).is_file();
            for plan in self.whole {
                annotations.add(annotations::write_copies(output, dataset, plan, is_done)?);
            }
        }
        Ok(Written { data_yaml, annotations })
    }

    /// The first of the plans' jobs that have failed, in this run or before, with their reasons.
    fn failures(&self, manifest: &Manifest) -> Result<Vec<FailedFrame>> {
        let outputs = self.parts.iter().flat_map(|part| &part.plan.jobs).map(|job| &*job.output);
        let failed = outputs.filter(|output| manifest.status(output) == Some(Status::Failed));
        let failed: Vec<&str> = failed.take(MOST_FAILURES).collect();
        if failed.is_empty() {
            return Ok(Vec::new());
        }
        let frame =
            |row: Row| FailedFrame { source: row.identity.source, error: row.outcome.error.unwrap_or_default() };
        Ok(manifest.rows(&failed)?.into_iter().map(frame).collect())
    }

    /// Adds what each condition comes to.
    fn with_conditions(&self, mut summary: Summary) -> Summary {
        summary.conditions = self.parts.iter().map(|part| ConditionCounts::of(part.plan)).collect();
        summary.not_chosen_by_where = summary.conditions.iter().map(|counts| counts.not_chosen_by_where).sum();
        summary
    }
}

impl Part<'_> {
    /// Does the jobs `todo` and appends their rows.
    fn work(
        &self,
        batch: &Batch,
        todo: &[&Job],
        manifest: &mut Manifest,
        stop: &Stop,
        observer: &mut dyn Observer,
        counts: &mut Counts,
    ) -> Result<()> {
        let plan = self.plan;
        let stylizer = self.condition.stylizer(self.engine)?;
        let threads = rayon::current_num_threads();
        let asked = batch.options.frames_at_once;
        let pool = WorkerPool::new(capacity::frames_at_once(plan, todo, &stylizer, asked, threads), threads)?;
        let quality = self.condition.config.quality;
        let stylizers = Stylizers::new(stylizer, plan.styles.len());
        let facts = DatasetFacts::of(&batch.dataset);
        let context = JobContext { plan, stylizers: &stylizers, output: &batch.output, quality, facts };
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
                    WorkerEvent::Finished(row) => counts.take(&row, manifest, observer)?,
                    WorkerEvent::Broken(error) => return Err(with_help(&error)),
                }
                Ok(())
            },
        )
    }

    /// The same by `executor`, with a row for each job to `finished`.
    fn work_on(
        &self,
        executor: &mut dyn Executor,
        facts: &DatasetFacts,
        todo: &[&Job],
        stop: &Stop,
        finished: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let mut tasks = todo.iter().map(|job| Task::of(self.plan, job));
        executor.execute(&mut tasks, facts, stop, &mut |row| {
            self.provenance.check(&row)?;
            finished(row)
        })
    }
}

/// The different ones of `texts`, joined by commas.
fn distinct<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    texts.for_each(|text| {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    });
    distinct.join(", ")
}

impl Counts {
    /// Appends a finished row, counts it and tells of it.
    fn take(&mut self, row: &Row, manifest: &mut Manifest, observer: &mut dyn Observer) -> Result<()> {
        manifest.append(row)?;
        self.add(row);
        observer.event(Event::Row(row));
        Ok(())
    }

    fn add(&mut self, row: &Row) {
        match row.status {
            Status::Done => self.done += 1,
            Status::Failed => self.failed += 1,
        }
        self.reduced += usize::from(row.outcome.reduced_size.is_some());
        self.several += usize::from(row.outcome.first_of_several);
        let label = row.identity.label.as_deref().unwrap_or_default();
        self.malformed.add(row.outcome.malformed_labels, label);
        self.unnamed.add(row.outcome.unnamed_classes, label);
        self.drawn += usize::from(row.outcome.made_by == Some(MadeBy::Student));
        self.passed_on += usize::from(row.outcome.made_by == Some(MadeBy::Optimizer));
    }
}

impl Doubtful {
    /// Counts a frame with this many doubtful lines in its label.
    fn add(&mut self, lines: Option<u32>, label: &str) {
        if lines.is_some() {
            self.frames += 1;
            if self.first.is_empty() {
                self.first = label.to_string();
            }
        }
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
        malformed_labels: counts.malformed.frames,
        first_malformed_label: counts.malformed.first,
        unnamed_classes: counts.unnamed.frames,
        first_unnamed_class: counts.unnamed.first,
        drawn_by_student: counts.drawn,
        passed_on_by_student: counts.passed_on,
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
        conditions: Vec::new(),
        not_chosen_by_where: 0,
        backbone: header.backbone,
        backbone_digest: header.backbone_digest,
        students: header.students,
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
