//! Whole runs and plans.

use crate::failure::{caught, exception};
use crate::frames::{config_of, damaged, device_of, json, with_signals};
use crate::threads;
use augment::batch::context::DatasetFacts;
use augment::batch::executor::Executor;
use augment::batch::progress::{Event, Observer};
use augment::batch::stop::{Reason, Stop};
use augment::batch::{Batch, RunOptions};
use augment::cli::terminal::summary_lines;
use augment::config::values::Config;
use augment::dataset::labels::{Labelled, Labels};
use augment::error;
use augment::files::fingerprint::Fingerprint;
use augment::files::paths;
use augment::nst::Area;
use augment::output::manifest::{self, LastRows};
use augment::output::row::Row;
use augment::plan::shard::Shard;
use augment::plan::task::Task;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The arguments that a run and its plan share.
#[derive(FromPyObject)]
pub struct Asked {
    /// Texts of configs with their paths.
    #[pyo3(item)]
    configs: Vec<(String, PathBuf)>,
    #[pyo3(item)]
    sets: Vec<String>,
    #[pyo3(item)]
    dataset: PathBuf,
    #[pyo3(item)]
    output: Option<PathBuf>,
    #[pyo3(item)]
    seed: Option<u64>,
    #[pyo3(item)]
    shard: Option<String>,
    #[pyo3(item)]
    limit: Option<usize>,
    #[pyo3(item)]
    per_frame: Option<usize>,
    #[pyo3(item)]
    jobs: Option<usize>,
    #[pyo3(item)]
    force: bool,
    #[pyo3(item)]
    retry_failed: bool,
    #[pyo3(item)]
    max_failures: Option<usize>,
    #[pyo3(item)]
    weights: Option<String>,
    #[pyo3(item)]
    device: String,
    #[pyo3(item)]
    precision: Option<String>,
    #[pyo3(item)]
    threads: usize,
}

impl Asked {
    fn configs(&self) -> PyResult<Vec<Config>> {
        self.configs.iter().map(|(text, path)| config_of(text, path, &self.sets, self.seed)).collect()
    }

    fn options(&self) -> PyResult<RunOptions> {
        let variable = |key: &str| std::env::var(key).ok();
        let shard = self.shard.as_ref().map(|text| Shard::parse(text, variable)).transpose();
        Ok(RunOptions {
            output: self.output.clone(),
            per_frame: self.per_frame,
            limit: self.limit,
            shard: shard.map_err(|why| exception(error::Error::Usage(why)))?,
            frames_at_once: self.jobs,
            force: self.force,
            retry_failed: self.retry_failed,
            weights_given: self.weights.is_some(),
            ..RunOptions::default()
        })
    }

    fn open(&self) -> PyResult<Batch> {
        Batch::open(self.configs()?, &self.dataset, self.options()?).map_err(exception)
    }
}

/// Runs a batch and returns its summary as JSON and as lines for people. `progress` is called with a kind of event and
/// its JSON. `executor`, if there is one, gets the jobs; see [`PythonExecutor`].
#[pyfunction]
pub fn run(
    py: Python<'_>,
    asked: Asked,
    progress: Option<Py<PyAny>>,
    executor: Option<Py<PyAny>>,
) -> PyResult<(String, String)> {
    let device = device_of(&asked.device, asked.precision.as_deref())?;
    let pool = threads::of_process(py, asked.threads)?;
    let stop = Stop::after_failures(asked.max_failures);
    let raised = Raised::default();
    let work = || -> PyResult<_> {
        let batch = asked.open()?;
        let engines = batch.engines(asked.weights.as_deref(), &device.device).map_err(exception)?;
        let mut observer = PythonObserver { progress, stop: stop.clone(), raised: raised.clone() };
        if let Some(why) = &device.no_gpu {
            observer.event(Event::Warning(&format!("no GPU can be used, so the processor computes: {why}")));
        }
        let mut executor = executor.map(|object| PythonExecutor { object, raised: raised.clone() });
        let executor = executor.as_mut().map(|executor| executor as &mut dyn Executor);
        let summary = batch.run_on(executor, &engines, &stop, &mut observer).map_err(exception)?;
        Ok((json(&summary), summary_lines(&summary)))
    };
    let done = with_signals(py, &stop, || caught(|| pool.install(work)));
    match raised.take() {
        Some(exception) => Err(exception),
        None => done,
    }
}

/// The plan of a batch: a JSON text for each task, and the warnings.
#[pyfunction]
pub fn plan(py: Python<'_>, asked: Asked) -> PyResult<(Vec<String>, Vec<String>)> {
    let pool = threads::of_process(py, asked.threads)?;
    let work = || -> PyResult<_> {
        let batch = asked.open()?;
        let plans = batch.plans().map_err(exception)?;
        let warnings = batch.left_out().map_err(exception)?.into_iter().chain(batch.warnings(&plans)).collect();
        let rows = plans.iter().flat_map(|plan| {
            plan.jobs.iter().map(|job| {
                let styles = plan.styles_of(job).map(|(style, share)| (style.path.to_string_lossy(), share));
                json(&(Task::of(plan, job), styles.collect::<Vec<_>>()))
            })
        });
        Ok((rows.collect(), warnings))
    };
    py.detach(|| caught(|| pool.install(work)))
}

