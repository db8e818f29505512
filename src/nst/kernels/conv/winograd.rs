//! 3x3 convolution by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016): a quarter of the products.
//!
//! Windows of 6x6 inputs and the kernel are transformed to 36 frequencies, where the convolution is a product. So each
//! frequency is one matrix product over the channels. The products are transformed back to 4x4 outputs.
//!
//! Work is cut into runs of tiles, in one of two ways:
//!
//! - *alone*, where the kernel is small: one thread takes a run through all three steps while it is in the thread's
//!   cache;
//! - *shared*, where the kernel is larger than the windows of a run: all threads share each step of a long run. Then
//!   each part of the kernel is read once for the run, by one thread, and no thread is left with a run of its own at
//!   the end.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::product::{Product, packed_len};
use crate::nst::kernels::conv::sink::Sink;
use crate::nst::kernels::conv::source::Source;
use crate::nst::kernels::parallel::{Shared, each, for_each};
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;
use std::ops::Range;

/// The side of an output tile, in pixels.
const TILE: usize = 4;

/// The side of the input window of a tile.
const WINDOW: usize = 6;

const FREQUENCIES: usize = WINDOW * WINDOW;

/// Floats between the matrices of two frequencies. They put the starts of the matrices into different cache sets.
const SKEW: usize = LANES;

/// Runs are multiples of this many tiles, which is a multiple of `Lanes::ROWS / 3` on every instruction set.
const ROUND: usize = 12;

/// Tiles in a run that one thread computes alone. Their windows and products, and a small kernel, fit into a
/// second-level cache of 1 MB.
const ALONE: usize = 24;

/// Tiles times input channels of a run that threads share. The windows of one frequency then take half of such a cache.
const SHARED: usize = 132 * 1024;

/// In a shared run, the tiles of one block of channels that a thread transforms at a time.
const TILE_GROUP: usize = 24;

/// In a shared run, the panels of outputs of one frequency that a thread multiplies at a time.
const PANEL_GROUP: usize = 16;

/// One direction of a frozen convolution, with its kernel transformed to frequencies.
pub struct Winograd {
    inputs: usize,
    outputs: usize,
    /// `[36][outputs / 16][inputs][16]`
    kernel: Aligned,
}

/// The buffers of one thread. A shared run uses those of the first.
#[derive(Default)]
pub struct Scratch {
    /// `[36][inputs / 16][tiles][16]`, with [`SKEW`] floats after each frequency.
    windows: Aligned,
    /// `[36][outputs / 16][tiles][16]`, with [`SKEW`] floats after each frequency.
    products: Aligned,
}

impl Winograd {
    /// Transforms the kernel `at(output, input, y, x)`. The numbers of channels are multiples of 16.
    pub fn new(outputs: usize, inputs: usize, at: impl Fn(usize, usize, usize, usize) -> f32 + Sync) -> Self {
        let matrix = packed_len(inputs, outputs);
        let mut kernel = Aligned::zeros(FREQUENCIES * matrix);
        let to = Shared::new(&mut kernel);
        (0..outputs / LANES).into_par_iter().for_each(|panel| {
            for input in 0..inputs {
                let mut lanes = [[0.0; LANES]; FREQUENCIES];
                for lane in 0..LANES {
                    let taps =
                        std::array::from_fn(|y| std::array::from_fn(|x| at(panel * LANES + lane, input, y, x) as f64));
                    for (frequency, value) in transform_kernel(taps).as_flattened().iter().enumerate() {
                        lanes[frequency][lane] = *value as f32;
                    }
                }
                for (frequency, lanes) in lanes.iter().enumerate() {
                    let start = frequency * matrix + (panel * inputs + input) * LANES;
                    // SAFETY: the sixteen floats are inside the buffer, and each panel writes floats of its own.
                    unsafe { to.at(start).cast::<[f32; LANES]>().write(*lanes) };
                }
            }
        });
        Self { inputs, outputs, kernel }
    }

