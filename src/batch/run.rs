//! One run of a batch: what is left to do is done, rows are appended, and what belongs to all pictures is written.

use crate::batch::budget::Budget;
use crate::batch::capacity;
use crate::batch::condition::Condition;
use crate::batch::context::{DatasetFacts, JobContext};
use crate::batch::executor::Executor;
use crate::batch::options::RunOptions;
use crate::batch::pending::{self, Pending};
use crate::batch::pool::{Evaluation, WorkerEvent, WorkerPool};
use crate::batch::progress::{Event, FailedFrame, Observer, RunHeader, SceneCounts, Summary};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::{Reason, Stop};
use crate::batch::stylizers::Stylizers;
use crate::batch::worker::Worker;
use crate::dataset::{Dataset, foreign};
use crate::error::{Error, Result};
use crate::files::marker::MANIFEST_NAME;
use crate::output::annotations::Copies;
use crate::output::manifest::Manifest;
use crate::output::origins::Origins;
use crate::output::resume::Change;
use crate::output::row::{MadeBy, Outcome, Row, Status};
use crate::output::{annotations, data_yaml};
use crate::plan::summary::ConditionCounts;
use crate::plan::task::Task;
use crate::plan::{Job, Plan};
use crate::units::counted;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many failures a summary names; the manifest has them all.
const MOST_FAILURES: usize = 100;

/// One run of a batch.
pub struct Run<'a> {
    dataset: &'a Dataset,
    origins: &'a Origins<'a>,
    /// The output folder.
    output: &'a Path,
    options: &'a RunOptions,
    facts: DatasetFacts,
    /// By condition.
    parts: Vec<Part<'a>>,
}

/// What a run does for one condition.
pub struct Part<'a> {
    pub condition: &'a Condition,
    pub engine: &'a Engine,
    /// The jobs of the whole dataset.
    pub whole: &'a Plan<'a>,
    /// The jobs that the run is asked for.
    pub plan: &'a Plan<'a>,
}

/// What a run has done so far.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    /// Frames that were worked on at a smaller size than the config's.
    reduced: usize,
    /// Frames that were begun anew from the frame itself.
    restarted: usize,
    /// Frames whose files hold several pictures.
    several: usize,
    malformed: Doubtful,
    unnamed: Doubtful,
    scenes: SceneCounts,
    /// Whether the pictures being made would be others with another ground.
    ground_matters: bool,
    /// Frames that a student drew, and those that it passed on to the optimizer.
    drawn: usize,
    passed_on: usize,
}

/// Frames whose labels are doubtful.
#[derive(Default)]
struct Doubtful {
    frames: usize,
    /// The label of the first one, below the output folder.
    label: String,
    /// Where that is, for people.
    place: String,
}

/// How a run came to its end.
struct Ended {
    counts: Counts,
    written: WrittenFiles,
    failures: Vec<FailedFrame>,
    stopped: Option<Reason>,
    warnings: Vec<String>,
}

/// What was written about all pictures together.
struct WrittenFiles {
    data_yaml: Option<data_yaml::Written>,
    annotations: Copies,
}

impl<'a> Run<'a> {
    pub fn new(
        dataset: &'a Dataset,
        origins: &'a Origins<'a>,
        output: &'a Path,
        options: &'a RunOptions,
        parts: Vec<Part<'a>>,
    ) -> Self {
        Self { dataset, origins, output, options, facts: DatasetFacts::of(dataset), parts }
    }

    /// Does what is left to do, in this process or by an `executor`, and sums up. `warnings` are those before the run, which
    /// has `begun` then.
    ///
    /// # Errors
    /// When a picture would replace one of another dataset, or on an error that every frame would meet.
    pub fn run(
        &self,
        executor: Option<&mut dyn Executor>,
        mut manifest: Manifest,
        mut warnings: Vec<String>,
        stop: &Stop,
        observer: &mut dyn Observer,
        begun: Instant,
    ) -> Result<Summary> {
        warnings.extend(self.warn(&manifest, observer));
        let pending = self.pending(&manifest);
        if !self.options.force {
            self.parts
                .iter()
                .zip(&pending)
                .try_for_each(|(part, pending)| pending::check_owner(part.plan, &pending.todo, &manifest))?;
        }
        let header = self.header(&pending);
        observer.event(Event::Begin(&header));
        let counts = self.work(executor, &pending, &mut manifest, stop, observer).map_err(with_help)?;
        let written = self.describe(&mut manifest).map_err(with_help)?;
        let failures = self.failures(&manifest)?;
        manifest.close()?;
        let ended = Ended { counts, written, failures, stopped: stop.reason(), warnings };
        Ok(self.summary(header, ended, begun.elapsed()))
    }

