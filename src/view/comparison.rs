//! A sheet that compares pictures of the same frames, side by side.

use crate::error::Result;
use crate::imageio::encode::Metadata;
use crate::output::folder;
use crate::view::sheet::{Canvas, GAP, LETTER, WIDTH, shortened, stacked};
use crate::view::thumbnail::scaled_down;
use embedded_graphics::mono_font::iso_8859_1::{FONT_9X18, FONT_9X18_BOLD};
use image::RgbImage;
use std::path::Path;

/// Pictures beside each other.
pub const COLUMNS: usize = 4;

/// The largest width and height of one picture, in pixels.
const CELL: (u32, u32) = ((WIDTH - GAP) / COLUMNS as u32 - GAP, 360);

/// One frame, with a text above each picture.
pub struct Compared {
    pub texts: [String; COLUMNS],
    pub pictures: [RgbImage; COLUMNS],
}

/// Writes the sheet to `path`, a PNG.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn write(path: &Path, title: &str, rows: &[Compared]) -> Result<()> {
    let mut heading = Canvas::new(2 * GAP + LETTER.1);
    heading.text(GAP, GAP, &shortened(title, (WIDTH / LETTER.0) as usize - 2), &FONT_9X18_BOLD);
    let mut strips = vec![heading];
    strips.extend(rows.iter().map(strip));
    folder::write_image(path, &stacked(&strips), Metadata::default(), 100).map(drop)
}

fn strip(row: &Compared) -> Canvas {
    let pictures = row.pictures.each_ref().map(|picture| scaled_down(picture, CELL));
    let height = pictures.iter().map(RgbImage::height).max().unwrap_or(CELL.1);
    let mut canvas = Canvas::new(LETTER.1 + height + 3 * GAP);
    for (n, (picture, text)) in pictures.iter().zip(&row.texts).enumerate() {
        let x = GAP + n as u32 * (CELL.0 + GAP);
        canvas.text(x, GAP, &shortened(text, (CELL.0 / LETTER.0) as usize), &FONT_9X18);
        canvas.picture(x, 2 * GAP + LETTER.1, Ok(picture), &[]);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn every_picture_is_in_its_column_under_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let pictures = [10, 90, 170, 250].map(|shade| RgbImage::from_pixel(640, 360, Rgb([shade; 3])));
        let texts = ["a", "b", "c", "d"].map(String::from);
        write(&path, "title", &[Compared { texts, pictures }]).unwrap();
        let sheet = image::open(&path).unwrap().to_rgb8();
        assert_eq!(sheet.width(), WIDTH);
        let y = sheet.height() - 2 * GAP;
        for (n, shade) in [10, 90, 170, 250].into_iter().enumerate() {
            let x = GAP + n as u32 * (CELL.0 + GAP) + CELL.0 / 2;
            assert_eq!(sheet.get_pixel(x, y).0, [shade; 3]);
        }
    }
}
