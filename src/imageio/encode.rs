//! Encodes an image in the format of its file's extension.

use crate::error::{Error, Result};
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageResult, RgbImage};
use jpeg_encoder::{ColorType, EncodingError, SamplingFactor};
use std::io::Cursor;
use std::path::Path;
use tiff::TiffError;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::RGB8;
use tiff::tags::Tag;

/// What a file says about its picture.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    /// An ICC profile. A bmp has none.
    pub profile: Option<&'a [u8]>,
    /// How loaders turn the stored picture.
    pub orientation: Orientation,
}

impl Default for Metadata<'_> {
    fn default() -> Self {
        Self { profile: None, orientation: Orientation::NoTransforms }
    }
}

/// Encodes an image in the format of the extension of `path`: jpg and jpeg at `quality` (1 to 100), png, webp, bmp and
/// tiff lossless.
///
/// # Errors
/// [`Error::BadFile`] for another extension or a picture or orientation that the format cannot hold.
pub fn encode_image(path: &Path, image: &RgbImage, metadata: Metadata, quality: u8) -> Result<Vec<u8>> {
    let format = ImageFormat::from_path(path).map_err(|error| Error::bad_file(path, error.to_string()))?;
    let turned = metadata.orientation != Orientation::NoTransforms;
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => return encode_jpeg(image, metadata, quality).map_err(|error| unencodable(path, error)),
        ImageFormat::Png => encode(PngEncoder::new(&mut bytes), image, metadata),
        ImageFormat::WebP => encode(WebPEncoder::new_lossless(&mut bytes), image, metadata),
        ImageFormat::Tiff => return encode_tiff(image, metadata).map_err(|error| unencodable(path, error)),
        format if turned => {
            let message = format!("{format:?} files cannot say how they are turned; choose `output.format: jpg`");
            return Err(Error::bad_file(path, message));
        }
        format => image.write_to(&mut bytes, format),
    }
    .map_err(|error| unencodable(path, error))?;
    Ok(bytes.into_inner())
}

fn unencodable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::bad_file(path, format!("the image cannot be encoded: {error}"))
}

fn encode(mut encoder: impl ImageEncoder, image: &RgbImage, metadata: Metadata) -> ImageResult<()> {
    if let Some(profile) = metadata.profile {
        encoder.set_icc_profile(profile.to_vec()).map_err(ImageError::Unsupported)?;
    }
    if metadata.orientation != Orientation::NoTransforms {
        encoder.set_exif_metadata(exif(metadata.orientation)).map_err(ImageError::Unsupported)?;
    }
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)
}

/// EXIF data that hold an orientation alone: a TIFF directory of one entry.
fn exif(orientation: Orientation) -> Vec<u8> {
    const HEADER_AND_ENTRY: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
    [HEADER_AND_ENTRY, &[orientation.to_exif(), 0, 0, 0, 0, 0, 0, 0]].concat()
}

/// With full chroma, so that nothing of a frame with sharp colours is lost.
fn encode_jpeg(image: &RgbImage, metadata: Metadata, quality: u8) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    if metadata.orientation != Orientation::NoTransforms {
        encoder.add_exif_metadata(&exif(metadata.orientation))?;
    }
    if let Some(profile) = metadata.profile {
        encoder.add_icc_profile(profile)?;
    }
    // A side is at most `decode::LONGEST_SIDE`, which fits.
    encoder.encode(image, image.width() as u16, image.height() as u16, ColorType::Rgb)?;
    Ok(bytes)
}

/// With the encoder behind [`image::codecs::tiff`], which writes no orientation.
fn encode_tiff(image: &RgbImage, metadata: Metadata) -> Result<Vec<u8>, TiffError> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes)?;
    let mut page = encoder.new_image::<RGB8>(image.width(), image.height())?;
    if let Some(profile) = metadata.profile {
        page.encoder().write_tag(Tag::IccProfile, profile)?;
    }
    if metadata.orientation != Orientation::NoTransforms {
        page.encoder().write_tag(Tag::Orientation, u16::from(metadata.orientation.to_exif()))?;
    }
    page.write_data(image.as_raw())?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imageio::decode::decode_bytes;

    #[test]
    fn images_are_encoded_in_the_format_of_their_extension() {
        let image = RgbImage::from_fn(33, 17, |x, y| image::Rgb([x as u8 * 7, y as u8 * 15, 128]));
        for name in ["a.JPG", "a.jpeg", "a.png", "a.webp", "a.bmp", "a.tif", "a.TIFF"] {
            let path = Path::new(name);
            let bytes = encode_image(path, &image, Metadata::default(), 95).unwrap();
            let back = decode_bytes(path, &bytes).unwrap().image;
            assert_eq!(back.dimensions(), (33, 17));
            if !name.to_lowercase().starts_with("a.j") {
                assert_eq!(back, image, "{name} is lossless");
            }
            assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::from_path(path).unwrap());
        }
        assert!(encode_image(Path::new("a.gif"), &image, Metadata::default(), 95).is_err());
    }

    #[test]
    fn a_profile_comes_back_from_every_format_that_can_hold_one() {
        // Longer than a segment of a JPEG.
        let mut profile = vec![7; 70_000];
        profile[..4].copy_from_slice(&70_000_u32.to_be_bytes());
        profile[16..20].copy_from_slice(b"RGB ");
        profile[36..40].copy_from_slice(b"acsp");
        let with_profile = Metadata { profile: Some(&profile), ..Metadata::default() };
        for (name, kept) in [("a.jpg", true), ("a.png", true), ("a.webp", true), ("a.tif", true), ("a.bmp", false)] {
            let bytes = encode_image(Path::new(name), &RgbImage::new(9, 5), with_profile, 95).unwrap();
            let back = decode_bytes(Path::new(name), &bytes).unwrap();
            assert_eq!(back.profile.as_ref() == Some(&profile), kept, "{name}");
            assert!(back.profile.is_none() || kept && !back.first_of_several, "{name}");
        }
    }

    #[test]
    fn an_orientation_comes_back_from_every_format_that_can_hold_one_and_is_refused_by_others() {
        let image = RgbImage::from_fn(33, 17, |x, y| image::Rgb([x as u8 * 7, y as u8 * 15, 128]));
        for tag in 2..=8 {
            let orientation = Orientation::from_exif(tag).unwrap();
            let mut upright = image::DynamicImage::from(image.clone());
            upright.apply_orientation(orientation);
            for name in ["a.jpg", "a.png", "a.webp", "a.tif"] {
                let metadata = Metadata { orientation, ..Metadata::default() };
                let back = decode_bytes(Path::new(name), &encode_image(Path::new(name), &image, metadata, 95).unwrap());
                let back = back.unwrap();
                assert_eq!((back.orientation, back.image.dimensions()), (orientation, upright.to_rgb8().dimensions()));
                assert!(name == "a.jpg" || back.image == upright.to_rgb8(), "{name} {tag}");
            }
            let metadata = Metadata { orientation, ..Metadata::default() };
            let refused = encode_image(Path::new("a.bmp"), &image, metadata, 95).unwrap_err().to_string();
            assert!(refused.contains("output.format: jpg"), "{refused}");
        }
    }
}
