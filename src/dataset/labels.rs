//! Label files as boxes with classes, for those parts of the program that must know where the objects are.
//!
//! Labels are copied byte for byte whatever they contain, so no content is an error here: a line that cannot be
//! understood is counted and left out.

use crate::nst::{Area, ObjectKind};
use crate::yaml::{self, Yaml};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::{fs, io};

/// Numbers from here on are taken for something other than class ids: no detector has as many classes.
const MOST_CLASSES: f64 = 10_000.0;

/// The boxes of one label file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// One per line with a box in the picture, in the file's order.
    pub boxes: Vec<Labelled>,
    /// How many lines are no YOLO labels, so that loaders refuse the file, whether a box could be read or not.
    pub malformed: usize,
    /// The number of the first of them, from 1.
    pub first_malformed: Option<usize>,
}

/// One labelled object.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The first word of its line, mostly a number; see [`Schema::name`].
    pub class: String,
    /// The upright box around it, as shares of the picture.
    pub area: Area,
    /// The corners of a polygon or an oriented box, as shares of the picture; none for an upright box.
    pub outline: Vec<[f64; 2]>,
}

impl Labels {
    /// Reads a label file. Bytes that are not UTF-8 make at most their own line malformed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path, keypoints: Option<usize>) -> io::Result<Self> {
        Ok(Self::from_bytes(&fs::read(path)?, keypoints))
    }

    /// [`read`](Self::read) for the content of a label file.
    pub fn from_bytes(bytes: &[u8], keypoints: Option<usize>) -> Self {
        Self::parse(&String::from_utf8_lossy(bytes), keypoints)
    }

    /// Understands the formats of Ultralytics. The number of words on a line, including the class, tells which one it
    /// is: 5 are a box, an odd number from 7 on is a polygon (9 is an oriented box). Boxes of lines that Ultralytics
    /// refuses count as objects, too, if they can be read: those with a sixth word (a confidence or a track) or with the
    /// name of a class.
    ///
    /// `keypoints` is how many numbers a pose's keypoints take, the product of `kpt_shape` in data.yaml. A line of 5
    /// words and that many more is a box too. Without it, such a line would be taken for a polygon.
    pub fn parse(text: &str, keypoints: Option<usize>) -> Self {
        let mut labels = Self::default();
        let mut numbers = Vec::new();
        // Editors on Windows may write a byte order mark first, which would make a blank first line malformed.
        let (content, has_mark) = text.strip_prefix('\u{feff}').map_or((text, false), |content| (content, true));
        for (n, line) in content.lines().enumerate() {
            let mut tokens = line.split_whitespace();
            let Some(class) = tokens.next() else { continue };
            let known = read_numbers(tokens, &mut numbers).then(|| area(&numbers, keypoints)).flatten();
            // Ultralytics takes the mark for a part of the first class.
            if !is_loadable(class, &numbers, keypoints) || has_mark && n == 0 {
                labels.malformed += 1;
                labels.first_malformed.get_or_insert(n + 1);
            }
            if let Some((area, outline)) = known {
                labels.boxes.push(Labelled { class: class.to_string(), area, outline });
            }
        }
        labels
    }
}

/// What a data.yaml says about the labels of its dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// How many numbers the keypoints of a pose take on a line, the product of `kpt_shape`.
    pub keypoints: Option<usize>,
    /// The names of classes by id.
    names: HashMap<i128, String>,
    /// How many classes there are, where that is all that is known of them.
    #[serde(default)]
    count: Option<i128>,
}

impl Schema {
    /// Takes `names` as a list or as a mapping from ids. Anything else names no class.
    pub fn of(data: &Yaml) -> Self {
        let named = |id, name: &Yaml| (id, name.text().map_or_else(|| name.to_string(), str::to_string));
        let names = match data.get("names") {
            Some(Yaml::List(names)) => (0..).zip(names).map(|(id, name)| named(id, name)).collect(),
            Some(Yaml::Map(pairs)) => pairs.iter().filter_map(|(id, name)| Some(named(class_id(id)?, name))).collect(),
            _ => HashMap::new(),
        };
        let count = match data.get("nc") {
            Some(Yaml::Int(count)) if names.is_empty() => Some(*count),
            _ => None,
        };
        Self { keypoints: keypoints(data), names, count }
    }

