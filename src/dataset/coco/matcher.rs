//! Which frames the entries of an annotation file mean.

use crate::dataset::coco::document::Image;
use crate::dataset::coco::index::{Found, Index};
use crate::dataset::frame::Frame;
use crate::dataset::split::Split;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The image that each entry means.
pub type Matches = Vec<Option<Found>>;

/// The images that entries may mean, indexed once for all files.
pub struct Matcher<'d> {
    frames: &'d [Frame],
    others: &'d [String],
    of_frames: BTreeMap<Split, OnceCell<Index<'d>>>,
    of_others: OnceCell<Index<'d>>,
    of_all: OnceCell<Index<'d>>,
}

impl<'d> Matcher<'d> {
    /// `others` are the images of the splits that are not asked for, by their paths below the dataset's folder.
    pub fn new(frames: &'d [Frame], others: &'d [String]) -> Self {
        let of_frames = Split::ALL.into_iter().map(|split| (split, OnceCell::new())).collect();
        Self { frames, others, of_frames, of_others: OnceCell::new(), of_all: OnceCell::new() }
    }

    /// Whether the annotation file at `file` may be about frames: it is not named after a split that was not asked for.
    pub fn concerns(&self, file: &str) -> bool {
        Split::of_annotations(file).is_none_or(|split| self.frames.iter().any(|frame| frame.split == split))
    }

    /// The entries of the annotation file at `file` that mean frames, by the numbers of these, and those that mean images
    /// of other splits.
    pub fn find(&self, entries: &[Image], file: &str) -> (Matches, Matches) {
        match Split::of_annotations(file) {
            Some(split) => self.find_in_split(split, entries, file),
            None => self.find_in_all(entries, file),
        }
    }

    fn find_in_split(&self, split: Split, entries: &[Image], file: &str) -> (Matches, Matches) {
        let frames = || {
            let frames = self.frames.iter().enumerate().filter(|(_, frame)| frame.split == split);
            Index::new(frames.map(|(number, frame)| (number, &*frame.relative)))
        };
        let others = || Index::new(self.others.iter().map(String::as_str).enumerate());
        let frames = self.of_frames[&split].get_or_init(frames).find(entries, file);
        let others = self.of_others.get_or_init(others).find(entries, file);
        told_apart(frames, others)
    }

    fn find_in_all(&self, entries: &[Image], file: &str) -> (Matches, Matches) {
        let all = || {
            let frames = self.frames.iter().map(|frame| &*frame.relative);
            Index::new(frames.chain(self.others.iter().map(String::as_str)).enumerate())
        };
        let is_frame = |found: &Found| found.number < self.frames.len();
        let found = self.of_all.get_or_init(all).find(entries, file).into_iter();
        found.map(|found| (found.clone().filter(is_frame), found.filter(|found| !is_frame(found)))).unzip()
    }
}

/// The entries that mean frames and those that mean images of other splits. A name that can be read as either means the
/// image that it leads to directly, or nothing.
fn told_apart(frames: Matches, others: Matches) -> (Matches, Matches) {
    let tell = |(frame, other): (Option<Found>, Option<Found>)| match (frame, other) {
        (Some(frame), Some(other)) if !frame.is_direct => (None, Some(other).filter(|other| other.is_direct)),
        found => found,
    };
    frames.into_iter().zip(others).map(tell).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_may_mean_a_frame_or_an_image_of_another_split_means_what_it_leads_to() {
        let found = |number, is_direct| Some(Found { number, folder: String::new(), is_direct });
        let frames = vec![found(1, true), found(2, false), found(3, false), found(4, false), None];
        let others = vec![found(5, true), found(6, true), found(7, false), None, found(8, false)];
        let (frames, others) = told_apart(frames, others);
        assert_eq!(frames, [found(1, true), None, None, found(4, false), None]);
        assert_eq!(others, [found(5, true), found(6, true), None, None, found(8, false)]);
    }
}
