//! Brings what was optimized at the working size to the size of the frame.

use crate::nst::backend::Network;
use crate::nst::failure::StylizeError;
use crate::nst::picture::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::settings::{Chroma, Render, Settings};
use crate::nst::stylizer::coarse_to_fine::{Losses, Optimized};
use crate::nst::stylizer::input::{network_input, resampled, resized};

/// A picture in the style, at full size, before strength, guard and camera.
pub struct Rendered {
    pub pixels: Pixels,
    pub plain: PlainStart,
    pub evals: usize,
    pub losses: Option<Losses>,
}

/// The picture towards which the guard blends objects first.
pub enum PlainStart {
    /// The result itself: nothing was added to the start.
    Result,
    /// The start at full size.
    Full(Pixels),
    /// The start at the working size, which is still to be rendered.
    Working(Pixels),
}

/// Renders pictures of one frame.
pub struct Renderer<'a> {
    pub settings: &'a Settings,
    pub network: Option<&'a Network>,
    /// The frame at its full size.
    pub frame: &'a Pixels,
    /// The network's input from the frame, at the working size.
    pub small: &'a Pixels,
}

impl Renderer<'_> {
    /// The optimized picture with the share `residual` of its texture, which falls on none of the objects whose `shapes`
    /// are known.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn rendered(
        &self,
        optimized: Optimized,
        shapes: Option<&Plane>,
        residual: f32,
    ) -> Result<Rendered, StylizeError> {
        let Optimized { start, pixels: mut optimized, evals, losses } = optimized;
        optimized.cut();
        let (mut pixels, plain) = self.in_chroma(start, &optimized)?;
        if residual > 0.0 && self.settings.render == Render::Photoreal {
            self.add_residual(&mut pixels, &optimized, shapes, residual)?;
        }
        Ok(Rendered { pixels, plain, evals, losses: Some(losses) })
    }

    /// The optimized picture with the chroma that the settings ask for, its own or the start's, and the start.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn in_chroma(&self, start: Pixels, optimized: &Pixels) -> Result<(Pixels, PlainStart), StylizeError> {
        let mut pixels = self.render(optimized)?;
        if (self.settings.render, self.settings.chroma) != (Render::Photoreal, Chroma::Start) {
            return Ok((pixels, PlainStart::Working(start)));
        }
        let start = self.render(&start)?;
        luma::take_chroma(&mut pixels, &start);
        Ok((pixels, PlainStart::Full(start)))
    }

    /// The start at full size, if it is another picture than the result.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn plain(&self, start: PlainStart) -> Result<Option<Pixels>, StylizeError> {
        Ok(match start {
            PlainStart::Result => None,
            PlainStart::Full(start) => Some(start),
            PlainStart::Working(start) => Some(self.render(&start)?),
        })
    }

    /// A picture of the working size at the size of the frame, with the frame's chroma where colours are kept.
    ///
    /// # Errors
    /// When the device refuses.
    fn render(&self, picture: &Pixels) -> Result<Pixels, StylizeError> {
        let out = match self.settings.render {
            Render::Photoreal => self.photoreal(picture, network_input(self.settings, self.frame).into_owned())?,
            Render::Pixels => resized(self.settings, picture, self.frame.size()),
        };
        Ok(self.coloured(out))
    }

    /// `pixels` with the chroma of the frame where colours are kept.
    pub fn coloured(&self, mut pixels: Pixels) -> Pixels {
        if self.settings.keep_colours {
            luma::take_chroma(&mut pixels, self.frame);
        }
        pixels
    }

    /// Adds `share` of what the maps of the render leave out of the optimized picture: its texture.
    ///
    /// # Errors
    /// When the device refuses.
    fn add_residual(
        &self,
        pixels: &mut Pixels,
        optimized: &Pixels,
        shapes: Option<&Plane>,
        share: f32,
    ) -> Result<(), StylizeError> {
        let mut residual = self.photoreal(optimized, self.small.clone())?;
        residual.data_mut().iter_mut().zip(optimized.data()).for_each(|(v, optimized)| *v = optimized - *v);
        if self.settings.chroma == Chroma::Start || self.settings.keep_colours {
            residual = luma::grey(&residual);
        }
        let residual = resampled(self.settings, &residual, pixels.size());
        let texture = residual.data().chunks_exact(3);
        for (n, (rgb, texture)) in pixels.data_mut().chunks_exact_mut(3).zip(texture).enumerate() {
            let share = share * shapes.map_or(1.0, |shapes| 1.0 - shapes.data()[n]);
            rgb.iter_mut().zip(texture).for_each(|(v, texture)| *v += share * texture);
        }
        Ok(())
    }

    /// Applies the maps that take the small frame to `picture` to `original`.
    ///
    /// # Errors
    /// When the device refuses.
    fn photoreal(&self, picture: &Pixels, original: Pixels) -> Result<Pixels, StylizeError> {
        let Some(network) = self.network else { unreachable!("what was optimized has a network") };
        network.photoreal(self.small, picture, original, self.settings.padding)
    }
}
