//! Soft parts of a picture, each with statistics of its own, so that a sky is styled after a sky and a road after a
//! road (the spatial control of Gatys et al. 2017, section 4).

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::Scene;
use crate::nst::settings::RegionKind;

/// A region that covers less than this share of a style says too little about it; a larger part stands in for it.
const LEAST_SHARE: f64 = 0.12;

/// Sky, ground or plants that cover less than this share of a content are left in the rest.
const LEAST_PART: f64 = 0.03;

/// Horizontal bands of [`RegionKind::Bands`].
const BANDS: usize = 3;

/// A picture at one of its sizes, and what is known of it there.
pub struct Layers {
    pub pixels: Pixels,
    pub scene: Scene,
    pub regions: Regions,
}

/// The regions of one picture: for each, the share of each pixel that belongs to it, 0..1; `None` where the picture
/// lacks it.
pub struct Regions {
    parts: Vec<Option<Plane>>,
    /// Whether these are the parts of [`RegionKind::Scene`].
    of_scene: bool,
}

impl Regions {
    fn from_parts(parts: Vec<Option<Plane>>) -> Self {
        Self { parts, of_scene: false }
    }

    /// Whether these are the parts of [`RegionKind::Scene`].
    pub fn is_scene(&self) -> bool {
        self.of_scene
    }

    /// These regions for a transfer of colours, in which ground and plants are a part of the rest. Both are found by
    /// guesses. Textures hide a wrong guess; a map of colours would show it as a blot. And plants are found by their
    /// green: a map that gives them the mean of other things would make the brown in them red.
    ///
    /// A reference without a sky says nothing about skies: then, without `sky`, it is a part of the rest, too. Taken for
    /// the light of some dark trees, a bright sky would turn darker than the ground.
    pub fn for_colours(&self, sky: bool) -> Self {
        let mut parts = self.parts.clone();
        let kept = sky as usize;
        if let (true, [merged @ .., Some(rest)]) = (self.of_scene, &mut parts[..]) {
            for part in merged[kept..].iter_mut().filter_map(Option::take) {
                rest.data_mut().iter_mut().zip(part.data()).for_each(|(rest, part)| *rest = (*rest + part).min(1.0));
            }
        }
        Self { parts, of_scene: self.of_scene }
    }

    /// What [`Regions::for_colours`] makes of the regions of a content of `size` whose share of sky is `sky`; without
    /// one, of those whose sky is a part of the rest.
    pub fn for_colours_of(kind: &RegionKind, size: Size, sky: Option<&Plane>, masks: &[Option<Plane>]) -> Self {
        match kind {
            RegionKind::Scene => {
                let sky = [sky.cloned()];
                let rest = rest_of(size, &sky);
                let [sky] = sky;
                Self { parts: vec![sky, None, None, Some(rest)], of_scene: true }
            }
            kind => Self::of(kind, size, &Scene::unknown(size), masks),
        }
    }

    /// One region that is the whole picture.
    pub fn whole(size: Size) -> Self {
        Self::from_parts(vec![Some(Plane::filled(size, 1.0))])
    }

    /// The regions of a content of `size`; their shares of a pixel sum to 1. `masks` are those that
    /// [`RegionKind::Masks`] names, in its order; the last region is the rest.
    pub fn of(kind: &RegionKind, size: Size, scene: &Scene, masks: &[Option<Plane>]) -> Self {
        match kind {
            RegionKind::None => Self::whole(size),
            RegionKind::Bands => Self::from_parts((0..BANDS).map(|n| Some(band(size, n))).collect()),
            RegionKind::Scene => {
                let large_enough =
                    |part: &Option<Plane>| part.as_ref().filter(|part| part.mean() >= LEAST_PART).cloned();
                let parts = [&scene.sky, &scene.ground, &scene.plants].map(large_enough);
                let rest = rest_of(size, &parts);
                let parts = parts.into_iter().chain([Some(rest)]).collect();
                Self { parts, of_scene: true }
            }
            RegionKind::Masks(_) => Self::from_masks(size, masks),
        }
    }

    fn from_masks(size: Size, masks: &[Option<Plane>]) -> Self {
        let masks: Vec<_> = masks.iter().map(|mask| mask.as_ref().map(|mask| mask.resized(size))).collect();
        let covered = |n: usize| masks.iter().flatten().map(|mask| mask.data()[n]).sum::<f32>();
        let at = |y: usize, x: usize| y * size.width + x;
        let scaled = |mask: &Plane| Plane::from_fn(size, |y, x| mask.at(y, x) / covered(at(y, x)).max(1.0));
        let parts = masks.iter().map(|mask| mask.as_ref().map(scaled)).chain([Some(rest_of(size, &masks))]);
        Self::from_parts(parts.map(|part| part.filter(|part| part.mean() > 0.0)).collect())
    }

