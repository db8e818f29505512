//! The register-tiled matrix product under the convolutions and the Gram gradients.

use crate::nst::kernels::simd::{LANES, Lanes};

/// Blocks of `k` that one pass over the rows sums: two panels of that many stay in the first-level cache.
const DEPTH: usize = 8;

/// The number of floats that [`pack_columns`] fills for a `k x n` matrix, `n` a multiple of 16.
pub const fn packed_len(k: usize, n: usize) -> usize {
    k * n
}

/// Packs the `k x n` matrix with the entries `at(row, column)` into `[n / 16][k][16]`.
pub fn pack_columns(k: usize, n: usize, at: impl Fn(usize, usize) -> f32, packed: &mut [f32]) {
    for (panel, block) in packed[..packed_len(k, n)].chunks_exact_mut(k * LANES).enumerate() {
        for (row, lanes) in block.chunks_exact_mut(LANES).enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate() {
                *value = at(row, panel * LANES + lane);
            }
        }
    }
}

/// A product of matrices: `out = a b`, with `rows x k` times `k x (16 * panels)`.
#[derive(Clone, Copy)]
pub struct Product {
    pub rows: usize,
    /// The columns of `b`, over 16.
    pub panels: usize,
    /// `k` over 16.
    pub k_blocks: usize,
    /// `[k / 16][..][16]`: blocks are `a_step` floats apart, and the rows of a block are next to each other.
    pub a: *const f32,
    pub a_step: usize,
    /// Packed by [`pack_columns`].
    pub b: *const f32,
    /// `[panels][..][16]`: panels are `out_step` floats apart, and the rows of a panel are next to each other.
    pub out: *mut f32,
    pub out_step: usize,
    /// One weight for each row. With weights, the product times the weight of its row is added to `out`.
    pub weights: Option<*const f32>,
}

impl Product {
    /// Computes the product in register tiles of `L::ROWS` rows. Each row is summed in the same order of `k`, however
    /// many rows share a tile.
    ///
    /// # Safety
    /// All operands are as large as their shapes say, and `out` overlaps none of the others. No other thread touches
    /// `out` meanwhile.
    #[inline(always)]
    pub unsafe fn run<L: Lanes>(self) {
        let mut panel = 0;
        if L::WIDE {
            while panel + 2 <= self.panels {
                // SAFETY: the panels `panel` and `panel + 1` are inside the operands, for which the caller vouches.
                unsafe { self.skip_to(panel).strip::<L, 2>() };
                panel += 2;
            }
        }
        while panel < self.panels {
            // SAFETY: `panel` is inside the operands, for which the caller vouches.
            unsafe { self.skip_to(panel).strip::<L, 1>() };
            panel += 1;
        }
    }

    /// Floats from one panel of `b` to the next.
    #[inline(always)]
    fn b_step(&self) -> usize {
        self.k_blocks * LANES * LANES
    }

    /// The operands from `panel` on.
    ///
    /// # Safety
    /// There is such a panel.
    #[inline(always)]
    unsafe fn skip_to(self, panel: usize) -> Self {
        // SAFETY: both stay inside their operand, since there is such a panel.
        let (b, out) = unsafe { (self.b.add(panel * self.b_step()), self.out.add(panel * self.out_step)) };
        Self { b, out, ..self }
    }

    /// All rows of the first `C` panels.
    ///
    /// # Safety
    /// As for [`Product::run`], with at least `C` panels.
    #[inline(always)]
    unsafe fn strip<L: Lanes, const C: usize>(self) {
        for k in (0..self.k_blocks).step_by(DEPTH) {
            let depth = DEPTH.min(self.k_blocks - k);
            let mut row = 0;
            // SAFETY: `k..k + depth` are blocks, each tile's rows end before `rows`, and the caller vouches for the
            // operands.
            unsafe {
                let part = Self { a: self.a.add(k * self.a_step), b: self.b.add(k * LANES * LANES), ..self };
                while row + L::ROWS <= self.rows {
                    match L::ROWS {
                        12 => part.tile::<L, 12, C>(row, depth, k > 0),
                        6 => part.tile::<L, 6, C>(row, depth, k > 0),
                        _ => part.tile::<L, 3, C>(row, depth, k > 0),
                    }
                    row += L::ROWS;
                }
                // The rest in thirds of a register tile, which still keep the multipliers busy, and then row by row.
                while row + L::ROWS / 3 <= self.rows {
                    match L::ROWS {
                        12 => part.tile::<L, 4, C>(row, depth, k > 0),
                        6 => part.tile::<L, 2, C>(row, depth, k > 0),
                        _ => part.tile::<L, 1, C>(row, depth, k > 0),
                    }
                    row += L::ROWS / 3;
                }
                while row < self.rows {
                    part.tile::<L, 1, C>(row, depth, k > 0);
                    row += 1;
                }
            }
        }
    }

