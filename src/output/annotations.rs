//! Copies of COCO annotations for the new images.

use crate::dataset::Dataset;
use crate::dataset::coco::document::{self, Coco};
use crate::dataset::coco::index::Found;
use crate::dataset::coco::matcher::Matcher;
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::plan::Plan;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What happened to the annotation files of a dataset.
#[derive(Debug, Default)]
pub struct Copies {
    /// Paths of the copies in the output folder.
    pub written: Vec<PathBuf>,
    /// Why files that should have a copy have none, one message per file.
    pub left: Vec<String>,
    /// What copies lack although no run will make it, one message per file.
    pub partial: Vec<String>,
}

/// Writes the copies of the dataset's annotation files into the output `folder`: `annotations/x.json` becomes
/// `annotations/x__fog-1.json`, and so on for each variant.
///
/// A copy holds the images of its variant whose output `is_done`, under their new names, and their annotations. The
/// rest of the text stays as it is. A file without any finished image has no copy. `plans` must be those of the whole
/// dataset, by condition, even if this run does only a part of it.
///
/// # Errors
/// [`Error::Io`] if a copy cannot be written. A file that cannot be read is not an error: it is named in
/// [`Copies::left`].
pub fn write_copies(
    folder: &Path,
    dataset: &Dataset,
    plans: &[&Plan],
    is_done: impl Fn(&str) -> bool,
) -> Result<Copies> {
    let mut copies = Copies::default();
    let variants: Vec<Variants> = plans.iter().map(|plan| done_by_variant(plan, &is_done)).collect();
    let others = dataset.images_not_asked_for(&mut copies.partial);
    let matcher = Matcher::new(&dataset.frames, &others);
    for path in &dataset.annotations {
        let name = dataset.relative(path);
        if !matcher.concerns(&name) {
            continue;
        }
        let text = fs::read_to_string(path).map_err(Error::io(path, "read it"));
        let coco = match text.as_ref().map_err(Error::to_string).and_then(|text| parsed(text, path)) {
            Err(reason) => {
                copies.left.push(reason);
                continue;
            }
            Ok(None) => continue,
            Ok(Some(coco)) => coco,
        };
        let (matches, others) = matcher.find(&coco.images, &name);
        let lost = Lost::of(&coco, &matches, &others);
        if matches.iter().any(Option::is_some) || lost.is_nothing() {
            for (plan, variants) in plans.iter().zip(&variants) {
                let place = |variant| folder.join(copy_name(&name, plan.condition, variant));
                copies.written.append(&mut write_variants(&coco, &matches, variants, place)?);
            }
            copies.partial.extend(lost.message(path));
        } else {
            let message = "none of its `file_name`s leads to an image of the dataset; \
                           give them as paths below the dataset's folder";
            copies.left.push(format!("{}: {message}", path.display()));
        }
    }
    Ok(copies)
}

/// For each variant, the outputs that are done, by the number of the frame.
type Variants<'p> = BTreeMap<u32, HashMap<usize, &'p str>>;

fn done_by_variant<'p>(plan: &'p Plan, is_done: impl Fn(&str) -> bool) -> Variants<'p> {
    let mut variants: Variants = BTreeMap::new();
    for job in &plan.jobs {
        let outputs = variants.entry(job.variant).or_default();
        if is_done(&job.output) {
            outputs.insert(job.frame, &job.output);
        }
    }
    variants
}

/// Parses an annotation file; `None` for JSON that is not COCO.
///
/// # Errors
/// The reason why a file that should have a copy cannot have one.
fn parsed<'t>(text: &'t str, path: &Path) -> Result<Option<Coco<'t>>, String> {
    Coco::parse(text).map_err(|reason| format!("{}: {reason}", path.display()))
}

/// Entries of an annotation file that no copy will ever hold.
struct Lost<'c> {
    /// The images that are neither a frame nor an image of another split, by their names.
    images: Vec<&'c str>,
    annotations: usize,
    /// Entries that are no objects, of images and annotations.
    invalid: usize,
    all_images: usize,
    all_annotations: usize,
}

impl<'c> Lost<'c> {
    fn of(coco: &'c Coco, frames: &[Option<Found>], others: &[Option<Found>]) -> Self {
        let is_known = frames.iter().zip(others).map(|(frame, other)| frame.is_some() || other.is_some());
        let images: Vec<_> = coco.images.iter().zip(is_known).filter(|(image, _)| image.is_object).collect();
        let known: HashSet<&str> =
            images.iter().filter(|(_, is_known)| *is_known).filter_map(|(image, _)| image.id).collect();
        let annotations = coco.annotations.iter().filter(|one| one.is_object);
        let is_lost = |one: &&document::Annotation| one.image.is_some_and(|image| !known.contains(image));
        let name = |image: &'c document::Image| image.name.as_ref().map_or("no `file_name`", |name| &*name.text);
        Self {
            images: images.iter().filter(|(_, is_known)| !is_known).map(|&(image, _)| name(image)).collect(),
            annotations: annotations.clone().filter(is_lost).count(),
            invalid: coco.images.iter().filter(|image| !image.is_object).count()
                + coco.annotations.iter().filter(|one| !one.is_object).count(),
            all_images: images.len(),
            all_annotations: annotations.count(),
        }
    }

