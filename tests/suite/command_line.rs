//! The program from outside: what people type, what they get, and what happens to bad input.

use crate::place::{CONFIG, Place, RUN, expect, picture};
use image::Rgb;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn a_dataset_comes_out_whole_and_the_input_is_untouched() {
    let place = Place::new();
    let before = place.files("data");
    let output = place.augment(&format!("{RUN} --json"));
    expect(&output, 0, &["backbone builtin"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["done"], &summary["failed"]), (&2.into(), &0.into()));
    assert_eq!(place.files("data"), before);
    for (made, source) in [("images/train/a__fog-1.png", (80, 60)), ("images/train/b__fog-1.jpg", (61, 47))] {
        let made = image::open(place.path("data-fog").join(made)).unwrap();
        assert_eq!((made.width(), made.height()), source);
    }
    let label = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(label("data-fog/labels/train/a__fog-1.txt"), label("data/labels/train/a.txt"));
    assert_eq!(fs::read_dir(place.path("data-fog/labels/train")).unwrap().count(), 1, "background has no label");
    assert!(place.path("data-fog/sheet.png").is_file());
    let data = fs::read_to_string(place.path("data-fog/data.yaml")).unwrap();
    assert!(!data.contains("path:") && data.contains("../data/images/train") && data.contains("person"), "{data}");
}

#[test]
fn a_misspelt_verb_is_no_dataset() {
    let place = Place::new();
    expect(&place.command("prevew --config fog.yaml data").output().unwrap(), 2, &["did you mean `preview`?"]);
    expect(&place.command("preview --confg fog.yaml data").output().unwrap(), 2, &["--config"]);
    expect(&place.command("data").output().unwrap(), 2, &["--config <FILE>"]);
}

#[test]
fn the_manifest_tells_everything_about_each_frame() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    let rows = place.rows("data-fog");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["status"], "done");
        assert!(Path::new(row["source"].as_str().unwrap()).is_absolute());
        assert!(Path::new(row["style"].as_str().unwrap()).is_absolute());
        assert!(place.path("data-fog").join(row["output"].as_str().unwrap()).is_file());
        assert_eq!((&row["condition"], &row["variant"]), (&"fog".into(), &1.into()));
        assert_eq!((&row["backbone"]["name"], &row["evals"]), (&"builtin".into(), &3.into()));
        assert_eq!(row["engine"], env!("CARGO_PKG_VERSION"));
        for number in ["content_loss", "style_loss", "first_content_loss", "first_style_loss", "seconds", "seed"] {
            assert!(row[number].is_number(), "{number}");
        }
        let loss = |key: &str| row[key].as_f64().unwrap();
        assert!(loss("style_loss") < loss("first_style_loss"));
        assert!(row["config_digest"].is_string() && row["device"].is_string() && row["error"].is_null());
    }
}

#[test]
fn without_steps_no_network_is_opened_and_frames_are_made_and_kept_all_the_same() {
    let place = Place::new();
    let run = format!("{RUN} --set stylize.steps=0 --set stylize.residual=0.5");
    let notes = ["backbone none", "`residual` has no effect with `steps: 0`", "--weights has no effect"];
    expect(&place.augment(&run), 0, &notes);
    let rows = place.rows("data-fog");
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(
            (&row["status"], &row["backbone"]["name"], &row["evals"]),
            (&"done".into(), &"none".into(), &0.into())
        );
        assert!(row["content_loss"].is_null() && row["first_style_loss"].is_null(), "{row}");
        assert!(place.path("data-fog").join(row["output"].as_str().unwrap()).is_file());
    }
    let before = place.files("data-fog");
    expect(&place.augment(&run), 0, &["nothing to do"]);
    assert_eq!(place.files("data-fog"), before);
    expect(&place.command("report data-fog").output().unwrap(), 0, &[]);
    expect(&place.augment(RUN), 0, &["done again: 2"]);
}

