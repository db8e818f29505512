//! Decodes an image file to upright 8-bit RGB, or 16-bit grey, within limits.
//!
//! Files that the decoders of [`image`] would accept although they are incomplete, or that would take too much memory,
//! are refused before decoding.

use crate::error::{Error, Result};
use crate::imageio::container::{foreign_name, has_more_pictures, is_tiff, missing_end, tiff_page};
use crate::imageio::jpeg::with_standard_tables;
use crate::imageio::tiff;
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Luma, RgbImage};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

/// The longest side in pixels that is decoded.
pub const LONGEST_SIDE: u32 = 16_384;

/// The most pixels that are decoded. No camera makes more; a small damaged file may claim more and exhaust the memory.
pub const MOST_PIXELS: u64 = 1 << 27;

/// The most bytes of a file, or of a decoded picture.
pub const MOST_BYTES: u64 = 1 << 30;

/// The most bytes that the PNG decoder may allocate besides the pixels: a compressed profile may unpack to any size.
const MOST_PNG_BYTES: u64 = 1 << 26;

/// The most bytes of a profile that is kept. Profiles of printers have the longest tables and take 2 or 3 MB.
const MOST_PROFILE_BYTES: usize = 1 << 22;

/// No JPEG has more pixels per byte: each block takes at least one bit, at the coarsest sampling.
const MOST_PIXELS_PER_JPEG_BYTE: u64 = 2048;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub image: RgbImage,
    /// The ICC profile, if there is one for RGB. It is not applied, because the loaders of detectors ignore it.
    pub profile: Option<Vec<u8>>,
    /// Whether the file holds more pictures, such as those of an animation; this is the first.
    pub first_of_several: bool,
    /// How the stored picture was turned to be upright.
    pub orientation: Orientation,
}

/// Decodes an image file as the loader of a detector does.
///
/// The content tells the format, not the extension. EXIF orientation is applied. Grey becomes RGB and 16 bits become 8.
/// Alpha is dropped without blending, as OpenCV does in every YOLO loader: the colours under it are trained on.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::BadFile`] if it is empty, no image, cut short, damaged or larger
/// than [`LONGEST_SIDE`], [`MOST_PIXELS`] or [`MOST_BYTES`].
pub fn decode(path: &Path) -> Result<Decoded> {
    decode_bytes(path, &read(path)?)
}

/// [`decode`] for the content of the file at `path`, which only errors name.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<Decoded> {
    let Stored { image, profile, format, orientation } = upright(path, bytes)?;
    let profile = profile.filter(|profile| is_of_rgb(profile));
    let first_of_several = has_more_pictures(format, bytes);
    Ok(Decoded { image: image.into_rgb8(), profile, first_of_several, orientation })
}

/// Decodes an image to grey of 16 bits, for masks and depths. `bytes` are the content of the file at `path`, which only
/// errors name.
///
/// # Errors
/// As [`decode`].
pub fn decode_grey_bytes(path: &Path, bytes: &[u8]) -> Result<ImageBuffer<Luma<u16>, Vec<u16>>> {
    upright(path, bytes).map(|picture| picture.image.into_luma16())
}

/// Width and height of the upright image in pixels, from its header alone.
///
/// The file is not loaded, except for a JPEG: the decoder of [`image`] reads it whole.
///
/// # Errors
/// As [`decode`], but only what the header shows.
pub fn dimensions(path: &Path) -> Result<(u32, u32)> {
    let length = length_of(path)?;
    let file = File::open(path).map_err(Error::io(path, "read it"))?;
    upright_dimensions(path, BufReader::new(file), length)
}

/// [`dimensions`] for the content of the file at `path`, which only errors name.
///
/// # Errors
/// As [`dimensions`].
pub fn dimensions_of_bytes(path: &Path, bytes: &[u8]) -> Result<(u32, u32)> {
    upright_dimensions(path, Cursor::new(bytes), bytes.len() as u64)
}

