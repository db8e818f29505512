//! The register-tiled matrix product under the convolutions and the Gram gradients.

use crate::nst::kernels::simd::{LANES, Lanes};

/// Blocks of `k` that one pass over the rows sums: two panels of that many stay in the first-level cache.
const DEPTH: usize = 8;

/// Floats that [`pack_columns`] fills for a `k x n` matrix, `n` a multiple of 16.
pub const fn packed_len(k: usize, n: usize) -> usize {
    k * n
}

/// Packs the `k x n` matrix whose entries `at(row, column)` gives into `[n / 16][k][16]`.
pub fn pack_columns(k: usize, n: usize, at: impl Fn(usize, usize) -> f32, packed: &mut [f32]) {
    for (panel, block) in packed[..packed_len(k, n)].chunks_exact_mut(k * LANES).enumerate() {
        for (row, lanes) in block.chunks_exact_mut(LANES).enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate() {
                *value = at(row, panel * LANES + lane);
            }
        }
    }
}

/// `R` rows times `C` panels of sixteen columns, added to `acc`.
///
/// Operands as for [`product_rows`]; the panels of `b` are `b_step` floats apart.
#[inline(always)]
unsafe fn accumulate<L: Lanes, const R: usize, const C: usize>(
    k_blocks: usize,
    mut a: *const f32,
    a_step: usize,
    mut b: *const f32,
    b_step: usize,
    acc: &mut [[L; C]; R],
) {
    let mut sum = *acc;
    unsafe {
        for _ in 0..k_blocks {
            for k in 0..LANES {
                let mut column = [L::splat(0.0); C];
                for c in 0..C {
                    column[c] = L::load(b.add(c * b_step + k * LANES));
                }
                for r in 0..R {
                    let value = L::splat(*a.add(r * LANES + k));
                    for c in 0..C {
                        sum[r][c] = value.mul_add(column[c], sum[r][c]);
                    }
                }
            }
            a = a.add(a_step);
            b = b.add(LANES * LANES);
        }
    }
    *acc = sum;
}

/// `rows x k` times `k x (16 * panels)`, in register tiles of `L::ROWS` rows.
///
/// `a` is `[k / 16][..][16]` with `a_step` floats between its blocks and the rows of one block next to each other; `b` is
/// packed by [`pack_columns`]; `out` is `[panels][..][16]`, its panels `out_step` floats apart. With `weights`, one a row, the
/// product times its row's weight is added to what stands there. Rows are computed one by one in the same order of `k`,
/// however many share a register tile.
///
/// # Safety
/// All operands are as large as these shapes say.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "a matrix product has this many shapes and strides")]
pub unsafe fn product_rows<L: Lanes>(
    rows: usize,
    panels: usize,
    k_blocks: usize,
    a: *const f32,
    a_step: usize,
    b: *const f32,
    out: *mut f32,
    out_step: usize,
    weights: Option<*const f32>,
) {
    let b_step = k_blocks * LANES * LANES;
    let mut panel = 0;
    unsafe {
        if L::WIDE {
            while panel + 2 <= panels {
                let (b, out) = (b.add(panel * b_step), out.add(panel * out_step));
                strip::<L, 2>(rows, k_blocks, a, a_step, b, b_step, out, out_step, weights);
                panel += 2;
            }
        }
        while panel < panels {
            let (b, out) = (b.add(panel * b_step), out.add(panel * out_step));
            strip::<L, 1>(rows, k_blocks, a, a_step, b, b_step, out, out_step, weights);
            panel += 1;
        }
    }
}

/// All rows of `C` panels.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "as for `product_rows`")]
unsafe fn strip<L: Lanes, const C: usize>(
    rows: usize,
    k_blocks: usize,
    a: *const f32,
    a_step: usize,
    b: *const f32,
    b_step: usize,
    out: *mut f32,
    out_step: usize,
    weights: Option<*const f32>,
) {
    unsafe {
        for k in (0..k_blocks).step_by(DEPTH) {
            let depth = DEPTH.min(k_blocks - k);
            let (a, b) = (a.add(k * a_step), b.add(k * LANES * LANES));
            let mut row = 0;
            while row + L::ROWS <= rows {
                match L::ROWS {
                    12 => tile::<L, 12, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0),
                    6 => tile::<L, 6, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0),
                    _ => tile::<L, 3, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0),
                }
                row += L::ROWS;
            }
            // What is left: in thirds of a register tile, which still keep the multipliers busy, then row by row.
            while row + L::ROWS / 3 <= rows {
                match L::ROWS {
                    12 => tile::<L, 4, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0),
                    6 => tile::<L, 2, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0),
                    _ => tile::<L, 1, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0),
                }
                row += L::ROWS / 3;
            }
            while row < rows {
                tile::<L, 1, C>(row, depth, a, a_step, b, b_step, out, out_step, weights, k > 0);
                row += 1;
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "as for `product_rows`")]
unsafe fn tile<L: Lanes, const R: usize, const C: usize>(
    row: usize,
    k_blocks: usize,
    a: *const f32,
    a_step: usize,
    b: *const f32,
    b_step: usize,
    out: *mut f32,
    out_step: usize,
    weights: Option<*const f32>,
    add: bool,
) {
    let mut acc = [[L::splat(0.0); C]; R];
    unsafe {
        let (a, out) = (a.add(row * LANES), out.add(row * LANES));
        accumulate::<L, R, C>(k_blocks, a, a_step, b, b_step, &mut acc);
        for r in 0..R {
            for c in 0..C {
                let to = out.add(c * out_step + r * LANES);
                match weights {
                    Some(weights) => acc[r][c].mul_add(L::splat(*weights.add(row + r)), L::load(to)).store(to),
                    None if add => L::load(to).add(acc[r][c]).store(to),
                    None => acc[r][c].store(to),
                }
            }
        }
    }
}
