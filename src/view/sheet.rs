//! The sheet: one picture that shows content, style and result of a few frames side by side, with boxes and figures.

use crate::dataset::labels::Schema;
use crate::error::Result;
use crate::imageio::decode;
use crate::imageio::encode::Metadata;
use crate::output::row::{Identity, Row, Status};
use crate::output::{data_yaml, folder};
use crate::units::duration;
use crate::view::boxes::{self, EDGE_LIMITS, FAINT_CONTRAST, LabelledBox};
use crate::view::thumbnail::scaled_down;
use embedded_graphics::draw_target::{DrawTarget, DrawTargetExt as _};
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{FONT_9X18, FONT_9X18_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor as _};
use embedded_graphics::primitives::{
    Primitive as _, PrimitiveStyle, PrimitiveStyleBuilder, Rectangle, StrokeAlignment,
};
use embedded_graphics::text::{Baseline, Text};
use embedded_graphics::{Drawable as _, Pixel};
use image::imageops;
use image::{Rgb, RgbImage};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// The sheet's name in the output folder.
pub const FILE_NAME: &str = "sheet.png";

/// The largest width and height of one picture on the sheet, in pixels.
const CELL: (u32, u32) = (480, 360);

/// Pixels between two pictures.
pub(super) const GAP: u32 = 8;

/// Width of the sheet, in pixels.
pub(super) const WIDTH: u32 = 3 * CELL.0 + 4 * GAP;

/// Width and height of a letter, in pixels, with the space between letters.
pub(super) const LETTER: (u32, u32) = (9, 18);

/// Letters that fit on a line of a cell.
const CELL_LETTERS: usize = (CELL.0 / LETTER.0) as usize;

/// Letters that fit on a line of the sheet.
const LETTERS: usize = ((WIDTH - 2 * GAP) / LETTER.0) as usize;

/// The colours of the levels of [`LabelledBox::level`], the same as on the page.
const COLOURS: [Rgb888; EDGE_LIMITS.len() + 1] = [
    Rgb888::new(0xff, 0x3b, 0x6b),
    Rgb888::new(0xff, 0x9a, 0x1f),
    Rgb888::new(0xff, 0xe6, 0x6b),
    Rgb888::new(0x4f, 0xb3, 0xff),
];

/// The colour of a box that was not measured.
const UNMEASURED: Rgb888 = Rgb888::new(0xd9, 0xdd, 0xe2);

/// Up to `most` of `items`, evenly spaced and in their order.
pub fn evenly_spaced<T: Clone>(items: &[T], most: usize) -> Vec<T> {
    let count = items.len().min(most);
    (0..count).map(|n| items[n * items.len() / count].clone()).collect()
}

/// Writes the sheet of `rows`, which are rows of the output `folder`, with a title and facts (names and values).
/// Returns the path of the sheet. If a picture cannot be read, the sheet shows the reason in its place.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if the sheet cannot be written.
pub fn write(folder: &Path, title: &str, facts: &[(String, String)], rows: &[Row]) -> Result<PathBuf> {
    let schema = Schema::read(&folder.join(data_yaml::DATA_YAML));
    let mut strips = vec![heading(title, facts)];
    strips.par_extend(rows.par_iter().map(|row| strip(row, folder, &schema)));
    let path = folder.join(FILE_NAME);
    folder::write_image(&path, &stacked(&strips), Metadata::default(), 100)?;
    Ok(path)
}

/// The strips, one below the other.
pub(super) fn stacked(strips: &[Canvas]) -> RgbImage {
    let mut sheet = Canvas::new(strips.iter().map(|strip| strip.0.height()).sum()).0;
    let mut y = 0;
    for Canvas(strip) in strips {
        imageops::replace(&mut sheet, strip, 0, y);
        y += i64::from(strip.height());
    }
    sheet
}

/// The title, the facts and the legend of the colours.
fn heading(title: &str, facts: &[(String, String)]) -> Canvas {
    let mut canvas = Canvas::new(2 * GAP + LETTER.1 * (facts.len() as u32 + 2));
    canvas.text(GAP, GAP, &shortened(title, LETTERS), &FONT_9X18_BOLD);
    let mut y = GAP + LETTER.1;
    for (name, value) in facts {
        canvas.text(GAP, y, &shortened(&format!("{name}: {value}"), LETTERS), &FONT_9X18);
        y += LETTER.1;
    }
    canvas.legend(y);
    canvas
}

