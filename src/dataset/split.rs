//! The splits of a dataset, and the names that datasets give them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A part of a dataset that serves one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Val,
    Test,
}

/// Words that stand beside a split's name without another meaning, as in `obj_train_data`.
const NEUTRAL: [&str; 18] = [
    "data", "dataset", "set", "split", "images", "image", "imgs", "img", "frames", "pictures", "photos", "jpg", "jpeg",
    "png", "obj", "folder", "list", "files",
];

/// Endings that are written together with a split's name, as in `trainset`.
const ENDINGS: [&str; 7] = ["set", "data", "images", "image", "imgs", "img", "split"];

/// Words that are about splits without saying which one of these.
const VAGUE: [&str; 25] = [
    "trainval",
    "trainvaltest",
    "minival",
    "valtest",
    "eval",
    "evaluation",
    "holdout",
    "fold",
    "folds",
    "splits",
    // Other languages.
    "entrenamiento",
    "validacion",
    "validación",
    "prueba",
    "treino",
    "validacao",
    "validação",
    "teste",
    "entrainement",
    "entraînement",
    "apprentissage",
    "训练",
    "训练集",
    "验证集",
    "测试集",
];

/// Words that stand beside a split's name in the name of an annotation file, as in `instances_train_v2.json`.
const OF_ANNOTATIONS: [&str; 13] = [
    "annotations",
    "annotation",
    "coco",
    "instances",
    "labels",
    "label",
    "boxes",
    "bbox",
    "gt",
    "keypoints",
    "captions",
    "info",
    "v",
];

impl Split {
    /// All splits, in their usual order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The names that datasets use for this split, Ultralytics' own first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train", "training"],
            Self::Val => &["val", "valid", "validation", "dev"],
            Self::Test => &["test", "testing"],
        }
    }

    /// The split that an annotation file is named after: its own name, or else a folder of it. `test_drive.json` and
    /// `train_val.json` are named after none.
    pub fn of_annotations(path: &str) -> Option<Self> {
        let path = path.rsplit_once('.').map_or(path, |(path, _)| path);
        for name in path.rsplit('/') {
            let words = words(name);
            let telling: Vec<&str> =
                words.iter().map(String::as_str).filter(|word| !OF_ANNOTATIONS.contains(word)).collect();
            if words.iter().any(|word| Self::of_word(word).is_some()) || Self::is_vague_name(name) {
                return Self::of_name(&telling.join("_"));
            }
        }
        None
    }

    /// The split that a path is named after, by the last word in it that is a split's name, as in
    /// `instances_train2017.json`. Letter case does not matter.
    pub fn named_in(path: &str) -> Option<Self> {
        let words = words(path);
        let named = words.iter().rposition(|word| Self::of_word(word).is_some())?;
        match Self::of_word(&words[named])? {
            // `test-dev` is a test.
            Self::Val if words[named] == "dev" && named > 0 && Self::of_word(&words[named - 1]) == Some(Self::Test) => {
                Some(Self::Test)
            }
            split => Some(split),
        }
    }

    /// The split that the name of a folder or file stands for: the name of a split alone, with words such as `data`
    /// beside it, or behind other words, as in `VisDrone2019-DET-train`. `test_drive` stands for none.
    pub fn of_name(name: &str) -> Option<Self> {
        let words = words(name);
        let mut rest: Vec<&str> = words.iter().map(String::as_str).filter(|word| !NEUTRAL.contains(word)).collect();
        if rest.iter().any(|word| Self::of_word(word) == Some(Self::Test)) {
            // As in `test-dev` and `test-challenge`.
            rest.retain(|word| !["dev", "challenge"].contains(word));
        }
        let split = Self::of_word(rest.last()?)?;
        let one = rest.iter().filter_map(|word| Self::of_word(word)).all(|other| other == split);
        (one && !words.iter().any(|word| VAGUE.contains(&word.as_str()))).then_some(split)
    }

    /// The split that a name begins with, such as `val_day` or `testA`. Alone that says little; beside names that begin
    /// with other splits it does.
    pub fn begun_by(name: &str) -> Option<Self> {
        Self::of_word(words(name).first()?)
    }

    /// Whether the name says nothing but the split, such as `Train` or `train2017`.
    pub fn is_plain_name(name: &str) -> bool {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
        Self::ALL.iter().any(|split| split.names().contains(&letters.as_str()))
    }

    /// Whether the name is about splits, although [`of_name`](Self::of_name) cannot say about which one.
    pub fn is_vague_name(name: &str) -> bool {
        let words = words(name);
        let splits = words.iter().filter_map(|word| Self::of_word(word));
        words.iter().any(|word| VAGUE.contains(&word.as_str())) || Self::of_name(name).is_none() && splits.count() > 1
    }

    fn of_word(word: &str) -> Option<Self> {
        let named = |word: &str| Self::ALL.into_iter().find(|split| split.names().contains(&word));
        named(word).or_else(|| ENDINGS.iter().find_map(|ending| named(word.strip_suffix(ending)?)))
    }
}

