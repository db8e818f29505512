//! 3x3 matrices, as covariances of RGB need them.

/// Rows of columns.
pub type Matrix = [[f64; 3]; 3];

/// The matrix product `a b`.
pub fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// A symmetric positive matrix to a power, by its eigenvalues.
pub fn power(matrix: &Matrix, exponent: f64) -> Matrix {
    let (values, vectors) = eigen(matrix);
    compose(&vectors, values.map(|value| value.max(1e-12).powf(exponent)))
}

/// The symmetric matrix with these eigenvectors, in columns, and eigenvalues.
pub fn compose(vectors: &Matrix, values: [f64; 3]) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| vectors[i][k] * values[k] * vectors[j][k]).sum()))
}

/// Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by Jacobi rotations.
pub fn eigen(matrix: &Matrix) -> ([f64; 3], Matrix) {
    let mut a = *matrix;
    let mut vectors: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| (i == j) as u8 as f64));
    // Convergence is quadratic: a 3x3 matrix is exact to the last bit well before ten sweeps.
    for _ in 0..10 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let sign = if theta < 0.0 { -1.0 } else { 1.0 };
            let tan = sign / (theta.abs() + theta.hypot(1.0));
            let cos = 1.0 / tan.hypot(1.0);
            let sin = tan * cos;
            for row in a.iter_mut().chain(vectors.iter_mut()) {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
            for k in 0..3 {
                (a[p][k], a[q][k]) = (cos * a[p][k] - sin * a[q][k], sin * a[p][k] + cos * a[q][k]);
            }
        }
    }
    ([a[0][0], a[1][1], a[2][2]], vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: Matrix = [[4.0, 1.0, -0.5], [1.0, 3.0, 0.25], [-0.5, 0.25, 2.0]];

    fn assert_equal(a: &Matrix, b: &Matrix) {
        assert!(a.as_flattened().iter().zip(b.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
    }

    #[test]
    fn a_matrix_is_composed_of_its_eigenvalues_and_eigenvectors() {
        let (values, vectors) = eigen(&MATRIX);
        assert_equal(&compose(&vectors, values), &MATRIX);
        assert!((values.iter().sum::<f64>() - 9.0).abs() < 1e-12, "the trace");
    }

    #[test]
    fn powers_multiply_as_those_of_numbers() {
        let root = power(&MATRIX, 0.5);
        assert_equal(&product(&root, &root), &MATRIX);
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        assert_equal(&product(&product(&root, &power(&MATRIX, -1.0)), &root), &identity);
    }
}