    /// Whether threads share each run, for a picture of `tiles`. This changes the speed, not the result.
    fn is_shared(&self, tiles: usize) -> bool {
        // Measured: up to 128x128 channels a thread is faster alone, if there are enough runs for all threads.
        self.inputs * self.outputs >= 256 * 128 || tiles < 8 * ALONE
    }

    /// Tiles in one run of a picture of `tiles`, a multiple of [`ROUND`].
    fn run_length(&self, tiles: usize) -> usize {
        let longest = if self.is_shared(tiles) { SHARED / self.inputs } else { ALONE };
        tiles.div_ceil(tiles.div_ceil(longest)).next_multiple_of(ROUND)
    }

    /// Convolves `source` into `sink`, both of `size`.
    ///
    /// # Panics
    /// When either is of another size, or there is no scratch.
    pub fn run<S: Source, D: Sink>(&self, isa: Isa, scratch: &mut [Scratch], size: Size, source: S, sink: D) {
        assert!(source.fits(self.inputs / LANES, size) && sink.fits(self.outputs / LANES, size), "wrong buffer sizes");
        let grid = Grid { across: size.width.div_ceil(TILE), size };
        let (tiles, length) = (grid.tiles(), self.run_length(grid.tiles()));
        if self.is_shared(tiles) {
            for first in (0..tiles).step_by(length) {
                self.run_from(first, grid, &mut scratch[0], (source, sink)).share(isa);
            }
        } else {
            // The buffers of all threads: which of them get a run differs from time to time, and a later evaluation
            // must not allocate.
            scratch.iter_mut().for_each(|own| _ = own.fit(self, length));
            for_each(scratch, tiles.div_ceil(length), |scratch, piece| {
                self.run_from(piece * length, grid, scratch, (source, sink)).compute_alone(isa);
            });
        }
    }

    /// The run that begins at the tile `first`.
    fn run_from<'a, S, D>(
        &'a self,
        first: usize,
        grid: Grid,
        scratch: &'a mut Scratch,
        (source, sink): (S, D),
    ) -> Run<'a, S, D> {
        let length = self.run_length(grid.tiles());
        let (windows, products) = scratch.fit(self, length);
        let count = length.min(grid.tiles() - first);
        Run { convolution: self, windows, products, grid, source, sink, first, count, length }
    }
}

impl Scratch {
    /// Makes room for a run of `length` tiles and returns its windows and products.
    fn fit(&mut self, convolution: &Winograd, length: usize) -> (Shared<'_, f32>, Shared<'_, f32>) {
        self.windows.grow(FREQUENCIES * (convolution.inputs * length + SKEW));
        self.products.grow(FREQUENCIES * (convolution.outputs * length + SKEW));
        (Shared::new(&mut self.windows), Shared::new(&mut self.products))
    }
}

/// `G g G^T`, in double precision, since it is done once.
fn transform_kernel(taps: [[f64; 3]; 3]) -> [[f64; WINDOW]; WINDOW] {
    const G: [[f64; 3]; WINDOW] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    let left: [[f64; 3]; WINDOW] =
        std::array::from_fn(|i| std::array::from_fn(|x| (0..3).map(|y| G[i][y] * taps[y][x]).sum()));
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|x| left[i][x] * G[j][x]).sum()))
}

/// The tiles of a plane, counted row by row.
#[derive(Clone, Copy)]
struct Grid {
    /// Tiles in a row.
    across: usize,
    size: Size,
}

impl Grid {
    fn tiles(&self) -> usize {
        self.across * self.size.height.div_ceil(TILE)
    }

    /// Row and column of the top left output pixel of a tile.
    #[inline(always)]
    fn corner(&self, tile: usize) -> (usize, usize) {
        (tile / self.across * TILE, tile % self.across * TILE)
    }
}

/// A run of `count` tiles from `first`, in buffers for `length` tiles. Source and sink fit the size of the grid.
struct Run<'a, S, D> {
    convolution: &'a Winograd,
    /// See [`Scratch`].
    windows: Shared<'a, f32>,
    products: Shared<'a, f32>,
    grid: Grid,
    source: S,
    sink: D,
    first: usize,
    count: usize,
    length: usize,
}

