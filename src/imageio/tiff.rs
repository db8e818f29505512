//! Decodes the first page of a TIFF to the picture that OpenCV gives to the loaders of detectors.
//!
//! Samples that OpenCV does not read as a picture of 0 to 255 are refused with the reason: a picture of other numbers
//! would look right here and be black, white or noise in training.

use crate::imageio::container::tiff_page;
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer};
use std::borrow::Cow;
use std::io::{Cursor, Read, Seek};
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{ExtraSamples, PhotometricInterpretation as Photometric, PlanarConfiguration, SampleFormat, Tag};

/// The version of the DNG standard that a file keeps to; only raw pictures of cameras have it.
const DNG_VERSION: Tag = Tag::Unknown(50_706);

/// The remedy for samples that are no picture to loaders.
const REMEDY: &str = "save it as RGB with 8 bits a channel";

/// What the directory of the first page says.
#[derive(Clone, Debug)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    photometric: Option<Photometric>,
    /// Of one sample.
    bits: u16,
    /// Samples of one pixel.
    channels: u16,
    is_float: bool,
    is_planar: bool,
    has_unassociated_alpha: bool,
    is_raw: bool,
}

/// How samples become colours.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Colours {
    Grey,
    Rgb,
    /// With alpha that is still to be multiplied with the colours. OpenCV does that, but only at 8 bits.
    RgbAndAlpha,
    Cmyk,
    YCbCr,
    Palette,
}

/// Reads the directory of the first page.
///
/// # Errors
/// The reason why this is no TIFF that can be read.
pub fn header(content: impl Read + Seek) -> Result<Header, String> {
    Header::read(&mut Decoder::new(content).map_err(reason)?)
}

/// Decodes the first page as it is stored, its samples within `limit` bytes of memory.
///
/// # Errors
/// The reason why it cannot be read as a picture.
pub fn decode(bytes: &[u8], limit: u64) -> Result<DynamicImage, String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(reason)?;
    let header = Header::read(&mut decoder)?;
    let colours = header.colours()?;
    let palette = match colours {
        Colours::Palette => Some(palette(&mut decoder, header.bits)?),
        _ => None,
    };
    let readable = if palette.is_some() { with_grey_indices(bytes)? } else { Cow::Borrowed(bytes) };
    let samples = match header.samples(&readable, limit)? {
        DecodingResult::U8(packed) if header.bits < 8 => DecodingResult::U8(unpacked(&packed, &header)),
        samples => samples,
    };
    let image = match (samples, palette) {
        (DecodingResult::U8(indices), Some(palette)) => header.of_bytes(looked_up(&indices, &palette), Colours::Rgb),
        (DecodingResult::U8(bits), None) if header.bits == 1 => {
            header.of_bytes(bits.into_iter().map(|bit| bit * 255).collect(), colours)
        }
        (DecodingResult::U8(samples), None) => header.of_bytes(samples, colours),
        (DecodingResult::U16(samples), None) => header.of_words(samples, colours),
        (DecodingResult::F32(samples), None) => {
            header.of_bytes(of_floats(samples.into_iter().map(f64::from))?, colours)
        }
        (DecodingResult::F64(samples), None) => header.of_bytes(of_floats(samples.into_iter())?, colours),
        _ => return Err(format!("loaders cannot read samples of this kind; {REMEDY}")),
    };
    image.ok_or_else(|| "it holds fewer samples than pixels".to_string())
}

