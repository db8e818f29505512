//! Learning: a sample of the frames is optimized, and a student learns from most of them and is judged by the others.

use crate::batch::capacity;
use crate::batch::condition::Condition;
use crate::batch::context::JobContext;
use crate::batch::pool::{FrameWorker, Step, WorkerEvent, WorkerPool};
use crate::batch::progress::{Event, Observer};
use crate::batch::provenance::{Engine, Provenance};
use crate::batch::stop::Stop;
use crate::batch::worker::Worker;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::nst::student::fit::fit;
use crate::nst::student::lesson::{Lesson, Pictures};
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

/// With fewer lessons, a student would know a few pictures by heart.
const LEAST_LESSONS: usize = 20;

/// The largest share of the held-out frames that the gate may pass to the optimizer to catch the worst.
const MOST_PASSED_ON: f64 = 0.25;

/// Held-out frames that are kept for a look.
const EXAMPLES: usize = 8;

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
    pub pictures: Pictures,
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

/// The student in the output `folder`, if one was learned there for this condition and what it learned from is still
/// the same; or else why there is none, unless there never was one.
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

/// Whether `jobs` are so many that learning pays.
pub fn pays(jobs: usize) -> bool {
    jobs >= LEAST_TIMES * FRAMES
}

/// Learns from up to `frames` jobs of `plan`, which the config's seed draws. Returns `None` if `stop` was asked for.
/// The student depends on the jobs, their files and the seed alone.
///
/// # Errors
/// [`Error::Run`] when there are too few frames to learn from, or the student draws no better than the start; and the
/// errors that end a run.
pub fn learn(
    condition: &Condition,
    dataset: &Dataset,
    plan: &Plan,
    engine: &Engine,
    frames: usize,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Learned>> {
    let seed = condition.config.seed;
    let names: Vec<&str> = plan.jobs.iter().map(|job| &*job.output).collect();
    let sample: Vec<&Job> = plan::sample(&names, frames, seed).into_iter().map(|index| &plan.jobs[index]).collect();
    let engine = Engine { student: None, ..engine.clone() };
    let (lessons, failures) = optimize(condition, dataset, plan, &engine, &sample, stop, observer)?;
    if stop.asked() {
        return Ok(None);
    }
    if lessons.len() < LEAST_LESSONS {
        let failed = failures.first().map_or(String::new(), |first| format!("; {} failed: {first}", failures.len()));
        return Err(Error::Run(format!(
            "{}: a student needs {LEAST_LESSONS} optimized frames to learn from, and there are {}{failed}",
            condition.config.condition,
            lessons.len()
        )));
    }
    let is_held_out = |place: usize| place % HELD_OUT == HELD_OUT - 1;
    let to_learn: Vec<&Lesson> = lessons.iter().filter(|(place, _)| !is_held_out(*place)).map(|(_, one)| one).collect();
    let on_pass = |done, of| {
        observer.event(Event::Training { done, of });
        if stop.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let Some(student) = fit(&to_learn, seed, on_pass).map_err(Error::Run)? else { return Ok(None) };
    let learned = to_learn.len();
    let mut judged = Vec::new();
    for (place, lesson) in lessons.into_iter().filter(|(place, _)| is_held_out(*place)) {
        judged.extend(Judged::of(plan.frame(sample[place]).relative.clone(), lesson, &student)?);
    }
    let gate = gate(&judged.iter().map(|one| (one.disagreement, one.student_db)).collect::<Vec<_>>());
    let figures = figures(&judged, gate, learned);
    if figures.student_db <= figures.start_db {
        return Err(Error::Run(format!(
            "{}: on frames that it has not learned from, the student is at {:.1} dB to the optimizer and the start at \
             {:.1}, so it is of no use; give more --frames, or go on with `engine: optimize`",
            condition.config.condition, figures.student_db, figures.start_db
        )));
    }
    let file = StudentFile::new(student.with_gate(gate), condition.origin(&engine), figures)?;
    let examples = judged.into_iter().take(EXAMPLES).map(|one| one.example(gate)).collect();
    Ok(Some(Learned { file, examples, failures }))
}

/// Optimizes the frames of `sample`. Returns their lessons with their places in the sample, and why others failed.
fn optimize(
    condition: &Condition,
    dataset: &Dataset,
    plan: &Plan,
    engine: &Engine,
    sample: &[&Job],
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<(Vec<(usize, Lesson)>, Vec<String>)> {
    let stylizer = condition.stylizer(engine)?;
    let threads = rayon::current_num_threads();
    let pool = WorkerPool::new(capacity::frames_at_once(plan, sample, &stylizer, None, threads), threads)?;
    // Nothing is written, so there is no output folder.
    let context = JobContext::new(plan, dataset, stylizer, Path::new(""), condition.config.quality);
    let provenance = Provenance::new(&condition.config, engine);
    let lessons = Mutex::new(Vec::new());
    let new_teacher = || Teacher { worker: Worker::new(&context), sample, lessons: &lessons };
    let (mut done, mut failures) = (0, Vec::new());
    pool.run(
        sample,
        new_teacher,
        |job| provenance.row(plan, job),
        stop,
        |event| {
            match event {
                WorkerEvent::Began(_) | WorkerEvent::Evaluated(..) => {}
                WorkerEvent::Finished(row) => {
                    failures.extend(row.outcome.error);
                    done += 1;
                    observer.event(Event::Lesson { done, of: sample.len() });
                }
                WorkerEvent::Broken(error) => return Err(error),
            }
            Ok(())
        },
    )?;
    let mut lessons = lessons.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Frames end in any order.
    lessons.sort_by_key(|&(place, _)| place);
    Ok((lessons, failures))
}

/// Makes lessons of frames.
struct Teacher<'a> {
    worker: Worker<'a>,
    sample: &'a [&'a Job],
    /// With their places in the sample.
    lessons: &'a Mutex<Vec<(usize, Lesson)>>,
}

impl FrameWorker for Teacher<'_> {
    fn work(&mut self, job: &Job, row: &mut Row, on_step: &mut dyn FnMut(Step) -> ControlFlow<()>) -> Result<bool> {
        let Some(mut lesson) = self.worker.lesson(job, row, on_step)? else { return Ok(false) };
        let place = self.sample.iter().position(|one| one.output == job.output);
        let Some(place) = place else { unreachable!("jobs are those of the sample") };
        if place % HELD_OUT != HELD_OUT - 1 {
            lesson.forget_pictures();
        }
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner).push((place, lesson));
        Ok(true)
    }

    fn reset(&mut self) {
        self.worker.reset();
    }

    fn clear(&self, _: &Job) -> Result<()> {
        Ok(())
    }
}

