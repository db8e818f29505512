//! Datasets with COCO annotations: which frames they divide into splits, and what their copies say.

use crate::place::{Place, expect};
use serde_json::Value;
use std::fs;

const RUN: &str = "--config fog.yaml coco";

/// As no program would print it: key order, spacing, numbers and escapes of its own.
const INSTANCES: &str = r#"{"info": {"year": 2017, "z": 1.50, "a": 1E2},
 "licenses": [ {"id":1} ],
 "images": [
  {"license": 4, "file_name": "000001.png", "coco_url": "http:\/\/x\/000001.png", "height": 60, "width": 80, "id": 9007199254740993},
  {"id": 7, "file_name": "caf\u00e9.jpg", "height": 47,   "width": 61},
  {"id": 8, "file_name": "gone.jpg", "height": 1, "width": 1}
 ],
 "annotations": [
  {"bbox": [1.0, 2.50, 3e1, 4], "image_id": 7, "id": 1, "iscrowd": 0, "category_id": 18},
  {"image_id": 8, "id": 2, "category_id": 1},
  {"image_id": 9007199254740993, "id": 3, "segmentation": [[510.66,423.01,511.72]], "area": 702.1057499999998},
  {"image_id": 7.0, "id": 4}
 ],
 "categories": [{"supercategory": "person","id": 1,"name": "person"}]
}
"#;

/// COCO's own layout: no label, no data.yaml.
fn coco() -> Place {
    let place = Place::new();
    place.image("coco/train2017/000001.png", 1, 80, 60);
    place.image("coco/train2017/café.jpg", 2, 61, 47);
    place.image("coco/val2017/000001.png", 3, 40, 40);
    place.text("coco/annotations/instances_train2017.json", INSTANCES);
    let val = r#"{"images": [{"id": 5, "file_name": "000001.png"}], "annotations": [{"id": 1, "image_id": 5}]}"#;
    place.text("coco/annotations/instances_val2017.json", val);
    place
}

fn copy(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).unwrap()
}

/// The file names, ids of images, and ids of annotations of a copy.
fn content(text: &str) -> (Vec<String>, Vec<String>, Vec<u64>) {
    let value: Value = serde_json::from_str(text).unwrap();
    let list = |key: &str| value[key].as_array().unwrap().clone();
    (
        list("images").iter().map(|image| image["file_name"].as_str().unwrap().to_string()).collect(),
        list("images").iter().map(|image| image["id"].to_string()).collect(),
        list("annotations").iter().map(|annotation| annotation["id"].as_u64().unwrap()).collect(),
    )
}

fn outputs(place: &Place, output: &str) -> Vec<String> {
    let folder = place.path(output);
    let files = place.files(output).into_keys();
    let names = files.map(|path| path.strip_prefix(&folder).unwrap().display().to_string().replace('\\', "/"));
    names.filter(|name| name.contains("__")).collect()
}

#[test]
fn a_plain_coco_dataset_comes_out_as_one() {
    let place = coco();
    let before = place.files("coco");
    let output = place.augment(&format!("{RUN} --json"));
    expect(&output, 0, &["2 frames"]);
    assert_eq!(place.files("coco"), before);
    let expected =
        ["annotations/instances_train2017__fog-1.json", "train2017/000001__fog-1.png", "train2017/café__fog-1.jpg"];
    assert_eq!(outputs(&place, "coco-fog"), expected);
    assert!(!place.path("coco-fog/data.yaml").exists(), "there is no label to train on");
    let gone = "  {\"id\": 8, \"file_name\": \"gone.jpg\", \"height\": 1, \"width\": 1}\n";
    let other = "  {\"image_id\": 8, \"id\": 2, \"category_id\": 1},\n";
    let expected = INSTANCES
        .replace("\"file_name\": \"000001.png\"", "\"file_name\": \"000001__fog-1.png\"")
        .replace("caf\\u00e9.jpg", "café__fog-1.jpg")
        .replace(&format!(",\n{gone}"), "\n")
        .replace(other, "");
    assert_eq!(copy(&place, "coco-fog/annotations/instances_train2017__fog-1.json"), expected);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["annotations"][0].as_str().unwrap().ends_with("instances_train2017__fog-1.json"));
    assert_eq!(summary["annotations_left"], Value::Array(Vec::new()));
}

