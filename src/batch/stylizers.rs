//! The stylizers of one condition by working size, with the styles that they have measured.

use crate::batch::remedy;
use crate::batch::styles::StyleCache;
use crate::dataset::masks::{MapFile, Maps};
use crate::error::{Error, Result};
use crate::imageio::decode;
use crate::nst::failure::StylizeError;
use crate::nst::layers::Padding;
use crate::nst::picture::geometry::Crop;
use crate::nst::picture::letterbox;
use crate::nst::picture::pixels::Pixels;
use crate::nst::settings::Settings;
use crate::nst::stylizer::{Picture, Style, Stylizer};
use crate::plan::Job;
use crate::plan::styles::StylePicture;
use image::RgbImage;
use std::path::Path;
use std::sync::Arc;

/// The smallest working size, in pixels of the long side, that is tried when memory is short: at less, only the colours
/// of a style are left.
const LEAST_SIZE: usize = 96;

/// Memory for measured styles. A batch with more styles than fit measures some again.
const STYLE_BYTES: usize = 1 << 30;

/// What makes the pictures of one condition. It is kept from frame to frame, and all workers share it.
pub struct Stylizers {
    /// The config's stylizer, then the same without a student at half the working size and so on, for frames that memory
    /// is too short for.
    by_size: Vec<Stylizer>,
    /// By stylizer, then by style of the plan.
    styles: StyleCache<Style>,
}

impl Stylizers {
    /// With room for `styles` style pictures.
    pub fn new(stylizer: Stylizer, styles: usize) -> Self {
        let halves = std::iter::successors(Some(stylizer.settings().size / 2), |size| Some(size / 2));
        let smaller: Vec<Stylizer> = halves
            .take_while(|&size| size >= LEAST_SIZE)
            .map(|size| stylizer.with(Settings { size, ..stylizer.settings().clone() }).with_student(None))
            .collect();
        let by_size: Vec<Stylizer> = std::iter::once(stylizer).chain(smaller).collect();
        let styles = StyleCache::new(styles * by_size.len(), STYLE_BYTES);
        Self { by_size, styles }
    }

    /// The config's stylizer, then those for smaller working sizes.
    pub fn by_size(&self) -> &[Stylizer] {
        &self.by_size
    }

    /// The config's settings. Those of the other stylizers differ in the size alone.
    pub fn settings(&self) -> &Settings {
        self.by_size[0].settings()
    }

    /// The style of `job` as the stylizer of this index sees it; if the job has several, they are blended. `files` are
    /// the styles of the plan.
    ///
    /// # Errors
    /// When a style picture or its maps cannot be read, or the device refuses.
    pub fn style_of(&self, stylizer: usize, job: &Job, files: &[StylePicture]) -> Result<Arc<Style>> {
        let styles =
            job.styles.iter().map(|part| self.style(stylizer, part.style, files)).collect::<Result<Vec<_>>>()?;
        if let [style] = &styles[..] {
            return Ok(style.clone());
        }
        let parts: Vec<_> = styles.iter().zip(&job.styles).map(|(style, part)| (&**style, part.share)).collect();
        Ok(Arc::new(Style::blend(&parts)))
    }

    /// The plan's style of this index as the stylizer of this index sees it.
    fn style(&self, stylizer: usize, style: usize, files: &[StylePicture]) -> Result<Arc<Style>> {
        self.styles.get(stylizer * files.len() + style, Style::bytes, || {
            let path = &files[style].path;
            let maps = Maps::read(path, self.settings())?;
            let (picture, _) = self.picture(&decode::decode(path)?.image, &maps, letterbox::find)?;
            self.by_size[stylizer].style(&picture).map_err(|failure| error_of(path, &failure))
        })
    }

    /// The part of a frame that is stylized: all but letterbox bars. Where planes wrap, it is the whole frame, which
    /// tiles with its bars.
    pub fn stylized_part(&self, whole: &Pixels) -> Crop {
        match self.settings().padding {
            Padding::Wrap => Crop::whole(whole.size()),
            Padding::Zero | Padding::Replicate => letterbox::find(whole),
        }
    }

    /// The part of a picture that `part` chooses, with its masks and depth, and its place.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a mask or a depth that cannot be used.
    pub fn picture(
        &self,
        image: &RgbImage,
        maps: &Maps,
        part: impl FnOnce(&Pixels) -> Crop,
    ) -> Result<(Picture, Crop)> {
        let whole = Pixels::from_rgb8(image);
        let part = part(&whole);
        let mask = |map: &MapFile| Ok(map.decode(whole.size())?.map(|map| map.cropped(part)));
        let masks = maps.masks.iter().map(mask).collect::<Result<_>>()?;
        let depth = maps.depth.as_ref().map(|map| map.decode_depth(whole.size())).transpose()?.flatten();
        let depth = depth.map(|map| map.cropped(part));
        let pixels = if part == Crop::whole(whole.size()) { whole } else { whole.cropped(part) };
        Ok((Picture { pixels, objects: Vec::new(), depth, masks }, part))
    }
}

/// The error for the picture at `path`, or, if the device is lost, the one that ends the run.
pub fn error_of(path: &Path, failure: &StylizeError) -> Error {
    match failure {
        StylizeError::Lost(_) => Error::Fatal(format!("{}: {failure}", path.display())),
        _ => Error::bad_file(path, remedy::message(failure)),
    }
}
