//! Encoding images.

use crate::error::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageResult, RgbImage};
use std::path::Path;

/// The bytes that [`write_image`] writes to `path`.
///
/// # Errors
/// [`Error::BadFile`] as there.
pub fn encode_image(path: &Path, image: &RgbImage, profile: Option<&[u8]>, quality: u8) -> Result<Vec<u8>> {
    let format = ImageFormat::from_path(path).map_err(|error| Error::bad_file(path, error.to_string()))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => encode(JpegEncoder::new_with_quality(&mut bytes, quality), image, profile),
        ImageFormat::Png => encode(PngEncoder::new(&mut bytes), image, profile),
        ImageFormat::WebP => encode(WebPEncoder::new_lossless(&mut bytes), image, profile),
        ImageFormat::Tiff => encode(TiffEncoder::new(&mut bytes), image, profile),
        format => image.write_to(&mut bytes, format),
    }
    .map_err(|error| Error::bad_file(path, format!("the image cannot be encoded: {error}")))?;
    Ok(bytes.into_inner())
}

fn encode(mut encoder: impl ImageEncoder, image: &RgbImage, profile: Option<&[u8]>) -> ImageResult<()> {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile.to_vec()).map_err(ImageError::Unsupported)?;
    }
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)
}