#[test]
fn a_copy_speaks_of_what_is_done_and_grows_with_it() {
    let place = coco();
    let name = "coco-fog/annotations/instances_train2017__fog-1.json";
    expect(&place.augment(&format!("{RUN} --limit 1")), 0, &[]);
    let (names, ids, annotations) = content(&copy(&place, name));
    assert_eq!((names, ids), (vec!["000001__fog-1.png".to_string()], vec!["9007199254740993".to_string()]));
    assert_eq!(annotations, [3]);
    expect(&place.augment(RUN), 0, &["1 done before"]);
    assert_eq!(content(&copy(&place, name)).2, [1, 3, 4]);
    let whole = place.files("coco-fog");
    expect(&place.augment(RUN), 0, &["nothing to do"]);
    assert_eq!(place.files("coco-fog"), whole);

    place.text("coco/train2017/000001.png", "no picture any more");
    expect(&place.augment(RUN), 3, &["1 FAILED"]);
    assert_eq!(content(&copy(&place, name)).2, [1, 4]);
    place.text("coco/train2017/café.jpg", "nor this");
    expect(&place.augment(RUN), 3, &["1 FAILED"]);
    assert!(!place.path(name).exists(), "nothing is there to be annotated");
}

#[test]
fn shards_and_variants_have_the_copies_that_one_run_makes() {
    let place = coco();
    let run = format!("{RUN} --set variants=2");
    expect(&place.augment(&format!("{run} --output whole")), 0, &["4 frames"]);
    for shard in ["2/3", "3/3", "1/3"] {
        expect(&place.augment(&format!("{run} --output parts --shard {shard}")), 0, &[]);
    }
    for variant in [1, 2] {
        let name = format!("annotations/instances_train2017__fog-{variant}.json");
        let text = copy(&place, &format!("whole/{name}"));
        assert_eq!(copy(&place, &format!("parts/{name}")), text);
        let (names, _, annotations) = content(&text);
        assert_eq!(names, [format!("000001__fog-{variant}.png"), format!("café__fog-{variant}.jpg")]);
        assert_eq!(annotations, [1, 3, 4], "ids are as they were, in a file of their own");
    }
}

#[test]
fn each_split_has_its_own_images_although_they_are_called_the_same() {
    let place = coco();
    expect(&place.augment(&format!("{RUN} --set splits=[val]")), 0, &["1 frames"]);
    let expected = ["annotations/instances_val2017__fog-1.json", "val2017/000001__fog-1.png"];
    assert_eq!(outputs(&place, "coco-fog"), expected);
}

#[test]
fn captions_keypoints_and_panoptic_segments_go_along() {
    let place = coco();
    let captions =
        r#"{"images":[{"file_name":"000001.png","id":1}],"annotations":[{"image_id":1,"caption":"a \"b\""}]}"#;
    place.text("coco/annotations/captions_train2017.json", captions);
    // Annotations first, and with names of files of their own.
    let panoptic = r#"{"annotations":[{"image_id":1,"file_name":"000001.png","segments_info":[{"id":3}]}],"images":[{"file_name":"000001.png","id":1}]}"#;
    place.text("coco/annotations/panoptic_train2017.json", panoptic);
    place.image("coco/annotations/panoptic_train2017/000001.png", 9, 80, 60);
    expect(&place.augment(RUN), 0, &["2 frames"]);
    let made = |name: &str| copy(&place, &format!("coco-fog/annotations/{name}_train2017__fog-1.json"));
    assert_eq!(made("captions"), captions.replace("000001.png", "000001__fog-1.png"));
    let images = r#""images":[{"file_name":"000001.png""#;
    assert_eq!(made("panoptic"), panoptic.replace(images, &images.replace("1.png", "1__fog-1.png")));
}

