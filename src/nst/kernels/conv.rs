//! Frozen 3x3 convolutions, stride 1, padding 1, forward and backward, with what surrounds them fused in.
//!
//! Activations live in blocks of sixteen channels: `[channels / 16][height * width][16]`, called *blocked* below.
//! Inside a block that is channels-last, so one pixel is one vector; between blocks it keeps every stride that the
//! kernels take per pixel constant, which plain channels-last does not.
//!
//! The kernels never change, so both directions are prepared once: the gradient with respect to the input of a
//! 3x3, stride 1, zero padding 1 convolution is the same convolution with the kernel turned by 180 degrees and its
//! channel axes swapped. So it is where the plane wraps around. Where its border is replicated, that same convolution
//! runs over one pixel more on each side ([`Grown`]), and what falls there is added to the border.

pub mod first;
pub mod product;
pub mod winograd;

pub use crate::nst::kernels::conv::product::{pack_columns, packed_len, product_rows};

use crate::nst::kernels::parallel::Shared;
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::layers::{Padding, Pool};
use crate::nst::picture::geometry::Size;

/// What a convolution reads: sixteen channels of one pixel at a time.
pub trait Source: Copy + Sync {
    /// Whether this holds `blocks` blocks of pictures of `size`.
    fn fits(&self, blocks: usize, size: Size) -> bool;

    /// # Safety
    /// `y` and `x` lie inside the picture and `block` inside the channels.
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L;

    /// What lies outside the picture.
    fn padding(&self) -> Padding {
        Padding::Zero
    }
}

/// A source with something else than zeros around it.
#[derive(Clone, Copy)]
pub struct Edged<S> {
    pub source: S,
    pub padding: Padding,
}

impl<S: Source> Source for Edged<S> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        self.source.fits(blocks, size)
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(&self, block: usize, y: usize, x: usize) -> L {
        unsafe { self.source.load(block, y, x) }
    }

    #[inline(always)]
    fn padding(&self) -> Padding {
        self.padding
    }
}

/// A source of `size` with one pixel of zeros on each side.
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
        if inside { unsafe { self.source.load(block, y - 1, x - 1) } } else { L::splat(0.0) }
    }
}

/// The adjoint of a convolution of planes of `size` with `padding`, whose turned kernel is `turned`: takes the gradient
/// with respect to its output to that with respect to its input, which comes to lie at the start of `out`.
///
/// Under [`Padding::Replicate`] `out` is as long as planes of [`Size::grown`] need.
pub fn back_through(
    turned: &winograd::Winograd,
    isa: Isa,
    scratch: &mut [winograd::Scratch],
    source: impl Source,
    padding: Padding,
    size: Size,
    out: &mut [f32],
) {
    match padding {
        Padding::Zero | Padding::Wrap => {
            turned.run(isa, scratch, size, Edged { source, padding }, Store { data: Shared::new(out), size });
        }
        Padding::Replicate => {
            let size_out = size.grown();
            let sink = Store { data: Shared::new(out), size: size_out };
            turned.run(isa, scratch, size_out, Grown { source, size }, sink);
            fold(out, size, padding);
        }
    }
}

/// Takes a gradient with respect to planes of `size` with one more pixel on each side, blocked, back to the planes
/// themselves: adds the border to the pixels that `padding` had put there. In place; the result is packed.
fn fold(grown: &mut [f32], size: Size, padding: Padding) {
    let Size { height, width } = size;
    let from = size.grown();
    for block in 0..grown.len() / (from.pixels() * LANES) {
        let start = block * from.pixels();
        for (y, x) in (0..from.height).flat_map(|y| (0..from.width).map(move |x| (y, x))) {
            if (1..=height).contains(&y) && (1..=width).contains(&x) {
                continue;
            }
            let (Some(row), Some(column)) = (padding.inside(y, height), padding.inside(x, width)) else { continue };
            let (at, to) = (start + y * from.width + x, start + (row + 1) * from.width + column + 1);
            for lane in 0..LANES {
                grown[to * LANES + lane] += grown[at * LANES + lane];
            }
        }
        for y in 0..height {
            let row = (start + (y + 1) * from.width + 1) * LANES;
            grown.copy_within(row..row + width * LANES, (block * size.pixels() + y * width) * LANES);
        }
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
        unsafe { L::load(self.data.as_ptr().add(at * LANES)) }
    }
}

