//! Starting again, stopping, failing and sharing: what is on disk is right, and nothing is done twice.

use crate::place::{CONFIG, Place, RUN, expect, skipped, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Images and labels of an output, by their path below it.
fn results(place: &Place, output: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let below = |folder: &str| place.files(&format!("{output}/{folder}"));
    let root = place.path(output);
    let files = below("images").into_iter().chain(below("labels"));
    files.map(|(path, bytes)| (path.strip_prefix(&root).unwrap().to_path_buf(), bytes)).collect()
}

fn summary(place: &Place, args: &str) -> Value {
    serde_json::from_slice(&place.augment(&format!("{args} --json")).stdout).unwrap()
}

/// Twelve frames that take their time.
fn long() -> Place {
    let place = Place::new();
    (0..10).for_each(|n| place.image(&format!("data/images/train/n{n}.png"), n, 64, 48));
    place
}

/// Whoever runs the tests in the background may have told them to ignore SIGINT, which the program would go on doing.
#[cfg(unix)]
fn listens_to_interrupts(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: between fork and exec only what is safe in a signal handler may be called, and `signal` is.
    unsafe {
        command.pre_exec(|| match libc::signal(libc::SIGINT, libc::SIG_DFL) {
            libc::SIG_ERR => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        })
    };
}

#[cfg(not(unix))]
fn listens_to_interrupts(_: &mut std::process::Command) {}

fn start(place: &Place, args: &str) -> Child {
    let mut command = place.command(args);
    listens_to_interrupts(&mut command);
    command.args(["--weights", "builtin"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// So many frames that a run on them, one at a time, is at work for minutes: far longer than a test takes to look at it
/// and stop it, even on a machine that has much else to do.
fn endless() -> Place {
    let place = Place::new();
    (0..1000).for_each(|n| place.image(&format!("data/images/train/n{n:03}.png"), n, 64, 48));
    place
}

/// Sends a run signals at one moment: it is halted until all of them are there.
#[cfg(unix)]
fn signal(run: &Child, signals: &[&str]) {
    for name in [&["STOP"], signals, &["CONT"]].concat() {
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &run.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

#[test]
fn only_what_a_change_touches_is_done_again_and_the_reason_is_said() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &["2 frames"]);
    expect(&place.augment(&format!("{RUN} --set stylize.tv=0.1")), 0, &["done again: 2 for another config"]);
    expect(&place.augment(RUN), 0, &["2 for another config"]);
    expect(&place.augment(&format!("{RUN} --seed 7")), 0, &["2 for another seed"]);
    expect(&place.augment(RUN), 0, &["2 frames"]);

    place.image("data/images/train/b.jpg", 9, 61, 47);
    expect(&place.augment(RUN), 0, &["done again: 1 for a changed image", "1 frame in", "1 done before"]);
    place.text("data/labels/train/a.txt", "0 .5 .5 .1 .1\n");
    expect(&place.augment(RUN), 0, &["done again: 1 for a changed image, label", "1 done before"]);
    fs::remove_file(place.path("data-fog/images/train/a__fog-1.png")).unwrap();
    expect(&place.augment(RUN), 0, &["done again: 1 for missing or changed pictures", "1 done before"]);

    let first = results(&place, "data-fog");
    expect(&place.augment(&format!("{RUN} --force")), 0, &["2 frames"]);
    assert_eq!(results(&place, "data-fog"), first);
    expect(&place.augment(RUN), 0, &["nothing to do"]);

    // The same bytes with another time, as a fresh checkout has them.
    let frame = place.path("data/images/train/a.png");
    let bytes = fs::read(&frame).unwrap();
    fs::remove_file(&frame).unwrap();
    fs::write(&frame, bytes).unwrap();
    expect(&place.augment(RUN), 0, &["nothing to do"]);
}

#[test]
fn other_kinds_of_classes_and_new_coco_annotations_make_every_frame_undone() {
    let place = Place::new();
    let described = |names: &str| {
        place.text("data/data.yaml", format!("path: .\ntrain: images/train\nval: images/val\nnames: {names}\n"));
    };
    expect(&place.augment(RUN), 0, &["2 frames"]);
    described("[automobile, pedestrian]");
    expect(&place.augment(RUN), 0, &["nothing to do"]);
    described("[person, car]");
    expect(&place.augment(RUN), 0, &["done again: 2 for other classes, keypoints or COCO annotations"]);
    let coco = r#"{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}"#;
    place.text("data/annotations/instances_train.json", coco);
    expect(&place.augment(RUN), 0, &["2 for other classes, keypoints or COCO annotations"]);
    expect(&place.augment(RUN), 0, &["nothing to do"]);
}

#[test]
fn a_picture_in_another_format_takes_the_place_of_the_first() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &["2 frames"]);
    let pictures = || {
        ["a__fog-1.png", "b__fog-1.jpg", "b__fog-1.png"]
            .map(|name| place.path("data-fog/images/train").join(name).is_file())
    };
    assert_eq!(pictures(), [true, true, false]);
    let output = place.augment(&format!("{RUN} --set output.format=png"));
    expect(&output, 0, &["done again: 2 for another config"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("no longer makes"), "{said}");
    assert_eq!(pictures(), [true, false, true]);
    expect(&place.augment(&format!("{RUN} --set output.format=png")), 0, &["nothing to do"]);
    expect(&place.command("merge whole data-fog").output().unwrap(), 0, &["2 pictures"]);

    // One that fails takes the label with it.
    place.text("data/images/train/b.jpg", "no picture");
    expect(&place.augment(RUN), 3, &["1 FAILED"]);
    assert_eq!(pictures(), [true, false, false]);
    assert!(!place.path("data-fog/labels/train/b__fog-1.txt").exists());
}

#[test]
fn a_picture_never_takes_the_label_of_another_frame() {
    let place = Place::new();
    let list = |names: &[&str]| names.iter().map(|name| format!("./images/train/{name}\n")).collect::<String>();
    place.image("data/images/train/b.png", 5, 96, 64);
    place.text("data/train.txt", list(&["b.jpg"]));
    place.text("data/val.txt", list(&["b.png"]));
    place.text("data/data.yaml", "train: train.txt\nval: val.txt\nnames: [car]\n");
    expect(&place.augment(&format!("{RUN} --set splits=[train]")), 0, &["1 frame"]);
    let val = format!("{RUN} --set splits=[val]");
    expect(&place.augment(&val), 2, &["b__fog-1.jpg of another frame", "b.jpg", "b.png"]);
    expect(&place.augment(&format!("{RUN} --set splits=[train]")), 0, &["nothing to do"]);
    expect(&place.augment(&format!("{val} --force")), 0, &["1 frame"]);
    assert!(!place.path("data-fog/images/train/b__fog-1.jpg").exists());
}

#[test]
fn pictures_stay_in_the_data_yaml_when_the_dataset_is_reached_through_a_link_or_has_moved() {
    let place = Place::new();
    let run = |dataset: &str, sets: &str| format!("--config fog.yaml {dataset} --output out {sets}");
    expect(&place.augment(&run("data", "--set variants=2")), 0, &["4 frames"]);
    let trained = || fs::read_to_string(place.path("out/data.yaml")).unwrap().lines().nth(1).unwrap().to_string();
    assert_eq!(trained(), r#"train: ["../data/images/train", "images/train"]"#);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path("data"), place.path("link")).unwrap();
        expect(&place.augment(&run("link", "--set condition=haze")), 0, &["2 frames"]);
        assert_eq!(trained(), r#"train: ["../data/images/train", "images/train"]"#);
    }
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    expect(&place.augment(&run("moved", "")), 0, &["nothing to do", "2 images that this config no longer makes"]);
    assert_eq!(trained(), r#"train: ["../moved/images/train", "images/train"]"#);

    // Those of another dataset are left out, with a word.
    place.image("more/images/train/z.jpg", 8, 96, 64);
    place.text("more/labels/train/z.txt", "0 .5 .5 .2 .2\n");
    expect(&place.augment(&run("more", "")), 0, &["leaves out", "of frames that are gone"]);
    let said = ["nothing to do", "leaves out 1 new image of frames that are not in this dataset"];
    expect(&place.augment(&run("moved", "")), 0, &said);
    assert!(trained().contains("augmented-train.txt"), "{}", trained());

    // A name alone makes no picture one of this dataset.
    for (seed, name) in [(20, "a"), (21, "b")] {
        place.image(&format!("other/images/train/{name}.png"), seed, 96, 64);
        place.text(&format!("other/labels/train/{name}.txt"), "0 .5 .5 .2 .2\n");
    }
    expect(&place.augment("--config fog.yaml moved --output both"), 0, &["2 frames"]);
    let limited = "--config fog.yaml other --output both --set output.format=png --set condition=rain --limit 1";
    expect(&place.augment(limited), 0, &["leaves out 2 new images of frames that are not in this dataset"]);
    let list = fs::read_to_string(place.path("both/augmented-train.txt")).unwrap();
    assert!(!list.contains("fog"), "{list}");
}

#[test]
fn what_cannot_be_replaced_fails_one_frame() {
    let place = Place::new();
    fs::create_dir_all(place.path("data-fog/labels/train/a__fog-1.txt/in the way")).unwrap();
    place.text("data-fog/.augment.lock", "");
    expect(&place.augment(RUN), 3, &["1 frame", "1 FAILED"]);
}

#[test]
fn a_merge_restores_what_is_missing_and_leaves_out_other_formats() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output one")), 0, &["2 frames"]);
    expect(&place.augment(&format!("{RUN} --output png --set output.format=png")), 0, &["2 frames"]);
    expect(&place.command("merge whole one").output().unwrap(), 0, &["2 pictures"]);
    fs::remove_dir_all(place.path("whole/images")).unwrap();
    expect(&place.command("merge whole one").output().unwrap(), 0, &["2 pictures"]);
    expect(&place.command("merge whole one").output().unwrap(), 0, &["0 pictures", "2 rows already"]);
    expect(&place.command("merge whole png").output().unwrap(), 3, &["0 pictures"]);
    assert!(!place.path("whole/images/train/b__fog-1.png").exists());

    // A failure elsewhere is no reason to give up a picture that is missing here.
    let frame = fs::read(place.path("data/images/train/b.jpg")).unwrap();
    place.text("data/images/train/b.jpg", "no picture");
    expect(&place.augment(&format!("{RUN} --output failed")), 3, &["1 FAILED"]);
    place.text("data/images/train/b.jpg", frame);
    fs::remove_file(place.path("whole/images/train/b__fog-1.jpg")).unwrap();
    expect(&place.command("merge whole failed").output().unwrap(), 0, &["0 pictures"]);
    expect(&place.augment(&format!("{RUN} --output whole")), 0, &["done again: 1 for missing or changed pictures"]);
}

#[test]
fn a_replaced_style_and_backbone_are_reasons_too() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --set pairing=blend")), 0, &["2 frames"]);
    place.image("styles/one.jpg", 70, 90, 64);
    expect(&place.augment(&format!("{RUN} --set pairing=blend")), 0, &["2 for another style"]);
}

#[test]
fn a_mask_that_changes_makes_its_frame_undone() {
    let place = Place::new();
    let run = format!(r#"{RUN} --set stylize.regions=["sky"]"#);
    place.image("data/masks/sky/train/a.png", 3, 80, 60);
    expect(&place.augment(&run), 0, &["2 frames"]);
    place.image("data/masks/sky/train/a.png", 4, 80, 60);
    expect(&place.augment(&run), 0, &["1 for a changed image, label, mask or depth", "1 done before"]);
}

#[test]
fn failures_stay_failed_until_they_are_mended_or_tried_again_on_request() {
    let place = Place::new();
    let whole = fs::read(place.path("data/images/train/b.jpg")).unwrap();
    place.text("data/images/train/b.jpg", &whole[..100]);
    expect(&place.augment(RUN), 3, &["failed: ", "b.jpg", "1 FAILED"]);
    expect(&place.augment(RUN), 3, &["b.jpg", "1 FAILED before", "--retry-failed"]);
    expect(&place.augment(&format!("{RUN} --retry-failed")), 3, &["b.jpg", "1 FAILED (see"]);
    let told = summary(&place, RUN);
    assert_eq!((&told["failed"], &told["failed_before"], &told["skipped"]), (&0.into(), &1.into(), &1.into()));
    assert!(told["failures"][0]["source"].as_str().unwrap().ends_with("b.jpg"));
    place.text("data/images/train/b.jpg", &whole);
    expect(&place.augment(RUN), 0, &["1 for a changed image", "1 done before"]);
}

#[test]
fn too_many_failures_end_the_run() {
    let place = long();
    (0..5).for_each(|n| place.text(&format!("data/images/train/c{n}.png"), "no picture"));
    let told = summary(&place, &format!("{RUN} --jobs 1 --max-failures 2"));
    assert_eq!((&told["failed"], &told["stopped"]), (&2.into(), &"too_many_failures".into()));
    assert_eq!(told["done"], 2, "a and b come before c");
    expect(&place.augment(&format!("{RUN} --jobs 1 --max-failures 3")), 3, &["5 FAILED"].map(|_| "2 FAILED before"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_over_several_conditions_begins_no_other_one_and_goes_on_later() {
    let place = endless();
    place.text("night.yaml", CONFIG.replace("condition: fog", "condition: night"));
    let run = "--config fog.yaml --config night.yaml data --output out --jobs 1 --set stylize.steps=60";
    let mut child = start(&place, run);
    place.wait_for_rows(&mut child, "out", 1);
    signal(&child, &["INT"]);
    expect(&child.wait_with_output().unwrap(), 130, &["stopping", "left: the same command"]);
    let rows = place.rows("out");
    assert!(rows.len() < 501 && rows.iter().all(|row| row["condition"] == "fog"), "{} rows", rows.len());
    expect(&place.augment(&format!("{run} --limit 12")), 0, &["done before"]);
    assert!(place.rows("out").iter().any(|row| row["condition"] == "night"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_finishes_what_it_has_in_hand_and_goes_on_later() {
    for name in ["INT", "TERM"] {
        let place = endless();
        let run = format!("{RUN} --jobs 1 --set stylize.steps=60");
        let mut child = start(&place, &run);
        place.wait_for_rows(&mut child, "data-fog", 2);
        signal(&child, &[name]);
        let output = child.wait_with_output().unwrap();
        expect(&output, 130, &["stopping", "the same command, without --force, goes on"]);
        let rows = place.rows("data-fog");
        let made = rows.len();
        assert!((2..1002).contains(&made), "{made} rows");
        assert!(place.path("data-fog/data.yaml").is_file());
        assert_eq!(results(&place, "data-fog").keys().filter(|path| path.starts_with("images")).count(), made);
        // Of what is left, three frames are enough to go on with.
        let made_of = |row: &Value| Path::new(row["source"].as_str().unwrap()).file_name().map(ToOwned::to_owned);
        let is_made = |path: &PathBuf| rows.iter().any(|row| made_of(row).as_deref() == path.file_name());
        let left = place.files("data/images/train").into_keys().filter(|path| !is_made(path));
        left.skip(3).for_each(|path| fs::remove_file(path).unwrap());
        expect(&place.augment(&run), 0, &["3 frames", &format!("{made} done before")]);
        expect(&place.augment(&format!("{run} --output other")), 0, &[&format!("{} frames", made + 3)]);
        assert_eq!(results(&place, "data-fog"), results(&place, "other"));
    }
}

#[cfg(unix)]
#[test]
fn the_second_signal_ends_the_run_at_once() {
    let place = Place::new();
    // No frame of this ends by itself within the test.
    let run = format!("{RUN} --jobs 1 --set stylize.steps=1000 --set stylize.size=512");
    place.image("data/images/train/a.png", 1, 512, 512);
    let mut child = start(&place, &run);
    // It listens to signals before it takes its folder.
    wait_until("a run that begins", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        place.path("data-fog/.augment.lock").exists()
    });
    signal(&child, &["INT", "TERM"]);
    let output = child.wait_with_output().unwrap();
    expect(&output, 130, &["stopping"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("left: the same command"), "it ended in order");
    assert!(!place.path("data-fog/images").exists());
}

#[test]
fn shards_run_side_by_side_into_one_output() {
    let place = long();
    expect(&place.augment(&format!("{RUN} --output whole")), 0, &["12 frames"]);
    let shards: Vec<Child> = (1..=3).map(|n| start(&place, &format!("{RUN} --output shared --shard {n}/3"))).collect();
    for shard in shards {
        expect(&shard.wait_with_output().unwrap(), 0, &[]);
    }
    assert_eq!(results(&place, "shared"), results(&place, "whole"));
    let outputs = |name: &str| -> Vec<Value> {
        let mut outputs: Vec<Value> = place.rows(name).iter().map(|row| row["output"].clone()).collect();
        outputs.sort_by_key(Value::to_string);
        outputs
    };
    assert_eq!(outputs("shared"), outputs("whole"));
    let manifests = fs::read_dir(place.path("shared")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(manifests.filter(|name| name.to_str().unwrap().starts_with("manifest")).count(), 1);
    // Another division of the same work finds nothing left.
    for n in 1..=2 {
        let told = summary(&place, &format!("{RUN} --output shared --shard {n}/2"));
        assert_eq!((&told["done"], &told["jobs"]), (&0.into(), &told["skipped"]));
    }
}

#[test]
fn outputs_of_shards_elsewhere_are_merged_without_loss() {
    let place = long();
    place.text("data/images/train/broken.png", "no picture");
    expect(&place.augment(&format!("{RUN} --output whole")), 3, &["12 frames"]);
    for n in 1..=3 {
        let output = place.augment(&format!("{RUN} --output part-{n} --shard {n}/3"));
        assert!([Some(0), Some(3)].contains(&output.status.code()));
    }
    let merge = |args: &str| place.command(&format!("merge {args}")).output().unwrap();
    expect(&merge("all part-1 part-2"), 0, &["into all"]);
    let merged: Value = serde_json::from_slice(&merge("all part-2 part-3 part-1 --json").stdout).unwrap();
    assert!(merged["copied"].as_u64().unwrap() > 0 && merged["known"].as_u64().unwrap() > 0);
    assert_eq!(results(&place, "all"), results(&place, "whole"));
    assert_eq!(place.rows("all").len(), 13);
    expect(&place.augment(&format!("{RUN} --output all")), 3, &["12 frames done before, 1 FAILED before"]);
    expect(&merge("all data"), 1, &["data", "not an output of augment"]);

    // A copy that broke off, a picture that is missing, and a row of a file elsewhere.
    let mut done = place.rows("part-1");
    done.retain(|row| row["status"] == "done");
    let output = |at: usize| done[at]["output"].as_str().unwrap();
    fs::write(place.path("part-1").join(output(0)), "half").unwrap();
    fs::remove_file(place.path("part-1").join(output(1))).unwrap();
    let own = place.path("own.jpg");
    fs::write(&own, "a picture of someone").unwrap();
    let manifest = place.path("part-1/manifest.jsonl");
    let rows = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, rows.replace(output(2), "../own.jpg")).unwrap();
    let merged: Value = serde_json::from_slice(&merge("again part-1 --json").stdout).unwrap();
    assert_eq!((&merged["damaged"], merged["first_damaged"].is_string()), (&3.into(), true));
    assert_eq!(fs::read(&own).unwrap(), b"a picture of someone");
    let merged = merge("once-more part-1");
    expect(&merged, 3, &["left out 3 pictures", "first part-1/"]);
    expect(&merge("all"), 2, &["PARTS"]);
    fs::write(&manifest, format!("no row\n{rows}")).unwrap();
    expect(&merge("and-again part-1"), 3, &["left out 1 line of the manifest"]);
    expect(&place.command("report part-1").output().unwrap(), 0, &["left out 1 line of the manifest"]);
}

#[test]
fn two_runs_do_not_mix_and_a_killed_one_leaves_nothing_in_the_way() {
    let place = endless();
    let run = format!("{RUN} --jobs 1 --set stylize.steps=60");
    let mut first = start(&place, &run);
    place.wait_for_rows(&mut first, "data-fog", 1);
    expect(&place.augment(&run), 1, &["another run", "--output"]);
    expect(&place.augment(&format!("{run} --shard 1/2")), 1, &["another run", "--output"]);
    first.kill().unwrap();
    first.wait().unwrap();
    place.text("data-fog/images/train/.augment-x.tmp", "half a picture");
    expect(&place.augment(&format!("{RUN} --limit 1")), 0, &[]);
    assert!(!place.path("data-fog/images/train/.augment-x.tmp").exists());
}

#[test]
fn pictures_of_earlier_runs_that_no_longer_belong_are_pointed_out() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --set variants=2")), 0, &["4 frames"]);
    let output = place.augment(RUN);
    expect(
        &output,
        0,
        &["warning: the output still has 2 images that this config no longer makes", "a__fog-2.png", "--output"],
    );
    let output = place.augment(&format!("{RUN} --set variants=2 --limit 1"));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("earlier runs"));
}

#[test]
fn a_picture_of_another_dataset_is_replaced_on_request_alone() {
    let place = Place::new();
    for name in ["a.png", "b.jpg"] {
        let image = |folder: &str| format!("{folder}/images/train/{name}");
        place.image(&image("other"), 5, 50, 40);
    }
    expect(&place.augment(&format!("{RUN} --output out")), 0, &["2 frames"]);
    let first = results(&place, "out");
    let other = "--config fog.yaml other --output out";
    expect(&place.augment(other), 2, &["of another frame", "data/images/train/a.png", "choose another --output"]);
    assert_eq!(results(&place, "out"), first);
    expect(&place.augment(&format!("{other} --force")), 0, &["2 frames"]);
    // A dataset that holds the other one is another one, too.
    place.image("images/train/a.png", 8, 80, 60);
    expect(&place.augment("--config fog.yaml . --output out"), 2, &["of another frame"]);
}

#[cfg(unix)]
#[test]
fn a_dataset_that_is_reached_through_a_link_is_the_same() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output out")), 0, &["2 frames"]);
    std::os::unix::fs::symlink(place.path("data"), place.path("link")).unwrap();
    expect(&place.augment("--config fog.yaml link --output out --seed 4"), 0, &["done again: 2 for another seed"]);
}

#[test]
fn a_dry_run_refuses_the_output_that_the_run_would_refuse() {
    let place = Place::new();
    place.text("full/notes.md", "mine");
    for more in ["", " --dry-run"] {
        expect(&place.augment(&format!("{RUN} --output full{more}")), 1, &["holds files that augment has not written"]);
    }
}

#[test]
fn doubtful_labels_are_counted_and_warnings_survive_quiet() {
    let place = Place::new();
    place.text("data/labels/train/a.txt", "0 0.5 0.5 0.2 0.2\n0,0.5,0.5,0.2,0.2\n");
    place.text("data/labels/train/b.txt", "7 0.5 0.5 0.2 0.2\n");
    let told = [
        "of 1 frame have lines that are not YOLO labels, first line 2 of the label of",
        "images/train/a.png",
        "of 1 frame have class ids without a name",
    ];
    expect(&place.augment(&format!("{RUN} --quiet")), 0, &told);
    let summary = summary(&place, &format!("{RUN} --force"));
    assert_eq!([&summary["malformed_labels"], &summary["unnamed_classes"]], [1, 1]);
    let rows = place.rows("data-fog");
    assert!(rows.iter().any(|row| row["unnamed_classes"] == 1) && rows.iter().any(|row| row["malformed_labels"] == 1));

    place.text("flat/a.png", fs::read(place.path("data/images/train/a.png")).unwrap());
    place.text("flat/sub/b.png", fs::read(place.path("data/images/train/a.png")).unwrap());
    expect(&place.augment("--config fog.yaml flat --quiet"), 0, &["warning: "]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_frame_too_large_for_memory_is_worked_on_smaller_or_fails_with_the_figures() {
    // The limits below must be what is short, and not the machine's memory.
    let free = augment::memory::free();
    if free < 1 << 30 {
        skipped("frames too large for memory", &format!("only {free} bytes are free on this machine"));
        return;
    }
    let place = Place::new();
    place.image("data/images/train/large.png", 5, 1600, 1200);
    // One arena: by chance each thread reserves one of its own, of 64 MB, and the limit counts what is reserved.
    let limited = |kilobytes: u64, output: &str| {
        let program = env!("CARGO_BIN_EXE_augment");
        let set = "--set stylize.size=768 --set stylize.steps=1 --threads 1 --weights builtin";
        let line = format!("ulimit -v {kilobytes}; exec {program} {RUN} {set} --output {output}");
        let mut command = std::process::Command::new("sh");
        command.current_dir(place.path("")).env("MALLOC_ARENA_MAX", "1").args(["-c", &line]).output().unwrap()
    };
    expect(
        &limited(690_000, "some"),
        0,
        &["stylized at a smaller size, because memory was short: 1 frame", "3 frames"],
    );
    let rows = place.rows("some");
    let reduced: Vec<&Value> = rows.iter().map(|row| &row["reduced_size"]).filter(|size| !size.is_null()).collect();
    assert_eq!(reduced, [384]);
    expect(&limited(200_000, "none"), 3, &["large.png", "of memory and", "2 frames"]);
}

/// A network up to relu2_1 whose responses are so large that their squares are no numbers.
fn overflowing_weights() -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (index, inputs) in [(0, 3), (2, 16), (5, 16)] {
        for (name, shape) in [("weight", vec![16, inputs, 3, 3]), ("bias", vec![16])] {
            let count: usize = shape.iter().product();
            let offsets = [data.len(), data.len() + 4 * count];
            data.extend(std::iter::repeat_n(1e15_f32.to_le_bytes(), count).flatten());
            let tensor = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": offsets });
            header.insert(format!("features.{index}.{name}"), tensor);
        }
    }
    let header = Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// Runs `mount`, and then `line`, as root of a name space of its own; `None`, and a word of it, on systems that give
/// none.
#[cfg(target_os = "linux")]
fn with_mount(place: &Place, mount: &str, line: &str) -> Option<std::process::Output> {
    let probe = format!("({mount}) || exit 77; touch mounted; {line}");
    let mut command = std::process::Command::new("unshare");
    let output = command.args(["-r", "-m", "sh", "-c", &probe]).current_dir(place.path("")).output();
    if !place.path("mounted").exists() {
        skipped(&format!("what `{mount}` leads to"), "this system lets nobody mount");
        return None;
    }
    Some(output.unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_dataset_may_be_read_only_and_an_output_that_is_so_is_named() {
    let place = Place::new();
    fs::create_dir(place.path("fixed")).unwrap();
    let program = env!("CARGO_BIN_EXE_augment");
    let mount = "for f in data fixed; do mount --bind $f $f && mount -o remount,ro,bind $f $f || exit 1; done";
    let line = format!(
        "{program} {RUN} --weights builtin --quiet || exit 1; {program} {RUN} --weights builtin --output fixed/out"
    );
    let Some(output) = with_mount(&place, mount, &line) else { return };
    expect(&output, 1, &["2 frames", "fixed/out", "Read-only file system"]);
    assert_eq!(results(&place, "data-fog").len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_part_on_a_disk_that_cannot_be_written_is_merged() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output part")), 0, &[]);
    fs::remove_file(place.path("part/.augment.gate.lock")).unwrap();
    let mount = "mount --bind part part && mount -o remount,ro,bind part part";
    let line = format!("{} merge whole part", env!("CARGO_BIN_EXE_augment"));
    let Some(output) = with_mount(&place, mount, &line) else { return };
    expect(&output, 0, &["merged 2 pictures"]);
    assert_eq!(results(&place, "whole"), results(&place, "part"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_and_what_is_there_is_whole() {
    let place = long();
    fs::create_dir(place.path("disk")).unwrap();
    let program = env!("CARGO_BIN_EXE_augment");
    let run = format!("{program} {RUN} --jobs 1 --weights builtin --output disk/out");
    let line = format!("{run}; code=$?; cp -r disk kept; exit $code");
    let Some(output) = with_mount(&place, "mount -t tmpfs -o size=100k none disk", &line) else { return };
    expect(&output, 1, &["No space left on device"]);
    expect(&place.augment(&format!("{RUN} --output calm")), 0, &["12 frames"]);
    let (kept, calm) = (results(&place, "kept/out"), results(&place, "calm"));
    assert!(!kept.is_empty() && kept.len() < calm.len());
    assert!(kept.iter().all(|(path, bytes)| calm[path] == *bytes));
    let rows = place.rows("kept/out");
    assert!(!rows.is_empty());
    assert!(
        rows.iter()
            .all(|row| row["status"] == "done" && kept.contains_key(&PathBuf::from(row["output"].as_str().unwrap())))
    );
}

#[test]
fn a_loss_beyond_numbers_is_tried_once_more_and_then_a_failure() {
    let place = Place::new();
    place.text("large.safetensors", overflowing_weights());
    let output = place.command(&format!("{RUN} --weights large.safetensors")).output().unwrap();
    expect(&output, 3, &["not finite", "2 FAILED"]);
    let rows = place.rows("data-fog");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["restarted"] == true && row["evals"].is_null()));
    assert!(rows.iter().all(|row| row["losses"][0].is_null()), "{rows:?}");
    // The rows can be read back.
    let again = place.command(&format!("{RUN} --weights large.safetensors --json")).output().unwrap();
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["failed_before"], again["failures"].as_array().unwrap().len()), (&2.into(), 2));
    let merged = place.command("merge whole data-fog --json").output().unwrap();
    let merged: Value = serde_json::from_slice(&merged.stdout).unwrap();
    assert_eq!((&merged["failed"], &merged["unreadable"]), (&2.into(), &0.into()));
}

#[test]
fn a_reader_that_has_heard_enough_is_no_error() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.command(&format!("{RUN} --dry-run --weights builtin"));
    assert_eq!(command.stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn a_dry_run_can_be_read_by_programs() {
    let place = Place::new();
    let plan = summary(&place, &format!("{RUN} --dry-run --set variants=3"));
    assert_eq!((&plan["jobs"], &plan["frames"], &plan["styles"]), (&6.into(), &2.into(), &2.into()));
    assert_eq!(plan["outputs"][1], "images/train/a__fog-2.png");
    assert!(plan["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_label_that_was_removed_is_gone_from_the_output_too() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    assert!(place.path("data-fog/labels/train/a__fog-1.txt").is_file());
    fs::remove_file(place.path("data/labels/train/a.txt")).unwrap();
    expect(&place.augment(RUN), 0, &["1 for a changed image, label, mask or depth"]);
    assert!(!place.path("data-fog/labels/train/a__fog-1.txt").exists(), "a background frame has no boxes");
}

#[test]
fn a_picture_that_a_killed_run_of_other_settings_left_does_not_count() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    let picture = place.path("data-fog/images/train/a__fog-1.png");
    let calm = fs::read(&picture).unwrap();
    expect(&place.augment(&format!("{RUN} --set stylize.strength=0.3 --output other")), 0, &[]);
    // As if a run of that strength had been killed behind the picture and before its row.
    fs::copy(place.path("other/images/train/a__fog-1.png"), &picture).unwrap();
    assert!(fs::read(&picture).unwrap() != calm);
    expect(&place.augment(RUN), 0, &["1 for missing or changed pictures or labels"]);
    assert!(fs::read(&picture).unwrap() == calm);
}

#[test]
fn merging_takes_the_last_row_of_each_output() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output part --seed 1")), 0, &[]);
    expect(&place.augment(&format!("{RUN} --output part --seed 2")), 0, &[]);
    expect(&place.command("merge whole part").output().unwrap(), 0, &["2 pictures"]);
    expect(&place.augment(&format!("{RUN} --output whole --seed 2")), 0, &["nothing to do"]);
    expect(&place.augment(&format!("{RUN} --output whole --seed 1")), 0, &["for another seed"]);
    expect(&place.command("merge part part").output().unwrap(), 2, &["into itself"]);
    // It was made by the seed 1 in between.
    let told = ["0 pictures", "left out 2 pictures in place of which whole has others", "first part/images/train/"];
    expect(&place.command("merge whole part").output().unwrap(), 3, &told);
}

#[test]
fn a_dataset_that_was_moved_is_still_done_and_trains() {
    let place = Place::new();
    expect(&place.augment(&format!("{RUN} --output out")), 0, &[]);
    let before = fs::read_to_string(place.path("out/data.yaml")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::rename(place.path("data"), place.path("elsewhere/data")).unwrap();
    expect(&place.augment("--config fog.yaml elsewhere/data --output out"), 0, &["nothing to do"]);
    let after = fs::read_to_string(place.path("out/data.yaml")).unwrap();
    assert_eq!(after, before.replace("../data/", "../elsewhere/data/"));
    // Another dataset with a frame of that name is another matter.
    place.image("third/images/train/a.png", 9, 80, 60);
    place.text("third/data.yaml", "train: images/train\nval: images/train\nnames: {0: car, 1: person}\n");
    expect(&place.augment("--config fog.yaml third --output out"), 0, &["for a changed image"]);
}

#[test]
fn a_mask_of_a_style_is_a_part_of_it() {
    let place = Place::new();
    place.image("styles-masks/sky/one.png", 5, 90, 64);
    place.image("styles-masks/sky/two.png", 5, 64, 90);
    let run = format!("{RUN} --set stylize.regions=[sky]");
    expect(&place.augment(&run), 0, &[]);
    expect(&place.augment(&run), 0, &["nothing to do"]);
    place.image("styles-masks/sky/one.png", 6, 90, 64);
    place.image("styles-masks/sky/two.png", 6, 64, 90);
    expect(&place.augment(&run), 0, &["2 for another style"]);
}

#[test]
fn what_fails_after_it_was_done_is_no_longer_trained_on() {
    let place = Place::new();
    expect(&place.augment(RUN), 0, &[]);
    place.text("data/images/train/a.png", "no picture any more");
    expect(&place.augment(RUN), 3, &["1 FAILED"]);
    for file in ["images/train/a__fog-1.png", "labels/train/a__fog-1.txt"] {
        assert!(!place.path("data-fog").join(file).exists(), "{file}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_who_listens_is_no_reason_to_stop() {
    let place = Place::new();
    let mut command = place.command(&format!("{RUN} --weights builtin"));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(command.stderr(full).status().unwrap().code(), Some(0));
    assert_eq!(place.rows("data-fog").len(), 2);
    assert!(place.path("data-fog/data.yaml").is_file());
}

#[test]
fn a_data_yaml_elsewhere_names_the_dataset_that_it_speaks_of() {
    let place = Place::new();
    let root = place.path("data");
    place.text("lists/a.yaml", format!("path: {}\ntrain: images/train\nval: images/val\n", root.display()));
    expect(&place.augment("--config fog.yaml lists/a.yaml"), 0, &["data-fog"]);
    assert!(place.path("data-fog/images/train/a__fog-1.png").is_file() && !place.path("lists-fog").exists());
}

#[cfg(unix)]
#[test]
fn a_link_to_itself_is_passed_over() {
    let place = Place::new();
    std::os::unix::fs::symlink("loop.jpg", place.path("data/images/train/loop.jpg")).unwrap();
    expect(&place.augment(RUN), 0, &["2 frames"]);
}