/// The fingerprint of files as rows have it, as JSON.
#[pyfunction]
pub fn fingerprint(files: Vec<PathBuf>) -> String {
    json(&Fingerprint::of(&files))
}

/// The last row of every output in a folder, as JSON, sorted by output; and how many lines are no rows.
#[pyfunction]
pub fn rows(folder: PathBuf) -> PyResult<(Vec<String>, usize)> {
    let LastRows { rows, unreadable } = manifest::last_rows(&folder).map_err(exception)?;
    Ok((rows.iter().map(json).collect(), unreadable))
}

/// The objects of a label file: class, and the box as x and y of its middle, width and height, and its outline, all as
/// shares of the picture. `keypoints` is how many numbers the keypoints of a pose take.
#[pyfunction]
#[pyo3(signature = (content, keypoints=None))]
pub fn labels(content: &[u8], keypoints: Option<usize>) -> Vec<(String, [f64; 4], Vec<[f64; 2]>)> {
    let boxes = Labels::from_bytes(content, keypoints).boxes;
    let object = |Labelled { class, area, outline }: Labelled| {
        let Area { left, top, right, bottom } = area;
        (class, [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top], outline)
    };
    boxes.into_iter().map(object).collect()
}

/// The id that labels write for a class; `None` for a name.
#[pyfunction]
pub fn class_number(class: &str) -> Option<i128> {
    augment::dataset::labels::class_number(class)
}

/// Where YOLO loaders look for the label of an image, both with `/`.
#[pyfunction]
pub fn label_name(image: &str) -> String {
    paths::label_name(image)
}

/// The first exception that a function of the user has raised.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    fn keep(&self, exception: PyErr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(exception);
    }

    fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Calls a function of the user with every event but evaluations. If it raises, the run stops.
struct PythonObserver {
    progress: Option<Py<PyAny>>,
    stop: Stop,
    raised: Raised,
}

impl Observer for PythonObserver {
    fn event(&mut self, event: Event) {
        let Some(progress) = &self.progress else { return };
        let (kind, json) = match event {
            Event::Begin(header) => {
                let facts = serde_json::json!({
                    "jobs": header.jobs,
                    "todo": header.todo,
                    "skipped": header.skipped,
                    "output": header.output.to_string_lossy(),
                });
                ("begin", json(&facts))
            }
            Event::Row(row) => ("row", json(row)),
            Event::Warning(text) => ("warning", json(&text)),
            Event::Lesson { done, of } => ("lesson", json(&[done, of])),
            Event::Training { done, of } => ("training", json(&[done, of])),
            Event::Frame { .. } | Event::Evaluated { .. } => return,
        };
        if let Err(exception) = Python::attach(|py| progress.call1(py, (kind, json)).map(drop)) {
            self.raised.keep(exception);
            self.stop.ask(Reason::Interrupted);
        }
    }
}

/// Gives tasks to an object of Python. It has an integer `chunk`; `begin(facts)`; `submit(tasks)`, which returns the
/// rows that are done by then; `drain()`, which waits for some and returns `None` when nothing is left; and `cancel()`.
/// Tasks and facts are JSON, rows are lists of JSON.
struct PythonExecutor {
    object: Py<PyAny>,
    raised: Raised,
}

impl PythonExecutor {
    fn call(&self, method: &str, text: Option<String>) -> error::Result<Option<Vec<String>>> {
        let call = |py: Python<'_>| match text {
            Some(text) => self.object.call_method1(py, method, (text,))?.extract(py),
            None => self.object.call_method0(py, method)?.extract(py),
        };
        Python::attach(call).map_err(|exception| self.error(exception))
    }

    fn error(&self, exception: PyErr) -> error::Error {
        let error = error::Error::Run(exception.to_string());
        self.raised.keep(exception);
        error
    }
}

impl Executor for PythonExecutor {
    fn execute(
        &mut self,
        tasks: &mut dyn ExactSizeIterator<Item = Task>,
        facts: &DatasetFacts,
        stop: &Stop,
        finished: &mut dyn FnMut(Row) -> error::Result<()>,
    ) -> error::Result<()> {
        let chunk = Python::attach(|py| self.object.getattr(py, "chunk")?.extract::<usize>(py));
        let chunk = chunk.map_err(|exception| self.error(exception))?.max(1);
        let mut take = |rows: Vec<String>| {
            rows.iter().try_for_each(|row| {
                let row = serde_json::from_str(row).map_err(|error| error::Error::Run(damaged(error).to_string()))?;
                finished(row)
            })
        };
        self.call("begin", Some(json(facts)))?;
        let done = loop {
            if stop.asked() {
                break self.call("cancel", None).map(drop);
            }
            let next: Vec<Task> = std::iter::from_fn(|| tasks.next()).take(chunk).collect();
            let rows =
                if next.is_empty() { self.call("drain", None)? } else { self.call("submit", Some(json(&next)))? };
            match rows {
                Some(rows) => {
                    let counted = take(rows);
                    if let Err(error) = counted {
                        // The first error is the one to report.
                        let _ = self.call("cancel", None);
                        break Err(error);
                    }
                }
                None => break Ok(()),
            }
        };
        done.map_err(|error| match error {
            error::Error::Run(text) => error::Error::Fatal(text),
            other => other,
        })
    }
}
