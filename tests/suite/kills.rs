//! Killed at fifty moments and started again, a batch ends as if nothing had happened.

use crate::place::{Place, RUN, expect};
use augment::nst::random::Random;
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const KILLS: usize = 50;
const FRAMES: u32 = 16;
/// Higher than any frame, so that all strips of the sheet are of one height.
const STYLE: (u32, u32) = (90, 64);
/// Pixels on the sheet: between its parts, of a line of text, and of a picture's column with the gap beside it.
const GAP: u32 = 8;
const LINE: u32 = 18;
const COLUMN: u32 = 488;

/// Everything below a folder that is not hidden.
fn visible(place: &Place, output: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = place.files(output).into_iter();
    let named = files.map(|(path, bytes)| (path.strip_prefix(place.path(output)).unwrap().to_path_buf(), bytes));
    named.filter(|(path, _)| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
}

fn pictures(files: &BTreeMap<PathBuf, Vec<u8>>) -> usize {
    files.keys().filter(|path| path.starts_with("images")).count()
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

/// The sheet without its line of times: the second one above the style, in the middle of each strip.
fn sheet_without_times(place: &Place, output: &str) -> RgbImage {
    let mut sheet = image::open(place.path(output).join("sheet.png")).unwrap().to_rgb8();
    // Title, one fact and legend; then, for each frame, two lines and pictures with a gap above, between and below.
    let heading = 2 * GAP + 3 * LINE;
    let strip = 2 * LINE + STYLE.1 + 3 * GAP;
    let strips = sheet.height().saturating_sub(heading) / strip;
    assert_eq!(sheet.height(), heading + strips * strip, "every strip is as high as a style");
    assert_eq!((strips, sheet.width()), (6, 3 * COLUMN + GAP));
    for n in 0..strips {
        let top = heading + n * strip + GAP + LINE;
        let times = (COLUMN..2 * COLUMN).flat_map(|x| (top..top + LINE).map(move |y| (x + GAP, y)));
        let mut ink = 0;
        for (x, y) in times {
            ink += u32::from(sheet.get_pixel(x, y).0 == [0; 3]);
            sheet.put_pixel(x, y, Rgb([255; 3]));
        }
        assert!(ink > 0, "the line is where it is looked for");
    }
    sheet
}

#[test]
fn fifty_kills_change_nothing() {
    let place = Place::new();
    for n in 0..FRAMES {
        place.image(&format!("data/images/train/n{n:02}.{}", ["png", "jpg"][n as usize % 2]), n, 72, 54);
        place.text(&format!("data/labels/train/n{n:02}.txt"), format!("{n} 0.5 0.5 0.25 0.25\n"));
    }
    place.text("data/images/train/broken.png", "no picture");
    for (seed, style) in [(7, "styles/one.jpg"), (8, "styles/two.png")] {
        place.image(style, seed, STYLE.0, STYLE.1);
    }
    let begun = Instant::now();
    expect(&place.augment(&format!("{RUN} --output calm")), 3, &["1 FAILED"]);
    let whole = begun.elapsed();
    let calm = visible(&place, "calm");
    let all = place.rows("calm").len();
    assert_eq!(all, FRAMES as usize + 3);
    let mut random = Random::new(50);
    let (mut amid, mut finished) = (0, 0);
    for n in 0..KILLS {
        let before = place.rows_so_far("wild");
        let mut command = place.command(&format!("{RUN} --output wild --quiet --weights builtin"));
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // By turns: at any moment from its start on, and while it is certainly at work on frames. How far it has come
        // when the kill meets it depends on the machine, and what must hold then does not.
        let most = if n % 2 == 0 {
            whole.mul_f64(0.5)
        } else {
            place.wait_for_rows(&mut child, "wild", before + 1);
            Duration::from_millis(40)
        };
        sleep(most.mul_f64(random.uniform()));
        child.kill().unwrap();
        child.wait().unwrap();
        // It may have died before it made anything.
        let made = if place.path("wild").exists() { visible(&place, "wild") } else { BTreeMap::new() };
        for (path, bytes) in &made {
            let is_result = path.starts_with("images") || path.starts_with("labels");
            assert!(!is_result || calm.get(path) == Some(bytes), "{} is not as it should be", path.display());
        }
        amid += usize::from((1..all).contains(&place.rows_so_far("wild")));
        // What is done leaves nothing to kill: begin anew.
        if pictures(&made) == pictures(&calm) {
            finished += 1;
            fs::remove_dir_all(place.path("wild")).unwrap();
        }
    }
    assert!(amid > 0, "no kill met a batch amid its frames");
    expect(&place.augment(&format!("{RUN} --output wild")), 3, &["1 FAILED"]);
    let wild = visible(&place, "wild");
    assert!(wild.keys().eq(calm.keys()), "{:?} and {:?}", wild.keys(), calm.keys());
    for (path, bytes) in &calm {
        // These two tell how long frames took, and are compared below without that.
        let timed = path.ends_with("manifest.jsonl") || path.ends_with("sheet.png");
        assert!(timed || wild[path] == *bytes, "{} differs", path.display());
    }
    assert_eq!(rows(&place, "wild"), rows(&place, "calm"));
    assert!(sheet_without_times(&place, "wild") == sheet_without_times(&place, "calm"), "sheet.png differs");
    println!("{KILLS} kills, {amid} of them amid the frames, {finished} when all were finished");
}