#[test]
fn json_that_cannot_be_read_stops_nothing_and_is_named() {
    let place = coco();
    place.text("coco/annotations/captions_train2017.json", &INSTANCES[..200]);
    place.text("coco/annotations/person_keypoints_train2017.json", b"\xff\xfe{");
    place.text("coco/annotations/stuff_train2017.json", INSTANCES.replace(".png", ".jpg").replace(".jpg", ".bmp"));
    // Other people's JSON is nobody's fault.
    place.text("coco/annotations/labels.json", r#"{"names": ["a"]}"#);
    place.text("coco/annotations/list.json", "[1, 2]");
    place.text("coco/annotations/other.json", r#"{"images": 3, "annotations": {}}"#);
    let output = place.augment(RUN);
    let said =
        ["captions_train2017.json: it is no JSON", "person_keypoints_train2017.json", "stuff_train2017.json: no"];
    expect(&output, 0, &said);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error.matches("annotations were not copied").count(), 3, "{error}");
    assert!(place.path("coco-fog/annotations/instances_train2017__fog-1.json").is_file());
    assert_eq!(fs::read_dir(place.path("coco-fog/annotations")).unwrap().count(), 1);
}

#[test]
fn yolo_labels_and_coco_annotations_may_be_side_by_side() {
    let place = coco();
    for split in ["train2017", "val2017"] {
        fs::create_dir_all(place.path("coco/images")).unwrap();
        fs::rename(place.path("coco").join(split), place.path("coco/images").join(split)).unwrap();
    }
    place.text("coco/labels/train2017/000001.txt", "0 .5 .5 .1 .1\n");
    // As some tools name images from the dataset's folder.
    let text = INSTANCES.replace("\"file_name\": \"", "\"file_name\": \"images/train2017/");
    place.text("coco/annotations/instances_train2017.json", text);
    expect(&place.augment(RUN), 0, &["2 frames"]);
    let (names, ..) = content(&copy(&place, "coco-fog/annotations/instances_train2017__fog-1.json"));
    assert_eq!(names, ["images/train2017/000001__fog-1.png", "images/train2017/café__fog-1.jpg"]);
    assert!(place.path("coco-fog/labels/train2017/000001__fog-1.txt").is_file());
    assert!(copy(&place, "coco-fog/data.yaml").contains(r#"train: ["../coco/images/train2017", "images/train2017"]"#));
}

#[test]
fn a_roboflow_export_has_its_json_beside_the_images() {
    let place = Place::new();
    for split in ["train", "valid"] {
        place.image(&format!("coco/{split}/a.png"), 1, 80, 60);
        let json = r#"{"images":[{"id":0,"file_name":"a.png"}],"annotations":[{"id":0,"image_id":0}]}"#;
        place.text(&format!("coco/{split}/_annotations.coco.json"), json);
    }
    expect(&place.augment(&format!("{RUN} --set output.format=jpg")), 0, &["1 frames"]);
    assert_eq!(outputs(&place, "coco-fog"), ["train/_annotations.coco__fog-1.json", "train/a__fog-1.jpg"]);
    assert_eq!(content(&copy(&place, "coco-fog/train/_annotations.coco__fog-1.json")).0, ["a__fog-1.jpg"]);
}

#[test]
fn annotations_divide_images_that_lie_in_one_folder() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        place.image(&format!("coco/images/{name}.png"), 1, 50, 50);
    }
    place.image("coco/annotations/masks/a.png", 1, 50, 50);
    let json = |name: &str| format!(r#"{{"images":[{{"id":1,"file_name":"{name}.png"}}],"annotations":[]}}"#);
    place.text("coco/annotations/train.json", json("a"));
    place.text("coco/annotations/val.json", json("b"));
    expect(&place.augment(RUN), 0, &["1 frames"]);
    assert_eq!(outputs(&place, "coco-fog"), ["annotations/train__fog-1.json", "images/a__fog-1.png"]);
    // Where one cannot be read there is no telling, and images of val must not become train.
    place.text("coco/annotations/train.json", "{");
    let asked = ["which images are for training?", "annotations/train.json", "annotations/val.json"];
    expect(&place.augment(&format!("{RUN} --output all")), 1, &asked);
}

#[test]
fn several_conditions_may_share_an_output() {
    let place = coco();
    for condition in ["fog", "night"] {
        expect(&place.augment(&format!("{RUN} --set condition={condition} --output out")), 0, &["2 frames"]);
        let name = format!("out/annotations/instances_train2017__{condition}-1.json");
        assert_eq!(content(&copy(&place, &name)).0[0], format!("000001__{condition}-1.png"));
    }
    assert_eq!(fs::read_dir(place.path("out/annotations")).unwrap().count(), 2);
    // The same for YOLO: one data.yaml, that trains on all of them.
    for condition in ["fog", "night"] {
        let run = format!("--config fog.yaml data --set condition={condition} --output both");
        expect(&place.augment(&run), 0, &["2 frames"]);
    }
    assert!(copy(&place, "both/data.yaml").contains(r#"train: ["../data/images/train", "images/train"]"#));
    assert_eq!(fs::read_dir(place.path("both/images/train")).unwrap().count(), 4);
}

#[test]
fn a_preview_copies_no_annotations() {
    let place = coco();
    expect(&place.augment(&format!("preview {RUN}")), 0, &["preview.html"]);
    assert!(!place.path("coco-fog-preview/annotations").exists());
}
