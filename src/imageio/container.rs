//! The containers of image files: their chunks, segments and directories, as far as the decoders of [`image`] leave
//! something out. No function here needs the bytes to be sound.

use image::ImageFormat;

/// Why a file is not complete, if its container shows that. Decoders fill missing pixels with grey.
pub fn missing_end(format: ImageFormat, bytes: &[u8]) -> Option<&'static str> {
    match format {
        ImageFormat::Jpeg if !jpeg_reaches_its_end(bytes) => Some("the JPEG is cut short: its end marker is missing"),
        ImageFormat::WebP if webp_chunks(bytes).any(|chunk| chunk.data.len() < chunk.length) => {
            Some("the WebP is cut short: its last chunk is not complete")
        }
        _ => None,
    }
}

/// Whether the file holds more pictures than the first one: frames of an animation or pages of a document.
pub fn has_more_pictures(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Png => png_chunks(bytes)
            .take_while(|(name, _)| name != b"IDAT")
            .any(|(name, data)| name == b"acTL" && data.get(..4).is_some_and(|frames| number(frames, true) > 1)),
        ImageFormat::WebP => webp_chunks(bytes).filter(|chunk| chunk.name == b"ANMF").nth(1).is_some(),
        ImageFormat::Tiff => tiff_page(bytes).is_some_and(|page| !page.is_last),
        _ => false,
    }
}

/// The ICC profile of a TIFF's first page. The decoder of [`image`] finds only profiles of the type "byte", but
/// "undefined" is the usual one.
pub fn tiff_profile(bytes: &[u8]) -> Option<&[u8]> {
    tiff_page(bytes)?.profile
}

/// Whether the marker segments of a JPEG lead to its end marker (ITU T.81, annex B).
///
/// The marker may be followed by data that phones and cameras append, and a thumbnail inside a file that is cut short
/// has an end marker of its own. So it is not enough to look for it in the last two bytes or anywhere.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(&[marker, code]) = bytes.get(at..at + 2) {
        match (marker, code) {
            (0xFF, END) => return true,
            // Fill bytes before a marker.
            (0xFF, 0xFF) => at += 1,
            // The scan goes on after restart markers and after the zero that escapes a data byte 0xFF.
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

/// Name and content of each complete chunk of a PNG.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_at_checked(4)?;
        let (name, behind) = behind.split_at_checked(4)?;
        let (data, behind) = behind.split_at_checked(number(length, true) as usize)?;
        // A checksum of 4 bytes follows.
        rest = behind.get(4..)?;
        Some((name, data))
    })
}

/// A chunk of a WebP.
struct WebpChunk<'a> {
    name: &'a [u8],
    /// As its header says it.
    length: usize,
    /// Shorter than `length` if the file is cut short.
    data: &'a [u8],
}

fn webp_chunks(bytes: &[u8]) -> impl Iterator<Item = WebpChunk<'_>> {
    // Bytes after the end that the header states are not part of the image.
    let end = bytes.get(4..8).map_or(0, |length| number(length, false) as usize + 8).min(bytes.len());
    let mut rest = bytes.get(12..end).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_at_checked(4)?;
        let (length, behind) = behind.split_at_checked(4)?;
        let length = number(length, false) as usize;
        let data = &behind[..length.min(behind.len())];
        rest = behind.get(length + length % 2..).unwrap_or_default();
        Some(WebpChunk { name, length, data })
    })
}

/// The directory of a TIFF's first page.
struct TiffPage<'a> {
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
    fn the_profile_of_a_tiff_is_found_by_its_tag() {
        let entry = |tag: u16, offset: u32| {
            let mut entry = vec![0; 12];
            entry[..2].copy_from_slice(&tag.to_le_bytes());
            entry[4] = 3;
            entry[8..].copy_from_slice(&offset.to_le_bytes());
            entry
        };
        let tiff = |offset: u32| {
            let entries = [entry(256, 0), entry(34_675, offset)].concat();
            [b"II*\0\x08\0\0\0\x02\0", &entries[..], &[0; 4], b"ICC"].concat()
        };
        assert_eq!(tiff_profile(&tiff(38)), Some(&b"ICC"[..]));
        assert_eq!(tiff_profile(&tiff(39)), None);
    }
}