fn upright_dimensions(path: &Path, mut content: impl BufRead + Seek, length: u64) -> Result<(u32, u32)> {
    let start = content.fill_buf().map_err(Error::io(path, "read it"))?;
    let ((width, height), orientation) = if is_tiff(start) {
        let header = open_tiff(path, content)?;
        ((header.width, header.height), header.orientation)
    } else {
        let (decoder, _, orientation) = open(path, content, length)?;
        (decoder.dimensions(), orientation)
    };
    Ok(if turns(orientation) { (height, width) } else { (width, height) })
}

/// The content of an image file, for the functions that take bytes.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::BadFile`] if it is no regular file or larger than [`MOST_BYTES`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    length_of(path)?;
    fs::read(path).map_err(Error::io(path, "read it"))
}

/// The length in bytes of a file that may be read.
fn length_of(path: &Path) -> Result<u64> {
    let file = fs::metadata(path).map_err(Error::io(path, "read it"))?;
    // A list of images may name any path, and reading a pipe may never end.
    if !file.is_file() {
        return Err(Error::bad_file(path, "this is not a file"));
    }
    if file.len() > MOST_BYTES {
        return Err(Error::bad_file(path, "the file is larger than 1 GiB"));
    }
    Ok(file.len())
}

/// A picture with what its file says about it.
struct Stored {
    image: DynamicImage,
    profile: Option<Vec<u8>>,
    format: ImageFormat,
    orientation: Orientation,
}

/// The picture turned as its file says.
fn upright(path: &Path, bytes: &[u8]) -> Result<Stored> {
    let mut stored = stored(path, bytes)?;
    stored.image.apply_orientation(stored.orientation);
    Ok(stored)
}

/// The picture as it is stored.
fn stored(path: &Path, bytes: &[u8]) -> Result<Stored> {
    if is_tiff(bytes) {
        let orientation = open_tiff(path, Cursor::new(bytes))?.orientation;
        let image = tiff::decode(bytes, MOST_BYTES).map_err(|reason| undecodable(path, &reason))?;
        let profile = tiff_page(bytes).and_then(|page| page.profile).map(<[u8]>::to_vec);
        return Ok(Stored { image, profile, format: ImageFormat::Tiff, orientation });
    }
    let (mut decoder, format, orientation) = open(path, Cursor::new(bytes), bytes.len() as u64)?;
    if let Some(complaint) = missing_end(format, bytes) {
        return Err(Error::bad_file(path, complaint));
    }
    // The picture can be used without a damaged profile.
    let profile = decoder.icc_profile().unwrap_or_default();
    let whole = match format {
        ImageFormat::Jpeg => with_standard_tables(bytes).map_err(|reason| undecodable(path, reason))?,
        _ => Cow::Borrowed(bytes),
    };
    let decoded = match &whole {
        Cow::Borrowed(_) => DynamicImage::from_decoder(decoder),
        Cow::Owned(whole) => DynamicImage::from_decoder(open(path, Cursor::new(whole), whole.len() as u64)?.0),
    };
    let image = decoded.map_err(|error| bad_image(path, error))?;
    Ok(Stored { image, profile, format, orientation })
}

/// Reads the directory of a TIFF, and checks it against the limits.
fn open_tiff(path: &Path, content: impl BufRead + Seek) -> Result<tiff::Header> {
    let header = tiff::header(content).map_err(|reason| undecodable(path, &reason))?;
    let (width, height) = (header.width, header.height);
    if width > LONGEST_SIDE || height > LONGEST_SIDE {
        return Err(too_large(path));
    }
    match too_many(width, height, header.bytes()) {
        Some(complaint) => Err(Error::bad_file(path, format!("at {width}x{height} {complaint}"))),
        None => Ok(header),
    }
}

