//! JPEGs without Huffman tables: the frames of Motion JPEG videos mean the tables of the standard.

use crate::imageio::container::jpeg_segments;
use std::borrow::Cow;

/// A Huffman table: class (0 for DC, 1 for AC) and number as a DHT segment writes them, how many codes there are of
/// each length from 1 to 16, and the values in the order of their codes.
struct Table {
    id: u8,
    counts: [u8; 16],
    values: &'static [u8],
}

/// The tables of ITU T.81, annex K.3: luminance has number 0, chrominance 1.
const STANDARD: [Table; 4] = [
    Table { id: 0x00, counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], values: &DC_VALUES },
    Table { id: 0x01, counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], values: &DC_VALUES },
    Table { id: 0x10, counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D], values: &AC_LUMINANCE },
    Table { id: 0x11, counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], values: &AC_CHROMINANCE },
];

const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

#[rustfmt::skip]
const AC_LUMINANCE: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14,
    0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
    0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A,
    0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65,
    0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
    0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9,
    0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA,
    0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA,
    0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[rustfmt::skip]
const AC_CHROMINANCE: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32,
    0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16,
    0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39,
    0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64,
    0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86,
    0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
    0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8,
    0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9,
    0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

/// The file with those tables of the standard that its scans use and that it does not define, as libjpeg reads it. A
/// file that defines all its tables stays as it is.
///
/// # Errors
/// The reason if a progressive file lacks tables. The standard has none for it, and the decoder would fill up the
/// picture.
pub fn with_standard_tables(bytes: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    let Missing { tables, is_progressive } = missing_tables(bytes);
    if is_progressive && !tables.is_empty() {
        return Err("Huffman tables of the progressive JPEG are missing");
    }
    let tables: Vec<&Table> = STANDARD.iter().filter(|table| tables.contains(&table.id)).collect();
    let Some((start, rest)) = bytes.split_at_checked(2).filter(|_| !tables.is_empty()) else {
        return Ok(Cow::Borrowed(bytes));
    };
    // A later definition of the same table counts, so these may stand in front of all segments.
    Ok(Cow::Owned([start, &segment(&tables), rest].concat()))
}

/// A DHT segment with these tables.
fn segment(tables: &[&Table]) -> Vec<u8> {
    let content = tables.iter().flat_map(|table| [&[table.id][..], &table.counts, table.values].concat());
    let content: Vec<u8> = content.collect();
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, DEFINE_HUFFMAN_TABLES][..], &length, &content].concat()
}

const DEFINE_HUFFMAN_TABLES: u8 = 0xC4;

/// The tables that a scan uses and no segment before it defines.
#[derive(Default)]
struct Missing {
    tables: Vec<u8>,
    is_progressive: bool,
}

fn missing_tables(bytes: &[u8]) -> Missing {
    let mut missing = Missing::default();
    let (mut defined, mut is_sequential) = (Vec::new(), false);
    for (code, content) in jpeg_segments(bytes) {
        match code {
            // Baseline and extended sequential.
            0xC0 | 0xC1 => is_sequential = true,
            0xC2 => missing.is_progressive = true,
            DEFINE_HUFFMAN_TABLES => defined.extend(ids(content)),
            0xDA if is_sequential || missing.is_progressive => {
                let used = if is_sequential { used_tables(content) } else { used_by_progressive(content) };
                missing.tables.extend(used.into_iter().filter(|id| !defined.contains(id)));
            }
            _ => {}
        }
    }
    missing
}

/// The tables that a DHT segment defines.
fn ids(mut content: &[u8]) -> Vec<u8> {
    let mut ids = Vec::new();
    while let Some((&[id, ref counts @ ..], behind)) = content.split_first_chunk::<17>() {
        ids.push(id);
        let values: usize = counts.iter().map(|&count| usize::from(count)).sum();
        content = behind.get(values..).unwrap_or_default();
    }
    ids
}