    /// The same with these names of classes.
    pub fn with_names(self, names: &BTreeMap<i64, String>) -> Self {
        let names = names.iter().map(|(&id, name)| (id.into(), name.clone())).collect();
        Self { names, count: None, ..self }
    }

    /// The schema of the data.yaml at `path`; empty if that cannot be read.
    pub fn read(path: &Path) -> Self {
        let data = fs::read_to_string(path).ok().and_then(|text| yaml::parse(&text).ok());
        data.map_or_else(Self::default, |data| Self::of(&data))
    }

    /// The kind of a class, which is given as labels write it, by its name. Upper case, plurals, spaces and dashes do
    /// not matter.
    pub fn kind(&self, class: &str) -> ObjectKind {
        let name: String =
            self.name(class).chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
        let name = name.strip_suffix('s').filter(|name| *name != "bu").unwrap_or(&name);
        match name {
            "car" | "van" | "suv" | "taxi" | "cab" | "auto" | "automobile" | "sedan" | "pickup" | "minivan"
            | "jeep" | "vehicle" | "motorvehicle" | "smallvehicle" | "lightvehicle" | "policecar" | "passengercar" => {
                ObjectKind::Car
            }
            "bus" | "buse" | "truck" | "lorry" | "lorrie" | "trailer" | "train" | "tram" | "caravan" | "ambulance"
            | "firetruck" | "minibu" | "minibus" | "coach" | "largevehicle" | "heavyvehicle" | "bigvehicle"
            | "bigbu" | "bigtruck" | "smalltruck" | "smallbu" | "dumptruck" | "tractor" => ObjectKind::LargeVehicle,
            "motorbike" | "motorcycle" | "moto" | "motor" | "bike" | "bicycle" | "cycle" | "scooter" | "moped"
            | "tricycle" | "autorickshaw" | "rickshaw" | "threewheeler" | "twowheeler" | "bicyclewithrider"
            | "awningtricycle" => ObjectKind::TwoWheeler,
            "person" | "people" | "pedestrian" | "human" | "rider" | "cyclist" | "bicyclist" | "motorcyclist"
            | "man" | "men" | "woman" | "women" | "child" | "children" | "adult" | "worker" | "personsitting"
            | "sittingperson" => ObjectKind::Person,
            _ => ObjectKind::Other,
        }
    }

    /// What labels mean under this schema, in one text: the numbers of keypoints and classes, and the kind of each named
    /// class. Another name of the same kind changes nothing.
    pub fn meaning(&self) -> String {
        let mut ids: Vec<i128> = self.names.keys().copied().collect();
        ids.sort_unstable();
        let kinds: Vec<String> = ids.iter().map(|id| format!("{id} {:?}", self.kind(&id.to_string()))).collect();
        format!("{:?} {:?} {}", self.keypoints, self.count, kinds.join(", "))
    }

    /// Whether a class, which is given as labels write it, is one of the dataset's; so is each where nothing is known.
    pub fn has(&self, class: &str) -> bool {
        if self.names.is_empty() && self.count.is_none() {
            return true;
        }
        let id = class_number(class);
        id.is_some_and(|id| self.names.contains_key(&id) || self.count.is_some_and(|count| (0..count).contains(&id)))
    }

    /// All classes with names, each with its id, in no order.
    pub fn names(&self) -> impl Iterator<Item = (i128, &str)> {
        self.names.iter().map(|(&id, name)| (id, &**name))
    }

    /// The name of a class, which is given as labels write it; without a name, what labels write.
    pub fn name<'a>(&'a self, class: &'a str) -> &'a str {
        class_number(class).and_then(|id| self.names.get(&id)).map_or(class, String::as_str)
    }
}

