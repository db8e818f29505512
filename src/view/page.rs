//! The page of a preview or a report: frame and result under a slider, boxes, figures, failures.
//!
//! The template is `page.html`. It reads only the data that this file puts into it.

use crate::dataset::labels::Schema;
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::output::data_yaml;
use crate::output::row::{Identity, Row, Status};
use crate::view::boxes::{self, EDGE_LIMITS, FAINT_CONTRAST, LabelledBox};
use crate::view::thumbnail;
use rayon::prelude::*;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};

const TEMPLATE: &str = include_str!("page.html");

/// The text of the template that the data replaces.
const PLACEHOLDER: &str = "{{DATA}}";

/// The largest width and height of a picture on the page, in pixels.
const PICTURE: (u32, u32) = (720, 720);

/// The largest width and height of a style picture on the page, in pixels.
const STYLE: (u32, u32) = (160, 120);

/// Which verb makes the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PageKind {
    Preview,
    Report,
}

/// Where the pictures of a page are stored.
#[derive(Clone, Copy, Debug)]
pub enum PagePictures {
    /// In the page itself, so that it can be sent as one file.
    Embedded,
    /// In files beside the page. Each is written once, and the browser loads it when it comes into view.
    Files,
}

/// Everything that a page shows.
#[derive(Debug, Serialize)]
pub struct Page {
    pub kind: PageKind,
    pub title: String,
    /// Names and values at the top of the page.
    pub facts: Vec<(String, String)>,
    pub rows: Vec<Card>,
}

/// One job on the page: its row, and what else the page needs.
#[derive(Debug)]
pub struct Card {
    row: Row,
    /// The output folder, as the caller named it.
    folder: String,
    boxes: Vec<LabelledBox>,
    /// URLs of the three pictures; `None` if a picture is missing or cannot be read.
    content: Option<String>,
    result: Option<String>,
    style_picture: Option<String>,
}

impl Serialize for Card {
    /// Only the fields that the page shows: the other fields of the row would make it a third larger.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row { status, identity, width, height, outcome, .. } = &self.row;
        let mut card = serializer.serialize_map(None)?;
        card.serialize_entry("source", &identity.source)?;
        card.serialize_entry("folder", &self.folder)?;
        card.serialize_entry("output", &identity.output)?;
        card.serialize_entry("label", &identity.label)?;
        card.serialize_entry("style", &identity.style)?;
        card.serialize_entry("styles", &identity.styles)?;
        card.serialize_entry("condition", &identity.condition)?;
        card.serialize_entry("variant", &identity.variant)?;
        card.serialize_entry("status", status)?;
        card.serialize_entry("error", &outcome.error)?;
        card.serialize_entry("width", width)?;
        card.serialize_entry("height", height)?;
        card.serialize_entry("seconds", &outcome.seconds)?;
        card.serialize_entry("content_loss", &outcome.content_loss)?;
        card.serialize_entry("style_loss", &outcome.style_loss)?;
        card.serialize_entry("first_style_loss", &outcome.first_style_loss)?;
        card.serialize_entry("losses", &outcome.losses)?;
        card.serialize_entry("strength", &outcome.strength)?;
        card.serialize_entry("boxes", &self.boxes)?;
        card.serialize_entry("box_edges_min", &outcome.box_edges_min)?;
        card.serialize_entry("guard", &outcome.guard)?;
        card.serialize_entry("malformed_labels", &outcome.malformed_labels)?;
        card.serialize_entry("objects_left_out", &outcome.objects_left_out)?;
        card.serialize_entry("reduced_size", &outcome.reduced_size)?;
        card.serialize_entry("restarted", &outcome.restarted)?;
        card.serialize_entry("content", &self.content)?;
        card.serialize_entry("result", &self.result)?;
        card.serialize_entry("style_picture", &self.style_picture)?;
        card.end()
    }
}

/// The data of a page, with the limits that its colours stand for.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    page: &'a Page,
    levels: [f64; EDGE_LIMITS.len()],
    faint: f64,
}