/// Opens the decoder for `content` of `length` bytes, which is no TIFF, and checks the header against the limits.
fn open<'a>(
    path: &Path,
    mut content: impl BufRead + Seek + 'a,
    length: u64,
) -> Result<(impl ImageDecoder + 'a, ImageFormat, Orientation)> {
    if length == 0 {
        return Err(Error::bad_file(path, "the file is empty"));
    }
    if let Some(name) = foreign_name(content.fill_buf().map_err(Error::io(path, "read it"))?) {
        let reason = format!("its content is {name}, which this program cannot read; convert it to jpg or png");
        return Err(undecodable(path, &reason));
    }
    let mut reader = ImageReader::new(content).with_guessed_format().map_err(Error::io(path, "read it"))?;
    let format =
        reader.format().ok_or_else(|| Error::bad_file(path, "its content is not jpeg, png, webp, bmp or tiff"))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(if format == ImageFormat::Png { MOST_PNG_BYTES } else { MOST_BYTES });
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| bad_image(path, error))?;
    if let Some(complaint) = beyond_limits(&decoder, format, length) {
        let (width, height) = decoder.dimensions();
        return Err(Error::bad_file(path, format!("at {width}x{height} {complaint}")));
    }
    // The picture can be used without a damaged orientation tag.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, format, orientation))
}

/// What is wrong with the size of a picture whose file has `length` bytes.
fn beyond_limits(decoder: &impl ImageDecoder, format: ImageFormat, length: u64) -> Option<&'static str> {
    let (width, height) = decoder.dimensions();
    let is_too_short = || u64::from(width) * u64::from(height) / MOST_PIXELS_PER_JPEG_BYTE > length;
    too_many(width, height, decoder.total_bytes())
        .or_else(|| (format == ImageFormat::Jpeg && is_too_short()).then_some("the JPEG is too short for its size"))
}

/// What is wrong with the size of a picture of so many bytes.
fn too_many(width: u32, height: u32, bytes: u64) -> Option<&'static str> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        Some("it has no pixels")
    } else if pixels > MOST_PIXELS {
        Some("it is larger than 134 megapixels")
    } else if bytes > MOST_BYTES {
        Some("it is larger than 1 GiB in memory")
    } else {
        None
    }
}

fn bad_image(path: &Path, error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => too_large(path),
        other => undecodable(path, &other.to_string()),
    }
}

fn too_large(path: &Path) -> Error {
    Error::bad_file(path, format!("it is larger than {LONGEST_SIDE} pixels a side or 1 GiB in memory"))
}

fn undecodable(path: &Path, reason: &str) -> Error {
    Error::bad_file(path, format!("the image cannot be decoded: {reason}"))
}

/// Turns an upright picture so that loaders, which apply `orientation`, show it upright again.
pub fn turned_back(image: RgbImage, orientation: Orientation) -> RgbImage {
    let inverse = match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        own_inverse => own_inverse,
    };
    let mut image = DynamicImage::from(image);
    image.apply_orientation(inverse);
    image.into_rgb8()
}

