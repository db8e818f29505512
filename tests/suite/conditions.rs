//! Which frames become what: sequences, several conditions in one run, and the choice of frames.

use crate::place::{Place, expect};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Output;

/// With all that moves from frame to frame, and without a guard, which would look at boxes.
fn config(condition: &str) -> String {
    format!(
        "condition: {condition}\nstyles: [{{path: styles}}]\nstylize:\n  size: 64\n  steps: 2\n  guard: false\n  \
         strength: [0.3, 1]\n  falling: {{kind: snow}}\n  effects: {{noise: [0.02, 0.08]}}\n  \
         style: {{layers: {{relu1_1: 1, relu2_1: 1}}}}\n  content: {{layers: {{relu2_1: 1}}}}\n"
    )
}

/// Six drives of three equal frames each, the names of which are in natural order only by their numbers. Drive 2 has
/// two persons in each frame, and the others a car.
fn drives() -> Place {
    let place = Place::new();
    fs::remove_dir_all(place.path("data/images/train")).unwrap();
    fs::remove_dir_all(place.path("data/labels/train")).unwrap();
    for drive in 0..6 {
        for frame in [1, 2, 10] {
            place.image(&format!("data/images/train/drive{drive}/{frame}.png"), drive, 60, 48);
            let label = if drive == 2 { "1 .5 .5 .1 .1\n1 .2 .2 .1 .1\n" } else { "0 .5 .5 .2 .2\n" };
            place.text(&format!("data/labels/train/drive{drive}/{frame}.txt"), label);
        }
    }
    for condition in ["fog", "night", "snow"] {
        place.text(&format!("{condition}.yaml"), config(condition));
    }
    place
}

const DRIVES: &str = r"--set sequence=(drive\d+)/";

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Pictures, labels and `data.yaml` by their paths below the output.
fn made(place: &Place, output: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let root = place.path(output);
    let files = place.files(output).into_iter().map(|(path, bytes)| (path.strip_prefix(&root).unwrap().into(), bytes));
    files
        .filter(|(path, _): &(PathBuf, _)| ["images", "labels", "data.yaml"].iter().any(|top| path.starts_with(top)))
        .collect()
}

/// The frames of each condition in an output, by their names below `images/train`.
fn by_condition(place: &Place, output: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut frames: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in place.rows(output) {
        let source = row["source"].as_str().unwrap().split_once("images/train/").unwrap().1.to_string();
        frames.entry(row["condition"].as_str().unwrap().to_string()).or_default().insert(source);
    }
    frames
}

#[test]
fn the_frames_of_a_drive_share_all_that_is_drawn_and_only_what_moves_differs() {
    let place = drives();
    expect(&place.augment(&format!("--config fog.yaml data {DRIVES}")), 0, &["18 frames"]);
    let mut drawn: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in place.rows("data-fog") {
        let (drive, frame) =
            (row["sequence"].as_str().unwrap(), row["output"].as_str().unwrap().rsplit('/').next().unwrap());
        let order = ["1__fog-1.png", "2__fog-1.png", "10__fog-1.png"].iter().position(|name| *name == frame).unwrap();
        assert_eq!(row["place"], order, "{row}");
        let shared = format!("{} {} {}", row["style"], row["seed"], row["strength"]);
        drawn.entry(drive.to_string()).or_default().insert(shared);
    }
    assert_eq!(drawn.keys().collect::<Vec<_>>(), ["drive0", "drive1", "drive2", "drive3", "drive4", "drive5"]);
    assert!(drawn.values().all(|one| one.len() == 1), "{drawn:?}");
    assert_eq!(drawn.values().flatten().collect::<BTreeSet<_>>().len(), 6, "drives differ");
    // The frames of a drive are equal here, so their pictures differ by noise and snow alone.
    let picture = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(
        picture("data-fog/images/train/drive0/1__fog-1.png") != picture("data-fog/images/train/drive0/2__fog-1.png")
    );
    let still =
        format!("--config fog.yaml data {DRIVES} --set stylize.falling.kind=none --set stylize.effects.noise=0");
    expect(&place.augment(&format!("{still} --output still")), 0, &[]);
    assert!(picture("still/images/train/drive0/1__fog-1.png") == picture("still/images/train/drive0/2__fog-1.png"));
}

