//! Sizes and areas of pictures.

/// The picture inside its bars, in pixels.
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
}

/// Height and width of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

impl Size {
    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    /// With one pixel more on each side.
    pub fn grown(self) -> Self {
        Self { height: self.height + 2, width: self.width + 2 }
    }

    /// After a 2x2 pool with stride 2; an odd last row or column is dropped.
    pub fn pooled(self) -> Self {
        Self { height: self.height / 2, width: self.width / 2 }
    }
}

/// An upright box; 0 is the left and top side of the picture, 1 the right and bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}
