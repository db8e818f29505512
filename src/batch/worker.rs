//! One frame: decode, stylize, write. Several workers do this at once; they share the styles.

use crate::batch::capacity;
use crate::batch::styles::{JobContext, refused};
use crate::dataset::Frame;
use crate::dataset::labels::{Labelled, Labels};
use crate::error::{Error, Result};
use crate::files::fingerprint::Fingerprint;
use crate::imageio::decode::{self, Decoded};
use crate::nst::settings::{Init, Optimizer};
use crate::nst::{
    Area, Crop, Easing, Evaluators, GuardReport, Loss, Picture, Pixels, Settings, Size, StylizeError, Stylized,
    schedule, stylizer,
};
use crate::output::folder;
use crate::output::row::{BoxRow, GuardRow, Row};
use crate::plan::Job;
use crate::{memory, units};
use std::ops::{ControlFlow, Range};

/// Objects of one frame that are guarded: no picture shows more, and a damaged label may list any number.
const MOST_BOXES: usize = 1000;

/// One evaluation of a job.
pub struct Step {
    /// From 1.
    pub evaluation: usize,
    /// How many there are at most, at all scales.
    pub of: usize,
    pub loss: Loss,
}

/// One thread's workplace.
pub struct Worker<'a> {
    context: &'a JobContext<'a>,
    /// For the engine and size of the last frame; datasets mostly have one.
    bench: Option<(usize, Size, Evaluators<'a>)>,
}

impl<'a> Worker<'a> {
    pub fn new(context: &'a JobContext<'a>) -> Self {
        Self { context, bench: None }
    }

    /// Forgets what a panic may have left half done.
    pub fn reset(&mut self) {
        self.bench = None;
    }

    /// Makes the picture of `job` and its label, and writes into `row` what came to be known on the way. `on_step` hears
    /// of every evaluation and may end the work, of which then nothing is left: the answer is `false`.
    ///
    /// # Errors
    /// When the frame, its style or a map cannot be read, nothing can be made of it, memory is too short even for a
    /// smaller working size, or the output cannot be written.
    pub fn work(&mut self, job: &Job, row: &mut Row, mut on_step: impl FnMut(Step) -> ControlFlow<()>) -> Result<bool> {
        let context = self.context;
        let frame = context.plan.frame(job);
        let Decoded { image, profile, first_of_several } = decode::decode(&frame.path)?;
        row.first_of_several = first_of_several;
        let (mut picture, mut whole, inner) = context.picture(&frame.path, image, |whole| context.inner(whole))?;
        (row.width, row.height) = (Some(whole.size().width as u32), Some(whole.size().height as u32));
        picture.boxes = self.boxes(frame, row, whole.size(), inner);
        let engine = self.prepare(frame, whole.size(), picture.pixels.size())?;
        let (engine, made) = first_that_fits(engine..context.engines.len(), |engine| {
            let size = context.engines[engine].working_size(picture.pixels.size());
            if self.bench.as_ref().is_none_or(|(other, _, _)| *other != engine) {
                self.allocate(engine, size);
            }
            let style = context.style_of(engine, job)?;
            Ok(self.stylize(engine, &picture, &style, job, row, &mut on_step))
        })?;
        row.reduced_size = (engine > 0).then_some(context.engines[engine].settings().size as u32);
        let made = made.map_err(|failure| refused(&frame.path, &failure))?;
        let Some(made) = made else { return Ok(false) };
        row.evals = Some(made.evals as u32);
        (row.first_content_loss, row.first_style_loss) = (Some(made.first.content), Some(made.first.style));
        (row.content_loss, row.style_loss) = (Some(made.last.content), Some(made.last.style));
        row.strength = Some(made.strength);
        if let Some(report) = &made.guard {
            record(report, row);
        }
        whole.paste(&made.pixels, inner);
        self.write(frame, job, &whole, profile.as_deref())?;
        let files = folder::files(context.output, &job.output, job.label_output.as_deref());
        row.made_files = Some(Fingerprint::of(&files));
        Ok(true)
    }

