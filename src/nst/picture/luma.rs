//! Luma, and grey pictures.

use crate::nst::picture::pixels::Pixels;

/// Rec. 601's weights of red, green and blue, as in YIQ and YCbCr.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Of one pixel.
pub fn luma(rgb: &[f32]) -> f32 {
    rgb.iter().zip(LUMA).map(|(v, weight)| v * weight).sum()
}

/// `pixels` with their luma in all three colours.
pub fn grey(pixels: &Pixels) -> Pixels {
    let mut out = pixels.clone();
    for rgb in out.data_mut().chunks_exact_mut(3) {
        rgb.fill(luma(rgb));
    }
    out
}

/// Gives `pixels` the chroma of `other`, the differences of its colours from its luma, and leaves them their own luma
/// (Gatys et al. 2016, 'Preserving color in neural artistic style transfer', section 4.2); two pictures of one size.
pub fn take_chroma(pixels: &mut Pixels, other: &Pixels) {
    assert_eq!(pixels.size(), other.size(), "luma and chroma are of one picture");
    for (rgb, other) in pixels.data_mut().chunks_exact_mut(3).zip(other.data().chunks_exact(3)) {
        // All three colours hold the luma with the factor 1, so another luma is the same step for each.
        let step = luma(rgb) - luma(other);
        for (v, other) in rgb.iter_mut().zip(other) {
            *v = other + step;
        }
    }
}
