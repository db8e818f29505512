//! `augment preview`

use crate::batch::progress::Summary;
use crate::batch::provenance::backbone_text;
use crate::batch::stop::Stop;
use crate::batch::{self, Batch};
use crate::cli::batch::exit_code;
use crate::cli::report::{name_of, show};
use crate::cli::setup::{print_json, set_up};
use crate::cli::signals::stop_on_signals;
use crate::cli::{args, measure, terminal};
use crate::config::values::EngineChoice;
use crate::dataset::description;
use crate::error::{Error, Result};
use crate::files::marker::is_output_folder;
use crate::output::folder;
use crate::output::row::{Row, Status};
use crate::units::{self, Rough};
use crate::view::page::{self, Page};
use crate::view::sheet;
use std::path::Path;
use std::time::Duration;

/// The most frames on the sheet of a preview. Few programs open a larger picture.
const SHEET_ROWS: usize = 40;

/// The name of the page in the folder of a preview.
const PAGE: &str = "preview.html";

/// Whether a run has written to the folder, and no preview.
fn is_of_a_run(folder: &Path) -> bool {
    is_output_folder(folder) && !folder.join(PAGE).exists()
}

/// Runs `augment preview --config … DATASET` and returns the exit code.
///
/// # Errors
/// When the config, the dataset, the styles, the weights or the device cannot be used, or the sheet or the page cannot
/// be written. A frame that fails is no error; it changes the exit code.
pub fn preview(args: args::PreviewArgs) -> Result<u8> {
    let args::PreviewArgs { config: path, compute, dataset, frames, output, seed, open, quiet } = args;
    let (device, config) = set_up(&path, &compute, seed)?;
    let learns = config.engine == EngineChoice::Learn;
    let folder = match output {
        Some(folder) if is_of_a_run(&folder) => {
            let why = "it is the output of a run, and a preview makes other pictures of the same names; choose another";
            return Err(Error::Usage(format!("--output {}: {why}", folder.display())));
        }
        Some(folder) => folder,
        None => folder::default_folder(&description::root_of(&dataset)?, &format!("{}-preview", config.condition))?,
    };
    let title = format!("{} over {}", config.condition, name_of(&description::root_of(&dataset)?));
    let batch = Batch::open(
        vec![config],
        &dataset,
        batch::RunOptions {
            output: Some(folder.clone()),
            weights_given: compute.weights.is_some(),
            retry_failed: true,
            ..batch::RunOptions::default()
        },
    )?;
    let engines = batch.engines(compute.weights.as_deref(), &device)?;
    let whole = batch.plans()?;
    let jobs = whole.iter().map(|plan| plan.jobs.len()).sum();
    let estimate = batch.estimate(&whole, &engines)?;
    drop(whole);
    let batch = batch.preview(frames.into());
    let stop = Stop::after_failures(None);
    stop_on_signals(&stop)?;
    let summary = batch.run(&engines, &stop, terminal::observer(quiet).as_mut())?;
    terminal::print_err(&terminal::summary_lines(&summary));
    let rows = batch.rows()?;
    // A preview is too small to learn from: the optimizer makes its pictures, and its pace is not that of a run.
    let measured = if learns { None } else { pace_of(jobs, &summary) };
    let mut facts = vec![
        whole_dataset(jobs, measured.or(estimate)),
        ("config".into(), path.display().to_string()),
        ("backbone".into(), backbone_text(&summary.backbone, &summary.backbone_digest)),
        ("device".into(), summary.device.clone()),
    ];
    facts.extend(time_per_frame(&summary, &rows));
    if !batch.is_trained_on() {
        draw_sheet(&folder, &title, &facts, &rows)?;
    }
    let rows = page::cards(rows, &folder, &folder, page::PagePictures::Embedded)?;
    show(&Page { kind: page::PageKind::Preview, title, facts, rows }, &folder.join(PAGE), open)?;
    if compute.json {
        print_json(&summary);
    }
    Ok(exit_code(&summary))
}

/// Writes a sheet of up to [`SHEET_ROWS`] of `rows`, evenly spaced, and prints its path.
fn draw_sheet(folder: &Path, title: &str, facts: &[(String, String)], rows: &[Row]) -> Result<()> {
    let shown = sheet::evenly_spaced(rows, SHEET_ROWS);
    let title = match shown.len() {
        all if all == rows.len() => title.to_string(),
        some => format!("{title}: {some} of {} pictures; {PAGE} shows all", rows.len()),
    };
    terminal::print_err(&sheet::write(folder, &title, facts, &shown)?.display().to_string());
    Ok(())
}

/// The median time of a frame, and the mean time from one finished frame to the next. The second is shorter, because
/// several frames are in progress at once.
fn time_per_frame(summary: &Summary, rows: &[Row]) -> Option<(String, String)> {
    let done = rows.iter().filter(|row| row.status == Status::Done);
    let seconds: Vec<f64> = done.map(|row| row.outcome.seconds).collect();
    let median = (!seconds.is_empty()).then(|| units::duration(measure::median(&seconds)))?;
    let pace = pace(summary).map_or(String::new(), |pace| format!(", one every {}", units::duration(pace)));
    Some(("time per frame".into(), format!("{median} (median){pace}")))
}

/// Mean seconds from one finished frame to the next; `None` if none was finished.
fn pace(summary: &Summary) -> Option<f64> {
    (summary.done > 0).then(|| summary.seconds / summary.done as f64)
}

/// How long so many pictures take at the pace of the preview, whose frames are spread over the dataset.
fn pace_of(jobs: usize, summary: &Summary) -> Option<Duration> {
    pace(summary).map(|pace| Duration::from_secs_f64(pace * jobs as f64))
}

/// The number of pictures for the whole dataset, and the time that they would take here.
fn whole_dataset(jobs: usize, time: Option<Duration>) -> (String, String) {
    let time = time.map_or(String::new(), |time| format!(", about {} here", Rough(time)));
    ("whole dataset".into(), format!("{jobs} pictures{time}"))
}
