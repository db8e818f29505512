//! Datasets as other programs export them: what becomes of their splits, names and labels, and what is asked.

use crate::place::{Place, expect};
use serde_json::Value;
use std::fs;

const LABEL: &str = "1 0.5 0.5 0.25 0.25\n";

/// A dataset `set` with these pictures, each with a label at the place that follows it.
fn place(images: &[(&str, &str)]) -> Place {
    let place = Place::new();
    for (seed, (image, label)) in (1..).zip(images) {
        place.image(&format!("set/{image}"), seed, 40, 30);
        if !label.is_empty() {
            place.text(&format!("set/{label}"), LABEL);
        }
    }
    place
}

fn data_yaml(place: &Place, output: &str) -> String {
    fs::read_to_string(place.path(output).join("data.yaml")).unwrap()
}

/// Where the pictures of a run are below its output.
fn outputs(place: &Place, output: &str) -> Vec<String> {
    let mut outputs: Vec<String> =
        place.rows(output).iter().map(|row| row["output"].as_str().unwrap().to_string()).collect();
    outputs.sort();
    outputs
}

const RUN: &str = "--config fog.yaml set";

#[test]
fn an_export_of_cvat_comes_out_with_its_splits_and_names() {
    let place =
        place(&[("obj_train_data/a.png", "obj_train_data/a.txt"), ("obj_valid_data/b.png", "obj_valid_data/b.txt")]);
    place.text("set/obj.data", "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n");
    place.text("set/obj.names", "car\nbus\n");
    place.text("set/train.txt", "data/obj_train_data/a.png\n");
    place.text("set/valid.txt", "data/obj_valid_data/b.png\n");
    expect(&place.augment(RUN), 0, &["1 frame"]);
    assert_eq!(outputs(&place, "set-fog"), ["obj_train_data/a__fog-1.png"]);
    let text = data_yaml(&place, "set-fog");
    assert!(text.contains(r#"names: {0: "car", 1: "bus"}"#) && text.contains(r#"val: ["original-val.txt"]"#), "{text}");
    let val = fs::read_to_string(place.path("set-fog/original-val.txt")).unwrap();
    assert_eq!(val, format!("{}\n", place.path("set/obj_valid_data/b.png").display()));
}

#[test]
fn roboflows_export_for_darknet_comes_out_with_its_splits_and_names() {
    let place = place(&[("train/a.png", "train/a.txt"), ("valid/b.png", "valid/b.txt")]);
    place.text("set/train/_darknet.labels", "car\nbus\n");
    place.text("set/valid/_darknet.labels", "car\nbus\n");
    let output = place.augment(&format!("{RUN} --json"));
    expect(&output, 0, &["labels: 1 frame with one, 0 without"]);
    assert_eq!(outputs(&place, "set-fog"), ["train/a__fog-1.png"]);
    let text = data_yaml(&place, "set-fog");
    let expected = "train: [\"../set/train\", \"train\"]\nval: [\"../set/valid\"]\nnames: {0: \"car\", 1: \"bus\"}\n";
    assert!(text.ends_with(expected), "{text}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["labelled"], &summary["background"]), (&1.into(), &0.into()));
    assert_eq!((&summary["unused_labels"], &summary["warnings"]), (&0.into(), &Value::Array(Vec::new())));
}

#[test]
fn a_dataset_of_an_unknown_kind_ends_in_a_question() {
    let place = place(&[("pics/a.png", ""), ("pics/b.png", "")]);
    place.text("set/split/holdout.csv", "b\n");
    expect(
        &place.augment(RUN),
        1,
        &["which images are for training?", "2 images in pics", "split/holdout.csv", "data.yaml"],
    );
    assert!(!place.path("set-fog").exists());
    fs::remove_file(place.path("set/split/holdout.csv")).unwrap();
    expect(&place.augment(RUN), 0, &["2 frames", "no label was found for 2 images of train"]);
}

#[test]
fn a_val_that_is_not_there_ends_the_run_and_a_missing_key_is_told_at_the_end() {
    let place = place(&[("images/train/a.png", "labels/train/a.txt"), ("images/val/b.png", "labels/val/b.txt")]);
    place.text("set/data.yaml", "train: images/train\nval: images/vall\nnames: [car, bus]\n");
    expect(&place.augment(RUN), 1, &["data.yaml: line 2: `val: images/vall`", "did you mean `val`?"]);
    assert!(!place.path("set-fog").exists());
    place.text("set/data.yaml", "train: images/train\nnames: [car, bus]\n");
    let output = place.augment(&format!("{RUN} --json --quiet"));
    expect(&output, 0, &["warning: the dataset has no `val`"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let warnings = summary["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|text| text.as_str().unwrap().contains("no `val`")), "{summary}");
    place.text("set/data.yaml", "train: images/train\nval: images/val\nnames: [car, bus]\n");
    let output = place.augment(&format!("{RUN} --json"));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["warnings"], Value::Array(Vec::new()));
}

#[test]
fn a_path_and_lines_relative_to_the_working_folder_are_read_as_ultralytics_does() {
    let place = place(&[("images/train/a.png", "labels/train/a.txt"), ("images/val/b.png", "labels/val/b.txt")]);
    // The program is started in the folder above `set`; the file lies elsewhere.
    let data = "path: set\ntrain: images/train\nval: images/val\nnames: [car, bus]\n";
    place.text("more/conf/set.yaml", data);
    expect(&place.augment("--config fog.yaml more/conf/set.yaml --output one"), 0, &["1 frame"]);
    assert_eq!(outputs(&place, "one"), ["images/train/a__fog-1.png"]);
    place.text("more/conf/list.yaml", "train: train.txt\nval: val.txt\nnames: [car, bus]\n");
    place.text("more/conf/train.txt", "set/images/train/a.png\n");
    place.text("more/conf/val.txt", "set\\images\\val\\b.png\n");
    expect(&place.augment("--config fog.yaml more/conf/list.yaml --output two"), 0, &["1 frame"]);
    let line = |file: &str| fs::read_to_string(place.path("two").join(file)).unwrap();
    assert_eq!(line("original-train.txt"), format!("{}\n", place.path("set/images/train/a.png").display()));
    assert_eq!(line("original-val.txt"), format!("{}\n", place.path("set/images/val/b.png").display()));
}

#[test]
fn labels_that_loaders_would_not_find_are_refused_or_told() {
    let place = Place::new();
    place.image("images/flat/0.png", 1, 40, 30);
    place.text("images/flat/0.txt", LABEL);
    expect(
        &place.augment("--config fog.yaml images/flat --output out"),
        2,
        &["folder called `images`", "labels/flat/0.txt"],
    );
    place.image("beside/images/train/a.png", 1, 40, 30);
    place.text("beside/images/train/a.txt", LABEL);
    expect(
        &place.augment("--config fog.yaml beside --output out"),
        2,
        &["images/train/a.txt lies beside its image", "labels/train/a.txt", "move the labels there"],
    );
    place.image("set/images/train/a.png", 1, 40, 30);
    place.text("set/label/train/a.txt", LABEL);
    let output = place.augment(&format!("{RUN} --json"));
    expect(
        &output,
        0,
        &["no label was found for 1 image of train", "1 in label/train/", "0 frames with one, 1 without"],
    );
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["background"], &summary["unused_labels"]), (&1.into(), &1.into()));
    let dry = place.augment(&format!("{RUN} --dry-run --json"));
    let plan: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(plan["warnings"].as_array().unwrap().len(), 2, "{plan}");
}

#[test]
fn what_training_will_lack_is_told() {
    let place = place(&[("images/train/a.png", "labels/train/a.txt"), ("images/val/b.png", "")]);
    let output = place.augment(&format!("{RUN} --output out --set splits=[val]"));
    let expected =
        "no label was found for 1 image of val: all are background; the label of images/val/b.png is expected";
    expect(&output, 0, &[expected, "1 new image of val or test: data.yaml has no entry for them"]);
    expect(
        &place.augment(&format!("{RUN} --output out2 --set stylize.regions=[sky,road]")),
        0,
        &[
            "no frame has a mask `sky`, such as",
            "masks/sky/train/a.png; without it, that region is a part of the rest",
            "mask `road`",
        ],
    );
    place.image("bare/a.png", 1, 40, 30);
    expect(&place.augment("--config fog.yaml bare --output out3"), 0, &["no data.yaml was written"]);
}

#[test]
fn a_description_of_any_name_and_one_folder_deeper_is_found() {
    let place = place(&[
        ("proj.v1i.yolov8/train/images/a.png", "proj.v1i.yolov8/train/labels/a.txt"),
        ("proj.v1i.yolov8/valid/images/b.png", "proj.v1i.yolov8/valid/labels/b.txt"),
    ]);
    let data = "train: ../train/images\nval: ../valid/images\nnames: {0: '07', 1: 08, 2: 1e3}\nkpt_shape: [17, 3]\n";
    place.text("set/proj.v1i.yolov8/export.yaml", data);
    expect(&place.augment(&format!("{RUN} --output out")), 0, &["the dataset is taken from"]);
    assert_eq!(outputs(&place, "out"), ["train/images/a__fog-1.png"]);
    let text = data_yaml(&place, "out");
    assert!(text.contains("names: {0: \"07\", 1: \"08\", 2: \"1e3\"}\nkpt_shape: [17, 3]\n"), "{text}");
    assert!(text.contains("val: [\"../set/proj.v1i.yolov8/valid/images\"]"), "{text}");
}
