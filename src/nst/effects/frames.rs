//! The frame that effects read.

use crate::nst::picture::pixels::Pixels;

/// A frame before it is stylized.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    /// As the camera took it. Lamps and windows are looked for in it.
    pub taken: &'a Pixels,
    /// With the effects on its surfaces, which return the light of lamps.
    pub laid: &'a Pixels,
}
