//! Where the output of a convolution goes.

use crate::nst::kernels::parallel::Shared;
use crate::nst::kernels::simd::{LANES, Lanes};
use crate::nst::layers::Pool;
use crate::nst::picture::geometry::Size;

/// Takes the output in tiles of up to 4x4 pixels, sixteen channels each.
pub trait Sink: Copy + Sync {
    /// Whether the buffers hold `blocks` blocks of pictures of `size`.
    fn fits(&self, blocks: usize, size: Size) -> bool;

    /// Takes the values at `(y + i, x + j)` and ignores those outside the picture; `y` and `x` are even.
    ///
    /// # Safety
    /// [`Sink::fits`] is true for more than `block` blocks of pictures that have a row `y` and a column `x`. No other
    /// thread writes these pixels of this block meanwhile.
    unsafe fn write<L: Lanes>(&self, block: usize, y: usize, x: usize, values: &[[L; 4]; 4]);
}

/// Stores values as they are, blocked.
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
                // SAFETY: the pixel is inside the picture, which `data` fits, and the caller has this tile to itself.
                unsafe { value.store(self.data.at((at + j) * LANES)) };
            }
        }
    }
}

/// Adds the bias and applies the ReLU and, where one follows, the 2x2 pool. Keeps which values pass a gradient back.
#[derive(Clone, Copy)]
pub struct Activate<'a> {
    /// One value for each channel.
    pub bias: &'a [f32],
    /// The activations, where a tap or an unpooled layer reads them.
    pub full: Option<Shared<'a, f32>>,
    /// The pooled activations, where a pool follows.
    pub pooled: Option<(Shared<'a, f32>, Pool)>,
    /// For [`Masked::passed`](super::source::Masked::passed), or for
    /// [`Unpooled::passed`](super::source::Unpooled::passed) where a pool follows.
    pub passed: Shared<'a, u16>,
    /// Before the pool.
    pub size: Size,
}

impl Activate<'_> {
    /// The pooled value of one 2x2 window of activations, and for each of the four the bits of [`Activate::passed`].
    #[inline(always)]
    fn pool<L: Lanes>(pool: Pool, window: [L; 4]) -> (L, [u16; 4]) {
        let [a, b, c, d] = window;
        match pool {
            Pool::Max => {
                let top = a.max(b).max(c.max(d));
                let alive = top.positive();
                // The first of equal values gets the gradient, as in other frameworks.
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
        // SAFETY: all pixels and windows below are inside the picture, which all buffers fit. `y` and `x` are even, so
        // the windows are this tile's own, and the caller has the tile to itself.
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
    use crate::nst::kernels::conv::definition::{SIZES, convolve};
    use crate::nst::kernels::conv::source::{Gather, Plain, Unpooled};
    use crate::nst::kernels::conv::winograd::Winograd;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::layers::Padding;
    use crate::nst::testing::{Random, assert_close, block, unblock};

    /// By definition, from activations `[channels][height][width]`: the pooled planes, and the gradient with respect to
    /// the ReLU's input where that of every pooled value is 1.
    fn pooled(active: &[f32], size: Size, pool: Pool) -> (Vec<f32>, Vec<f32>) {
        let (mut pooled, mut gradient) = (Vec::new(), vec![0.0; active.len()]);
        let small = size.pooled();
        for (c, y, x) in (0..active.len() / size.pixels())
            .flat_map(|c| (0..small.height).flat_map(move |y| (0..small.width).map(move |x| (c, y, x))))
        {
            let window =
                [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| (c * size.height + y * 2 + i) * size.width + x * 2 + j);
            let values = window.map(|at| active[at]);
            let top = values.iter().copied().fold(0.0, f32::max);
            pooled.push(if pool == Pool::Max { top } else { values.iter().sum::<f32>() / 4.0 });
            let first = values.iter().position(|&v| v == top);
            for (n, at) in window.into_iter().enumerate().filter(|&(n, _)| values[n] > 0.0) {
                gradient[at] = match pool {
                    Pool::Max => (first == Some(n)) as u8 as f32,
                    Pool::Avg => 0.25,
                };
            }
        }
        (pooled, gradient)
    }

    #[test]
    fn bias_relu_and_pools_equal_the_definition_on_every_instruction_set() {
        let (channels, mut random) = (32, Random(2));
        for (size, pool) in SIZES.iter().flat_map(|&size| [(size, Pool::Max), (size, Pool::Avg)]) {
            let weight = random.normal(channels * channels * 9);
            let bias = random.normal(channels);
            let input = random.normal(channels * size.pixels());
            let mut active = convolve(&weight, &input, size, Padding::Zero);
            for (plane, bias) in active.chunks_exact_mut(size.pixels()).zip(&bias) {
                plane.iter_mut().for_each(|v| *v = (*v + bias).max(0.0));
            }
            let (expected, unpooled) = self::pooled(&active, size, pool);
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
                let ones = vec![1.0; pooled.len()];
                let source = Unpooled { gradient: &ones, passed: &passed, size, pool };
                let mut back = vec![f32::NAN; full.len()];
                isa.run(Gather { source, channels, size, out: &mut back });
                assert_close(&unblock(&back, channels), &unpooled, 1e-6, &what);
            }
        }
    }
}
