//! What earlier versions wrote is read by this one: `tests/fixtures/old_output` holds it, by version.

use crate::place::{Place, expect, page};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The frozen outputs, each with its dataset, styles and config, by the version that made it.
fn versions() -> Vec<String> {
    let folder = fs::read_dir(fixtures()).unwrap().map(Result::unwrap);
    let folders = folder.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut versions: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    versions.sort();
    assert!(versions.contains(&"0.1.0".into()), "{versions:?}");
    versions
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old_output")
}

/// A place with a copy of what `version` left, in the folder `old`.
fn copied(version: &str) -> Place {
    let place = Place::new();
    let from = fixtures().join(version);
    for entry in walkdir::WalkDir::new(&from).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&from).unwrap().to_str().unwrap();
            place.text(&format!("old/{name}"), fs::read(entry.path()).unwrap());
        }
    }
    place
}

/// The last row of every output, which is the one that counts.
fn last_rows(place: &Place, output: &str) -> BTreeMap<String, Value> {
    let named = |row: Value| (row["output"].as_str().unwrap().to_string(), row);
    let rows: BTreeMap<String, Value> = place.rows(output).into_iter().map(named).collect();
    let count = |status: &str| rows.values().filter(|row| row["status"] == status).count();
    assert!(count("done") > 0 && count("failed") > 0 && count("done") + count("failed") == rows.len());
    rows
}

#[test]
fn a_report_shows_what_the_rows_of_old_outputs_say() {
    for version in versions() {
        let place = copied(&version);
        let known = last_rows(&place, "old/output");
        assert!(known.len() < place.rows("old/output").len(), "some rows count no more");
        expect(&place.command("report old/output").output().unwrap(), 0, &["report.html"]);
        let page = page(&place, "old/output/report.html");
        let cards = page["rows"].as_array().unwrap();
        assert_eq!(cards.len(), known.len(), "{version}");
        assert!(page["facts"].to_string().contains(&format!("augment {version}")), "{page}");
        for card in cards {
            let row = &known[card["output"].as_str().unwrap()];
            for figure in [
                "status",
                "source",
                "label",
                "style",
                "styles",
                "condition",
                "variant",
                "error",
                "width",
                "height",
                "seconds",
                "content_loss",
                "style_loss",
                "first_style_loss",
                "strength",
                "box_edges_min",
                "guard",
            ] {
                assert_eq!(card[figure], row[figure], "{version}: {figure}");
            }
            let losses = row["losses"].as_array().map_or(0, Vec::len);
            assert_eq!(card["losses"].as_array().unwrap().len(), losses);
            let is_done = row["status"] == "done";
            let is_there = |address: &str| place.path("old/output").join(address).is_file();
            assert_eq!(card["result"].as_str().is_some_and(is_there), is_done, "{version}: {card}");
            // The guard's figures meet the boxes of the label, and the classes their names.
            let boxes = row["boxes"].as_array().cloned().unwrap_or_default();
            let shown = card["boxes"].as_array().unwrap();
            assert!(!is_done || shown.len() == boxes.len(), "{version}: {card}");
            for (shown, known) in shown.iter().zip(&boxes) {
                assert_eq!([&shown["edges"], &shown["contrast"]], [&known["edges"], &known["contrast"]]);
                assert!(["car", "person"].contains(&shown["class"].as_str().unwrap()), "{shown}");
            }
        }
        let with_boxes = cards.iter().filter(|card| !card["boxes"].as_array().unwrap().is_empty());
        assert!(with_boxes.count() > 0);
    }
}

#[test]
fn old_outputs_are_merged_with_all_that_they_say() {
    for version in versions() {
        let place = copied(&version);
        let known = last_rows(&place, "old/output");
        expect(&place.command("merge whole old/output").output().unwrap(), 0, &["failures into whole"]);
        let merged = last_rows(&place, "whole");
        assert!(merged.keys().eq(known.keys()), "{version}: {merged:?}");
        for (output, old) in known {
            let new = &merged[&output];
            for (key, value) in old.as_object().unwrap() {
                // When the copies were written is all that is new.
                match key.as_str() {
                    "made_files" => {
                        assert_eq!([&new[key]["bytes"], &new[key]["digest"]], [&value["bytes"], &value["digest"]]);
                    }
                    _ => assert_eq!(new[key], *value, "{version}: {key} of {output}"),
                }
            }
            let files = [old["output"].as_str(), old["label"].as_str()].into_iter().flatten();
            for file in files.filter(|_| old["status"] == "done") {
                let bytes = |folder: &str| fs::read(place.path(folder).join(file)).unwrap();
                assert!(bytes("whole") == bytes("old/output"), "{version}: {file}");
            }
        }
    }
}

#[test]
fn a_run_goes_on_with_old_outputs_and_does_again_only_what_another_version_made() {
    for version in versions() {
        let place = copied(&version);
        let known = last_rows(&place, "old/output");
        let pictures = place.files("old/output/images");
        let done = known.values().filter(|row| row["status"] == "done").count();
        let failed = known.len() - done;
        let output = place.augment("--config old/fog.yaml old/streets --output old/output");
        // The dataset lies elsewhere than it did, and its content is what it was.
        if version == env!("CARGO_PKG_VERSION") {
            expect(&output, 3, &["nothing to do", &format!("{done} frames done before, {failed} FAILED before")]);
            assert!(place.files("old/output/images") == pictures, "{version}");
            assert_eq!(last_rows(&place, "old/output"), known);
        } else {
            expect(&output, 3, &[&format!("{} for another version of augment", known.len())]);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("cannot be read") && !said.contains("earlier runs"), "{version}: {said}");
        let statuses = |rows: BTreeMap<String, Value>| -> Vec<(String, Value)> {
            rows.into_iter().map(|(output, row)| (output, row["status"].clone())).collect()
        };
        assert_eq!(statuses(last_rows(&place, "old/output")), statuses(known), "{version}");
    }
}