/// A held-out frame and what the student makes of it.
struct Judged {
    name: String,
    pictures: Pictures,
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

/// The peak signal-to-noise ratio of two pictures, cut to 0..1.
fn decibels(a: &Pixels, b: &Pixels) -> f64 {
    let square = |(a, b): (&f32, &f32)| ((a.clamp(0.0, 1.0) - b.clamp(0.0, 1.0)) as f64).powi(2);
    let mean = a.data().iter().zip(b.data()).map(square).sum::<f64>() / a.data().len() as f64;
    -10.0 * mean.max(1e-10).log10()
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

/// The largest disagreement to trust, from disagreements and decibels of held-out frames: the worst twentieth of them
/// shall be above, if not too many others are above with them.
fn gate(figures: &[(f32, f64)]) -> f32 {
    let mut by_quality = figures.to_vec();
    by_quality.sort_by(|a, b| a.1.total_cmp(&b.1));
    let worst = by_quality.len().div_ceil(20);
    let least = by_quality[..worst].iter().map(|&(disagreement, _)| disagreement).fold(f32::INFINITY, f32::min);
    let mut disagreements: Vec<f32> = figures.iter().map(|&(disagreement, _)| disagreement).collect();
    disagreements.sort_by(f32::total_cmp);
    let most = (disagreements.len() as f64 * MOST_PASSED_ON) as usize;
    let catching = disagreements.partition_point(|&disagreement| disagreement < least);
    let kept = catching.max(disagreements.len() - most);
    disagreements[kept.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_catches_the_worst_if_it_need_not_pass_on_too_many() {
        // 40 frames: the more they disagree, the worse they are.
        let ordered: Vec<(f32, f64)> = (0..40).map(|n| (n as f32, 40.0 - n as f64)).collect();
        assert_eq!(gate(&ordered), 37.0, "the two worst are above");
        let mut hidden = ordered.clone();
        hidden[5].1 = 0.0;
        assert_eq!(gate(&hidden), 29.0, "a quarter is passed on, and the worst is not among them");
        let mut one = ordered;
        one[35].1 = 0.0;
        assert_eq!(gate(&one), 34.0);
        assert_eq!(gate(&[(0.5, 30.0)]), 0.5);
    }

    #[test]
    fn decibels_are_those_of_the_cut_pictures() {
        let size = crate::nst::Size { height: 2, width: 2 };
        let filled = |value: f32| Pixels::new(size, vec![value; 12]);
        assert!((decibels(&filled(0.5), &filled(0.6)) - 20.0).abs() < 1e-4);
        assert_eq!(decibels(&filled(1.5), &filled(1.0)), 100.0);
    }
}
