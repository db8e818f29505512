//! conv1_1, from three colours to the first features, and back.
//!
//! Three channels are too few for the blocked layout and for Winograd's, so this convolution is computed directly.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::product::{Product, pack_columns, packed_len};
use crate::nst::kernels::conv::source::{Masked, Source as _};
use crate::nst::kernels::parallel::{Shared, each, for_each};
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::layers::Padding;
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;
use std::ops::Range;

/// Red, green and blue.
pub const COLOURS: usize = 3;

/// Inputs of one output: 3x3 pixels of three colours.
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

/// The buffers of one thread on the way back.
#[derive(Default)]
pub struct Scratch {
    /// One row of the gradient with respect to the ReLU's input: `[outputs / 16][width][16]`.
    masked: Aligned,
    /// Three rows of what each output pixel adds to the gradients of its 27 inputs: `[3][2][width][16]`.
    contributions: Aligned,
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

    /// Sets the inside to `f(colour, value)` of `pixels`, `[height][width][3]`, and the border as `padding` says.
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

    /// Where this holds a gradient: adds its border to the pixels that `padding` repeats there, and writes the inside
    /// to `out`, `[height][width][3]`, each colour times its `scale`.
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

    /// Calls `f(data, at, inside)` for every pixel of the border, with its index and that of the pixel that it repeats.
    fn each_outside(&mut self, padding: Padding, mut f: impl FnMut(&mut [f32], usize, Option<usize>)) {
        let Size { height, width } = self.size;
        let index = |y: usize, x: usize| (y * (width + 2) + x) * COLOURS;
        let rows = [0, height + 1].into_iter().flat_map(|y| (0..width + 2).map(move |x| (y, x)));
        let columns = (1..=height).flat_map(|y| [(y, 0), (y, width + 1)]);
        for (y, x) in rows.chain(columns) {
            let inside = padding.inside(y, height).zip(padding.inside(x, width));
            f(&mut self.data, index(y, x), inside.map(|(y, x)| index(y + 1, x + 1)));
        }
    }

    fn row_len(&self) -> usize {
        (self.size.width + 2) * COLOURS
    }
}

impl First {
    /// Prepares the kernel `at(output, colour, y, x)`. `bias` has a value for each output, a multiple of 16.
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

    /// Convolution, bias and ReLU. Writes the activations to `full`, blocked, and [`Masked::passed`] to `passed`.
    ///
    /// # Panics
    /// When either is too short.
    pub fn forward(&self, isa: Isa, picture: &Padded, full: &mut [f32], passed: &mut [u16]) {
        let pixels = picture.size.pixels();
        assert!(
            full.len() >= self.outputs * pixels && passed.len() >= self.outputs / LANES * pixels,
            "wrong buffer sizes"
        );
        let (full, passed) = (Shared::new(full), Shared::new(passed));
        each(picture.size.height, |y| isa.run(ForwardRow { conv: self, picture, y, full, passed }));
    }

    /// Writes the gradient with respect to the pixels of `picture`, which [`Padded::fill`] took with `padding`, to
    /// `out`, `[height][width][3]`, each colour times its `scale`. `source` is the gradient with respect to the
    /// activations.
    ///
    /// `picture` is overwritten on the way.
    ///
    /// # Panics
    /// When the sizes differ.
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
            scratch.contributions.grow(3 * COLUMNS * width);
        }
        for_each(threads, (height + 2).div_ceil(STRIP), |scratch, piece| {
            let rows = piece * STRIP..(height + 2).min((piece + 1) * STRIP);
            isa.run(BackwardStrip { conv: self, scratch, source, rows, out: to });
        });
        picture.fold(padding, scale, out);
    }
}

/// The outputs of row `y`.
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
            // SAFETY: `panel` is a panel, `y` a row, and the pixels `x..x + 8` and `x` are inside the row. The row is
            // this piece's own.
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
    /// The outputs of `panel` at the pixels `x..x + R`.
    ///
    /// # Safety
    /// There is such a panel, the pixels are inside the row, and no other thread touches the row's outputs.
    #[inline(always)]
    unsafe fn pixels<L: Lanes, const R: usize>(&self, panel: usize, x: usize) {
        // SAFETY: `forward` and `bias` hold the panel. The window of each pixel is inside the padded picture, and
        // `First::forward` has checked that the outputs are inside `full` and `passed`.
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

/// Some rows of the gradient with respect to the padded picture. One matrix product per row of the outputs gives what
/// each pixel adds to its 27 inputs; three such rows are gathered into one row of the picture.
struct BackwardStrip<'a> {
    conv: &'a First,
    scratch: &'a mut Scratch,
    source: Masked<'a>,
    rows: Range<usize>,
    out: Shared<'a, f32>,
}

