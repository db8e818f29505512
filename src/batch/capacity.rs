//! How many frames fit into memory at once, and how long a plan takes.

use crate::batch::remedy;
use crate::error::{Error, Result};
use crate::imageio::decode;
use crate::imageio::encode::{self, Metadata};
use crate::memory;
use crate::nst::failure::StylizeError;
use crate::nst::schedule::Scale;
use crate::nst::settings::{Init, Settings};
use crate::nst::{Pixels, Size, Stylizer, schedule};
use crate::plan::{Job, Plan};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// Frames whose size is read for an estimate.
const SAMPLE: usize = 16;

/// The quality of a JPEG in an estimate.
const QUALITY: u8 = 95;

/// Approximate bytes that one more frame of the size `full` in progress needs, besides the network, which all share.
/// `scales` are those that it is optimized at.
pub fn bytes_per_frame(full: Size, scales: &[Scale]) -> u64 {
    // Measured: activations, gradients and ReLU bits to relu5_1 at each working size; copies in f32 and
    // the surfaces that effects need at the full one.
    let working: usize = scales.iter().map(|scale| scale.size.pixels()).sum();
    (working * 1500 + full.pixels() * 150) as u64
}

/// Frames to work on at once if memory were no limit: one per thread, since a frame with a thread of its own waits for
/// no other. For a device that works on `batch` pictures at once, two batches: while the device has one, the frames of
/// the other are decoded, prepared and written.
pub fn most_frames(batch: Option<usize>, threads: usize) -> usize {
    batch.map_or(threads, |batch| 2 * batch)
}

/// How many frames of `bytes` each fit into half of the memory that is free now, 1 to `most`.
pub fn frames_that_fit(most: usize, bytes: u64) -> usize {
    (memory::free() / 2 / bytes.max(1)).clamp(1, most as u64) as usize
}

/// How many of the jobs `todo` to work on at once with `threads`: `asked`, or else as many as memory allows, but never
/// more than [`most_frames`] or than there are jobs.
pub fn frames_at_once(plan: &Plan, todo: &[&Job], stylizer: &Stylizer, asked: Option<usize>, threads: usize) -> usize {
    let sizes = sample_sizes(plan, todo.iter().copied());
    frames_of_sizes(&sizes, stylizer, asked, threads).min(todo.len())
}

/// [`frames_at_once`] for frames of these sizes.
pub fn frames_of_sizes(sizes: &[Size], stylizer: &Stylizer, asked: Option<usize>, threads: usize) -> usize {
    let at_once = |&full: &Size| most_frames(stylizer.batch(stylizer.working_size(full)), threads);
    let most = sizes.iter().map(at_once).max().unwrap_or(threads);
    let frames = asked.unwrap_or_else(|| {
        let bytes = sizes.iter().map(|&full| bytes_per_frame(full, &stylizer.scales(stylizer.working_size(full))));
        frames_that_fit(most, bytes.max().unwrap_or(0))
    });
    frames.min(most)
}

/// How long `plan` would take here, by measuring two evaluations at the size of its first readable frame, and all other
/// work on that frame. The share `optimized` of its frames is optimized. `None` if no frame can be read.
///
/// # Errors
/// [`Error::Run`] when the device refuses.
pub fn estimate(plan: &Plan, stylizer: &Stylizer, optimized: f64) -> Result<Option<Duration>> {
    let sizes = sample_sizes(plan, plan.jobs.iter());
    let Some((read, besides)) = besides_evaluations(plan, stylizer)? else { return Ok(None) };
    let mut seconds = besides * mean(&sizes, |size| size.pixels() as f64) / read.pixels() as f64;
    if stylizer.settings().steps > 0 {
        let working = stylizer.working_size(read);
        let work = |full: &Size| {
            let size = stylizer.working_size(*full);
            size.pixels() as f64 * schedule::cost(&stylizer.scales(size))
        };
        let mut evaluators = stylizer.evaluators(working);
        let evaluation = evaluators.seconds_per_evaluation(2).map_err(|why| Error::Run(remedy::message(&why)))?;
        seconds += optimized * evaluation * mean(&sizes, work) / working.pixels() as f64;
    }
    Ok(Some(Duration::from_secs_f64(seconds * plan.jobs.len() as f64)))
}

fn mean(sizes: &[Size], of: impl Fn(&Size) -> f64) -> f64 {
    sizes.iter().map(of).sum::<f64>() / sizes.len().max(1) as f64
}

/// The size of the plan's first readable frame, and the seconds that it takes besides its evaluations: to be read,
/// stylized and compressed.
///
/// # Errors
/// [`Error::Run`] when the frame cannot be stylized.
fn besides_evaluations(plan: &Plan, stylizer: &Stylizer) -> Result<Option<(Size, f64)>> {
    for job in plan.jobs.iter().take(SAMPLE) {
        let begun = Instant::now();
        let Ok(decoded) = decode::decode(&plan.frame(job).path) else { continue };
        let encoded = encode::encode_image(Path::new(&job.output), &decoded.image, Metadata::default(), QUALITY);
        // One frame is read and written on one thread while the others have theirs.
        let files = begun.elapsed().as_secs_f64() / rayon::current_num_threads() as f64;
        if encoded.is_err() {
            continue;
        }
        let pixels = Pixels::from_rgb8(&decoded.image);
        let size = pixels.size();
        return Ok(Some((size, files + seconds_without_evaluations(stylizer, pixels)?)));
    }
    Ok(None)
}

/// The seconds, on all threads, that a frame of these pixels takes besides its evaluations and its files.
///
/// # Errors
/// [`Error::Run`] when it cannot be stylized.
pub fn seconds_without_evaluations(stylizer: &Stylizer, pixels: Pixels) -> Result<f64> {
    let asked = stylizer.settings().clone();
    let init = if asked.init == Init::Noise { Init::Content } else { asked.init };
    let drawn = Stylizer::without_network(Settings { steps: 0, init, ..asked });
    let picture = pixels.into();
    let seconds = || -> Result<f64, StylizeError> {
        let style = drawn.style(&picture)?;
        let begun = Instant::now();
        let mut evaluators = drawn.evaluators(drawn.working_size(picture.pixels.size()));
        drawn.stylize(&mut evaluators, &picture, &style, 0, |_, _| ControlFlow::Continue(()))?;
        Ok(begun.elapsed().as_secs_f64())
    };
    // The first one warms up memory, caches and tables.
    seconds().and_then(|_| seconds()).map_err(|why| Error::Run(remedy::message(&why)))
}

/// The sizes of some frames, spread over all `jobs`, as far as they can be read.
fn sample_sizes<'p>(plan: &Plan, jobs: impl ExactSizeIterator<Item = &'p Job>) -> Vec<Size> {
    let every = jobs.len().div_ceil(SAMPLE).max(1);
    let dimensions = jobs.step_by(every).filter_map(|job| decode::dimensions(&plan.frame(job).path).ok());
    dimensions.map(|(width, height)| Size { height: height as usize, width: width as usize }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_too_large_for_memory_are_worked_on_one_by_one() {
        assert_eq!(frames_that_fit(16, u64::MAX), 1);
        assert_eq!(frames_that_fit(3, 1), 3);
    }
}
