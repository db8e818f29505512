//! One frame: decode, stylize, write. Several workers do this at once; they share the styles.

use crate::dataset::Frame;
use crate::decode;
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::manifest::{BoxRow, GuardRow, Row};
use crate::maps;
use crate::nst::bars::{self, Inner};
use crate::nst::conv::Size;
use crate::nst::guard::{Area, Easing, Report};
use crate::nst::loss::Loss;
use crate::nst::pixels::Pixels;
use crate::nst::settings::{Init, Padding, RegionKind};
use crate::nst::{self, Picture, Stylizer, Workbench, schedule};
use crate::output;
use crate::plan::{Job, Plan};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects of one frame that are guarded: no picture shows more, and a damaged label may list any number.
const MOST_BOXES: usize = 1000;

/// What all workers of a batch share.
pub struct Workshop<'a> {
    plan: &'a Plan<'a>,
    stylizer: &'a Stylizer,
    output: &'a Path,
    quality: u8,
    /// Numbers that a pose's keypoints take on a line of labels.
    keypoints: Option<usize>,
    /// By index in the plan, measured when the first frame asks.
    styles: Vec<Mutex<Option<Arc<nst::Style>>>>,
}

impl<'a> Workshop<'a> {
    pub fn new(
        plan: &'a Plan<'a>,
        stylizer: &'a Stylizer,
        output: &'a Path,
        quality: u8,
        keypoints: Option<usize>,
    ) -> Self {
        let styles = (0..plan.styles.len()).map(|_| Mutex::new(None)).collect();
        Self { plan, stylizer, output, quality, keypoints, styles }
    }

    fn style(&self, index: usize) -> Result<Arc<nst::Style>> {
        // A poisoned lock only says that another frame's measurement panicked: the place is still empty.
        let mut place = self.styles[index].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(style) = &*place {
            return Ok(style.clone());
        }
        let path = &self.plan.styles[index].path;
        let (picture, _, _) = self.picture(path, bars::inner)?;
        Ok(place.insert(Arc::new(self.stylizer.style(&picture))).clone())
    }

    /// The style of `job`, blended if there are several.
    fn style_of(&self, job: &Job) -> Result<Arc<nst::Style>> {
        let styles = job.styles.iter().map(|part| self.style(part.style)).collect::<Result<Vec<_>>>()?;
        if let [style] = &styles[..] {
            return Ok(style.clone());
        }
        let parts: Vec<_> = styles.iter().zip(&job.styles).map(|(style, part)| (&**style, part.share)).collect();
        Ok(Arc::new(nst::Style::blend(&parts)))
    }

    /// The part of a frame that is stylized: what tiles does so with all that is in it.
    fn inner(&self, whole: &Pixels) -> Inner {
        match self.stylizer.settings().padding {
            Padding::Wrap => Inner::whole(whole.size()),
            Padding::Zero | Padding::Replicate => bars::inner(whole),
        }
    }

    /// The part of a picture that `inner` says with what lies beside it, and the whole.
    fn picture(&self, path: &Path, inner: impl FnOnce(&Pixels) -> Inner) -> Result<(Picture, Pixels, Inner)> {
        let whole = Pixels::from_rgb8(&decode::decode(path)?);
        let inner = inner(&whole);
        let settings = self.stylizer.settings();
        let read = |path: &Path| Ok(maps::read(path, whole.size())?.map(|map| map.cropped(inner)));
        let masks = match &settings.regions {
            RegionKind::Masks(names) => {
                names.iter().map(|name| read(&maps::mask_path(path, name))).collect::<Result<_>>()?
            }
            _ => Vec::new(),
        };
        let depth = if settings.init == Init::Weather { read(&maps::depth_path(path))? } else { None };
        Ok((Picture { pixels: whole.cropped(inner), boxes: Vec::new(), depth, masks }, whole, inner))
    }
}

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
    shop: &'a Workshop<'a>,
    /// For the size of the last frame; datasets mostly have one.
    bench: Option<(Size, Workbench<'a>)>,
}

impl<'a> Worker<'a> {
    pub fn new(shop: &'a Workshop<'a>) -> Self {
        Self { shop, bench: None }
    }

    /// Forgets what a panic may have left half done.
    pub fn reset(&mut self) {
        self.bench = None;
    }

    /// Makes the picture of `job` and its label, and writes into `row` what came to be known on the way.
    ///
    /// # Errors
    /// When the frame, its style or a map cannot be read, nothing can be made of it, or the output not be written.
    pub fn work(&mut self, job: &Job, row: &mut Row, mut on_step: impl FnMut(Step)) -> Result<()> {
        let Workshop { plan, stylizer, .. } = *self.shop;
        let frame = plan.frame(job);
        let (mut picture, mut whole, inner) = self.shop.picture(&frame.path, |whole| self.shop.inner(whole))?;
        (row.width, row.height) = (Some(whole.size().width as u32), Some(whole.size().height as u32));
        picture.boxes = self.boxes(frame, row, whole.size(), inner);
        let style = self.shop.style_of(job)?;
        let size = stylizer.working_size(picture.pixels.size());
        if self.bench.as_ref().is_none_or(|(other, _)| *other != size) {
            // The old room goes before the new one comes.
            self.bench = None;
        }
        let (_, bench) = self.bench.get_or_insert_with(|| (size, stylizer.workbench(size)));
        let of = schedule::evaluations(&stylizer.scales(size));
        let made = stylizer
            .stylize(bench, &picture, &style, job.seed, |evaluation, loss| on_step(Step { evaluation, of, loss }))
            .map_err(|failure| Error::bad_file(&frame.path, failure.to_string()))?;
        row.evals = Some(made.evals as u32);
        (row.first_content_loss, row.first_style_loss) = (Some(made.first.content), Some(made.first.style));
        (row.content_loss, row.style_loss) = (Some(made.last.content), Some(made.last.style));
        row.strength = Some(made.strength);
        if let Some(report) = &made.guard {
            record(report, row);
        }
        whole.paste(&made.pixels, inner);
        self.write(frame, job, &whole)
    }

    /// The labelled objects as shares of the inner picture; none where the guard is off.
    fn boxes(&self, frame: &Frame, row: &mut Row, whole: Size, inner: Inner) -> Vec<Area> {
        let Some(path) = frame.label.as_ref().filter(|_| self.shop.stylizer.settings().guard) else {
            return Vec::new();
        };
        // A label that cannot be read fails where it is copied, with its own message.
        let Ok(labels) = Labels::read(path, self.shop.keypoints) else { return Vec::new() };
        row.malformed_labels = (labels.malformed > 0).then_some(labels.malformed as u32);
        let x = |v: f64| ((v * whole.width as f64 - inner.left as f64) / inner.width as f64).clamp(0.0, 1.0);
        let y = |v: f64| ((v * whole.height as f64 - inner.top as f64) / inner.height as f64).clamp(0.0, 1.0);
        let boxes = labels.boxes.iter().map(|area| Area {
            left: x(area.left),
            top: y(area.top),
            right: x(area.right),
            bottom: y(area.bottom),
        });
        boxes.filter(|area| area.left < area.right && area.top < area.bottom).take(MOST_BOXES).collect()
    }

    fn write(&self, frame: &Frame, job: &Job, pixels: &Pixels) -> Result<()> {
        let folder = self.shop.output;
        if let (Some(label), Some(to)) = (&frame.label, &job.label_output) {
            output::copy_label(label, &folder.join(to))?;
        }
        output::write_image(&folder.join(&job.output), &pixels.to_rgb8(), self.shop.quality)
    }
}

fn record(report: &Report, row: &mut Row) {
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
