//! Finished work as one page to look at: frame and result under a slider, boxes, figures, failures.
//!
//! The page itself is `page.html`, which knows nothing but the data that is put into it here.

use crate::dataset::labels::Schema;
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::output::data_yaml;
use crate::output::row::{GuardRow, Row, Status, StyleRow};
use crate::view::boxes::{self, LabelledBox};
use crate::view::thumbnail::{inside, kept_thumbnail, thumbnail};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;

const TEMPLATE: &str = include_str!("page.html");

const PLACE: &str = "{{DATA}}";

/// Pixels of a picture on the page at most, and of a style.
const PICTURE: (u32, u32) = (720, 720);

const STYLE: (u32, u32) = (160, 120);

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Preview,
    Report,
}

/// Where a page has its pictures.
#[derive(Clone, Copy, Debug)]
pub enum Pictures {
    /// In itself, so that it can be sent as one file.
    Inside,
    /// In files beside it that are made once and loaded when they are seen.
    Beside,
}

/// Everything that a page shows.
#[derive(Debug, Serialize)]
pub struct Page {
    pub kind: Kind,
    pub title: String,
    /// Names and values for its head.
    pub facts: Vec<(String, String)>,
    pub rows: Vec<Card>,
}

/// One job on the page.
#[derive(Debug, Serialize)]
pub struct Card {
    source: String,
    /// The output's folder, as it was named.
    folder: String,
    /// The new picture's place in it.
    output: String,
    label: Option<String>,
    style: String,
    styles: Vec<StyleRow>,
    condition: String,
    variant: u32,
    status: Status,
    error: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    seconds: f64,
    content_loss: Option<f64>,
    style_loss: Option<f64>,
    first_style_loss: Option<f64>,
    losses: Vec<f64>,
    strength: Option<f64>,
    boxes: Vec<LabelledBox>,
    box_edges_min: Option<f64>,
    guard: Option<GuardRow>,
    malformed_labels: Option<u32>,
    reduced_size: Option<u32>,
    restarted: bool,
    /// Addresses of the pictures; `None` where one is missing.
    content: Option<String>,
    result: Option<String>,
    style_picture: Option<String>,
}

/// What a page is filled with: itself, and what its colours mean.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    page: &'a Page,
    levels: [f64; boxes::LEVELS.len()],
    faint: f64,
}

impl Page {
    /// Writes the page to `path`, all or nothing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let data = Data { page: self, levels: boxes::LEVELS, faint: boxes::FAINT };
        let data = serde_json::to_string(&data).map_err(|error| Error::bad_file(path, error.to_string()))?;
        // A name may hold an end tag or the start of a comment, both of which would take the page's own end tag along.
        let page = TEMPLATE.replacen(PLACE, &data.replace('<', "\\u003c"), 1);
        atomic::write_file(path, page.as_bytes())
    }
}

/// The cards of `rows`, which are those of the output `folder`, for a page that lies in the folder `beside`. Pictures are
/// read on all threads; one that cannot be is missing on its card.
///
/// # Errors
/// [`Error::Io`] where a thumbnail cannot be written.
pub fn cards(rows: Vec<Row>, folder: &Path, beside: &Path, pictures: Pictures) -> Result<Vec<Card>> {
    let schema = Schema::read(&folder.join(data_yaml::DATA_YAML));
    rows.into_par_iter().map(|row| card(row, folder, &schema, beside, pictures)).collect()
}

fn card(row: Row, folder: &Path, schema: &Schema, beside: &Path, pictures: Pictures) -> Result<Card> {
    let picture = |path: &Path, cell| match pictures {
        Pictures::Inside => Ok(thumbnail(path, cell).map(|bytes| inside(&bytes))),
        Pictures::Beside => kept_thumbnail(path, cell, beside),
    };
    let done = row.status == Status::Done;
    let result = if done { picture(&folder.join(&row.output), PICTURE)? } else { None };
    Ok(Card {
        content: picture(row.source.as_ref(), PICTURE)?,
        result,
        style_picture: picture(row.style.as_ref(), STYLE)?,
        boxes: boxes::of(&row, folder, schema),
        folder: folder.display().to_string(),
        source: row.source,
        output: row.output,
        label: row.label,
        style: row.style,
        styles: row.styles,
        condition: row.condition,
        variant: row.variant,
        status: row.status,
        error: row.error,
        width: row.width,
        height: row.height,
        seconds: row.seconds,
        content_loss: row.content_loss,
        style_loss: row.style_loss,
        first_style_loss: row.first_style_loss,
        losses: row.losses,
        strength: row.strength,
        box_edges_min: row.box_edges_min,
        guard: row.guard,
        malformed_labels: row.malformed_labels,
        reduced_size: row.reduced_size,
        restarted: row.restarted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_template_has_one_place_for_the_data() {
        assert_eq!(TEMPLATE.matches(PLACE).count(), 1);
    }

    #[test]
    fn no_name_can_end_the_script() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let title = "</script><b><!--<script>".to_string();
        let page = Page { kind: Kind::Report, title: title.clone(), facts: Vec::new(), rows: Vec::new() };
        page.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("</script><b>") && !text.contains("<!--<script>"));
        let data = text.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
        assert_eq!(serde_json::from_str::<serde_json::Value>(data).unwrap()["title"], title);
    }

    #[test]
    fn a_thumbnail_is_made_once_for_each_picture_and_again_when_that_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        image::RgbImage::new(1000, 500).save(&path).unwrap();
        let kept = |path: &Path| kept_thumbnail(path, PICTURE, folder.path()).unwrap();
        let address = kept(&path).unwrap();
        let place = folder.path().join(&address);
        assert_eq!(image::image_dimensions(&place).unwrap(), (720, 360));
        fs::write(&place, "kept").unwrap();
        assert_eq!(kept(&path), Some(address.clone()));
        assert_eq!(fs::read(&place).unwrap(), b"kept");
        image::RgbImage::new(10, 50).save(&path).unwrap();
        assert_ne!(kept(&path).unwrap(), address);
        fs::write(&path, "no picture").unwrap();
        assert_eq!(kept(&path), None);
        assert_eq!(kept(&folder.path().join("gone.png")), None);
    }
}