/// The id that labels write: Ultralytics reads it as a number, so that `0` and `0.0` are the same class.
pub fn class_number(class: &str) -> Option<i128> {
    class.parse::<f64>().ok().filter(|id| id.fract() == 0.0).map(|id| id as i128)
}

fn class_id(key: &Yaml) -> Option<i128> {
    match key {
        Yaml::Int(id) => Some(*id),
        key => key.text()?.parse().ok(),
    }
}

fn keypoints(data: &Yaml) -> Option<usize> {
    let Some(Yaml::List(shape)) = data.get("kpt_shape") else { return None };
    let count = |side: &Yaml| match side {
        Yaml::Int(side) => usize::try_from(*side).ok(),
        _ => None,
    };
    shape.iter().map(count).try_fold(1_usize, |product, side| product.checked_mul(side?))
}

/// One more than the highest class id in a label file; 0 if it has none. Only the first word of each line counts.
pub fn class_count(content: &[u8]) -> usize {
    let text = String::from_utf8_lossy(content);
    let ids = text.lines().filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    // Any text file may lie where a label is looked for.
    let highest = ids.filter(|id| (0.0..MOST_CLASSES).contains(id)).fold(-1.0, f64::max);
    (highest + 1.0) as usize
}

/// Reads the words after the class, all of which must be finite numbers; otherwise leaves none.
fn read_numbers<'a>(mut tokens: impl Iterator<Item = &'a str>, numbers: &mut Vec<f64>) -> bool {
    numbers.clear();
    let read = |token: &str| token.parse().ok().filter(|number: &f64| number.is_finite());
    let are_numbers = tokens.all(|token| read(token).map(|number| numbers.push(number)).is_some());
    if !are_numbers {
        numbers.clear();
    }
    are_numbers
}

/// Whether the numbers after the class are a box with the numbers of keypoints.
fn is_pose(numbers: &[f64], keypoints: Option<usize>) -> bool {
    keypoints.is_some_and(|keypoints| numbers.len().checked_sub(4) == Some(keypoints))
}

