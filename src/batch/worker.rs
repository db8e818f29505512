//! One frame: decode, stylize, write. Several workers do this at once and share the styles.

use crate::batch::capacity;
use crate::batch::context::JobContext;
use crate::batch::pool::{Evaluation, FrameWorker, OnEvaluation};
use crate::batch::sources::{self, Sources};
use crate::batch::stylizers::error_of;
use crate::dataset::Frame;
use crate::dataset::labels::{Labelled, Labels, Schema, class_number};
use crate::dataset::masks::Maps;
use crate::error::{Error, Result};
use crate::files::fingerprint::Fingerprint;
use crate::imageio::decode::{self, Decoded};
use crate::imageio::encode::{Metadata, encode_image};
use crate::nst::SceneObject;
use crate::nst::failure::StylizeError;
use crate::nst::loss::Loss;
use crate::nst::picture::geometry::{Area, Crop, Size};
use crate::nst::random::{FrameSeed, Random};
use crate::nst::render::guard::Easing;
use crate::nst::schedule;
use crate::nst::settings::{self, Init, Optimizer, Settings};
use crate::nst::student::lesson::Lesson;
use crate::nst::stylizer::{Evaluators, Judgement, Losses, Picture, Style, Stylized};
use crate::output::folder;
use crate::output::row::{AnnotatedRow, BoxRow, GuardRow, MadeBy, Outcome, Row};
use crate::plan::Job;
use crate::{memory, units};
use image::metadata::Orientation;
use image::{RgbImage, imageops};
use std::ops::Range;

/// The most objects of one frame that are guarded and gone around: a damaged label may list any number.
const MOST_OBJECTS: usize = 3000;

/// Makes one picture after the other.
pub struct Worker<'a> {
    context: &'a JobContext<'a>,
    /// Kept from frame to frame, since most datasets have one size.
    allocated: Option<Allocated<'a>>,
}

/// The memory for pictures of one working size.
struct Allocated<'a> {
    /// Index into the context's stylizers.
    stylizer: usize,
    size: Size,
    evaluators: Evaluators<'a>,
}

impl FrameWorker for Worker<'_> {
    /// # Errors
    /// When the frame, its style or a map cannot be read, nothing can be made of it, memory is too short even for a
    /// smaller working size, or the output cannot be written.
    fn work(&mut self, job: &Job, row: &mut Row, on_evaluation: OnEvaluation) -> Result<bool> {
        let context = self.context;
        let frame = context.plan.frame(job);
        let ReadFrame { image, profile, orientation, label, picture, part } = self.read(frame, row)?;
        let Some(image) = self.make(job, image, &picture, part, &mut row.outcome, on_evaluation)? else {
            return Ok(false);
        };
        let quality = drawn_quality(context.quality, job.seed);
        let orientation = if context.facts.keeps_orientation { orientation } else { Orientation::NoTransforms };
        let metadata = Metadata { profile: profile.as_deref(), orientation };
        let image = decode::turned_back(image, orientation);
        let encoded = encode_image(&context.output.join(&job.output), &image, metadata, quality)?;
        let label = job.label_output.as_deref().zip(label.as_deref());
        row.outcome.made_files =
            Some(folder::write_files(context.output, &job.output, &encoded, label).map_err(Error::over_output)?);
        Ok(true)
    }

    fn reset(&mut self) {
        self.allocated = None;
    }

    fn clear(&self, job: &Job) -> Result<()> {
        folder::clear(self.context.output, &job.output)
    }
}

/// A frame in memory.
struct ReadFrame {
    image: RgbImage,
    profile: Option<Vec<u8>>,
    orientation: Orientation,
    /// `None` for a background frame.
    label: Option<Vec<u8>>,
    /// The part of the image that is stylized.
    picture: Picture,
    part: Crop,
}

impl<'a> Worker<'a> {
    pub fn new(context: &'a JobContext<'a>) -> Self {
        Self { context, allocated: None }
    }