    /// The regions of a style picture. It must have every region: its upper third stands in for a missing sky, all that
    /// is not sky for missing ground or plants, and the whole picture for any other missing region.
    pub fn of_style(kind: &RegionKind, size: Size, scene: &Scene, masks: &[Option<Plane>]) -> Self {
        let Self { mut parts, of_scene } = Self::of(kind, size, scene, masks);
        let whole = Plane::filled(size, 1.0);
        let enough = |part: Option<Plane>| part.filter(Self::is_enough);
        let mut stand_in = whole.clone();
        if *kind == RegionKind::Scene {
            // What is not sky stands in for ground, for plants and for the rest, which all lie under the same sky.
            match &parts[0] {
                Some(_) => stand_in = enough(Some(rest_of(size, &parts[..1]))).unwrap_or(whole.clone()),
                None => parts[0] = Some(band(size, 0)),
            }
            let sky = enough(parts[0].take()).unwrap_or(whole);
            parts[0] = Some(sky);
        }
        let parts = parts.into_iter().map(|part| Some(enough(part).unwrap_or(stand_in.clone()))).collect();
        Self { parts, of_scene }
    }

    /// Whether a part of a style picture is large enough to stand for itself.
    pub fn is_enough(part: &Plane) -> bool {
        part.mean() >= LEAST_SHARE
    }

    /// These regions for the same picture at another size.
    pub fn resized(&self, size: Size) -> Self {
        let parts = self.parts.iter().map(|part| part.as_ref().map(|part| part.resized(size))).collect();
        Self { parts, of_scene: self.of_scene }
    }

    /// The regions in the order of their [`RegionKind`].
    pub fn parts(&self) -> impl Iterator<Item = Option<&Plane>> {
        self.parts.iter().map(Option::as_ref)
    }

    /// These regions at the sizes of the layers of `blocks` blocks, each half of the one before.
    pub fn pyramid(&self, blocks: usize) -> Vec<Vec<Option<Plane>>> {
        let mut levels = vec![self.parts.clone()];
        for _ in 1..blocks {
            let above = levels[levels.len() - 1].iter().map(|part| part.as_ref().map(Plane::pooled)).collect();
            levels.push(above);
        }
        levels
    }
}

/// What `parts` leave of each pixel.
fn rest_of(size: Size, parts: &[Option<Plane>]) -> Plane {
    let mut rest = Plane::filled(size, 0.0);
    for part in parts.iter().flatten() {
        rest.data_mut().iter_mut().zip(part.data()).for_each(|(sum, v)| *sum += v);
    }
    rest.data_mut().iter_mut().for_each(|sum| *sum = (1.0 - *sum).max(0.0));
    rest
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
        Scene { sky, ..Scene::unknown(SIZE) }
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
    fn what_is_not_sky_stands_in_for_ground_and_plants_that_a_style_lacks() {
        let sky = Plane::from_fn(SIZE, |y, _| (y < 10) as u8 as f32);
        let ground = Plane::from_fn(SIZE, |y, _| (y >= 20) as u8 as f32);
        let scene = Scene { sky: Some(sky), ground: Some(ground.clone()), ..Scene::unknown(SIZE) };
        let Regions { parts, .. } = Regions::of_style(&RegionKind::Scene, SIZE, &scene, &[]);
        let mean = |part: usize| parts[part].as_ref().unwrap().mean();
        assert_eq!(parts[1].as_ref().unwrap(), &ground);
        assert!((mean(2) - 2.0 / 3.0).abs() < 1e-6, "plants take from all that is not sky: {}", mean(2));
        assert!((mean(3) - 1.0 / 3.0).abs() < 1e-6, "the rest is found: {}", mean(3));
    }

    #[test]
    fn colours_know_sky_and_the_rest_alone() {
        let part = |from: usize| Some(Plane::from_fn(SIZE, |y, _| (from..from + 10).contains(&y) as u8 as f32));
        let scene = Scene { sky: part(0), ground: part(20), plants: part(15), ..Scene::unknown(SIZE) };
        let colours = Regions::of(&RegionKind::Scene, SIZE, &scene, &[]).for_colours(true);
        let parts: Vec<_> = colours.parts().map(|part| part.map(Plane::mean)).collect();
        assert!(matches!(parts[..], [Some(_), None, None, Some(rest)] if (rest - 2.0 / 3.0).abs() < 1e-6), "{parts:?}");
        let masks = RegionKind::Masks(vec!["road".into()]);
        let regions = Regions::of(&masks, SIZE, &scene, &[part(0)]);
        assert_eq!(regions.for_colours(true).parts().flatten().count(), 2);
        let one = Regions::of(&RegionKind::Scene, SIZE, &scene, &[]).for_colours(false);
        assert!(matches!(one.parts().collect::<Vec<_>>()[..], [None, None, None, Some(all)] if all.mean() > 0.999));
    }

    #[test]
    fn a_style_has_every_region() {
        for kind in [RegionKind::Scene, RegionKind::Masks(vec!["road".into()])] {
            let regions = Regions::of_style(&kind, SIZE, &scene(None), &[None]);
            assert_eq!(regions.parts().flatten().count(), if kind == RegionKind::Scene { 4 } else { 2 }, "{kind:?}");
        }
        let all_sky = scene(Some(Plane::filled(SIZE, 1.0)));
        let regions = Regions::of_style(&RegionKind::Scene, SIZE, &all_sky, &[]);
        assert!(regions.parts().all(|part| part.is_some_and(|part| part.mean() == 1.0)));
    }
}