/// A gradient with respect to the output of a ReLU, taken back through that ReLU.
#[derive(Clone, Copy)]
pub struct Masked<'a> {
    pub gradient: &'a [f32],
    /// `[channels / 16][height * width]`, a bit for each channel that let its value through.
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
        unsafe { L::load_masked(self.gradient.as_ptr().add(at * LANES), *self.passed.get_unchecked(at)) }
    }
}

/// A gradient with respect to the output of a 2x2 pool, taken back through the pool and the ReLU before it.
#[derive(Clone, Copy)]
pub struct Unpooled<'a> {
    /// At the pooled size.
    pub gradient: &'a [f32],
    /// At the full size: for the maximum one bit in a window at most, for the mean each positive value's.
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
        if y / 2 >= pooled.height || x / 2 >= pooled.width {
            return L::splat(0.0);
        }
        let at = block * pooled.pixels() + y / 2 * pooled.width + x / 2;
        let passed = block * self.size.pixels() + y * self.size.width + x;
        debug_assert!(passed < self.passed.len() && (at + 1) * LANES <= self.gradient.len());
        let value =
            unsafe { L::load_masked(self.gradient.as_ptr().add(at * LANES), *self.passed.get_unchecked(passed)) };
        match self.pool {
            Pool::Max => value,
            Pool::Avg => value.mul(L::splat(0.25)),
        }
    }
}

/// Writes what a source yields, blocked.
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
        for block in 0..self.channels / LANES {
            for y in 0..height {
                for x in 0..width {
                    let at = block * self.size.pixels() + y * width + x;
                    let to = &mut self.out[at * LANES..][..LANES];
                    // SAFETY: inside the picture, and `to` is sixteen floats.
                    unsafe { self.source.load::<L>(block, y, x).store(to.as_mut_ptr()) };
                }
            }
        }
    }
}

/// Where a convolution's output goes: up to 4x4 pixels of sixteen channels at a time.
pub trait Sink: Copy + Sync {
    /// Whether this has room for `blocks` blocks of pictures of `size`.
    fn fits(&self, blocks: usize, size: Size) -> bool;

    /// Takes the values at `(y + i, x + j)`, those outside the picture to be ignored; `y` and `x` are even.
    ///
    /// # Safety
    /// `(y, x)` lies inside the picture, `block` inside the channels, and no other piece of work writes these pixels.
    unsafe fn write<L: Lanes>(&self, block: usize, y: usize, x: usize, values: &[[L; 4]; 4]);
}

/// A gradient, stored as it is.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    pub data: Shared<'a, f32>,
    pub size: Size,
}

impl Sink for Store<'_> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        self.size == size && self.data.len() >= blocks * size.pixels() * LANES
    }

    #[inline(always)]
    unsafe fn write<L: Lanes>(&self, block: usize, y: usize, x: usize, values: &[[L; 4]; 4]) {
        let (rows, columns) = (4.min(self.size.height - y), 4.min(self.size.width - x));
        for (i, row) in values.iter().enumerate().take(rows) {
            let at = block * self.size.pixels() + (y + i) * self.size.width + x;
            for (j, value) in row.iter().enumerate().take(columns) {
                // SAFETY: inside the picture, and this tile is nobody else's.
                unsafe { value.store(self.data.at((at + j) * LANES)) };
            }
        }
    }
}

/// Bias and ReLU, which channels passed, and the 2x2 pool where one follows.
#[derive(Clone, Copy)]
pub struct Activate<'a> {
    pub bias: &'a [f32],
    /// The activations themselves, where somebody reads them.
    pub full: Option<Shared<'a, f32>>,
    pub pooled: Option<(Shared<'a, f32>, Pool)>,
    /// See [`Masked::passed`] and [`Unpooled::passed`].
    pub passed: Shared<'a, u16>,
    pub size: Size,
}