    /// Removes what an earlier run made of a job that has failed now: it would be trained on.
    ///
    /// # Errors
    /// See [`output::clear`].
    pub fn clear(&self, job: &Job) -> Result<()> {
        folder::clear(self.context.output, &job.output)
    }

    /// Makes room for a frame of the size `full`, of which `inner` is stylized, and says with which engine: the first
    /// whose needs memory meets.
    fn prepare(&mut self, frame: &Frame, full: Size, inner: Size) -> Result<usize> {
        let sizes: Vec<Size> = self.context.engines.iter().map(|engine| engine.working_size(inner)).collect();
        if let Some((engine, size, _)) = &self.bench
            && sizes[*engine] == *size
            && capacity::bytes_per_frame(full, &[]) <= memory::free()
        {
            return Ok(*engine);
        }
        // What the old room takes is free for the new one.
        self.bench = None;
        let free = memory::free();
        let needs =
            |engine: &usize| capacity::bytes_per_frame(full, &self.context.engines[*engine].scales(sizes[*engine]));
        let Some(engine) = (0..sizes.len()).find(|engine| needs(engine) <= free) else {
            let (least, free) = (units::gigabytes(needs(&(sizes.len() - 1))), units::gigabytes(free));
            let message = format!(
                "at {}x{} it takes about {least} of memory and {free} are free; try fewer --jobs, or scale it down",
                full.width, full.height
            );
            return Err(Error::bad_file(&frame.path, message));
        };
        self.allocate(engine, sizes[engine]);
        Ok(engine)
    }

    /// Makes room for pictures that `engine` works on at `size`; the old room goes before the new one comes.
    fn allocate(&mut self, engine: usize, size: Size) {
        self.bench = None;
        self.bench = Some((engine, size, self.context.engines[engine].evaluators(size)));
    }

    /// The stylized picture, or `None` if `on_step` ended it. Where the losses are no numbers, Adam tries once more from
    /// the frame itself.
    fn stylize(
        &mut self,
        engine: usize,
        picture: &Picture,
        style: &stylizer::Style,
        job: &Job,
        row: &mut Row,
        on_step: &mut impl FnMut(Step) -> ControlFlow<()>,
    ) -> std::result::Result<Option<Stylized>, StylizeError> {
        let Some((_, size, bench)) = &mut self.bench else { unreachable!("there is room for the frame") };
        let asked = &self.context.engines[engine];
        let of = schedule::evaluations(&asked.scales(*size));
        let safe = Settings { init: Init::Content, optimizer: Optimizer::Adam, ..asked.settings().clone() };
        let safe = (safe != *asked.settings()).then(|| asked.with(safe));
        for stylizer in std::iter::once(asked).chain(&safe) {
            row.losses.clear();
            let step = |evaluation, loss: Loss| {
                row.losses.push(five_digits(loss.total));
                on_step(Step { evaluation, of, loss })
            };
            match stylizer.stylize(bench, picture, style, job.seed, step) {
                Ok(made) => return Ok(Some(made)),
                Err(StylizeError::Stopped) => return Ok(None),
                // Other settings would not change the device's mind.
                Err(failure @ (StylizeError::Device(_) | StylizeError::Memory(_) | StylizeError::Lost(_))) => {
                    return Err(failure);
                }
                Err(failure) if row.restarted || safe.is_none() => return Err(failure),
                Err(_) => row.restarted = true,
            }
        }
        unreachable!("the second failure ends it")
    }

