//! Odd and broken image files through the whole program: each comes out as what it shows, or fails alone and says why.
//!
//! `scripts/make_corpus.py` makes `tests/corpus` and says in its `expected.tsv` what must come of each file. Files
//! whose names some systems cannot hold are made here.

use crate::place::skipped;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// At strength 0 every picture is its frame again.
const CONFIG: &str = "\
condition: same
styles: [{path: style.png}]
stylize: {size: 32, steps: 1, strength: 0, guard: false, style: {layers: {relu1_1: 1}}, content: {layers: {relu2_1: 1}}}
";
/// What JPEG takes from the mean of a quadrant twice, by its quantization and at the seams of coarser colour.
const TOLERANCE: f64 = 8.0;
/// What a picture may differ from the file where nothing is lost: OpenCV's conversions round in other places.
const LOSSLESS_TOLERANCE: f64 = 2.0;
const MORE_PICTURES: [&str; 5] =
    ["png_animated.png", "webp_animated.webp", "tiff_12_pages.tif", "mpo_stereo.mpo", "jpeg_that_is_mpo.jpg"];

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// A config, a style and room for frames in `data/images/train`.
fn place() -> TempDir {
    let place = TempDir::new().unwrap();
    for folder in ["data/images/train", "data/labels/train"] {
        fs::create_dir_all(place.path().join(folder)).unwrap();
    }
    fs::write(place.path().join("same.yaml"), CONFIG).unwrap();
    gradient(40, 30).save(place.path().join("style.png")).unwrap();
    place
}

fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 90]))
}

fn augment(place: &TempDir, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_augment"))
        .current_dir(place.path())
        .args(["--config", "same.yaml", "data", "--weights", "builtin"])
        .args(args)
        .env_remove("AUGMENT_WEIGHTS")
        .output()
        .unwrap()
}

