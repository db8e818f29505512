//! Measures how long one evaluation and one frame take here.

use crate::batch::remedy;
use crate::nst::{Pixels, Size, Student, Stylizer};
use serde::Serialize;
use std::f32::consts::TAU;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// The result of a measurement; `augment bench --json` prints it.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Median time of one evaluation of loss and gradient, including the optimizer's own work.
    pub seconds_per_eval_median: f64,
    pub seconds_per_eval_min: f64,
    pub seconds_per_eval_max: f64,
    /// Time of one frame of this size with the config's steps, without reading and writing files.
    pub seconds_per_frame: f64,
    /// Time of one frame that the config's student draws; `None` without one.
    pub seconds_per_frame_by_student: Option<f64>,
    /// The number of measured evaluations.
    pub evals: usize,
    /// The config's evaluations per frame.
    pub steps: usize,
    /// Long side of the picture, in pixels.
    pub size: usize,
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    pub threads: usize,
    /// Pictures that the device works on at once.
    pub batch: usize,
    pub device: String,
    pub backbone: String,
    pub backbone_digest: String,
    /// The most memory that this process has held, in units of 10^6 bytes; `None` if the system does not report it.
    pub peak_memory_mb: Option<f64>,
}

/// Stylizes a generated picture of `size`. Returns the seconds of each evaluation after the first, and the seconds of
/// all other work.
///
/// The settings of `stylizer` are the config's, with three changes: `steps` is the number of evaluations to measure
/// plus one, there is one scale, and the working size is at least `size`. If the device works in batches, a full batch
/// is stylized and the seconds are divided by its number of pictures.
///
/// # Errors
/// When the device fails, or the optimizer stops after its first evaluation.
pub fn measure(stylizer: &Stylizer, size: Size) -> Result<(Vec<f64>, f64), String> {
    let style = stylizer.style(&drawn(size, 3.0).into()).map_err(|failure| remedy::message(&failure))?;
    let content = drawn(size, 5.0).into();
    let at_once = stylizer.batch(stylizer.working_size(size)).unwrap_or(1);
    let stylize = || {
        let mut evaluators = stylizer.evaluators(stylizer.working_size(size));
        let mut ends = Vec::new();
        let made = stylizer.stylize(&mut evaluators, &content, &style, 0, |_, _| {
            ends.push(Instant::now());
            ControlFlow::Continue(())
        });
        made.map(|_| ends).map_err(|failure| remedy::message(&failure))
    };
    let begun = Instant::now();
    let ends = thread::scope(|scope| {
        let others: Vec<_> = (1..at_once).map(|_| scope.spawn(stylize)).collect();
        let ends = stylize();
        others.into_iter().try_for_each(|other| {
            other.join().map_or(Err("a thread of the measurement panicked".into()), |made| made.map(drop))
        })?;
        ends
    })?;
    let all = begun.elapsed().as_secs_f64() / at_once as f64;
    if ends.len() < 2 {
        return Err("the optimizer stopped after its first evaluation; there is nothing to measure".into());
    }
    let seconds: Vec<f64> = ends.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() / at_once as f64).collect();
    let rest = (all - seconds.iter().sum::<f64>()).max(0.0);
    Ok((seconds, rest))
}

/// The seconds in which `student` draws a generated picture of `size` with the settings of `stylizer`.
///
/// # Errors
/// When memory is short.
pub fn by_student(stylizer: &Stylizer, student: &Student, size: Size) -> Result<f64, String> {
    // A generated picture is like none that it has learned from.
    let stylizer =
        stylizer.with(stylizer.settings().clone()).with_student(Some(Arc::new(student.with_gate(f32::INFINITY))));
    let style = stylizer.style(&drawn(size, 3.0).into()).map_err(|failure| remedy::message(&failure))?;
    let content = drawn(size, 5.0).into();
    let mut evaluators = stylizer.evaluators(stylizer.working_size(size));
    let mut seconds = || {
        let begun = Instant::now();
        let made = stylizer.stylize(&mut evaluators, &content, &style, 0, |_, _| ControlFlow::Continue(()));
        made.map(|_| begun.elapsed().as_secs_f64()).map_err(|failure| remedy::message(&failure))
    };
    // The first one warms up memory, caches and tables.
    seconds().and_then(|_| seconds())
}

/// A picture with edges and gradients at several scales.
pub fn drawn(size: Size, waves: f32) -> Pixels {
    let value = |y: usize, x: usize, colour: usize| {
        let (v, u) = (y as f32 / size.height as f32, x as f32 / size.width as f32);
        let phase = colour as f32 * 0.7;
        let wave = (TAU * (waves * u + phase)).sin() * (TAU * (waves * 2.0 * v)).cos();
        let tile = ((x / 16 + y / 16) % 2) as f32 - 0.5;
        (0.5 + 0.3 * wave + 0.2 * tile).clamp(0.0, 1.0)
    };
    let at = |n: usize| value(n / 3 / size.width, n / 3 % size.width, n % 3);
    Pixels::new(size, (0..size.pixels() * 3).map(at).collect())
}

/// The median of `values`.
///
/// # Panics
/// If `values` is empty.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}
