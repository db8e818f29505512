//! Coarse to fine: the sizes that one picture is optimized at, one after the other, and with how many evaluations.
//!
//! At half the size the trunk sees twice as far. From scale to scale goes what the coarser one has changed. L-BFGS starts
//! over each time: carrying its pairs too, resampled, was measured and moved the loss at equal cost by 0.3 % at most, to
//! either side.

use crate::nst::layers::Padding;
use crate::nst::network::trunk::MIN_SIDE;
use crate::nst::picture::geometry::Size;
use crate::nst::settings::{Render, Settings};

/// The size to work at: `full` with its long side brought down to `long`, never enlarged, but at least `least` a side.
///
/// Only pictures thinner than `least` are stretched, since the network needs that many pixels in both directions.
pub fn working_size(full: Size, long: usize, least: usize) -> Size {
    let scale = (long as f64 / full.height.max(full.width) as f64).min(1.0);
    let side = |side: usize| ((side as f64 * scale).round() as usize).max(least);
    Size { height: side(full.height), width: side(full.width) }
}

/// The long side in pixels that halving stops above, where the settings leave the number of scales open.
const LEAST_LONG: usize = 192;

/// Evaluations at each coarser scale, as a share of those at the working size. One at the half size costs a quarter.
const COARSE_SHARE: f64 = 0.5;

/// One size of a picture and what is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How often the working size was halved.
    pub level: usize,
    pub size: Size,
    /// Evaluations of loss and gradient; where there are coarser scales, the first at the working size judges the start.
    pub steps: usize,
}

/// The scales of a picture that is worked on at `size`, the coarsest first and `size` itself last.
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

/// How many scales a picture that is worked on at `size` goes through.
pub fn count(settings: &Settings, size: Size) -> usize {
    let (long, short) = (size.height.max(size.width), size.height.min(size.width));
    let whole = |level: &usize| short >> level >= MIN_SIDE;
    let most = match (settings.scales, settings.render) {
        // The one evaluation is the start's.
        _ if settings.steps == 1 => 1,
        (Some(count), _) => count,
        (None, Render::Photoreal) => 1,
        (None, Render::Pixels) => 1 + (1..).take_while(|level| long >> level >= LEAST_LONG).count(),
    };
    1 + (1..most).take_while(whole).count()
}

/// The most scales that any picture goes through.
pub fn most(settings: &Settings) -> usize {
    count(settings, Size { height: settings.size, width: settings.size })
}

/// The evaluations at all scales.
pub fn evaluations(scales: &[Scale]) -> usize {
    scales.iter().map(|scale| scale.steps).sum()
}

/// The evaluations at all scales as so many at the working size.
pub fn cost(scales: &[Scale]) -> f64 {
    let Some(finest) = scales.last() else { return 0.0 };
    scales.iter().map(|scale| scale.steps as f64 * scale.size.pixels() as f64 / finest.size.pixels() as f64).sum()
}

impl Settings {
    /// The size that a picture of `full` is optimized at in the end: [`working_size`], and multiples of [`MIN_SIDE`]
    /// where planes wrap.
    pub fn working_size(&self, full: Size) -> Size {
        self.whole(working_size(full, self.size, MIN_SIDE))
    }

    /// A working size after `level` halvings.
    pub fn halved(&self, size: Size, level: usize) -> Size {
        let side = |side: usize| ((side + (1 << level >> 1)) >> level).max(MIN_SIDE);
        self.whole(Size { height: side(size.height), width: side(size.width) })
    }

    fn whole(&self, size: Size) -> Size {
        if self.padding != Padding::Wrap {
            return size;
        }
        // Where a pool drops an odd row, the plane above it no longer ends where the picture wraps.
        let side = |side: usize| ((side + MIN_SIDE / 2) / MIN_SIDE).max(1) * MIN_SIDE;
        Size { height: side(size.height), width: side(size.width) }
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
    fn pixels_halve_while_the_long_side_keeps_192_and_photoreal_never() {
        let photoreal = Settings { size: 2048, ..Settings::default() };
        let pixels = Settings { render: Render::Pixels, ..photoreal.clone() };
        assert_eq!(sizes(&photoreal, size(1152, 2048)), [(1152, 2048)]);
        assert_eq!(sizes(&pixels, size(1152, 2048)), [(144, 256), (288, 512), (576, 1024), (1152, 2048)]);
        assert_eq!(sizes(&pixels, size(300, 383)), [(300, 383)]);
        assert_eq!(sizes(&pixels, size(300, 385)), [(150, 193), (300, 385)]);
        assert_eq!(most(&pixels), 4);
    }

    #[test]
    fn a_given_count_holds_as_far_as_sixteen_pixels_a_side_remain() {
        let settings = Settings { scales: Some(3), size: 100, ..Settings::default() };
        assert_eq!(sizes(&settings, size(70, 100)), [(18, 25), (35, 50), (70, 100)]);
        assert_eq!(sizes(&settings, size(20, 100)), [(20, 100)]);
        let wraps = Settings { padding: Padding::Wrap, ..settings };
        assert_eq!(sizes(&wraps, size(70, 100)), [(16, 32), (32, 48), (64, 96)]);
    }

    #[test]
    fn steps_are_those_at_the_working_size_and_coarser_ones_come_on_top() {
        let settings = Settings { scales: Some(3), size: 512, steps: 30, ..Settings::default() };
        let scales = scales(&settings, size(512, 512));
        assert_eq!(scales.iter().map(|s| (s.level, s.steps)).collect::<Vec<_>>(), [(2, 15), (1, 15), (0, 30)]);
        assert_eq!(evaluations(&scales), 60);
        assert!((cost(&scales) - (30.0 + 15.0 / 4.0 + 15.0 / 16.0)).abs() < 1e-9);
        assert_eq!(count(&Settings { steps: 1, ..settings }, size(512, 512)), 1);
    }
}
