//! conv1_1, from three colours to the first features and back: too thin for the other kernels, cheap done directly.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::{Masked, Source as _, pack_columns, packed_len, product_rows};
use crate::nst::kernels::parallel::{Shared, each, for_each};
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::layers::Padding;
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;

/// Red, green and blue.
pub const COLOURS: usize = 3;

/// One output's inputs: 3x3 pixels of three colours.
const TAPS: usize = 9 * COLOURS;

/// [`TAPS`] rounded up to whole lanes.
const COLUMNS: usize = 2 * LANES;

/// Rows of the picture in one piece of work.
const STRIP: usize = 16;

/// conv1_1 in both directions.
pub struct First {
    outputs: usize,
    /// `[outputs / 16][27][16]`, the 27 in the order row, column, colour.
    forward: Aligned,
    /// The `outputs x 32` matrix of the same kernel, packed.
    backward: Aligned,
    bias: Vec<f32>,
}

/// One thread's buffers for the way back.
#[derive(Default)]
pub struct Scratch {
    /// One row of the gradient behind the ReLU: `[outputs / 16][width][16]`.
    masked: Aligned,
    /// Three rows of each pixel's contributions to its 27 inputs: `[3][2][width][16]`.
    spread: Aligned,
}

/// A picture with one pixel of padding around it, channels-last: `[height + 2][width + 2][3]`.
pub struct Padded {
    data: Vec<f32>,
    size: Size,
}

impl Padded {
    pub fn new(size: Size) -> Self {
        Self { data: vec![0.0; (size.height + 2) * (size.width + 2) * COLOURS], size }
    }

    /// Sets the inside to `f(colour, value)` of `pixels`, `[height][width][3]`, and the border to its padding.
    pub fn fill(&mut self, pixels: &[f32], padding: Padding, f: impl Fn(usize, f32) -> f32 + Sync) {
        let row_len = self.row_len();
        let inside = self.size.width * COLOURS;
        let rows = self.data[row_len..].par_chunks_exact_mut(row_len).zip(pixels.par_chunks_exact(inside));
        rows.with_min_len(STRIP).for_each(|(to, from)| {
            for (to, from) in to[COLOURS..COLOURS + inside].chunks_exact_mut(COLOURS).zip(from.chunks_exact(COLOURS)) {
                for colour in 0..COLOURS {
                    to[colour] = f(colour, from[colour]);
                }
            }
        });
        self.each_outside(padding, |data, at, inside| match inside {
            Some(inside) => data.copy_within(inside..inside + COLOURS, at),
            None => data[at..at + COLOURS].fill(0.0),
        });
    }

    /// With a gradient in place of a picture: writes that of the pixels to `out`, `[height][width][3]`, the border added
    /// to the pixels that `padding` had put there, each colour times its `scale`.
    fn fold(&mut self, padding: Padding, scale: [f32; COLOURS], out: &mut [f32]) {
        self.each_outside(padding, |data, at, inside| {
            for colour in 0..COLOURS {
                if let Some(inside) = inside {
                    data[inside + colour] += data[at + colour];
                }
            }
        });
        let (row_len, inside) = (self.row_len(), self.size.width * COLOURS);
        let rows = out.par_chunks_exact_mut(inside).zip(self.data[row_len..].par_chunks_exact(row_len));
        rows.with_min_len(STRIP).for_each(|(to, from)| {
            for (to, from) in to.chunks_exact_mut(COLOURS).zip(from[COLOURS..].chunks_exact(COLOURS)) {
                for colour in 0..COLOURS {
                    to[colour] = from[colour] * scale[colour];
                }
            }
        });
    }

