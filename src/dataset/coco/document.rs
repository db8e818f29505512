//! One annotation file: its text, and the position of every image, annotation and file name in it.
//!
//! Copies are made by cutting and replacing pieces of the text, so that numbers, order and spacing stay as they are.
//! Numbers, names of files and of categories are all that is copied from it.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// An annotation file. Positions are ranges of bytes of its text.
pub struct Coco<'t> {
    pub text: &'t str,
    pub images: Vec<Image<'t>>,
    pub annotations: Vec<Annotation<'t>>,
    /// The ids and names of categories.
    pub categories: Vec<(i64, String)>,
}

/// An entry of `images`.
pub struct Image<'t> {
    pub position: Range<usize>,
    /// Whether the entry is an object; a `null` or a number means no image.
    pub is_object: bool,
    pub id: Option<&'t str>,
    pub name: Option<FileName>,
    /// Width and height in pixels, as they are written.
    pub size: [Option<&'t RawValue>; 2],
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
    /// Whether the entry is an object; a `null` or a number annotates nothing.
    pub is_object: bool,
    /// The id of its image.
    pub image: Option<&'t str>,
    /// As it is written.
    pub category: Option<&'t RawValue>,
    /// As it is written.
    pub bbox: Option<&'t RawValue>,
    /// Whether it stands for a crowd of objects.
    pub is_crowd: bool,
}

impl<'t> Coco<'t> {
    /// Parses an annotation file; `None` for JSON that is not COCO: it has no list `images` with a `file_name`.
    ///
    /// # Errors
    /// The reason if the text is no JSON, or COCO whose annotations cannot be told apart.
    pub fn parse(text: &'t str) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Top<'t> {
            #[serde(borrow)]
            images: Option<&'t RawValue>,
            #[serde(borrow)]
            annotations: Option<&'t RawValue>,
            #[serde(borrow)]
            categories: Option<&'t RawValue>,
        }
        let Top { images, annotations, categories } = match serde_json::from_str(text) {
            Ok(top) => top,
            Err(error) if error.to_string().starts_with("duplicate field") => return Err(error.to_string()),
            Err(error) if error.is_data() => return Ok(None),
            Err(error) => return Err(format!("it is no JSON: {error}")),
        };
        let Some(images) = images.and_then(list) else { return Ok(None) };
        let images: Vec<Image> = images.into_iter().map(|item| Image::read(text, item)).collect();
        if !images.is_empty() && images.iter().all(|image| image.name.is_none()) {
            return Ok(None);
        }
        let annotations = match annotations {
            None => Vec::new(),
            Some(value) => list(value).ok_or("its `annotations` are no list")?,
        };
        let annotations = annotations.into_iter().map(|item| Annotation::read(text, item)).collect();
        let categories = categories.and_then(list).unwrap_or_default().into_iter().filter_map(category).collect();
        Ok(Some(Self { text, images, annotations, categories }))
    }
}

/// The items of a list; `None` for any other value.
fn list(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The fields of an object; `None` for any other value, also for lists, whose items would pass for the fields.
fn object<'t, T: Deserialize<'t>>(item: &'t RawValue) -> Option<T> {
    serde_json::from_str(item.get()).ok().filter(|_| item.get().starts_with('{'))
}

impl<'t> Image<'t> {
    fn read(text: &str, item: &'t RawValue) -> Self {
        #[derive(Deserialize)]
        struct Raw<'t> {
            #[serde(borrow)]
            id: Option<&'t RawValue>,
            #[serde(borrow)]
            file_name: Option<&'t RawValue>,
            #[serde(borrow)]
            width: Option<&'t RawValue>,
            #[serde(borrow)]
            height: Option<&'t RawValue>,
        }
        let position = position(text, item);
        let Some(Raw { id, file_name, width, height }) = object(item) else {
            return Self { position, is_object: false, id: None, name: None, size: [None; 2] };
        };
        let name = file_name.and_then(|raw| {
            Some(FileName { position: self::position(text, raw), text: serde_json::from_str(raw.get()).ok()? })
        });
        Self { position, is_object: true, id: id.map(key), name, size: [width, height] }
    }
}

