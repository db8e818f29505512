//! Learning: a sample of the frames is optimized, and a student learns from most of them and is judged by the others.

use crate::batch::budget::Budget;
use crate::batch::capacity;
use crate::batch::condition::Condition;
use crate::batch::context::{DatasetFacts, JobContext};
use crate::batch::pool::{FrameWorker, OnEvaluation, WorkerEvent, WorkerPool};
use crate::batch::progress::{Event, Observer};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::Stop;
use crate::batch::stylizers::Stylizers;
use crate::batch::worker::Worker;
use crate::config::values::EngineChoice;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::nst::student::fit::fit;
use crate::nst::student::lesson::{Lesson, LessonPictures};
use crate::nst::{Pixels, Student};
use crate::output::row::Row;
use crate::plan::{self, Job, Plan};
use crate::weights::student::{Figures, StudentFile};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Frames of a sample where nothing else is said.
pub const FRAMES: usize = 200;

/// A run learns on its way where it has at least so many times the frames of a sample.
const LEAST_TIMES: usize = 3;

/// Of so many frames of the sample, one is held out.
const HELD_OUT: usize = 5;

/// The fewest lessons to learn from, and the fewest frames to judge by.
const LEAST: (usize, usize) = (16, 4);

/// The fewest frames of a sample.
pub const FEWEST: usize = LEAST.0 + LEAST.1;

/// The largest share of the held-out frames that the gate may pass to the optimizer to catch the worst.
const MOST_PASSED_ON: f64 = 0.1;

/// Held-out frames that are kept for a look.
const EXAMPLES: usize = 8;

/// How learning ended.
pub enum LearnOutcome {
    Learned(Box<Learned>),
    /// There are too few frames, or the student draws no better than the start. The text says so for people.
    Useless(String),
    /// It was stopped on request.
    Stopped,
}

/// A student, and some held-out frames as it draws them.
pub struct Learned {
    pub file: StudentFile,
    pub examples: Vec<Example>,
    /// Frames of the sample that could not be optimized, with the reasons.
    pub failures: Vec<String>,
}

/// A held-out frame at the working size.
pub struct Example {
    /// Of the frame, relative to the dataset.
    pub name: String,
    pub pictures: LessonPictures,
    pub drawn: Pixels,
    /// The peak signal-to-noise ratio of the start and of what the student drew, in dB.
    pub start_db: f64,
    pub student_db: f64,
    /// Whether the gate lets it pass.
    pub is_trusted: bool,
}

/// The name of the file that a student of a condition has where nothing else is said.
pub fn file_name(condition: &str) -> String {
    format!("{condition}.student")
}

/// The student in the output `folder`, if one was learned there under this config, with these styles and this backbone;
/// or else why there is none, unless there never was one.
pub fn known(
    folder: &Path,
    condition: &Condition,
    engine: &Engine,
) -> std::result::Result<StudentFile, Option<String>> {
    let path = folder.join(file_name(&condition.config.condition));
    if !path.exists() {
        return Err(None);
    }
    let read = StudentFile::read(&path).and_then(|file| file.check(&path, &condition.origin(engine)).map(|()| file));
    read.map_err(|error| Some(error.to_string()))
}

/// Whether learning from `frames` pays in a plan with this number of jobs.
pub fn pays(jobs: usize, frames: usize) -> bool {
    jobs >= LEAST_TIMES * frames
}

/// The share of `jobs` that the optimizer works on: all, or what a student learns from and passes on, as far as that is
/// known before it has learned.
pub fn optimized_share(choice: &EngineChoice, student: Option<&StudentFile>, jobs: usize) -> f64 {
    match (choice, student) {
        (_, Some(file)) => file.facts.figures.passed_on,
        (EngineChoice::Learn, None) if pays(jobs, FRAMES) => FRAMES as f64 / jobs as f64,
        _ => 1.0,
    }
}

/// A lesson with the place of its frame in the sample.
type Placed = (usize, Lesson);

/// What a student learns from.
pub struct Learning<'a> {
    pub condition: &'a Condition,
    pub dataset: &'a Dataset,
    /// The jobs of the whole dataset.
    pub plan: &'a Plan<'a>,
    pub engine: &'a Engine,
    /// The most jobs to learn from. The config's seed draws them.
    pub frames: usize,
    /// Frames to work on at once; `None` for as many as memory allows.
    pub frames_at_once: Option<usize>,
}

