//! The engine: neural style transfer by optimization, from pixels to pixels.
//!
//! It gives a picture, the *content*, the look of another, the *style*, after Gatys, Ecker and Bethge (2016). It knows
//! nothing of files, datasets or terminals. `src/nst/README.md` says what is computed, and why.
//!
//! ```text
//! content ─ effects ─ resize ─ regions ─┬─ start ── optimize the pixels ──┬─ render ─ guard ─ light, rain, snow
//!                                       └─ content target ──┘             │
//! style ───────────── resize ─ regions ──── style target ───┘   original ──┘
//! ```
//!
//! Both pictures are shrunk to the working size. Their scenes and regions are found, so that a sky is styled after a
//! sky. A closed form gives the start: the style's colours, or fog or night by physics. L-BFGS changes its pixels until
//! the features of a frozen VGG19 match both targets. The result is rendered onto the original at its full size,
//! blended with it, and labelled objects get back the detail that they lost. Effects of weather on surfaces, such as lying
//! snow, are on the content before all this; lamps, the lens, and rain or snow in the air come last.
//!
//! # Example
//!
//! ```
//! use augment::nst::{Backbone, Isa, Pixels, Settings, Size, Stylizer};
//! use std::ops::ControlFlow;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let size = Size { height: 48, width: 64 };
//! let landscape = |sky: [f32; 3], ground: [f32; 3]| {
//!     let rows = (0..size.pixels()).flat_map(|n| if n / size.width < 20 { sky } else { ground });
//!     Pixels::new(size, rows.collect())
//! };
//! let content = landscape([0.4, 0.6, 0.9], [0.3, 0.6, 0.3]);
//! let sunset = landscape([0.9, 0.5, 0.3], [0.2, 0.1, 0.1]);
//!
//! let settings = Settings { steps: 3, ..Settings::default() };
//! let backbone = Backbone::builtin("relu5_1".parse()?)?;
//! let stylizer = Stylizer::new(&backbone, settings, Isa::named(None)?)?;
//! let style = stylizer.style(&sunset.into())?;
//! let mut evaluators = stylizer.evaluators(stylizer.working_size(size));
//! let seed = 7;
//! let made = stylizer.stylize(&mut evaluators, &content.clone().into(), &style, seed, |evaluation, loss| {
//!     println!("{evaluation}: {}", loss.total);
//!     ControlFlow::Continue(())
//! })?;
//!
//! assert_eq!((made.pixels.size(), made.evals), (size, 3));
//! let losses = made.losses.ok_or("three steps have losses")?;
//! assert!(losses.last.total < losses.first.total);
//! let warmth = |pixels: &Pixels| pixels.data().chunks(3).map(|rgb| rgb[0] - rgb[2]).sum::<f32>();
//! assert!(warmth(&made.pixels) > warmth(&content), "the style is red and the content blue");
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! The types that other code needs are exported here. The modules are for what is needed more rarely, and for tests.
//!
//! - [`stylizer`]: the way in, and the order of all steps
//! - [`settings`]: what one stylization is asked to do
//! - [`schedule`]: the sizes that a picture is optimized at, and the evaluations at each
//! - [`layers`]: what is fixed about VGG19: its layers by name, its input, pools and padding
//! - [`picture`]: pixels, planes, their geometry and filters
//! - [`scene`]: sky, depth and regions of a picture
//! - [`start`]: the picture that the optimizer starts from
//! - [`effects`]: lying snow, wet roads, haze, lamps, the lens and the sensor
//! - [`network`]: the weights of VGG19, and its forward and backward pass
//! - [`kernels`]: convolutions, Gram matrices and sums on the CPU
//! - [`loss`]: the loss, on the CPU and on a device
//! - [`optim`]: L-BFGS and Adam
//! - [`student`]: a network that has learned what the optimizer makes of a start
//! - [`backend`]: the choice between the CPU's kernels and a device
//! - [`render`]: from the optimized picture to the result
//! - [`failure`]: why a picture could not be stylized
//! - [`random`]: seeded random numbers

pub mod backend;
pub mod effects;
pub mod failure;
pub mod kernels;
pub mod layers;
pub mod loss;
pub mod network;
pub mod optim;
pub mod picture;
pub mod random;
pub mod render;
pub mod scene;
pub mod schedule;
pub mod settings;
pub mod start;
pub mod student;
pub mod stylizer;
#[cfg(test)]
pub mod testing;

pub use crate::nst::backend::device::Device;
pub use crate::nst::failure::StylizeError;
pub use crate::nst::kernels::simd::Isa;
pub use crate::nst::layers::Tap;
pub use crate::nst::loss::Loss;
pub use crate::nst::network::backbone::Backbone;
pub use crate::nst::network::tensors::Precision;
pub use crate::nst::picture::geometry::{Area, Crop, Size};
pub use crate::nst::picture::pixels::Pixels;
pub use crate::nst::picture::plane::Plane;
pub use crate::nst::random::FrameSeed;
pub use crate::nst::render::guard::{Easing, GuardReport};
pub use crate::nst::scene::object::{ObjectKind, SceneObject};
pub use crate::nst::settings::Settings;
pub use crate::nst::student::Student;
pub use crate::nst::stylizer::{Evaluators, Picture, Style, Stylized, Stylizer};