impl<'t> Annotation<'t> {
    fn read(text: &str, item: &'t RawValue) -> Self {
        #[derive(Deserialize)]
        struct Raw<'t> {
            #[serde(borrow)]
            image_id: Option<&'t RawValue>,
            #[serde(borrow)]
            category_id: Option<&'t RawValue>,
            #[serde(borrow)]
            bbox: Option<&'t RawValue>,
            #[serde(borrow)]
            iscrowd: Option<&'t RawValue>,
        }
        let position = position(text, item);
        let Some(Raw { image_id, category_id, bbox, iscrowd }) = object(item) else {
            return Self { position, is_object: false, image: None, category: None, bbox: None, is_crowd: false };
        };
        let is_crowd = iscrowd.is_some_and(|crowd| crowd.get() == "true" || number(crowd) == Some(1.0));
        Self { position, is_object: true, image: image_id.map(key), category: category_id, bbox, is_crowd }
    }
}

fn category(item: &RawValue) -> Option<(i64, String)> {
    #[derive(Deserialize)]
    struct Raw<'t> {
        #[serde(borrow)]
        id: &'t RawValue,
        name: String,
    }
    let Raw { id, name } = object(item)?;
    Some((whole_number(id)?, name))
}

/// A number as it is written; some tables write it as text.
pub fn number(value: &RawValue) -> Option<f64> {
    value.get().trim_matches('"').parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number; some tables write 7.0 for 7.
pub fn whole_number(value: &RawValue) -> Option<i64> {
    number(value).filter(|number| number.fract() == 0.0).map(|number| number as i64)
}

/// The position of a value that was borrowed from `text`.
fn position(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

/// An id in the form in which ids are compared: some tables write whole numbers as 7.0 or "7".
fn key(id: &RawValue) -> &str {
    let text = id.get().trim_matches('"');
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text } else { id.get().strip_suffix(".0").unwrap_or(id.get()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_json_is_none_and_broken_json_is_an_error() {
        for other in [
            "[]",
            "3",
            "{}",
            r#"{"images": {"a": 1}}"#,
            r#"{"images": [1]}"#,
            r#"{"images": ["a.jpg"], "annotations": []}"#,
            r#"{"images": null}"#,
            r#"{"annotations": []}"#,
        ] {
            assert!(Coco::parse(other).unwrap().is_none(), "{other}");
        }
        for broken in ["", "{", r#"{"images": [{"id": 1}"#, r#"{"images": []} {"#, r#"{"images": [], "area": NaN}"#] {
            assert!(Coco::parse(broken).is_err_and(|reason| reason.starts_with("it is no JSON")), "{broken}");
        }
        let image = r#""images": [{"file_name": "a.jpg"}]"#;
        for (bad, reason) in [
            (format!(r#"{{{image}, "annotations": {{"1": {{}}}}}}"#), "no list"),
            (format!("{{{image}, {image}}}"), "duplicate field"),
        ] {
            assert!(Coco::parse(&bad).is_err_and(|said| said.contains(reason)), "{bad}");
        }
    }

    #[test]
    fn entries_that_are_no_objects_are_marked_and_the_others_read() {
        let text = r#"{"images": [null, {"file_name": "a.jpg", "id": 1}, 7, {"file_name": null, "id": "x"}],
            "annotations": [{"image_id": 1.0}, null, [1], {"id": 3}, "words"]}"#;
        let coco = Coco::parse(text).unwrap().unwrap();
        let images: Vec<_> =
            coco.images.iter().map(|image| (image.is_object, image.id, image.name.is_some())).collect();
        let nothing = (false, None, false);
        assert_eq!(images, [nothing, (true, Some("1"), true), nothing, (true, Some("\"x\""), false)]);
        let annotations: Vec<_> = coco.annotations.iter().map(|one| (one.is_object, one.image)).collect();
        assert_eq!(annotations[0], (true, Some("1")));
        assert_eq!(annotations[1..], [(false, None), (false, None), (true, None), (false, None)]);
        let only_null = Coco::parse(r#"{"images": [{"file_name": "a"}], "annotations": null}"#).unwrap().unwrap();
        assert!(only_null.annotations.is_empty());
    }
}