impl Learning<'_> {
    /// Optimizes a sample, and trains and judges a student. It depends on the jobs, their files and the seed alone, for
    /// one instruction set.
    ///
    /// # Errors
    /// Those that end a run.
    pub fn learn(&self, stop: &Stop, observer: &mut dyn Observer) -> Result<LearnOutcome> {
        let seed = self.condition.config.seed;
        let names: Vec<&str> = self.plan.jobs.iter().map(|job| &*job.output).collect();
        let sample = plan::sample(&names, self.frames, seed).into_iter().map(|index| &self.plan.jobs[index]);
        let sample: Vec<&Job> = sample.collect();
        let (lessons, failures) = self.optimize(&sample, stop, observer)?;
        if stop.asked() {
            return Ok(LearnOutcome::Stopped);
        }
        let (to_judge, to_learn): (Vec<_>, Vec<_>) = lessons.into_iter().partition(|(place, _)| is_held_out(*place));
        if to_learn.len() < LEAST.0 || to_judge.len() < LEAST.1 {
            return Ok(LearnOutcome::Useless(self.too_few(to_learn.len(), to_judge.len(), &failures)));
        }
        let lessons: Vec<&Lesson> = to_learn.iter().map(|(_, lesson)| lesson).collect();
        let on_pass = |done, of| {
            observer.event(Event::Training { done, of });
            if stop.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let student = match fit(&lessons, seed, on_pass) {
            Ok(Some(student)) => student,
            Ok(None) => return Ok(LearnOutcome::Stopped),
            Err(why) => return Ok(LearnOutcome::Useless(self.not_fitted(&why))),
        };
        let mut judged = Vec::new();
        for (place, lesson) in to_judge {
            judged.extend(Judged::of(self.plan.frame(sample[place]).relative.clone(), lesson, &student)?);
        }
        self.judge(&student, judged, lessons.len(), failures)
    }

    fn not_fitted(&self, why: &str) -> String {
        let name = &self.condition.config.condition;
        format!("{name}: no student could be trained: {why}; try more frames, or set `engine: optimize`")
    }

    fn too_few(&self, learned: usize, judged: usize, failures: &[String]) -> String {
        let failed = failed(failures);
        let (least, least_judged) = LEAST;
        format!(
            "{}: a student needs {least} optimized frames to learn from and {least_judged} to be judged by, and there \
             are {learned} and {judged}{failed}",
            self.condition.config.condition,
        )
    }

    /// Sets the gate of `student` by held-out frames.
    fn judge(
        &self,
        student: &Student,
        judged: Vec<Judged>,
        learned: usize,
        failures: Vec<String>,
    ) -> Result<LearnOutcome> {
        let gate = gate(&judged.iter().map(|one| (one.disagreement, one.student_db)).collect::<Vec<_>>());
        let figures = figures(&judged, gate, learned);
        if figures.student_db <= figures.start_db {
            return Ok(LearnOutcome::Useless(format!(
                "{}: on frames that it has not learned from, the student is at {:.1} dB to the optimizer and the start \
                 at {:.1}, so it is of no use; learn from more frames, or go on with `engine: optimize`{}",
                self.condition.config.condition,
                figures.student_db,
                figures.start_db,
                failed(&failures)
            )));
        }
        let file = StudentFile::new(student.with_gate(gate), self.condition.origin(self.engine), figures)?;
        let examples = judged.into_iter().take(EXAMPLES).map(|one| one.example(gate)).collect();
        Ok(LearnOutcome::Learned(Box::new(Learned { file, examples, failures })))
    }

    /// Optimizes the frames of `sample`. Returns their lessons with their places in the sample, and why others failed.
    fn optimize(
        &self,
        sample: &[&Job],
        stop: &Stop,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<Placed>, Vec<String>)> {
        let Self { condition, dataset, plan, engine, frames_at_once, .. } = self;
        let engine = Engine { student: None, ..(*engine).clone() };
        let stylizer = condition.stylizer(&engine)?;
        let threads = rayon::current_num_threads();
        let at_once = capacity::frames_at_once(plan, sample, &stylizer, *frames_at_once, threads);
        let pool = WorkerPool::new(at_once, threads)?;
        // Nothing is written, so there is no output folder.
        let stylizers = Stylizers::new(stylizer, plan.styles.len());
        let (output, quality, facts) = (Path::new(""), condition.config.quality, DatasetFacts::of(dataset));
        let context = JobContext { plan, stylizers: &stylizers, output, quality, facts, memory: Budget::free() };
        let provenance = Provenance::new(&condition.config, &engine, &context.facts);
        let results = Mutex::new(Vec::new());
        let new_teacher = || Teacher { worker: Worker::new(&context), sample, results: &results };
        let (mut done, mut failures) = (0, Vec::new());
        let listen = |event| {
            match event {
                WorkerEvent::Began(_) | WorkerEvent::Evaluated(..) => {}
                WorkerEvent::Finished(row) => {
                    // A teacher has no failures of its own but panics.
                    failures.extend(row.outcome.error);
                    done += 1;
                    observer.event(Event::Lesson { done, of: sample.len() });
                }
                WorkerEvent::Broken(error) => return Err(error),
            }
            Ok(())
        };
        pool.run(sample, new_teacher, |job| provenance.row(plan, job), stop, listen)?;
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Frames end in any order.
        results.sort_by_key(|&(place, _)| place);
        let mut lessons = Vec::new();
        for (place, result) in results {
            match result {
                Ok(lesson) => lessons.push((place, lesson)),
                Err(reason) => failures.push(reason),
            }
        }
        Ok((lessons, failures))
    }
}

