//! A content with the effects on its surfaces and in its air: what start, optimizer and render see.

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::input::{EffectInput, Frames};
use crate::nst::effects::stream::{Stream, random};
use crate::nst::effects::{self, air};
use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::random::FrameSeed;
use crate::nst::render::guard::{self, GuardReport, ObjectShapes};
use crate::nst::scene::Scene;
use crate::nst::scene::regions::{Layers, Regions};
use crate::nst::scene::surface::Surface;
use crate::nst::settings::Settings;
use crate::nst::start::Start;
use crate::nst::stylizer::input::{Picture, network_input, resized};
use std::borrow::Cow;

/// A content with effects on its surfaces and in its air.
pub struct Prepared<'a> {
    settings: &'a Settings,
    content: &'a Picture,
    seed: FrameSeed,
    pub frame: Cow<'a, Pixels>,
    /// The frame before the air, against which the guard measures objects; `None` if that is the frame itself, or nothing
    /// is guarded.
    without_air: Option<Cow<'a, Pixels>>,
    /// `None` if nothing needs it.
    pub surface: Option<Surface>,
    pub effects: Effects<f32>,
}

impl<'a> Prepared<'a> {
    /// Draws the effects of one picture, and puts those on surfaces and in the air onto it.
    pub fn of(settings: &'a Settings, content: &'a Picture, seed: FrameSeed) -> Self {
        let mut random = random(seed.seed, Stream::Amounts);
        let effects = settings.effects.map(|range| range.at(random.uniform()) as f32);
        let residual = settings.residual.high > 0.0 && !content.objects.is_empty();
        let frame = Cow::Borrowed(&content.pixels);
        let mut prepared = Self { settings, content, seed, frame, without_air: None, surface: None, effects };
        let is_guarded = prepared.is_guarded();
        if !effects.needs_surface() && !residual && !settings.start_reads_surfaces() && !is_guarded {
            return prepared;
        }
        let surface = Surface::of(&content.pixels, &content.objects, settings.scene, content.depth.as_ref());
        prepared.frame = effects::on_surfaces(&content.pixels, prepared.effect_input(&surface));
        if effects.air > 0.0 {
            prepared.without_air = is_guarded.then(|| prepared.frame.clone());
            air::fill(prepared.frame.to_mut(), &surface, effects.air);
        }
        prepared.surface = Some(surface);
        prepared
    }

    /// Whether objects are kept visible.
    fn is_guarded(&self) -> bool {
        self.settings.guard && !self.content.objects.is_empty()
    }

    fn effect_input<'s>(&'s self, surface: &'s Surface) -> EffectInput<'s> {
        EffectInput { surface, objects: &self.content.objects, amounts: &self.effects, seed: self.seed.seed }
    }

    /// The frame, its scene and its regions at `size`.
    pub fn layers(&self, size: Size) -> Layers {
        let Self { settings, frame, .. } = self;
        let pixels = network_input(settings, &resized(settings, frame, size)).into_owned();
        let scene = match &self.surface {
            Some(surface) if settings.start_reads_surfaces() => Scene::of(surface, size),
            _ => Scene::unknown(size),
        };
        let regions = Regions::of(&settings.regions, size, &scene, &self.content.masks);
        Layers { pixels, scene, regions }
    }

    /// The start at full size, in the network's colours.
    pub fn full_start(&self, start: &Start) -> Pixels {
        let Self { settings, frame, .. } = self;
        let masks = &self.content.masks;
        let regions = |sky: Option<&Plane>| Regions::for_colours_of(&settings.regions, frame.size(), sky, masks);
        start.draw_on(&network_input(settings, frame), self.surface.as_ref(), regions)
    }

    /// Keeps the objects visible in `pixels`, the stylized frame; `None` where they are not guarded. `plain` makes the
    /// picture that they are blended towards first, if it is another one; `has_fog` says whether fog hides them.
    ///
    /// # Errors
    /// Those of `plain`.
    pub fn protect<E>(
        &self,
        pixels: &mut Pixels,
        has_fog: bool,
        plain: impl FnOnce() -> Result<Option<Pixels>, E>,
    ) -> Result<Option<GuardReport>, E> {
        let Some(surface) = self.surface.as_ref().filter(|_| self.is_guarded()) else { return Ok(None) };
        let clear = self.without_air.as_deref().unwrap_or(&self.frame);
        let boxes: Vec<Area> = self.content.objects.iter().map(|object| object.area).collect();
        let air = has_fog.then_some(&surface.distance);
        let shapes = ObjectShapes { share: &surface.shapes, owners: &surface.owners, air };
        Ok(Some(guard::protect(clear, shapes, plain, pixels, &boxes)?))
    }

    /// Adds light, motion, the lens and the sensor to `pixels`, the stylized frame. `extinction` is that of the start's fog
    /// up to the ground at the bottom of the frame.
    pub fn finish(&self, pixels: &mut Pixels, extinction: f32) {
        if let Some(surface) = &self.surface {
            let frames = Frames { taken: &self.content.pixels, laid: &self.frame };
            let haze = extinction / surface.nearest + self.effects.air / 100.0;
            effects::in_the_scene(pixels, self.effect_input(surface), frames, haze);
        }
        effects::in_the_camera(pixels, &self.effects, self.seed);
    }
}