    fn is_nothing(&self) -> bool {
        self.images.is_empty()
    }

    /// What the copies of the file at `path` lack; `None` if that is nothing.
    fn message(&self, path: &Path) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(first) = self.images.first() {
            let (lost, all) = (self.images.len(), self.all_images);
            parts.push(format!("{lost} of {all} images, which lead to no image file or to several (first `{first}`)"));
        }
        if self.annotations > 0 {
            parts.push(format!(
                "{} of {} annotations, whose image is none of these",
                self.annotations, self.all_annotations
            ));
        }
        if self.invalid > 0 {
            parts.push(format!("{} entries that are not objects", self.invalid));
        }
        (!parts.is_empty()).then(|| format!("{}: {}", path.display(), parts.join("; ")))
    }
}

/// Writes a copy for each of these variants with at least one finished image, and removes those of the others.
fn write_variants(
    coco: &Coco,
    frames: &[Option<Found>],
    variants: &Variants,
    place: impl Fn(u32) -> PathBuf,
) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (&variant, outputs) in variants {
        let new_name = |frame: &Option<Found>| {
            let Found { number, folder, .. } = frame.as_ref()?;
            let name = outputs.get(number)?.rsplit('/').next()?;
            Some(format!("{folder}{name}"))
        };
        let new: Vec<Option<String>> = frames.iter().map(new_name).collect();
        let place = place(variant);
        if new.iter().any(Option::is_some) {
            atomic::write_file_with(&place, |writer| coco.write(&new, writer))?;
            written.push(place);
        } else {
            atomic::remove_file(&place)?;
        }
    }
    Ok(written)
}

fn copy_name(name: &str, condition: &str, variant: u32) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}__{condition}-{variant}.json")
}

impl<'t> Coco<'t> {
    /// Writes the text with the images that have a new name, under that name, and with their annotations.
    pub(crate) fn write(&self, new: &[Option<String>], writer: &mut dyn Write) -> io::Result<()> {
        let images = || self.images.iter().zip(new).filter_map(|(image, new)| Some((image, new.as_ref()?)));
        let kept: HashSet<&str> = images().filter_map(|(image, _)| image.id).collect();
        let is_kept = |one: &document::Annotation| one.is_object && one.image.is_none_or(|image| kept.contains(image));
        let image_positions = self.images.iter().zip(new).map(|(image, new)| (&image.position, new.is_some()));
        let annotation_positions = self.annotations.iter().map(|one| (&one.position, is_kept(one)));
        let mut edits = [cuts(image_positions), cuts(annotation_positions)].concat();
        let json = |name: &str| serde_json::Value::from(name).to_string();
        edits.extend(images().filter_map(|(image, new)| Some((image.name.as_ref()?.position.clone(), json(new)))));
        edits.sort_unstable_by_key(|(position, _)| position.start);
        let mut at = 0;
        for (position, text) in edits {
            writer.write_all(&self.text.as_bytes()[at..position.start])?;
            writer.write_all(text.as_bytes())?;
            at = position.end;
        }
        writer.write_all(&self.text.as_bytes()[at..])
    }
}

/// A replacement for a range of bytes of the text.
type Edit = (Range<usize>, String);

/// The edits that remove elements from an array, each with the comma that goes with it. `true` keeps an element.
fn cuts<'p>(elements: impl Iterator<Item = (&'p Range<usize>, bool)>) -> Vec<Edit> {
    let mut cuts = Vec::new();
    let (mut any_kept, mut start, mut end) = (false, None, 0);
    for (position, keep) in elements {
        let begin = *start.get_or_insert(position.start);
        match (keep, any_kept) {
            (true, false) if begin < position.start => cuts.push(begin..position.start),
            (false, true) => cuts.push(end..position.end),
            _ => {}
        }
        any_kept |= keep;
        end = position.end;
    }
    match start {
        Some(start) if !any_kept => cuts.push(start..end),
        _ => {}
    }
    cuts.into_iter().map(|position| (position, String::new())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_called_after_its_file_condition_and_variant() {
        assert_eq!(copy_name("a.b/instances.json", "fog", 2), "a.b/instances__fog-2.json");
        assert_eq!(copy_name("coco.JSON", "fog", 1), "coco__fog-1.json");
    }
}
