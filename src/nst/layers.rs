//! The network's layers by name, and what is fixed about them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Convolutions in each of VGG19's five blocks (Simonyan and Zisserman 2015, configuration E).
pub const BLOCKS: [usize; 5] = [2, 2, 4, 4, 4];

/// A ReLU of VGG19, `relu{block}_{conv}`, counted from 1 as in the literature.
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

    /// Which convolution feeds this ReLU: 0 for `conv1_1` to 15 for `conv5_4`.
    pub fn index(self) -> usize {
        BLOCKS[..self.block()].iter().sum::<usize>() + self.conv as usize - 1
    }

    /// The block, from 0: how many 2x2 pools lie between the pixels and this tap.
    pub fn block(self) -> usize {
        self.block as usize - 1
    }

    /// Whether this is the first ReLU of its block, the one that follows the pool.
    pub fn opens_block(self) -> bool {
        self.conv == 1
    }

    /// torchvision's names of this convolution's weight and bias.
    pub fn parameters(self) -> [String; 2] {
        ["weight", "bias"].map(|part| format!("features.{}.{part}", self.torchvision_index()))
    }

    /// Where torchvision's `vgg19` keeps this convolution: `features.{n}.weight` and `.bias`.
    pub fn torchvision_index(self) -> usize {
        // A convolution and its ReLU take two places, each pool before it one more.
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
            .ok_or_else(|| format!("`{name}` is no layer of VGG19; layers run from relu1_1 to relu5_4"))
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
    /// Which of `len` places stands for the one at `at - 1`; `None` for a zero. So 0 and `len + 1` lie just outside.
    #[inline(always)]
    pub fn inside(self, at: usize, len: usize) -> Option<usize> {
        match self {
            Self::Zero => at.checked_sub(1).filter(|&at| at < len),
            Self::Replicate => Some(at.saturating_sub(1).min(len - 1)),
            Self::Wrap => Some((at + len - 1) % len),
        }
    }
}
