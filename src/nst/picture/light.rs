//! Linear light: sRGB's encoding and its inverse, and luminance.

/// From sRGB's encoding to linear light (IEC 61966-2-1), both 0..1.
pub fn linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// From linear light to sRGB's encoding, both 0..1.
pub fn encoded(v: f32) -> f32 {
    if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// The luminance of linear RGB, with the weights of Rec. 709.
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
}
