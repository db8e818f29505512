//! What the tests of precipitation share.

use crate::nst::render::precipitation::particles::{Precipitation, PrecipitationKind};

pub const RAIN: Precipitation =
    Precipitation { kind: PrecipitationKind::Rain, density: 0.7, wind: 0.0, exposure: 1.0 / 250.0 };

pub const SNOW: Precipitation =
    Precipitation { kind: PrecipitationKind::Snow, density: 0.5, wind: 0.0, exposure: 1.0 / 125.0 };