    /// Calls `f(data, at, inside)` for every pixel of the border with its place and that of the pixel it repeats.
    fn each_outside(&mut self, padding: Padding, mut f: impl FnMut(&mut [f32], usize, Option<usize>)) {
        let Size { height, width } = self.size;
        let place = |y: usize, x: usize| (y * (width + 2) + x) * COLOURS;
        let rows = [0, height + 1].into_iter().flat_map(|y| (0..width + 2).map(move |x| (y, x)));
        let columns = (1..=height).flat_map(|y| [(y, 0), (y, width + 1)]);
        for (y, x) in rows.chain(columns) {
            let inside = padding.inside(y, height).zip(padding.inside(x, width));
            f(&mut self.data, place(y, x), inside.map(|(y, x)| place(y + 1, x + 1)));
        }
    }

    fn row_len(&self) -> usize {
        (self.size.width + 2) * COLOURS
    }
}

impl First {
    /// Prepares the kernel `at(output, colour, y, x)`; `bias` has a multiple of 16 outputs.
    pub fn new(bias: Vec<f32>, at: impl Fn(usize, usize, usize, usize) -> f32) -> Self {
        let outputs = bias.len();
        let tap = |output: usize, n: usize| at(output, n % COLOURS, n / (3 * COLOURS), n / COLOURS % 3);
        let mut forward = Aligned::zeros(packed_len(TAPS, outputs));
        pack_columns(TAPS, outputs, |n, output| tap(output, n), &mut forward);
        let mut backward = Aligned::zeros(packed_len(outputs, COLUMNS));
        pack_columns(outputs, COLUMNS, |output, n| if n < TAPS { tap(output, n) } else { 0.0 }, &mut backward);
        Self { outputs, forward, backward, bias }
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Convolution, bias and ReLU: `full` blocked, `passed` as in [`Masked`].
    pub fn forward(&self, isa: Isa, picture: &Padded, full: &mut [f32], passed: &mut [u16]) {
        let pixels = picture.size.pixels();
        assert!(
            full.len() >= self.outputs * pixels && passed.len() >= self.outputs / LANES * pixels,
            "wrong buffer sizes"
        );
        let (full, passed) = (Shared::new(full), Shared::new(passed));
        each(picture.size.height, |y| isa.run(ForwardRow { conv: self, picture, y, full, passed }));
    }

    /// The gradient with respect to the pixels that [`Padded::fill`] took with `padding`, `[height][width][3]`, each colour
    /// times its `scale`.
    ///
    /// `picture` is what is written on the way, and holds no picture any more.
    pub fn backward(
        &self,
        isa: Isa,
        threads: &mut [Scratch],
        source: Masked,
        (picture, padding): (&mut Padded, Padding),
        scale: [f32; COLOURS],
        out: &mut [f32],
    ) {
        let Size { height, width } = source.size;
        let fits = picture.size == source.size && out.len() >= height * width * COLOURS;
        assert!(source.fits(self.outputs / LANES, source.size) && fits, "wrong buffer sizes");
        let to = Shared::new(&mut picture.data);
        for scratch in threads.iter_mut() {
            scratch.masked.grow(self.outputs * width);
            scratch.spread.grow(3 * COLUMNS * width);
        }
        for_each(threads, (height + 2).div_ceil(STRIP), |scratch, piece| {
            let rows = piece * STRIP..(height + 2).min((piece + 1) * STRIP);
            isa.run(BackwardStrip { conv: self, scratch, source, rows, out: to });
        });
        picture.fold(padding, scale, out);
    }
}

struct ForwardRow<'a> {
    conv: &'a First,
    picture: &'a Padded,
    y: usize,
    full: Shared<'a, f32>,
    passed: Shared<'a, u16>,
}

impl Kernel for ForwardRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let width = self.picture.size.width;
        for panel in 0..self.conv.outputs / LANES {
            let mut x = 0;
            // SAFETY: `x` and the pixels right of it stay inside the row.
            unsafe {
                while x + 8 <= width {
                    self.pixels::<L, 8>(panel, x);
                    x += 8;
                }
                while x < width {
                    self.pixels::<L, 1>(panel, x);
                    x += 1;
                }
            }
        }
    }
}