/// Whether Ultralytics takes the line (`verify_image_label`): a number for a class, the right count of numbers, none of
/// them below 0, and middle, width and height of the box at most 1, up to rounding.
fn is_loadable(class: &str, numbers: &[f64], keypoints: Option<usize>) -> bool {
    let is_right_count = match keypoints {
        Some(_) => is_pose(numbers, keypoints),
        None => numbers.len() == 4 || numbers.len() >= 6 && numbers.len().is_multiple_of(2),
    };
    let sides = match numbers {
        &[x, y, width, height] => [x, y, width, height],
        // Of a pose, Ultralytics limits the keypoints, of which the dimension is not known here.
        _ if keypoints.is_some() => [0.0; 4],
        points => {
            let [left, top, right, bottom] = bounds(points);
            [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
        }
    };
    class_number(class).is_some_and(|id| id >= 0)
        && is_right_count
        && (keypoints.is_none() || numbers.iter().all(|v| *v >= -0.01))
        && sides.iter().all(|v| (-0.01..=1.01).contains(v))
}

/// The box that the numbers after the class describe, and the corners of a polygon; `None` without any in the picture.
fn area(numbers: &[f64], keypoints: Option<usize>) -> Option<(Area, Vec<[f64; 2]>)> {
    match (numbers, numbers.len()) {
        (&[x, y, width, height, ..], count) if is_pose(numbers, keypoints) || count == 4 || count == 5 => {
            // A negative width would pass as a box where the picture's border cuts one side off.
            let area = (width > 0.0 && height > 0.0)
                .then(|| cut(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0))?;
            Some((area?, Vec::new()))
        }
        (points, count) if count >= 6 && count % 2 == 0 => Some((hull(points)?, points.as_chunks::<2>().0.to_vec())),
        _ => None,
    }
}

/// The part in the picture of the upright box around points given as `x y x y ...`.
fn hull(points: &[f64]) -> Option<Area> {
    let [left, top, right, bottom] = bounds(points);
    cut(left, top, right, bottom)
}

/// Left, top, right and bottom of the upright box around points given as `x y x y ...`.
fn bounds(points: &[f64]) -> [f64; 4] {
    let along = |axis: usize| {
        let along = points.iter().skip(axis).step_by(2);
        along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    };
    let ((left, right), (top, bottom)) = (along(0), along(1));
    [left, top, right, bottom]
}

/// The part of a box inside the picture, if there is one.
pub fn cut(left: f64, top: f64, right: f64, bottom: f64) -> Option<Area> {
    let [left, top, right, bottom] = [left, top, right, bottom].map(|v| v.clamp(0.0, 1.0));
    (left < right && top < bottom).then_some(Area { left, top, right, bottom })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_classes_decide_their_kinds_however_they_are_spelt() {
        use ObjectKind::{Car, LargeVehicle, Other, Person, TwoWheeler};
        let names = ["Car", "cars", "Police Car", "BUS", "buses", "motor-cycle", "people", "traffic light", "", "07"];
        let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        let schema = Schema::of(&yaml::parse(&format!("names: [{}]", list.join(", "))).unwrap());
        let kinds: Vec<ObjectKind> = (0..names.len()).map(|id| schema.kind(&id.to_string())).collect();
        let expected = [Car, Car, Car, LargeVehicle, LargeVehicle, TwoWheeler, Person, Other, Other, Other];
        assert_eq!(kinds, expected);
        assert_eq!(Schema::default().kind("0"), Other, "without names");
    }
    use std::time::{Duration, Instant};

    fn parse(text: &str) -> Labels {
        Labels::parse(text, None)
    }

    #[track_caller]
    fn assert_area(area: Area, expected: [f64; 4]) {
        let actual = [area.left, area.top, area.right, area.bottom];
        assert!(actual.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{actual:?} for {expected:?}");
    }

    #[track_caller]
    fn assert_one(text: &str, keypoints: Option<usize>, expected: [f64; 4]) {
        let labels = Labels::parse(text, keypoints);
        assert_eq!((labels.boxes.len(), labels.malformed), (1, 0), "{text:?}");
        assert_area(labels.boxes[0].area, expected);
    }

    #[test]
    fn the_meaning_of_labels_changes_with_kinds_and_counts_alone() {
        let meaning = |text: &str| Schema::of(&yaml::parse(text).unwrap()).meaning();
        let cars = meaning("names: [car, person]");
        assert_eq!(cars, meaning("names: {1: Pedestrians, 0: van}"));
        for other in ["names: [person, car]", "names: [car]", "nc: 2", "names: [car, person]\nkpt_shape: [17, 3]", "{}"]
        {
            assert_ne!(cars, meaning(other), "{other}");
        }
    }

    #[test]
    fn every_format_of_a_line_becomes_its_box() {
        assert_one("0 0.5 0.5 0.2 0.4", None, [0.4, 0.3, 0.6, 0.7]);
        assert_one("0 0.1 0.2 0.5 0.9 0.3 0.1", None, [0.1, 0.1, 0.5, 0.9]);
        assert_one("7 0.5 0.2 0.8 0.5 0.5 0.8 0.2 0.5", None, [0.2, 0.2, 0.8, 0.8]);
    }

    #[test]
    fn boxes_of_lines_that_loaders_refuse_are_objects_too() {
        let with_names_and_confidence = ["car 0.5 0.5 0.2 0.4", "0 0.5 0.5 0.2 0.4 0.93", "-1 0.5 0.5 0.2 0.4"];
        for line in with_names_and_confidence {
            let labels = parse(&format!("0 0.5 0.5 0.2 0.2\n\n{line}\n{line}"));
            assert_eq!((labels.boxes.len(), labels.malformed, labels.first_malformed), (3, 2, Some(3)), "{line}");
            assert_area(labels.boxes[1].area, [0.4, 0.3, 0.6, 0.7]);
        }
        for outside in ["0 0.5 0.5 1e300 1e300", "0 -0.5 0.2 0.9 1.5 0.3 0.1"] {
            let labels = parse(outside);
            assert_eq!((labels.boxes.len(), labels.malformed), (1, 1), "{outside}");
        }
    }

    #[test]
    fn a_box_without_an_area_is_no_object_and_no_mistake() {
        for line in ["0 0.5 0.5 0 0.2", "0 0.5 0.5 0 0", "0 0.1 0.5 0.2 0.5 0.3 0.5"] {
            let labels = parse(line);
            assert_eq!((labels.boxes.len(), labels.malformed), (0, 0), "{line}");
        }
    }

    #[test]
    fn every_box_has_the_class_of_its_line() {
        let labels = parse("2 .5 .5 .2 .2\nbad\n\ncar .1 .1 .2 .2 .3 .1\n0.0 .5 .5 .1 .1 .9\n");
        assert_eq!(labels.boxes.iter().map(|one| one.class.as_str()).collect::<Vec<_>>(), ["2", "car", "0.0"]);
    }

    #[test]
    fn classes_have_the_names_that_the_data_yaml_gives_them() {
        let schema = |text: &str| Schema::of(&yaml::parse(text).unwrap());
        let names = |text: &str| ["0", "1.0", "2", "car", "0.5"].map(|class| schema(text).name(class).to_string());
        assert_eq!(names("names: [car, 'no']"), ["car", "no", "2", "car", "0.5"]);
        assert_eq!(names("names: {1: bus, '2': 7}"), ["0", "bus", "7", "car", "0.5"]);
        for nothing in ["nc: 3", "names: car", "names: ~", "[]"] {
            assert_eq!(names(nothing), ["0", "1.0", "2", "car", "0.5"], "{nothing}");
        }
        let keypoints = |text: &str| schema(text).keypoints;
        assert_eq!(
            (keypoints("kpt_shape: [17, 3]"), keypoints("kpt_shape: [17, a]"), keypoints("nc: 1")),
            (Some(51), None, None)
        );
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Schema::read(&folder.path().join("data.yaml")), Schema::default());
        fs::write(folder.path().join("data.yaml"), "names: [").unwrap();
        assert_eq!(Schema::read(&folder.path().join("data.yaml")), Schema::default());
        fs::write(folder.path().join("data.yaml"), "names: [bird]").unwrap();
        assert_eq!(Schema::read(&folder.path().join("data.yaml")).name("0"), "bird");
    }

    #[test]
    fn the_class_count_ignores_first_words_that_are_no_class_ids() {
        assert_eq!(class_count(b"0 .1 .1 .1 .1\n2 x\n\n-7 .1\n12345 .1\ncar .1\nnan\n1.0\n"), 3);
        assert_eq!((class_count(b""), class_count(b"car"), class_count(b"0")), (0, 0, 1));
    }

    #[test]
    fn a_pose_is_a_box_only_where_its_keypoints_are_known() {
        let pose = "0 0.5 0.5 0.2 0.4 0.1 0.1 2 0.9 0.9 1";
        assert_one(pose, Some(6), [0.4, 0.3, 0.6, 0.7]);
        let without_keypoints = Labels::parse("0 0.5 0.5 0.2 0.4", Some(6));
        assert_eq!((without_keypoints.boxes.len(), without_keypoints.malformed), (1, 1));
        // Without `kpt_shape` the same line is read as a polygon of five points, one of them far outside.
        let polygon = parse(pose);
        assert_eq!((polygon.boxes.len(), polygon.malformed), (1, 1));
        assert_area(polygon.boxes[0].area, [0.1, 0.1, 1.0, 1.0]);
    }

    #[test]
    fn polygons_and_oriented_boxes_keep_their_corners_and_upright_boxes_have_none() {
        let outline = |line: &str| parse(line).boxes.remove(0).outline;
        assert_eq!(outline("0 0.1 0.2 0.4 0.2 0.3 0.5"), [[0.1, 0.2], [0.4, 0.2], [0.3, 0.5]]);
        assert_eq!(outline("0 0.1 0.1 0.5 0.1 0.5 0.3 0.1 0.3").len(), 4);
        assert!(outline("0 0.5 0.5 0.2 0.2").is_empty() && outline("0 0.5 0.5 0.2 0.2 0.9").is_empty());
    }

    #[test]
    fn a_box_is_cut_to_the_picture() {
        assert_one("0 0.05 0.95 0.2 0.2", None, [0.0, 0.85, 0.15, 1.0]);
        assert_one("0 0.5 0.5 1.2 0.6 0.8 0.9", None, [0.5, 0.5, 1.0, 0.9]);
    }

    #[test]
    fn blank_lines_tabs_trailing_space_crlf_and_a_byte_order_mark_do_no_harm() {
        assert_eq!(parse("\u{feff}0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2").malformed, 1, "loaders read the mark, too");
        let labels = parse("\u{feff}\r\n0 0.5\t0.5 0.2 0.2 \r\n  \r\n\t1 0.5 0.5 0.1 0.1\t\r\n\r\n");
        assert_eq!((labels.boxes.len(), labels.malformed), (2, 0));
        assert_eq!(parse(""), Labels::default());
    }

    #[test]
    fn a_malformed_line_is_counted_and_the_others_are_kept() {
        let bad = [
            "0",
            "0 0.5 0.5 0.2",
            "0 0.5 0.5 0.2 x",
            "0 0.5 0.5 0.2 nan",
            "0 0.5 0.5 inf 0.2",
            "0 0.5 0.5 0.2 1e999",
            "0 0.5 0.5 0.2 -0.2",
            "0 1.5 0.5 0.2 0.2",
            "0 320 200 50 40",
            "0 0.1 0.1 0.2 0.2 0.3 0.3 0.4",
        ];
        for line in bad {
            let labels = parse(&format!("\n0 0.5 0.5 0.2 0.2\n{line}\n1 0.5 0.5 0.2 0.2\n{line}"));
            assert_eq!((labels.boxes.len(), labels.malformed), (2, 2), "{line:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_make_only_their_own_line_malformed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, b"0 0.5 0.5 0.2 0.2\n0 0.5 \xff\xfe 0.2 0.2\n1 0.5 0.5 0.2 0.2\n").unwrap();
        let labels = Labels::read(&path, None).unwrap();
        assert_eq!((labels.boxes.len(), labels.malformed), (2, 1));
        assert!(Labels::read(&folder.path().join("b.txt"), None).is_err());
    }

    #[test]
    fn random_text_never_panics_and_gives_boxes_inside_the_picture_only() {
        let mut state = 3_u64;
        let mut below = |count: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % count
        };
        let pieces =
            ["0", " ", " ", " ", "\n", "\r", "\t", ".5", "0.25", "-", "1", "e9", "nan", "inf", "é", "\u{feff}"];
        for _ in 0..20_000 {
            let text = match below(2) {
                0 => (0..below(60)).map(|_| pieces[below(pieces.len())]).collect(),
                _ => {
                    String::from_utf8_lossy(&(0..below(60)).map(|_| below(256) as u8).collect::<Vec<_>>()).into_owned()
                }
            };
            for keypoints in [None, Some(0), Some(2), Some(usize::MAX)] {
                for Labelled { area, .. } in Labels::parse(&text, keypoints).boxes {
                    assert!(0.0 <= area.left && area.left < area.right && area.right <= 1.0, "{text:?}");
                    assert!(0.0 <= area.top && area.top < area.bottom && area.bottom <= 1.0, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn ten_megabytes_are_parsed_in_linear_time() {
        let text = "12 0.512345 0.498765 0.123456 0.234567\n".repeat(10_000_000 / 39);
        let begun = Instant::now();
        assert_eq!(parse(&text).boxes.len(), 10_000_000 / 39);
        // Without optimization it takes half a second; a quadratic search would take hours, and a busy machine does
        // not.
        assert!(begun.elapsed() < Duration::from_secs(600));
    }
}