    /// Reads a frame with its label and maps, and notes in `row` what is known of it then.
    fn read(&self, frame: &Frame, row: &mut Row) -> Result<ReadFrame> {
        let context = self.context;
        let sources = Sources::read(frame, context.stylizers.settings());
        row.identity.source_files = Some(match &sources {
            Ok(sources) => sources.fingerprint(frame),
            Err(_) => Fingerprint::of(&sources::paths(frame, context.stylizers.settings())),
        });
        let Sources { image, label, maps, .. } = sources?;
        let Decoded { image, profile, first_of_several, orientation } = decode::decode_bytes(&frame.path, &image)?;
        row.outcome.first_of_several = first_of_several;
        let annotated = frame.annotated.as_ref().map(|known| known.upright_label(image.dimensions(), orientation));
        let objects = label.as_deref().or(annotated.as_deref().map(str::as_bytes));
        let (picture, part) = self.picture(&image, &maps, objects, row)?;
        if annotated.is_some() {
            // Only labels can be malformed, and loaders read none of this frame.
            let outcome = &mut row.outcome;
            (outcome.malformed_labels, outcome.first_malformed_line, outcome.unnamed_classes) = (None, None, None);
        }
        row.outcome.annotated = annotated.map_or(Vec::new(), |label| annotated_rows(&label, &context.facts.schema));
        Ok(ReadFrame { image, profile, orientation, label, picture, part })
    }

    /// The part of a frame that is stylized, with its objects, and its place. Notes in `row` what is known then.
    ///
    /// # Errors
    /// See [`Stylizers::picture`](crate::batch::stylizers::Stylizers::picture).
    pub fn picture(
        &self,
        image: &RgbImage,
        maps: &Maps,
        label: Option<&[u8]>,
        row: &mut Row,
    ) -> Result<(Picture, Crop)> {
        let stylizers = self.context.stylizers;
        let (mut picture, part) = stylizers.picture(image, maps, |whole| stylizers.stylized_part(whole))?;
        let size = Size::of(image);
        (row.width, row.height) = (Some(image.width()), Some(image.height()));
        picture.objects = self.objects(label, &mut row.outcome, size, part);
        Ok((picture, part))
    }

    /// Stylizes `image`, whose part `part` is `picture`; `None` if `on_evaluation` ended it. Letterbox bars stay as they
    /// are.
    ///
    /// # Errors
    /// As for a frame, besides reading and writing it.
    pub fn make(
        &mut self,
        job: &Job,
        mut image: RgbImage,
        picture: &Picture,
        part: Crop,
        outcome: &mut Outcome,
        on_evaluation: OnEvaluation,
    ) -> Result<Option<RgbImage>> {
        let frame = self.context.plan.frame(job);
        let size = Size::of(&image);
        let Some(made) = self.stylize(frame, job, size, picture, outcome, on_evaluation)? else { return Ok(None) };
        record(&made, outcome);
        let made = made.pixels.to_rgb8();
        if made.dimensions() == image.dimensions() {
            return Ok(Some(made));
        }
        imageops::replace(&mut image, &made, part.left as i64, part.top as i64);
        Ok(Some(image))
    }

    /// Optimizes the frame of `job` for a student to learn from; `None` if `on_evaluation` ended it. Nothing is written.
    ///
    /// # Errors
    /// As for a frame that is stylized.
    pub fn lesson(&mut self, job: &Job, row: &mut Row, on_evaluation: OnEvaluation) -> Result<Option<Lesson>> {
        let context = self.context;
        let frame = context.plan.frame(job);
        let ReadFrame { image, picture, .. } = self.read(frame, row)?;
        let full = Size::of(&image);
        drop(image);
        let _memory = self.take_memory(full, picture.pixels.size());
        let stylizer = self.prepare(frame, full, picture.pixels.size())?;
        if stylizer > 0 {
            let what = "memory is too short to learn from it at its working size; try fewer --jobs";
            return Err(Error::bad_file(&frame.path, what));
        }
        let style = context.stylizers.style_of(stylizer, job, context.plan.styles)?;
        let seed = FrameSeed { seed: job.seed, place: context.plan.positions.at(job.frame).place };
        let Some(Allocated { evaluators, size, .. }) = &mut self.allocated else {
            unreachable!("memory is allocated before")
        };
        let asked = &context.stylizers.by_size()[stylizer];
        let of = schedule::evaluations(&asked.scales(*size));
        let step = |evaluation, loss: Loss| on_evaluation(Evaluation { evaluation, of, loss });
        match asked.lesson(evaluators, &picture, &style, seed, step) {
            Ok(lesson) => Ok(Some(lesson)),
            Err(StylizeError::Stopped) => Ok(None),
            Err(failure) => Err(error_of(&frame.path, &failure)),
        }
    }