impl Header {
    fn read<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<Self, String> {
        let (width, height) = decoder.dimensions().map_err(reason)?;
        let is_raw = decoder.find_tag(DNG_VERSION).map_err(reason)?.is_some();
        let mut list = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).map(Option::unwrap_or_default).map_err(reason);
        let first = |values: Vec<u16>| values.first().copied();
        // The picture can be used without a damaged orientation tag.
        let orientation = list(Tag::Orientation).ok().and_then(first).map(|tag| tag.min(255) as u8);
        Ok(Self {
            width,
            height,
            orientation: orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms),
            photometric: first(list(Tag::PhotometricInterpretation)?).and_then(Photometric::from_u16),
            bits: first(list(Tag::BitsPerSample)?).unwrap_or(1),
            channels: first(list(Tag::SamplesPerPixel)?).unwrap_or(1),
            is_float: list(Tag::SampleFormat)?.contains(&SampleFormat::IEEEFP.to_u16()),
            is_planar: first(list(Tag::PlanarConfiguration)?) == Some(PlanarConfiguration::Planar.to_u16()),
            has_unassociated_alpha: first(list(Tag::ExtraSamples)?) == Some(ExtraSamples::UnassociatedAlpha.to_u16()),
            is_raw,
        })
    }

    /// The bytes of all samples.
    pub fn bytes(&self) -> u64 {
        let bits = u64::from(self.bits) * u64::from(self.channels);
        (u64::from(self.width) * u64::from(self.height)).saturating_mul(bits).div_ceil(8)
    }

    /// How samples become colours.
    ///
    /// # Errors
    /// The reason why OpenCV does not read these samples as a picture.
    fn colours(&self) -> Result<Colours, String> {
        use Photometric::{BlackIsZero, CMYK, RGB, RGBPalette, WhiteIsZero, YCbCr};
        let Self { bits, channels, is_float, .. } = *self;
        if self.is_raw {
            return Err("it is the raw picture of a camera (DNG); develop it to jpg or png".into());
        }
        let Some(photometric) = self.photometric else {
            return Err(format!("it does not say how its samples become colours; {REMEDY}"));
        };
        let numbers = if is_float { "floating-point" } else { "integer" };
        let refused = |what: &str| Err(format!("loaders cannot read {what} of {bits}-bit {numbers} samples; {REMEDY}"));
        if self.is_planar && channels > 1 && bits > 8 {
            return refused("separate planes");
        }
        match (photometric, channels) {
            (WhiteIsZero | BlackIsZero, 1 | 2) if is_float || !matches!(bits, 1 | 8 | 16) => refused("a grey picture"),
            (WhiteIsZero | BlackIsZero, 1 | 2) => Ok(Colours::Grey),
            (RGB, 4) if self.has_unassociated_alpha && bits == 8 => Ok(Colours::RgbAndAlpha),
            (RGB, 3 | 4) if bits >= 8 => Ok(Colours::Rgb),
            (CMYK, 4) if bits == 8 => Ok(Colours::Cmyk),
            (YCbCr, 3) if bits == 8 => Ok(Colours::YCbCr),
            (RGBPalette, 1) if matches!(bits, 1 | 2 | 4 | 8) && !is_float => Ok(Colours::Palette),
            (WhiteIsZero | BlackIsZero, _) => refused(&format!("{channels} channels that are no colours,")),
            (kind, _) => refused(&format!("{channels} channels of the kind {kind:?},")),
        }
    }

    /// The samples of every pixel, one pixel after the other; of less than 8 bits, still packed.
    fn samples(&self, bytes: &[u8], limit: u64) -> Result<DecodingResult, String> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut limits = Limits::default();
        limits.decoding_buffer_size = size(self.bytes().min(limit));
        limits.intermediate_buffer_size = size(limit.saturating_sub(self.bytes()));
        limits.ifd_value_size = limits.intermediate_buffer_size;
        let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(reason)?.with_limits(limits);
        let mut samples = DecodingResult::U8(Vec::new());
        let layout = decoder.read_image_to_buffer(&mut samples).map_err(reason)?;
        if samples.as_buffer(0).as_bytes().len() < layout.complete_len {
            return Err(reason(TiffError::LimitsExceeded));
        }
        let planes = if self.is_planar { layout.planes } else { 1 };
        Ok(match samples {
            DecodingResult::U8(samples) => DecodingResult::U8(interleaved(samples, planes)),
            DecodingResult::U16(samples) => DecodingResult::U16(interleaved(samples, planes)),
            DecodingResult::F32(samples) => DecodingResult::F32(interleaved(samples, planes)),
            DecodingResult::F64(samples) => DecodingResult::F64(interleaved(samples, planes)),
            other => other,
        })
    }

    /// The picture of these samples; `None` if there are too few.
    fn of_bytes(&self, samples: Vec<u8>, colours: Colours) -> Option<DynamicImage> {
        let channels = samples.len() / self.pixels()?;
        let product = |a: u8, b: u8| ((u16::from(a) * u16::from(b) + 127) / 255) as u8;
        let pixels = samples.chunks_exact(channels.max(1));
        match (colours, channels) {
            (Colours::Grey, 1) => self.image(samples).map(DynamicImage::ImageLuma8),
            (Colours::Grey, _) => self.image(pixels.map(|pixel| pixel[0]).collect()).map(DynamicImage::ImageLuma8),
            (Colours::Rgb, 3) => self.image(samples).map(DynamicImage::ImageRgb8),
            (Colours::Rgb, 4) => self.image(first_three(&samples)).map(DynamicImage::ImageRgb8),
            (Colours::YCbCr, 3) => self.image(pixels.flat_map(rgb_of_ycbcr).collect()).map(DynamicImage::ImageRgb8),
            (Colours::RgbAndAlpha, 4) => {
                let opaque = pixels.flat_map(|p| [0, 1, 2].map(|n| product(p[n], p[3])));
                self.image(opaque.collect()).map(DynamicImage::ImageRgb8)
            }
            (Colours::Cmyk, 4) => {
                let rgb = pixels.flat_map(|p| [0, 1, 2].map(|n| product(255 - p[n], 255 - p[3])));
                self.image(rgb.collect()).map(DynamicImage::ImageRgb8)
            }
            _ => None,
        }
    }

    /// [`Self::of_bytes`] for samples of 16 bits.
    fn of_words(&self, samples: Vec<u16>, colours: Colours) -> Option<DynamicImage> {
        let channels = samples.len() / self.pixels()?;
        let pixels = samples.chunks_exact(channels.max(1));
        match (colours, channels) {
            (Colours::Grey, 1) => self.image(samples).map(DynamicImage::ImageLuma16),
            (Colours::Grey, _) => self.image(pixels.map(|pixel| pixel[0]).collect()).map(DynamicImage::ImageLuma16),
            (Colours::Rgb, 3) => self.image(samples).map(DynamicImage::ImageRgb16),
            (Colours::Rgb, 4) => self.image(first_three(&samples)).map(DynamicImage::ImageRgb16),
            _ => None,
        }
    }

    fn pixels(&self) -> Option<usize> {
        usize::try_from(u64::from(self.width) * u64::from(self.height)).ok().filter(|&pixels| pixels > 0)
    }

    fn image<P: image::Pixel>(&self, samples: Vec<P::Subpixel>) -> Option<ImageBuffer<P, Vec<P::Subpixel>>> {
        ImageBuffer::from_raw(self.width, self.height, samples)
    }
}

