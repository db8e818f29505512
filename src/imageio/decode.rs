//! A file to upright 8-bit RGB, with limits.
//!
//! What the decoders of [`image`] let through, or would spend too much memory on, is sorted out before they begin.

use crate::error::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Luma, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Longest side in pixels that is decoded.
pub const LONGEST_SIDE: u32 = 16_384;

/// Most pixels that are decoded: beyond any camera, below what a few bytes may claim to fill a machine's memory with.
pub const MOST_PIXELS: u64 = 1 << 27;

/// Most bytes that a file, or a picture once decoded, may take.
pub const MOST_BYTES: u64 = 1 << 30;

/// What a PNG decoder may spend on all but the pixels; a profile of a few bytes may unpack to any size.
const MOST_PNG_BYTES: u64 = 1 << 26;

/// Most bytes of a profile that is kept; those of printers, which have the longest tables, take 2 or 3 MB.
const MOST_PROFILE_BYTES: usize = 1 << 22;

/// More pixels than any coder writes with a byte of a JPEG: one bit for each block of the sparsest sampling.
const MOST_PIXELS_PER_JPEG_BYTE: u64 = 2048;

/// A picture as a detector's loader sees it, only upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub image: RgbImage,
    /// The ICC profile, where there is one for RGB. It is not applied: loaders ignore it too.
    pub profile: Option<Vec<u8>>,
    /// Whether the file holds more pictures, an animation's or a document's; this is the first.
    pub first_of_several: bool,
}

/// Reads an image as a detector's loader sees it, only upright.
///
/// The format is told by the content, not by the extension. EXIF orientation is applied. Grey becomes RGB, 16 bits become
/// 8, and alpha is dropped without blending, as OpenCV does in every YOLO loader: what is under it is what trains.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::BadFile`] if it is empty, no image, cut short, damaged or larger
/// than [`LONGEST_SIDE`], [`MOST_PIXELS`] or [`MOST_BYTES`].
pub fn decode(path: &Path) -> Result<Decoded> {
    decode_bytes(path, &read(path)?)
}

/// [`decode`] for the content of a file, which errors call by `path`.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<Decoded> {
    let (image, profile, format) = upright(path, bytes)?;
    let first_of_several = has_more_pictures(format, bytes);
    Ok(Decoded { image: image.into_rgb8(), profile: profile.filter(|profile| is_of_rgb(profile)), first_of_several })
}

/// Reads a grey picture, such as a mask or a depth, at 16 bits.
///
/// # Errors
/// As [`decode`].
pub fn decode_grey(path: &Path) -> Result<ImageBuffer<Luma<u16>, Vec<u16>>> {
    upright(path, &read(path)?).map(|(image, ..)| image.into_luma16())
}

/// Width and height of the upright image, from its header alone.
///
/// # Errors
/// As [`decode`], as far as the header shows it.
pub fn dimensions(path: &Path) -> Result<(u32, u32)> {
    let bytes = read(path)?;
    let (decoder, _, orientation) = open(path, &bytes)?;
    let (width, height) = decoder.dimensions();
    Ok(if turns(orientation) { (height, width) } else { (width, height) })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = fs::metadata(path).map_err(Error::io(path, "read it"))?;
    // A list may name anything, and a pipe never ends.
    if !file.is_file() {
        return Err(Error::bad_file(path, "this is no file"));
    }
    if file.len() > MOST_BYTES {
        return Err(Error::bad_file(path, "the file is larger than 1 GiB"));
    }
    fs::read(path).map_err(Error::io(path, "read it"))
}