    /// Says what a person should know about the output before the run begins, and returns it.
    fn warn(&self, manifest: &Manifest, observer: &mut dyn Observer) -> Vec<String> {
        let mut warnings = Vec::new();
        if manifest.damaged() > 0 {
            warnings
                .push(format!("left out what cannot be read of the manifest: {}", counted(manifest.damaged(), "row")));
        }
        warnings.iter().for_each(|text| observer.event(Event::Warning(text)));
        warnings
    }

    /// By condition.
    fn pending(&self, manifest: &Manifest) -> Vec<Pending<'_>> {
        let again = self.options.again();
        let of = |part: &Part<'a>| Pending::of(part.plan, &part.provenance(&self.facts), manifest, again);
        self.parts.iter().map(of).collect()
    }

    fn header(&self, pending: &[Pending]) -> RunHeader {
        let mut stale: BTreeMap<Change, usize> = BTreeMap::new();
        for (&change, count) in pending.iter().flat_map(|pending| &pending.stale) {
            *stale.entry(change).or_default() += count;
        }
        let engines = || self.parts.iter().map(|part| part.engine);
        let device = self.parts.first().map(|part| part.engine.device.to_string()).unwrap_or_default();
        RunHeader {
            backbone: distinct(engines().map(|engine| engine.backbone().0)),
            backbone_digest: distinct(engines().map(|engine| engine.backbone().1)),
            students: engines().filter_map(|engine| Some(engine.student.as_ref()?.digest.clone())).collect(),
            device: format!("{device}, {} threads", rayon::current_num_threads()),
            output: self.output.to_path_buf(),
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
            counts.ground_matters = part.condition.config.stylize.seeks_ground();
            let Some(executor) = &mut executor else {
                part.work(self, &pending.todo, manifest, stop, observer, &mut counts)?;
                continue;
            };
            let mut left: HashSet<&str> = pending.todo.iter().map(|job| &*job.output).collect();
            part.work_on(*executor, &self.facts, &pending.todo, stop, &mut |row| {
                // Another worker may have done it again.
                if !left.remove(&*row.identity.output) {
                    return Ok(());
                }
                if row.status == Status::Failed {
                    stop.count_failure();
                }
                counts.take(&row, manifest, observer)
            })?;
        }
        Ok(counts)
    }

    /// Writes `data.yaml` and the COCO annotations of all that the manifest knows to be done, whichever run did it.
    fn describe(&self, manifest: &mut Manifest) -> Result<WrittenFiles> {
        let Self { dataset, output, options, .. } = *self;
        // Shards that end at the same moment write one after the other, so the last one knows all rows.
        let gate = options.shard.is_some().then(|| manifest.pass_gate()).transpose()?;
        if gate.is_some() {
            manifest.read_back()?;
        }
        let done = manifest.done().filter(|(_, name)| output.join(name).is_file());
        let data_yaml = data_yaml::write_data_yaml(output, dataset, self.origins, done)?;
        let whole: Vec<&Plan> = self.parts.iter().map(|part| part.whole).collect();
        let is_done = |name: &str| {
            let source = manifest.source_of_done(name);
            source.is_some_and(|source| self.origins.split(source, name).is_some()) && output.join(name).is_file()
        };
        let annotations = match dataset.annotations.is_empty() {
            true => Copies::default(),
            false => annotations::write_copies(output, dataset, &whole, is_done)?,
        };
        Ok(WrittenFiles { data_yaml, annotations })
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

    fn summary(&self, header: RunHeader, ended: Ended, time: Duration) -> Summary {
        let Ended { counts, written, failures, stopped, mut warnings } = ended;
        let left = header.todo - counts.done - counts.failed;
        let (data_yaml, data_yaml_warnings) = written.data_yaml.map(|file| (file.path, file.warnings)).unzip();
        let nothing =
            || format!("no {} was written: the dataset has neither labels nor names of classes", data_yaml::DATA_YAML);
        let frames = &self.dataset.frames;
        let labelled = frames.iter().filter(|frame| frame.label.is_some()).count();
        let annotated = frames.iter().filter(|frame| frame.annotated.is_some()).count();
        let is_coco = annotated > 0 || !written.annotations.written.is_empty();
        let data_yaml_warnings =
            data_yaml_warnings.unwrap_or_else(|| if is_coco { Vec::new() } else { vec![nothing()] });
        warnings.extend(data_yaml_warnings.iter().cloned());
        let seconds = time.as_secs_f64();
        let conditions: Vec<_> = self.parts.iter().map(|part| ConditionCounts::of(part.plan)).collect();
        Summary {
            jobs: header.jobs,
            done: counts.done,
            failed: counts.failed,
            failed_before: header.failed_before,
            skipped: header.skipped,
            left,
            reduced: counts.reduced,
            restarted: counts.restarted,
            several: counts.several,
            malformed_labels: counts.malformed.frames,
            first_malformed_label: counts.malformed.label,
            first_malformed_place: counts.malformed.place,
            unnamed_classes: counts.unnamed.frames,
            first_unnamed_class: counts.unnamed.label,
            first_unnamed_place: counts.unnamed.place,
            scenes: counts.scenes,
            drawn_by_student: counts.drawn,
            passed_on_by_student: counts.passed_on,
            unread: foreign::by_extension(&self.dataset.foreign),
            // A stop request after the last frame has no effect.
            stopped: stopped.filter(|_| left > 0),
            failures,
            seconds,
            frames_per_second: counts.done as f64 / seconds,
            manifest: header.output.join(MANIFEST_NAME),
            output: header.output,
            data_yaml,
            data_yaml_warnings,
            labelled,
            annotated,
            background: frames.len() - labelled - annotated,
            unused_labels: self.dataset.unused_labels,
            warnings,
            annotations: written.annotations.written,
            annotations_left: written.annotations.left,
            annotations_partial: written.annotations.partial,
            not_chosen_by_where: conditions.iter().map(|counts| counts.not_chosen_by_where).sum(),
            conditions,
            backbone: header.backbone,
            backbone_digest: header.backbone_digest,
            students: header.students,
            device: header.device,
        }
    }
}

