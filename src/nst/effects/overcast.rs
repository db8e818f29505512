//! Light without a sun: its shadows on the ground are evened out. So is what else is darker or lighter than most of the
//! ground, such as a pavement beside a road.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::Interpolated;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::surface::Surface;
use rayon::prelude::*;

/// The most of the differences of light that goes: some shade stays below vehicles and along kerbs.
const EVENED: f32 = 0.8;

/// The range of what the luma of the ground is multiplied by.
const GAIN: (f32, f32) = (0.6, 2.0);

/// The radius, in pixels of the small picture, of bright things on the ground that are no sunlight: road markings.
const MARKING: usize = 2;

/// The radius of the guided filter's windows in pixels of the small picture, and its `eps`.
const WINDOW: (usize, f32) = (8, 1e-3);

/// Evens out the share `amount` of the sun's light and shadows on the ground of `pixels`, in place. The surfaces are those
/// of these pixels.
///
/// The light of the ground is its luma without road markings. What brings it closer to its mean, a number to multiply
/// by, is found in a small picture, and takes the edges of shadows from the frame (He and Sun 2015, "Fast guided filter").
pub fn even(pixels: &mut Pixels, surface: &Surface, amount: f32) {
    let (full, small) = (surface.size(), surface.small_luma.size());
    let light = surface.small_luma.opened(MARKING);
    let Some(usual) = light.mean_on(&surface.ground.resized(small)) else { return };
    let gains = light.data().iter().map(|light| (usual / light.max(0.02)).powf(EVENED * amount).clamp(GAIN.0, GAIN.1));
    let lines = Plane::new(small, gains.collect()).lines(&surface.small_luma, WINDOW.0, WINDOW.1);
    let lines = Interpolated::<2, _>::new(lines, small, full);
    let rows = pixels.data_mut().par_chunks_mut(full.width * 3).zip(surface.ground.data().par_chunks(full.width));
    rows.enumerate().for_each(|(y, (row, ground))| {
        if ground.iter().all(|&share| share <= 0.0) {
            return;
        }
        let lines = lines.row(y);
        vectorized(
            #[inline(always)]
            || {
                for ((rgb, &ground), [factor, offset]) in row.as_chunks_mut::<3>().0.iter_mut().zip(ground).zip(&lines)
                {
                    let own = luma(rgb);
                    let gain = (factor * own + offset).clamp(GAIN.0, GAIN.1);
                    // Shadows are blue from the sky; so half of what lightens them is grey.
                    let more = 0.5 * (gain - 1.0).max(0.0);
                    let (times, more) = (gain - more, own * more);
                    rgb.iter_mut().for_each(|v| *v += ground * ((*v * times + more).min(1.0) - *v));
                }
            },
        );
    });
}
