//! Gram matrices of blocked activations over a soft region of the picture, and the gradient through them.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::product::{Product, pack_columns, packed_len};
use crate::nst::kernels::parallel::{Shared, each};
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use rayon::prelude::*;
use std::ops::Range;

/// The largest number of pieces that the pixels are cut into. It is fixed, so that sums do not depend on the threads.
const PIECES: usize = 16;

/// The least number of pixels in a piece.
const PIECE: usize = 256;

/// Pixels whose products are summed in registers before they are added to memory.
const RUN: usize = 64;

/// Buffers that are reused between evaluations.
pub struct Scratch {
    /// The sum of each piece: `[PIECES][channels][channels]`.
    partial: Aligned,
    /// The derivative of the loss with respect to the matrix, packed by [`pack_columns`].
    packed: Aligned,
}

impl Scratch {
    /// For matrices of up to `channels`.
    pub fn new(channels: usize) -> Self {
        let matrix = channels * channels;
        Self { partial: Aligned::zeros(PIECES * matrix), packed: Aligned::zeros(packed_len(channels, channels)) }
    }

    /// Writes `G = sum w f f^T / sum w` to `gram`, `[channels][channels]`: over all pixels, with their features `f`,
    /// blocked, and `weights` of at least 0.
    ///
    /// With equal weights this is equation 3 of Gatys et al. 2016, over the number of pixels. Other weights are the
    /// guides of Gatys et al. 2017, section 4, squared.
    ///
    /// # Panics
    /// When `features` are not blocked, or there is not one weight for each pixel.
    pub fn gram(&mut self, isa: Isa, features: &[f32], channels: usize, weights: &[f32], gram: &mut [f32]) {
        assert!(channels.is_multiple_of(LANES) && features.len().is_multiple_of(channels), "features must be blocked");
        let pixels = features.len() / channels;
        assert_eq!(weights.len(), pixels, "a weight for each pixel");
        let length = pixels.div_ceil(PIECES).max(PIECE).next_multiple_of(RUN);
        let pieces = pixels.div_ceil(length);
        let matrix = channels * channels;
        let partial = &mut self.partial[..pieces * matrix];
        let shared = Shared::new(partial);
        each(pieces, |piece| {
            let range = piece * length..pixels.min((piece + 1) * length);
            // SAFETY: `partial` holds a matrix for each piece, and this is the piece's own.
            let out = unsafe { std::slice::from_raw_parts_mut(shared.at(piece * matrix), matrix) };
            out.fill(0.0);
            let out = out.as_mut_ptr();
            isa.run(ChannelProducts { features, channels, pixels, weights, range, out });
        });
        let (partial, scale) = (&*partial, 1.0 / total(weights).max(f32::MIN_POSITIVE));
        gram.par_chunks_mut(channels).enumerate().for_each(|(i, row)| {
            for (j, value) in row.iter_mut().enumerate() {
                // `ChannelProducts` computes the blocks on and above the diagonal.
                let at = if i / LANES <= j / LANES { i * channels + j } else { j * channels + i };
                *value = (0..pieces).map(|piece| partial[piece * matrix + at]).sum::<f32>() * scale;
            }
        });
    }

    /// Adds `w D f` to the `gradient` of each pixel, where `D` is the symmetric matrix `d`, `[channels][channels]`.
    ///
    /// With `D = (dL/dG + dL/dG^T) / sum w` this is the gradient of `L` with respect to the features.
    ///
    /// # Panics
    /// When `features` are not blocked, or `gradient` or `weights` have other sizes.
    pub fn add_gradient(
        &mut self,
        isa: Isa,
        features: &[f32],
        channels: usize,
        weights: &[f32],
        d: &[f32],
        gradient: &mut [f32],
    ) {
        assert!(channels.is_multiple_of(LANES) && features.len().is_multiple_of(channels), "features must be blocked");
        let pixels = features.len() / channels;
        assert_eq!(features.len(), gradient.len(), "a gradient has the size of its features");
        assert_eq!(weights.len(), pixels, "a weight for each pixel");
        pack_columns(channels, channels, |i, j| d[i * channels + j], &mut self.packed);
        let (packed, gradient) = (&self.packed, Shared::new(gradient));
        const ROWS: usize = 96;
        each(pixels.div_ceil(ROWS), |piece| {
            let first = piece * ROWS;
            let weights = &weights[first..pixels.min(first + ROWS)];
            if weights.iter().any(|&w| w > 0.0) {
                isa.run(AddProduct { features, channels, pixels, first, weights, packed, gradient });
            }
        });
    }
}

