//! Copies of COCO annotations for the new images.

use crate::dataset::Dataset;
use crate::dataset::coco::document::Coco;
use crate::dataset::coco::index::Index;
use crate::dataset::split::Split;
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
}

impl Copies {
    /// Adds what happened to the files for another condition.
    pub fn add(&mut self, other: Self) {
        self.written.extend(other.written);
        // A file that cannot be read is the same trouble for every condition.
        let is_new = |reason: &String| !self.left.contains(reason);
        let new: Vec<String> = other.left.into_iter().filter(is_new).collect();
        self.left.extend(new);
    }
}

/// Writes the copies of the dataset's annotation files into the output `folder`: `annotations/x.json` becomes
/// `annotations/x__fog-1.json`, and so on for each variant.
///
/// A copy holds the images of its variant whose output `is_done`, under their new names, and their annotations. The
/// rest of the text stays as it is. A file without any finished image has no copy. `plan` must be the plan of the whole
/// dataset, even if this run does only a part of it.
///
/// # Errors
/// [`Error::Io`] if a copy cannot be written. A file that cannot be read is not an error: it is named in
/// [`Copies::left`].
pub fn write_copies(folder: &Path, dataset: &Dataset, plan: &Plan, is_done: impl Fn(&str) -> bool) -> Result<Copies> {
    let mut copies = Copies::default();
    let mut variants: Variants = BTreeMap::new();
    for job in &plan.jobs {
        let outputs = variants.entry(job.variant).or_default();
        if is_done(&job.output) {
            outputs.insert(job.frame, &job.output);
        }
    }
    for path in &dataset.annotations {
        let name = dataset.relative(path);
        let split = Split::named_in(&name);
        let frames = plan.frames.iter().enumerate().filter(|(_, frame)| split.is_none_or(|split| frame.split == split));
        let index = Index::new(frames.map(|(number, frame)| (number, &*frame.relative)));
        if index.is_empty() {
            continue; // Another split's than those asked for.
        }
        let text = fs::read_to_string(path).map_err(Error::io(path, "read it"));
        match text.as_ref().map_err(Error::to_string).and_then(|text| frames_in(text, path, &name, &index)) {
            Err(reason) => copies.left.push(reason),
            Ok(None) => {}
            Ok(Some((coco, frames))) => {
                let place = |variant| folder.join(copy_name(&name, plan.condition, variant));
                copies.written.append(&mut write_variants(&coco, &frames, &variants, place)?);
            }
        }
    }
    Ok(copies)
}

/// For each variant, the outputs that are done, by the number of the frame.
type Variants<'p> = BTreeMap<u32, HashMap<usize, &'p str>>;

/// An annotation file and, for each of its images, the number of its frame in the plan; `None` for an image that is no
/// frame.
type Matched<'t> = (Coco<'t>, Vec<Option<usize>>);

/// Parses an annotation file and finds its frames; `None` for JSON that is not COCO.
///
/// # Errors
/// The reason why a file that should have a copy cannot have one.
fn frames_in<'t>(text: &'t str, path: &Path, name: &str, index: &Index) -> Result<Option<Matched<'t>>, String> {
    let parsed = Coco::parse(text).map_err(|error| format!("{}: it is no JSON: {error}", path.display()))?;
    let Some(coco) = parsed else { return Ok(None) };
    let frames = index.find(&coco.images, name);
    if frames.iter().all(Option::is_none) && !frames.is_empty() {
        return Err(format!(
            "{}: none of its `file_name`s leads to a frame, from no folder of the dataset",
            path.display()
        ));
    }
    Ok(Some((coco, frames)))
}

/// Writes a copy for each variant with at least one finished image, and removes the copies of all other variants.
fn write_variants(
    coco: &Coco,
    frames: &[Option<usize>],
    variants: &Variants,
    place: impl Fn(u32) -> PathBuf,
) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (&variant, outputs) in variants {
        let new: Vec<Option<&str>> = frames.iter().map(|frame| outputs.get(&(*frame)?).copied()).collect();
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
    format!("{}__{condition}-{variant}.json", name.strip_suffix(".json").unwrap_or(name))
}

impl<'t> Coco<'t> {
    /// Writes the text with the images that have a new path, under that path's name, and with their annotations.
    pub(crate) fn write(&self, new: &[Option<&str>], writer: &mut dyn Write) -> io::Result<()> {
        let images = || self.images.iter().zip(new).filter_map(|(image, &new)| Some((image, new?)));
        let kept: HashSet<&str> = images().filter_map(|(image, _)| image.id).collect();
        let image_positions = self.images.iter().zip(new).map(|(image, new)| (&image.position, new.is_some()));
        let annotation_positions = self
            .annotations
            .iter()
            .map(|annotation| (&annotation.position, annotation.image.is_none_or(|image| kept.contains(image))));
        let mut edits = [cuts(image_positions), cuts(annotation_positions)].concat();
        let names = images().filter_map(|(image, new)| Some((image.name.as_ref()?, new)));
        edits.extend(names.map(|(name, new)| (name.position.clone(), renamed(&name.text, new))));
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

/// The new `file_name` in JSON: the folders of `old` and the last part of the path `new`.
fn renamed(old: &str, new: &str) -> String {
    let folder = &old[..old.rfind(['/', '\\']).map_or(0, |slash| slash + 1)];
    let name = new.rsplit('/').next().unwrap_or(new);
    serde_json::Value::from(format!("{folder}{name}")).to_string()
}
