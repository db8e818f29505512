//! A picture to look at after a run: content, style and result of a few frames, side by side.

use crate::decode;
use crate::error::Result;
use crate::manifest::Manifest;
use crate::output;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};

/// Where the sheet lies in the output folder.
pub const FILE_NAME: &str = "sheet.png";
const ROWS: usize = 6;
/// Pixels of one picture on the sheet at most, and between two.
const CELL: (u32, u32) = (480, 300);
const GAP: u32 = 8;

/// Writes the sheet of up to six frames, spread over what is done; `None` when nothing is.
///
/// # Errors
/// When a picture can no longer be read or the sheet not be written.
pub fn write(folder: &Path, manifest: &Manifest) -> Result<Option<PathBuf>> {
    let mut done: Vec<&str> = manifest.done().map(|(_, output)| output).collect();
    done.sort_unstable();
    let count = done.len().min(ROWS);
    if count == 0 {
        return Ok(None);
    }
    let spread: Vec<&str> = (0..count).map(|n| done[n * done.len() / count]).collect();
    let read = |path: &Path| decode::decode(path).map(|decoded| fitted(&decoded.image, CELL));
    let mut sheet = Vec::new();
    // A row names its frame as text; a name that is none leads nowhere.
    for row in manifest.rows(&spread)?.iter().filter(|row| Path::new(&row.source).exists()) {
        sheet.push([read(row.source.as_ref())?, read(row.style.as_ref())?, read(&folder.join(&row.output))?]);
    }
    if sheet.is_empty() {
        return Ok(None);
    }
    let path = folder.join(FILE_NAME);
    output::write_image(&path, &assemble(&sheet), None, 100)?;
    Ok(Some(path))
}

/// Scaled down, if need be, into a cell of this width and height.
pub fn fitted(image: &RgbImage, cell: (u32, u32)) -> RgbImage {
    let (width, height) = image.dimensions();
    let scale = (cell.0 as f64 / width as f64).min(cell.1 as f64 / height as f64).min(1.0);
    let side = |side: u32| ((side as f64 * scale).round() as u32).max(1);
    imageops::resize(image, side(width), side(height), FilterType::CatmullRom)
}

/// Pictures in rows and columns; each column is as wide and each row as high as its largest.
fn assemble(rows: &[[RgbImage; 3]]) -> RgbImage {
    let widths: [u32; 3] = std::array::from_fn(|n| rows.iter().map(|row| row[n].width()).max().unwrap_or(0));
    let heights: Vec<u32> = rows.iter().map(|row| row.iter().map(RgbImage::height).max().unwrap_or(0)).collect();
    let width = widths.iter().sum::<u32>() + GAP * 4;
    let height = heights.iter().sum::<u32>() + GAP * (heights.len() as u32 + 1);
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    let mut y = GAP;
    for (row, height) in rows.iter().zip(heights) {
        let mut x = GAP;
        for (image, width) in row.iter().zip(widths) {
            imageops::replace(&mut sheet, image, x.into(), y.into());
            x += width + GAP;
        }
        y += height + GAP;
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_all_shapes_stand_in_rows_without_touching() {
        let grey = |width, height| fitted(&RgbImage::from_pixel(width, height, Rgb([100; 3])), CELL);
        let sheet =
            assemble(&[[grey(960, 540), grey(10, 300), grey(1, 1)], [grey(20, 20), grey(500, 9000), grey(8, 8)]]);
        assert_eq!(sheet.dimensions(), (480 + 17 + 8 + 4 * GAP, 300 + 300 + 3 * GAP));
        let at = |x, y| sheet.get_pixel(x, y).0[0];
        assert_eq!((at(GAP, GAP), at(GAP - 1, GAP), at(GAP + 480, GAP)), (100, 255, 255));
        assert_eq!(at(480 + 2 * GAP, 300 + 2 * GAP), 100);
    }
}
