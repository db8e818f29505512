//! The loop: decode, stylize, write, record. The only file that knows every stage.

use crate::backbone;
use crate::config::Config;
use crate::dataset::{self, Dataset, Frame, Layout};
use crate::decode;
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, Row, Status, Work};
use crate::nst::conv::Size;
use crate::nst::pixels::Pixels;
use crate::nst::simd::Isa;
use crate::nst::weights::Backbone;
use crate::nst::{self, Stylizer, Workbench, schedule};
use crate::output;
use crate::plan::{self, Job, Plan, Shard, Style};
use crate::progress::{Event, Header, Observer, Summary};
use crate::sheet;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
        Ok(Self { config, dataset, styles, output, limit, shard })
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
            let mut worker = Worker { batch: self, stylizer: &stylizer, styles: HashMap::new(), bench: None };
            for job in todo {
                let row = worker.row(&plan, job, &stamp, observer);
                manifest.append(&row)?;
                match row.status {
                    Status::Done => done += 1,
                    Status::Failed => failed += 1,
                }
                observer.event(Event::Row(&row));
            }
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
            seconds: 0.0,
            error: None,
        }
    }
}

/// What one thread of work keeps from job to job.
struct Worker<'a> {
    batch: &'a Batch,
    stylizer: &'a Stylizer,
    /// Measured once, by index in the plan.
    styles: HashMap<usize, nst::Style>,
    /// For the size of the last frame; datasets mostly have one.
    bench: Option<(Size, Workbench<'a>)>,
}

impl Worker<'_> {
    /// Does one job and says how it went.
    fn row(&mut self, plan: &Plan, job: &Job, stamp: &Stamp, observer: &mut dyn Observer) -> Row {
        let begun = Instant::now();
        let mut row = stamp.row(plan, job);
        observer.event(Event::Frame { name: &plan.frame(job).relative });
        // A decoder's panic over one file is that frame's failure.
        match catch_unwind(AssertUnwindSafe(|| self.work(plan, job, &mut row, observer))) {
            Ok(Ok(())) => row.status = Status::Done,
            Ok(Err(error)) => row.error = Some(error.to_string()),
            Err(_) => {
                self.bench = None;
                row.error = Some(format!("{}: the program panicked over this frame; please report it", row.source));
            }
        }
        row.seconds = begun.elapsed().as_secs_f64();
        row
    }

    fn work(&mut self, plan: &Plan, job: &Job, row: &mut Row, observer: &mut dyn Observer) -> Result<()> {
        let frame = plan.frame(job);
        let image = decode::decode(&frame.path)?;
        (row.width, row.height) = (Some(image.width()), Some(image.height()));
        let content = Pixels::from_rgb8(&image);
        drop(image);
        for part in &job.styles {
            if let Entry::Vacant(place) = self.styles.entry(part.style) {
                let picture = Pixels::from_rgb8(&decode::decode(&plan.styles[part.style].path)?);
                place.insert(self.stylizer.style(&picture));
            }
        }
        let parts: Vec<_> = job.styles.iter().map(|part| (&self.styles[&part.style], part.share)).collect();
        let blended = if parts.len() > 1 { Some(nst::Style::blend(&parts)) } else { None };
        let style = blended.as_ref().unwrap_or(parts[0].0);
        let size = self.stylizer.working_size(content.size());
        if self.bench.as_ref().is_none_or(|(other, _)| *other != size) {
            // The old room goes before the new one comes.
            self.bench = None;
        }
        let (_, bench) = self.bench.get_or_insert_with(|| (size, self.stylizer.workbench(size)));
        let of = schedule::evaluations(&self.stylizer.scales(size));
        let on_step = |evaluation, loss: nst::loss::Loss| {
            observer.event(Event::Evaluated { evaluation, of, loss: loss.total });
        };
        let made = self
            .stylizer
            .stylize(bench, &content, style, job.seed, on_step)
            .map_err(|failure| Error::bad_file(&frame.path, failure.to_string()))?;
        row.evals = Some(made.evals as u32);
        (row.first_content_loss, row.first_style_loss) = (Some(made.first.content), Some(made.first.style));
        (row.content_loss, row.style_loss) = (Some(made.last.content), Some(made.last.style));
        self.write(frame, job, &made.pixels)
    }

    fn write(&self, frame: &Frame, job: &Job, pixels: &Pixels) -> Result<()> {
        let folder = &self.batch.output;
        if let (Some(label), Some(to)) = (&frame.label, &job.label_output) {
            output::copy_label(label, &folder.join(to))?;
        }
        output::write_image(&folder.join(&job.output), &pixels.to_rgb8(), self.batch.config.quality)
    }
}