/// One row: content, style and result, each under its caption.
fn strip(row: &Row, folder: &Path, schema: &Schema) -> Canvas {
    let boxes = boxes::of(row, folder, schema);
    let captions = [content_caption(row, &boxes), style_caption(row), result_caption(row, &boxes)];
    let read = |path: &Path| decode::decode(path).map(|decoded| scaled_down(&decoded.image, CELL));
    let Identity { source, style, output, .. } = &row.identity;
    let result = match &row.outcome.error {
        Some(error) => Err(error.clone()),
        None => read(&folder.join(output)).map_err(|error| error.to_string()),
    };
    let style = read(style.as_ref()).map_err(|error| error.to_string());
    let pictures = [read(source.as_ref()).map_err(|error| error.to_string()), style, result];
    let height = pictures.iter().flatten().map(RgbImage::height).max().unwrap_or(CELL.1);
    let mut canvas = Canvas::new(2 * LETTER.1 + height + 3 * GAP);
    for (n, (picture, caption)) in pictures.iter().zip(captions).enumerate() {
        let x = GAP + n as u32 * (CELL.0 + GAP);
        for (line, y) in caption.iter().zip([0, LETTER.1]) {
            canvas.text(x, GAP + y, &shortened(line, CELL_LETTERS), &FONT_9X18);
        }
        // A style has no boxes.
        let boxes = if n == 1 { &[][..] } else { &boxes };
        canvas.picture(x, 2 * (GAP + LETTER.1), picture.as_ref(), boxes);
    }
    canvas
}

/// The frame's name, its size and its objects by class, the most frequent class first.
fn content_caption(row: &Row, boxes: &[LabelledBox]) -> [String; 2] {
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    boxes.iter().for_each(|one| *classes.entry(&one.class).or_default() += 1);
    let mut classes: Vec<(&str, usize)> = classes.into_iter().collect();
    classes.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let size = row.width.zip(row.height).map(|(width, height)| format!("{width}x{height}"));
    let counts = classes.iter().map(|(class, count)| format!("{count} {class}"));
    [file_name(&row.identity.source), size.into_iter().chain(counts).collect::<Vec<_>>().join(", ")]
}

/// The style's name, or the names and shares of several; then condition, variant, strength and time.
fn style_caption(row: &Row) -> [String; 2] {
    let Row { identity, outcome, .. } = row;
    let parts = identity.styles.iter().map(|part| format!("{} {:.0} %", file_name(&part.path), part.weight * 100.0));
    let names =
        if identity.styles.is_empty() { file_name(&identity.style) } else { parts.collect::<Vec<_>>().join(", ") };
    let strength = outcome.strength.map_or_else(String::new, |strength| format!("strength {strength:.2}, "));
    [names, format!("{} {}, {strength}{}", identity.condition, identity.variant, duration(outcome.seconds))]
}

