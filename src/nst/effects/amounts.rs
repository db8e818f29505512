//! How much of each effect a picture gets.

use serde::Serialize;

/// How much of each effect a picture gets; 0 is none. `T` is a number or a range to draw from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Effects<T> {
    /// Optical depth of 100 m of white air; 0.1 is light haze, 4 is a fog.
    pub air: T,
    /// The share of the ground under snow, 0..1. At 0 there is no snow anywhere.
    pub snow: T,
    /// How much of that the wheels have cleared, 0..1.
    pub tracks: T,
    /// The share of the vehicles with snow on their roofs, 0..1.
    pub snowy_vehicles: T,
    /// How wet the ground is, 0..1.
    pub wet: T,
    /// The share of the wet ground under puddles, 0..1.
    pub puddles: T,
    /// How much water the wheels throw up, 0..1.
    pub spray: T,
    /// The share of the vehicles whose lamps are on, 0..1.
    pub lamps: T,
    /// How bright the headlamps of the camera car are, 0..1.
    pub headlamps: T,
    /// The largest number of street lamps along the road that may be drawn, 0..1 of the most.
    pub street_lamps: T,
    /// The share of the windows that are lit, 0..1.
    pub windows: T,
    /// How much light of lamps the lens scatters over the picture, 0..1.
    pub glare: T,
    /// How many drops lie on the lens, 0..1.
    pub drops: T,
    /// The standard deviation of the sensor's noise, as a share of white.
    pub noise: T,
    /// The standard deviation of blur, in thousandths of the long side.
    pub blur: T,
    /// The metres that the camera moves ahead in one exposure.
    pub motion: T,
    /// How far the sun's shadows on the ground are evened out, 0..1.
    pub overcast: T,
    /// The share of the picture, by luma, that the camera shows as black, 0..1, up to a quarter of white; the rest is
    /// darker, too.
    pub black: T,
}

impl<T: Copy> Effects<T> {
    /// The same effects with each amount under `f`, in the order of the fields.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Effects<U> {
        // Without `..`: a new effect does not compile until it is here.
        let Self {
            air,
            snow,
            tracks,
            snowy_vehicles,
            wet,
            puddles,
            spray,
            lamps,
            headlamps,
            street_lamps,
            windows,
            glare,
            drops,
            noise,
            blur,
            motion,
            overcast,
            black,
        } = self;
        Effects {
            air: f(air),
            snow: f(snow),
            tracks: f(tracks),
            snowy_vehicles: f(snowy_vehicles),
            wet: f(wet),
            puddles: f(puddles),
            spray: f(spray),
            lamps: f(lamps),
            headlamps: f(headlamps),
            street_lamps: f(street_lamps),
            windows: f(windows),
            glare: f(glare),
            drops: f(drops),
            noise: f(noise),
            blur: f(blur),
            motion: f(motion),
            overcast: f(overcast),
            black: f(black),
        }
    }
}

impl Effects<f32> {
    /// Whether an effect needs the surfaces of the frame.
    pub fn needs_surface(&self) -> bool {
        self.needs_ground() || self.air > 0.0
    }

    /// Whether an effect needs a ground plane. Snow on plants and edges does not.
    pub fn needs_ground(&self) -> bool {
        // Without `..`: a new effect does not compile until it is here. Some only change another effect.
        let Self {
            air: _,
            snow,
            tracks: _,
            snowy_vehicles: _,
            wet,
            puddles: _,
            spray,
            lamps,
            headlamps,
            street_lamps,
            windows,
            glare: _,
            drops: _,
            noise: _,
            blur: _,
            motion,
            overcast,
            black: _,
        } = *self;
        let on_it = [snow, wet, spray, lamps, headlamps, street_lamps, windows, motion, overcast];
        on_it.iter().any(|&amount| amount > 0.0)
    }
}
