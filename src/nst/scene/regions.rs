//! Soft parts of a picture, each with statistics of its own, so that a sky is styled after a sky and a road after a
//! road (the spatial control of Gatys et al. 2017, section 4).

use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::Scene;
use crate::nst::settings::RegionKind;

/// A region that covers less than this share of a style says too little about it; the whole picture stands in for it.
const LEAST_SHARE: f64 = 0.12;

/// Horizontal bands of [`RegionKind::Bands`].
const BANDS: usize = 3;

/// The regions of one picture: for each, the share of each pixel that belongs to it, 0..1; `None` where the picture
/// lacks it.
pub struct Regions(Vec<Option<Plane>>);

impl Regions {
    /// One region that is the whole picture.
    pub fn whole(size: Size) -> Self {
        Self(vec![Some(Plane::filled(size, 1.0))])
    }

    /// The regions of a content of `size`; their shares of a pixel sum to 1. `masks` are those that
    /// [`RegionKind::Masks`] names, in its order; the last region is the rest.
    pub fn of(kind: &RegionKind, size: Size, scene: &Scene, masks: &[Option<Plane>]) -> Self {
        match kind {
            RegionKind::None => Self::whole(size),
            RegionKind::Bands => Self((0..BANDS).map(|n| Some(band(size, n))).collect()),
            RegionKind::Scene => {
                let rest = scene
                    .sky
                    .as_ref()
                    .map_or(Plane::filled(size, 1.0), |sky| Plane::from_fn(size, |y, x| 1.0 - sky.at(y, x)));
                Self(vec![scene.sky.clone(), Some(rest)])
            }
            RegionKind::Masks(_) => Self::from_masks(size, masks),
        }
    }

    fn from_masks(size: Size, masks: &[Option<Plane>]) -> Self {
        let masks: Vec<_> = masks.iter().map(|mask| mask.as_ref().map(|mask| mask.resized(size))).collect();
        let covered = |n: usize| masks.iter().flatten().map(|mask| mask.data()[n]).sum::<f32>();
        let at = |y: usize, x: usize| y * size.width + x;
        let scaled = |mask: &Plane| Plane::from_fn(size, |y, x| mask.at(y, x) / covered(at(y, x)).max(1.0));
        let rest = Plane::from_fn(size, |y, x| (1.0 - covered(at(y, x))).max(0.0));
        let parts = masks.iter().map(|mask| mask.as_ref().map(scaled)).chain([Some(rest)]);
        Self(parts.map(|part| part.filter(|part| part.mean() > 0.0)).collect())
    }

    /// The regions of a style picture. It must have every region: its upper third stands in for a missing sky, and the
    /// whole picture for any other missing region.
    pub fn of_style(kind: &RegionKind, size: Size, scene: &Scene, masks: &[Option<Plane>]) -> Self {
        let Self(mut parts) = Self::of(kind, size, scene, masks);
        if *kind == RegionKind::Scene && parts[0].is_none() {
            parts = vec![Some(band(size, 0)), Some(Plane::filled(size, 1.0))];
        }
        let enough = |part: Option<Plane>| part.filter(|part| part.mean() >= LEAST_SHARE);
        Self(parts.into_iter().map(|part| Some(enough(part).unwrap_or(Plane::filled(size, 1.0)))).collect())
    }

    /// These regions for the same picture at another size.
    pub fn resized(&self, size: Size) -> Self {
        Self(self.0.iter().map(|part| part.as_ref().map(|part| part.resized(size))).collect())
    }

    /// The regions in the order of their [`RegionKind`].
    pub fn parts(&self) -> impl Iterator<Item = Option<&Plane>> {
        self.0.iter().map(Option::as_ref)
    }

    /// These regions at the sizes of the layers of `blocks` blocks, each half of the one before.
    pub fn pyramid(&self, blocks: usize) -> Vec<Vec<Option<Plane>>> {
        let mut levels = vec![self.0.clone()];
        for _ in 1..blocks {
            let above = levels[levels.len() - 1].iter().map(|part| part.as_ref().map(Plane::pooled)).collect();
            levels.push(above);
        }
        levels
    }
}

/// Band `n`, from the top, of [`BANDS`]. Its weight falls linearly from its middle to the middles of its neighbours.
fn band(size: Size, n: usize) -> Plane {
    let last = (BANDS - 1) as f32;
    Plane::from_fn(size, |y, _| {
        let position = ((y as f32 + 0.5) / size.height as f32 * BANDS as f32 - 0.5).clamp(0.0, last);
        (1.0 - (position - n as f32).abs()).max(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 30, width: 8 };

    fn scene(sky: Option<Plane>) -> Scene {
        Scene { sky, depth: Plane::filled(SIZE, 1.0) }
    }

    #[test]
    fn the_shares_of_all_regions_sum_to_one() {
        let sky = Plane::from_fn(SIZE, |y, _| (1.0 - y as f32 / 10.0).max(0.0));
        let mask = Plane::from_fn(Size { height: 60, width: 16 }, |_, x| (x < 8) as u8 as f32);
        let masks = [Some(mask.clone()), None, Some(mask)];
        let names = ["road", "car", "pavement"].map(String::from).to_vec();
        for kind in [RegionKind::None, RegionKind::Bands, RegionKind::Scene, RegionKind::Masks(names)] {
            for sky in [Some(sky.clone()), None] {
                let regions = Regions::of(&kind, SIZE, &scene(sky), &masks);
                for n in 0..SIZE.pixels() {
                    let sum: f32 = regions.parts().flatten().map(|part| part.data()[n]).sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{kind:?} {n}: {sum}");
                }
            }
        }
    }

    #[test]
    fn a_style_has_every_region() {
        for kind in [RegionKind::Scene, RegionKind::Masks(vec!["road".into()])] {
            let regions = Regions::of_style(&kind, SIZE, &scene(None), &[None]);
            assert_eq!(regions.parts().flatten().count(), 2, "{kind:?}");
        }
        let all_sky = scene(Some(Plane::filled(SIZE, 1.0)));
        let regions = Regions::of_style(&RegionKind::Scene, SIZE, &all_sky, &[]);
        assert!(regions.parts().all(|part| part.is_some_and(|part| part.mean() == 1.0)));
    }
}
