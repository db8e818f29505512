//! What effects read.

use crate::nst::effects::amounts::Effects;
use crate::nst::picture::pixels::Pixels;
use crate::nst::scene::object::SceneObject;
use crate::nst::scene::surface::Surface;

/// What is known of a frame and of the effects on it.
#[derive(Clone, Copy)]
pub struct EffectInput<'a> {
    pub surface: &'a Surface,
    /// The labelled objects.
    pub objects: &'a [SceneObject],
    pub amounts: &'a Effects<f32>,
    /// The seed of all that is drawn by chance.
    pub seed: u64,
}

/// A frame before it is stylized.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    /// As the camera took it. Lamps and windows are looked for in it.
    pub taken: &'a Pixels,
    /// With the effects on its surfaces, which return the light of lamps.
    pub laid: &'a Pixels,
}
