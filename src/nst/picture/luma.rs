//! Luma and chroma.

use crate::nst::picture::pixels::Pixels;

/// Rec. 601's weights of red, green and blue, as in YIQ and YCbCr.
const WEIGHTS: [f32; 3] = [0.299, 0.587, 0.114];

/// The luma of one pixel, in the units of its RGB.
#[inline(always)]
pub fn luma(rgb: &[f32]) -> f32 {
    rgb.iter().zip(WEIGHTS).map(|(v, weight)| v * weight).sum()
}

/// `pixels` with their luma in all three colours.
pub fn grey(pixels: &Pixels) -> Pixels {
    let mut out = pixels.clone();
    for rgb in out.data_mut().chunks_exact_mut(3) {
        rgb.fill(luma(rgb));
    }
    out
}

/// Gives `pixels` the chroma of `other` and leaves them their own luma (Gatys et al. 2016, 'Preserving color in neural
/// artistic style transfer', section 4.2). Chroma is the difference of each colour from the luma.
///
/// # Panics
/// When the pictures differ in size.
pub fn take_chroma(pixels: &mut Pixels, other: &Pixels) {
    assert_eq!(pixels.size(), other.size(), "luma and chroma are of one picture");
    for (rgb, other) in pixels.data_mut().chunks_exact_mut(3).zip(other.data().chunks_exact(3)) {
        // The weights of luma sum to 1, so the same step for all three colours moves the luma by this step.
        let step = luma(rgb) - luma(other);
        for (v, other) in rgb.iter_mut().zip(other) {
            *v = other + step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::colourful;

    #[test]
    fn a_picture_takes_the_chroma_of_another_and_keeps_its_own_luma() {
        for (own, other) in [(colourful(2, 0.1), colourful(1, 0.0)), (colourful(1, 0.0), colourful(7, 0.2))] {
            let mut mixed = own.clone();
            take_chroma(&mut mixed, &other);
            let rgb = |pixels: &Pixels| pixels.data().chunks_exact(3).map(<[f32]>::to_vec).collect::<Vec<_>>();
            for ((mixed, own), other) in rgb(&mixed).iter().zip(&rgb(&own)).zip(&rgb(&other)) {
                assert!((luma(mixed) - luma(own)).abs() < 1e-6);
                assert!((mixed[2] - luma(mixed) - (other[2] - luma(other))).abs() < 1e-6, "Cb");
                assert!((mixed[0] - luma(mixed) - (other[0] - luma(other))).abs() < 1e-6, "Cr");
            }
        }
    }

    #[test]
    fn a_grey_picture_has_one_value_in_all_colours() {
        let grey = grey(&colourful(2, 0.1));
        assert!(grey.data().chunks_exact(3).all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2]));
    }
}
