//! The batch: plan, engine, crew, manifest. With [`crate::work`], the only file that knows every stage.

use crate::backbone;
use crate::config::Config;
use crate::crew::{self, Crew, Note};
use crate::dataset::{self, Dataset, Layout};
use crate::decode;
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, Row, Status, Work};
use crate::nst::conv::Size;
use crate::nst::simd::Isa;
use crate::nst::weights::Backbone;
use crate::nst::{self, Stylizer, schedule};
use crate::output;
use crate::plan::{self, Job, Plan, Shard, Style};
use crate::progress::{Event, Header, Observer, Summary};
use crate::sheet;
use crate::work::{Step, Workshop};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Frames whose size is looked at for an estimate.
const SAMPLE: usize = 16;

/// A dataset, a config and what the command line adds, read and checked, before any work.
pub struct Batch {
    config: Config,
    dataset: Dataset,
    styles: Vec<Style>,
    output: PathBuf,
    limit: Option<usize>,
    shard: Option<Shard>,
    /// `None` lets the machine decide.
    frames_at_once: Option<usize>,
}

/// The engine's parts that a batch runs on.
pub struct Engine {
    pub backbone: Backbone,
    pub isa: Isa,
}

impl Batch {
    /// # Errors
    /// When the dataset or the styles cannot be read; see [`Dataset::open`] and [`plan::find_styles`].
    pub fn open(
        config: Config,
        dataset: &Path,
        output: Option<PathBuf>,
        limit: Option<usize>,
        shard: Option<Shard>,
    ) -> Result<Self> {
        let output = match output {
            Some(output) => output,
            None => output::default_folder(&dataset::root_of(dataset)?, &config.condition)?,
        };
        let output = std::path::absolute(&output).map_err(Error::io(&output, "find it"))?;
        let dataset = Dataset::open(dataset, &config.splits, &output)?;
        let styles = plan::find_styles(&config.styles)?;
        Ok(Self { config, dataset, styles, output, limit, shard, frames_at_once: None })
    }

    /// Works on `frames` at once, each with its share of the threads.
    pub fn with_frames_at_once(mut self, frames: Option<usize>) -> Self {
        self.frames_at_once = frames;
        self
    }