impl<S: Source, D: Sink> Run<'_, S, D> {
    /// All steps on the calling thread.
    fn compute_alone(&self, isa: Isa) {
        let (k_blocks, n_blocks) = (self.convolution.inputs / LANES, self.convolution.outputs / LANES);
        isa.run(Windows { run: self, blocks: 0..k_blocks, tiles: 0..self.count });
        isa.run(Products { run: self, frequencies: 0..FREQUENCIES, panels: 0..n_blocks });
        isa.run(Outputs { run: self, panels: 0..n_blocks, tiles: 0..self.count });
    }

    /// All steps, each on all threads.
    fn share(&self, isa: Isa) {
        let (k_blocks, n_blocks) = (self.convolution.inputs / LANES, self.convolution.outputs / LANES);
        let groups = self.count.div_ceil(TILE_GROUP);
        let group = |piece: usize| {
            let tiles = piece % groups * TILE_GROUP..self.count.min((piece % groups + 1) * TILE_GROUP);
            (piece / groups..piece / groups + 1, tiles)
        };
        each(k_blocks * groups, |piece| {
            let (blocks, tiles) = group(piece);
            isa.run(Windows { run: self, blocks, tiles });
        });
        let chunks = n_blocks.div_ceil(PANEL_GROUP);
        each(FREQUENCIES * chunks, |piece| {
            let (frequency, panel) = (piece / chunks, piece % chunks * PANEL_GROUP);
            let panels = panel..n_blocks.min(panel + PANEL_GROUP);
            isa.run(Products { run: self, frequencies: frequency..frequency + 1, panels });
        });
        each(n_blocks * groups, |piece| {
            let (panels, tiles) = group(piece);
            isa.run(Outputs { run: self, panels, tiles });
        });
    }
}

impl<S: Source, D> Run<'_, S, D> {
    /// The index of the first value of a block of channels at a tile, in a buffer of so many `channels`.
    fn at(&self, frequency: usize, channels: usize, block: usize, tile: usize) -> usize {
        frequency * self.step(channels) + (block * self.length + tile) * LANES
    }

    /// Floats from one frequency to the next, in a buffer of so many `channels`.
    fn step(&self, channels: usize) -> usize {
        channels * self.length + SKEW
    }

    /// The 6x6 window of the output tile at `(y, x)`, which begins one pixel above and to the left. Outside the picture
    /// are the values of the source's padding.
    ///
    /// # Safety
    /// `(y, x)` is inside the picture, and `block` inside the input channels.
    #[inline(always)]
    unsafe fn window<L: Lanes>(&self, block: usize, y: usize, x: usize) -> [[L; WINDOW]; WINDOW] {
        let Size { height, width } = self.grid.size;
        let mut window = [[L::splat(0.0); WINDOW]; WINDOW];
        // SAFETY: each pixel that is loaded is inside the picture: by the condition, or as an answer of
        // `Padding::inside`.
        unsafe {
            if y > 0 && x > 0 && y + WINDOW - 1 <= height && x + WINDOW - 1 <= width {
                for i in 0..WINDOW {
                    for j in 0..WINDOW {
                        window[i][j] = self.source.load(block, y + i - 1, x + j - 1);
                    }
                }
            } else {
                let padding = self.source.padding();
                // Looked up once per row and column, since most tiles of deep layers are at a border.
                let rows: [_; WINDOW] = std::array::from_fn(|i| padding.inside(y + i, height));
                let columns: [_; WINDOW] = std::array::from_fn(|j| padding.inside(x + j, width));
                for i in 0..WINDOW {
                    for j in 0..WINDOW {
                        if let (Some(row), Some(column)) = (rows[i], columns[j]) {
                            window[i][j] = self.source.load(block, row, column);
                        }
                    }
                }
            }
        }
        window
    }
}

/// The first step: transforms windows of the input to frequencies.
struct Windows<'a, S, D> {
    run: &'a Run<'a, S, D>,
    blocks: Range<usize>,
    tiles: Range<usize>,
}