#[test]
fn a_sequence_is_resumed_and_divided_into_shards_and_a_frame_in_between_moves_those_behind_it() {
    let place = drives();
    let run = format!("--config fog.yaml data {DRIVES}");
    expect(&place.augment(&format!("{run} --limit 5")), 0, &["5 frames"]);
    expect(&place.augment(&run), 0, &["13 frames", "5 done before"]);
    expect(&place.augment(&run), 0, &["nothing to do"]);
    expect(&place.augment(&format!("{run} --output two --shard 2/2")), 0, &[]);
    expect(&place.augment(&format!("{run} --output two --shard 1/2")), 0, &[]);
    assert!(made(&place, "two") == made(&place, "data-fog"));
    // By folder, each drive has another name and with it another seed.
    expect(&place.augment("--config fog.yaml data --set sequence=folder"), 0, &["18 for another seed"]);
    expect(&place.augment(&run), 0, &["18 for another seed"]);
    place.image("data/images/train/drive3/5.png", 3, 60, 48);
    expect(&place.augment(&run), 0, &["1 for another place in a sequence", "2 frames", "17 done before"]);
}

#[test]
fn an_expression_for_sequences_has_one_group_and_matches_frames_and_what_it_does_not_match_is_counted() {
    let place = drives();
    place.image("data/images/train/still.png", 5, 40, 40);
    let with = |sequence: &str| place.augment(&format!("--config fog.yaml data --json --set sequence={sequence}"));
    expect(&with(r"drive\d"), 2, &["has no group", "--set sequence="]);
    expect(&with(r"(drive)(\d)"), 2, &["has 2 groups"]);
    expect(&with("(run[0-9]+)"), 2, &["matches none of the 19 frames", "images/train/drive0/1.png"]);
    assert!(!place.path("data-fog").exists());
    let output = with(r"(drive\d)/");
    expect(&output, 0, &["does not match 1 of 19 frames, such as images/train/still.png"]);
    let summary = json(&output);
    assert_eq!(summary["conditions"][0]["not_matched_by_sequence"], 1);
    assert!(summary["warnings"].to_string().contains("still.png"), "{summary}");
    let rows = place.rows("data-fog");
    let still = rows.iter().find(|row| row["sequence"] == "images/train/still.png").unwrap();
    // What is alone is as without sequences.
    expect(&place.augment("--config fog.yaml data --output alone"), 0, &[]);
    let rows = place.rows("alone");
    let alone = rows.iter().find(|row| row["output"] == still["output"]).unwrap();
    assert!(alone["seed"] == still["seed"] && alone.get("sequence").is_none());
    let picture = |folder: &str| fs::read(place.path(folder).join("images/train/still__fog-1.png")).unwrap();
    assert!(picture("alone") == picture("data-fog"));
}

