//! Rain and snow: how many particles of which size, how fast they fall, and how they look.

use serde::Serialize;
use std::f64::consts::PI;

/// Metres across the aperture of a dash camera. It is focused far away, so it smears a near point over just this width.
const APERTURE: f64 = 0.002;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecipitationKind {
    Rain,
    Snow,
}

/// Precipitation during one exposure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precipitation {
    pub kind: PrecipitationKind,
    /// 0..=1: its square is the share of a downpour of 100 mm/h, or of a blizzard of 5 mm/h of melted snow. Sensible
    /// values are 0.4..=0.9 for rain, where 0.1 is a drizzle that no camera sees, and 0.3..=0.7 for snow.
    pub density: f64,
    /// The sideways speed in metres per second, positive to the right. Sensible values are -3..=3 for rain, which falls
    /// at 2 to 9 m/s, and -1.5..=1.5 for snow, which falls at about 1 m/s.
    pub wind: f64,
    /// Seconds that the shutter is open. A longer exposure makes longer and fainter streaks. Sensible values are
    /// 1/500..=1/125 for rain, of which longer exposures show almost nothing, and 1/250..=1/60 for snow.
    pub exposure: f64,
}

/// One particle's size and speed.
pub struct Body {
    /// Metres.
    diameter: f64,
    /// Metres per second.
    pub speed: f64,
}

impl Body {
    /// The area that the particle hides, in square metres.
    pub fn hidden_area(&self) -> f64 {
        0.25 * PI * self.diameter.powi(2)
    }

    /// The radius, in metres, of the kernel `(1 - r²)²` that has the variance of a disc of the particle's size smeared
    /// by the aperture.
    pub fn kernel_radius(&self) -> f64 {
        (0.5 * (self.diameter.powi(2) + APERTURE.powi(2))).sqrt()
    }
}

impl PrecipitationKind {
    /// The size distribution: `concentration * exp(-slope * diameter)` particles per cubic metre and per millimetre of
    /// diameter, which is that of the drop or of the melted flake, in millimetres. Returns concentration and slope.
    pub fn spectrum(self, density: f64) -> (f64, f64) {
        match self {
            Self::Rain => (8000.0, 4.1 * (100.0 * density * density).powf(-0.21)),
            Self::Snow => {
                let rate = 5.0 * density * density;
                (3800.0 * rate.powf(-0.87), 2.55 * rate.powf(-0.48))
            }
        }
    }

    /// The diameters to draw, as in [`PrecipitationKind::spectrum`]. Smaller ones are mist; larger ones break up in the
    /// air.
    pub fn diameters(self) -> (f64, f64) {
        match self {
            Self::Rain => (0.4, 5.5),
            Self::Snow => (0.3, 2.5),
        }
    }

    /// The particle with a `diameter` as in [`PrecipitationKind::spectrum`], at its terminal speed.
    pub fn body(self, diameter: f64) -> Body {
        match self {
            Self::Rain => Body { diameter: diameter / 1e3, speed: 9.65 - 10.3 * (-0.6 * diameter).exp() },
            Self::Snow => {
                // The density of a flake is that of water times 0.17 mm over its diameter (Holroyd 1971).
                let flake = (diameter.powi(3) / 0.17).sqrt();
                Body { diameter: flake / 1e3, speed: 0.8 * flake.powf(0.16) }
            }
        }
    }

    /// The deviation of a particle's velocity from the mean, in metres per second: gusts, and the flutter of flakes.
    pub fn flutter(self) -> f64 {
        match self {
            Self::Rain => 0.25,
            Self::Snow => 0.3,
        }
    }

    /// The share of a particle's light that comes from the brightest tenth of the picture.
    pub fn sky(self) -> f32 {
        match self {
            Self::Rain => 0.65,
            Self::Snow => 0.8,
        }
    }

    /// The peak opacity below which a particle is invisible in front of most backgrounds; flakes are brighter than
    /// drops.
    pub fn visible(self) -> f64 {
        match self {
            Self::Rain => 0.012,
            Self::Snow => 0.05,
        }
    }

    /// The largest optical depth of a pixel, however many particles are in front of it: opacities of 0.33 and 0.83.
    pub fn deepest(self) -> f32 {
        match self {
            Self::Rain => 0.4,
            Self::Snow => 1.8,
        }
    }
}