/// The sum of `weights`, in their order.
pub fn total(weights: &[f32]) -> f32 {
    weights.iter().map(|&w| w as f64).sum::<f64>() as f32
}

/// Adds the weighted products of channel pairs over a range of pixels to `out`, for all pairs of blocks on and above
/// the diagonal.
struct ChannelProducts<'a> {
    features: &'a [f32],
    channels: usize,
    pixels: usize,
    weights: &'a [f32],
    range: Range<usize>,
    /// `[channels][channels]`, not touched by another thread.
    out: *mut f32,
}

impl Kernel for ChannelProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let blocks = self.channels / LANES;
        for first in self.range.clone().step_by(RUN) {
            let count = RUN.min(self.range.end - first);
            if self.weights[first..first + count].iter().all(|&w| w == 0.0) {
                continue;
            }
            // Most pictures are one region, whose weights are all 1.
            match self.weights[first..first + count].iter().all(|&w| w == 1.0) {
                true => self.pairs::<L, false>(blocks, first, count),
                false => self.pairs::<L, true>(blocks, first, count),
            }
        }
    }
}

impl ChannelProducts<'_> {
    /// All pairs of blocks over `count` pixels from `first`, `WEIGHTED` or not.
    #[inline(always)]
    fn pairs<L: Lanes, const WEIGHTED: bool>(&self, blocks: usize, first: usize, count: usize) {
        let mut j = 0;
        // SAFETY: `first..first + count` are pixels of the range, and all `i` and `j..j + C` are blocks.
        unsafe {
            while j < blocks {
                if L::WIDE && j + 2 <= blocks {
                    for i in 0..j + 2 {
                        self.block::<L, 8, 2, WEIGHTED>(i, j, first, count);
                    }
                    j += 2;
                } else {
                    for i in 0..=j {
                        self.block::<L, 4, 1, WEIGHTED>(i, j, first, count);
                    }
                    j += 1;
                }
            }
        }
    }

    /// Adds the products of the channels of block `i` with those of the blocks `j..j + C`, `R` rows at a time.
    ///
    /// # Safety
    /// `first..first + count` are pixels, `i` and `j..j + C` are blocks, and `out` is as its field says.
    #[inline(always)]
    unsafe fn block<L: Lanes, const R: usize, const C: usize, const WEIGHTED: bool>(
        &self,
        i: usize,
        j: usize,
        first: usize,
        count: usize,
    ) {
        let step = self.pixels * LANES;
        for row in (0..LANES).step_by(R) {
            // SAFETY: the pixels and blocks are inside `features`, the pixels inside `weights`, and the channels inside
            // `out`.
            unsafe {
                let a = self.features.as_ptr().add(i * step + first * LANES + row);
                let b = self.features.as_ptr().add(j * step + first * LANES);
                let mut acc = [[L::splat(0.0); C]; R];
                let weights = self.weights.as_ptr().add(first);
                for pixel in 0..count {
                    let mut column = [L::splat(0.0); C];
                    for c in 0..C {
                        column[c] = L::load(b.add(c * step + pixel * LANES));
                        if WEIGHTED {
                            column[c] = column[c].mul(L::splat(*weights.add(pixel)));
                        }
                    }
                    for r in 0..R {
                        let value = L::splat(*a.add(pixel * LANES + r));
                        for c in 0..C {
                            acc[r][c] = value.mul_add(column[c], acc[r][c]);
                        }
                    }
                }
                for r in 0..R {
                    for c in 0..C {
                        let to = self.out.add((i * LANES + row + r) * self.channels + (j + c) * LANES);
                        L::load(to).add(acc[r][c]).store(to);
                    }
                }
            }
        }
    }
}