#[test]
fn a_second_run_does_nothing_and_says_so() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    let before = place.files("data-fog");
    expect(&place.augment(RUN), 0, &["nothing to do"]);
    assert_eq!(place.files("data-fog"), before);
    expect(&place.augment(&format!("{RUN} --set stylize.steps=2")), 0, &["2 frames"]);
}

#[test]
fn threads_shards_and_order_do_not_change_a_byte() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output one --threads 1")), 0, &[]);
    expect(&place.augment(&format!("{RUN} --output two --threads 3 --shard 2/2")), 0, &[]);
    expect(&place.augment(&format!("{RUN} --output two --threads 2 --shard 1/2")), 0, &[]);
    let below = |folder: &str| -> BTreeMap<_, _> {
        let root = place.path(folder);
        let files = place.files(&format!("{folder}/images"));
        files.into_iter().map(|(path, bytes)| (path.strip_prefix(&root).unwrap().to_path_buf(), bytes)).collect()
    };
    assert_eq!(below("one"), below("two"));
    assert_eq!(below("one").len(), 2);
}

#[test]
fn several_styles_in_one_picture_stand_in_its_row_and_their_shares_are_work_to_do() {
    let place = Place::new();
    let blend = format!("{RUN} --set pairing=blend --set");
    let weights =
        |one: f64| format!(r#"styles=[{{"path":"styles/one.jpg","weight":{one}}},{{"path":"styles/two.png"}}]"#);
    expect(&place.augment(&format!("{blend} {}", weights(3.0))), 0, &[]);
    let rows = place.rows("data-fog");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let styles = row["styles"].as_array().unwrap();
        assert_eq!((&styles[0]["path"], &styles[0]["weight"]), (&row["style"], &0.75.into()));
        assert_eq!(
            (&styles[1]["path"], &styles[1]["weight"]),
            (&place.path("styles/two.png").to_str().into(), &0.25.into())
        );
    }
    expect(&place.augment(&format!("{blend} {}", weights(3.0))), 0, &["nothing to do"]);
    expect(&place.augment(&format!("{blend} {}", weights(2.0))), 0, &["2 frames"]);
    expect(&place.augment(&format!("{RUN} --set mix=3")), 1, &["`mix: 3`", "there are 2"]);
    expect(&place.augment(&format!("{RUN} --set mix=2")), 0, &["2 frames"]);
    assert!(place.rows("data-fog").iter().all(|row| row["style_digest"].as_str().unwrap().len() == 16));
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let place = Place::new();
    let output = place.augment(&format!("{RUN} --dry-run --set variants=3"));
    expect(&output, 0, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("6 jobs") && text.contains("about") && text.contains("a__fog-2.png"), "{text}");
    assert!(!place.path("data-fog").exists());
}

