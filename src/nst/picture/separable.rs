//! Filters along columns and rows, as one matrix for each: on a device, any such filter is two products.

use crate::nst::picture::filter::{Border, neighbours, window};
use crate::nst::picture::geometry::Size;
use candle_core::{Device, Result, Tensor};

/// A linear filter of planes. It may change their size.
pub struct Separable {
    /// `[rows out, rows in]`
    down: Tensor,
    /// `[columns in, columns out]`
    across: Tensor,
}

impl Separable {
    /// Output `at`, of `to`, is a weighted sum of inputs, of `from`; `weights(at, from, to)` lists them.
    fn new(
        from: Size,
        to: Size,
        device: &Device,
        weights: impl Fn(usize, usize, usize) -> Vec<(usize, f32)>,
    ) -> Result<Self> {
        let matrix = |from: usize, to: usize| {
            let mut matrix = vec![0.0; to * from];
            for (at, row) in matrix.chunks_exact_mut(from).enumerate() {
                weights(at, from, to).into_iter().for_each(|(input, weight)| row[input] += weight);
            }
            Tensor::from_vec(matrix, (to, from), device)
        };
        Ok(Self { down: matrix(from.height, to.height)?, across: matrix(from.width, to.width)?.t()?.contiguous()? })
    }

    /// The mean over a square window; see [`box_mean`](crate::nst::picture::filter::box_mean).
    ///
    /// # Errors
    /// When the device refuses.
    pub fn box_mean(size: Size, radius: usize, border: Border, device: &Device) -> Result<Self> {
        Self::new(size, size, device, |at, len, _| {
            let window = window(at, len, radius, border);
            let share = 1.0 / window.len() as f32;
            window.map(|input| (input, share)).collect()
        })
    }

    /// Bilinear resizing; see [`neighbours`].
    ///
    /// # Errors
    /// When the device refuses.
    pub fn bilinear(from: Size, to: Size, wraps: bool, device: &Device) -> Result<Self> {
        Self::new(from, to, device, |at, from, to| {
            let (low, high, aside) = neighbours(at, to, from, wraps);
            vec![(low, 1.0 - aside), (high, aside)]
        })
    }

    /// This filter applied twice. It must not change the size.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn twice(&self) -> Result<Self> {
        Ok(Self { down: self.down.matmul(&self.down)?, across: self.across.matmul(&self.across)? })
    }

    /// Filters every plane of `[.., rows, columns]`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn apply(&self, planes: &Tensor) -> Result<Tensor> {
        let dims = planes.dims();
        let (outer, [rows, columns]) = (&dims[..dims.len() - 2], [dims[dims.len() - 2], dims[dims.len() - 1]]);
        let count = outer.iter().product::<usize>();
        let (down, across) = (self.down.dim(0)?, self.across.dim(1)?);
        let wide = planes.contiguous()?.reshape((count * rows, columns))?.matmul(&self.across)?;
        let filtered = self.down.broadcast_as((count, down, rows))?.matmul(&wide.reshape((count, rows, across))?)?;
        filtered.reshape([outer, &[down, across]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::filter::{bilinear, box_mean};
    use crate::nst::testing::{Random, assert_close};

    /// `[pixels][2]` as `[1, 2, rows, columns]` and back.
    fn filtered(filter: &Separable, data: &[f32], size: Size) -> Vec<f32> {
        let planes = Tensor::from_slice(data, (size.height, size.width, 2), &Device::Cpu).unwrap();
        let planes = planes.permute((2, 0, 1)).unwrap().unsqueeze(0).unwrap();
        let out = filter.apply(&planes).unwrap().squeeze(0).unwrap().permute((1, 2, 0)).unwrap();
        out.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn matrix_products_filter_as_the_cpu_does_at_any_size_and_border() {
        let mut random = Random(5);
        for size in [(1, 1), (1, 9), (13, 2), (21, 34)].map(|(height, width)| Size { height, width }) {
            let data: Vec<f32> = (0..size.pixels() * 2).map(|_| random.uniform()).collect();
            for border in [Border::Cut, Border::Mirrored, Border::Around] {
                for radius in [1, 6] {
                    let filter = Separable::box_mean(size, radius, border, &Device::Cpu).unwrap();
                    let once = box_mean::<2>(&data, size, radius, border);
                    assert_close(&filtered(&filter, &data, size), &once, 1e-5, "a mean");
                    let twice = box_mean::<2>(&once, size, radius, border);
                    assert_close(&filtered(&filter.twice().unwrap(), &data, size), &twice, 1e-5, "a mean of means");
                }
            }
            let to = Size { height: 17, width: 30 };
            let filter = Separable::bilinear(size, to, false, &Device::Cpu).unwrap();
            assert_close(&filtered(&filter, &data, size), &bilinear::<2>(&data, size, to), 1e-5, "another size");
        }
    }
}
