//! Frames that other processes stylize: pictures in memory, and tasks of a run that an executor hands out.

use crate::place::Place;
use augment::batch::context::DatasetFacts;
use augment::batch::executor::Executor;
use augment::batch::frame_stylizer::{FrameInput, FrameStylizer};
use augment::batch::progress::Summary;
use augment::batch::stop::{Reason, Stop};
use augment::batch::{Batch, RunOptions};
use augment::config::values::Config;
use augment::dataset::labels::Schema;
use augment::error::Result;
use augment::imageio::decode;
use augment::nst::{Device, Isa};
use augment::output::row::Row;
use augment::plan::task::Task;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn config(place: &Place, sets: &[&str]) -> Config {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    Config::load(&place.path("fog.yaml"), &sets).unwrap()
}

fn device() -> Device {
    Device::Cpu(Isa::named(None).unwrap())
}

fn stylizer(place: &Place, sets: &[&str]) -> FrameStylizer {
    FrameStylizer::open(config(place, sets), Some("builtin"), device()).unwrap()
}

/// Does tasks with a stylizer of its own, which may have another config than the run; every chunk goes there and back
/// as text.
struct Elsewhere {
    stylizer: FrameStylizer,
    output: PathBuf,
    chunks: usize,
}

impl Executor for Elsewhere {
    fn execute(
        &mut self,
        tasks: &mut dyn ExactSizeIterator<Item = Task>,
        facts: &DatasetFacts,
        stop: &Stop,
        finished: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        let tasks: Vec<Task> = tasks.collect();
        let facts: DatasetFacts = serde_json::from_str(&serde_json::to_string(facts).unwrap()).unwrap();
        for chunk in tasks.chunks(2) {
            if stop.asked() {
                break;
            }
            self.chunks += 1;
            let chunk: Vec<Task> = serde_json::from_str(&serde_json::to_string(chunk).unwrap()).unwrap();
            for row in self.stylizer.work(&chunk, facts.clone(), &self.output, 2, stop)? {
                // A worker that was given up may have done it, too.
                for _ in 0..2 {
                    finished(serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap())?;
                }
            }
        }
        Ok(())
    }
}

fn run(place: &Place, output: &str, sets: &[&str], elsewhere: Option<&mut Elsewhere>, stop: &Stop) -> Result<Summary> {
    let options = RunOptions { output: Some(place.path(output)), ..RunOptions::default() };
    let batch = Batch::open(vec![config(place, sets)], &place.path("data"), options)?;
    let engines = batch.engines(Some("builtin"), &device())?;
    batch.run_on(elsewhere.map(|executor| executor as &mut dyn Executor), &engines, stop, &mut ())
}

fn elsewhere(place: &Place, output: &str, sets: &[&str]) -> Elsewhere {
    Elsewhere { stylizer: stylizer(place, sets), output: place.path(output), chunks: 0 }
}

/// The rows of an output without times, sorted by output.
fn rows(place: &Place, output: &str) -> Vec<Value> {
    let mut rows = place.rows(output);
    for row in &mut rows {
        row["seconds"] = Value::Null;
        for files in ["source_files", "made_files"] {
            row[files]["modified"] = Value::Null;
        }
    }
    rows.sort_by_key(|row| row["output"].to_string());
    rows
}

const SETS: [&str; 2] = ["variants=3", "mix=2"];

#[test]
fn frames_that_are_done_elsewhere_have_the_files_and_rows_of_a_run() {
    let place = Place::new();
    fs::write(place.path("data/images/train/d.png"), "no picture").unwrap();
    let here = run(&place, "here", &SETS, None, &Stop::default()).unwrap();
    let mut other = elsewhere(&place, "there", &SETS);
    let there = run(&place, "there", &SETS, Some(&mut other), &Stop::default()).unwrap();
    assert_eq!((here.done, here.failed), (6, 3));
    assert_eq!((there.done, there.failed, there.left, other.chunks), (6, 3, 0, 5));
    for kind in ["images", "labels", "data.yaml"] {
        let of = |output: &str| place.files(&format!("{output}/{kind}")).into_values().collect::<Vec<_>>();
        assert!(of("here") == of("there") && !of("here").is_empty(), "{kind}");
    }
    assert_eq!(rows(&place, "here"), rows(&place, "there"));
    let again = run(&place, "there", &SETS, Some(&mut other), &Stop::default()).unwrap();
    assert_eq!((again.done, again.skipped, again.failed_before), (0, 6, 3));
}

