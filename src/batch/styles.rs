//! The styles of a batch, measured once and kept.

use crate::batch::remedy;
use crate::dataset::masks;
use crate::error::{Error, Result};
use crate::imageio::decode;
use crate::nst::layers::Padding;
use crate::nst::picture::letterbox;
use crate::nst::{Crop, Picture, Pixels, Settings, StylizeError, Stylizer, stylizer};
use crate::plan::{Job, Plan};
use image::RgbImage;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The working size in pixels below which memory does not press it: what is left of a style then is its colours.
const LEAST_SIZE: usize = 96;

/// Memory for the measurements of styles. A batch with more of them than fit measures some again.
const STYLE_BYTES: usize = 1 << 30;

/// What all workers of a batch share.
pub struct JobContext<'a> {
    pub(crate) plan: &'a Plan<'a>,
    /// As asked, then at half the working size and so on, for frames that memory is too short for.
    pub(crate) engines: Vec<Stylizer>,
    pub(crate) output: &'a Path,
    pub(crate) quality: u8,
    /// Numbers that a pose's keypoints take on a line of labels.
    pub(crate) keypoints: Option<usize>,
    /// By engine and index in the plan, measured when a frame asks.
    styles: Vec<Mutex<Option<Arc<stylizer::Style>>>>,
    /// Those of them that are kept, the one that was asked for last at the end.
    kept: Mutex<VecDeque<usize>>,
}

impl<'a> JobContext<'a> {
    pub fn new(
        plan: &'a Plan<'a>,
        stylizer: Stylizer,
        output: &'a Path,
        quality: u8,
        keypoints: Option<usize>,
    ) -> Self {
        let halves = std::iter::successors(Some(stylizer.settings().size / 2), |size| Some(size / 2));
        let smaller: Vec<Stylizer> = halves
            .take_while(|&size| size >= LEAST_SIZE)
            .map(|size| stylizer.with(Settings { size, ..stylizer.settings().clone() }))
            .collect();
        let engines: Vec<Stylizer> = std::iter::once(stylizer).chain(smaller).collect();
        let styles = (0..plan.styles.len() * engines.len()).map(|_| Mutex::new(None)).collect();
        Self { plan, engines, output, quality, keypoints, styles, kept: Mutex::default() }
    }

    /// What all engines are set to, but for the size.
    pub(crate) fn settings(&self) -> &Settings {
        self.engines[0].settings()
    }

    /// The style of this index in the plan as `engine` sees it.
    fn style(&self, engine: usize, index: usize) -> Result<Arc<stylizer::Style>> {
        let at = engine * self.plan.styles.len() + index;
        // A poisoned lock only says that another frame's measurement panicked: the place is still empty.
        let mut place = self.styles[at].lock().unwrap_or_else(PoisonError::into_inner);
        let style = match &*place {
            Some(style) => style.clone(),
            None => {
                let path = &self.plan.styles[index].path;
                let (picture, _, _) = self.picture(path, decode::decode(path)?.image, letterbox::find)?;
                let style = self.engines[engine].style(&picture);
                let style = style.map_err(|failure| refused(path, &failure))?;
                place.insert(Arc::new(style)).clone()
            }
        };
        drop(place);
        self.keep(at, style.bytes());
        Ok(style)
    }

    /// Notes that the style at `at` was asked for, and forgets the one that was not for longest if there are too many.
    fn keep(&self, at: usize, bytes: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|&other| other != at);
        kept.push_back(at);
        if kept.len() > (STYLE_BYTES / bytes.max(1)).max(1)
            && let Some(oldest) = kept.pop_front()
        {
            *self.styles[oldest].lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The style of `job`, blended if there are several.
    pub(crate) fn style_of(&self, engine: usize, job: &Job) -> Result<Arc<stylizer::Style>> {
        let styles = job.styles.iter().map(|part| self.style(engine, part.style)).collect::<Result<Vec<_>>>()?;
        if let [style] = &styles[..] {
            return Ok(style.clone());
        }
        let parts: Vec<_> = styles.iter().zip(&job.styles).map(|(style, part)| (&**style, part.share)).collect();
        Ok(Arc::new(stylizer::Style::blend(&parts)))
    }

    /// The part of a frame that is stylized: what tiles does so with all that is in it.
    pub(crate) fn inner(&self, whole: &Pixels) -> Crop {
        match self.settings().padding {
            Padding::Wrap => Crop::whole(whole.size()),
            Padding::Zero | Padding::Replicate => letterbox::find(whole),
        }
    }

    /// The part of the picture at `path` that `inner` says with what lies beside it, and the whole.
    pub(crate) fn picture(
        &self,
        path: &Path,
        image: RgbImage,
        inner: impl FnOnce(&Pixels) -> Crop,
    ) -> Result<(Picture, Pixels, Crop)> {
        let whole = Pixels::from_rgb8(&image);
        let inner = inner(&whole);
        let read = |path: &PathBuf| Ok(masks::read(path, whole.size())?.map(|map| map.cropped(inner)));
        let paths = masks::Paths::of(path, self.settings());
        let masks = paths.masks.iter().map(read).collect::<Result<_>>()?;
        let depth = paths.depth.as_ref().map(read).transpose()?.flatten();
        Ok((Picture { pixels: whole.cropped(inner), boxes: Vec::new(), depth, masks }, whole, inner))
    }
}

/// A failure over the picture at `path`, or what will be said of every other too.
pub fn refused(path: &Path, failure: &StylizeError) -> Error {
    match failure {
        StylizeError::Lost(_) => Error::Fatal(format!("{}: {failure}", path.display())),
        _ => Error::bad_file(path, remedy::message(failure)),
    }
}