impl<'a> Part<'a> {
    fn provenance(&self, facts: &DatasetFacts) -> Provenance<'a> {
        Provenance::new(&self.condition.config, self.engine, facts)
    }

    /// Does the jobs `todo` and appends their rows.
    fn work(
        &self,
        run: &Run,
        todo: &[&Job],
        manifest: &mut Manifest,
        stop: &Stop,
        observer: &mut dyn Observer,
        counts: &mut Counts,
    ) -> Result<()> {
        let plan = self.plan;
        let stylizer = self.condition.stylizer(self.engine)?;
        let threads = rayon::current_num_threads();
        let asked = run.options.frames_at_once;
        let pool = WorkerPool::new(capacity::frames_at_once(plan, todo, &stylizer, asked, threads), threads)?;
        let quality = self.condition.config.quality;
        let stylizers = Stylizers::new(stylizer, plan.styles.len());
        let (facts, memory) = (run.facts.clone(), Budget::free());
        let context = JobContext { plan, stylizers: &stylizers, output: run.output, quality, facts, memory };
        let provenance = self.provenance(&run.facts);
        let new_row = |job: &Job| provenance.row(plan, job);
        pool.run(
            todo,
            || Worker::new(&context),
            new_row,
            stop,
            |event| {
                match event {
                    WorkerEvent::Began(job) => observer.event(Event::Frame { name: &plan.frame(job).relative }),
                    WorkerEvent::Evaluated(job, Evaluation { evaluation, of, loss }) => {
                        let name = &plan.frame(job).relative;
                        observer.event(Event::Evaluated { name, evaluation, of, loss: loss.total });
                    }
                    WorkerEvent::Finished(row) => counts.take(&row, manifest, observer)?,
                    WorkerEvent::Broken(error) => return Err(error),
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
        let provenance = self.provenance(facts);
        let mut tasks = todo.iter().map(|job| Task::of(self.plan, job));
        executor.execute(&mut tasks, facts, stop, &mut |row| {
            provenance.check(&row)?;
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
        manifest.append(row).map_err(Error::over_output)?;
        manifest.remove_other_formats(&row.identity.output)?;
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
        self.restarted += usize::from(row.outcome.restarted && row.status == Status::Done);
        self.several += usize::from(row.outcome.first_of_several);
        let Outcome { malformed_labels, first_malformed_line, unnamed_classes, scene, .. } = &row.outcome;
        self.malformed.add(*malformed_labels, row, *first_malformed_line);
        self.unnamed.add(*unnamed_classes, row, None);
        if self.ground_matters {
            self.scenes.add(*scene);
        }
        self.drawn += usize::from(row.outcome.made_by == Some(MadeBy::Student));
        self.passed_on += usize::from(row.outcome.made_by == Some(MadeBy::Optimizer));
    }
}

impl Doubtful {
    /// Counts the frame of `row` if its label has doubtful lines, of which the first may be known.
    fn add(&mut self, lines: Option<u32>, row: &Row, line: Option<u32>) {
        if lines.is_some() {
            self.frames += 1;
            if self.label.is_empty() {
                self.label = row.identity.label.clone().unwrap_or_default();
                let line = line.map(|line| format!("line {line} of ")).unwrap_or_default();
                self.place = format!("{line}the label of {}", row.identity.source);
            }
        }
    }
}

/// An error that ended the run, with what to do about it if every frame would meet it.
fn with_help(error: Error) -> Error {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    if !error.ends_run() {
        return error;
    }
    let first = match &error {
        Error::Io { source, .. } => match source.kind() {
            StorageFull | QuotaExceeded => "make room there, and ",
            PermissionDenied | ReadOnlyFilesystem => "make it writable, and ",
            _ => "",
        },
        _ => "",
    };
    let last = if let Error::Fatal(_) = error { ", or add --device cpu" } else { "" };
    Error::Run(format!("{error}\n  help: what is done stays done; {first}give the same command again{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::row::{Identity, Producer};
    use std::io;

    #[test]
    fn what_was_made_in_another_way_is_counted_for_pictures_that_were_made() {
        let row = |status, change: fn(&mut Outcome)| {
            let mut row = Row { status, ..Row::new(Identity::default(), Producer::default()) };
            change(&mut row.outcome);
            row
        };
        let mut counts = Counts::default();
        counts.add(&row(Status::Done, |outcome| outcome.restarted = true));
        counts.add(&row(Status::Failed, |outcome| outcome.restarted = true));
        counts.add(&row(Status::Done, |outcome| outcome.reduced_size = Some(256)));
        counts.add(&row(Status::Done, |outcome| outcome.first_of_several = true));
        let Counts { done, failed, restarted, reduced, several, .. } = counts;
        assert_eq!((done, failed, restarted, reduced, several), (3, 1, 1, 1, 1));
    }

    #[test]
    fn an_error_that_ends_a_run_comes_with_the_help_for_its_kind() {
        let text = |kind: io::ErrorKind| {
            let error = Error::io(Path::new("out/a.jpg"), "write it")(kind.into()).over_output();
            assert!(error.ends_run());
            with_help(error).to_string()
        };
        let (full, closed) = (text(io::ErrorKind::StorageFull), text(io::ErrorKind::PermissionDenied));
        assert!(full.contains("make room there") && closed.contains("make it writable"), "{full}\n{closed}");
        assert!(!full.contains("--device") && !closed.contains("--device"), "{full}\n{closed}");
        assert!(with_help(Error::Fatal("the GPU is lost".into())).to_string().contains("--device cpu"));
    }
}
