//! Reads a VGG19 from files of other programs, whatever their formats, names and layouts.
//!
//! - [`foreign`]: [`read_foreign`] converts such a file
//! - [`names`]: which layer a tensor belongs to, by torchvision's or Keras' name
//! - [`keras`]: Keras' layout and the normalization that its VGG19 expects
//! - [`archive`]: the trait of the formats, which are
//! - `hdf5` (feature `import-keras`), [`torch`] and [`safetensors`]

pub mod archive;
pub mod foreign;
#[cfg(feature = "import-keras")]
pub mod hdf5;
pub mod keras;
pub mod names;
pub mod safetensors;
pub mod torch;

pub use foreign::{Imported, read_foreign};