fn is_held_out(place: usize) -> bool {
    place % HELD_OUT == HELD_OUT - 1
}

/// A lesson, or why there is none, with the place of its frame in the sample.
type Tried = (usize, std::result::Result<Lesson, String>);

/// Makes lessons of frames.
struct Teacher<'a> {
    worker: Worker<'a>,
    sample: &'a [&'a Job],
    /// Lessons, or why there is none, with their places in the sample.
    results: &'a Mutex<Vec<Tried>>,
}

impl FrameWorker for Teacher<'_> {
    fn work(&mut self, job: &Job, row: &mut Row, on_evaluation: OnEvaluation) -> Result<bool> {
        let place = self.place(job);
        let result = match self.worker.lesson(job, row, on_evaluation) {
            Ok(Some(mut lesson)) => {
                if !is_held_out(place) {
                    lesson.forget_pictures();
                }
                Ok(lesson)
            }
            Ok(None) => return Ok(false),
            Err(error) if error.ends_run() => return Err(error),
            // It fails again when its turn comes in the run, and counts then.
            Err(error) => Err(error.to_string()),
        };
        self.results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        Ok(true)
    }

    fn reset(&mut self) {
        self.worker.reset();
    }

    fn clear(&self, _: &Job) -> Result<()> {
        Ok(())
    }
}

impl Teacher<'_> {
    fn place(&self, job: &Job) -> usize {
        let place = self.sample.iter().position(|one| one.output == job.output);
        place.unwrap_or_else(|| unreachable!("jobs are those of the sample"))
    }
}

/// A held-out frame and what the student makes of it.
struct Judged {
    name: String,
    pictures: LessonPictures,
    drawn: Pixels,
    start_db: f64,
    student_db: f64,
    disagreement: f32,
}

impl Judged {
    /// `None` for a lesson without pictures.
    fn of(name: String, lesson: Lesson, student: &Student) -> Result<Option<Self>> {
        let prediction = student.predict(&lesson.view).map_err(|error| Error::Run(error.to_string()))?;
        let Some(pictures) = lesson.pictures else { return Ok(None) };
        let mut drawn = pictures.start.clone();
        prediction.grid.apply(&mut drawn, &pictures.frame);
        let start_db = decibels(&pictures.start, &pictures.optimized);
        let student_db = decibels(&drawn, &pictures.optimized);
        Ok(Some(Self { name, pictures, drawn, start_db, student_db, disagreement: prediction.disagreement }))
    }

    fn example(self, gate: f32) -> Example {
        let Self { name, pictures, drawn, start_db, student_db, disagreement } = self;
        Example { name, pictures, drawn, start_db, student_db, is_trusted: disagreement <= gate }
    }
}