impl<S: Source, D> Kernel for Windows<'_, S, D> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (run, inputs) = (self.run, self.run.convolution.inputs);
        for block in self.blocks {
            for tile in self.tiles.clone() {
                let (y, x) = run.grid.corner(run.first + tile);
                // SAFETY: `Scratch::fit` has made room for `length` tiles, and all tiles are inside the grid. This
                // piece has these blocks and tiles to itself.
                unsafe {
                    let to = run.windows.at(run.at(0, inputs, block, tile));
                    transform_window(run.window::<L>(block, y, x), to, run.step(inputs));
                }
            }
        }
    }
}

/// The second step: for each frequency a matrix product over the input channels.
struct Products<'a, S, D> {
    run: &'a Run<'a, S, D>,
    frequencies: Range<usize>,
    panels: Range<usize>,
}

impl<S: Source, D> Kernel for Products<'_, S, D> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Run { convolution, windows, products, count, length, .. } = *self.run;
        let Winograd { inputs, outputs, ref kernel } = *convolution;
        let panel = self.panels.start;
        for frequency in self.frequencies {
            let from = self.run.at(frequency, inputs, 0, 0);
            let to = self.run.at(frequency, outputs, panel, 0);
            let weights = (frequency * outputs + panel * LANES) * inputs;
            // The rows after `count` hold values of an earlier run. Their products are not read.
            let rows = count.next_multiple_of(L::ROWS / 3);
            // SAFETY: `Scratch::fit` has made room for `length` tiles, a multiple of `ROUND` and so of `L::ROWS / 3`.
            // The kernel holds all panels. This piece has these frequencies and panels of the products to itself.
            unsafe {
                let product = Product {
                    rows,
                    panels: self.panels.len(),
                    k_blocks: inputs / LANES,
                    a: windows.at(from),
                    a_step: length * LANES,
                    b: kernel.as_ptr().add(weights),
                    out: products.at(to),
                    out_step: length * LANES,
                    weights: None,
                };
                product.run::<L>();
            }
        }
    }
}

/// The last step: transforms products back to output tiles.
struct Outputs<'a, S, D> {
    run: &'a Run<'a, S, D>,
    panels: Range<usize>,
    tiles: Range<usize>,
}

impl<S: Source, D: Sink> Kernel for Outputs<'_, S, D> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (run, outputs) = (self.run, self.run.convolution.outputs);
        for panel in self.panels {
            for tile in self.tiles.clone() {
                let (y, x) = run.grid.corner(run.first + tile);
                // SAFETY: `Scratch::fit` has made room for `length` tiles. The sink fits the grid, all tiles are inside
                // it, and this piece has these panels and tiles to itself.
                unsafe {
                    let from = run.products.at(run.at(0, outputs, panel, tile));
                    run.sink.write(panel, y, x, &transform_back::<L>(from, run.step(outputs)));
                }
            }
        }
    }
}

/// Writes `B^T d B` to 36 vectors that are `step` floats apart.
///
/// # Safety
/// All 36 are writable from `to` on, and no other thread touches them.
#[inline(always)]
unsafe fn transform_window<L: Lanes>(window: [[L; WINDOW]; WINDOW], to: *mut f32, step: usize) {
    let mut columns = window;
    for j in 0..WINDOW {
        let column = [window[0][j], window[1][j], window[2][j], window[3][j], window[4][j], window[5][j]];
        let column = to_frequencies(column);
        for i in 0..WINDOW {
            columns[i][j] = column[i];
        }
    }
    for i in 0..WINDOW {
        let row = to_frequencies(columns[i]);
        for j in 0..WINDOW {
            // SAFETY: this is one of the 36 vectors for which the caller vouches.
            unsafe { row[j].store(to.add((i * WINDOW + j) * step)) };
        }
    }
}

