//! Encodes an image in the format of its file's extension.

use crate::error::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageResult, RgbImage};
use std::path::Path;

/// Encodes an image in the format of the extension of `path`: jpg and jpeg at `quality` (1 to 100), png, webp, bmp and
/// tiff lossless. The ICC profile goes into all of them but bmp.
///
/// # Errors
/// [`Error::BadFile`] for another extension or a picture that the format cannot hold.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imageio::decode::decode_bytes;

    #[test]
    fn images_are_encoded_in_the_format_of_their_extension() {
        let image = RgbImage::from_fn(33, 17, |x, y| image::Rgb([x as u8 * 7, y as u8 * 15, 128]));
        for name in ["a.JPG", "a.jpeg", "a.png", "a.webp", "a.bmp", "a.tif", "a.TIFF"] {
            let path = Path::new(name);
            let bytes = encode_image(path, &image, None, 95).unwrap();
            let back = decode_bytes(path, &bytes).unwrap().image;
            assert_eq!(back.dimensions(), (33, 17));
            if !name.to_lowercase().starts_with("a.j") {
                assert_eq!(back, image, "{name} is lossless");
            }
            assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::from_path(path).unwrap());
        }
        assert!(encode_image(Path::new("a.gif"), &image, None, 95).is_err());
    }

    #[test]
    fn a_profile_comes_back_from_every_format_that_can_hold_one() {
        // Longer than a segment of a JPEG.
        let mut profile = vec![7; 70_000];
        profile[..4].copy_from_slice(&70_000_u32.to_be_bytes());
        profile[16..20].copy_from_slice(b"RGB ");
        profile[36..40].copy_from_slice(b"acsp");
        for (name, kept) in [("a.jpg", true), ("a.png", true), ("a.webp", true), ("a.tif", true), ("a.bmp", false)] {
            let bytes = encode_image(Path::new(name), &RgbImage::new(9, 5), Some(&profile), 95).unwrap();
            let back = decode_bytes(Path::new(name), &bytes).unwrap();
            assert_eq!(back.profile.as_ref() == Some(&profile), kept, "{name}");
            assert!(back.profile.is_none() || kept && !back.first_of_several, "{name}");
        }
    }
}