impl ForwardRow<'_> {
    #[inline(always)]
    unsafe fn pixels<L: Lanes, const R: usize>(&self, panel: usize, x: usize) {
        unsafe {
            let kernel = self.conv.forward.as_ptr().add(panel * TAPS * LANES);
            let mut acc = [L::load(self.conv.bias.as_ptr().add(panel * LANES)); R];
            for row in 0..3 {
                let from = self.picture.data.as_ptr().add((self.y + row) * self.picture.row_len() + x * COLOURS);
                for n in 0..3 * COLOURS {
                    let weights = L::load(kernel.add((row * 3 * COLOURS + n) * LANES));
                    for (r, sum) in acc.iter_mut().enumerate() {
                        *sum = L::splat(*from.add(r * COLOURS + n)).mul_add(weights, *sum);
                    }
                }
            }
            let at = panel * self.picture.size.pixels() + self.y * self.picture.size.width + x;
            for (r, sum) in acc.iter().enumerate() {
                let active = L::splat(0.0).max(*sum);
                active.store(self.full.at((at + r) * LANES));
                *self.passed.at(at + r) = active.positive();
            }
        }
    }
}

/// A few rows of the padded picture's gradient. Each output pixel's 27 contributions come from one matrix product per row;
/// three such rows are gathered into one row of the picture.
struct BackwardStrip<'a> {
    conv: &'a First,
    scratch: &'a mut Scratch,
    source: Masked<'a>,
    rows: std::ops::Range<usize>,
    out: Shared<'a, f32>,
}

impl Kernel for BackwardStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        // The padded row `y` is seen by the outputs of the rows `y - 2` to `y`.
        for y in self.rows.start.saturating_sub(2)..self.rows.end {
            if y < self.source.size.height {
                // SAFETY: `y` is a row of the source.
                unsafe { self.spread_row::<L>(y) };
            }
            if self.rows.contains(&y) {
                self.gather_row(y);
            }
        }
    }
}

impl BackwardStrip<'_> {
    #[inline(always)]
    unsafe fn spread_row<L: Lanes>(&mut self, y: usize) {
        let width = self.source.size.width;
        let masked = self.scratch.masked.as_mut_ptr();
        unsafe {
            for block in 0..self.conv.outputs / LANES {
                for x in 0..width {
                    let value: L = self.source.load(block, y, x);
                    value.store(masked.add((block * width + x) * LANES));
                }
            }
            product_rows::<L>(
                width,
                COLUMNS / LANES,
                self.conv.outputs / LANES,
                masked,
                width * LANES,
                self.conv.backward.as_ptr(),
                self.scratch.spread.as_mut_ptr().add(y % 3 * COLUMNS * width),
                width * LANES,
                None,
            );
        }
    }

    #[inline(always)]
    fn gather_row(&self, y: usize) {
        let Size { height, width } = self.source.size;
        for x in 0..width + 2 {
            let mut sum = [0.0; COLOURS];
            for row in 0..3 {
                // The padded input at `y` is seen by the output at `y - row` through the kernel's `row`.
                let Some(from) = y.checked_sub(row).filter(|&from| from < height) else { continue };
                let spread = &self.scratch.spread[from % 3 * COLUMNS * width..][..COLUMNS * width];
                for column in 0..3 {
                    let Some(from) = x.checked_sub(column).filter(|&from| from < width) else { continue };
                    for (colour, sum) in sum.iter_mut().enumerate() {
                        let n = (row * 3 + column) * COLOURS + colour;
                        *sum += spread[(n / LANES * width + from) * LANES + n % LANES];
                    }
                }
            }
            for (colour, &sum) in sum.iter().enumerate() {
                // SAFETY: inside the padded picture, and this strip's own rows.
                unsafe { *self.out.at((y * (width + 2) + x) * COLOURS + colour) = sum };
            }
        }
    }
}
