//! `augment learn`, and runs with a student.

use crate::place::{Place, expect};
use augment::batch::progress::Summary;
use augment::batch::stop::Stop;
use augment::batch::{Batch, RunOptions};
use augment::config::values::Config;
use augment::nst::{Device, Isa};
use serde_json::Value;
use std::fs;

/// Thirty frames, and a config that optimizes them.
fn place() -> Place {
    let place = Place::new();
    for n in 0..28 {
        place.image(&format!("data/images/train/{n:02}.png"), n, 72, 48);
        place.text(&format!("data/labels/train/{n:02}.txt"), "0 0.5 0.5 0.3 0.3\n");
    }
    place
}

const STEPS: &str = "--set stylize.steps=12";

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// How many frames of an output were made by `who`.
fn made_by(place: &Place, output: &str, who: &str) -> usize {
    place.rows(output).iter().filter(|row| row["made_by"] == who).count()
}

#[test]
fn a_student_is_the_same_whatever_the_threads_and_draws_the_frames_of_a_run() {
    let place = place();
    let learn = |output: &str, threads: usize| {
        let made = place
            .command(&format!(
                "learn --config fog.yaml data --frames 30 {STEPS} --output {output} --threads {threads} --json"
            ))
            .args(["--weights", "builtin"])
            .env("RAYON_NUM_THREADS", threads.to_string())
            .output()
            .unwrap();
        expect(&made, 0, &["learned from 24 frames; on 6 others", output]);
        json(&made.stdout)
    };
    let facts = learn("one.student", 1);
    assert!(facts["facts"]["figures"]["student_db"].as_f64() > facts["facts"]["figures"]["start_db"].as_f64());
    assert!(place.path("one.student.png").exists(), "a sheet");
    learn("two.student", 2);
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(read("one.student") == read("two.student"), "threads changed the student");

    let run = format!("--config fog.yaml data {STEPS} --set stylize.engine=one.student");
    let out = place.augment(&format!("{run} --json"));
    expect(&out, 0, &["student", "drawn by a student: "]);
    let summary = json(&out.stdout);
    assert_eq!(summary["students"][0], facts["digest"]);
    let (drawn, passed_on) = (made_by(&place, "data-fog", "student"), made_by(&place, "data-fog", "optimizer"));
    assert_eq!((summary["drawn_by_student"].as_u64(), drawn + passed_on), (Some(drawn as u64), 30));
    for row in place.rows("data-fog") {
        assert_eq!(row["student"], facts["digest"]);
        let is_trusted = row["disagreement"].as_f64().unwrap() <= facts["facts"]["gate"].as_f64().unwrap() + 1e-4;
        assert_eq!(row["made_by"] == "student", is_trusted, "{row}");
        assert_eq!(row["made_by"] == "student", row["evals"] == 0, "{row}");
    }
    expect(&place.augment(&run), 0, &["nothing to do: 30 frames done before"]);

    // What the student passes on is as the optimizer alone makes it, and what it draws is not.
    expect(&place.augment(&format!("--config fog.yaml data {STEPS} --output optimized")), 0, &["30 frames"]);
    for row in place.rows("data-fog") {
        let name = row["output"].as_str().unwrap();
        let same = read(&format!("data-fog/{name}")) == read(&format!("optimized/{name}"));
        assert_eq!(same, row["made_by"] == "optimizer", "{name}");
    }
    let text = place.augment(&format!("--config fog.yaml data {STEPS} --output data-fog"));
    expect(&text, 0, &["done again: 30 for another student"]);
}