/// The manifest's rows by the name of their source.
fn rows(place: &TempDir) -> HashMap<String, Value> {
    let text = fs::read_to_string(place.path().join("data-same/manifest.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let name = |row: &Value| row["source"].as_str().unwrap().rsplit('/').next().unwrap().to_string();
    rows.map(|row: Value| (name(&row), row)).collect()
}

/// Mean colours of the four quadrants, `-` for an empty one, as in the table.
fn quadrants(image: &RgbImage) -> Vec<Option<[f64; 3]>> {
    let (x, y) = (image.width().div_ceil(2), image.height().div_ceil(2));
    let mean = |right: bool, below: bool| {
        let inside = image.enumerate_pixels().filter(|&(px, py, _)| (px >= x, py >= y) == (right, below));
        let (sum, count) = inside.fold(([0.0; 3], 0), |(sum, count), (.., pixel)| {
            ([0, 1, 2].map(|c: usize| sum[c] + f64::from(pixel[c])), count + 1)
        });
        (count > 0).then(|| sum.map(|v| v / f64::from(count)))
    };
    vec![mean(false, false), mean(true, false), mean(false, true), mean(true, true)]
}

fn read_quadrants(text: &str) -> Vec<Option<[f64; 3]>> {
    let colour = |text: &str| {
        let values: Vec<f64> = text.split(',').map_while(|value| value.parse().ok()).collect();
        values.try_into().ok()
    };
    text.split(' ').map(colour).collect()
}

/// What is wrong about the row of a file, by its line of the table.
fn complaint(output: &Path, row: &Value, name: &str, wanted: &str, more: &str) -> Option<String> {
    let error = row["error"].as_str().unwrap_or("none");
    if wanted == "fails" {
        let named = error.contains(name) && error.contains(more) && !error.contains("panicked");
        return (row["status"] != "failed" || !named).then(|| format!("fails as `{error}`, not as `{more}`"));
    }
    if row["status"] != "done" {
        return Some(format!("fails: {error}"));
    }
    let image = image::open(output.join(row["output"].as_str().unwrap())).unwrap().into_rgb8();
    let size = format!("picture {} {}", image.width(), image.height());
    let is_lossless = name.ends_with(".tif") && !name.contains("jpeg");
    let tolerance = if is_lossless { LOSSLESS_TOLERANCE } else { TOLERANCE };
    let close = |(a, b): (&Option<[f64; 3]>, &Option<[f64; 3]>)| match (a, b) {
        (Some(a), Some(b)) => a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance),
        (a, b) => a.is_none() && b.is_none(),
    };
    let (found, expected) = (quadrants(&image), read_quadrants(more));
    if size != wanted || (&row["width"], &row["height"]) != (&image.width().into(), &image.height().into()) {
        return Some(format!("is a {size}, not a {wanted}"));
    }
    (!found.iter().zip(&expected).all(close)).then(|| format!("has {found:.0?}, not {expected:.0?}"))
}

#[test]
fn every_file_of_the_corpus_comes_out_as_it_looks_or_fails_alone_with_its_reason() {
    let place = place();
    let table = fs::read_to_string(corpus().join("expected.tsv")).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.splitn(3, '\t').collect()).collect();
    let files = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter(|name| name != "expected.tsv").collect();
    assert_eq!(files, lines.iter().map(|line| line[0].to_string()).collect(), "every file has its line");
    for name in lines.iter().map(|line| line[0]) {
        let path = place.path().join("data");
        fs::copy(corpus().join(name), path.join("images/train").join(name)).unwrap();
        let label = path.join("labels/train").join(name).with_extension("txt");
        fs::write(label, format!("0 0.5 0.5 0.25 0.25\r\n# {}", Path::new(name).with_extension("").display())).unwrap();
    }
    let output = augment(&place, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let (folder, rows) = (place.path().join("data-same"), rows(&place));
    assert_eq!(rows.len(), lines.len());
    let wrong = |line: &Vec<&str>| {
        let (name, row) = (line[0], &rows[line[0]]);
        let complaint = complaint(&folder, row, name, line[1], line.get(2).unwrap_or(&""))?;
        Some(format!("{name} {complaint}"))
    };
    let complaints: Vec<String> = lines.iter().filter_map(wrong).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    for (name, row) in &rows {
        assert_eq!(row["first_of_several"] == true, MORE_PICTURES.contains(&name.as_str()), "{name}");
        let copy = folder.join(row["label"].as_str().unwrap());
        let label = place.path().join("data/labels/train").join(name).with_extension("txt");
        assert_eq!(fs::read(copy).ok(), (row["status"] == "done").then(|| fs::read(label).unwrap()), "{name}");
    }
}

#[test]
fn a_profile_goes_with_its_picture() {
    let place = place();
    let profiled = ["jpeg_profile.jpg", "png_profile.png", "tiff_profile.tif", "webp_profile.webp"];
    let images = place.path().join("data/images/train");
    for name in profiled {
        fs::copy(corpus().join(name), images.join(name)).unwrap();
    }
    assert_eq!(augment(&place, &[]).status.code(), Some(0));
    let rows = rows(&place);
    assert_eq!(rows.len(), profiled.len());
    for (name, row) in rows {
        let made = place.path().join("data-same").join(row["output"].as_str().unwrap());
        let (made, source) = (
            augment::imageio::decode::decode(&made).unwrap(),
            augment::imageio::decode::decode(&images.join(&name)).unwrap(),
        );
        assert!(made.profile.is_some() && made.profile == source.profile, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn names_that_few_systems_can_hold_are_names_like_all_others() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = place();
    let mut bytes = Cursor::new(Vec::new());
    gradient(20, 12).write_to(&mut bytes, ImageFormat::Png).unwrap();
    let long = "n".repeat(246) + ".png";
    let names: [&[u8]; 10] = [
        b"two\nlines.png",
        b"tab\there.png",
        b"\"quoted\".png",
        b"back\\slash.png",
        b"$(HOME) `x` *?.png",
        // One name to people, in its two normal forms.
        "caf\u{e9}.png".as_bytes(),
        "cafe\u{301}.png".as_bytes(),
        // Latin-1, twice.
        b"caf\xe9.png",
        b"caf\xe8.png",
        long.as_bytes(),
    ];
    let written = names.iter().filter(|name| {
        let name = Path::new(OsStr::from_bytes(name));
        let label = place.path().join("data/labels/train").join(name).with_extension("txt");
        // Some file systems take no such name, and some take two for one.
        fs::write(place.path().join("data/images/train").join(name), bytes.get_ref()).is_ok()
            && fs::write(label, format!("0 .5 .5 .1 .1 # {name:?}")).is_ok()
    });
    assert!(written.count() >= 6);
    let frames = fs::read_dir(place.path().join("data/images/train")).unwrap().count();
    let output = augment(&place, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let below = |folder: &str| {
        let mut texts: Vec<Vec<u8>> = fs::read_dir(place.path().join(folder))
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        texts.sort();
        texts
    };
    assert_eq!(below("data-same/labels/train"), below("data/labels/train"));
    assert_eq!(below("data-same/images/train").len(), frames);
    let data = fs::read_to_string(place.path().join("data-same/data.yaml")).unwrap();
    assert!(data.contains(r#"train: ["../data/images/train", "images/train"]"#), "{data}");
}

#[test]
fn a_frame_of_48_megapixels_comes_out_at_its_size() {
    let place = place();
    gradient(8000, 6000).save(place.path().join("data/images/train/large.jpg")).unwrap();
    let free = augment::memory::free();
    let output = augment(&place, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    // What it takes and a little, and as much again for whatever else the machine does.
    if output.status.code() == Some(3) && said.contains("of memory and") && free < 12_000_000_000 {
        skipped("a frame of 48 megapixels", &format!("this machine has not the memory for it: {said}"));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    let row = &rows(&place)["large.jpg"];
    let made = place.path().join("data-same").join(row["output"].as_str().unwrap());
    assert_eq!(image::image_dimensions(made).unwrap(), (8000, 6000));
}
