//! 3x3 convolution by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016): a quarter of the products.
//!
//! A 6x6 window of the input and the kernel are taken to a domain of 36 frequencies where the convolution is a
//! product, so that each frequency is one matrix product over channels, then taken back to 4x4 outputs. Work is cut
//! into runs of tiles. Where the kernel is small, one thread takes a run through all three steps while it is in its
//! cache. Where the kernel is larger than the windows of a run, all threads share each step: then every part of the
//! kernel is read once for a long run, by one thread, and no thread is left with a run of its own at the end.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::{Sink, Source, packed_len, product_rows};
use crate::nst::kernels::parallel::{Shared, each, for_each};
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::picture::geometry::Size;
use rayon::prelude::*;
use std::ops::Range;

/// Pixels along a side of an output tile.
const TILE: usize = 4;

/// Along a side of the input window.
const WINDOW: usize = 6;

const FREQUENCIES: usize = WINDOW * WINDOW;

/// Sixteen floats between the frequencies' matrices keep their starts in different cache sets.
const SKEW: usize = LANES;

/// Register tiles fit into it, whatever the instruction set.
const ROUND: usize = 12;

/// Tiles in a run that one thread takes through all steps: their windows and products, and a small kernel, fit into a
/// second-level cache of 1 MB.
const ALONE: usize = 24;

/// Tiles times input channels in a run whose steps are shared: one frequency's windows take half of such a cache.
const TOGETHER: usize = 132 * 1024;

/// Tiles of one block of channels that a thread transforms at a time where threads share the steps.
const GROUP: usize = 24;

/// Panels of outputs of one frequency that a thread multiplies at a time there.
const PANELS: usize = 16;

/// One direction of a frozen convolution, its kernel already in the frequency domain.
pub struct Winograd {
    inputs: usize,
    outputs: usize,
    /// `[36][outputs / 16][inputs][16]`.
    kernel: Aligned,
}

/// One thread's buffers; the first thread's serve all where they share the steps.
#[derive(Default)]
pub struct Scratch {
    /// `[36][inputs / 16][tiles][16]`, skewed.
    windows: Aligned,
    /// `[36][outputs / 16][tiles][16]`, skewed.
    products: Aligned,
}

impl Winograd {
    /// Prepares the kernel `at(output, input, y, x)`; channel counts are multiples of 16.
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
                    let place = frequency * matrix + (panel * inputs + input) * LANES;
                    // SAFETY: inside the buffer, and each panel writes its own places.
                    unsafe { to.at(place).cast::<[f32; LANES]>().write(*lanes) };
                }
            }
        });
        Self { inputs, outputs, kernel }
    }

    /// Whether threads share the steps of a run, for a picture of `tiles`; only the speed depends on it.
    fn shares(&self, tiles: usize) -> bool {
        // Measured: up to 128x128 channels a thread is faster alone, if there are enough runs for all threads.
        self.inputs * self.outputs >= 256 * 128 || tiles < 8 * ALONE
    }

    /// Tiles in one run of a picture of `tiles`, a multiple of [`ROUND`].
    fn run_length(&self, tiles: usize) -> usize {
        let longest = if self.shares(tiles) { TOGETHER / self.inputs } else { ALONE };
        tiles.div_ceil(tiles.div_ceil(longest)).next_multiple_of(ROUND)
    }

    /// Convolves `source` into `sink`, both of `size`.
    ///
    /// # Panics
    /// When either is not as large as that.
    pub fn run<S: Source, D: Sink>(&self, isa: Isa, scratch: &mut [Scratch], size: Size, source: S, sink: D) {
        assert!(source.fits(self.inputs / LANES, size) && sink.fits(self.outputs / LANES, size), "wrong buffer sizes");
        let grid = Grid { across: size.width.div_ceil(TILE), size };
        let tiles = grid.across * size.height.div_ceil(TILE);
        let length = self.run_length(tiles);
        let (k_blocks, n_blocks) = (self.inputs / LANES, self.outputs / LANES);
        if !self.shares(tiles) {
            // All threads' buffers, since it is luck who gets a run, and a later evaluation must find them made.
            scratch.iter_mut().for_each(|own| _ = own.fit(self, length));
            for_each(scratch, tiles.div_ceil(length), |scratch, piece| {
                let first = piece * length;
                let (windows, products) = scratch.fit(self, length);
                let count = length.min(tiles - first);
                let run = Run { convolution: self, windows, products, grid, source, sink, first, count, length };
                isa.run(Windows { run: &run, blocks: 0..k_blocks, tiles: 0..run.count });
                isa.run(Products { run: &run, frequencies: 0..FREQUENCIES, panels: 0..n_blocks });
                isa.run(Outputs { run: &run, panels: 0..n_blocks, tiles: 0..run.count });
            });
            return;
        }
        for first in (0..tiles).step_by(length) {
            let (windows, products) = scratch[0].fit(self, length);
            let count = length.min(tiles - first);
            let run = &Run { convolution: self, windows, products, grid, source, sink, first, count, length };
            let groups = run.count.div_ceil(GROUP);
            let group = |piece: usize| {
                let tiles = piece % groups * GROUP..run.count.min((piece % groups + 1) * GROUP);
                (piece / groups..piece / groups + 1, tiles)
            };
            each(k_blocks * groups, |piece| {
                let (blocks, tiles) = group(piece);
                isa.run(Windows { run, blocks, tiles });
            });
            let chunks = n_blocks.div_ceil(PANELS);
            each(FREQUENCIES * chunks, |piece| {
                let (frequency, panel) = (piece / chunks, piece % chunks * PANELS);
                let panels = panel..n_blocks.min(panel + PANELS);
                isa.run(Products { run, frequencies: frequency..frequency + 1, panels });
            });
            each(n_blocks * groups, |piece| {
                let (panels, tiles) = group(piece);
                isa.run(Outputs { run, panels, tiles });
            });
        }
    }
}

