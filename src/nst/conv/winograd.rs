//! 3x3 convolution by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016): a quarter of the products.
//!
//! A 6x6 window of the input and the kernel are taken to a domain of 36 frequencies where the convolution is a
//! product, so that each frequency is one matrix product over channels, then taken back to 4x4 outputs. Work is cut
//! into runs of tiles; one run goes through all three steps while it is in the cache.

use super::{Sink, Size, Source, packed_len, product_rows};
use crate::nst::parallel::{Shared, for_each};
use crate::nst::simd::{Isa, Kernel, LANES, Lanes};
use rayon::prelude::*;

/// Pixels along a side of an output tile.
const TILE: usize = 4;
/// Along a side of the input window.
const WINDOW: usize = 6;
const FREQUENCIES: usize = WINDOW * WINDOW;
/// Sixteen floats between the frequencies' matrices keep their starts in different cache sets.
const SKEW: usize = LANES;
/// Output channels whose products are held before they are taken back.
const CHUNK: usize = 64;

/// One direction of a frozen convolution, its kernel already in the frequency domain.
pub struct Winograd {
    inputs: usize,
    outputs: usize,
    /// `[36][outputs / 16][inputs][16]`.
    kernel: Vec<f32>,
}

/// One thread's buffers.
#[derive(Default)]
pub struct Scratch {
    /// `[36][inputs / 16][tiles][16]`, skewed.
    windows: Vec<f32>,
    /// `[36][CHUNK / 16][tiles][16]`, skewed.
    products: Vec<f32>,
}

impl Winograd {
    /// Prepares the kernel `at(output, input, y, x)`; channel counts are multiples of 16.
    pub fn new(outputs: usize, inputs: usize, at: impl Fn(usize, usize, usize, usize) -> f32 + Sync) -> Self {
        let matrix = packed_len(inputs, outputs);
        let mut kernel = vec![0.0; FREQUENCIES * matrix];
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

    /// Tiles in one run: enough that the kernel is not read too often for what it does, few enough that the windows
    /// of a shallow layer stay in the second-level cache.
    fn run_length(&self, tiles: usize) -> usize {
        // Measured from 24 to 264 tiles on a machine with 1 MB of second-level cache a core: flat around these.
        let best: usize = if self.inputs <= 128 { 48 } else { 132 };
        best.min(tiles.next_multiple_of(12))
    }

    /// Convolves `source` into `sink`, both of `size`.
    ///
    /// # Panics
    /// When either is not as large as that.
    pub fn run<S: Source, D: Sink>(&self, isa: Isa, scratch: &mut [Scratch], size: Size, source: S, sink: D) {
        assert!(source.fits(self.inputs / LANES, size) && sink.fits(self.outputs / LANES, size), "wrong buffer sizes");
        let grid = Grid { across: size.width.div_ceil(TILE), size };
        let tiles = grid.across * size.height.div_ceil(TILE);
        let length = self.run_length(tiles.div_ceil(scratch.len()));
        scratch.iter_mut().for_each(|scratch| scratch.fit(self.inputs, length));
        for_each(scratch, tiles.div_ceil(length), |scratch, piece| {
            let first = piece * length;
            let count = length.min(tiles - first);
            isa.run(Run { convolution: self, scratch, grid, source, sink, first, count, length });
        });
    }
}

impl Scratch {
    fn fit(&mut self, inputs: usize, length: usize) {
        let grow = |buffer: &mut Vec<f32>, len| {
            if buffer.len() < len {
                buffer.resize(len, 0.0);
            }
        };
        grow(&mut self.windows, FREQUENCIES * (inputs * length + SKEW));
        grow(&mut self.products, FREQUENCIES * (CHUNK * length + SKEW));
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
    scratch: &'a mut Scratch,
    grid: Grid,
    source: S,
    sink: D,
    first: usize,
    count: usize,
    length: usize,
}

impl<S: Source, D: Sink> Kernel for Run<'_, S, D> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Winograd { inputs, outputs, ref kernel } = *self.convolution;
        let (k_blocks, n_blocks) = (inputs / LANES, outputs / LANES);
        let block = self.length * LANES;
        let windows_step = k_blocks * block + SKEW;
        let products_step = CHUNK / LANES * block + SKEW;
        let windows = self.scratch.windows.as_mut_ptr();
        let products = self.scratch.products.as_mut_ptr();
        // Rows past `count` hold what an earlier run left there: finite, computed in vain, never read.
        let rows = self.count.next_multiple_of(L::ROWS);
        // SAFETY: `Scratch::fit` made room for `length` tiles, a multiple of `L::ROWS`; tiles lie inside the grid.
        unsafe {
            for k in 0..k_blocks {
                for tile in 0..self.count {
                    let (y, x) = self.grid.corner(self.first + tile);
                    let window = self.window::<L>(k, y, x);
                    transform_window(window, windows.add(k * block + tile * LANES), windows_step);
                }
            }
            for chunk in (0..n_blocks).step_by(CHUNK / LANES) {
                let panels = (CHUNK / LANES).min(n_blocks - chunk);
                for frequency in 0..FREQUENCIES {
                    product_rows::<L, false>(
                        rows,
                        panels,
                        k_blocks,
                        windows.add(frequency * windows_step),
                        block,
                        kernel.as_ptr().add((frequency * n_blocks + chunk) * inputs * LANES),
                        products.add(frequency * products_step),
                        block,
                    );
                }
                for panel in 0..panels {
                    for tile in 0..self.count {
                        let (y, x) = self.grid.corner(self.first + tile);
                        let from = products.add(panel * block + tile * LANES);
                        let values = transform_back::<L>(from, products_step);
                        self.sink.write(chunk + panel, y, x, &values);
                    }
                }
            }
        }
    }
}

impl<S: Source, D> Run<'_, S, D> {
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
