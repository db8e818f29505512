//! One annotation file: its text, and the position of every image, annotation and file name in it.
//!
//! Copies are made by cutting and replacing pieces of the text, so that numbers, order and spacing stay as they are.
//! Only positions are kept in memory.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// An annotation file. Positions are ranges of bytes of its text.
pub struct Coco<'t> {
    pub text: &'t str,
    pub images: Vec<Image<'t>>,
    pub annotations: Vec<Annotation<'t>>,
}

/// An entry of `images`.
pub struct Image<'t> {
    pub position: Range<usize>,
    pub id: Option<&'t str>,
    pub name: Option<FileName>,
}

/// The `file_name` of an image.
pub struct FileName {
    /// With its quotes.
    pub position: Range<usize>,
    pub text: String,
}

/// An entry of `annotations`.
pub struct Annotation<'t> {
    pub position: Range<usize>,
    /// The id of its image.
    pub image: Option<&'t str>,
}

impl<'t> Coco<'t> {
    /// Parses an annotation file; `None` for JSON that is not COCO.
    ///
    /// # Errors
    /// If the text is not JSON.
    pub fn parse(text: &'t str) -> serde_json::Result<Option<Self>> {
        match Self::read(text) {
            Err(error) if error.is_data() => Ok(None),
            read => read,
        }
    }

    fn read(text: &'t str) -> serde_json::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Top<'t> {
            #[serde(borrow)]
            images: Option<Vec<&'t RawValue>>,
            #[serde(borrow)]
            annotations: Option<Vec<&'t RawValue>>,
        }
        let Top { images: Some(images), annotations } = serde_json::from_str(text)? else { return Ok(None) };
        let images = images.into_iter().map(|item| Image::read(text, item)).collect::<serde_json::Result<_>>()?;
        let annotations = annotations.unwrap_or_default().into_iter().map(|item| Annotation::read(text, item));
        Ok(Some(Self { text, images, annotations: annotations.collect::<serde_json::Result<_>>()? }))
    }
}

impl<'t> Image<'t> {
    fn read(text: &str, item: &'t RawValue) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Raw<'t> {
            #[serde(borrow)]
            id: Option<&'t RawValue>,
            #[serde(borrow)]
            file_name: Option<&'t RawValue>,
        }
        let Raw { id, file_name } = serde_json::from_str(item.get())?;
        let name = |raw: &RawValue| {
            Some(FileName { position: position(text, raw), text: serde_json::from_str(raw.get()).ok()? })
        };
        Ok(Self { position: position(text, item), id: id.map(key), name: file_name.and_then(name) })
    }
}

impl<'t> Annotation<'t> {
    fn read(text: &str, item: &'t RawValue) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Raw<'t> {
            #[serde(borrow)]
            image_id: Option<&'t RawValue>,
        }
        let Raw { image_id } = serde_json::from_str(item.get())?;
        Ok(Self { position: position(text, item), image: image_id.map(key) })
    }
}

/// The position of a value that was borrowed from `text`.
fn position(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

/// An id in the form in which ids are compared: some tables write whole numbers as 7.0.
fn key(id: &RawValue) -> &str {
    id.get().strip_suffix(".0").unwrap_or(id.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_json_is_none_and_broken_json_is_an_error() {
        for other in ["[]", "3", "{}", r#"{"images": {"a": 1}}"#, r#"{"images": [1]}"#, r#"{"annotations": []}"#] {
            assert!(Coco::parse(other).unwrap().is_none(), "{other}");
        }
        for broken in ["", "{", r#"{"images": [{"id": 1}"#, r#"{"images": []} {"#, r#"{"images": [], "area": NaN}"#] {
            assert!(Coco::parse(broken).is_err(), "{broken}");
        }
    }
}