#[test]
fn a_worker_with_another_config_or_other_styles_ends_the_run() {
    let place = Place::new();
    let mut other = elsewhere(&place, "out", &["variants=3", "mix=2", "stylize.steps=2"]);
    let error = run(&place, "out", &SETS, Some(&mut other), &Stop::default()).unwrap_err().to_string();
    assert!(error.contains("another config") && error.contains("give every machine the same"), "{error}");
    let mut other = elsewhere(&place, "out", &SETS);
    place.image("styles/one.jpg", 9, 90, 64);
    let error = run(&place, "out", &SETS, Some(&mut other), &Stop::default()).unwrap_err().to_string();
    assert!(error.contains("style pictures here are not those"), "{error}");
}

#[test]
fn failures_elsewhere_count() {
    let place = Place::new();
    for name in ["d", "e", "f"] {
        fs::write(place.path(&format!("data/images/train/{name}.png")), "no picture").unwrap();
    }
    let mut other = elsewhere(&place, "out", &[]);
    let summary = run(&place, "out", &[], Some(&mut other), &Stop::after_failures(Some(1))).unwrap();
    assert!(summary.failed >= 1 && summary.left > 0 && summary.stopped.is_some(), "{summary:?}");
}

#[test]
fn a_picture_in_memory_is_stylized_as_the_frame_at_its_key() {
    let place = Place::new();
    let sets = ["variants=2", "output.format=png"];
    run(&place, "out", &sets, None, &Stop::default()).unwrap();
    let (stylizer, schema) = (stylizer(&place, &sets), Schema::read(&place.path("data/data.yaml")));
    let label = fs::read(place.path("data/labels/train/a.txt")).unwrap();
    let input = |name: &str, label: Option<&[u8]>, variant| {
        let key = format!("images/train/{name}");
        let image = decode::decode(&place.path(&format!("data/{key}"))).unwrap().image;
        FrameInput { image, label: label.map(<[u8]>::to_vec), key, variant, place: 0 }
    };
    let inputs = || {
        let frames = [("a.png", Some(&*label)), ("b.jpg", None)];
        frames.iter().flat_map(|(name, label)| [1, 2].map(|variant| input(name, *label, variant))).collect::<Vec<_>>()
    };
    let made = stylizer.stylize_all(inputs(), &schema, &Stop::default()).unwrap().unwrap();
    assert_eq!(made.len(), 4);
    for (FrameInput { key, variant, .. }, (made, row)) in inputs().into_iter().zip(made) {
        assert!(row.identity.source == key && row.identity.variant == variant, "the order of the inputs");
        let written = decode::decode(&place.path("out").join(&row.identity.output)).unwrap().image;
        assert!(made == written, "{}", row.identity.output);
        let rows = place.rows("out");
        let theirs = rows.iter().find(|other| other["output"] == row.identity.output).unwrap();
        let own = serde_json::to_value(&row).unwrap();
        for key in ["seed", "style", "style_digest", "config_digest", "strength", "losses", "boxes", "condition"] {
            assert_eq!(own.get(key), theirs.get(key), "{key}");
        }
    }
    assert_eq!(stylizer.stylize_all(Vec::new(), &schema, &Stop::default()).unwrap().map(|made| made.len()), Some(0));
    let stop = Stop::default();
    stop.ask(Reason::Interrupted);
    assert!(stylizer.stylize_all(inputs(), &schema, &stop).unwrap().is_none());
}