/// The worst figures of the boxes, then the losses.
fn result_caption(row: &Row, boxes: &[LabelledBox]) -> [String; 2] {
    if row.status == Status::Failed {
        return ["FAILED".into(), String::new()];
    }
    let outcome = &row.outcome;
    let least = |values: &mut dyn Iterator<Item = f64>| values.min_by(f64::total_cmp);
    let edges = outcome.box_edges_min.or_else(|| least(&mut boxes.iter().filter_map(|one| one.edges)));
    let kept = match (edges, least(&mut boxes.iter().filter_map(|one| one.contrast))) {
        (Some(edges), Some(contrast)) => format!("boxes: edges min {edges:.2}, contrast min {contrast:.2}"),
        (Some(edges), None) => format!("boxes: edges min {edges:.2}"),
        _ if boxes.is_empty() => "no boxes".into(),
        _ => "boxes not measured".into(),
    };
    // Losses of the start and of the result. The last of `losses` may belong to a step that the optimizer rejected.
    let change = |first: Option<f64>, last: Option<f64>| Some(format!("{:.3} -> {:.3}", first?, last?));
    let style = change(outcome.first_style_loss, outcome.style_loss).map(|losses| format!("style loss {losses}"));
    let content = change(outcome.first_content_loss, outcome.content_loss).map(|losses| format!("content {losses}"));
    [kept, style.into_iter().chain(content).collect::<Vec<_>>().join(", ")]
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The text on one line of up to `most` letters. A longer text keeps its start and its end.
pub(super) fn shortened(text: &str, most: usize) -> String {
    const CUT: &str = "...";
    let letters: Vec<char> = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if letters.len() <= most {
        return letters.iter().collect();
    }
    let kept = most.saturating_sub(CUT.len());
    let (start, end) = (&letters[..kept.div_ceil(2)], &letters[letters.len() - kept / 2..]);
    start.iter().chain(&CUT.chars().collect::<Vec<_>>()).chain(end).collect()
}

/// A part of the sheet, as wide as the sheet, to draw shapes and letters on.
pub(super) struct Canvas(RgbImage);

impl Canvas {
    pub(super) fn new(height: u32) -> Self {
        Self(RgbImage::from_pixel(WIDTH, height, Rgb([255; 3])))
    }

    /// Writes a line; letters that the font lacks become question marks.
    pub(super) fn text(&mut self, x: u32, y: u32, text: &str, font: &MonoFont) {
        let style = MonoTextStyle::new(font, Rgb888::BLACK);
        let Ok(_) = Text::with_baseline(text, at(x, y), style, Baseline::Top).draw(self);
    }

    /// Draws a picture with its boxes, or writes the reason why there is none.
    pub(super) fn picture(&mut self, x: u32, y: u32, picture: Result<&RgbImage, &String>, boxes: &[LabelledBox]) {
        match picture {
            Ok(picture) => {
                imageops::replace(&mut self.0, picture, x.into(), y.into());
                boxes.iter().for_each(|one| self.outline((x, y), picture.dimensions(), one));
            }
            Err(reason) => {
                let letters: Vec<char> = reason.chars().collect();
                let lines = letters.chunks(CELL_LETTERS).take(((self.0.height() - y) / LETTER.1) as usize);
                for (line, y) in lines.zip((y..).step_by(LETTER.1 as usize)) {
                    self.text(x, y, &shortened(&String::from_iter(line), CELL_LETTERS), &FONT_9X18);
                }
            }
        }
    }

    /// Draws a box around the object: a coloured line inside a black one, so that it is visible on any picture. The
    /// worst level has a wider line, so that people who do not see its colour can recognize it.
    fn outline(&mut self, corner: (u32, u32), size: (u32, u32), one: &LabelledBox) {
        let pixel = |share: f64, side: u32| (share * f64::from(side)).round() as i32;
        let (left, right) = (pixel(one.left, size.0), pixel(one.right, size.0).max(pixel(one.left, size.0) + 1));
        let (top, bottom) = (pixel(one.top, size.1), pixel(one.bottom, size.1).max(pixel(one.top, size.1) + 1));
        let area = Rectangle::new(Point::new(left, top), Size::new((right - left) as u32, (bottom - top) as u32));
        let (colour, width) = match one.level() {
            Some(0) => (COLOURS[0], 2),
            level => (level.map_or(UNMEASURED, |level| COLOURS[level]), 1),
        };
        let mut inside = self.translated(at(corner.0, corner.1));
        for (colour, width) in [(Rgb888::BLACK, width + 1), (colour, width)] {
            let style = PrimitiveStyleBuilder::new().stroke_color(colour).stroke_width(width);
            let style = style.stroke_alignment(StrokeAlignment::Outside).build();
            let Ok(()) = area.into_styled(style).draw(&mut inside);
        }
    }

    /// Writes what the colours of boxes mean.
    fn legend(&mut self, y: u32) {
        let [low, middle, high] = EDGE_LIMITS;
        let texts = [
            format!("under {low}, or contrast under {FAINT_CONTRAST}"),
            format!("{low} to {middle}"),
            format!("{middle} to {high}"),
            format!("{high} and more"),
            "not measured".into(),
        ];
        let start = "edges in a box:";
        self.text(GAP, y, start, &FONT_9X18);
        let mut x = GAP + LETTER.0 * (start.len() as u32 + 1);
        for (text, colour) in texts.iter().zip(COLOURS.into_iter().chain([UNMEASURED])) {
            let swatch = Rectangle::new(at(x, y + 3), Size::new(12, 12));
            let Ok(()) = swatch.into_styled(PrimitiveStyle::with_fill(colour)).draw(self);
            let Ok(()) = swatch.into_styled(PrimitiveStyle::with_stroke(Rgb888::BLACK, 1)).draw(self);
            self.text(x + 18, y, text, &FONT_9X18);
            x += 18 + LETTER.0 * (text.len() as u32 + 2);
        }
    }
}

fn at(x: u32, y: u32) -> Point {
    Point::new(x as i32, y as i32)
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            let inside = u32::try_from(x).ok().zip(u32::try_from(y).ok());
            if let Some(pixel) = inside.and_then(|(x, y)| self.0.get_pixel_mut_checked(x, y)) {
                *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(edges: Option<f64>) -> LabelledBox {
        LabelledBox {
            left: 0.25,
            top: 0.25,
            right: 0.75,
            bottom: 0.75,
            class: "car".into(),
            edges,
            contrast: Some(0.5),
            eased: None,
        }
    }

    fn colour(colour: Rgb888) -> [u8; 3] {
        [colour.r(), colour.g(), colour.b()]
    }

    #[test]
    fn colours_are_those_of_the_page() {
        let page = include_str!("page.html");
        let names = ["--l0", "--l1", "--l2", "--l3", "--none"];
        for (name, shown) in names.iter().zip(COLOURS.into_iter().chain([UNMEASURED])) {
            let [red, green, blue] = colour(shown);
            assert!(page.contains(&format!("{name}: #{red:02x}{green:02x}{blue:02x};")), "{name}");
        }
    }

    #[test]
    fn a_box_lies_around_what_it_marks_and_shows_on_any_picture() {
        for shade in [0, 255] {
            let mut canvas = Canvas::new(60);
            let picture = RgbImage::from_pixel(40, 40, Rgb([shade; 3]));
            canvas.picture(10, 10, Ok(&picture), &[marked(Some(0.95))]);
            let at = |x, y| canvas.0.get_pixel(x, y).0;
            // The box begins at ten pixels of the picture, which begins at ten pixels of the canvas.
            assert_eq!([at(20, 30), at(30, 20), at(39, 39)], [[shade; 3]; 3], "the object");
            assert_eq!([at(19, 30), at(40, 30), at(30, 19), at(30, 40)], [colour(COLOURS[3]); 4]);
            assert_eq!([at(18, 30), at(41, 30), at(30, 18), at(30, 41)], [[0; 3]; 4]);
            assert_eq!(at(17, 30), [shade; 3]);
        }
    }

    #[test]
    fn boxes_at_every_place_and_of_every_size_can_be_drawn() {
        let mut canvas = Canvas::new(40);
        let picture = RgbImage::new(1, 1);
        let sides = [0.0, 1e-9, 0.5, 1.0];
        for (left, right) in sides.iter().flat_map(|&left| sides.iter().map(move |&right| (left, right))) {
            let one = LabelledBox { left, right, top: left, bottom: right, ..marked(None) };
            for (x, y) in [(0, 0), (WIDTH - 1, 39)] {
                canvas.picture(x, y, Ok(&picture), std::slice::from_ref(&one));
            }
        }
    }

    #[test]
    fn long_texts_keep_their_start_and_end() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 10), "abcd...ijk");
        assert_eq!(shortened("a\nb\tc", 10), "a?b?c");
        assert_eq!(shortened("日本語のとても長い名前", 7), "日本...名前");
        assert_eq!(shortened("abcdef", 3), "...");
    }

    #[test]
    fn letters_are_drawn_in_their_cells_and_unknown_ones_as_question_marks() {
        let written = |text: &str| {
            let mut canvas = Canvas::new(LETTER.1);
            canvas.text(0, 0, text, &FONT_9X18);
            canvas.0
        };
        let inked = |sheet: &RgbImage| sheet.enumerate_pixels().filter(|(.., p)| p.0 == [0; 3]).map(|(x, ..)| x).max();
        let full = "M".repeat(LETTERS);
        assert!(inked(&written(&full)).is_some_and(|x| x < WIDTH - GAP && x > WIDTH - 4 * GAP));
        assert_eq!(written("日é"), written("?é"));
        assert_ne!(written("é"), written("?"));
        assert_eq!(inked(&written("")), None);
    }

    #[test]
    fn items_are_spread_over_all_of_them() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(evenly_spaced(&items, 5), [0, 2, 4, 6, 8]);
        assert_eq!(evenly_spaced(&items, 99), items);
        assert!(evenly_spaced::<usize>(&[], 5).is_empty());
    }
}