impl Page {
    /// Writes the page to `path`, or leaves what is there unchanged.
    ///
    /// # Errors
    /// [`Error::Io`] if the page cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let data = Data { page: self, levels: EDGE_LIMITS, faint: FAINT_CONTRAST };
        let data = serde_json::to_string(&data).map_err(|error| Error::bad_file(path, error.to_string()))?;
        // A name may contain an end tag, which would end the data, or the start of a comment, which would hide the end.
        let page = TEMPLATE.replacen(PLACEHOLDER, &data.replace('<', "\\u003c"), 1);
        atomic::write_file(path, page.as_bytes())
    }
}

/// The cards of `rows`, which are rows of the output `folder`, for a page in the folder `page_folder`. Pictures are
/// read on all threads. A picture that cannot be read is missing on its card.
///
/// # Errors
/// [`Error::Io`] if a thumbnail cannot be written.
pub fn cards(rows: Vec<Row>, folder: &Path, page_folder: &Path, pictures: PagePictures) -> Result<Vec<Card>> {
    let schema = Schema::read(&folder.join(data_yaml::DATA_YAML));
    rows.into_par_iter().map(|row| card(row, folder, &schema, page_folder, pictures)).collect()
}

fn card(row: Row, folder: &Path, schema: &Schema, page_folder: &Path, pictures: PagePictures) -> Result<Card> {
    let url = |path: &Path, cell| match pictures {
        PagePictures::Embedded => Ok(thumbnail::jpeg(path, cell).map(|jpeg| thumbnail::data_url(&jpeg))),
        PagePictures::Files => thumbnail::file(path, cell, page_folder),
    };
    let Identity { source, style, output, .. } = &row.identity;
    let result = match row.status {
        Status::Done => url(&folder.join(output), PICTURE)?,
        Status::Failed => None,
    };
    Ok(Card {
        boxes: boxes::of(&row, folder, schema),
        // Without a slash at its end.
        folder: folder.components().collect::<PathBuf>().display().to_string(),
        content: url(source.as_ref(), PICTURE)?,
        style_picture: url(style.as_ref(), STYLE)?,
        result,
        row,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::row::Producer;
    use std::fs;

    #[test]
    fn the_template_has_one_place_for_the_data() {
        assert_eq!(TEMPLATE.matches(PLACEHOLDER).count(), 1);
    }

    #[test]
    fn no_name_can_end_the_script() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let title = "</script><b><!--<script>".to_string();
        let page = Page { kind: PageKind::Report, title: title.clone(), facts: Vec::new(), rows: Vec::new() };
        page.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("</script><b>") && !text.contains("<!--<script>"));
        let data = text.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
        assert_eq!(serde_json::from_str::<serde_json::Value>(data).unwrap()["title"], title);
    }

    #[test]
    fn a_card_has_the_fields_of_its_row_and_its_pictures() {
        let folder = tempfile::tempdir().unwrap();
        image::RgbImage::new(8, 6).save(folder.path().join("a.png")).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let identity =
            Identity { source: path("gone.png"), style: path("a.png"), output: "a.png".into(), ..Identity::default() };
        let mut row = Row::new(identity, Producer::default());
        row.outcome.error = Some("no picture".into());
        let card = |row| {
            let cards = cards(vec![row], folder.path(), folder.path(), PagePictures::Embedded).unwrap();
            serde_json::to_value(&cards[0]).unwrap()
        };
        let failed = card(row.clone());
        assert_eq!([&failed["status"], &failed["error"]], ["failed", "no picture"]);
        assert!(failed["content"].is_null() && failed["result"].is_null() && failed["style_picture"].is_string());
        // The template needs these lists, even if they are empty.
        assert_eq!(
            [&failed["losses"], &failed["styles"], &failed["boxes"]].map(|list| list.as_array().unwrap().len()),
            [0; 3]
        );
        let done = card(Row { status: Status::Done, ..row });
        assert!(done["result"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
    }
}
