//! The bars that letterboxing leaves around a picture.

use crate::nst::picture::geometry::Crop;
use crate::nst::picture::pixels::Pixels;

/// The grey levels of bars, 0..1: video players and exporters make black ones, YOLO's letterbox 114 of 255.
const LEVELS: [f32; 2] = [0.0, 114.0 / 255.0];

/// The mean distance of a bar's pixels from its grey level is at most this: JPEG leaves some.
const MEAN_DISTANCE: f32 = 0.02;

/// At most 1 % of a bar's pixels are farther than this from its grey level.
const PIXEL_DISTANCE: f32 = 0.1;

/// The part of `pixels` without bars; all of it where the bars would leave less than a quarter of a side.
pub fn find(pixels: &Pixels) -> Crop {
    let size = pixels.size();
    let whole = Crop::whole(size);
    for level in LEVELS {
        let row = |y: usize| is_bar(pixels.data()[y * size.width * 3..][..size.width * 3].chunks_exact(3), level);
        let top = (0..size.height).take_while(|&y| row(y)).count();
        let bottom = (0..size.height - top).take_while(|&n| row(size.height - 1 - n)).count();
        let height = size.height - top - bottom;
        if height * 4 < size.height {
            continue;
        }
        let column =
            |x: usize| is_bar((top..top + height).map(|y| &pixels.data()[(y * size.width + x) * 3..][..3]), level);
        let left = (0..size.width).take_while(|&x| column(x)).count();
        let right = (0..size.width - left).take_while(|&n| column(size.width - 1 - n)).count();
        let width = size.width - left - right;
        let found = Crop { top, left, height, width };
        if width * 4 >= size.width && found != whole {
            return found;
        }
    }
    whole
}

/// Whether these pixels of one row or column are a bar of this grey level.
fn is_bar<'p>(pixels: impl Iterator<Item = &'p [f32]>, level: f32) -> bool {
    let (mut count, mut sum, mut far) = (0, 0.0, 0);
    for rgb in pixels {
        let distance = rgb.iter().fold(0.0, |top: f32, v| top.max((v - level).abs()));
        (count, sum, far) = (count + 1, sum + distance, far + (distance > PIXEL_DISTANCE) as usize);
    }
    sum <= MEAN_DISTANCE * count as f32 && far * 100 <= count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::testing::Random;

    fn framed(height: usize, width: usize, inside: Crop, bar: f32) -> Pixels {
        let mut random = Random(2);
        let data = (0..height * width).flat_map(|n| {
            let (y, x) = (n / width, n % width);
            let inner = (inside.top..inside.top + inside.height).contains(&y)
                && (inside.left..inside.left + inside.width).contains(&x);
            std::array::from_fn::<f32, 3, _>(|_| if inner { random.uniform() } else { bar + 0.01 * random.uniform() })
        });
        Pixels::new(Size { height, width }, data.collect())
    }

    #[test]
    fn black_and_grey_bars_are_found_on_any_side() {
        for bar in [0.0, 114.0 / 255.0] {
            for (top, left, height, width) in [(10, 0, 40, 64), (0, 7, 60, 50), (3, 5, 50, 40), (20, 0, 40, 64)] {
                let inside = Crop { top, left, height, width };
                assert_eq!(find(&framed(60, 64, inside, bar)), inside, "{bar}");
            }
        }
    }

    #[test]
    fn a_picture_without_bars_and_one_of_nothing_but_bars_stay_whole() {
        let whole = Crop { top: 0, left: 0, height: 60, width: 64 };
        assert_eq!(find(&framed(60, 64, whole, 0.0)), whole);
        assert_eq!(find(&Pixels::new(Size { height: 60, width: 64 }, vec![0.0; 60 * 64 * 3])), whole);
        let sliver = Crop { top: 30, left: 0, height: 4, width: 64 };
        assert_eq!(find(&framed(60, 64, sliver, 0.0)), whole);
        let white = Crop { top: 20, left: 0, height: 40, width: 64 };
        assert_eq!(find(&framed(60, 64, white, 1.0)), whole, "an overexposed sky is no bar");
    }
}