/// The words of a name in lower case. They end where letters end, and before a capital behind a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphabetic() || was_small && c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
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
            ("annotations/instances_Train.json", Some(Split::Train)),
            ("annotations/VAL.json", Some(Split::Val)),
            ("annotations/instancesValidation.json", Some(Split::Val)),
            ("annotations/image_info_test-dev2017.json", Some(Split::Test)),
            ("valid/_annotations.coco.json", Some(Split::Val)),
            ("train/val.json", Some(Split::Val)),
            ("annotations/trainval.json", None),
        ] {
            assert_eq!(Split::named_in(path), split, "{path}");
        }
    }

    #[test]
    fn annotation_files_are_named_after_one_split_or_none() {
        for (path, split) in [
            ("annotations/instances_train2017.json", Some(Split::Train)),
            ("annotations/VAL.json", Some(Split::Val)),
            ("annotations/instances_train.JSON", Some(Split::Train)),
            ("annotations/image_info_test-dev2017.json", Some(Split::Test)),
            ("valid/_annotations.coco.json", Some(Split::Val)),
            ("train/val_v2.coco.json", Some(Split::Val)),
            ("annotations/train_annotations.json", Some(Split::Train)),
            ("annotations/instances_train_val.json", None),
            ("annotations/trainval.json", None),
            ("annotations/test_drive.json", None),
            ("annotations/train_fixed.json", None),
            ("test_drive/all.json", None),
            ("annotations/all.json", None),
        ] {
            assert_eq!(Split::of_annotations(path), split, "{path}");
        }
    }

    #[test]
    fn folders_are_named_after_splits_in_the_ways_of_public_datasets() {
        use Split::{Test, Train, Val};
        for (split, names) in [
            (Train, ["train", "Train", "TRAIN", "train2017", "training", "obj_train_data", "VisDrone2019-DET-train"]),
            (Train, ["trainset", "train_set", "trainImages", "images_train", "X_train", "01_train", "obj_Train_data"]),
            (Val, ["val", "valid", "Validation", "dev", "obj_valid_data", "val2017", "VisDrone2019-DET-val"]),
            (Test, ["test", "testing", "Test", "test2017", "test-dev", "VisDrone2019-DET-test-dev", "test-challenge"]),
        ] {
            for name in names {
                assert_eq!((Split::of_name(name), Split::is_vague_name(name)), (Some(split), false), "{name}");
            }
        }
        for name in ["trainers", "test_drive", "train_station_01", "images", "devices", "latest", "invalid", "", "0001"]
        {
            assert_eq!((Split::of_name(name), Split::is_vague_name(name)), (None, false), "{name}");
        }
        for name in ["trainval", "eval", "train_val", "fold0", "minival2014", "train-test", "Entrenamiento", "训练集"]
        {
            assert_eq!((Split::of_name(name), Split::is_vague_name(name)), (None, true), "{name}");
        }
        assert!(Split::is_plain_name("train2017") && !Split::is_plain_name("obj_train_data"));
    }
}
