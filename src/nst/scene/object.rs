//! Labelled objects and what their kind says about them.

use crate::nst::picture::geometry::Area;

/// A labelled object of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneObject {
    pub area: Area,
    pub kind: ObjectKind,
    /// The corners of its outline, as shares of the picture; without any, its shape has to be found.
    pub outline: Vec<[f64; 2]>,
}

impl SceneObject {
    /// An object of which only the box is known.
    pub fn new(area: Area, kind: ObjectKind) -> Self {
        Self { area, kind, outline: Vec::new() }
    }
}

/// What an object is, as far as weather and light depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectKind {
    Car,
    /// A bus, a truck, a train.
    LargeVehicle,
    /// A motorbike or a bicycle.
    TwoWheeler,
    /// A person, on foot or on a two-wheeler.
    Person,
    /// Anything else, or of an unknown class.
    #[default]
    Other,
}

impl ObjectKind {
    /// The usual height in metres; `None` where it is not known. Two-wheelers are mostly labelled with their riders.
    pub fn height(self) -> Option<f32> {
        match self {
            Self::Car => Some(1.55),
            Self::LargeVehicle => Some(3.1),
            Self::TwoWheeler => Some(1.5),
            Self::Person => Some(1.7),
            Self::Other => None,
        }
    }

    /// Whether it is a vehicle that people sit inside.
    pub fn has_roof(self) -> bool {
        matches!(self, Self::Car | Self::LargeVehicle)
    }

    /// Whether it has lamps that light the road.
    pub fn has_lamps(self) -> bool {
        self.has_roof() || self == Self::TwoWheeler
    }
}