/// The tables that the header of a scan names.
fn used_tables(content: &[u8]) -> Vec<u8> {
    components(content).flat_map(|tables| [tables >> 4, 0x10 | tables & 15]).collect()
}

/// The tables that a scan of a progressive file needs: for the first coefficient those for DC, if this is not its
/// refinement, and for others those for AC.
fn used_by_progressive(content: &[u8]) -> Vec<u8> {
    let behind = content.first().map_or(0, |&count| 1 + 2 * usize::from(count));
    match content.get(behind..) {
        Some(&[0, _, approximation, ..]) if approximation >> 4 == 0 => {
            components(content).map(|tables| tables >> 4).collect()
        }
        Some(&[first, ..]) if first > 0 => components(content).map(|tables| 0x10 | tables & 15).collect(),
        _ => Vec::new(),
    }
}

/// The two numbers of tables, for DC and AC, of each component of a scan.
fn components(content: &[u8]) -> impl Iterator<Item = u8> {
    let components = content.get(1..).unwrap_or_default().chunks_exact(2);
    components.take(content.first().map_or(0, |&count| usize::from(count))).map(|component| component[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::{DynamicImage, ImageFormat, RgbImage};

    /// With the tables of the standard, as every simple encoder writes them.
    fn jpeg(grey: bool) -> Vec<u8> {
        let picture = RgbImage::from_fn(40, 24, |x, y| image::Rgb([x as u8 * 6, y as u8 * 10, (x * y) as u8]));
        let picture = DynamicImage::from(picture);
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
        if grey { picture.to_luma8().write_with_encoder(encoder) } else { picture.write_with_encoder(encoder) }
            .unwrap();
        bytes
    }

    /// Without the DHT segments whose tables `is_cut` names.
    fn without(bytes: &[u8], is_cut: impl Fn(u8) -> bool) -> Vec<u8> {
        let (mut kept, mut at) = (bytes[..2].to_vec(), 2);
        loop {
            let length = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            let segment = &bytes[at..at + length];
            if segment[1] != DEFINE_HUFFMAN_TABLES || !ids(&segment[4..]).iter().any(|&id| is_cut(id)) {
                kept.extend(segment);
            }
            at += length;
            if segment[1] == 0xDA {
                kept.extend(&bytes[at..]);
                return kept;
            }
        }
    }

    fn decoded(bytes: &[u8]) -> DynamicImage {
        image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).unwrap()
    }

    #[test]
    fn a_jpeg_without_tables_is_read_with_those_of_the_standard() {
        for grey in [false, true] {
            let whole = jpeg(grey);
            assert!(matches!(with_standard_tables(&whole), Ok(Cow::Borrowed(_))));
            let cut = without(&whole, |_| true);
            assert!(cut.len() < whole.len());
            assert_eq!(decoded(&with_standard_tables(&cut).unwrap()), decoded(&whole), "grey {grey}");
        }
    }

    #[test]
    fn only_missing_tables_are_added() {
        let whole = jpeg(false);
        for id in [0x00, 0x01, 0x10, 0x11] {
            let cut = without(&whole, |table| table == id);
            let mended = with_standard_tables(&cut).unwrap();
            assert!(missing_tables(&cut).tables.iter().all(|&missing| missing == id));
            assert_eq!(decoded(&mended), decoded(&whole), "{id:x}");
        }
    }

    #[test]
    fn damaged_and_foreign_bytes_stay_as_they_are() {
        let cut = without(&jpeg(false), |_| true);
        for end in [0, 1, 2, 3, 6, 20, 100] {
            assert!(matches!(with_standard_tables(&cut[..end]), Ok(Cow::Borrowed(_))), "{end}");
        }
        let mut progressive = cut.clone();
        let frame = progressive.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        progressive[frame + 1] = 0xC2;
        assert!(with_standard_tables(&progressive).is_err());
        assert!(matches!(with_standard_tables(b"\xFF\xD8\xFF\xC0\0\0\xFF\xC0\0\0"), Ok(Cow::Borrowed(_))));
    }
}
