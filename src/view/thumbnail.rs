//! Small pictures for pages and sheets.

use crate::error::Result;
use crate::files::digest::short_digest;
use crate::files::{atomic, fingerprint};
use crate::imageio::{decode, encode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::RgbImage;
use image::imageops::{self, FilterType};
use std::path::{Path, PathBuf};

const QUALITY: u8 = 82;

/// Thumbnails lie here, beside the page. Hidden, so that no loader takes them for frames.
const THUMBNAILS: &str = ".report";

/// A picture scaled into `cell`, as JPEG; `None` if it cannot be read.
pub fn thumbnail(path: &Path, cell: (u32, u32)) -> Option<Vec<u8>> {
    let small = fitted(&decode::decode(path).ok()?.image, cell);
    encode::encode_image(Path::new("thumbnail.jpg"), &small, None, QUALITY).ok()
}

pub fn inside(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg))
}

/// The address of a thumbnail below `beside`, which is made unless the picture has not changed since it was.
pub fn kept_thumbnail(path: &Path, cell: (u32, u32), beside: &Path) -> Result<Option<String>> {
    let (_, state) = fingerprint::quick(&[path.to_path_buf()]);
    let which = format!("{}\0{state}\0{}", path.display(), cell.0);
    let address = format!("{THUMBNAILS}/{}.jpg", short_digest(which.as_bytes()));
    let place: PathBuf = beside.join(&address);
    if !place.exists() {
        let Some(bytes) = thumbnail(path, cell) else { return Ok(None) };
        atomic::write_file(&place, &bytes)?;
    }
    Ok(Some(address))
}

/// Scaled down, if need be, into a cell of this width and height.
pub fn fitted(image: &RgbImage, cell: (u32, u32)) -> RgbImage {
    let (width, height) = image.dimensions();
    let scale = (cell.0 as f64 / width as f64).min(cell.1 as f64 / height as f64).min(1.0);
    let side = |side: u32| ((side as f64 * scale).round() as u32).max(1);
    imageops::resize(image, side(width), side(height), FilterType::CatmullRom)
}