#[test]
fn bench_measures_what_the_contract_names() {
    let place = Place::new();
    let output = place.augment("bench --config fog.yaml --size 64 --evals 3 --json");
    expect(&output, 0, &[]);
    let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&measured["size"], &measured["evals"], &measured["backbone"]),
        (&64.into(), &3.into(), &"builtin".into())
    );
    for key in ["seconds_per_eval_median", "seconds_per_frame"] {
        assert!(measured[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(measured["threads"].as_u64().unwrap() > 0 && measured["device"].is_string());
}

#[test]
fn mistakes_in_the_config_are_named_with_their_place() {
    let place = Place::new();
    place.text("fog.yaml", "condition: fog\nstyles: [{path: styles}]\nstylize:\n  stepz: 3\n");
    expect(&place.augment(RUN), 2, &["fog.yaml:4:3", "stepz", "steps"]);
    place.text("fog.yaml", "condition: fog\nstyles: [{path: styles}]\nstylize:\n  steps: many\n");
    expect(&place.augment(RUN), 2, &["fog.yaml:4:10"]);
    place.text("fog.yaml", "condition: fog\nstyles: [{path: styles}]\nstylize: {strength: 1.5}\n");
    expect(&place.augment(RUN), 2, &["fog.yaml:3:21", "0"]);
    place.text("fog.yaml", "condition: fog\nstyles: [{path: nowhere}]\n");
    expect(&place.augment(RUN), 2, &["fog.yaml:2:17", "nowhere"]);
    fs::create_dir(place.path("empty")).unwrap();
    place.text("fog.yaml", "condition: fog\nstyles: [{path: empty}]\n");
    expect(&place.augment(RUN), 2, &["fog.yaml:2:17", "empty"]);
    place.text("fog.yaml", CONFIG);
    expect(&place.augment(&format!("{RUN} --set stylize.steps=many")), 2, &["--set stylize.steps=many"]);
    assert!(!place.path("data-fog").exists());
}

#[test]
fn frames_that_cannot_be_read_fail_alone() {
    let place = Place::new();
    let whole = fs::read(place.path("data/images/train/b.jpg")).unwrap();
    place.text("data/images/train/cut.jpg", &whole[..whole.len() / 2]);
    place.text("data/images/train/empty.png", "");
    place.text("data/images/train/words.jpg", "this is not a picture");
    expect(&place.augment(RUN), 3, &["cut.jpg", "empty.png", "words.jpg", "2 frames", "3 FAILED"]);
    let rows = place.rows("data-fog");
    let failed: Vec<_> = rows.iter().filter(|row| row["status"] == "failed").collect();
    assert_eq!((rows.len(), failed.len()), (5, 3));
    assert!(failed.iter().all(|row| row["error"].is_string() && row["evals"].is_null()));
    assert!(!place.path("data-fog/images/train/cut__fog-1.jpg").exists());
}

#[test]
fn datasets_and_outputs_that_cannot_be_are_refused_before_any_work() {
    let place = Place::new();
    fs::create_dir(place.path("nothing")).unwrap();
    let code = place.augment("--config fog.yaml nothing").status.code();
    assert!(code == Some(1) || code == Some(2));
    expect(&place.augment("--config fog.yaml nothing"), code.unwrap(), &["nothing", "image"]);
    expect(&place.augment("--config fog.yaml missing"), 2, &["missing"]);
    place.text("taken", "a file");
    expect(&place.augment(&format!("{RUN} --output taken")), 1, &["taken", "--output"]);
    assert_eq!(fs::read(place.path("taken")).unwrap(), b"a file");
    expect(&place.augment(&format!("{RUN} --device cuda")), 1, &["cuda"]);
}

#[test]
fn an_output_that_would_mix_with_originals_or_other_files_is_refused() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output data/images/val/out")), 2, &["among the images of val"]);
    expect(&place.augment(&format!("{RUN} --output data/images/train/out --limit 1")), 0, &[]);
    assert!(!place.path("data/images/train/out/sheet.png").exists(), "it would be trained on");
    fs::remove_dir_all(place.path("data/images/train/out")).unwrap();
    let before = place.files("data");
    for output in ["data", "data/images", "data/images/train", "."] {
        expect(&place.augment(&format!("{RUN} --output {output}")), 2, &["originals", "--output"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path("data"), place.path("link")).unwrap();
        expect(&place.augment(&format!("{RUN} --output link")), 2, &["originals"]);
    }
    place.text("other/data.yaml", "somebody else's");
    expect(&place.augment(&format!("{RUN} --output other")), 1, &["other", "not written"]);
    assert_eq!(place.files("data"), before);
    assert_eq!(place.files("other").len(), 1);
}

#[test]
fn an_edited_label_is_work_to_do() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    place.text("data/labels/train/a.txt", "0 0.4 0.4 0.2 0.2\n");
    expect(&place.augment(RUN), 0, &["1 frame", "1 done before"]);
    let label = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(label("data-fog/labels/train/a__fog-1.txt"), label("data/labels/train/a.txt"));
    expect(&place.augment(&format!("{RUN} --limit 0")), 0, &["no frame"]);
}

#[test]
fn a_style_that_is_no_picture_is_named_before_any_work() {
    let place = Place::new();
    place.text("styles/zero.jpg", "");
    expect(&place.augment(RUN), 1, &["zero.jpg"]);
    assert!(!place.path("data-fog").exists());
}

#[test]
fn weights_are_found_in_their_order_and_bad_ones_are_named() {
    let place = Place::new();
    let run = |weights: &[&str], variable: Option<&str>| {
        let mut command = place.command(&format!("{RUN} --dry-run"));
        if let Some(path) = variable {
            command.env("AUGMENT_WEIGHTS", path);
        }
        command.args(weights).output().unwrap()
    };
    // A file that holds one layer where VGG19 has more.
    let header = br#"{"features.0.weight":{"dtype":"F32","shape":[16,3,3,3],"data_offsets":[0,1728]},"features.0.bias":{"dtype":"F32","shape":[16],"data_offsets":[1728,1792]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    file.extend_from_slice(&[0; 1792]);
    place.text("short.safetensors", &file);
    expect(&run(&["--weights", "short.safetensors"], None), 1, &["short.safetensors", "features.2.weight"]);
    expect(&run(&[], Some("short.safetensors")), 1, &["short.safetensors"]);
    expect(&run(&["--weights", "builtin"], Some("short.safetensors")), 0, &[]);
    expect(&run(&[], None), 0, &[]);
    place.text("cache/augment/vgg19.safetensors", &file);
    expect(&run(&[], None), 1, &["vgg19.safetensors"]);
    place.text("words.safetensors", "these are no weights");
    expect(&run(&["--weights", "words.safetensors"], None), 1, &["words.safetensors"]);
    expect(&run(&["--weights", "gone.safetensors"], None), 1, &["gone.safetensors"]);
}

#[test]
fn letterbox_bars_stay_except_in_frames_that_tile() {
    let place = Place::new();
    let mut frame = picture(1, 80, 60);
    for (x, y) in (0..80).flat_map(|x| (0..10).map(move |y| (x, y))) {
        frame.put_pixel(x, y, Rgb([0; 3]));
    }
    frame.save(place.path("data/images/train/a.png")).unwrap();
    let bar_stays = |set: &str| {
        expect(&place.augment(&format!("{RUN} --limit 1 --output out --set {set}")), 0, &[]);
        let made = image::open(place.path("out/images/train/a__fog-1.png")).unwrap().to_rgb8();
        (0..80).all(|x| (0..10).all(|y| made.get_pixel(x, y).0 == [0; 3]))
    };
    assert!(bar_stays("stylize.padding=zero") && bar_stays("stylize.padding=replicate"));
    assert!(!bar_stays("stylize.padding=wrap"));
}

#[test]
fn every_style_setting_changes_the_picture() {
    let place = Place::new();
    let made = |set: &str| {
        let output = place.augment(&format!("{RUN} --limit 1 --output out --set {set}"));
        expect(&output, 0, &[]);
        fs::read(place.path("out/images/train/a__fog-1.png")).unwrap()
    };
    let sets = [
        "stylize.render=photoreal",
        "stylize.render=pixels",
        "stylize.strength=0.5",
        "stylize.init=content",
        "stylize.init=noise",
        "stylize.pool=avg",
        "stylize.optimizer=adam",
        "stylize.tv=1.0",
        "stylize.padding=replicate",
        "stylize.padding=wrap",
        "stylize.keep_colours=true",
        "stylize.scales=2",
        "pairing=blend",
        "mix=2",
        "stylize.steps=9",
        "stylize.size=32",
        "stylize.content.weight=50",
        "stylize.style.layers.relu3_1=1",
    ];
    let pictures: Vec<_> = sets.iter().map(|set| made(set)).collect();
    for (n, picture) in pictures.iter().enumerate() {
        assert!(!pictures[..n].contains(picture), "{} makes the same picture as another setting", sets[n]);
    }
}

/// The contract of the back ends: pictures within 2/255 on average, losses within 1 %.
#[test]
fn frames_in_batches_on_candles_tensors_are_those_of_the_cpu() {
    let place = Place::new();
    let run =
        |device: &str| expect(&place.augment(&format!("{RUN} --output {device} --device {device}")), 0, &[device]);
    run("cpu");
    run("candle");
    // Rows come as frames are done.
    let rows = |folder: &str| {
        let mut rows = place.rows(folder);
        rows.sort_by_key(|row| row["output"].to_string());
        rows
    };
    assert_eq!((rows("cpu").len(), rows("candle").len()), (2, 2));
    for (cpu, candle) in rows("cpu").iter().zip(rows("candle")) {
        assert_eq!((&cpu["output"], &cpu["evals"]), (&candle["output"], &candle["evals"]));
        assert!(candle["device"].as_str().unwrap().contains("candle cpu f32"));
        for loss in ["content_loss", "style_loss"] {
            let (a, b) = (cpu[loss].as_f64().unwrap(), candle[loss].as_f64().unwrap());
            assert!((a / b - 1.0).abs() < 0.01, "{loss}: {a} and {b}");
        }
        let picture =
            |folder: &str| image::open(place.path(folder).join(cpu["output"].as_str().unwrap())).unwrap().to_rgb8();
        let (one, other) = (picture("cpu"), picture("candle"));
        let off: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!((off as f64) < 2.0 * one.len() as f64);
    }
}

#[test]
fn devices_and_numbers_that_cannot_be_are_refused_with_the_reason() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --device tpu")), 2, &["tpu", "cuda:N"]);
    expect(&place.augment(&format!("{RUN} --device cpu --precision bf16")), 2, &["bf16", "GPU"]);
    if !cfg!(feature = "cuda") {
        expect(&place.augment(&format!("{RUN} --device cuda:1")), 1, &["cuda:1", "--features cuda", "--device cpu"]);
    }
    assert!(!place.path("data-fog").exists());
}

