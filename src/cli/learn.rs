//! `augment learn`

use crate::batch::learn::{self, Example, LearnOutcome, Learned};
use crate::batch::stop::Stop;
use crate::batch::{Batch, RunOptions};
use crate::cli::setup::{print_json, set_up};
use crate::cli::signals::{INTERRUPTED, stop_on_signals};
use crate::cli::{args, terminal};
use crate::config::check::unlearnable;
use crate::config::values::EngineChoice;
use crate::dataset::scan::is_image;
use crate::error::{Error, Result};
use crate::nst::Pixels;
use crate::units::duration;
use crate::view::comparison::{self, Compared};
use crate::weights::student::Figures;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Runs `augment learn --config … DATASET` and returns the exit code.
///
/// # Errors
/// When the config, the dataset, the styles, the weights or the device cannot be used, no student can draw what the
/// config asks for, or the student is of no use; and when its file cannot be written.
pub fn learn(args: args::LearnArgs) -> Result<u8> {
    let args::LearnArgs { config, compute, dataset, frames, output, jobs, seed, quiet } = args;
    let begun = Instant::now();
    let (device, mut config) = set_up(&config, &compute, seed)?;
    if let Some((what, help)) = unlearnable(&config.stylize) {
        return Err(Error::Usage(format!("no student: {what}; {help}")));
    }
    config.engine = EngineChoice::Optimize;
    let output = output.unwrap_or_else(|| PathBuf::from(learn::file_name(&config.condition)));
    check_output(&output)?;
    let options = RunOptions {
        weights_given: compute.weights.is_some(),
        frames_at_once: jobs.map(usize::from),
        learn_frames: frames.into(),
        ..RunOptions::default()
    };
    let batch = Batch::open(vec![config], &dataset, options)?;
    let engines = batch.engines(compute.weights.as_deref(), &device)?;
    let stop = Stop::after_failures(None);
    stop_on_signals(&stop)?;
    let mut observer = terminal::observer(quiet);
    let outcome = batch.learn(&engines[0], &stop, observer.as_mut());
    drop(observer);
    let Learned { file, examples, failures } = match outcome? {
        LearnOutcome::Learned(learned) => *learned,
        LearnOutcome::Useless(why) => return Err(Error::Run(why)),
        LearnOutcome::Stopped => {
            terminal::print_err("stopped; nothing was learned");
            return Ok(INTERRUPTED);
        }
    };
    file.write(&output)?;
    let sheet = sheet_of(&output);
    let compared: Vec<Compared> = examples.iter().map(compared).collect();
    comparison::write(&sheet, &format!("held-out frames of the student {}", file.digest), &compared)?;
    let seconds = begun.elapsed().as_secs_f64();
    failures.iter().for_each(|reason| terminal::print_err(&format!("failed: {reason}")));
    terminal::print_err(&lines(&file.facts.figures));
    terminal::print_err(&format!("{} in {} -> {}", sheet.display(), duration(seconds), output.display()));
    if compute.json {
        print_json(&json!({
            "student": output.to_string_lossy(), "sheet": sheet.to_string_lossy(), "seconds": seconds,
            "failures": failures, "digest": file.digest, "facts": file.facts,
        }));
    }
    Ok(0)
}

/// The sheet beside a student: no other file has such a name.
fn sheet_of(student: &Path) -> PathBuf {
    let mut name = student.as_os_str().to_owned();
    name.push(".png");
    name.into()
}

/// Refuses, before the work, a path that cannot be written after it.
fn check_output(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !folder.is_dir() {
        return Err(Error::Usage(format!("--output {}: expected a file in a folder that exists", path.display())));
    }
    if is_image(path) {
        return Err(Error::Usage(format!(
            "--output {}: a student is not a picture; end it in .student",
            path.display()
        )));
    }
    Ok(())
}

fn compared(example: &Example) -> Compared {
    let Example { name, pictures, drawn, start_db, student_db, is_trusted } = example;
    let passed_on = if *is_trusted { "" } else { ", passed on" };
    Compared {
        texts: [
            name.clone(),
            format!("start: {start_db:.1} dB"),
            "optimized".into(),
            format!("student: {student_db:.1} dB{passed_on}"),
        ],
        pictures: [&pictures.frame, &pictures.start, &pictures.optimized, drawn].map(Pixels::to_rgb8),
    }
}

/// How well a student draws, for people.
fn lines(figures: &Figures) -> String {
    let Figures { learned, held_out, start_db, student_db, worst_db, passed_on, worst_kept_db } = figures;
    format!(
        "learned from {learned} frames; on {held_out} others, against the optimizer:\n\
         start               {start_db:.1} dB (median)\n\
         student             {student_db:.1} dB (median), {worst_db:.1} dB (worst twentieth)\n\
         passed on           {:.0} % to the optimizer; the worst that it keeps is at {worst_kept_db:.1} dB",
        passed_on * 100.0
    )
}