#[test]
fn several_conditions_share_the_frames_in_one_output() {
    let place = drives();
    let output = place.augment("--config fog.yaml --config night.yaml data --output weather --json");
    expect(&output, 0, &["frames by condition: fog 9, night 9", "18 frames"]);
    let summary = json(&output);
    assert_eq!((&summary["jobs"], &summary["done"], &summary["left"]), (&18.into(), &18.into(), &0.into()));
    assert_eq!(
        (&summary["conditions"][1]["condition"], &summary["conditions"][1]["jobs"]),
        (&"night".into(), &9.into())
    );
    let frames = by_condition(&place, "weather");
    assert!(frames["fog"].len() == 9 && frames["night"].len() == 9 && frames["fog"].is_disjoint(&frames["night"]));
    let data = fs::read_to_string(place.path("weather/data.yaml")).unwrap();
    assert!(data.contains(r#"train: ["../data/images/train", "images/train"]"#), "{data}");
    assert!(place.path("weather/sheet.png").is_file());
    for row in place.rows("weather") {
        let source = row["source"].as_str().unwrap().replace("/images/", "/labels/").replace(".png", ".txt");
        assert_eq!(
            fs::read(place.path("weather").join(row["label"].as_str().unwrap())).unwrap(),
            fs::read(source).unwrap()
        );
    }
    // Each picture is the one that its config makes alone.
    expect(&place.augment("--config night.yaml data"), 0, &[]);
    let (together, alone) = (made(&place, "weather"), made(&place, "data-night"));
    let of_night = |(path, _): &(&PathBuf, &Vec<u8>)| path.to_string_lossy().contains("__night-");
    assert_eq!(together.iter().filter(of_night).count(), 18);
    assert!(together.iter().filter(of_night).all(|(path, bytes)| alone[path] == *bytes));
}

#[test]
fn several_conditions_are_resumed_divided_and_done_in_any_order_of_configs() {
    let place = drives();
    let run = "--config fog.yaml --config night.yaml --config snow.yaml data";
    expect(&place.augment(&format!("{run} --limit 7")), 0, &["7 frames"]);
    expect(&place.augment(run), 0, &["11 frames", "7 done before"]);
    let turned = "--config snow.yaml --config fog.yaml --config night.yaml data";
    expect(&place.augment(turned), 0, &["nothing to do: 18 frames", "data-fog-night-snow"]);
    for shard in ["3/3", "1/3", "2/3"] {
        expect(&place.augment(&format!("{run} --output parts --shard {shard}")), 0, &[]);
    }
    assert!(made(&place, "parts") == made(&place, "data-fog-night-snow"));
    expect(&place.augment(&format!("{run} --force")), 0, &["18 frames"]);
    expect(
        &place.augment(&format!("{run} --seed 9")),
        0,
        &["that this config no longer makes", "which are still trained on"],
    );

    let twice = format!("{run} --output twice --per-frame 2");
    let outline = json(&place.augment(&format!("{twice} --dry-run --json")));
    assert!(!place.path("twice").exists());
    assert_eq!(
        (&outline["jobs"], &outline["frames"], &outline["condition"]),
        (&36.into(), &18.into(), &"fog, night, snow".into())
    );
    assert!(outline["conditions"].as_array().unwrap().iter().all(|counts| counts["jobs"] == 12), "{outline}");
    expect(&place.augment(&twice), 0, &["36 frames"]);
    assert_eq!(place.rows("twice").len(), 36);
}

#[test]
fn configs_that_do_not_go_together_are_refused_before_any_work() {
    let place = drives();
    expect(
        &place.augment("--config fog.yaml --config fog.yaml data"),
        2,
        &["two configs have the condition `fog`,", "`condition`"],
    );
    expect(&place.augment("--config fog.yaml --config night.yaml data --set condition=Rain"), 2, &["`Rain`"]);
    expect(&place.augment("--config fog.yaml --config night.yaml data --per-frame 3"), 2, &["--per-frame 3", "1 to 2"]);
    expect(&place.augment("--config fog.yaml data --per-frame 0"), 2, &["--per-frame 0"]);
    place.text("night.yaml", format!("{}sequence: folder\n", config("night")));
    expect(&place.augment("--config fog.yaml --config night.yaml data"), 2, &["differ in `sequence`"]);
    assert!(!place.path("data-fog-night").exists());
}

#[test]
fn drives_stay_together_under_one_condition() {
    let place = drives();
    expect(
        &place.augment(&format!("--config fog.yaml --config night.yaml data --output out {DRIVES}")),
        0,
        &["fog 9, night 9"],
    );
    let frames = by_condition(&place, "out");
    let drives = |condition: &str| -> BTreeSet<&str> {
        frames[condition].iter().map(|frame| frame.split('/').next().unwrap()).collect()
    };
    assert!(drives("fog").len() == 3 && drives("fog").is_disjoint(&drives("night")));
}

#[test]
fn a_bad_frame_stops_no_condition_and_too_many_stop_all() {
    let place = drives();
    for drive in 0..6 {
        place.text(&format!("data/images/train/drive{drive}/2.png"), "no picture");
    }
    let run = "--config fog.yaml --config night.yaml data --per-frame 2 --json";
    let output = place.augment(&format!("{run} --output few --max-failures 1 --jobs 1"));
    expect(&output, 3, &["stopped after 1 failure"]);
    let summary = json(&output);
    assert!(summary["left"].as_u64().unwrap() > 18, "no frame of the second condition begins: {summary}");
    let output = place.augment(run);
    expect(&output, 3, &["12 FAILED"]);
    assert_eq!((&json(&output)["done"], &json(&output)["failed"]), (&24.into(), &12.into()));
    expect(&place.augment(run), 3, &["24 frames done before, 12 FAILED before"]);
}

#[test]
fn only_frames_with_the_objects_asked_for_are_stylized_and_the_others_are_counted() {
    let place = drives();
    place.text("data/images/train/background.png", fs::read(place.path("data/images/train/drive0/1.png")).unwrap());
    let with = |selection: &str, output: &str| {
        place.augment(&format!("--config fog.yaml data --json --output {output} --set where={selection}"))
    };
    let output = with(r#"{"classes":["person"],"at_least":2}"#, "name");
    expect(&output, 0, &["3 frames", "16 frames not chosen by `where`"]);
    assert_eq!(json(&output)["not_chosen_by_where"], 16);
    expect(&with(r#"{"classes":[1]}"#, "id"), 0, &["3 frames"]);
    for output in ["name", "id"] {
        assert!(by_condition(&place, output)["fog"].iter().all(|frame| frame.starts_with("drive2/")));
    }
    expect(&with(r#"{"classes":[0,"person"]}"#, "any"), 0, &["18 frames", "1 frame not chosen by `where`"]);
    expect(&with(r#"{"classes":["person"],"at_least":3}"#, "none"), 0, &["`where` chooses none of 19 frames"]);

    place.text("fog.yaml", format!("{}where:\n  classes: [persom]\n", config("fog")));
    expect(
        &place.augment("--config fog.yaml data"),
        2,
        &["fog.yaml:13:13: the dataset has no class `persom`", "`person`?"],
    );
    place.text("fog.yaml", format!("{}where: {{classes: [7]}}\n", config("fog")));
    expect(&place.augment("--config fog.yaml data"), 2, &["no class `7`", "`car` (0)"]);
}

#[test]
fn a_rare_class_gets_more_copies_from_two_configs() {
    let place = drives();
    place.text("rare.yaml", format!("{}variants: 3\nwhere: {{classes: [person]}}\n", config("fog-rare")));
    let run = "--config fog.yaml --config rare.yaml data --per-frame 2 --output out";
    expect(&place.augment(run), 0, &["27 frames", "frames by condition: fog 18, fog-rare 3"]);
    assert_eq!(place.rows("out").len(), 18 + 3 * 3);
    // Neither counts the pictures of the other as left over.
    let again = place.augment("--config fog.yaml data --output out");
    expect(&again, 0, &["nothing to do"]);
    assert!(!String::from_utf8_lossy(&again.stderr).contains("plan does not have"));
}

#[test]
fn a_fraction_may_be_given_for_each_split() {
    let place = drives();
    for n in 0..40 {
        place.image(&format!("data/images/val/{n}.png"), n, 20, 20);
    }
    let frames = |splits: &str| {
        let set = r#"--set fraction={"train":1,"val":0.2}"#;
        let output = place.augment(&format!("--config fog.yaml data --dry-run --json {set} --set splits={splits}"));
        expect(&output, 0, &[]);
        json(&output)
    };
    let both = frames("[train,val]");
    let outputs: Vec<&str> =
        both["outputs"].as_array().unwrap().iter().map(|output| output.as_str().unwrap()).collect();
    let of = |split: &str| outputs.iter().filter(|output| output.starts_with(&format!("images/{split}/"))).count();
    assert_eq!(of("train"), 18);
    assert!((2..20).contains(&of("val")), "{}", of("val"));
    assert!(both["warnings"].as_array().unwrap().is_empty(), "{both}");
    let train = frames("[train]");
    assert!(train["jobs"] == 18 && train["warnings"].to_string().contains("`fraction` has `val`"), "{train}");
}