/// `A^T m A` of 36 vectors that are `step` floats apart.
///
/// # Safety
/// All 36 are readable from `from` on.
#[inline(always)]
unsafe fn transform_back<L: Lanes>(from: *const f32, step: usize) -> [[L; TILE]; TILE] {
    let mut columns = [[L::splat(0.0); WINDOW]; TILE];
    for j in 0..WINDOW {
        let mut column = [L::splat(0.0); WINDOW];
        for i in 0..WINDOW {
            // SAFETY: this is one of the 36 vectors for which the caller vouches.
            column[i] = unsafe { L::load(from.add((i * WINDOW + j) * step)) };
        }
        let column = from_frequencies(column);
        for i in 0..TILE {
            columns[i][j] = column[i];
        }
    }
    let mut out = [[L::splat(0.0); TILE]; TILE];
    for i in 0..TILE {
        out[i] = from_frequencies(columns[i]);
    }
    out
}

/// `B^T d` for the interpolation points 0, 1, -1, 2, -2 and infinity.
#[inline(always)]
fn to_frequencies<L: Lanes>(d: [L; WINDOW]) -> [L; WINDOW] {
    let (two, four, minus_four, minus_five) = (L::splat(2.0), L::splat(4.0), L::splat(-4.0), L::splat(-5.0));
    let even = d[2].mul_add(minus_four, d[4]);
    let odd = d[1].mul_add(minus_four, d[3]);
    let even_two = d[4].sub(d[2]);
    let odd_two = d[3].sub(d[1]).mul(two);
    [
        d[0].mul_add(four, d[2].mul_add(minus_five, d[4])),
        even.add(odd),
        even.sub(odd),
        even_two.add(odd_two),
        even_two.sub(odd_two),
        d[1].mul_add(four, d[3].mul_add(minus_five, d[5])),
    ]
}

/// `A^T m` for the same points.
#[inline(always)]
fn from_frequencies<L: Lanes>(m: [L; WINDOW]) -> [L; TILE] {
    let (two, four, eight) = (L::splat(2.0), L::splat(4.0), L::splat(8.0));
    let (sum_one, difference_one) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (sum_two, difference_two) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(sum_one).add(sum_two),
        difference_two.mul_add(two, difference_one),
        sum_two.mul_add(four, sum_one),
        difference_two.mul_add(eight, difference_one).add(m[5]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::conv::definition::{SIZES, convolve};
    use crate::nst::kernels::conv::sink::Store;
    use crate::nst::kernels::conv::source::Plain;
    use crate::nst::layers::Padding;
    use crate::nst::testing::{Random, assert_close, block, unblock};

    /// Inputs and outputs of VGG19's convolutions in both directions, and some that no tile fits.
    const CHANNELS: [(usize, usize); 12] = [
        (16, 48),
        (80, 16),
        (64, 64),
        (64, 128),
        (128, 64),
        (128, 128),
        (128, 256),
        (256, 128),
        (256, 256),
        (256, 512),
        (512, 256),
        (512, 512),
    ];

    #[test]
    fn convolutions_equal_the_definition_on_every_instruction_set() {
        let mut random = Random(1);
        for ((inputs, outputs), size) in CHANNELS.into_iter().flat_map(|pair| SIZES.map(|size| (pair, size))) {
            let weight = random.normal(outputs * inputs * 9);
            let input = random.normal(inputs * size.pixels());
            // The definition is slow, so only the first output, the last and one between are compared.
            let sampled = [0, outputs / 2 + 1, outputs - 1];
            let rows: Vec<f32> = sampled.iter().flat_map(|o| weight[o * inputs * 9..][..inputs * 9].to_vec()).collect();
            let expected = convolve(&rows, &input, size, Padding::Zero);
            let conv = Winograd::new(outputs, inputs, |o, i, y, x| weight[((o * inputs + i) * 3 + y) * 3 + x]);
            let data = block(&input, inputs);
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; outputs * size.pixels()];
                let sink = Store { data: Shared::new(&mut out), size };
                conv.run(isa, &mut [Default::default(), Default::default()], size, Plain { data: &data, size }, sink);
                let out = unblock(&out, outputs);
                assert!(out.iter().all(|v| v.is_finite()));
                let out: Vec<f32> =
                    sampled.iter().flat_map(|o| out[o * size.pixels()..][..size.pixels()].to_vec()).collect();
                assert_close(&out, &expected, 1e-4, &format!("{isa} {inputs} {outputs} {size:?}"));
            }
        }
    }
}