/// The samples pixel by pixel, of planes that follow one another.
fn interleaved<T: Copy>(samples: Vec<T>, planes: usize) -> Vec<T> {
    if planes < 2 {
        return samples;
    }
    let size = samples.len() / planes;
    (0..size).flat_map(|n| (0..planes).map(move |plane| plane * size + n)).map(|at| samples[at]).collect()
}

fn first_three<T: Copy>(samples: &[T]) -> Vec<T> {
    samples.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

/// Samples of less than 8 bits, each in a byte. Rows begin at whole bytes, the first sample at the highest bits.
fn unpacked(packed: &[u8], header: &Header) -> Vec<u8> {
    let (bits, row) = (usize::from(header.bits), header.width as usize * usize::from(header.channels));
    let mask = ((1_u16 << bits) - 1) as u8;
    let sample = |row: &[u8], n: usize| row[n * bits / 8] >> (8 - bits - n * bits % 8) & mask;
    let rows = packed.chunks_exact((row * bits).div_ceil(8).max(1));
    rows.flat_map(|bytes| (0..row).map(move |n| sample(bytes, n))).collect()
}

/// The file with its palette's indices declared as grey, since the decoder refuses palettes.
///
/// # Errors
/// The reason why the declaration is not found.
fn with_grey_indices(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let damaged = || "its directory is damaged".to_string();
    let page = tiff_page(bytes).ok_or_else(damaged)?;
    let at = page.photometric.ok_or_else(damaged)?;
    let grey = Photometric::BlackIsZero.to_u16();
    let grey = if page.big_endian { grey.to_be_bytes() } else { grey.to_le_bytes() };
    let mut bytes = bytes.to_vec();
    bytes.get_mut(at..at + 2).ok_or_else(damaged)?.copy_from_slice(&grey);
    Ok(Cow::Owned(bytes))
}

/// The colours of a palette for samples of so many bits.
fn palette<R: Read + Seek>(decoder: &mut Decoder<R>, bits: u16) -> Result<Vec<[u8; 3]>, String> {
    let map = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap).map_err(reason)?.unwrap_or_default();
    let length = 1 << bits;
    if map.len() < 3 * length {
        return Err("its palette is missing or too short".into());
    }
    // Some programs write 8 bits where the standard asks for 16. libtiff recognizes them by this, too.
    let is_of_8_bits = map.iter().all(|&level| level < 256);
    let level = |level: u16| if is_of_8_bits { level as u8 } else { (u32::from(level) * 255 / 65_535) as u8 };
    Ok((0..length).map(|n| [0, 1, 2].map(|channel| level(map[channel * length + n]))).collect())
}

fn looked_up(indices: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    indices.iter().flat_map(|&index| palette[usize::from(index)]).collect()
}

/// Floating-point samples as bytes. OpenCV passes them on as they are, and loaders then take them for 0 to 255.
///
/// # Errors
/// If loaders would see black, or no picture.
fn of_floats(samples: impl Iterator<Item = f64> + Clone) -> Result<Vec<u8>, String> {
    let (least, most) = samples.clone().fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v)));
    if !samples.clone().all(f64::is_finite) {
        return Err(format!("some of its floating-point samples are no finite numbers; {REMEDY}"));
    }
    // Rounding must stay below a level of 8 bits.
    if least < -0.5 || most > 255.5 || most <= 1.0 {
        return Err(format!(
            "its floating-point samples reach from {least:.3} to {most:.3}, but loaders take 0 for black and 255 for \
             white; {REMEDY}"
        ));
    }
    Ok(samples.map(|v| v.round().clamp(0.0, 255.0) as u8).collect())
}

/// ITU-R BT.601 with the full range of 8 bits, as in JPEG files.
fn rgb_of_ycbcr(pixel: &[u8]) -> [u8; 3] {
    let [y, cb, cr] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

fn reason(error: TiffError) -> String {
    match error {
        TiffError::LimitsExceeded => "it takes too much memory".into(),
        TiffError::UnsupportedError(what) => format!("{what}; {REMEDY}, without compression or with LZW"),
        error => error.to_string(),
    }
}
