//! Small pictures for pages and sheets.

use crate::error::Result;
use crate::files::atomic;
use crate::files::digest::short_digest;
use crate::files::fingerprint::Stamp;
use crate::imageio::{decode, encode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::RgbImage;
use image::imageops::{self, FilterType};
use std::path::Path;

/// Quality of the JPEG, of at most 100.
const QUALITY: u8 = 82;

/// The folder of the thumbnail files, beside the page. It is hidden, so that no loader reads them as frames.
const FOLDER: &str = ".report";

/// The picture at `path`, scaled down into `cell` (width, height), as a JPEG; `None` if it cannot be read.
pub fn jpeg(path: &Path, cell: (u32, u32)) -> Option<Vec<u8>> {
    let small = scaled_down(&decode::decode(path).ok()?.image, cell);
    encode::encode_image(Path::new("thumbnail.jpg"), &small, encode::Metadata::default(), QUALITY).ok()
}

/// A JPEG as a `data:` URL, which contains the picture itself.
pub fn data_url(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg))
}

/// The URL of the thumbnail's file, relative to the page's `folder`. Writes the file if there is none for the picture
/// as it is now. `None` if the picture cannot be read.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if the thumbnail cannot be written.
pub fn file(path: &Path, cell: (u32, u32), folder: &Path) -> Result<Option<String>> {
    let Stamp { modified, .. } = Stamp::of([path]);
    let picture = format!("{}\0{modified}\0{}", path.display(), cell.0);
    let url = format!("{FOLDER}/{}.jpg", short_digest(picture.as_bytes()));
    let file = folder.join(&url);
    if !file.exists() {
        let Some(bytes) = jpeg(path, cell) else { return Ok(None) };
        atomic::write_file(&file, &bytes)?;
    }
    Ok(Some(url))
}

/// The image, scaled down if it does not fit into `cell` (width, height).
pub fn scaled_down(image: &RgbImage, cell: (u32, u32)) -> RgbImage {
    let (width, height) = image.dimensions();
    let scale = (cell.0 as f64 / width as f64).min(cell.1 as f64 / height as f64).min(1.0);
    let side = |side: u32| ((side as f64 * scale).round() as u32).max(1);
    imageops::resize(image, side(width), side(height), FilterType::CatmullRom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_thumbnail_is_made_once_for_each_picture_and_again_when_that_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        image::RgbImage::new(1000, 500).save(&path).unwrap();
        let file = |path: &Path| file(path, (720, 720), folder.path()).unwrap();
        let url = file(&path).unwrap();
        let made = folder.path().join(&url);
        assert_eq!(image::image_dimensions(&made).unwrap(), (720, 360));
        fs::write(&made, "kept").unwrap();
        assert_eq!(file(&path), Some(url.clone()));
        assert_eq!(fs::read(&made).unwrap(), b"kept");
        image::RgbImage::new(10, 50).save(&path).unwrap();
        assert_ne!(file(&path).unwrap(), url);
        fs::write(&path, "no picture").unwrap();
        assert_eq!(file(&path), None);
        assert_eq!(file(&folder.path().join("gone.png")), None);
    }

    #[test]
    fn pictures_of_all_shapes_fit_into_a_cell_and_none_is_enlarged() {
        let size = |width, height| scaled_down(&RgbImage::new(width, height), (480, 360)).dimensions();
        assert_eq!([size(3840, 2160), size(720, 1280), size(160, 120)], [(480, 270), (203, 360), (160, 120)]);
        assert_eq!([size(1, 9000), size(9000, 1)], [(1, 360), (480, 1)]);
    }
}
