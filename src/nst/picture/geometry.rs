//! Sizes, crops and areas of pictures.

use image::GenericImageView;
use std::ops::Range;

/// Height and width of a picture or plane, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

impl Size {
    /// Of an image in memory.
    pub fn of(image: &impl GenericImageView) -> Self {
        Self { height: image.height() as usize, width: image.width() as usize }
    }

    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    /// The longer side.
    pub fn long(self) -> usize {
        self.height.max(self.width)
    }

    /// The shorter side.
    pub fn short(self) -> usize {
        self.height.min(self.width)
    }

    /// This size, or a smaller one of its shape, whose longer side has at most `long` pixels.
    pub fn fitted(self, long: usize) -> Self {
        let scale = (long as f64 / self.long() as f64).min(1.0);
        self.map(|side| ((side as f64 * scale).round() as usize).max(1))
    }

    /// The pixels above, below, left and right of pixel `at`, which are counted row by row.
    pub fn beside(self, at: usize) -> impl Iterator<Item = usize> {
        let (y, x) = (at / self.width, at % self.width);
        let above_and_below = [(y > 0).then(|| at - self.width), (y + 1 < self.height).then(|| at + self.width)];
        let left_and_right = [(x > 0).then(|| at - 1), (x + 1 < self.width).then_some(at + 1)];
        above_and_below.into_iter().chain(left_and_right).flatten()
    }

    /// The pixels around pixel `at`, those at its corners too, and itself.
    pub fn around(self, at: usize) -> impl Iterator<Item = usize> {
        let (y, x) = (at / self.width, at % self.width);
        let rows = y.saturating_sub(1)..(y + 2).min(self.height);
        rows.flat_map(move |y| (x.saturating_sub(1)..(x + 2).min(self.width)).map(move |x| y * self.width + x))
    }

    /// Both sides under `f`.
    pub fn map(self, f: impl Fn(usize) -> usize) -> Self {
        Self { height: f(self.height), width: f(self.width) }
    }

    /// With one pixel more on each side.
    pub fn grown(self) -> Self {
        self.map(|side| side + 2)
    }

    /// After a 2x2 pool with stride 2; an odd last row or column is dropped.
    pub fn pooled(self) -> Self {
        self.map(|side| side / 2)
    }
}

/// A rectangle of pixels inside a larger picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl Crop {
    /// All of a picture of `size`.
    pub fn whole(size: Size) -> Self {
        Self { top: 0, left: 0, height: size.height, width: size.width }
    }

    pub fn size(self) -> Size {
        Size { height: self.height, width: self.width }
    }
}

/// An upright box in a picture of any size: 0 is the left or top side of the picture, 1 the right or bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    /// The rows and the columns of its pixels in a picture of `size`, to the nearest pixel; either may be empty.
    pub fn pixels(self, size: Size) -> (Range<usize>, Range<usize>) {
        let pixel = |share: f64, side: usize| (share.clamp(0.0, 1.0) * side as f64).round() as usize;
        let span = |low: f64, high: f64, side: usize| pixel(low, side)..pixel(high, side);
        (span(self.top, self.bottom, size.height), span(self.left, self.right, size.width))
    }
}