/// The peak signal-to-noise ratio of two pictures, cut to 0..1; 0 if one is not finite.
fn decibels(a: &Pixels, b: &Pixels) -> f64 {
    let square = |(a, b): (&f32, &f32)| ((a.clamp(0.0, 1.0) - b.clamp(0.0, 1.0)) as f64).powi(2);
    let mean = a.data().iter().zip(b.data()).map(square).sum::<f64>() / a.data().len() as f64;
    if mean.is_finite() { -10.0 * mean.max(1e-10).log10() } else { 0.0 }
}

/// How many frames failed, and why the first did; empty where none did.
fn failed(failures: &[String]) -> String {
    failures.first().map_or(String::new(), |first| format!("; {} failed: {first}", failures.len()))
}

/// How well a student with this gate does on held-out frames.
fn figures(judged: &[Judged], gate: f32, learned: usize) -> Figures {
    let kept = judged.iter().filter(|one| one.disagreement <= gate);
    let worst_kept_db = kept.clone().map(|one| one.student_db).fold(f64::INFINITY, f64::min);
    Figures {
        learned,
        held_out: judged.len(),
        start_db: sorted(judged.iter().map(|one| one.start_db))[judged.len() / 2],
        student_db: sorted(judged.iter().map(|one| one.student_db))[judged.len() / 2],
        worst_db: sorted(judged.iter().map(|one| one.student_db))[judged.len() / 20],
        passed_on: 1.0 - kept.count() as f64 / judged.len() as f64,
        worst_kept_db,
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The largest disagreement to trust, from disagreements and decibels of held-out frames. It passes on the worst
/// twentieth of the frames. Where disagreement tells so little of quality that this would take more than
/// [`MOST_PASSED_ON`], it passes on only the twentieth with the largest disagreement.
fn gate(figures: &[(f32, f64)]) -> f32 {
    let mut by_quality = figures.to_vec();
    by_quality.sort_by(|a, b| a.1.total_cmp(&b.1));
    let twentieth = figures.len().div_ceil(20);
    let least = by_quality[..twentieth].iter().map(|&(disagreement, _)| disagreement).fold(f32::INFINITY, f32::min);
    let mut disagreements: Vec<f32> = figures.iter().map(|&(disagreement, _)| disagreement).collect();
    disagreements.sort_by(f32::total_cmp);
    let kept = disagreements.partition_point(|&disagreement| disagreement < least);
    let most = (disagreements.len() as f64 * MOST_PASSED_ON) as usize;
    let kept = if disagreements.len() - kept <= most { kept } else { disagreements.len() - twentieth };
    disagreements[kept.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_student_all_frames_are_optimized_unless_one_is_to_be_learned() {
        assert_eq!(optimized_share(&EngineChoice::Optimize, None, 10_000), 1.0);
        assert_eq!(optimized_share(&EngineChoice::Learn, None, 100), 1.0, "too few to learn from");
        assert_eq!(optimized_share(&EngineChoice::Learn, None, 10_000), 0.02);
    }

    #[test]
    fn the_gate_passes_on_the_worst_unless_that_takes_too_many_others() {
        // 40 frames: the more they disagree, the worse they are.
        let ordered: Vec<(f32, f64)> = (0..40).map(|n| (n as f32, 40.0 - n as f64)).collect();
        assert_eq!(gate(&ordered), 37.0, "the two worst are above");
        let mut hidden = ordered.clone();
        hidden[5].1 = 0.0;
        assert_eq!(gate(&hidden), 37.0, "the worst agree, so only the two that disagree most are passed on");
        let mut one = ordered;
        one[36].1 = 0.0;
        assert_eq!(gate(&one), 35.0, "a tenth is passed on");
        assert_eq!(gate(&[(0.5, 30.0)]), 0.5);
    }

    #[test]
    fn decibels_are_those_of_the_cut_pictures() {
        let size = crate::nst::Size { height: 2, width: 2 };
        let filled = |value: f32| Pixels::new(size, vec![value; 12]);
        assert!((decibels(&filled(0.5), &filled(0.6)) - 20.0).abs() < 1e-4);
        assert_eq!(decibels(&filled(1.5), &filled(1.0)), 100.0);
        assert_eq!(decibels(&filled(f32::NAN), &filled(1.0)), 0.0);
    }
}