    /// The stylized `picture`, which is the part of a frame of the size `full`, or `None` if `on_evaluation` ended it. Where
    /// memory is short, it is made at a smaller working size.
    fn stylize(
        &mut self,
        frame: &Frame,
        job: &Job,
        full: Size,
        picture: &Picture,
        outcome: &mut Outcome,
        on_evaluation: OnEvaluation,
    ) -> Result<Option<Stylized>> {
        let context = self.context;
        let seed = FrameSeed { seed: job.seed, place: context.plan.positions.at(job.frame).place };
        let part = picture.pixels.size();
        let _memory = self.take_memory(full, part);
        let first = self.prepare(frame, full, part)?;
        let (stylizer, made) = first_that_fits(first..context.stylizers.by_size().len(), |stylizer| {
            if self.allocated.as_ref().is_none_or(|allocated| allocated.stylizer != stylizer) {
                self.allocate(stylizer, context.stylizers.by_size()[stylizer].working_size(part));
            }
            let style = context.stylizers.style_of(stylizer, job, context.plan.styles)?;
            Ok(self.try_stylize(picture, &style, seed, outcome, on_evaluation))
        })?;
        outcome.reduced_size = (stylizer > 0).then_some(context.stylizers.by_size()[stylizer].settings().size as u32);
        made.map_err(|failure| error_of(&frame.path, &failure))
    }

