//! The way back through a frozen convolution and its padding.
//!
//! The gradient with respect to the input of a 3x3 convolution with stride 1 and zero padding 1 is the same convolution
//! of the gradient with respect to its output, with the kernel turned by 180 degrees and its channel axes swapped. The
//! same holds where planes wrap around. Where the border is replicated, that convolution runs over one pixel more on
//! each side, and what falls there is added to the border pixels that were repeated there.

use crate::nst::kernels::conv::sink::Store;
use crate::nst::kernels::conv::source::{Grown, Source, WithPadding};
use crate::nst::kernels::conv::winograd::{Scratch, Winograd};
use crate::nst::kernels::parallel::Shared;
use crate::nst::kernels::simd::{Isa, LANES};
use crate::nst::layers::Padding;
use crate::nst::picture::geometry::Size;

/// Takes the gradient with respect to the output of a convolution of planes of `size` with `padding` to the gradient
/// with respect to its input. `turned` has the turned kernel. The result is written to the start of `out`, blocked.
///
/// # Panics
/// When `out` is too short: it holds planes of `size`, or of [`Size::grown`] under [`Padding::Replicate`].
pub fn back_through(
    turned: &Winograd,
    isa: Isa,
    scratch: &mut [Scratch],
    source: impl Source,
    (size, padding): (Size, Padding),
    out: &mut [f32],
) {
    match padding {
        Padding::Zero | Padding::Wrap => {
            let sink = Store { data: Shared::new(out), size };
            turned.run(isa, scratch, size, WithPadding { source, padding }, sink);
        }
        Padding::Replicate => {
            let grown = size.grown();
            let sink = Store { data: Shared::new(out), size: grown };
            turned.run(isa, scratch, grown, Grown { source, size }, sink);
            fold(out, size, padding);
        }
    }
}

/// Takes a gradient with respect to planes of `size` with one more pixel on each side, blocked, to that with respect to
/// the planes without them: adds the border to the pixels that `padding` had repeated there. In place; the result is
/// packed.
fn fold(grown: &mut [f32], size: Size, padding: Padding) {
    let Size { height, width } = size;
    let from = size.grown();
    for block in 0..grown.len() / (from.pixels() * LANES) {
        let start = block * from.pixels();
        for (y, x) in (0..from.height).flat_map(|y| (0..from.width).map(move |x| (y, x))) {
            if (1..=height).contains(&y) && (1..=width).contains(&x) {
                continue;
            }
            let (Some(row), Some(column)) = (padding.inside(y, height), padding.inside(x, width)) else { continue };
            let (at, to) = (start + y * from.width + x, start + (row + 1) * from.width + column + 1);
            for lane in 0..LANES {
                grown[to * LANES + lane] += grown[at * LANES + lane];
            }
        }
        for y in 0..height {
            let row = (start + (y + 1) * from.width + 1) * LANES;
            grown.copy_within(row..row + width * LANES, (block * size.pixels() + y * width) * LANES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::conv::definition::{PADDINGS, SIZES, convolve, convolve_back};
    use crate::nst::kernels::conv::source::Plain;
    use crate::nst::testing::{Random, assert_close, block, unblock};

    #[test]
    fn every_padding_and_its_adjoint_equal_the_definition_on_every_instruction_set() {
        let ((inputs, outputs), mut random) = ((32, 16), Random(4));
        let all = SIZES.into_iter().filter(|size| size.pixels() < 1000);
        for (size, padding) in all.flat_map(|size| PADDINGS.map(|padding| (size, padding))) {
            let weight = random.normal(outputs * inputs * 9);
            let at = |o: usize, i: usize, y: usize, x: usize| weight[((o * inputs + i) * 3 + y) * 3 + x];
            let (input, gradient) = (random.normal(inputs * size.pixels()), random.normal(outputs * size.pixels()));
            let expected = convolve(&weight, &input, size, padding);
            let expected_back = convolve_back(&weight, &gradient, size, padding);
            let forward = Winograd::new(outputs, inputs, at);
            let backward = Winograd::new(inputs, outputs, |o, i, y, x| at(i, o, 2 - y, 2 - x));
            let (input, gradient) = (block(&input, inputs), block(&gradient, outputs));
            for isa in Isa::available() {
                let what = format!("{isa} {size:?} {padding:?}");
                let mut out = vec![f32::NAN; expected.len()];
                let source = WithPadding { source: Plain { data: &input, size }, padding };
                let sink = Store { data: Shared::new(&mut out), size };
                forward.run(isa, &mut [Default::default()], size, source, sink);
                assert_close(&unblock(&out, outputs), &expected, 1e-4, &what);
                let mut out = vec![f32::NAN; inputs * size.grown().pixels()];
                let source = Plain { data: &gradient, size };
                back_through(&backward, isa, &mut [Default::default()], source, (size, padding), &mut out);
                assert_close(&unblock(&out[..expected_back.len()], inputs), &expected_back, 1e-4, &what);
            }
        }
    }
}
