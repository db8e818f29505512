//! The sizes that a picture is optimized at, from coarse to fine, and the evaluations at each.
//!
//! At half the size, the network sees twice as far. Each scale hands the next one what it has changed. L-BFGS starts
//! over at each scale: carrying its pairs over, resampled, moved the loss at equal cost by 0.3 % at most, to either
//! side.

use crate::nst::layers::MIN_SIDE;
use crate::nst::picture::geometry::Size;
use crate::nst::settings::{Render, Settings};

/// Where the settings leave the number of scales open, no scale has a long side below this, in pixels.
const LEAST_LONG: usize = 192;

/// Evaluations at each coarser scale, as a share of those at the working size. One at half the size costs a quarter.
const COARSE_SHARE: f64 = 0.5;

/// One of the sizes that a picture is optimized at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How often the working size was halved.
    pub level: usize,
    pub size: Size,
    /// Evaluations of loss and gradient. Where there are coarser scales, the first one at the working size judges the
    /// start.
    pub steps: usize,
}

/// `full`, shrunk to a long side of at most `long` pixels. Sides below `least` pixels, which the network needs, are
/// stretched to it.
pub fn working_size(full: Size, long: usize, least: usize) -> Size {
    full.fitted(long).map(|side| side.max(least))
}

/// The scales of a picture of the working size `size`: the coarsest first, `size` itself last; none with 0 steps.
pub fn scales(settings: &Settings, size: Size) -> Vec<Scale> {
    let coarse = (settings.steps as f64 * COARSE_SHARE).ceil() as usize;
    (0..count(settings, size))
        .rev()
        .map(|level| Scale {
            level,
            size: settings.halved(size, level),
            steps: if level == 0 { settings.steps } else { coarse },
        })
        .collect()
}

/// The number of scales of a picture of the working size `size`.
pub fn count(settings: &Settings, size: Size) -> usize {
    let (long, short) = (size.long(), size.short());
    let large_enough = |level: &usize| short >> level >= MIN_SIDE;
    let most = match (settings.scales, settings.render) {
        // Nothing is optimized, or the only evaluation judges the start.
        _ if settings.steps <= 1 => settings.steps,
        (Some(count), _) => count,
        (None, Render::Photoreal) => 1,
        (None, Render::Pixels) => 1 + (1..).take_while(|level| long >> level >= LEAST_LONG).count(),
    };
    most.min(1) + (1..most).take_while(large_enough).count()
}

/// The largest number of scales of any picture.
pub fn max_count(settings: &Settings) -> usize {
    let long = settings.size;
    count(settings, settings.working_size(Size { height: long, width: long }))
}

/// The evaluations at all scales.
pub fn evaluations(scales: &[Scale]) -> usize {
    scales.iter().map(|scale| scale.steps).sum()
}

/// The cost of all evaluations, in evaluations at the last and finest scale.
pub fn cost(scales: &[Scale]) -> f64 {
    let Some(finest) = scales.last() else { return 0.0 };
    scales.iter().map(|scale| scale.steps as f64 * scale.size.pixels() as f64 / finest.size.pixels() as f64).sum()
}

impl Settings {
    /// The working size, at which a picture of `full` is optimized last: see [`working_size`]. Where planes wrap, its
    /// sides are multiples of [`MIN_SIDE`].
    pub fn working_size(&self, full: Size) -> Size {
        self.wrappable(working_size(full, self.size, MIN_SIDE))
    }

    /// The working size `size` after `level` halvings.
    pub fn halved(&self, size: Size, level: usize) -> Size {
        self.wrappable(size.map(|side| ((side + (1 << level >> 1)) >> level).max(MIN_SIDE)))
    }

    fn wrappable(&self, size: Size) -> Size {
        if !self.padding.wraps() {
            return size;
        }
        // Where a pool drops an odd row, the plane behind it no longer ends where the picture wraps.
        size.map(|side| ((side + MIN_SIDE / 2) / MIN_SIDE).max(1) * MIN_SIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::layers::Padding;

    fn size(height: usize, width: usize) -> Size {
        Size { height, width }
    }

    fn sizes(settings: &Settings, full: Size) -> Vec<(usize, usize)> {
        scales(settings, settings.working_size(full)).iter().map(|s| (s.size.height, s.size.width)).collect()
    }

    #[test]
    fn the_working_size_keeps_the_aspect_and_never_enlarges() {
        assert_eq!(working_size(size(720, 1280), 384, 16), size(216, 384));
        assert_eq!(working_size(size(100, 60), 384, 16), size(100, 60));
        assert_eq!(working_size(size(1, 2000), 384, 16), size(16, 384));
    }

    #[test]
    fn pixels_are_halved_while_the_long_side_keeps_192_and_photoreal_has_one_scale() {
        let photoreal = Settings { size: 2048, ..Settings::default() };
        let pixels = Settings { render: Render::Pixels, ..photoreal.clone() };
        assert_eq!(sizes(&photoreal, size(1152, 2048)), [(1152, 2048)]);
        assert_eq!(sizes(&pixels, size(1152, 2048)), [(144, 256), (288, 512), (576, 1024), (1152, 2048)]);
        assert_eq!(sizes(&pixels, size(300, 383)), [(300, 383)]);
        assert_eq!(sizes(&pixels, size(300, 385)), [(150, 193), (300, 385)]);
        assert_eq!(max_count(&pixels), 4);
    }

    #[test]
    fn no_picture_has_more_scales_than_a_style_is_measured_at() {
        for padding in [Padding::Replicate, Padding::Wrap] {
            for (scales, render) in [(None, Render::Pixels), (Some(4), Render::Photoreal)] {
                for long in 64..1600 {
                    let settings = Settings { size: long, padding, scales, render, ..Settings::default() };
                    let squarish = [size(long, long), size(long * 9 / 16, long), size(5000, 4999)];
                    let most = squarish.map(|full| count(&settings, settings.working_size(full)));
                    assert!(most.iter().all(|&most| most <= max_count(&settings)), "{long} {padding:?} {most:?}");
                }
            }
        }
    }

    #[test]
    fn a_given_number_of_scales_holds_while_each_side_keeps_16_pixels() {
        let settings = Settings { scales: Some(3), size: 100, ..Settings::default() };
        assert_eq!(sizes(&settings, size(70, 100)), [(18, 25), (35, 50), (70, 100)]);
        assert_eq!(sizes(&settings, size(20, 100)), [(20, 100)]);
        let wraps = Settings { padding: Padding::Wrap, ..settings };
        assert_eq!(sizes(&wraps, size(70, 100)), [(16, 32), (32, 48), (64, 96)]);
    }

    #[test]
    fn steps_count_at_the_working_size_and_coarser_scales_add_to_them() {
        let settings = Settings { scales: Some(3), size: 512, steps: 30, ..Settings::default() };
        let scales = scales(&settings, size(512, 512));
        assert_eq!(scales.iter().map(|s| (s.level, s.steps)).collect::<Vec<_>>(), [(2, 15), (1, 15), (0, 30)]);
        assert_eq!(evaluations(&scales), 60);
        assert!((cost(&scales) - (30.0 + 15.0 / 4.0 + 15.0 / 16.0)).abs() < 1e-9);
        assert_eq!(count(&Settings { steps: 1, ..settings }, size(512, 512)), 1);
    }
}
