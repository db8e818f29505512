//! Which sequence each frame belongs to, and its place there.

use crate::config::values::Sequence;
use crate::dataset::Frame;
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::collections::HashMap;

/// Where a frame stands among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The name of its sequence; its own path if it is in none. All that is drawn depends on this text.
    pub name: &'a str,
    /// Its place in the sequence, from 0, by the natural order of the frames' paths: `9.jpg` is before `10.jpg`.
    pub place: u64,
}

/// The positions of all frames of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions<'a> {
    /// By frame.
    of: Vec<Position<'a>>,
    /// Whether the config asks for sequences.
    are_asked: bool,
    /// The frames that the config's expression does not match.
    unmatched: Vec<usize>,
}

impl<'a> Positions<'a> {
    /// The positions of `frames` by `sequence`. An expression must match one of those of `splits`.
    ///
    /// # Errors
    /// [`Error::Config`] if the expression matches none of the frames.
    pub fn of(sequence: &Sequence, frames: &'a [Frame], splits: &[Split]) -> Result<Self> {
        let mut unmatched = Vec::new();
        let names: Vec<&str> = match sequence {
            Sequence::None => frames.iter().map(|frame| &*frame.relative).collect(),
            Sequence::Folder => frames.iter().map(|frame| folder(&frame.relative)).collect(),
            Sequence::Pattern(pattern) => {
                let name = |(index, frame): (usize, &'a Frame)| {
                    pattern.name(&frame.relative).unwrap_or_else(|| {
                        unmatched.push(index);
                        &frame.relative
                    })
                };
                frames.iter().enumerate().map(name).collect()
            }
        };
        unmatched.retain(|&index| splits.contains(&frames[index].split));
        let asked = frames.iter().filter(|frame| splits.contains(&frame.split)).count();
        if let Sequence::Pattern(pattern) = sequence
            && unmatched.len() == asked
            && let Some(&first) = unmatched.first()
        {
            let message = format!("`sequence: {}` matches none of the {asked} frames", pattern.text());
            let help = format!("it is matched against paths below the dataset, such as `{}`", frames[first].relative);
            return Err(Error::config(&pattern.place, message, Some(help)));
        }
        let mut of: Vec<Position> = names.into_iter().map(|name| Position { name, place: 0 }).collect();
        if *sequence != Sequence::None {
            number(&mut of, frames);
        }
        Ok(Self { of, are_asked: *sequence != Sequence::None, unmatched })
    }

    /// Positions that are known already, by frame. `are_asked` says whether the config asks for sequences.
    pub fn known(of: Vec<Position<'a>>, are_asked: bool) -> Self {
        Self { of, are_asked, unmatched: Vec::new() }
    }

    /// The same with all frames at this place, if the config asks for sequences.
    pub fn placed(mut self, place: u64) -> Self {
        if self.are_asked {
            self.of.iter_mut().for_each(|position| position.place = place);
        }
        self
    }

    /// The position of the frame of this index.
    pub fn at(&self, frame: usize) -> Position<'a> {
        self.of[frame]
    }

    /// The position of the frame of this index, if the config asks for sequences.
    pub fn in_sequence(&self, frame: usize) -> Option<Position<'a>> {
        self.are_asked.then(|| self.of[frame])
    }

    /// The frames that the config's expression does not match. Each is a sequence of its own.
    pub fn unmatched(&self) -> &[usize] {
        &self.unmatched
    }
}

/// The folder of a path with `/`, without its closing `/`; empty for a file at the top.
fn folder(relative: &str) -> &str {
    relative.rfind('/').map_or("", |slash| &relative[..slash])
}

/// Gives the frames of each sequence their places.
fn number(positions: &mut [Position], frames: &[Frame]) {
    let mut sequences: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, position) in positions.iter().enumerate() {
        sequences.entry(position.name).or_default().push(index);
    }
    for mut sequence in sequences.into_values() {
        sequence.sort_by(|&a, &b| natural(&frames[a].relative, &frames[b].relative));
        for (place, index) in (0..).zip(sequence) {
            positions[index].place = place;
        }
    }
}

/// The order in which people count: runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let ((digits, others), (more_digits, more_others)) = (leading_number(left), leading_number(right));
        // Without leading zeros, the longer number is the larger one.
        let by_number = digits.len().cmp(&more_digits.len()).then(digits.cmp(more_digits));
        let both = left.len() != others.len() && right.len() != more_others.len();
        if both && by_number != Ordering::Equal {
            return by_number;
        }
        if both {
            (left, right) = (others, more_others);
        }
        let (mut characters, mut more_characters) = (left.chars(), right.chars());
        match (characters.next(), more_characters.next()) {
            // Names may differ in leading zeros alone.
            (None, None) => return a.cmp(b),
            (next, other) if next != other => return next.cmp(&other),
            _ => (left, right) = (characters.as_str(), more_characters.as_str()),
        }
    }
}