/// `gradient += w D f` for the pixels from `first` on, one for each of `weights`.
struct AddProduct<'a> {
    features: &'a [f32],
    channels: usize,
    pixels: usize,
    first: usize,
    weights: &'a [f32],
    packed: &'a [f32],
    gradient: Shared<'a, f32>,
}

impl Kernel for AddProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let blocks = self.channels / LANES;
        // SAFETY: the pixels are inside `features` and `gradient`, which have the same shape; `packed` is a matrix of
        // all channels. The pixels are this piece's own.
        unsafe {
            let product = Product {
                rows: self.weights.len(),
                panels: blocks,
                k_blocks: blocks,
                a: self.features.as_ptr().add(self.first * LANES),
                a_step: self.pixels * LANES,
                b: self.packed.as_ptr(),
                out: self.gradient.at(self.first * LANES),
                out_step: self.pixels * LANES,
                weights: Some(self.weights.as_ptr()),
            };
            product.run::<L>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::{Random, assert_close, block, unblock};

    #[test]
    fn gram_matrices_and_their_gradients_equal_the_definition_on_every_instruction_set() {
        let mut random = Random(4);
        let cases = [(16, 1), (48, 15), (64, 527), (80, 300), (128, 4097), (256, 12416), (512, 333)];
        for (channels, pixels) in cases {
            let planes = random.normal(channels * pixels);
            let plane = |c: usize| &planes[c * pixels..][..pixels];
            // Some stretches without weight, longer than a run that is skipped.
            let weights: Vec<f32> =
                (0..pixels).map(|p| if p / 200 % 2 == 1 { 0.0 } else { 0.1 + random.uniform() }).collect();
            let total: f64 = weights.iter().map(|&w| w as f64).sum();
            let product = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).zip(&weights).map(|((a, b), w)| *a as f64 * *b as f64 * *w as f64).sum::<f64>()
            };
            let gram_at = |i: usize, j: usize| (product(plane(i), plane(j)) / total) as f32;
            let expected: Vec<f32> = (0..channels * channels).map(|n| gram_at(n / channels, n % channels)).collect();
            // The expected matrix serves as the derivative, which may be any symmetric one.
            let before = random.normal(channels * pixels);
            let sampled = [0, channels / 2, channels - 1];
            let moved = |j: usize| {
                let terms = move |p: usize| (0..channels).map(move |i| (i, p));
                let sum =
                    |p: usize| terms(p).map(|(i, p)| plane(i)[p] as f64 * expected[i * channels + j] as f64).sum();
                let at = |p: usize| {
                    let sum: f64 = sum(p);
                    before[j * pixels + p] + (sum * weights[p] as f64) as f32
                };
                (0..pixels).map(at).collect::<Vec<f32>>()
            };
            let features = block(&planes, channels);
            for isa in Isa::available() {
                let what = format!("{isa} {channels} {pixels}");
                let mut scratch = Scratch::new(channels);
                let mut gram = vec![f32::NAN; channels * channels];
                scratch.gram(isa, &features, channels, &weights, &mut gram);
                assert_close(&gram, &expected, 1e-5, &what);
                let mut gradient = block(&before, channels);
                scratch.add_gradient(isa, &features, channels, &weights, &expected, &mut gradient);
                let gradient = unblock(&gradient, channels);
                for j in sampled {
                    assert_close(&gradient[j * pixels..][..pixels], &moved(j), 1e-5, &what);
                }
            }
        }
    }
}
