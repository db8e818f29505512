//! A picture on its way into the network: its size, its colours and its scene.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::Scene;
use crate::nst::scene::object::SceneObject;
use crate::nst::settings::{Init, RegionKind, Settings};
use std::borrow::Cow;

/// A picture and what is known about it. The pixels have no letterbox bars; everything else is of the same part.
pub struct Picture {
    pub pixels: Pixels,
    /// Labelled objects, which the [`guard`](crate::nst::render::guard) keeps visible and
    /// [`effects`](crate::nst::effects) go around.
    pub objects: Vec<SceneObject>,
    /// Distances in any unit and of any size; see [`Scene::of`].
    pub depth: Option<Plane>,
    /// The masks that [`RegionKind::Masks`] names, 0..1, of any size; `None` where a mask is missing.
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

/// `pixels` at another size, around the border where planes wrap.
pub fn resized(settings: &Settings, pixels: &Pixels, size: Size) -> Pixels {
    if settings.padding.wraps() { pixels.resized_around(size) } else { pixels.resized(size) }
}

/// The scene of `picture`, whose pixels at the working size are `small`; an unknown one if the settings do not need it.
pub fn scene(settings: &Settings, small: &Pixels, picture: &Picture) -> Scene {
    if settings.init == Init::Weather || settings.regions == RegionKind::Scene {
        Scene::of(small, picture.depth.as_ref())
    } else {
        Scene::unknown(small.size())
    }
}