    /// `R` rows from `row` of the first `C` panels, over the first `depth` blocks of `k`. Adds to `out` where `add`
    /// says so.
    ///
    /// # Safety
    /// As for [`Product::run`], with at least `row + R` rows, `C` panels and `depth` blocks.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const C: usize>(self, row: usize, depth: usize, add: bool) {
        // SAFETY: rows, panels and blocks are inside the operands, for which the caller vouches.
        unsafe {
            let sums = self.sums::<L, R, C>(row, depth);
            let out = self.out.add(row * LANES);
            for r in 0..R {
                for c in 0..C {
                    let to = out.add(c * self.out_step + r * LANES);
                    match self.weights {
                        Some(weights) => sums[r][c].mul_add(L::splat(*weights.add(row + r)), L::load(to)).store(to),
                        None if add => L::load(to).add(sums[r][c]).store(to),
                        None => sums[r][c].store(to),
                    }
                }
            }
        }
    }

    /// The sums of a [`tile`](Product::tile), in registers.
    ///
    /// # Safety
    /// As for [`Product::tile`].
    #[inline(always)]
    unsafe fn sums<L: Lanes, const R: usize, const C: usize>(self, row: usize, depth: usize) -> [[L; C]; R] {
        let mut sums = [[L::splat(0.0); C]; R];
        // SAFETY: rows, panels and blocks are inside the operands, for which the caller vouches. The last round leaves
        // both pointers at most one step behind the last block, and they are not read there.
        unsafe {
            let mut a = self.a.add(row * LANES);
            let mut b = self.b;
            for _ in 0..depth {
                for k in 0..LANES {
                    let mut column = [L::splat(0.0); C];
                    for c in 0..C {
                        column[c] = L::load(b.add(c * self.b_step() + k * LANES));
                    }
                    for r in 0..R {
                        let value = L::splat(*a.add(r * LANES + k));
                        for c in 0..C {
                            sums[r][c] = value.mul_add(column[c], sums[r][c]);
                        }
                    }
                }
                a = a.wrapping_add(self.a_step);
                b = b.wrapping_add(LANES * LANES);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::simd::{Isa, Kernel};
    use crate::nst::testing::{Random, assert_close, block, unblock};

    impl Kernel for Product {
        type Output = ();

        #[inline(always)]
        fn run<L: Lanes>(self) {
            // SAFETY: the test below makes operands of these shapes.
            unsafe { Product::run::<L>(self) }
        }
    }

    #[test]
    fn products_equal_the_definition_at_any_number_of_rows_on_every_instruction_set() {
        let mut random = Random(6);
        for (rows, panels, k_blocks) in [(1, 1, 1), (2, 3, 2), (11, 2, 9), (13, 5, 1), (36, 1, 17), (47, 4, 8)] {
            let (k, n) = (k_blocks * LANES, panels * LANES);
            let (a, b) = (random.normal(k * rows), random.normal(k * n));
            let (before, weights) = (random.normal(n * rows), random.normal(rows));
            let sum = |column: usize, row: usize| {
                (0..k).map(|i| f64::from(a[i * rows + row]) * f64::from(b[i * n + column])).sum::<f64>() as f32
            };
            let plain: Vec<f32> = (0..n * rows).map(|at| sum(at / rows, at % rows)).collect();
            let added: Vec<f32> = (0..n * rows).map(|at| before[at] + weights[at % rows] * plain[at]).collect();
            let mut packed = vec![0.0; packed_len(k, n)];
            pack_columns(k, n, |i, column| b[i * n + column], &mut packed);
            let a = block(&a, k);
            for isa in Isa::available() {
                for (weights, expected) in [(None, &plain), (Some(weights.as_ptr()), &added)] {
                    let mut out = block(&before, n);
                    let (a, b, step) = (a.as_ptr(), packed.as_ptr(), rows * LANES);
                    let out_ptr = out.as_mut_ptr();
                    let product =
                        Product { rows, panels, k_blocks, a, a_step: step, b, out: out_ptr, out_step: step, weights };
                    isa.run(product);
                    assert_close(&unblock(&out, n), expected, 1e-5, &format!("{isa} {rows} {panels} {k_blocks}"));
                }
            }
        }
    }
}