    /// The labelled objects as shares of the inner picture; none where the guard is off.
    fn boxes(&self, frame: &Frame, row: &mut Row, whole: Size, inner: Crop) -> Vec<Area> {
        let Some(path) = frame.label.as_ref().filter(|_| self.context.settings().guard) else {
            return Vec::new();
        };
        // A label that cannot be read fails where it is copied, with its own message.
        let Ok(labels) = Labels::read(path, self.context.keypoints) else { return Vec::new() };
        row.malformed_labels = (labels.malformed > 0).then_some(labels.malformed as u32);
        let x = |v: f64| ((v * whole.width as f64 - inner.left as f64) / inner.width as f64).clamp(0.0, 1.0);
        let y = |v: f64| ((v * whole.height as f64 - inner.top as f64) / inner.height as f64).clamp(0.0, 1.0);
        let boxes = labels.boxes.iter().map(|Labelled { area, .. }| Area {
            left: x(area.left),
            top: y(area.top),
            right: x(area.right),
            bottom: y(area.bottom),
        });
        boxes.filter(|area| area.left < area.right && area.top < area.bottom).take(MOST_BOXES).collect()
    }

    fn write(&self, frame: &Frame, job: &Job, pixels: &Pixels, profile: Option<&[u8]>) -> Result<()> {
        let folder = self.context.output;
        folder::clear(folder, &job.output)?;
        if let (Some(label), Some(to)) = (&frame.label, &job.label_output) {
            folder::copy_label(label, &folder.join(to))?;
        }
        folder::write_image(&folder.join(&job.output), &pixels.to_rgb8(), profile, self.context.quality)
    }
}

/// The first of `engines` whose pictures fit into the device's memory, or the last, and what came of it.
fn first_that_fits<T>(
    engines: Range<usize>,
    mut run: impl FnMut(usize) -> Result<std::result::Result<T, StylizeError>>,
) -> Result<(usize, std::result::Result<T, StylizeError>)> {
    let last = engines.end.saturating_sub(1);
    for engine in engines {
        match run(engine)? {
            Err(StylizeError::Memory(_)) if engine < last => {}
            made => return Ok((engine, made)),
        }
    }
    unreachable!("the last engine is taken as it is")
}

/// As rows hold it.
fn five_digits(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

fn record(report: &GuardReport, row: &mut Row) {
    let rounded = |v: f64| (v * 1e4).round() / 1e4;
    let boxes = report.boxes.iter().map(|one| BoxRow {
        edges: rounded(one.edges),
        contrast: rounded(one.contrast),
        eased: match one.easing {
            Easing::None => None,
            Easing::Plain(share) => Some(format!("start {share}")),
            Easing::Content(share) => Some(format!("original {share}")),
        },
    });
    row.boxes = Some(boxes.collect());
    row.box_edges_min = report.edges_min().map(rounded);
    row.guard = Some(GuardRow { start: report.eased_to_plain() as u32, original: report.eased_to_content() as u32 });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_cannot_hold_is_done_smaller_and_told_where_nothing_fits() {
        let mut tried = Vec::new();
        let mut fits_from = |least: usize, engines: Range<usize>| {
            tried.clear();
            let made = first_that_fits(engines, |engine| {
                tried.push(engine);
                Ok(if engine < least {
                    Err(StylizeError::Memory("CUDA_ERROR_OUT_OF_MEMORY".into()))
                } else {
                    Ok("a picture")
                })
            });
            (made.ok(), tried.clone())
        };
        assert_eq!(fits_from(0, 0..3), (Some((0, Ok("a picture"))), vec![0]));
        assert_eq!(fits_from(2, 0..3), (Some((2, Ok("a picture"))), vec![0, 1, 2]));
        assert_eq!(fits_from(1, 1..3).1, [1]);
        let (made, tried) = fits_from(9, 0..3);
        assert!(matches!(made, Some((2, Err(StylizeError::Memory(_))))) && tried == [0, 1, 2]);
        let refused = first_that_fits(0..3, |_| Ok(Err::<(), _>(StylizeError::Device("the bus fell off".into()))));
        assert!(matches!(refused, Ok((0, Err(StylizeError::Device(_))))));
    }
}