#[test]
fn students_that_are_damaged_or_learned_something_else_are_refused_and_so_is_what_none_can_draw() {
    let place = place();
    let learn = format!("learn --config fog.yaml data --frames 30 {STEPS}");
    expect(&place.augment(&learn), 0, &["fog.student"]);
    let run = |more: &str| place.augment(&format!("--config fog.yaml data --set stylize.engine=fog.student {more}"));
    expect(&run("--set stylize.steps=5"), 1, &["fog.student", "learned something else: settings ("]);
    place.image("styles/three.png", 9, 50, 50);
    expect(&run(STEPS), 1, &["learned something else: style pictures ("]);
    fs::remove_file(place.path("styles/three.png")).unwrap();
    expect(&run(&format!("{STEPS} --dry-run")), 0, &[]);
    // What comes after the optimizer may change.
    expect(&run(&format!("{STEPS} --set stylize.strength=0.5 --limit 2")), 0, &["2 frames"]);
    let mut bytes = fs::read(place.path("fog.student")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(place.path("fog.student"), bytes).unwrap();
    expect(&run(STEPS), 1, &["fog.student", "damaged student", "augment learn"]);

    expect(&place.augment(&format!("{learn} --set stylize.render=pixels")), 2, &["no student: it draws maps"]);
    expect(&place.augment("learn --config fog.yaml data --set stylize.steps=0"), 2, &["nothing is optimized"]);
    fs::write(place.path("data/images/train/00.png"), "no picture").unwrap();
    let few = place.augment(&format!("learn --config fog.yaml data --frames 20 {STEPS}"));
    expect(&few, 1, &["needs 16 optimized frames to learn from and 4 to be judged by"]);
    expect(&place.augment(&format!("{learn} --output fog.png")), 2, &["a student is not a picture"]);
    expect(&place.augment(&format!("{learn} --output gone/a.student")), 2, &["a folder that exists"]);
}

#[test]
fn a_run_that_learns_on_its_way_optimizes_all_where_there_are_few_frames() {
    let place = place();
    let out = place.augment("--config fog.yaml data --set stylize.engine=learn --json");
    expect(&out, 0, &["30 frames are too few to learn from, so all are optimized"]);
    assert_eq!(json(&out.stdout)["students"], Value::Array(Vec::new()));
    assert!(place.rows("data-fog").iter().all(|row| row.get("student").is_none()));
}

/// A run through the library, which may learn from fewer frames than the program does.
fn run(place: &Place, learn_frames: usize) -> Summary {
    let sets = ["stylize.engine=learn", "stylize.steps=12", "variants=3"].map(String::from);
    let config = Config::load(&place.path("fog.yaml"), &sets).unwrap();
    let options = RunOptions { output: Some(place.path("out")), learn_frames, ..RunOptions::default() };
    let batch = Batch::open(vec![config], &place.path("data"), options).unwrap();
    let engines = batch.engines(Some("builtin"), &Device::Cpu(Isa::named(None).unwrap())).unwrap();
    batch.run(&engines, &Stop::after_failures(None), &mut ()).unwrap()
}

#[test]
fn a_run_learns_on_its_way_keeps_its_student_and_learns_anew_if_that_is_damaged() {
    let place = place();
    fs::write(place.path("data/images/train/05.png"), "no picture").unwrap();
    let first = run(&place, 28);
    assert_eq!((first.done, first.failed, first.students.len()), (87, 3, 1));
    assert_eq!(first.drawn_by_student + first.passed_on_by_student, 87);
    assert!(first.drawn_by_student > 43, "{}", first.drawn_by_student);
    let student = fs::read(place.path("out/fog.student")).unwrap();
    let again = run(&place, 28);
    assert_eq!((again.done, again.skipped, again.students), (0, 87, first.students.clone()));

    fs::write(place.path("out/fog.student"), "no student").unwrap();
    let anew = run(&place, 28);
    assert!(anew.warnings.iter().any(|text| text.contains("fog.student") && text.contains("learned anew")));
    assert!(fs::read(place.path("out/fog.student")).unwrap() == student, "the same frames teach the same");
    assert_eq!((anew.done, anew.skipped), (0, 87));

    // Where all is done without a student, none is learned for nothing.
    fs::remove_dir_all(place.path("out")).unwrap();
    let optimized = run(&place, 600);
    assert_eq!((optimized.done, optimized.students.len()), (87, 0));
    let again = run(&place, 28);
    assert_eq!((again.done, again.skipped, again.students.len()), (0, 87, 0));
    assert!(!place.path("out/fog.student").exists());

    let shard = place.augment("--config fog.yaml data --set stylize.engine=learn --shard 1/2 --output shards");
    expect(&shard, 2, &["each shard or worker would learn its own student"]);
}
