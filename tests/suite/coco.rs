//! Datasets with COCO annotations: which frames they divide into splits, and what their copies say.

use crate::place::{Place, expect};
use augment::imageio::decode::decode;
use augment::imageio::encode::{Metadata, encode_image};
use image::metadata::Orientation;
use image::{ImageReader, RgbImage};
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

#[test]
fn boxes_and_categories_serve_where_there_are_no_labels() {
    let place = coco();
    let list = |car: &str, x: u32| {
        format!(
            r#"{{"images": [{{"id": 1, "file_name": "000001.png", "width": 80, "height": 60}}],
            "annotations": [{{"id": 1, "image_id": 1, "category_id": 3, "bbox": [{x}, 15, 20, 30]}}],
            "categories": [{{"id": 3, "name": "{car}"}}]}}"#
        )
    };
    let file = "coco/annotations/instances_train2017.json";
    place.text(file, list("car", 20));
    expect(&place.augment(RUN), 0, &["COCO annotations: 1 frame with objects, 1 without (background)", "first"]);
    let boxes = || {
        let rows = place.rows("coco-fog");
        rows.iter().map(|row| row["boxes"].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    assert_eq!(boxes(), 1);
    // As with a label that says the same.
    let picture = |output: &str| fs::read(place.path(output).join("train2017/000001__fog-1.png")).unwrap();
    place.image("yolo/train2017/000001.png", 1, 80, 60);
    place.text("yolo/train2017/000001.txt", "0 0.375 0.5 0.25 0.5\n");
    place.text("yolo/data.yaml", "train: train2017\nval: train2017\nnames: [car]\n");
    expect(&place.augment("--config fog.yaml yolo"), 0, &["1 frame"]);
    assert!(picture("coco-fog") == picture("yolo-fog"));

    expect(&place.augment(RUN), 0, &["nothing to do"]);
    place.text(file, list("car", 30));
    expect(&place.augment(RUN), 0, &["done again: 1 for changed COCO annotations"]);
    let chosen = |class: &str| place.command(&format!("{RUN} --output {class} --set where.classes=[{class}]"));
    expect(&chosen("car").output().unwrap(), 0, &["1 frame not chosen by `where`"]);
    expect(&chosen("bus").output().unwrap(), 2, &["no class `bus`", "`car` (3)"]);
}

#[test]
fn a_split_with_labels_keeps_its_own_classes() {
    let place = Place::new();
    for split in ["train", "val"] {
        place.image(&format!("mixed/images/{split}/{split}.png"), 5, 80, 60);
    }
    place.text("mixed/labels/train/train.txt", "1 .5 .5 .2 .2\n");
    place.text("mixed/data.yaml", "train: images/train\nval: images/val\nnames: [person, car]\n");
    let image = r#"{"id": 1, "file_name": "val.png", "width": 80, "height": 60}"#;
    let boxes = r#"{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 20, 30]}"#;
    let text = format!(
        r#"{{"images": [{image}], "annotations": [{boxes}], "categories": [{{"id": 1, "name": "bus"}}, {{"id": 2, "name": "car"}}]}}"#
    );
    place.text("mixed/annotations/instances_val.json", text);
    let run = |class: &str, output: &str| {
        let sets = format!("--set splits=[train,val] --set where.classes=[{class}]");
        place.augment(&format!("--config fog.yaml mixed --output {output} {sets}"))
    };
    expect(&run("car", "cars"), 0, &["labels: 1 frame with one; COCO annotations: 1 frame with objects; 0 without"]);
    assert!(place.path("cars/images/train/train__fog-1.png").is_file());
    expect(&run("bus", "buses"), 0, &["1 frame not chosen"]);
    assert!(place.path("buses/images/val/val__fog-1.png").is_file());
}

#[test]
fn entries_of_one_name_that_may_mean_several_images_are_left_out() {
    let place = Place::new();
    for camera in ["one", "two"] {
        place.image(&format!("coco/images/train2017/{camera}/a.png"), 1, 80, 60);
        place.image(&format!("coco/images/train2017/{camera}/{camera}.png"), 1, 80, 60);
    }
    let images =
        r#"{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}, {"id": 3, "file_name": "one.png"}"#;
    let text = format!(r#"{{"images": [{images}], "annotations": [{{"id": 1, "image_id": 1}}]}}"#);
    place.text("coco/annotations/instances_train2017.json", text);
    expect(&place.augment(RUN), 0, &["2 of 3 images, which lead to no image file or to several (first `a.png`)"]);
    let names = content(&copy(&place, "coco-fog/annotations/instances_train2017__fog-1.json")).0;
    assert_eq!(names, ["one__fog-1.png"]);
}

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
    let partial = summary["annotations_partial"][0].as_str().unwrap();
    assert!(partial.contains("1 of 3 images") && partial.contains("`gone.jpg`"), "{partial}");
    assert!(partial.contains("1 of 4 annotations"), "{partial}");
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
    expect(&place.augment(&format!("{RUN} --set splits=[val]")), 0, &["1 frame"]);
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
    // The frames are done, but a run that could not carry over what belongs to them is not.
    expect(&output, 3, &said);
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
    expect(&place.augment(&format!("{RUN} --set output.format=jpg")), 0, &["1 frame"]);
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
    expect(&place.augment(RUN), 0, &["1 frame"]);
    assert_eq!(outputs(&place, "coco-fog"), ["annotations/train__fog-1.json", "images/a__fog-1.png"]);
    // Where one cannot be read there is no telling, and images of val must not become train.
    place.text("coco/annotations/train.json", "{");
    let asked = ["which images are for training?", "annotations/train.json", "annotations/val.json"];
    expect(&place.augment(&format!("{RUN} --output all")), 1, &asked);
}

#[test]
fn the_word_of_a_split_in_a_longer_name_hides_no_annotations() {
    let place = Place::new();
    let json = |name: &str| format!(r#"{{"images":[{{"id":1,"file_name":"{name}.png"}}],"annotations":[]}}"#);
    for name in ["train/a", "val/a", "train/b"] {
        place.image(&format!("coco/images/{name}.png"), 1, 50, 50);
    }
    place.text("coco/annotations/test_drive.json", json("b"));
    place.text("coco/annotations/train_val.json", json("train/a"));
    place.text("coco/annotations/val_fixed.json", json("a"));
    expect(&place.augment(RUN), 0, &["2 frames"]);
    let copy = |name: &str| content(&copy(&place, &format!("coco-fog/annotations/{name}__fog-1.json"))).0;
    assert_eq!(
        (copy("test_drive"), copy("train_val")),
        (vec!["b__fog-1.png".into()], vec!["train/a__fog-1.png".into()])
    );
    let name = |path: &String| path.starts_with("annotations/val_fixed");
    assert!(!outputs(&place, "coco-fog").iter().any(name), "it is about the image of val");
    // Images in one folder are not of test by a name alone.
    for name in ["a", "b"] {
        place.image(&format!("one/images/{name}.png"), 1, 50, 50);
    }
    place.text("one/annotations/test_drive.json", json("a"));
    expect(&place.augment("--config fog.yaml one"), 0, &["2 frames"]);
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

/// Two images below `folder` and a file with their annotations, of other images too.
fn beside(folder: &str, json: &str) -> Place {
    let place = Place::new();
    place.image(&format!("coco/{folder}a.png"), 1, 50, 50);
    place.image(&format!("coco/{folder}b.png"), 1, 50, 50);
    place.text(&format!("coco/{json}"), list(&["a.png", "b.png"]));
    place
}

/// An annotation file with these images, and one annotation for each.
fn list(names: &[&str]) -> String {
    let images = names.iter().enumerate().map(|(id, name)| format!(r#"{{"id":{id},"file_name":{name:?}}}"#));
    let annotations = (0..names.len()).map(|id| format!(r#"{{"id":{id},"image_id":{id},"bbox":[1,2,3,4]}}"#));
    let (images, annotations): (Vec<_>, Vec<_>) = (images.collect(), annotations.collect());
    format!(r#"{{"images":[{}],"annotations":[{}]}}"#, images.join(","), annotations.join(","))
}

#[test]
fn annotation_files_are_found_by_their_content_beside_the_images() {
    for (folder, json) in [
        ("", "result.json"),
        ("images/", "result.json"),
        ("data/", "labels.json"),
        ("images/", "images/labels.json"),
        ("train/", "train.json"),
        ("train/", "train/anything at all.json"),
        ("images/train/", "images/train/coco.JSON"),
        ("images/train/", "images/train.json"),
    ] {
        let place = beside(folder, json);
        // Neither a settings file nor another program's annotations of one image are COCO.
        place.text(&format!("coco/{folder}a.json"), r#"{"images": [{"file_name": "a.png"}], "annotations": []}"#);
        place.text("coco/classes.json", r#"{"images": 2, "annotations": []}"#);
        expect(&place.augment(RUN), 0, &["2 frames"]);
        let name = format!("coco-fog/{}__fog-1.json", json.rsplit_once('.').unwrap().0);
        let (names, _, annotations) = content(&copy(&place, &name));
        assert_eq!((&names[..], &annotations[..]), (&["a__fog-1.png".into(), "b__fog-1.png".into()][..], &[0, 1][..]));
        assert_eq!(outputs(&place, "coco-fog").len(), 3, "{json}");
    }
}

#[test]
fn images_that_a_file_for_all_does_not_name_are_frames_too() {
    let place = beside("images/", "result.json");
    place.image("coco/images/background.png", 1, 50, 50);
    expect(&place.augment(RUN), 0, &["3 frames"]);
    assert_eq!(content(&copy(&place, "coco-fog/result__fog-1.json")).1.len(), 2);
}

#[test]
fn entries_that_are_no_objects_or_lead_nowhere_cost_no_other_entry_and_are_counted() {
    let place = beside("images/", "result.json");
    for (bad, said) in [
        (
            list(&["a.png", "b.png"]).replace(r#""annotations":["#, r#""annotations":[null,"#),
            "1 entries that are not objects",
        ),
        (list(&["a.png", "b.png"]).replace(r#""images":["#, r#""images":[7,null,"#), "2 entries that are not objects"),
        (list(&["a.png", "b.png"]).replace("]}]}", r#"]},{"id":9,"image_id":9}]}"#), "1 of 3 annotations"),
        (
            list(&["a.png", "b.png", "gone.png"]),
            "1 of 3 images, which lead to no image file or to several (first `gone.png`)",
        ),
        (list(&["a.png", "b.png"]).replace(r#""images":["#, r#""images":[{"id":5},"#), "(first `no `file_name``)"),
    ] {
        place.text("coco/result.json", &bad);
        expect(&place.augment(RUN), 0, &["left out of the copied annotations", said]);
        let (names, _, annotations) = content(&copy(&place, "coco-fog/result__fog-1.json"));
        assert_eq!((names.len(), annotations), (2, vec![0, 1]), "{bad}");
    }
    place.text("coco/result.json", list(&["a.png", "b.png"]));
    let output = place.augment(RUN);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("left out"));
}

#[test]
fn file_names_of_other_places_lead_to_their_images() {
    for other in [
        "images\\b.png",
        "images/b.png",
        "1a2b3c4d-b.png",
        "/data/upload/3/1a2b3c4d-b.png",
        "https://host.example/x/b.png?sign=1",
        "/data/local-files/?d=x/b.png",
    ] {
        let place = beside("images/", "result.json");
        place.text("coco/result.json", list(&["a.png", other]));
        let output = place.augment(RUN);
        expect(&output, 0, &["2 frames"]);
        let (names, _, annotations) = content(&copy(&place, "coco-fog/result__fog-1.json"));
        assert_eq!(names, ["a__fog-1.png", "b__fog-1.png"], "{other}: names of a copy lead to its images");
        assert_eq!(annotations, [0, 1]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("left out"), "{other}");
    }
}

#[test]
fn a_run_that_cannot_carry_over_its_annotations_says_so_with_its_exit_code() {
    let place = beside("images/", "result.json");
    for (bad, said) in [
        (list(&["c.png", "d.png"]), "leads to an image"),
        (list(&["a.png", "b.png"]).replace(r#""annotations":["#, r#""annotations":"#), "no JSON"),
        (r#"{"images":[{"file_name":"a.png","id":1}],"annotations":{"1":2}}"#.into(), "no list"),
    ] {
        place.text("coco/result.json", &bad);
        let output = place.augment(&format!("{RUN} --json"));
        expect(&output, 3, &["annotations were not copied", said]);
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["failed"], summary["annotations_left"].as_array().unwrap().len()), (&0.into(), 1));
    }
    // A file about other splits has nothing to carry over.
    let place = coco();
    place.image("coco/val2017/only.png", 1, 30, 30);
    place.text("coco/annotations/everything.json", list(&["only.png"]));
    expect(&place.augment(RUN), 0, &["2 frames"]);
}

/// The picture as its file stores it, as the tools of COCO read it.
fn stored(place: &Place, name: &str) -> RgbImage {
    ImageReader::open(place.path(name)).unwrap().with_guessed_format().unwrap().decode().unwrap().to_rgb8()
}

/// The sum of the differences of two pictures over all pixels, as a share of the largest possible.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64 / 255.0
}

#[test]
fn turned_frames_stay_as_they_are_stored_so_that_boxes_fit_as_before() {
    // At strength 0 every picture is its frame again.
    let run = format!("{RUN} --set stylize.strength=0 --set output.quality=100");
    let picture = RgbImage::from_fn(60, 40, |x, y| image::Rgb([(x * 4) as u8, (y * 6) as u8, 90]));
    for (name, tag) in [("a.jpg", 6), ("a.png", 6), ("a.webp", 8), ("a.tif", 5), ("a.jpg", 3), ("a.jpg", 2)] {
        let place = Place::new();
        let metadata = Metadata { orientation: Orientation::from_exif(tag).unwrap(), ..Metadata::default() };
        let frame = format!("coco/images/train/{name}");
        place.text(&frame, encode_image(&place.path(&frame), &picture, metadata, 100).unwrap());
        // The size and the box of the stored picture.
        let json = format!(
            r#"{{"images":[{{"id":1,"file_name":{name:?},"width":60,"height":40}}],"annotations":[{{"id":1,"image_id":1,"bbox":[50,30,9,9]}}]}}"#
        );
        place.text("coco/annotations/instances_train.json", &json);
        expect(&place.augment(&run), 0, &["1 frame"]);
        let made = format!("coco-fog/images/train/{}", name.replace("a.", "a__fog-1."));
        let expected = json.replace(name, &name.replace("a.", "a__fog-1."));
        assert_eq!(copy(&place, "coco-fog/annotations/instances_train__fog-1.json"), expected);
        assert!(difference(&stored(&place, &made), &stored(&place, &frame)) < 0.02, "{name} {tag}: as it is stored");
        // And upright for programs that read the tag, as Ultralytics does.
        let (upright, of_frame) = (decode(&place.path(&made)).unwrap(), decode(&place.path(&frame)).unwrap());
        assert_eq!(upright.orientation, of_frame.orientation, "{name} {tag}");
        assert!(difference(&upright.image, &of_frame.image) < 0.02, "{name} {tag}: upright");
        // Without annotations of COCO, new images are upright for every program.
        fs::remove_file(place.path("coco/annotations/instances_train.json")).unwrap();
        expect(&place.augment(&format!("{run} --output plain")), 0, &["1 frame"]);
        let plain = made.replace("coco-fog", "plain");
        assert!(difference(&stored(&place, &plain), &of_frame.image) < 0.02, "{name} {tag}: upright pixels");
    }
}