#[test]
fn image_files_that_cannot_be_read_are_counted_and_said_once() {
    let place = Place::new();
    for name in ["images/train/c.avif", "images/train/d.HEIC", "images/train/e.avif", "images/val/f.dng"] {
        place.text(&format!("data/{name}"), "of another program");
    }
    place.text("styles/three.heic", "of another program");
    let output = place.augment(&format!("{RUN} --json"));
    let frames = "3 image files are left out, because this program cannot read their format (2 avif, 1 heic; first ";
    expect(&output, 0, &[frames, "c.avif", "convert them to jpg or png", "1 style pictures are left out"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("image files are left out").count(), 1, "{said}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["unread"], serde_json::json!({"avif": 2, "heic": 1}));
    assert_eq!(summary["done"], 2);
    expect(&place.augment(&format!("{RUN} --dry-run")), 0, &[frames]);
    // The end says it, too, where nothing else is said.
    expect(
        &place.augment(&format!("{RUN} --quiet")),
        0,
        &["left out, because avif, heic cannot be read: 3 image files"],
    );
}

#[test]
fn an_mpo_becomes_a_jpg_and_keeps_its_label() {
    let place = Place::new();
    fs::rename(place.path("data/images/train/b.jpg"), place.path("data/images/train/b.MPO")).unwrap();
    place.text("data/labels/train/b.txt", "0 .5 .5 .1 .1\n");
    expect(&place.augment(RUN), 0, &["2 frames"]);
    assert!(place.path("data-fog/images/train/b__fog-1.jpg").is_file());
    assert!(place.path("data-fog/labels/train/b__fog-1.txt").is_file());
}

#[test]
fn a_dataset_of_ten_channels_is_refused() {
    let place = Place::new();
    place.text("data/data.yaml", "path: .\ntrain: images/train\nval: images/val\nchannels: 10\nnames: [car, person]\n");
    expect(&place.augment(RUN), 1, &["data.yaml: `channels: 10`", "three colour channels"]);
    assert!(!place.path("data-fog").exists());
}
