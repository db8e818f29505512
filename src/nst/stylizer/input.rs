//! A picture on its way into the network: its size and its colours.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::object::SceneObject;
use crate::nst::settings::Settings;
use std::borrow::Cow;

/// A picture and what is known about it. The pixels have no letterbox bars; everything else is of the same part.
pub struct Picture {
    pub pixels: Pixels,
    /// Labelled objects, which the [`guard`](crate::nst::render::guard) keeps visible and
    /// [`effects`](crate::nst::effects) go around.
    pub objects: Vec<SceneObject>,
    /// Distances in any unit and of any size. Greater is farther, and 0 is infinitely far.
    pub depth: Option<Plane>,
    /// The masks that [`RegionKind::Masks`](crate::nst::settings::RegionKind::Masks) names, 0..1, of any size; `None` where a
    /// mask is missing.
    pub masks: Vec<Option<Plane>>,
}

impl From<Pixels> for Picture {
    fn from(pixels: Pixels) -> Self {
        Self { pixels, objects: Vec::new(), depth: None, masks: Vec::new() }
    }
}

/// `pixels` in the colours that go into the network: grey where colours are kept.
pub fn network_input<'p>(settings: &Settings, pixels: &'p Pixels) -> Cow<'p, Pixels> {
    if settings.keep_colours { Cow::Owned(luma::grey(pixels)) } else { Cow::Borrowed(pixels) }
}

/// `pixels`, or a difference of two pictures, at another size, around the border where planes wrap.
pub fn resampled(settings: &Settings, pixels: &Pixels, size: Size) -> Pixels {
    pixels.resampled(size, settings.padding.wraps())
}

/// A picture at another size, around the border where planes wrap; cut to 0..1.
pub fn resized(settings: &Settings, pixels: &Pixels, size: Size) -> Pixels {
    let mut resized = resampled(settings, pixels, size);
    resized.cut();
    resized
}
