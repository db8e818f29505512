//! `augment preview` and `augment report` as people use them; the pages are read back by the data in them.

use crate::place::{Place, RUN, expect, page};
use serde_json::Value;
use std::fs;

const PREVIEW: &str = "preview --config fog.yaml data";

fn rows(page: &Value) -> &[Value] {
    page["rows"].as_array().unwrap()
}

#[test]
fn a_preview_shows_frames_under_every_style_with_boxes_and_the_time_for_all() {
    let place = Place::new();
    for n in 0..6 {
        place.image(&format!("data/images/train/more{n}.png"), n, 70, 50);
    }
    // Whichever frames are shown, they are labelled.
    for name in ["a", "b", "more0", "more1", "more2", "more3", "more4", "more5"] {
        place.text(&format!("data/labels/train/{name}.txt"), "0 0.5 0.5 0.25 0.25\n");
    }
    let before = place.files("data");
    expect(&place.augment(&format!("{PREVIEW} --frames 3 --set variants=5 --set fraction=0.1")), 0, &["preview.html"]);
    assert!(place.files("data") == before, "the dataset is as it was");
    let page = page(&place, "data-fog-preview/preview.html");
    assert_eq!((&page["kind"], &page["title"]), (&"preview".into(), &"fog over data".into()));
    let facts = page["facts"].to_string();
    assert!(facts.contains("pictures, about") && facts.contains("builtin"), "{facts}");
    let rows = rows(&page);
    assert_eq!(rows.len(), 6, "three frames under two styles");
    let styles = |source: &Value| {
        let own = rows.iter().filter(|row| row["source"] == *source);
        own.map(|row| row["style"].as_str().unwrap().rsplit('/').next().unwrap()).collect::<Vec<_>>()
    };
    for row in rows {
        let mut styles = styles(&row["source"]);
        styles.sort_unstable();
        assert_eq!(styles, ["one.jpg", "two.png"]);
        for picture in ["content", "result", "style_picture"] {
            assert!(row[picture].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"), "{picture}");
        }
        let boxes = row["boxes"].as_array().unwrap();
        let [only] = &boxes[..] else { panic!("{boxes:?}") };
        assert!((only["left"].as_f64().unwrap() - 0.375).abs() < 1e-9 && only["edges"].is_number(), "{only}");
    }
    let sheet = sheet(&place, "data-fog-preview");
    assert_eq!(sheet.0, 1472, "three pictures beside each other");
    let other = place.augment(&format!("{PREVIEW} --frames 3 --set variants=5 --set fraction=0.1"));
    expect(&other, 0, &["nothing to do", "sheet.png", "preview.html"]);
    // Of one frame there are fewer rows.
    expect(&place.augment(&format!("{PREVIEW} --frames 1")), 0, &[]);
    let less = self::sheet(&place, "data-fog-preview");
    assert!(less.0 == sheet.0 && less.1 * 2 < sheet.1, "{less:?} {sheet:?}");
}

/// Width and height of the sheet in an output.
fn sheet(place: &Place, output: &str) -> (u32, u32) {
    image::image_dimensions(place.path(output).join("sheet.png")).unwrap()
}

#[test]
fn a_sheet_lies_only_where_nobody_trains_on_it() {
    let place = Place::new();
    expect(&place.augment(&format!("{PREVIEW} --output data/images/train/look")), 0, &["preview.html"]);
    assert!(!place.path("data/images/train/look/sheet.png").exists(), "it would be a frame without objects");
    place.image("flat/a.png", 1, 40, 30);
    expect(&place.augment("preview --config fog.yaml flat"), 0, &["sheet.png"]);
    assert!(sheet(&place, "flat-fog-preview").1 > 0);
}

#[test]
fn a_frame_that_failed_has_its_place_on_the_sheet() {
    let place = Place::new();
    place.text("data/images/train/broken.jpg", "no picture");
    expect(&place.augment(&format!("{PREVIEW} --frames 9")), 3, &["sheet.png"]);
    let with = sheet(&place, "data-fog-preview");
    fs::remove_file(place.path("data/images/train/broken.jpg")).unwrap();
    expect(&place.augment(&format!("{PREVIEW} --frames 9")), 0, &["sheet.png"]);
    assert!(sheet(&place, "data-fog-preview").1 < with.1);
}

#[test]
fn a_preview_of_all_frames_has_the_labelled_one_and_its_figures() {
    let place = Place::new();
    expect(&place.augment(&format!("{PREVIEW} --output look --seed 3")), 0, &[]);
    let page = page(&place, "look/preview.html");
    let row = rows(&page).iter().find(|row| row["source"].as_str().unwrap().ends_with("a.png")).unwrap();
    let boxes = row["boxes"].as_array().unwrap();
    assert_eq!(boxes.len(), 2);
    assert!(boxes.iter().all(|one| one["edges"].is_number() && one["contrast"].is_number()), "{boxes:?}");
    assert_eq!([&boxes[0]["class"], &boxes[1]["class"]], ["car", "person"]);
    assert_eq!(row["losses"].as_array().unwrap().len(), 3);
}

#[test]
fn mistakes_of_a_preview_are_named() {
    let place = Place::new();
    expect(&place.augment("preview --config fog.yaml nowhere"), 2, &["nowhere"]);
    expect(&place.augment("--config fog.yaml data --output run"), 0, &["run"]);
    expect(&place.augment("preview --config fog.yaml data --output run"), 2, &["output of a run", "choose another"]);
    expect(&place.augment("preview --config fgo.yaml data"), 2, &["fgo.yaml"]);
    expect(&place.augment(&format!("{PREVIEW} --frames 0")), 2, &["--frames"]);
    expect(&place.augment("preview data"), 2, &["--config"]);
    expect(&place.augment(&format!("{PREVIEW} --output data")), 2, &["--output"]);
}

#[test]
fn a_report_says_what_the_manifest_says() {
    let place = Place::new();
    place.text("data/images/train/broken.jpg", "no picture");
    expect(&place.augment(RUN), 3, &[]);
    expect(&place.augment(&format!("{RUN} --set condition=haze --output haze --limit 1")), 0, &[]);
    expect(&place.command("report data-fog haze").output().unwrap(), 0, &["report.html"]);
    let page = page(&place, "data-fog/report.html");
    assert_eq!((&page["kind"], &page["title"]), (&"report".into(), &"data-fog, haze".into()));
    let known: Vec<Value> = [place.rows("data-fog"), place.rows("haze")].concat();
    assert_eq!(rows(&page).len(), known.len());
    for row in rows(&page) {
        let known = known.iter().find(|known| known["output"] == row["output"]).unwrap();
        for figure in ["status", "error", "seconds", "style_loss", "content_loss", "box_edges_min", "guard", "style"] {
            assert_eq!(row[figure], known[figure], "{figure}");
        }
        if row["status"] == "done" {
            for picture in ["content", "result", "style_picture"] {
                let address = row[picture].as_str().unwrap();
                assert!(place.path("data-fog").join(address).is_file(), "{address}");
            }
        } else {
            assert!(row["error"].as_str().unwrap().contains("broken.jpg") && row["result"].is_null());
        }
    }
    // The page and its thumbnails are in nobody's way.
    expect(&place.augment(RUN), 3, &["FAILED before"]);
    let data = fs::read_to_string(place.path("data-fog/data.yaml")).unwrap();
    assert!(!data.contains(".report"), "{data}");
}

#[test]
fn a_report_of_a_running_batch_takes_the_rows_that_are_whole() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    let manifest = place.path("data-fog/manifest.jsonl");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, &text[..text.len() - 20]).unwrap();
    expect(&place.command("report data-fog --output page/all.html").output().unwrap(), 0, &["all.html"]);
    assert_eq!(rows(&page(&place, "page/all.html")).len(), 1);
    assert_eq!(fs::read_to_string(&manifest).unwrap().len(), text.len() - 20, "it reads and does not mend");
}

#[test]
fn a_report_names_classes_as_the_outputs_data_yaml_does() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    let classes = || {
        expect(&place.command("report data-fog --output all.html").output().unwrap(), 0, &["all.html"]);
        let page = page(&place, "all.html");
        let boxes = rows(&page).iter().flat_map(|row| row["boxes"].as_array().unwrap());
        boxes.map(|one| one["class"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(classes(), ["car", "person"]);
    // It is written when the batch ends.
    fs::remove_file(place.path("data-fog/data.yaml")).unwrap();
    assert_eq!(classes(), ["0", "1"]);
}

#[test]
fn mistakes_of_a_report_are_named() {
    let place = Place::new();
    let report = |args: &str| place.command(args).output().unwrap();
    expect(&report("report"), 2, &["<OUT>"]);
    expect(&report("report nowhere"), 1, &["nowhere", "no such folder"]);
    expect(&report("report data"), 1, &["data", "not an output of augment"]);
}
