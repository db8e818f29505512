//! A file to upright 8-bit RGB, with limits.

use crate::error::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Luma, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Longest side in pixels that is decoded: beyond any camera, below what fills a machine's memory.
pub const LONGEST_SIDE: u32 = 16_384;
/// Most bytes that one decoded picture may take.
pub const MOST_BYTES: u64 = 1 << 30;

/// Reads an image as a detector's loader sees it, only upright.
///
/// The format is told by the content, not by the extension. EXIF orientation is applied. Grey becomes RGB, 16 bits become
/// 8, and alpha is dropped without blending, as OpenCV does in every YOLO loader: what is under it is what trains.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::BadFile`] if it is empty, no image, cut short, damaged or larger
/// than [`LONGEST_SIDE`] or [`MOST_BYTES`].
pub fn decode(path: &Path) -> Result<RgbImage> {
    upright(path).map(DynamicImage::into_rgb8)
}

/// Reads a grey picture, such as a mask or a depth, at 16 bits.
///
/// # Errors
/// As [`decode`].
pub fn decode_grey(path: &Path) -> Result<ImageBuffer<Luma<u16>, Vec<u16>>> {
    upright(path).map(DynamicImage::into_luma16)
}

fn upright(path: &Path) -> Result<DynamicImage> {
    let bytes = fs::read(path).map_err(Error::io(path, "read it"))?;
    let (decoder, format, orientation) = open(path, &bytes)?;
    // The JPEG decoder fills what is missing with grey, which would be stylized like any other picture.
    if format == ImageFormat::Jpeg && !jpeg_reaches_its_end(&bytes) {
        return Err(Error::bad_file(path, "the JPEG is cut short: its end marker is missing"));
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| bad_image(path, error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Width and height of the upright image, from its header alone.
///
/// # Errors
/// As [`decode`], as far as the header shows it.
pub fn dimensions(path: &Path) -> Result<(u32, u32)> {
    let bytes = fs::read(path).map_err(Error::io(path, "read it"))?;
    let (decoder, _, orientation) = open(path, &bytes)?;
    let (width, height) = decoder.dimensions();
    Ok(if turns(orientation) { (height, width) } else { (width, height) })
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(impl ImageDecoder + 'a, ImageFormat, Orientation)> {
    if bytes.is_empty() {
        return Err(Error::bad_file(path, "the file is empty"));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(Error::io(path, "read it"))?;
    reader.limits(limits);
    let format =
        reader.format().ok_or_else(|| Error::bad_file(path, "its content is no jpeg, png, webp, bmp or tiff"))?;
    let mut decoder = reader.into_decoder().map_err(|error| bad_image(path, error))?;
    if decoder.total_bytes() > MOST_BYTES {
        let (width, height) = decoder.dimensions();
        return Err(Error::bad_file(path, format!("at {width}x{height} it is larger than 1 GiB in memory")));
    }
    // A damaged orientation tag is no reason to give up the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, format, orientation))
}

fn bad_image(path: &Path, error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => {
            Error::bad_file(path, format!("it is larger than {LONGEST_SIDE} pixels a side or 1 GiB in memory"))
        }
        other => Error::bad_file(path, format!("the image cannot be decoded: {other}")),
    }
}

fn turns(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Whether the marker segments of a JPEG lead to its end marker (ITU T.81, annex B).
///
/// The end is not sought in the last two bytes: phones and cameras append data of their own, and a thumbnail inside a
/// file that is cut short has an end of its own.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(&[marker, code]) = bytes.get(at..at + 2) {
        match (marker, code) {
            (0xFF, END) => return true,
            // Fill bytes before a marker.
            (0xFF, 0xFF) => at += 1,
            // Restart markers, and zeros that escape a 0xFF of the data, belong to the scan; so does what is no marker.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, code) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
                if code == START_OF_SCAN {
                    at = next_marker(bytes, at);
                }
            }
            _ => at = next_marker(bytes, at),
        }
    }
    false
}

fn next_marker(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)).map_or(bytes.len(), |n| from + n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder, Rgba};
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// 48x32: noise, so that a scan has bytes of every value, with one red and one blue half.
    fn picture() -> RgbImage {
        RgbImage::from_fn(48, 32, |x, y| {
            let noise = (x * 7919 + y * 104_729) % 61;
            let (red, blue) = if x < 24 { (190, 0) } else { (0, 190) };
            image::Rgb([red + noise as u8, noise as u8, blue + noise as u8])
        })
    }

    /// A JPEG of [`picture`] with an EXIF orientation tag.
    fn oriented(orientation: u8) -> Vec<u8> {
        let jpeg = encode(&picture().into(), ImageFormat::Jpeg);
        let tiff =
            [b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0, 0]]
                .concat();
        let length = (tiff.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xFF, 0xE1], &length, &tiff, &jpeg[2..]].concat()
    }

    fn complaint(name: &str, bytes: &[u8]) -> String {
        let (_folder, path) = file(name, bytes);
        let error = decode(&path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        error
    }

    #[test]
    fn the_content_tells_the_format_whatever_the_extension() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            let (_folder, path) = file("a.jpg", &encode(&picture().into(), format));
            assert_eq!(decode(&path).unwrap(), picture(), "{format:?}");
        }
    }

    #[test]
    fn every_exif_orientation_comes_out_upright_and_has_its_dimensions() {
        let (_folder, path) = file("a.jpg", &oriented(1));
        let upright = decode(&path).unwrap();
        let turned = [
            (2, image::imageops::flip_horizontal(&upright)),
            (3, image::imageops::rotate180(&upright)),
            (6, image::imageops::rotate90(&upright)),
            (8, image::imageops::rotate270(&upright)),
        ];
        for (orientation, expected) in turned {
            let (_folder, path) = file("a.jpg", &oriented(orientation));
            assert_eq!(decode(&path).unwrap(), expected, "{orientation}");
            assert_eq!(dimensions(&path).unwrap(), expected.dimensions(), "{orientation}");
        }
    }

    #[test]
    fn grey_16_bit_and_transparent_pictures_become_plain_rgb() {
        let grey: DynamicImage = ImageBuffer::from_pixel(3, 2, Luma([0x8080_u16])).into();
        let (_folder, path) = file("a.png", &encode(&grey, ImageFormat::Png));
        assert_eq!(decode(&path).unwrap().get_pixel(2, 1).0, [0x80; 3]);

        let clear: DynamicImage = ImageBuffer::from_pixel(3, 2, Rgba([10, 20, 30, 0_u8])).into();
        let (_folder, path) = file("a.png", &encode(&clear, ImageFormat::Png));
        assert_eq!(decode(&path).unwrap().get_pixel(0, 0).0, [10, 20, 30], "alpha is dropped, not blended");
    }

    #[test]
    fn empty_foreign_and_missing_files_are_named() {
        assert!(complaint("a.jpg", b"").ends_with("the file is empty"));
        assert!(complaint("a.jpg", b"<html>not found</html>").contains("no jpeg, png"));
        let missing = decode(Path::new("nowhere/a.jpg")).unwrap_err().to_string();
        assert!(missing.starts_with("nowhere/a.jpg: could not read it"), "{missing}");
    }

    #[test]
    fn a_picture_cut_short_anywhere_is_an_error_in_every_format() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            let whole = encode(&picture().into(), format);
            for share in [0.1, 0.5, 0.9] {
                complaint("a.jpg", &whole[..(whole.len() as f64 * share) as usize]);
            }
        }
        let jpeg = encode(&picture().into(), ImageFormat::Jpeg);
        assert!(complaint("a.jpg", &jpeg[..jpeg.len() - 40]).contains("cut short"));
    }

    #[test]
    fn a_jpeg_with_foreign_bytes_behind_its_end_or_a_thumbnail_inside_is_judged_by_its_own_end() {
        let jpeg = encode(&picture().into(), ImageFormat::Jpeg);
        let (_folder, path) = file("a.jpg", &[&jpeg[..], b"SEFT trailer of a phone"].concat());
        assert!(decode(&path).is_ok());
        // An APP1 segment that holds a whole small JPEG.
        let length = (jpeg.len() as u16 + 2).to_be_bytes();
        let with_thumbnail = [&jpeg[..2], &[0xFF, 0xE1], &length, &jpeg, &jpeg[2..]].concat();
        assert!(jpeg_reaches_its_end(&with_thumbnail));
        assert!(!jpeg_reaches_its_end(&with_thumbnail[..with_thumbnail.len() - 40]));
    }

    #[test]
    fn a_picture_beyond_the_limits_is_refused_before_it_is_decoded() {
        let mut bytes = Vec::new();
        let row = vec![0; LONGEST_SIDE as usize + 1];
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.write_image(&row, LONGEST_SIDE + 1, 1, ExtendedColorType::L8).unwrap();
        assert!(complaint("a.png", &bytes).contains("larger than 16384"));
    }
}