impl Activate<'_> {
    /// One 2x2 window: its pooled value, and for each of the four whether a gradient goes back to it.
    #[inline(always)]
    fn pool<L: Lanes>(pool: Pool, window: [L; 4]) -> (L, [u16; 4]) {
        let [a, b, c, d] = window;
        match pool {
            Pool::Max => {
                let top = a.max(b).max(c.max(d));
                let alive = top.positive();
                // The first of equal values takes the gradient, as in other frameworks.
                let first = a.equal(top);
                let second = b.equal(top) & !first;
                let third = c.equal(top) & !(first | second);
                (top, [first & alive, second & alive, third & alive, alive & !(first | second | third)])
            }
            Pool::Avg => {
                let sum = a.add(b).add(c.add(d));
                (sum.mul(L::splat(0.25)), [a.positive(), b.positive(), c.positive(), d.positive()])
            }
        }
    }
}

impl Sink for Activate<'_> {
    fn fits(&self, blocks: usize, size: Size) -> bool {
        let (pixels, pooled) = (blocks * size.pixels(), blocks * size.pooled().pixels());
        self.size == size
            && self.bias.len() >= blocks * LANES
            && self.passed.len() >= pixels
            && self.full.is_none_or(|full| full.len() >= pixels * LANES)
            && self.pooled.is_none_or(|(to, _)| to.len() >= pooled * LANES)
    }

    #[inline(always)]
    unsafe fn write<L: Lanes>(&self, block: usize, y: usize, x: usize, values: &[[L; 4]; 4]) {
        let Size { height, width } = self.size;
        let (rows, columns) = (4.min(height - y), 4.min(width - x));
        // SAFETY: everything below stays inside the picture, and this tile is nobody else's.
        unsafe {
            let bias = L::load(self.bias.as_ptr().add(block * LANES));
            let mut active = [[bias; 4]; 4];
            for i in 0..4 {
                for j in 0..4 {
                    active[i][j] = L::splat(0.0).max(values[i][j].add(bias));
                }
            }
            for i in 0..rows {
                let at = block * self.size.pixels() + (y + i) * width + x;
                for j in 0..columns {
                    if let Some(full) = self.full {
                        active[i][j].store(full.at((at + j) * LANES));
                    }
                    let passed = if self.pooled.is_none() { active[i][j].positive() } else { 0 };
                    *self.passed.at(at + j) = passed;
                }
            }
            let Some((pooled, pool)) = self.pooled else { return };
            let small = self.size.pooled();
            for i in (0..rows / 2 * 2).step_by(2) {
                for j in (0..columns / 2 * 2).step_by(2) {
                    let window = [active[i][j], active[i][j + 1], active[i + 1][j], active[i + 1][j + 1]];
                    let (value, [a, b, c, d]) = Self::pool(pool, window);
                    let to = block * small.pixels() + (y + i) / 2 * small.width + (x + j) / 2;
                    value.store(pooled.at(to * LANES));
                    let at = block * self.size.pixels() + (y + i) * width + x + j;
                    *self.passed.at(at) = a;
                    *self.passed.at(at + 1) = b;
                    *self.passed.at(at + width) = c;
                    *self.passed.at(at + width + 1) = d;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::conv::first::{First, Padded};
    use crate::nst::kernels::conv::winograd::Winograd;
    use crate::nst::testing::{Random, assert_close, block, unblock};

    /// Calls `f(output, input, weight)` for every product of the definition: places in planes `[channels][h][w]` and in
    /// `weight`, `[outputs][inputs][3][3]`.
    fn products(
        (outputs, inputs): (usize, usize),
        Size { height, width }: Size,
        padding: Padding,
        mut f: impl FnMut(usize, usize, usize),
    ) {
        for (o, y, x) in (0..outputs * height * width).map(|n| (n / width / height, n / width % height, n % width)) {
            for (i, dy, dx) in (0..inputs * 9).map(|n| (n / 9, n / 3 % 3, n % 3)) {
                let inside = padding.inside(y + dy, height).zip(padding.inside(x + dx, width));
                if let Some((row, column)) = inside {
                    let from = (i * height + row) * width + column;
                    f((o * height + y) * width + x, from, (o * inputs + i) * 9 + dy * 3 + dx);
                }
            }
        }
    }

    /// The definition, in double precision: `weight` is `[outputs][inputs][3][3]`, planes are `[channels][h][w]`.
    fn reference(weight: &[f32], input: &[f32], size: Size, padding: Padding) -> Vec<f32> {
        let inputs = input.len() / size.pixels();
        let outputs = weight.len() / (inputs * 9);
        let mut out = vec![0.0; outputs * size.pixels()];
        products((outputs, inputs), size, padding, |to, from, w| out[to] += weight[w] as f64 * input[from] as f64);
        out.into_iter().map(|v| v as f32).collect()
    }

    /// The adjoint of [`reference`] by the definition.
    fn reference_back(weight: &[f32], gradient: &[f32], size: Size, padding: Padding) -> Vec<f32> {
        let outputs = gradient.len() / size.pixels();
        let inputs = weight.len() / (outputs * 9);
        let mut out = vec![0.0; inputs * size.pixels()];
        products((outputs, inputs), size, padding, |to, from, w| out[from] += weight[w] as f64 * gradient[to] as f64);
        out.into_iter().map(|v| v as f32).collect()
    }

    const PADDINGS: [Padding; 3] = [Padding::Zero, Padding::Replicate, Padding::Wrap];

    const SIZES: [Size; 5] = [
        Size { height: 1, width: 1 },
        Size { height: 3, width: 5 },
        Size { height: 8, width: 8 },
        Size { height: 17, width: 31 },
        Size { height: 128, width: 97 },
    ];

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
            // The definition is slow: look at the first, the last and one output between.
            let looked_at = [0, outputs / 2 + 1, outputs - 1];
            let rows: Vec<f32> =
                looked_at.iter().flat_map(|o| weight[o * inputs * 9..][..inputs * 9].to_vec()).collect();
            let expected = reference(&rows, &input, size, Padding::Zero);
            let conv = Winograd::new(outputs, inputs, |o, i, y, x| weight[((o * inputs + i) * 3 + y) * 3 + x]);
            let data = block(&input, inputs);
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; outputs * size.pixels()];
                let sink = Store { data: Shared::new(&mut out), size };
                conv.run(isa, &mut [Default::default(), Default::default()], size, Plain { data: &data, size }, sink);
                let out = unblock(&out, outputs);
                assert!(out.iter().all(|v| v.is_finite()));
                let out: Vec<f32> =
                    looked_at.iter().flat_map(|o| out[o * size.pixels()..][..size.pixels()].to_vec()).collect();
                assert_close(&out, &expected, 1e-4, &format!("{isa} {inputs} {outputs} {size:?}"));
            }
        }
    }

    #[test]
    fn every_padding_and_its_adjoint_equal_the_definition_on_every_instruction_set() {
        let ((inputs, outputs), mut random) = ((32, 16), Random(4));
        let all = SIZES.into_iter().filter(|size| size.pixels() < 1000);
        for (size, padding) in all.flat_map(|size| PADDINGS.map(|padding| (size, padding))) {
            let weight = random.normal(outputs * inputs * 9);
            let at = |o: usize, i: usize, y: usize, x: usize| weight[((o * inputs + i) * 3 + y) * 3 + x];
            let (input, gradient) = (random.normal(inputs * size.pixels()), random.normal(outputs * size.pixels()));
            let expected = reference(&weight, &input, size, padding);
            let expected_back = reference_back(&weight, &gradient, size, padding);
            let forward = Winograd::new(outputs, inputs, at);
            let backward = Winograd::new(inputs, outputs, |o, i, y, x| at(i, o, 2 - y, 2 - x));
            let (input, gradient) = (block(&input, inputs), block(&gradient, outputs));
            for isa in Isa::available() {
                let what = format!("{isa} {size:?} {padding:?}");
                let mut out = vec![f32::NAN; expected.len()];
                let source = Edged { source: Plain { data: &input, size }, padding };
                let sink = Store { data: Shared::new(&mut out), size };
                forward.run(isa, &mut [Default::default()], size, source, sink);
                assert_close(&unblock(&out, outputs), &expected, 1e-4, &what);
                let mut out = vec![f32::NAN; inputs * size.grown().pixels()];
                let source = Plain { data: &gradient, size };
                back_through(&backward, isa, &mut [Default::default()], source, padding, size, &mut out);
                assert_close(&unblock(&out[..expected_back.len()], inputs), &expected_back, 1e-4, &what);
            }
        }
    }

    #[test]
    fn bias_relu_and_pools_equal_the_definition_on_every_instruction_set() {
        let (channels, mut random) = (32, Random(2));
        for (size, pool) in SIZES.iter().flat_map(|&size| [(size, Pool::Max), (size, Pool::Avg)]) {
            let small = size.pooled();
            let weight = random.normal(channels * channels * 9);
            let bias = random.normal(channels);
            let input = random.normal(channels * size.pixels());
            let mut active = reference(&weight, &input, size, Padding::Zero);
            for (plane, bias) in active.chunks_exact_mut(size.pixels()).zip(&bias) {
                plane.iter_mut().for_each(|v| *v = (*v + bias).max(0.0));
            }
            let window = |c: usize, y: usize, x: usize| {
                [(0, 0), (0, 1), (1, 0), (1, 1)]
                    .map(|(i, j)| active[(c * size.height + y * 2 + i) * size.width + x * 2 + j])
            };
            let mut expected = Vec::new();
            let mut unpooled = vec![0.0; active.len()];
            for c in 0..channels {
                for (y, x) in (0..small.height).flat_map(|y| (0..small.width).map(move |x| (y, x))) {
                    let values = window(c, y, x);
                    let top = values.iter().copied().fold(0.0, f32::max);
                    expected.push(if pool == Pool::Max { top } else { values.iter().sum::<f32>() / 4.0 });
                    let first = values.iter().position(|&v| v == top);
                    for (n, &v) in values.iter().enumerate() {
                        let share = match pool {
                            Pool::Max => (first == Some(n)) as u8 as f32,
                            Pool::Avg => 0.25,
                        };
                        if v > 0.0 {
                            unpooled[(c * size.height + y * 2 + n / 2) * size.width + x * 2 + n % 2] = share;
                        }
                    }
                }
            }
            let conv = Winograd::new(channels, channels, |o, i, y, x| weight[((o * channels + i) * 3 + y) * 3 + x]);
            for isa in Isa::available() {
                let (mut full, mut pooled) = (vec![f32::NAN; active.len()], vec![f32::NAN; expected.len()]);
                let mut passed = vec![u16::MAX; active.len() / LANES];
                let sink = Activate {
                    bias: &bias,
                    full: Some(Shared::new(&mut full)),
                    pooled: Some((Shared::new(&mut pooled), pool)),
                    passed: Shared::new(&mut passed),
                    size,
                };
                let data = block(&input, channels);
                conv.run(isa, &mut [Default::default()], size, Plain { data: &data, size }, sink);
                let what = format!("{isa} {pool:?} {size:?}");
                assert_close(&unblock(&full, channels), &active, 1e-4, &what);
                assert_close(&unblock(&pooled, channels), &expected, 1e-4, &what);
                // A gradient of ones comes back as each value's share in its window.
                let ones = vec![1.0; pooled.len()];
                let source = Unpooled { gradient: &ones, passed: &passed, size, pool };
                let mut back = vec![f32::NAN; full.len()];
                isa.run(Gather { source, channels, size, out: &mut back });
                assert_close(&unblock(&back, channels), &unpooled, 1e-6, &what);
            }
        }
    }

    #[test]
    fn the_first_convolution_equals_the_definition_in_both_directions() {
        let (outputs, mut random) = (32, Random(3));
        for (size, padding) in SIZES.into_iter().flat_map(|size| PADDINGS.map(|padding| (size, padding))) {
            let weight = random.normal(outputs * 27);
            let bias = random.normal(outputs);
            let pixels = random.normal(3 * size.pixels());
            let planes: Vec<f32> = (0..3).flat_map(|c| pixels.iter().skip(c).step_by(3).copied()).collect();
            let mut expected = reference(&weight, &planes, size, padding);
            for (plane, bias) in expected.chunks_exact_mut(size.pixels()).zip(&bias) {
                plane.iter_mut().for_each(|v| *v = (*v + bias).max(0.0));
            }
            let gradient = random.normal(outputs * size.pixels());
            let masked: Vec<f32> =
                gradient.iter().zip(&expected).map(|(g, f)| if *f > 0.0 { *g } else { 0.0 }).collect();
            let expected_back = reference_back(&weight, &masked, size, padding);
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
