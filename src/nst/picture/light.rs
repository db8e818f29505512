//! Linear light: sRGB's encoding and its inverse, and luminance.
//!
//! Powers and exponentials are polynomials here: they take no calls and no tables, so loops over pixels are vectorized.

/// From sRGB's encoding to linear light (IEC 61966-2-1), both 0..1, within 1e-6.
#[inline(always)]
pub fn linear(v: f32) -> f32 {
    /// Of `((v + 0.055) / 1.055) ^ 2.4` over 0.04045..1.
    const CURVE: [f32; 10] = [
        0.000_845_545_3,
        0.035_713_75,
        0.478_570_9,
        0.916_558_74,
        -1.102_228_2,
        1.555_728,
        -1.679_375_6,
        1.208_197_4,
        -0.507_612_4,
        0.093_602_12,
    ];
    let curve = polynomial(CURVE, v);
    if v <= 0.04045 { v / 12.92 } else { curve }
}

/// From linear light to sRGB's encoding, both 0..1, within 3e-6.
#[inline(always)]
pub fn encoded(v: f32) -> f32 {
    /// Of `1.055 t ^ (5 / 3) - 0.055` over 0.0031308 ^ (1 / 4)..1, for the fourth root `t` of light.
    const CURVE: [f32; 7] =
        [-0.059_641_75, 0.140_776_78, 1.360_225_6, -0.838_965_36, 0.638_769_45, -0.306_036_98, 0.064_873_32];
    let curve = polynomial(CURVE, v.max(0.0).sqrt().sqrt());
    if v <= 0.0031308 { v * 12.92 } else { curve }
}

/// Roughly from sRGB's encoding to linear light: the square. It is fast, and close enough where the strength of a veil, a
/// lamp or a mirror is uncertain anyway. Values below 0 count as 0.
#[inline(always)]
pub fn roughly_linear(v: f32) -> f32 {
    v.max(0.0) * v.max(0.0)
}

/// The inverse of [`roughly_linear`].
#[inline(always)]
pub fn roughly_encoded(v: f32) -> f32 {
    v.max(0.0).sqrt()
}

/// The share of light that a medium of this optical depth lets through: `exp(-depth)`, within 1e-6. A depth below 0
/// counts as 0.
#[inline(always)]
pub fn transmission(depth: f32) -> f32 {
    /// Of `2 ^ v` over -1/2..1/2.
    const CURVE: [f32; 6] = [1.0, std::f32::consts::LN_2, 0.240_221_07, 0.055_503_27, 0.009_676_037, 0.001_340_043_3];
    /// Added to a number and taken off again, it leaves the nearest whole number.
    const WHOLE: f32 = (3 << 22) as f32;
    let power = -depth.clamp(0.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = power + WHOLE - WHOLE;
    let scale = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    scale * polynomial(CURVE, power - whole)
}

/// The coefficients begin with that of `v ^ 0`.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: [f32; N], v: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * v + coefficient)
}

/// The luminance of linear RGB, with the weights of Rec. 709.
#[inline(always)]
pub fn luminance(rgb: [f32; 3]) -> f32 {
    0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly_linear(v: f32) -> f32 {
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    }

    fn exactly_encoded(v: f32) -> f32 {
        if v <= 0.0031308 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
    }

    #[test]
    fn linear_light_is_the_inverse_of_the_encoding() {
        assert!((0..=1000).map(|n| n as f32 / 1000.0).all(|v| (encoded(linear(v)) - v).abs() < 1e-5));
        assert!((linear(0.5) - 0.21404).abs() < 1e-4);
    }

    #[test]
    fn the_polynomials_follow_their_curves() {
        for n in 0..=100_000 {
            let v = n as f32 / 100_000.0;
            assert!((linear(v) - exactly_linear(v)).abs() < 1e-5, "{v}");
            assert!((encoded(v) - exactly_encoded(v)).abs() < 2e-5, "{v}");
        }
        assert_eq!((linear(0.0), encoded(0.0)), (0.0, 0.0));
        let squares = [0.0, 0.3, 1.0, 1.5].map(|v| roughly_encoded(roughly_linear(v)) - v);
        assert!(squares.iter().all(|off| off.abs() < 1e-6) && roughly_linear(-0.5) == 0.0);
        for n in 0..=100_000 {
            let depth = n as f32 / 1000.0;
            assert!((transmission(depth) - (-depth).exp()).abs() < 1e-6, "{depth}");
        }
        assert_eq!((transmission(0.0), transmission(-1.0), transmission(f32::INFINITY) < 1e-30), (1.0, 1.0, true));
        assert!(linear(f32::NAN).is_nan() && encoded(-0.1) == -1.292);
    }
}
