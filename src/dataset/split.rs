//! The splits of a dataset, and the names that datasets give them.

use std::fmt;

/// A part of a dataset that serves one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Val,
    Test,
}

impl Split {
    /// All splits, in their usual order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The names that datasets use for this split, Ultralytics' own first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train"],
            Self::Val => &["val", "valid", "validation"],
            Self::Test => &["test"],
        }
    }

    /// The split that a path is named after, by the last word in it that is a split's name, as in
    /// `instances_train2017.json`.
    pub fn named_in(path: &str) -> Option<Self> {
        let mut words = path.rsplit(|c: char| !c.is_ascii_alphabetic());
        words.find_map(|word| Self::ALL.into_iter().find(|split| split.names().contains(&word)))
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.names()[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_after_the_last_split_in_it() {
        for (path, split) in [
            ("annotations/instances_train2017.json", Some(Split::Train)),
            ("annotations/image_info_test-dev2017.json", Some(Split::Test)),
            ("valid/_annotations.coco.json", Some(Split::Val)),
            ("train/val.json", Some(Split::Val)),
            ("annotations/trainval.json", None),
        ] {
            assert_eq!(Split::named_in(path), split, "{path}");
        }
    }
}