    /// Waits until frames in progress leave enough memory for one of the size `full` whose part of the size `part` is
    /// stylized, and takes it until the result is dropped.
    fn take_memory(&self, full: Size, part: Size) -> impl Drop + use<'a> {
        let context = self.context;
        let stylizer = &context.stylizers.by_size()[0];
        context.memory.take(capacity::bytes_per_frame(full, &stylizer.scales(stylizer.working_size(part))))
    }

    /// Allocates memory for a frame of the size `full` whose part of the size `part` is stylized. Returns the index of
    /// the first stylizer for which memory suffices.
    fn prepare(&mut self, frame: &Frame, full: Size, part: Size) -> Result<usize> {
        let stylizers = self.context.stylizers.by_size();
        let sizes: Vec<Size> = stylizers.iter().map(|stylizer| stylizer.working_size(part)).collect();
        // A smaller working size was for a frame that found less memory.
        if let Some(Allocated { stylizer: 0, size, .. }) = &self.allocated
            && sizes[0] == *size
            && capacity::bytes_per_frame(full, &[]) <= memory::free()
        {
            return Ok(0);
        }
        // The old memory is free for the new one.
        self.allocated = None;
        let free = memory::free();
        let needs = |index: &usize| capacity::bytes_per_frame(full, &stylizers[*index].scales(sizes[*index]));
        let Some(stylizer) = (0..sizes.len()).find(|index| needs(index) <= free) else {
            let (least, free) = (units::gigabytes(needs(&(sizes.len() - 1))), units::gigabytes(free));
            let message = format!(
                "at {}x{} it takes about {least} of memory and {free} are free; try fewer --jobs, or scale it down",
                full.width, full.height
            );
            return Err(Error::bad_file(&frame.path, message));
        };
        self.allocate(stylizer, sizes[stylizer]);
        Ok(stylizer)
    }

    /// Allocates memory for pictures that the stylizer of this index works on at `size`, after the old memory is freed.
    fn allocate(&mut self, stylizer: usize, size: Size) {
        self.allocated = None;
        let evaluators = self.context.stylizers.by_size()[stylizer].evaluators(size);
        self.allocated = Some(Allocated { stylizer, size, evaluators });
    }

    /// The stylized picture in the allocated memory, or `None` if `on_evaluation` ended it. Where the losses are not finite,
    /// Adam tries once more from the frame itself.
    fn try_stylize(
        &mut self,
        picture: &Picture,
        style: &Style,
        seed: FrameSeed,
        outcome: &mut Outcome,
        on_evaluation: OnEvaluation,
    ) -> Result<Option<Stylized>, StylizeError> {
        let Some(Allocated { stylizer, size, evaluators }) = &mut self.allocated else {
            unreachable!("memory is allocated before")
        };
        let asked = &self.context.stylizers.by_size()[*stylizer];
        let of = schedule::evaluations(&asked.scales(*size));
        let safe = Settings { init: Init::Content, optimizer: Optimizer::Adam, ..asked.settings().clone() };
        // Without evaluations, the frame itself would be left. A student has learned from other starts.
        let helps = safe.steps > 0 && safe != *asked.settings();
        let safe = helps.then(|| asked.with(safe).with_student(None));
        outcome.restarted = false;
        for stylizer in std::iter::once(asked).chain(&safe) {
            outcome.losses.clear();
            let step = |evaluation, loss: Loss| {
                outcome.losses.push(five_digits(loss.total));
                on_evaluation(Evaluation { evaluation, of, loss })
            };
            match stylizer.stylize(evaluators, picture, style, seed, step) {
                Ok(made) => {
                    let is_passed_on = outcome.restarted && asked.has_student();
                    outcome.made_by = is_passed_on.then_some(MadeBy::Optimizer);
                    return Ok(Some(made));
                }
                Err(StylizeError::Stopped) => return Ok(None),
                // Other settings would not help against a device's error.
                Err(failure @ (StylizeError::Device(_) | StylizeError::Memory(_) | StylizeError::Lost(_))) => {
                    return Err(failure);
                }
                Err(failure) if outcome.restarted || safe.is_none() => return Err(failure),
                Err(_) => outcome.restarted = true,
            }
        }
        unreachable!("the second failure ends it")
    }

    /// The labelled objects, their sides as shares of the stylized part; none where nothing asks for them. The outcome
    /// has what is doubtful in the label.
    fn objects(&self, label: Option<&[u8]>, outcome: &mut Outcome, whole: Size, part: Crop) -> Vec<SceneObject> {
        let settings = self.context.stylizers.settings();
        let Some(label) = label else { return Vec::new() };
        let schema = &self.context.facts.schema;
        let labels = Labels::from_bytes(label, schema.keypoints);
        // The name of a class in place of its id is malformed already.
        let is_unnamed = |one: &&Labelled| class_number(&one.class).is_some() && !schema.has(&one.class);
        let unnamed = labels.boxes.iter().filter(is_unnamed).count();
        let counted = |count: usize| (count > 0).then_some(count as u32);
        (outcome.malformed_labels, outcome.unnamed_classes) = (counted(labels.malformed), counted(unnamed));
        outcome.first_malformed_line = labels.first_malformed.map(|line| line as u32);
        if !settings.reads_surfaces() {
            return Vec::new();
        }
        let x = |v: f64| ((v * whole.width as f64 - part.left as f64) / part.width as f64).clamp(0.0, 1.0);
        let y = |v: f64| ((v * whole.height as f64 - part.top as f64) / part.height as f64).clamp(0.0, 1.0);
        let objects = labels.boxes.iter().map(|Labelled { class, area, outline }| {
            let area = Area { left: x(area.left), top: y(area.top), right: x(area.right), bottom: y(area.bottom) };
            let outline = outline.iter().map(|&[across, down]| [x(across), y(down)]).collect();
            SceneObject { area, kind: schema.kind(class), outline }
        });
        let mut objects: Vec<SceneObject> =
            objects.filter(|SceneObject { area, .. }| area.left < area.right && area.top < area.bottom).collect();
        let left_out = objects.len().saturating_sub(MOST_OBJECTS);
        outcome.objects_left_out = (left_out > 0).then_some(left_out as u32);
        objects.truncate(MOST_OBJECTS);
        objects
    }
}