fn turns(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Whether an ICC profile (ICC.1, section 7.2) has the length that its header states and is for RGB, as the output is.
fn is_of_rgb(profile: &[u8]) -> bool {
    let has = |at: usize, bytes: &[u8; 4]| profile.get(at..at + 4) == Some(bytes);
    profile.len() <= MOST_PROFILE_BYTES
        && has(0, &(profile.len() as u32).to_be_bytes())
        && has(16, b"RGB ")
        && has(36, b"acsp")
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder, Rgba};
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// A folder with this file, and the file's path.
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

    /// 48x32 pixels of noise, so that a scan has bytes of every value, with one red and one blue half.
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
    fn the_content_tells_the_format_and_not_the_extension() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            let (_folder, path) = file("a.jpg", &encode(&picture().into(), format));
            assert_eq!(decode(&path).unwrap().image, picture(), "{format:?}");
        }
    }

    #[test]
    fn every_exif_orientation_comes_out_upright_and_has_its_dimensions() {
        let (_folder, path) = file("a.jpg", &oriented(1));
        let upright = decode(&path).unwrap().image;
        let turned = [
            (2, image::imageops::flip_horizontal(&upright)),
            (3, image::imageops::rotate180(&upright)),
            (6, image::imageops::rotate90(&upright)),
            (8, image::imageops::rotate270(&upright)),
        ];
        for (orientation, expected) in turned {
            let (_folder, path) = file("a.jpg", &oriented(orientation));
            assert_eq!(decode(&path).unwrap().image, expected, "{orientation}");
            assert_eq!(dimensions(&path).unwrap(), expected.dimensions(), "{orientation}");
            let tag = Orientation::from_exif(orientation).unwrap();
            assert_eq!(turned_back(expected.clone(), tag), upright, "{orientation}");
            let bytes = oriented(orientation);
            assert_eq!(dimensions_of_bytes(&path, &bytes).unwrap(), expected.dimensions(), "{orientation}");
        }
    }

    #[test]
    fn grey_16_bit_and_transparent_pictures_become_plain_rgb() {
        let grey: DynamicImage = ImageBuffer::from_pixel(3, 2, Luma([0x8080_u16])).into();
        let (_folder, path) = file("a.png", &encode(&grey, ImageFormat::Png));
        assert_eq!(decode(&path).unwrap().image.get_pixel(2, 1).0, [0x80; 3]);

        let clear: DynamicImage = ImageBuffer::from_pixel(3, 2, Rgba([10, 20, 30, 0_u8])).into();
        let (_folder, path) = file("a.png", &encode(&clear, ImageFormat::Png));
        assert_eq!(decode(&path).unwrap().image.get_pixel(0, 0).0, [10, 20, 30], "alpha is dropped, not blended");
    }

    #[test]
    fn an_empty_a_foreign_and_a_missing_file_are_named() {
        assert!(complaint("a.jpg", b"").ends_with("the file is empty"));
        assert!(complaint("a.jpg", b"<html>not found</html>").contains("not jpeg, png"));
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
    fn neither_bytes_after_the_end_of_a_jpeg_nor_a_thumbnail_inside_hide_whether_it_is_complete() {
        let jpeg = encode(&picture().into(), ImageFormat::Jpeg);
        let (_folder, path) = file("a.jpg", &[&jpeg[..], b"SEFT trailer of a phone"].concat());
        assert!(decode(&path).is_ok());
        // An APP1 segment that holds a whole small JPEG.
        let length = (jpeg.len() as u16 + 2).to_be_bytes();
        let with_thumbnail = [&jpeg[..2], &[0xFF, 0xE1], &length, &jpeg, &jpeg[2..]].concat();
        assert_eq!(missing_end(ImageFormat::Jpeg, &with_thumbnail), None);
        assert!(missing_end(ImageFormat::Jpeg, &with_thumbnail[..with_thumbnail.len() - 40]).is_some());
    }

    #[test]
    fn bytes_after_the_end_of_a_webp_do_no_harm() {
        let webp = encode(&picture().into(), ImageFormat::WebP);
        let (_folder, path) = file("a.webp", &[&webp[..], b"trailer"].concat());
        assert_eq!(decode(&path).unwrap().image, picture());
        assert!(complaint("a.webp", &webp[..webp.len() - 2]).contains("cut short"));
    }

    #[test]
    fn only_a_complete_profile_of_rgb_is_kept() {
        let profile = |length: u32, space: &[u8; 4]| {
            let mut profile = vec![0; 200];
            profile[..4].copy_from_slice(&length.to_be_bytes());
            profile[16..20].copy_from_slice(space);
            profile[36..40].copy_from_slice(b"acsp");
            profile
        };
        assert!(is_of_rgb(&profile(200, b"RGB ")));
        assert!(!is_of_rgb(&profile(201, b"RGB ")) && !is_of_rgb(&profile(200, b"CMYK")) && !is_of_rgb(b"RGB "));
    }

    #[test]
    fn a_folder_or_pipe_is_refused_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(decode(folder.path()).unwrap_err().to_string().ends_with("this is not a file"));
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
