//! What a convolution reads.

use crate::nst::kernels::simd::{Kernel, LANES, Lanes};
use crate::nst::layers::{Padding, Pool};
use crate::nst::picture::geometry::Size;

/// Blocked values, read one vector at a time: sixteen channels of one pixel.
pub trait Source: Copy + Sync {
    /// Whether the buffers hold `blocks` blocks of pictures of `size`.
    fn fits(&self, blocks: usize, size: Size) -> bool;

    /// The values of `block` at row `y` and column `x`.
    ///
    /// # Safety
    /// [`Source::fits`] is true for more than `block` blocks of pictures that have a row `y` and a column `x`.
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L;

    /// What lies outside the picture.
    fn padding(&self) -> Padding {
        Padding::Zero
    }
}

/// `source` with another padding than zeros.
#[derive(Clone, Copy)]
pub struct WithPadding<S> {
    pub source: S,
    pub padding: Padding,
}

impl<S: Source> Source for WithPadding<S> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        self.source.fits(blocks, size)
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L {
        // SAFETY: the caller vouches for `block`, `y` and `x`, and `fits` is the source's own.
        unsafe { self.source.load(block, y, x) }
    }

    #[inline(always)]
    fn padding(&self) -> Padding {
        self.padding
    }
}

/// `source`, of `size`, with one more pixel of zeros on each side.
#[derive(Clone, Copy)]
pub struct Grown<S> {
    pub source: S,
    pub size: Size,
}

impl<S: Source> Source for Grown<S> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        size == self.size.grown() && self.source.fits(blocks, self.size)
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L {
        let inside = (1..=self.size.height).contains(&y) && (1..=self.size.width).contains(&x);
        // SAFETY: `(y - 1, x - 1)` is inside the source, which fits its own size; the caller vouches for `block`.
        if inside { unsafe { self.source.load(block, y - 1, x - 1) } } else { L::splat(0.0) }
    }
}

/// Blocked activations as they are.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    pub data: &'a [f32],
    pub size: Size,
}

impl Source for Plain<'_> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        self.size == size && self.data.len() >= blocks * size.pixels() * LANES
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L {
        let at = block * self.size.pixels() + y * self.size.width + x;
        debug_assert!((at + 1) * LANES <= self.data.len());
        // SAFETY: `fits` is true for this block and pixel, so `data` holds its sixteen floats.
        unsafe { L::load(self.data.as_ptr().add(at * LANES)) }
    }
}

/// The gradient with respect to the input of a ReLU, from that with respect to its output.
#[derive(Clone, Copy)]
pub struct Masked<'a> {
    pub gradient: &'a [f32],
    /// `[channels / 16][height * width]`: bit `n` says whether channel `n` of the block was above 0.
    pub passed: &'a [u16],
    pub size: Size,
}

impl Source for Masked<'_> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        let pixels = blocks * size.pixels();
        self.size == size && self.passed.len() >= pixels && self.gradient.len() >= pixels * LANES
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L {
        let at = block * self.size.pixels() + y * self.size.width + x;
        debug_assert!(at < self.passed.len() && (at + 1) * LANES <= self.gradient.len());
        // SAFETY: `fits` is true for this block and pixel, so `passed` holds its bits and `gradient` its sixteen
        // floats.
        unsafe { L::load_masked(self.gradient.as_ptr().add(at * LANES), *self.passed.get_unchecked(at)) }
    }
}

/// The gradient with respect to the input of a ReLU that a 2x2 pool follows, from that with respect to the pool's
/// output.
#[derive(Clone, Copy)]
pub struct Unpooled<'a> {
    /// At the pooled size.
    pub gradient: &'a [f32],
    /// At the full size, laid out as in [`Masked::passed`]: for maximum pools at most one bit in each window, that of
    /// the maximum if it is above 0; for average pools one for each value above 0.
    pub passed: &'a [u16],
    /// The full size.
    pub size: Size,
    pub pool: Pool,
}

impl Source for Unpooled<'_> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        let (pixels, pooled) = (blocks * size.pixels(), blocks * size.pooled().pixels());
        self.size == size && self.passed.len() >= pixels && self.gradient.len() >= pooled * LANES
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L {
        let pooled = self.size.pooled();
        // An odd last row or column is in no window.
        if y / 2 >= pooled.height || x / 2 >= pooled.width {
            return L::splat(0.0);
        }
        let at = block * pooled.pixels() + y / 2 * pooled.width + x / 2;
        let passed = block * self.size.pixels() + y * self.size.width + x;
        debug_assert!(passed < self.passed.len() && (at + 1) * LANES <= self.gradient.len());
        let value =
            // SAFETY: `fits` is true for this block and pixel, so `passed` holds its bits, and `gradient` the sixteen
            // floats of its window, which is inside the pooled size.
            unsafe { L::load_masked(self.gradient.as_ptr().add(at * LANES), *self.passed.get_unchecked(passed)) };
        match self.pool {
            Pool::Max => value,
            Pool::Avg => value.mul(L::splat(0.25)),
        }
    }
}

/// Writes all values of `source` to `out`, blocked.
pub struct Gather<'a, S> {
    pub source: S,
    pub channels: usize,
    pub size: Size,
    pub out: &'a mut [f32],
}

impl<S: Source> Kernel for Gather<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Size { height, width } = self.size;
        assert!(self.source.fits(self.channels / LANES, self.size), "wrong buffer sizes");
        for block in 0..self.channels / LANES {
            for y in 0..height {
                for x in 0..width {
                    let at = block * self.size.pixels() + y * width + x;
                    let to = &mut self.out[at * LANES..][..LANES];
                    // SAFETY: the source fits, the pixel is inside the picture, and `to` is sixteen floats.
                    unsafe { self.source.load::<L>(block, y, x).store(to.as_mut_ptr()) };
                }
            }
        }
    }
}
