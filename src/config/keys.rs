//! What keys may be: the bounds of numbers, and names with the values that they stand for.

use crate::config::values::{OutputFormat, Pairing};
use crate::dataset::split::Split;
use crate::nst::layers::{Padding, Pool};
use crate::nst::render::precipitation::PrecipitationKind;
use crate::nst::settings::{Chroma, Init, Optimizer, RegionKind, Render, SceneKind, Weather};
use std::ops::RangeInclusive;

/// Bounds of a number, both included. Whole numbers have theirs in their row.
pub(super) trait Bounds {
    const RANGE: RangeInclusive<f64>;
}

/// A weight in a loss, a draw or a blend. The upper bound keeps sums of weights finite.
pub(super) struct Weight;
/// A share of one.
pub(super) struct Share;
/// An amount of an effect that may be above 1.
pub(super) struct Amount;
/// The quality of JPEG.
pub(super) struct Quality;
/// Metres per second. A violent storm has 30 (Beaufort 11).
pub(super) struct Wind;
/// Seconds.
pub(super) struct Exposure;

impl Bounds for Weight {
    const RANGE: RangeInclusive<f64> = 0.0..=1e9;
}

impl Bounds for Share {
    const RANGE: RangeInclusive<f64> = 0.0..=1.0;
}

impl Bounds for Amount {
    const RANGE: RangeInclusive<f64> = 0.0..=20.0;
}

impl Bounds for Quality {
    const RANGE: RangeInclusive<f64> = 1.0..=100.0;
}

impl Bounds for Wind {
    const RANGE: RangeInclusive<f64> = -30.0..=30.0;
}

impl Bounds for Exposure {
    const RANGE: RangeInclusive<f64> = 0.0001..=0.1;
}

/// Names, each with the value that it stands for.
pub(super) type Names<T> = &'static [(&'static str, T)];

/// What a text says by name.
pub(super) trait Named: Clone + PartialEq + 'static {
    const NAMES: Names<Self>;
}

/// All names of a `T`, in the order of the table.
pub(super) fn names<T: Named>() -> impl Iterator<Item = &'static str> + Clone {
    T::NAMES.iter().map(|&(name, _)| name)
}

/// The name of a value that the table has.
pub(super) fn name_of<T: Named>(value: &T) -> &'static str {
    T::NAMES.iter().find(|(_, named)| named == value).map_or("", |&(name, _)| name)
}

impl Named for Pairing {
    const NAMES: Names<Self> = &[("random", Self::Random), ("cycle", Self::Cycle), ("blend", Self::Blend)];
}

impl Named for OutputFormat {
    const NAMES: Names<Self> = &[("same", Self::Same), ("jpg", Self::Jpg), ("png", Self::Png)];
}

impl Named for Split {
    const NAMES: Names<Self> = &[("train", Self::Train), ("val", Self::Val), ("test", Self::Test)];
}

impl Named for Optimizer {
    const NAMES: Names<Self> = &[("lbfgs", Self::Lbfgs), ("adam", Self::Adam)];
}

impl Named for Init {
    const NAMES: Names<Self> =
        &[("colour", Self::Colour), ("content", Self::Content), ("noise", Self::Noise), ("weather", Self::Weather)];
}

impl Named for Weather {
    const NAMES: Names<Self> = &[("fog", Self::Fog), ("night", Self::Night)];
}

impl Named for SceneKind {
    const NAMES: Names<Self> =
        &[("auto", Self::Auto), ("road", Self::Road), ("aerial", Self::Aerial), ("none", Self::None)];
}

/// Without [`RegionKind::Masks`], which are a list.
impl Named for RegionKind {
    const NAMES: Names<Self> = &[("none", Self::None), ("bands", Self::Bands), ("scene", Self::Scene)];
}

impl Named for Option<PrecipitationKind> {
    const NAMES: Names<Self> =
        &[("none", None), ("rain", Some(PrecipitationKind::Rain)), ("snow", Some(PrecipitationKind::Snow))];
}

impl Named for Pool {
    const NAMES: Names<Self> = &[("max", Self::Max), ("avg", Self::Avg)];
}

impl Named for Padding {
    const NAMES: Names<Self> = &[("zero", Self::Zero), ("replicate", Self::Replicate), ("wrap", Self::Wrap)];
}

impl Named for Render {
    const NAMES: Names<Self> = &[("photoreal", Self::Photoreal), ("pixels", Self::Pixels)];
}

impl Named for Chroma {
    const NAMES: Names<Self> = &[("style", Self::Style), ("start", Self::Start)];
}
