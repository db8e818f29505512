//! The picture that the optimizer starts from, in closed form.
//!
//! - [`Start`]: how it is made from one content, at any size; [`Reference`]: what it needs of a style picture
//! - [`transfer`]: the style's colours, region by region
//! - [`weather`]: fog or night by physics

pub mod transfer;
pub mod weather;

use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::ColourStatistics;
use crate::nst::random::Random;
use crate::nst::scene::Depths;
use crate::nst::scene::regions::{Layers, Regions};
use crate::nst::scene::surface::Surface;
use crate::nst::settings::{Init, Settings};
use crate::nst::start::transfer::Transfer;
use crate::nst::start::weather::{Conditions, WeatherStatistics};

/// How the start is made from one content. It is measured once, at the working size, since contrast and the deviation
/// of colours depend on the size. Then it is drawn at any size.
pub enum Start {
    Content,
    Noise(u64),
    Colours {
        transfer: Transfer,
        /// Whether the sky has a map of its own.
        sky: bool,
    },
    Weather(Conditions),
}

/// What the start needs to know of a style picture.
pub struct Reference {
    /// One for each region.
    pub colours: Vec<ColourStatistics>,
    pub weather: WeatherStatistics,
    /// Whether the picture shows a sky.
    pub has_sky: bool,
}

impl Reference {
    /// Blends several, each with its share; shares sum to 1. The weather is that of the first: a mean of two conditions
    /// is none that either picture shows.
    ///
    /// # Panics
    /// Without any part.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let (main, _) = parts[0];
        let colours =
            |region: usize| parts.iter().map(|&(part, share)| (&part.colours[region], share)).collect::<Vec<_>>();
        Self {
            colours: (0..main.colours.len()).map(|region| ColourStatistics::blend(&colours(region))).collect(),
            weather: main.weather.clone(),
            has_sky: parts.iter().all(|(part, _)| part.has_sky),
        }
    }
}

impl Start {
    /// `content` is at the working size, at which the reference was measured. The `seed` is that of the noise.
    pub fn of(settings: &Settings, content: &Layers, reference: &Reference, seed: u64) -> Self {
        let Layers { pixels, scene, regions } = content;
        let Reference { colours, weather, has_sky: sky } = reference;
        match settings.init {
            Init::Content => Self::Content,
            Init::Noise => Self::Noise(seed),
            Init::Colour => {
                let transfer = Transfer::between(pixels, &regions.for_colours(*sky), colours);
                Self::Colours { transfer, sky: *sky }
            }
            Init::Weather => Self::Weather(Conditions::over(settings.weather, pixels, scene, weather)),
        }
    }

    /// The start of the same content at the size of `content`.
    pub fn draw(&self, settings: &Settings, content: &Layers) -> Pixels {
        let Layers { pixels, scene, regions } = content;
        match self {
            Self::Content => pixels.clone(),
            Self::Noise(seed) if settings.keep_colours => luma::grey(&noise(pixels.size(), *seed)),
            Self::Noise(seed) => noise(pixels.size(), *seed),
            Self::Colours { transfer, sky } => {
                let depths = scene.ground.is_some().then(|| Depths::of(scene));
                transfer.apply(pixels, &regions.for_colours(*sky), depths)
            }
            Self::Weather(conditions) => {
                conditions.render(pixels, scene.sky.as_ref(), scene.shapes.as_ref(), Depths::of(scene))
            }
        }
    }

    /// The start of the same content at the size of `frame`, whose surfaces are `surface`. `regions` are those for
    /// colours at this size with this share of sky.
    pub fn draw_on(
        &self,
        frame: &Pixels,
        surface: Option<&Surface>,
        regions: impl FnOnce(Option<&Plane>) -> Regions,
    ) -> Pixels {
        let found = surface.filter(|surface| surface.has_sky).map(|surface| &surface.sky);
        match (self, surface) {
            (Self::Colours { transfer, sky }, surface) => {
                let regions = regions(found.filter(|_| *sky));
                transfer.apply(frame, &regions, surface.map(Depths::of_surface))
            }
            (Self::Weather(conditions), Some(surface)) => {
                conditions.render(frame, found, Some(&surface.shapes), Depths::of_surface(surface))
            }
            _ => frame.clone(),
        }
    }

    /// The extinction of the fog per unit of depth; 0 without fog.
    pub fn extinction(&self) -> f32 {
        match self {
            Self::Weather(conditions) => conditions.extinction(),
            Self::Content | Self::Noise(_) | Self::Colours { .. } => 0.0,
        }
    }
}

/// Gaussian noise around the middle of the range, independent in each colour, as Gatys et al. start from.
fn noise(size: Size, seed: u64) -> Pixels {
    const DEVIATION: f64 = 0.1;
    let mut random = Random::new(seed);
    let data = (0..size.pixels() * 3).map(|_| (0.5 + DEVIATION * random.normal()).clamp(0.0, 1.0) as f32).collect();
    Pixels::new(size, data)
}
