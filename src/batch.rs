//! A batch: a dataset and one or several configs, checked before any work, and the run that makes the pictures.
//!
//! - [`budget`]: memory that the frames in progress share
//! - [`capacity`]: how many frames at once, and how long a plan takes
//! - [`condition`]: one config with its styles
//! - [`context`]: what all workers share
//! - [`executor`]: runs whose frames are stylized by other processes
//! - [`frame_stylizer`]: one config for frames that another program hands over
//! - [`learn`]: a student learns from optimized frames
//! - [`options`]: what the command line says about a run
//! - [`pending`]: which jobs are still to be done
//! - [`pool`]: several workers at once
//! - [`progress`]: what a run reports
//! - [`provenance`]: what a row says about how its picture was made
//! - [`remedy`]: what helps when the engine fails
//! - [`run`]: one run from what is left to do to its summary
//! - [`sources`]: the files that one picture is made from
//! - [`stop`]: requests to end early
//! - [`styles`]: measured styles, kept
//! - [`stylizers`]: the stylizers of one condition by working size
//! - [`worker`]: one frame

pub mod budget;
pub mod capacity;
pub mod condition;
pub mod context;
pub mod executor;
pub mod frame_stylizer;
pub mod learn;
pub mod options;
pub mod pending;
pub mod pool;
pub mod progress;
pub mod provenance;
pub mod remedy;
pub mod run;
pub mod sources;
pub mod stop;
pub mod styles;
pub mod stylizers;
pub mod worker;

pub use crate::batch::options::RunOptions;

use crate::batch::condition::Condition;
use crate::batch::context::DatasetFacts;
use crate::batch::executor::Executor;
use crate::batch::learn::{LearnOutcome, Learned, Learning};
use crate::batch::pending::Pending;
use crate::batch::progress::{Event, Observer, Summary};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::run::{Part, Run};
use crate::batch::stop::Stop;
use crate::config::values::{Config, EngineChoice};
use crate::dataset::description::root_of;
use crate::dataset::masks;
use crate::dataset::split::Split;
use crate::dataset::{Dataset, Layout, foreign, scan};
use crate::error::{Error, Result};
use crate::files::paths::absolute;
use crate::nst::backend::device::Device;
use crate::output::folder;
use crate::output::manifest::{self, Manifest};
use crate::output::origins::Origins;
use crate::output::row::Row;
use crate::plan::balance::balance;
use crate::plan::{self, Job, Plan};
use crate::weights::student::StudentFile;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
        let names: Vec<&str> = possible.iter().map(|&frame| &*frames[frame].relative).collect();
        let mut shown = vec![false; frames.len()];
        for index in plan::sample(&names, count, self.conditions[0].config.seed) {
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
    /// The run has told of lines that are no rows.
    ///
    /// # Errors
    /// See [`Plan::new`] and [`manifest::last_rows`].
    pub fn rows(&self) -> Result<Vec<Row>> {
        let rows = manifest::last_rows(&self.output)?.rows.into_iter();
        let mut rows: HashMap<String, Row> = rows.map(|row| (row.identity.output.clone(), row)).collect();
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
        let images = || self.dataset.frames.iter().map(|frame| &*frame.path);
        let masks = self.conditions.iter().flat_map(|condition| {
            let missing = masks::missing_everywhere(images(), &condition.config.stylize);
            missing.into_iter().map(|text| format!("{}: {text}", condition.config.condition))
        });
        self.dataset.warnings.iter().cloned().chain(keys).chain(masks).chain(plans).chain(unread).collect()
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
        let manifest = Manifest::open(&self.output, self.options.shard)?;
        let plans = match (self.options.limit, self.options.shard) {
            (None, None) => Cow::Borrowed(&whole),
            _ => Cow::Owned(self.part(whole.clone())),
        };
        self.left_out()?.iter().for_each(|text| observer.event(Event::Warning(text)));
        let mut warnings = self.warnings(&whole);
        // Nobody trains on a preview, whose plan has other frames each time.
        let origins = Origins::of(&self.dataset)?;
        if self.shown.is_none() {
            warnings.extend(pending::unplanned_outputs(&whole, &origins, &self.output, &manifest));
        }
        warnings.iter().for_each(|text| observer.event(Event::Warning(text)));
        let is_divided = self.options.shard.is_some() || executor.is_some();
        let (engines, learning) = self.with_students(engines, &whole, &manifest, is_divided, stop, observer)?;
        warnings.extend(learning);
        let part = |(((condition, engine), whole), plan)| Part { condition, engine, whole, plan };
        let parts = self.conditions.iter().zip(&engines).zip(&whole).zip(plans.iter()).map(part).collect();
        let run = Run::new(&self.dataset, &origins, &self.output, &self.options, parts);
        run.run(executor, manifest, warnings, stop, observer, begun)
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

    /// How many jobs of `plans` the output's manifest knows to be done, changed since or not.
    ///
    /// # Errors
    /// [`Error::Io`] if a manifest cannot be read.
    pub fn done_before(&self, plans: &[Plan]) -> Result<usize> {
        if !self.output.is_dir() {
            return Ok(0);
        }
        let done = manifest::done_outputs(&self.output)?;
        let is_done = |job: &&Job| done.binary_search(&job.output).is_ok() && self.output.join(&job.output).is_file();
        Ok(plans.iter().flat_map(|plan| &plan.jobs).filter(is_done).count())
    }

    /// The engines with the students that their configs ask to learn, and what a person should know about that. `whole`
    /// has the jobs of the whole dataset. A run that is divided among several processes learns nothing, nor does one whose
    /// pictures were all made without a student.
    fn with_students(
        &self,
        engines: &[Engine],
        whole: &[Plan],
        manifest: &Manifest,
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
                Err(_) if stop.asked() || self.is_done(condition, engine, plan, manifest) => {}
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

    /// Whether nothing of `plan` is left to do with this engine.
    fn is_done(&self, condition: &Condition, engine: &Engine, plan: &Plan, manifest: &Manifest) -> bool {
        let provenance = Provenance::new(&condition.config, engine, &DatasetFacts::of(&self.dataset));
        Pending::of(plan, &provenance, manifest, self.options.again()).todo.is_empty()
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
}

/// # Errors
/// [`Error::Usage`] for a frame that shall get no condition, or more than there are.
fn check_per_frame(per_frame: Option<usize>, conditions: usize) -> Result<()> {
    let Some(count) = per_frame.filter(|count| !(1..=conditions).contains(count)) else { return Ok(()) };
    let why = match conditions {
        1 => "more or less than 1 needs several --config".to_string(),
        _ => format!("with {conditions} configs, each frame can get 1 to {conditions} conditions"),
    };
    Err(Error::Usage(format!("--per-frame {count}: {why}")))
}

fn learns_alone(condition: &str) -> Error {
    Error::Usage(format!(
        "{condition}: each shard or worker would learn its own student; run `augment learn` once and set `engine` to its \
         file"
    ))
}
