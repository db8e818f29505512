//! Killed at fifty moments and started again, a batch ends as if nothing had happened.

use crate::place::{Place, RUN, expect};
use augment::nst::random::Random;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const KILLS: usize = 50;
const FRAMES: u32 = 16;

/// Everything below a folder that is not hidden.
fn visible(place: &Place, output: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = place.files(output).into_iter();
    let named = files.map(|(path, bytes)| (path.strip_prefix(place.path(output)).unwrap().to_path_buf(), bytes));
    named.filter(|(path, _)| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
}

/// The last row of every output, without what only the clock knows.
fn rows(place: &Place, output: &str) -> BTreeMap<String, Value> {
    let timeless = |mut row: Value| {
        row["seconds"].take();
        row["source_files"]["modified"].take();
        row["made_files"]["modified"].take();
        (row["output"].as_str().unwrap().to_string(), row)
    };
    place.rows(output).into_iter().map(timeless).collect()
}

#[test]
fn fifty_kills_change_nothing() {
    let place = Place::new();
    for n in 0..FRAMES {
        place.image(&format!("data/images/train/n{n:02}.{}", ["png", "jpg"][n as usize % 2]), n, 72, 54);
        place.text(&format!("data/labels/train/n{n:02}.txt"), format!("{n} 0.5 0.5 0.25 0.25\n"));
    }
    place.text("data/images/train/broken.png", "no picture");
    let begun = Instant::now();
    expect(&place.augment(&format!("{RUN} --output calm")), 3, &["1 FAILED"]);
    let whole = begun.elapsed();
    let calm = visible(&place, "calm");
    let mut random = Random::new(50);
    let mut finished = 0;
    for _ in 0..KILLS {
        let mut command = place.command(&format!("{RUN} --output wild --quiet --weights builtin"));
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        sleep(whole.mul_f64(0.5 * random.uniform()) + Duration::from_millis(1));
        child.kill().unwrap();
        child.wait().unwrap();
        // It may have died before it made anything.
        let made = if place.path("wild").exists() { visible(&place, "wild") } else { BTreeMap::new() };
        for (path, bytes) in made {
            let is_result = path.starts_with("images") || path.starts_with("labels");
            assert!(!is_result || calm.get(&path) == Some(&bytes), "{} is not as it should be", path.display());
        }
        // What is done leaves nothing to kill: begin anew.
        if place.path("wild/manifest.jsonl").exists() && rows_in(&place) > FRAMES as usize + 2 {
            finished += 1;
            fs::remove_dir_all(place.path("wild")).unwrap();
        }
    }
    expect(&place.augment(&format!("{RUN} --output wild")), 3, &["1 FAILED"]);
    let wild = visible(&place, "wild");
    for (path, bytes) in &calm {
        let timed = path.ends_with("manifest.jsonl");
        assert!(timed || wild[path] == *bytes, "{} differs", path.display());
    }
    assert_eq!(wild.len(), calm.len());
    assert_eq!(rows(&place, "wild"), rows(&place, "calm"));
    println!("{KILLS} kills, {finished} of the batches were finished between them");
}

fn rows_in(place: &Place) -> usize {
    fs::read_to_string(place.path("wild/manifest.jsonl")).unwrap().lines().count()
}
