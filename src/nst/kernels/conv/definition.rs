//! 3x3 convolutions by their definition, in double precision, and the sizes that tests compare kernels with it at.

use crate::nst::layers::Padding;
use crate::nst::picture::geometry::Size;

pub const PADDINGS: [Padding; 3] = [Padding::Zero, Padding::Replicate, Padding::Wrap];

/// Smaller than a tile, no multiple of one, and larger than a run of tiles.
pub const SIZES: [Size; 5] = [
    Size { height: 1, width: 1 },
    Size { height: 3, width: 5 },
    Size { height: 8, width: 8 },
    Size { height: 17, width: 31 },
    Size { height: 128, width: 97 },
];

/// The convolution of `input`, `[inputs][height][width]`, with `weight`, `[outputs][inputs][3][3]`.
pub fn convolve(weight: &[f32], input: &[f32], size: Size, padding: Padding) -> Vec<f32> {
    let inputs = input.len() / size.pixels();
    let outputs = weight.len() / (inputs * 9);
    let mut out = vec![0.0; outputs * size.pixels()];
    products((outputs, inputs), size, padding, |to, from, w| out[to] += weight[w] as f64 * input[from] as f64);
    out.into_iter().map(|v| v as f32).collect()
}

/// The adjoint of [`convolve`]: from `gradient`, `[outputs][height][width]`, to `[inputs][height][width]`.
pub fn convolve_back(weight: &[f32], gradient: &[f32], size: Size, padding: Padding) -> Vec<f32> {
    let outputs = gradient.len() / size.pixels();
    let inputs = weight.len() / (outputs * 9);
    let mut out = vec![0.0; inputs * size.pixels()];
    products((outputs, inputs), size, padding, |to, from, w| out[from] += weight[w] as f64 * gradient[to] as f64);
    out.into_iter().map(|v| v as f32).collect()
}

/// Calls `f(output, input, weight)` with the indices of every product of the definition, in the layouts of
/// [`convolve`].
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
