//! [`AffineField`](crate::nst::render::photoreal::AffineField) on a device.

use crate::nst::picture::filter::Border;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::separable::Separable;
use crate::nst::render::photoreal::{EPS, RADIUS, SQUARE};
use candle_core::{D, DType, Result, Tensor};

/// `original` under the maps that take `content` to `stylized`; all are `[3, rows, columns]`, `content` and `stylized`
/// of the working size. A field that `wraps` goes on at its opposite side; otherwise windows are cut off at the border.
///
/// # Errors
/// When the device refuses, mostly because its memory is too short for an original of this size.
pub fn render(content: &Tensor, stylized: &Tensor, original: &Tensor, wraps: bool) -> Result<Tensor> {
    let (working, full) = (size(content)?, size(original)?);
    let border = if wraps { Border::Around } else { Border::Cut };
    let smooth = Separable::box_mean(working, RADIUS, border, content.device())?;
    let maps = regression(&moments(content, stylized, &smooth)?)?;
    let maps = smooth.apply(&maps.to_dtype(DType::F32)?)?;
    let maps = Separable::bilinear(working, full, wraps, content.device())?.apply(&maps)?;
    let factors = maps.narrow(1, 0, 3)?.broadcast_mul(&original.unsqueeze(0)?)?.sum(1)?;
    factors + maps.narrow(1, 3, 1)?.squeeze(1)?
}

fn size(planes: &Tensor) -> Result<Size> {
    Ok(Size { height: planes.dim(D::Minus2)?, width: planes.dim(D::Minus1)? })
}

/// Means over the window of each pixel.
struct Moments {
    /// Content colours, `[3, rows, columns]`.
    from: Tensor,
    /// Stylized colours, `[3, rows, columns]`.
    to: Tensor,
    /// Products of two content colours, `[3, 3, rows, columns]`.
    squares: Tensor,
    /// Products of a content and a stylized colour, `[3, 3, rows, columns]`.
    crosses: Tensor,
}

fn moments(content: &Tensor, stylized: &Tensor, smooth: &Separable) -> Result<Moments> {
    let products = |other: &Tensor| content.unsqueeze(1)?.broadcast_mul(&other.unsqueeze(0)?);
    // In double precision: in grey windows the covariance is almost singular, and digits cancel in its inverse.
    let mean = |planes: &Tensor| smooth.apply(planes)?.to_dtype(DType::F64);
    Ok(Moments {
        from: mean(content)?,
        to: mean(stylized)?,
        squares: mean(&products(content)?)?,
        crosses: mean(&products(stylized)?)?,
    })
}

/// Ridge regression of the stylized on the content colours, `[3, 4, rows, columns]`: for each colour of the result,
/// three factors and an offset.
fn regression(Moments { from, to, squares, crosses }: &Moments) -> Result<Tensor> {
    let outer = |other: &Tensor| from.unsqueeze(1)?.broadcast_mul(&other.unsqueeze(0)?);
    let covariance = (squares - outer(from)?)?;
    let at = |i: usize, j: usize| -> Result<Tensor> {
        let plane = covariance.get(i)?.get(j)?;
        if i == j { plane + EPS } else { Ok(plane) }
    };
    let [xx, xy, xz, yy, yz, zz] = [at(0, 0)?, at(0, 1)?, at(0, 2)?, at(1, 1)?, at(1, 2)?, at(2, 2)?];
    let minor = |a: &Tensor, b: &Tensor, c: &Tensor, d: &Tensor| -> Result<Tensor> { (a * b)? - (c * d)? };
    let adjugate = [
        minor(&yy, &zz, &yz, &yz)?,
        minor(&xz, &yz, &xy, &zz)?,
        minor(&xy, &yz, &xz, &yy)?,
        minor(&xx, &zz, &xz, &xz)?,
        minor(&xy, &xz, &xx, &yz)?,
        minor(&xx, &yy, &xy, &xy)?,
    ];
    let determinant = (((&xx * &adjugate[0])? + (&xy * &adjugate[1])?)? + (&xz * &adjugate[2])?)?;
    let rows = SQUARE.map(|row| Tensor::stack(&row.map(|n| &adjugate[n]), 0));
    let [first, second, third] = rows;
    let inverse = Tensor::stack(&[first?, second?, third?], 0)?.broadcast_div(&determinant)?;
    let cross = (crosses - outer(to)?)?;
    // `[i, j, 1]` times `[1, j, out]`, summed over `j`.
    let factors = inverse.unsqueeze(2)?.broadcast_mul(&cross.unsqueeze(0)?)?.sum(1)?;
    let offsets = (to - factors.broadcast_mul(&from.unsqueeze(1)?)?.sum(0)?)?;
    Tensor::cat(&[factors.transpose(0, 1)?, offsets.unsqueeze(1)?], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::layers::Padding;
    use crate::nst::picture::pixels::Pixels;
    use crate::nst::render::photoreal::AffineField;
    use crate::nst::testing::{Random, assert_close};
    use candle_core::Device;

    fn planes(pixels: &Pixels) -> Tensor {
        let Size { height, width } = pixels.size();
        let tensor = Tensor::from_slice(pixels.data(), (height, width, 3), &Device::Cpu).unwrap();
        tensor.permute((2, 0, 1)).unwrap().contiguous().unwrap()
    }

    #[test]
    fn a_device_renders_what_the_cpu_renders_at_odd_sizes_and_on_grey_pictures() {
        let mut random = Random(4);
        let mut picture = |height: usize, width: usize, colours: f32| {
            let grey: Vec<f32> = (0..height * width).map(|_| random.uniform()).collect();
            let data = (0..height * width * 3).map(|n| grey[n / 3] + colours * random.uniform()).collect();
            Pixels::new(Size { height, width }, data)
        };
        for (wraps, padding) in [(false, Padding::Zero), (true, Padding::Wrap)] {
            for colours in [0.0, 1e-4, 0.5] {
                let (content, stylized) = (picture(17, 31, colours), picture(17, 31, 0.3));
                let original = picture(40, 75, colours);
                let mut expected = original.clone();
                AffineField::fit(&content, &stylized, padding).apply(&mut expected);
                let made = render(&planes(&content), &planes(&stylized), &planes(&original), wraps).unwrap();
                let made = made.permute((1, 2, 0)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_close(&made, expected.data(), 1e-3, "the render");
            }
        }
    }
}