fn annotated_rows(label: &str, schema: &Schema) -> Vec<AnnotatedRow> {
    let row = |Labelled { class, area, .. }: Labelled| AnnotatedRow {
        class: schema.name(&class).to_string(),
        area: [area.left, area.top, area.right, area.bottom].map(rounded),
    };
    Labels::parse(label, None).boxes.into_iter().map(row).collect()
}

/// In four digits, which are enough for rows.
fn rounded(v: f64) -> f64 {
    (v * 1e4).round() / 1e4
}

/// The quality of one JPEG. Its generator is its own, so that a range changes no pixel before compression.
fn drawn_quality(quality: settings::Range, seed: u64) -> u8 {
    const STREAM: u64 = 0x9e37_79b9_7f4a_7c15;
    quality.at(Random::new(seed ^ STREAM).uniform()).round() as u8
}

/// The first of the stylizers `indices` whose pictures fit into the device's memory, or the last, and what `run`
/// returns for it.
fn first_that_fits<T>(
    indices: Range<usize>,
    mut run: impl FnMut(usize) -> Result<Result<T, StylizeError>>,
) -> Result<(usize, Result<T, StylizeError>)> {
    let last = indices.end.saturating_sub(1);
    for index in indices {
        match run(index)? {
            Err(StylizeError::Memory(_)) if index < last => {}
            made => return Ok((index, made)),
        }
    }
    unreachable!("what the last one returns is taken as it is")
}

/// Rounded as rows hold it.
fn five_digits(value: f64) -> Option<f64> {
    format!("{value:.4e}").parse().ok().filter(|value: &f64| value.is_finite())
}

/// Notes what is known of a finished picture.
fn record(made: &Stylized, outcome: &mut Outcome) {
    outcome.evals = Some(made.evals as u32);
    if let Some(Losses { first, last }) = made.losses {
        (outcome.first_content_loss, outcome.first_style_loss) = (Some(first.content), Some(first.style));
        (outcome.content_loss, outcome.style_loss) = (Some(last.content), Some(last.style));
    }
    outcome.strength = Some(made.strength);
    outcome.scene = made.scene;
    if let Some(Judgement { disagreement, is_trusted }) = made.student {
        outcome.made_by = Some(if is_trusted { MadeBy::Student } else { MadeBy::Optimizer });
        outcome.disagreement = Some(rounded(disagreement.into()));
    }
    let Some(report) = &made.guard else { return };
    let boxes = report.boxes.iter().map(|one| BoxRow {
        edges: rounded(one.edges),
        contrast: rounded(one.contrast),
        eased: match one.easing {
            Easing::None => None,
            Easing::Plain(share) => Some(format!("start {share}")),
            Easing::Content(share) => Some(format!("original {share}")),
        },
    });
    outcome.boxes = Some(boxes.collect());
    outcome.box_edges_min = report.edges_min().map(rounded);
    outcome.guard = Some(GuardRow {
        start: report.eased_to_plain() as u32,
        original: report.eased_to_content() as u32,
        air: report.thinner_air as u32,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quality_is_drawn_from_its_range_by_the_seed() {
        let range = settings::Range { low: 60.0, high: 95.0 };
        let drawn: Vec<u8> = (0..200).map(|seed| drawn_quality(range, seed)).collect();
        assert!(drawn.iter().all(|quality| (60..=95).contains(quality)));
        assert!(drawn.contains(&61) && drawn.contains(&94), "{drawn:?}");
        assert_eq!(drawn_quality(range, 7), drawn[7]);
        assert_eq!(drawn_quality(95.0.into(), 7), 95);
    }

    #[test]
    fn a_picture_that_the_device_cannot_hold_is_made_smaller_and_fails_if_no_size_fits() {
        let mut tried = Vec::new();
        let mut fits_from = |least: usize, indices: Range<usize>| {
            tried.clear();
            let made = first_that_fits(indices, |index| {
                tried.push(index);
                Ok(if index < least {
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
