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
        ImageFormat::Jpeg => jpeg_pictures(bytes).is_some_and(|count| count > 1),
        _ => false,
    }
}

/// The name of an image format that loaders or their programs read and this program does not, by the start of a file.
pub fn foreign_name(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"\0\0\0\x0CjP  \r\n\x87\n") || start.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return Some("JPEG 2000");
    }
    let brand = start.get(8..12).filter(|_| start.get(4..8) == Some(b"ftyp"))?;
    match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some("HEIC"),
        b"mif1" | b"msf1" => Some("HEIC or AVIF"),
        _ => None,
    }
}

/// Whether the marker segments of a JPEG lead to its end marker (ITU T.81, annex B).
///
/// The marker may be followed by data that phones and cameras append, and a thumbnail inside a file that is cut short
/// has an end marker of its own. So it is not enough to look for it in the last two bytes or anywhere.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    jpeg_segments(bytes).any(|(code, _)| code == END)
}

/// The marker of a JPEG's end.
const END: u8 = 0xD9;

/// The code and content of every marker segment of a JPEG up to its end, which has no content. A segment that is cut
/// short has what is left of its content.
pub fn jpeg_segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = Some(2);
    std::iter::from_fn(move || {
        loop {
            let here = at?;
            let &[marker, code] = bytes.get(here..here + 2)? else { return None };
            match (marker, code) {
                (0xFF, END) => {
                    at = None;
                    return Some((END, &[][..]));
                }
                // Fill bytes before a marker.
                (0xFF, 0xFF) => at = Some(here + 1),
                // The scan goes on after restart markers and after the zero that escapes a data byte 0xFF.
                (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at = Some(here + 2),
                (0xFF, code) => {
                    let &[high, low] = bytes.get(here + 2..here + 4)? else { return None };
                    let end = here + 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                    at = Some(if code == START_OF_SCAN { next_marker(bytes, end) } else { end });
                    return Some((code, &bytes[here + 4..end.min(bytes.len())]));
                }
                _ => at = Some(next_marker(bytes, here)),
            }
        }
    })
}

/// How many pictures a Multi-Picture file holds, by its index (CIPA DC-007); `None` for other JPEGs.
fn jpeg_pictures(bytes: &[u8]) -> Option<u64> {
    const NUMBER_OF_IMAGES: u64 = 0xB001;
    // The index stands in front of the scan.
    let mut segments = jpeg_segments(bytes).take_while(|&(code, _)| code != 0xDA);
    let index = segments.find_map(|(code, content)| content.strip_prefix(b"MPF\0").filter(|_| code == 0xE2))?;
    let big_endian = index.starts_with(b"MM");
    let read = |at: usize, length: usize| Some(number(index.get(at..at.checked_add(length)?)?, big_endian));
    let directory = usize::try_from(read(4, 4)?).ok()?;
    let entries = (0..read(directory, 2)?).map_while(|n| directory.checked_add(2 + 12 * n as usize));
    let mut images = entries.map_while(|entry| Some((read(entry, 2)?, read(entry + 8, 4)?)));
    images.find(|&(tag, _)| tag == NUMBER_OF_IMAGES).map(|(_, count)| count)
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

/// What is known of a TIFF's first page from its directory.
pub struct TiffPage<'a> {
    /// The ICC profile. The decoder of [`image`] finds only profiles of the type "byte", but "undefined" is the usual
    /// one.
    pub profile: Option<&'a [u8]>,
    /// Where in the file the two bytes begin that say how samples become colours, in the file's byte order.
    pub photometric: Option<usize>,
    pub big_endian: bool,
    is_last: bool,
}

/// Whether this is the start of a TIFF, classic or with addresses of 64 bits (BigTIFF).
pub fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|start| bytes.starts_with(*start))
}

/// Reads the first directory of a TIFF; `None` if it is not complete.
pub fn tiff_page(bytes: &[u8]) -> Option<TiffPage<'_>> {
    const PHOTOMETRIC: u64 = 262;
    const PROFILE: u64 = 34_675;
    let big_endian = bytes.starts_with(b"MM");
    let is_big = is_tiff(bytes) && bytes[2..4].contains(&b'+');
    // Bytes of an address, of the number of entries, and where the first address is.
    let (word, count, at) = if is_big { (8, 8, 8) } else { (4, 2, 4) };
    let entry = 4 + 2 * word;
    let read = |bytes: &[u8], at: usize, length: usize| {
        usize::try_from(number(bytes.get(at..at.checked_add(length)?)?, big_endian)).ok()
    };
    let start = read(bytes, at, word)?;
    let directory = bytes.get(start..)?;
    let length = read(directory, 0, count)?.checked_mul(entry)?;
    let (entries, behind) = directory.get(count..)?.split_at_checked(length)?;
    let find = |tag: u64| entries.chunks_exact(entry).position(|entry| number(&entry[..2], big_endian) == tag);
    let profile = find(PROFILE)
        .map(|n| &entries[n * entry..])
        .and_then(|profile| bytes.get(read(profile, 4 + word, word)?..)?.get(..read(profile, 4, word)?));
    let photometric = find(PHOTOMETRIC).map(|n| start + count + n * entry + 4 + word);
    Some(TiffPage { profile, photometric, big_endian, is_last: read(behind, 0, word)? == 0 })
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
        let profile = |bytes: &[u8]| tiff_page(bytes).unwrap().profile.map(<[u8]>::to_vec);
        assert_eq!(profile(&tiff(38)), Some(b"ICC".to_vec()));
        assert_eq!(profile(&tiff(39)), None);
    }
}
