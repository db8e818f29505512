//! Sums over long slices, in double precision and in an order that no number of threads changes.

use rayon::prelude::*;

/// Values that one task sums.
const CHUNK: usize = 1 << 16;

/// `sum f(a, b)` over two slices of one length.
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = a
        .par_chunks(CHUNK)
        .zip(b.par_chunks(CHUNK))
        .map(|(a, b)| {
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
        })
        .collect();
    parts.iter().sum()
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
    let alpha = alpha as f32;
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        for (y, x) in y.iter_mut().zip(x) {
            *y += alpha * x;
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
