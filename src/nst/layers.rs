//! What is fixed about VGG19: its layers by name, the input that it was trained on, its pools and padding.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Convolutions in each of VGG19's five blocks (Simonyan and Zisserman 2015, configuration E).
pub const BLOCKS: [usize; 5] = [2, 2, 4, 4, 4];

/// The smallest side, in pixels, that leaves a pixel behind all four pools before block 5.
pub const MIN_SIDE: usize = 1 << (BLOCKS.len() - 1);

/// ImageNet's mean of red, green and blue, 0..1. VGG19 was trained on `(rgb - mean) / deviation`.
pub const MEAN_F64: [f64; 3] = [0.485, 0.456, 0.406];

/// ImageNet's standard deviation of red, green and blue, 0..1.
pub const STD_F64: [f64; 3] = [0.229, 0.224, 0.225];

/// [`MEAN_F64`] in the precision of pixels.
pub const MEAN: [f32; 3] = to_f32(MEAN_F64);

/// [`STD_F64`] in the precision of pixels.
pub const STD: [f32; 3] = to_f32(STD_F64);

const fn to_f32([r, g, b]: [f64; 3]) -> [f32; 3] {
    [r as f32, g as f32, b as f32]
}

/// A ReLU of VGG19 that a loss may read: `relu{block}_{conv}`, both counted from 1 as in the literature.
///
/// Ordered from the pixels up: `relu1_1 < relu1_2 < relu2_1 < …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tap {
    block: u8,
    conv: u8,
}

impl Tap {
    /// relu5_4, the deepest.
    pub const LAST: Self = Self { block: 5, conv: 4 };

    /// The tap `relu{block}_{conv}`, both from 1; `None` where VGG19 has no such layer.
    pub fn new(block: usize, conv: usize) -> Option<Self> {
        let convs = *BLOCKS.get(block.checked_sub(1)?)?;
        (1..=convs).contains(&conv).then_some(Self { block: block as u8, conv: conv as u8 })
    }

    /// All sixteen taps, from the pixels up.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=BLOCKS.len()).flat_map(|block| (1..=BLOCKS[block - 1]).filter_map(move |conv| Self::new(block, conv)))
    }

    /// The index of the convolution that feeds this ReLU: 0 for `conv1_1` to 15 for `conv5_4`.
    pub fn index(self) -> usize {
        BLOCKS[..self.block()].iter().sum::<usize>() + self.conv as usize - 1
    }

    /// The block, from 0. It is also the number of 2x2 pools between the pixels and this tap.
    pub fn block(self) -> usize {
        self.block as usize - 1
    }

    /// Whether this is the first ReLU of its block, the one after the pool.
    pub fn opens_block(self) -> bool {
        self.conv == 1
    }

    /// The names of this convolution's weight and bias in torchvision's `vgg19`.
    pub fn parameters(self) -> [String; 2] {
        ["weight", "bias"].map(|part| format!("features.{}.{part}", self.torchvision_index()))
    }

    /// The `n` of this convolution's `features.{n}.weight` and `features.{n}.bias` in torchvision's `vgg19`.
    pub fn torchvision_index(self) -> usize {
        // Each convolution counts with its ReLU, and so does each pool before.
        2 * self.index() + self.block()
    }
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "relu{}_{}", self.block, self.conv)
    }
}

impl FromStr for Tap {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::all()
            .find(|tap| tap.to_string() == name)
            .ok_or_else(|| format!("`{name}` is not a layer of VGG19; layers run from relu1_1 to relu5_4"))
    }
}

/// How the 2x2 pools of the trunk reduce a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The maximum, as VGG19 was trained.
    Max,
    /// The mean, as Gatys et al. recommend for smoother results.
    Avg,
}

/// What every convolution of the trunk reads outside its plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Zeros, as VGG19 was trained.
    Zero,
    /// The nearest value inside.
    Replicate,
    /// The values at the opposite side, so that the picture has no border and tiles.
    Wrap,
}

impl Padding {
    /// Whether planes go on at their opposite side.
    pub fn wraps(self) -> bool {
        self == Self::Wrap
    }

    /// The index, of `len` values, that is read at `at - 1`; `None` stands for a zero. `at` is 0 just before the first
    /// value and `len + 1` just behind the last.
    #[inline(always)]
    pub fn inside(self, at: usize, len: usize) -> Option<usize> {
        match self {
            Self::Zero => at.checked_sub(1).filter(|&at| at < len),
            Self::Replicate => Some(at.saturating_sub(1).min(len - 1)),
            Self::Wrap => Some((at + len - 1) % len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_carry_the_names_and_indices_of_torchvision() {
        let indices: Vec<_> = ["relu1_1", "relu1_2", "relu2_1", "relu3_1", "relu4_2", "relu5_1", "relu5_4"]
            .iter()
            .map(|name| name.parse::<Tap>().unwrap())
            .map(|tap| (tap.index(), tap.torchvision_index()))
            .collect();
        assert_eq!(indices, [(0, 0), (1, 2), (2, 5), (4, 10), (9, 21), (12, 28), (15, 34)]);
        assert_eq!(Tap::all().count(), 16);
        assert!("relu1_3".parse::<Tap>().is_err());
    }

    #[test]
    fn the_mean_and_deviation_of_pixels_are_the_nearest_floats() {
        assert_eq!((MEAN, STD), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));
    }
}