impl Kernel for BackwardStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        // Row `y` of the padded picture is an input of the rows `y - 2` to `y` of the outputs.
        for y in self.rows.start.saturating_sub(2)..self.rows.end {
            if y < self.source.size.height {
                // SAFETY: `y` is a row of the source.
                unsafe { self.compute_row::<L>(y) };
            }
            if self.rows.contains(&y) {
                self.gather_row(y);
            }
        }
    }
}

impl BackwardStrip<'_> {
    /// The contributions of row `y` of the outputs.
    ///
    /// # Safety
    /// There is such a row.
    #[inline(always)]
    unsafe fn compute_row<L: Lanes>(&mut self, y: usize) {
        let (width, blocks) = (self.source.size.width, self.conv.outputs / LANES);
        let masked = self.scratch.masked.as_mut_ptr();
        // SAFETY: `First::backward` has checked that the source fits, and made room in the scratch: one row of all
        // outputs in `masked`, three rows of `COLUMNS` values in `contributions`.
        unsafe {
            for block in 0..blocks {
                for x in 0..width {
                    let value: L = self.source.load(block, y, x);
                    value.store(masked.add((block * width + x) * LANES));
                }
            }
            let product = Product {
                rows: width,
                panels: COLUMNS / LANES,
                k_blocks: blocks,
                a: masked,
                a_step: width * LANES,
                b: self.conv.backward.as_ptr(),
                out: self.scratch.contributions.as_mut_ptr().add(y % 3 * COLUMNS * width),
                out_step: width * LANES,
                weights: None,
            };
            product.run::<L>();
        }
    }

    /// Row `y` of the padded picture's gradient.
    #[inline(always)]
    fn gather_row(&self, y: usize) {
        let Size { height, width } = self.source.size;
        for x in 0..width + 2 {
            let mut sum = [0.0; COLOURS];
            for row in 0..3 {
                // The padded input at `y` is an input of the output at `y - row`, with the kernel's `row`.
                let Some(from) = y.checked_sub(row).filter(|&from| from < height) else { continue };
                let contributions = &self.scratch.contributions[from % 3 * COLUMNS * width..][..COLUMNS * width];
                for column in 0..3 {
                    let Some(from) = x.checked_sub(column).filter(|&from| from < width) else { continue };
                    for (colour, sum) in sum.iter_mut().enumerate() {
                        let n = (row * 3 + column) * COLOURS + colour;
                        *sum += contributions[(n / LANES * width + from) * LANES + n % LANES];
                    }
                }
            }
            for (colour, &sum) in sum.iter().enumerate() {
                // SAFETY: the pixel is inside the padded picture, and its row is this strip's own.
                unsafe { *self.out.at((y * (width + 2) + x) * COLOURS + colour) = sum };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::conv::definition::{PADDINGS, SIZES, convolve, convolve_back};
    use crate::nst::testing::{Random, assert_close, block, unblock};

    #[test]
    fn the_first_convolution_equals_the_definition_in_both_directions() {
        let (outputs, mut random) = (32, Random(3));
        for (size, padding) in SIZES.into_iter().flat_map(|size| PADDINGS.map(|padding| (size, padding))) {
            let weight = random.normal(outputs * 27);
            let bias = random.normal(outputs);
            let pixels = random.normal(3 * size.pixels());
            let planes: Vec<f32> = (0..3).flat_map(|c| pixels.iter().skip(c).step_by(3).copied()).collect();
            let mut expected = convolve(&weight, &planes, size, padding);
            for (plane, bias) in expected.chunks_exact_mut(size.pixels()).zip(&bias) {
                plane.iter_mut().for_each(|v| *v = (*v + bias).max(0.0));
            }
            let gradient = random.normal(outputs * size.pixels());
            let masked: Vec<f32> =
                gradient.iter().zip(&expected).map(|(g, f)| if *f > 0.0 { *g } else { 0.0 }).collect();
            let expected_back = convolve_back(&weight, &masked, size, padding);
            let conv = First::new(bias, |o, c, y, x| weight[((o * 3 + c) * 3 + y) * 3 + x]);
            let mut picture = Padded::new(size);
            for isa in Isa::available() {
                let (mut full, mut passed) = (vec![f32::NAN; expected.len()], vec![0; expected.len() / LANES]);
                picture.fill(&pixels, padding, |_, v| v);
                conv.forward(isa, &picture, &mut full, &mut passed);
                let what = format!("{isa} {size:?} {padding:?}");
                assert_close(&unblock(&full, outputs), &expected, 1e-5, &what);
                let mut back = vec![f32::NAN; pixels.len()];
                let gradient = block(&gradient, outputs);
                let source = Masked { gradient: &gradient, passed: &passed, size };
                let threads = &mut [Default::default(), Default::default()];
                conv.backward(isa, threads, source, (&mut picture, padding), [1.0; 3], &mut back);
                let planes: Vec<f32> = (0..3).flat_map(|c| back.iter().skip(c).step_by(3).copied()).collect();
                assert_close(&planes, &expected_back, 1e-5, &what);
            }
        }
    }
}