    /// The jobs of this run, whether done before or not.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan(&self) -> Result<Plan<'_>> {
        let mut plan = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        if let Some(limit) = self.limit {
            plan = plan.limit(limit);
        }
        if let Some(shard) = self.shard {
            plan = plan.shard(shard);
        }
        Ok(plan)
    }

    /// Opens the backbone as far as the config's layers need it.
    ///
    /// # Errors
    /// See [`backbone::open`].
    pub fn engine(&self, weights: Option<&str>, isa: Isa) -> Result<Engine> {
        let deepest = nst::loss::deepest_tap(&self.config.stylize).map_err(Error::Usage)?;
        Ok(Engine { backbone: backbone::open(weights, &self.config.backbone, deepest)?, isa })
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
        let evaluation = stylizer.workbench(first).seconds_per_evaluation(2);
        let seconds = evaluation * mean / first.pixels() as f64 * plan.jobs.len() as f64;
        Ok(Some(Duration::from_secs_f64(seconds)))
    }

    fn stylizer(&self, engine: &Engine) -> Result<Stylizer> {
        Stylizer::new(&engine.backbone, self.config.stylize.clone(), engine.isa).map_err(Error::Run)
    }

    /// Does what of the plan is not done yet. A frame that fails becomes a failed row, and the next one's turn comes.
    ///
    /// # Errors
    /// When the run as a whole cannot go on: the output cannot be written, or another run holds it.
    pub fn run(&self, engine: &Engine, observer: &mut dyn Observer) -> Result<Summary> {
        let begun = Instant::now();
        let plan = self.plan()?;
        output::check_folder(&self.output, &plan.jobs)?;
        let mut manifest = Manifest::open(&self.output)?;
        let stamp = Stamp {
            device: format!("cpu {}", engine.isa),
            config_digest: self.config.digest(),
            backbone: manifest::Backbone {
                name: engine.backbone.name().into(),
                digest: engine.backbone.digest().into(),
            },
        };
        if manifest.damaged() > 0 {
            let text =
                format!("{} rows of the manifest cannot be read; their frames are done again", manifest.damaged());
            observer.event(Event::Warning(&text));
        }
        let is_done = |job: &Job| manifest.is_done(&stamp.work(&plan, job, &plan.style_digest(job)));
        let todo: Vec<&Job> = plan.jobs.iter().filter(|job| !is_done(job)).collect();
        let header = self.header(engine, &plan, plan.jobs.len() - todo.len());
        observer.event(Event::Begin(&header));
        let (mut done, mut failed) = (0, 0);
        if !todo.is_empty() {
            let stylizer = self.stylizer(engine)?;
            let keypoints = self.dataset.keypoints();
            let shop = Workshop::new(&plan, &stylizer, &self.output, self.config.quality, keypoints);
            let crew = self.crew(&stylizer, &plan, &todo)?;
            crew.run(
                &shop,
                &todo,
                |job| stamp.row(&plan, job),
                |note| {
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
                            match row.status {
                                Status::Done => done += 1,
                                Status::Failed => failed += 1,
                            }
                            observer.event(Event::Row(&row));
                        }
                    }
                    Ok(())
                },
            )?;
        }
        let made = manifest.rows().filter(|row| row.status == Status::Done);
        let made = made.map(|row| (row.source.as_str(), row.output.as_str()));
        let data_yaml = output::write_data_yaml(&self.output, &self.dataset, plan.condition, made)?;
        // In a flat dataset every picture in the folder is one to train on.
        if done > 0
            && self.dataset.layout != Layout::Flat
            && let Err(error) = sheet::write(&self.output, &manifest)
        {
            // The frames are what counts; they are done.
            observer.event(Event::Warning(&format!("no {} was made: {error}", sheet::FILE_NAME)));
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Summary {
            jobs: header.jobs,
            done,
            failed,
            skipped: header.skipped,
            seconds,
            frames_per_second: done as f64 / seconds,
            manifest: self.output.join(manifest::FILE_NAME),
            output: self.output.clone(),
            data_yaml,
            backbone: header.backbone,
            backbone_digest: header.backbone_digest,
            device: header.device,
        })
    }

    /// As many frames at once as there are threads, if memory allows: a thread that needs no other waits for none.
    fn crew(&self, stylizer: &Stylizer, plan: &Plan, todo: &[&Job]) -> Result<Crew> {
        let threads = rayon::current_num_threads();
        let frames = match self.frames_at_once {
            Some(frames) => frames.min(threads),
            None => {
                let sample = todo.iter().step_by(todo.len().div_ceil(SAMPLE));
                let sizes = sample.filter_map(|job| decode::dimensions(&plan.frame(job).path).ok());
                let bytes = sizes.map(|(width, height)| {
                    let full = Size { height: height as usize, width: width as usize };
                    crew::bytes_per_frame(full, &stylizer.scales(stylizer.working_size(full)))
                });
                crew::frames_that_fit(threads, bytes.max().unwrap_or(0))
            }
        };
        Crew::new(frames.min(todo.len()), threads)
    }

    fn header(&self, engine: &Engine, plan: &Plan, skipped: usize) -> Header {
        Header {
            backbone: engine.backbone.name().into(),
            backbone_digest: engine.backbone.digest().into(),
            device: format!("cpu {}, {} threads", engine.isa, rayon::current_num_threads()),
            output: self.output.clone(),
            jobs: plan.jobs.len(),
            skipped,
            styles: self.styles.len(),
        }
    }
}

/// What all rows of a run share.
struct Stamp {
    device: String,
    config_digest: String,
    backbone: manifest::Backbone,
}

impl Stamp {
    fn work<'a>(&'a self, plan: &Plan<'a>, job: &'a Job, style_digest: &'a str) -> Work<'a> {
        let frame = plan.frame(job);
        Work {
            source: frame.path.to_str().unwrap_or_default(),
            source_label: frame.label.as_deref(),
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
    fn row(&self, plan: &Plan, job: &Job) -> Row {
        let (frame, style) = (plan.frame(job), plan.style(job));
        let part =
            |(style, weight): (&Style, f64)| manifest::Part { path: style.path.to_string_lossy().into_owned(), weight };
        Row {
            status: Status::Failed,
            source: frame.path.to_string_lossy().into_owned(),
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
            strength: None,
            boxes: None,
            box_edges_min: None,
            guard: None,
            malformed_labels: None,
            seconds: 0.0,
            error: None,
        }
    }
}
