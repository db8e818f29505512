//! Single pictures in memory, and tasks of a run.

use crate::failure::{ConfigError, Error, caught, exception, interrupted};
use crate::threads;
use augment::batch::context::DatasetFacts;
use augment::batch::frame_stylizer::{self, FrameInput};
use augment::batch::stop::{Reason, Stop};
use augment::cli::device;
use augment::config::values::Config;
use augment::dataset::labels::Schema;
use augment::output::row::Row;
use augment::plan::task::Task;
use augment::yaml;
use image::RgbImage;
use numpy::{PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A picture as Python gives it: pixels, the content of its label file, key, variant and place in its sequence.
type Input<'py> = (PyReadonlyArray3<'py, u8>, Option<Vec<u8>>, String, u32, u64);

/// A stylized picture and its row as JSON.
type Output<'py> = (Bound<'py, PyArray3<u8>>, String);

/// One config, ready to stylize.
#[pyclass(frozen, module = "augment_yolo._native")]
pub struct FrameStylizer {
    stylizer: frame_stylizer::FrameStylizer,
}

/// The device of this name, such as `auto`, and a warning where a GPU was expected and none is used.
///
/// # Errors
/// When there is no such device.
pub fn device_of(name: &str, precision: Option<&str>) -> PyResult<device::Selected> {
    let precision = match precision {
        None => None,
        Some("f32") => Some(device::PrecisionArg::F32),
        Some("bf16") => Some(device::PrecisionArg::Bf16),
        Some(other) => return Err(ConfigError::new_err(format!("precision `{other}`: expected f32 or bf16"))),
    };
    device::choose(name, precision).map_err(exception)
}

/// The config of a text that lies, or would lie, at `path`.
///
/// # Errors
/// As for a config file.
pub fn config_of(text: &str, path: &Path, sets: &[String], seed: Option<u64>) -> PyResult<Config> {
    let mut config = Config::parse(text, path, sets).map_err(exception)?;
    config.seed = seed.unwrap_or(config.seed);
    Ok(config)
}

#[pymethods]
impl FrameStylizer {
    /// `threads` open it.
    #[new]
    #[pyo3(signature = (text, path, sets, seed, device, precision, weights, threads))]
    #[expect(clippy::too_many_arguments, reason = "the Python part names them")]
    fn new(
        py: Python<'_>,
        text: &str,
        path: PathBuf,
        sets: Vec<String>,
        seed: Option<u64>,
        device: &str,
        precision: Option<&str>,
        weights: Option<&str>,
        threads: usize,
    ) -> PyResult<Self> {
        let config = config_of(text, &path, &sets, seed)?;
        let device = device_of(device, precision)?.device;
        let pool = threads::of_process(py, threads)?;
        let open = || frame_stylizer::FrameStylizer::open(config, weights, device).map_err(exception);
        let stylizer = py.detach(|| pool.install(open))?;
        Ok(Self { stylizer })
    }

    #[getter]
    fn condition(&self) -> &str {
        &self.stylizer.config().condition
    }

    /// Stylizes pictures, several at once. `data` is JSON with the keys of a data.yaml that say what labels mean. Ends
    /// early when a signal's handler raises.
    fn stylize<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Input<'py>>,
        data: &str,
        threads: usize,
    ) -> PyResult<Vec<Output<'py>>> {
        let data = yaml::parse(data).map_err(|_| ConfigError::new_err("the names of classes are no text"))?;
        let schema = Schema::of(&data);
        let inputs = inputs.into_iter().map(|(image, label, key, variant, place)| {
            let &[height, width, channels] = image.shape() else { unreachable!("it has three dimensions") };
            let pixels = image.as_array().iter().copied().collect();
            let image = (channels == 3).then(|| RgbImage::from_raw(width as u32, height as u32, pixels)).flatten();
            let image =
                image.ok_or_else(|| ConfigError::new_err("an array of the shape (height, width, 3) was expected"))?;
            Ok(FrameInput { image, label, key, variant, place })
        });
        let inputs = inputs.collect::<PyResult<Vec<_>>>()?;
        let pool = threads::of_process(py, threads)?;
        let stop = Stop::default();
        let all = || self.stylizer.stylize_all(inputs, &schema, &stop).map_err(exception);
        let made = with_signals(py, &stop, || caught(|| pool.install(all)))?.ok_or_else(interrupted)?;
        made.into_iter().map(|made| output(py, made)).collect()
    }

    /// Does tasks of a run, given as JSON, and returns their rows as JSON.
    fn work(&self, py: Python<'_>, tasks: &str, facts: &str, output: PathBuf, threads: usize) -> PyResult<Vec<String>> {
        let tasks: Vec<Task> = serde_json::from_str(tasks).map_err(damaged)?;
        let facts: DatasetFacts = serde_json::from_str(facts).map_err(damaged)?;
        let pool = threads::of_process(py, threads)?;
        let (stop, threads) = (Stop::default(), pool.current_num_threads());
        let work = || self.stylizer.work(&tasks, facts, &output, threads, &stop).map_err(exception);
        let rows = with_signals(py, &stop, || caught(|| pool.install(work)))?;
        Ok(rows.iter().map(json).collect())
    }
}

fn output(py: Python<'_>, (image, row): (RgbImage, Row)) -> PyResult<Output<'_>> {
    let shape = [image.height() as usize, image.width() as usize, 3];
    Ok((PyArray1::from_vec(py, image.into_raw()).reshape(shape)?, json(&row)))
}

/// What `work` returns, on another thread, while this one hears signals. When a handler raises, `stop` is asked for, and
/// the exception is returned after the work has ended.
pub fn with_signals<T: Send>(py: Python<'_>, stop: &Stop, work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T> {
    const EVERY: Duration = Duration::from_millis(50);
    let (result, raised) = py.detach(|| {
        std::thread::scope(|scope| {
            let (ends, ended) = channel();
            scope.spawn(move || ends.send(work()));
            let mut raised = None;
            loop {
                match ended.recv_timeout(EVERY) {
                    Ok(result) => return (result, raised),
                    Err(RecvTimeoutError::Timeout) if raised.is_none() => {
                        raised = Python::attach(|py| py.check_signals().err());
                        if raised.is_some() {
                            stop.ask(Reason::Interrupted);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        return (Err(Error::new_err("the work ended without a result; please report it")), raised);
                    }
                }
            }
        })
    });
    raised.map_or(result, Err)
}

/// The JSON of a plain value.
///
/// # Panics
/// For a map whose keys are no text; no value of this module has one.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain values serialize")
}

/// The exception for JSON of this module that cannot be read.
pub fn damaged(error: serde_json::Error) -> PyErr {
    Error::new_err(format!("a task cannot be read: {error}; driver and workers need the same version of augment"))
}