impl Scratch {
    /// The windows and products of a run of `length` tiles.
    fn fit(&mut self, convolution: &Winograd, length: usize) -> (Shared<'_, f32>, Shared<'_, f32>) {
        self.windows.grow(FREQUENCIES * (convolution.inputs * length + SKEW));
        self.products.grow(FREQUENCIES * (convolution.outputs * length + SKEW));
        (Shared::new(&mut self.windows), Shared::new(&mut self.products))
    }
}

/// `G g G^T` in double precision: this is done once.
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

/// How the plane is cut into tiles, counted row by row.
#[derive(Clone, Copy)]
struct Grid {
    across: usize,
    size: Size,
}

impl Grid {
    /// The top left output pixel of a tile.
    #[inline(always)]
    fn corner(&self, tile: usize) -> (usize, usize) {
        (tile / self.across * TILE, tile % self.across * TILE)
    }
}

/// A run of `count` tiles from `first`, in buffers laid out for `length`.
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

impl<S: Source, D> Run<'_, S, D> {
    /// Where the values of one block of channels begin, in either buffer.
    fn at(&self, frequency: usize, channels: usize, block: usize, tile: usize) -> usize {
        frequency * self.step(channels) + (block * self.length + tile) * LANES
    }

    /// Floats from one frequency to the next.
    fn step(&self, channels: usize) -> usize {
        channels * self.length + SKEW
    }

    /// The 6x6 window whose inner corner is the output tile's, the source's padding outside the picture.
    #[inline(always)]
    unsafe fn window<L: Lanes>(&self, block: usize, y: usize, x: usize) -> [[L; WINDOW]; WINDOW] {
        let Size { height, width } = self.grid.size;
        let mut window = [[L::splat(0.0); WINDOW]; WINDOW];
        unsafe {
            if y > 0 && x > 0 && y + WINDOW - 1 <= height && x + WINDOW - 1 <= width {
                for i in 0..WINDOW {
                    for j in 0..WINDOW {
                        window[i][j] = self.source.load(block, y + i - 1, x + j - 1);
                    }
                }
            } else {
                let padding = self.source.padding();
                // Once for each row and column: near the deep end most tiles lie at a border.
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

/// The first step: blocks of input channels to the frequencies.
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
                // SAFETY: `Scratch::fit` made room for `length` tiles, and tiles lie inside the grid.
                unsafe {
                    let to = run.windows.at(run.at(0, inputs, block, tile));
                    transform_window(run.window::<L>(block, y, x), to, run.step(inputs));
                }
            }
        }
    }
}

/// The second step: one matrix product over input channels for each frequency.
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
        let (block, panel) = (length * LANES, self.panels.start);
        for frequency in self.frequencies {
            let from = self.run.at(frequency, inputs, 0, 0);
            let to = self.run.at(frequency, outputs, panel, 0);
            let weights = (frequency * outputs + panel * LANES) * inputs;
            // Rows past `count` hold what an earlier run left there: finite, computed in vain, never read.
            let rows = count.next_multiple_of(L::ROWS / 3);
            // SAFETY: `Scratch::fit` made room for `length` tiles, a multiple of [`ROUND`] and so of these.
            unsafe {
                let (a, b, out) = (windows.at(from), kernel.as_ptr().add(weights), products.at(to));
                product_rows::<L>(rows, self.panels.len(), inputs / LANES, a, block, b, out, block, None);
            }
        }
    }
}

/// The last step: blocks of output channels back from the frequencies and into the sink.
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
                // SAFETY: as in `Windows`; this piece of work has these outputs to itself.
                unsafe {
                    let from = run.products.at(run.at(0, outputs, panel, tile));
                    run.sink.write(panel, y, x, &transform_back::<L>(from, run.step(outputs)));
                }
            }
        }
    }
}

/// `B^T d B`, written to 36 places `step` floats apart.
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
            unsafe { row[j].store(to.add((i * WINDOW + j) * step)) };
        }
    }
}

/// `A^T m A` from 36 places `step` floats apart.
#[inline(always)]
unsafe fn transform_back<L: Lanes>(from: *const f32, step: usize) -> [[L; TILE]; TILE] {
    let mut columns = [[L::splat(0.0); WINDOW]; TILE];
    for j in 0..WINDOW {
        let mut column = [L::splat(0.0); WINDOW];
        for i in 0..WINDOW {
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