/// The digits at the start of `text` without leading zeros, and what follows them.
fn leading_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::{Config, Pattern};
    use crate::plan::testing::{config, frames, many, styles};
    use crate::plan::{Job, Plan};

    fn pattern(text: &str) -> Sequence {
        Sequence::Pattern(Pattern::new(text, "fog.yaml:2:11".into()).unwrap())
    }

    fn shown(sequence: &Sequence, paths: &[&str]) -> Vec<(String, u64)> {
        let frames = frames(paths);
        let positions = Positions::of(sequence, &frames, &[Split::Train]).unwrap();
        let shown = |index| (positions.at(index).name.to_string(), positions.at(index).place);
        (0..frames.len()).map(shown).collect()
    }

    #[test]
    fn folders_are_sequences_and_their_frames_are_counted_as_people_count() {
        let paths = ["a/1.jpg", "a/10.jpg", "a/9.jpg", "a/x/1.jpg", "top.jpg"];
        let expected = [("a", 0), ("a", 2), ("a", 1), ("a/x", 0), ("", 0)];
        assert_eq!(shown(&Sequence::Folder, &paths), expected.map(|(name, place)| (name.to_string(), place)));
        assert!(shown(&Sequence::None, &paths).iter().zip(paths).all(|(found, path)| *found == (path.to_string(), 0)));
    }

    #[test]
    fn numbers_of_any_length_are_in_natural_order() {
        let ordered = [
            "a.jpg",
            "a1.jpg",
            "a2.jpg",
            "a02b.jpg",
            "a10.jpg",
            "a10_9.jpg",
            "a10_10.jpg",
            "a99999999999999999999999998.jpg",
            "a99999999999999999999999999.jpg",
            "b0.jpg",
            "b00.jpg",
            "ä2.jpg",
            "ä10.jpg",
        ];
        for (n, a) in ordered.iter().enumerate() {
            for (m, b) in ordered.iter().enumerate() {
                assert_eq!(natural(a, b), n.cmp(&m), "{a} {b}");
            }
        }
    }

    #[test]
    fn an_expression_names_sequences_and_what_it_does_not_match_is_alone() {
        let paths = ["d/run1_001.jpg", "d/run1_002.jpg", "d/run2_001.jpg", "d/still.jpg"];
        let found = shown(&pattern(r"(run\d+)_"), &paths);
        let expected = [("run1", 0), ("run1", 1), ("run2", 0), ("d/still.jpg", 0)];
        assert_eq!(found, expected.map(|(name, place)| (name.to_string(), place)));
        let (frames, styles) = (frames(&paths), styles(&[1.0]));
        let config = Config { sequence: pattern(r"(run\d+)_"), ..config() };
        let warnings = Plan::new(&config, &frames, &styles).unwrap().warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("1 of 4 frames, such as d/still.jpg"), "{warnings:?}");

        let nothing = Config { sequence: pattern("(drive_[0-9]+)"), ..config };
        let error = Plan::new(&nothing, &frames, &styles).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.starts_with("fog.yaml:2:11: `sequence: (drive_[0-9]+)` matches none of the 4 frames"), "{text}");
        assert!(text.contains("d/run1_001.jpg"), "{text}");
    }

    #[test]
    fn a_sequence_shares_its_draws_whatever_frames_there_are() {
        let paths: Vec<String> = (0..40).flat_map(|d| (0..5).map(move |n| format!("drive{d}/{n}.jpg"))).collect();
        let (all, styles) = (frames(&paths), styles(&[1.0, 2.0, 3.0]));
        let config = Config { sequence: Sequence::Folder, variants: 2, fraction: 0.5.into(), ..config() };
        let whole = Plan::new(&config, &all, &styles).unwrap();
        assert!((60..140).contains(&(whole.jobs.len() / 2)));
        for jobs in whole.jobs.chunks(10) {
            let drawn = |job: &Job| (job.styles.clone(), job.seed);
            let folder = |job: &Job| folder(&whole.frame(job).relative).to_string();
            assert!(jobs.iter().all(|job| folder(job) == folder(&jobs[0])), "whole sequences are taken or left");
            assert!(jobs.iter().step_by(2).all(|job| drawn(job) == drawn(&jobs[0])));
            assert!(jobs[1].seed != jobs[0].seed, "variants differ");
        }
        let some: Vec<Frame> = all.iter().rev().step_by(3).cloned().collect();
        for job in Plan::new(&config, &some, &styles).unwrap().jobs {
            let same = whole.jobs.iter().find(|other| other.output == job.output).unwrap();
            assert_eq!((&job.styles, job.seed), (&same.styles, same.seed));
        }
    }

    #[test]
    fn a_frame_that_is_alone_is_drawn_for_as_without_sequences() {
        let (frames, styles) = (many(20), styles(&[1.0, 2.0]));
        let own = Config { sequence: pattern(r"(.*)"), ..config() };
        assert_eq!(
            Plan::new(&own, &frames, &styles).unwrap().jobs,
            Plan::new(&config(), &frames, &styles).unwrap().jobs
        );
    }
}
