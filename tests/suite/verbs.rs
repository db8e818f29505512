//! The small verbs from outside: what they give to people, shells and editors, and what they say to mistakes.

use crate::place::{Place, expect};
use serde_json::Value;
use std::fs;
use std::process::Output;

fn run(place: &Place, args: &str) -> Output {
    place.command(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_new_config_runs_as_it_stands() {
    let place = Place::new();
    expect(&run(&place, "init night new"), 0, &["night.yaml", "augment preview"]);
    let names: Vec<_> = place
        .files("new")
        .into_keys()
        .map(|path| path.strip_prefix(place.path("new")).unwrap().to_path_buf())
        .collect();
    let pictures = (1..=3).map(|n| format!("styles/night/night_{n}.jpg"));
    let wanted = ["augment.schema.json", "night.yaml"].map(String::from).into_iter().chain(pictures);
    assert_eq!(names, wanted.map(Into::into).collect::<Vec<std::path::PathBuf>>());
    expect(
        &place.augment("--config new/night.yaml data --set stylize.size=64 --set stylize.steps=2"),
        0,
        &["2 frames"],
    );
    assert!(place.path("data-night/images/train/a__night-1.png").is_file());
}

#[test]
fn a_new_config_overwrites_nothing() {
    let place = Place::new();
    let before = fs::read(place.path("fog.yaml")).unwrap();
    expect(&run(&place, "init fog"), 1, &["fog.yaml", "already there", "another folder"]);
    assert_eq!(fs::read(place.path("fog.yaml")).unwrap(), before);
    assert!(!place.path("augment.schema.json").exists(), "all or nothing");
    expect(&run(&place, "init mist"), 2, &["mist", "fog, rain, snow, night, dusk, painting"]);
    expect(&run(&place, "init"), 2, &["PRESET"]);
    expect(&run(&place, "init rain fog.yaml"), 1, &["fog.yaml"]);
}

#[test]
fn the_schema_is_json_and_names_every_block() {
    let place = Place::new();
    let output = run(&place, "schema");
    expect(&output, 0, &[]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["stylize"]["properties"]["steps"]["default"], 30);
    assert_eq!(schema["properties"]["output"]["additionalProperties"], false);
    expect(&run(&place, "schema fog.yaml"), 2, &["unexpected argument", "fog.yaml"]);
}

#[test]
fn the_doctor_says_what_there_is_and_what_would_be_faster() {
    let place = Place::new();
    let output = place.augment("doctor --config fog.yaml --set stylize.steps=40 --json");
    expect(&output, 0, &[]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["backbone"], &found["styles"], &found["evaluations"]),
        (&"builtin".into(), &2.into(), &40.into())
    );
    assert_eq!((&found["working_width"], &found["working_height"]), (&64.into(), &36.into()));
    assert!(found["seconds_per_frame"].as_f64().unwrap() > 0.0 && found["free_memory_mb"].is_number());
    // There may be other advice before, such as to free memory.
    let advice = found["advice"].as_array().unwrap();
    assert!(advice.iter().any(|one| one.as_str().unwrap().contains("`stylize.steps: 0`")), "{found}");

    let output =
        place.command("doctor --config fog.yaml --weights builtin").env("AUGMENT_ISA", "portable").output().unwrap();
    let text = said(&output);
    assert!(text.contains("builtin") && text.contains("2 styles") && text.contains("portable"), "{text}");
    // The advice is given only if the processor has better kernels.
    let has_better = augment::nst::kernels::simd::Isa::available().len() > 1;
    assert_eq!(text.contains("AUGMENT_ISA limits kernels to portable"), has_better, "{text}");
}

#[test]
fn the_doctor_and_the_plan_know_a_config_without_evaluations() {
    let place = Place::new();
    let output = place.augment("doctor --config fog.yaml --set stylize.steps=0 --json");
    expect(&output, 0, &[]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["backbone"], &found["evaluations"]), (&"none".into(), &0.into()));
    assert!(found["seconds_per_evaluation"].is_null() && found["seconds_per_frame"].as_f64().unwrap() > 0.0, "{found}");
    let output = place.augment("--config fog.yaml data --set stylize.steps=0 --dry-run --json");
    expect(&output, 0, &[]);
    let planned: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(planned["seconds"].as_f64().unwrap() > 0.0, "{planned}");
    let output = place.augment("bench --config fog.yaml --set stylize.steps=0 --size 64 --evals 2");
    expect(&output, 0, &[]);
    assert!(said(&output).contains("(0 evaluations)"), "{}", said(&output));
}

#[test]
fn the_doctor_names_what_is_wrong() {
    let place = Place::new();
    expect(&run(&place, "doctor --config gone.yaml"), 2, &["gone.yaml"]);
    expect(&run(&place, "doctor --config fog.yaml --weights gone.safetensors"), 1, &["gone.safetensors"]);
    expect(&run(&place, "doctor --size 1280"), 2, &["WIDTHxHEIGHT"]);
    expect(&run(&place, "doctor --set stylize.steps=3"), 2, &["--set", "--config"]);
    let output = place.command("doctor --weights builtin").env("AUGMENT_ISA", "neon9").output().unwrap();
    expect(&output, 2, &["AUGMENT_ISA", "neon9", "portable"]);
}

#[test]
fn shells_complete_verbs_and_options() {
    let place = Place::new();
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef augment"), ("fish", "complete -c augment")] {
        let script = said(&run(&place, &format!("completions {shell}")));
        assert!(script.contains(word) && script.contains("preview") && script.contains("retry-failed"), "{shell}");
    }
    expect(&run(&place, "completions csh"), 2, &["csh", "bash"]);
    expect(&run(&place, "completions"), 2, &["SHELL"]);
}

#[test]
fn every_verb_has_a_manual_page_and_help_with_an_example() {
    let place = Place::new();
    let page = said(&run(&place, "man"));
    assert!(page.contains(".TH augment 1") && page.contains("Exit codes"), "{page}");
    for verb in ["preview", "report", "init", "doctor", "bench", "merge"] {
        assert!(said(&run(&place, &format!("man {verb}"))).contains(&format!("augment\\-{verb}")), "{verb}");
        assert!(said(&run(&place, &format!("{verb} --help"))).contains(&format!("  augment {verb} ")), "{verb}");
    }
    expect(&run(&place, "man previw"), 2, &["previw", "did you mean `preview`?"]);
}

#[test]
fn the_bench_names_what_it_cannot_measure() {
    let place = Place::new();
    expect(&run(&place, "bench"), 2, &["--config"]);
    expect(&run(&place, "bench --config fog.yaml --size 3"), 2, &["--size", "16..=8192"]);
    expect(&run(&place, "bench --config fog.yaml --evals 0"), 2, &["--evals"]);
    expect(&run(&place, "bench --config fog.yaml --weights gone.safetensors"), 1, &["gone.safetensors"]);
}
