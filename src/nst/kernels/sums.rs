//! Sums over long slices, in double precision and in an order that no number of threads changes.

use rayon::prelude::*;

/// Values that one task sums.
const CHUNK: usize = 1 << 16;

/// Values that stay in the first cache while other slices pass by.
const PIECE: usize = 1 << 12;

/// `sum f(a, b)` over two slices of one length.
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(|(a, b)| piece_sum2(a, b, &f)).collect();
    parts.iter().sum()
}

fn piece_sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64) -> f64 {
    // Eight running sums let the compiler use vectors.
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(&a, &b)| f(a, b)).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += f(a[i], b[i]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The inner product.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum2(a, b, |a, b| a as f64 * b as f64)
}

/// The squared Euclidean norm.
pub fn norm2(a: &[f32]) -> f64 {
    dot(a, a)
}

/// `y += alpha x`.
pub fn axpy(alpha: f64, x: &[f32], y: &mut [f32]) {
    add_sum(&[(alpha, x)], y);
}

/// The inner products of every one of `rows` with every one of `vs`, all of one length: `[row][v]`.
pub fn dots<const N: usize>(rows: &[&[f32]], vs: [&[f32]; N]) -> Vec<[f64; N]> {
    let len = vs.first().map_or(0, |v| v.len());
    let parts: Vec<Vec<[f64; N]>> = (0..len.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut sums = vec![[0.0; N]; rows.len()];
            let end = ((chunk + 1) * CHUNK).min(len);
            // In pieces that stay in the cache until all are done with them.
            for start in (chunk * CHUNK..end).step_by(PIECE) {
                let piece = start..(start + PIECE).min(end);
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for (sum, v) in sums.iter_mut().zip(vs) {
                        *sum += piece_sum2(&row[piece.clone()], &v[piece.clone()], |a, b| a as f64 * b as f64);
                    }
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![[0.0; N]; rows.len()];
    for part in parts {
        sums.iter_mut().flatten().zip(part.iter().flatten()).for_each(|(sum, part)| *sum += part);
    }
    sums
}

/// `y += sum alpha x` over all `terms`.
pub fn add_sum(terms: &[(f64, &[f32])], y: &mut [f32]) {
    y.par_chunks_mut(PIECE).enumerate().for_each(|(n, y)| {
        for &(alpha, x) in terms {
            let alpha = alpha as f32;
            y.iter_mut().zip(&x[n * PIECE..]).for_each(|(y, x)| *y += alpha * x);
        }
    });
}

/// Adds `alpha (a - b)` to `to` and returns `|a - b|^2`.
pub fn add_scaled_difference(alpha: f32, a: &[f32], b: &[f32], to: &mut [f32]) -> f64 {
    let parts: Vec<f64> = (to.par_chunks_mut(CHUNK), a.par_chunks(CHUNK), b.par_chunks(CHUNK))
        .into_par_iter()
        .map(|(to, a, b)| {
            let mut sums = [0.0; 8];
            for ((to, a), b) in to.chunks_mut(8).zip(a.chunks(8)).zip(b.chunks(8)) {
                for (i, ((to, a), b)) in to.iter_mut().zip(a).zip(b).enumerate() {
                    let difference = a - b;
                    *to += alpha * difference;
                    sums[i] += (difference as f64).powi(2);
                }
            }
            sums.iter().sum::<f64>()
        })
        .collect();
    parts.iter().sum()
}
