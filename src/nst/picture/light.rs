//! Linear light: sRGB's encoding and its inverse, and luminance.
//!
//! A power takes as long as all other work on a pixel, so both curves are read from tables.

use std::sync::LazyLock;

/// Straight pieces of a curve. The largest error is 1e-5, a 400th of a step of 8 bits.
const PIECES: usize = 2048;

/// The values of a curve at the ends of its pieces.
type Curve = LazyLock<[f32; PIECES + 1]>;

static LINEAR: Curve = LazyLock::new(|| std::array::from_fn(|n| exactly_linear(n as f32 / PIECES as f32)));

/// Over the square root of light, where the curve is smooth.
static ENCODED: Curve = LazyLock::new(|| std::array::from_fn(|n| exactly_encoded((n as f32 / PIECES as f32).powi(2))));

/// From sRGB's encoding to linear light (IEC 61966-2-1), both 0..1.
#[inline]
pub fn linear(v: f32) -> f32 {
    if (0.0..=1.0).contains(&v) { at(&LINEAR, v) } else { exactly_linear(v) }
}

/// From linear light to sRGB's encoding, both 0..1.
#[inline]
pub fn encoded(v: f32) -> f32 {
    if (0.0..=1.0).contains(&v) { at(&ENCODED, v.sqrt()) } else { exactly_encoded(v) }
}

#[inline]
fn at(curve: &[f32; PIECES + 1], place: f32) -> f32 {
    let place = place * PIECES as f32;
    let piece = (place as usize).min(PIECES - 1);
    curve[piece] + (place - piece as f32) * (curve[piece + 1] - curve[piece])
}

fn exactly_linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn exactly_encoded(v: f32) -> f32 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// The luminance of linear RGB, with the weights of Rec. 709.
#[inline]
pub fn luminance(rgb: [f32; 3]) -> f32 {
    0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_light_is_the_inverse_of_the_encoding() {
        assert!((0..=1000).map(|n| n as f32 / 1000.0).all(|v| (encoded(linear(v)) - v).abs() < 1e-5));
        assert!((linear(0.5) - 0.21404).abs() < 1e-4);
    }

    #[test]
    fn the_tables_follow_their_curves() {
        for n in 0..=100_000 {
            let v = n as f32 / 100_000.0;
            assert!((linear(v) - exactly_linear(v)).abs() < 1e-5, "{v}");
            assert!((encoded(v) - exactly_encoded(v)).abs() < 2e-5, "{v}");
        }
        assert_eq!((linear(0.0), encoded(0.0)), (0.0, 0.0));
        assert_eq!((linear(1.5), encoded(1.5)), (exactly_linear(1.5), exactly_encoded(1.5)));
        assert!(linear(f32::NAN).is_nan() && encoded(-0.1) == -1.292);
    }
}