fn upright(path: &Path, bytes: &[u8]) -> Result<(DynamicImage, Option<Vec<u8>>, ImageFormat)> {
    let (mut decoder, format, orientation) = open(path, bytes)?;
    // Decoders fill what is missing with grey, which would be stylized like any other picture.
    match format {
        ImageFormat::Jpeg if !jpeg_reaches_its_end(bytes) => {
            return Err(Error::bad_file(path, "the JPEG is cut short: its end marker is missing"));
        }
        ImageFormat::WebP if webp_chunks(bytes).any(|(_, length, data)| data.len() < length) => {
            return Err(Error::bad_file(path, "the WebP is cut short: its last chunk is not complete"));
        }
        _ => {}
    }
    // A damaged profile is no reason to give up the picture.
    let profile = match format {
        ImageFormat::Tiff => tiff_page(bytes).and_then(|page| page.profile).map(<[u8]>::to_vec),
        _ => decoder.icc_profile().unwrap_or_default(),
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| bad_image(path, error))?;
    image.apply_orientation(orientation);
    Ok((image, profile, format))
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(impl ImageDecoder + 'a, ImageFormat, Orientation)> {
    if bytes.is_empty() {
        return Err(Error::bad_file(path, "the file is empty"));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(Error::io(path, "read it"))?;
    let format =
        reader.format().ok_or_else(|| Error::bad_file(path, "its content is no jpeg, png, webp, bmp or tiff"))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(if format == ImageFormat::Png { MOST_PNG_BYTES } else { MOST_BYTES });
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| bad_image(path, error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let complaint = if pixels == 0 {
        Some("it has no pixels")
    } else if pixels > MOST_PIXELS {
        Some("it is larger than 134 megapixels")
    } else if decoder.total_bytes() > MOST_BYTES {
        Some("it is larger than 1 GiB in memory")
    } else if format == ImageFormat::Jpeg && pixels / MOST_PIXELS_PER_JPEG_BYTE > bytes.len() as u64 {
        Some("the JPEG is too short for its size")
    } else {
        None
    };
    if let Some(complaint) = complaint {
        return Err(Error::bad_file(path, format!("at {width}x{height} {complaint}")));
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

/// Whether a profile (ICC.1, 7.2) is as long as it says and speaks of RGB: the frame is written as that.
fn is_of_rgb(profile: &[u8]) -> bool {
    let says = |at: usize, what: &[u8; 4]| profile.get(at..at + 4) == Some(what);
    profile.len() <= MOST_PROFILE_BYTES
        && says(0, &(profile.len() as u32).to_be_bytes())
        && says(16, b"RGB ")
        && says(36, b"acsp")
}

fn has_more_pictures(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Png => png_chunks(bytes)
            .take_while(|(name, _)| name != b"IDAT")
            .any(|(name, data)| name == b"acTL" && data.get(..4).is_some_and(|frames| number(frames, true) > 1)),
        ImageFormat::WebP => webp_chunks(bytes).filter(|(name, ..)| name == b"ANMF").nth(1).is_some(),
        ImageFormat::Tiff => tiff_page(bytes).is_some_and(|page| !page.is_last),
        _ => false,
    }
}

/// Name and content of each chunk of a PNG, as far as they are whole.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_at_checked(4)?;
        let (name, behind) = behind.split_at_checked(4)?;
        let (data, behind) = behind.split_at_checked(number(length, true) as usize)?;
        // The checksum.
        rest = behind.get(4..)?;
        Some((name, data))
    })
}

/// Name, length and content of each chunk of a WebP, of the last as much as there is.
fn webp_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize, &[u8])> {
    // What lies behind the end that the header says is no chunk.
    let end = bytes.get(4..8).map_or(0, |length| number(length, false) as usize + 8).min(bytes.len());
    let mut rest = bytes.get(12..end).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_at_checked(4)?;
        let (length, behind) = behind.split_at_checked(4)?;
        let length = number(length, false) as usize;
        let data = &behind[..length.min(behind.len())];
        rest = behind.get(length + length % 2..).unwrap_or_default();
        Some((name, length, data))
    })
}

/// What the directory of a TIFF's first page says of other things than pixels.
struct TiffPage<'a> {
    /// The `image` crate reads only profiles of bytes, where they are of the type "undefined" as a rule.
    profile: Option<&'a [u8]>,
    is_last: bool,
}

fn tiff_page(bytes: &[u8]) -> Option<TiffPage<'_>> {
    const PROFILE: u64 = 34_675;
    const ENTRY: usize = 12;
    let big_endian = bytes.starts_with(b"MM");
    let read = |bytes: &[u8], at: usize, length: usize| {
        Some(number(bytes.get(at..at.checked_add(length)?)?, big_endian) as usize)
    };
    let directory = bytes.get(read(bytes, 4, 4)?..)?;
    let (entries, behind) = directory.get(2..)?.split_at_checked(read(directory, 0, 2)? * ENTRY)?;
    let profile = entries.chunks_exact(ENTRY).find(|entry| number(&entry[..2], big_endian) == PROFILE);
    let profile = profile.and_then(|entry| bytes.get(read(entry, 8, 4)?..)?.get(..read(entry, 4, 4)?));
    Some(TiffPage { profile, is_last: read(behind, 0, 4)? == 0 })
}

fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let digit = |number, &byte: &u8| number << 8 | u64::from(byte);
    if big_endian { bytes.iter().fold(0, digit) } else { bytes.iter().rev().fold(0, digit) }
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
    fn a_webp_with_foreign_bytes_behind_its_end_is_whole() {
        let webp = encode(&picture().into(), ImageFormat::WebP);
        let (_folder, path) = file("a.webp", &[&webp[..], b"trailer"].concat());
        assert_eq!(decode(&path).unwrap().image, picture());
        assert!(complaint("a.webp", &webp[..webp.len() - 2]).contains("cut short"));
    }

    #[test]
    fn only_a_whole_profile_of_rgb_is_kept() {
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
    fn pages_behind_the_first_are_noticed_in_both_byte_orders() {
        let is_last = |start: &[u8], behind: &[u8]| tiff_page(&[start, behind].concat()).map(|page| page.is_last);
        let entry = [0; 12];
        assert_eq!(is_last(b"II*\0\x08\0\0\0\x01\0", &[&entry[..], &[9, 0, 0, 0]].concat()), Some(false));
        assert_eq!(is_last(b"MM\0*\0\0\0\x08\0\x01", &[&entry[..], &[0; 4]].concat()), Some(true));
        assert_eq!(is_last(b"II*\0\xFF\xFF\xFF\xFF", &entry), None);
        assert_eq!(is_last(b"II*\0\x08\0\0\0\xFF\xFF", &entry), None);
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(decode(folder.path()).unwrap_err().to_string().ends_with("this is no file"));
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
