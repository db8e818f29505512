//! Sums over long slices, in an order that does not depend on the number of threads. Sums to one number are in double
//! precision.

use rayon::prelude::*;

/// Values that one task sums: fixed, so that the order of sums is too.
const CHUNK: usize = 1 << 16;

/// Values that stay in the first-level cache while other slices are read.
const PIECE: usize = 1 << 12;

/// `sum f(a, b)` over two slices of the same length.
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(|(a, b)| piece_sum2(a, b, &f)).collect();
    parts.iter().sum()
}

fn piece_sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64) -> f64 {
    // With eight sums the compiler may use vectors: it must not reorder one sum.
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

/// The inner product of each of `rows` with each of `vs`, all of the same length: `[row][v]`. Reads each value once.
pub fn dots<const N: usize>(rows: &[&[f32]], vs: [&[f32]; N]) -> Vec<[f64; N]> {
    let len = vs.first().map_or(0, |v| v.len());
    let parts: Vec<Vec<[f64; N]>> = (0..len.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut sums = vec![[0.0; N]; rows.len()];
            let end = ((chunk + 1) * CHUNK).min(len);
            // Piece by piece, so that a piece stays in the cache for all products.
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

/// `y += sum alpha x` over all `terms` `(alpha, x)`, each as long as `y`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::{Random, assert_close};

    /// Shorter than eight values, not a multiple of eight, and several chunks.
    const LENGTHS: [usize; 4] = [0, 3, 4099, 2 * CHUNK + 17];

    fn inner(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn inner_products_equal_the_definition_at_any_length() {
        let mut random = Random(7);
        for len in LENGTHS {
            let [a, b, c] = std::array::from_fn(|_| random.normal(len));
            let near = |found: f64, a: &[f32], b: &[f32]| {
                let scale = (inner(a, a) * inner(b, b)).sqrt();
                assert!((found - inner(a, b)).abs() <= 1e-12 * scale, "{len}: {found} for {}", inner(a, b));
            };
            near(dot(&a, &b), &a, &b);
            near(norm2(&c), &c, &c);
            let products = dots(&[&a, &b], [&b, &c]);
            for (row, products) in [&a, &b].into_iter().zip(products) {
                near(products[0], row, &b);
                near(products[1], row, &c);
            }
        }
    }

    #[test]
    fn linear_combinations_equal_the_definition_at_any_length() {
        let mut random = Random(8);
        for len in LENGTHS {
            let [a, b, y] = std::array::from_fn(|_| random.normal(len));
            let expected: Vec<f32> = (0..len).map(|n| y[n] + 0.5 * a[n] - 2.0 * b[n]).collect();
            let mut sum = y.clone();
            add_sum(&[(0.5, &a), (-2.0, &b)], &mut sum);
            assert_close(&sum, &expected, 1e-6, "a sum of two");
            let mut sum = y.clone();
            let distance = add_scaled_difference(0.25, &a, &b, &mut sum);
            let expected: Vec<f32> = (0..len).map(|n| y[n] + 0.25 * (a[n] - b[n])).collect();
            assert_close(&sum, &expected, 1e-6, "a scaled difference");
            let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
            assert!((distance - norm2(&difference)).abs() <= 1e-9 * distance, "{len}: {distance}");
        }
    }
}
