//! `augment --config … DATASET` and `augment merge`

use crate::batch::progress::{Event, Summary};
use crate::batch::provenance::{Engine, backbone_text};
use crate::batch::stop::{Reason, Stop};
use crate::batch::{self, Batch};
use crate::cli::setup::{print_json, set_up_all};
use crate::cli::signals::{INTERRUPTED, stop_on_signals};
use crate::cli::{args, terminal};
use crate::dataset::Layout;
use crate::error::Result;
use crate::output::{manifest, merge};
use crate::plan::summary;
use crate::units::counted;
use crate::view::sheet;
use std::path::Path;

/// Exit code of a run that finished while some frames failed or annotations could not be carried over.
const SOME_FAILED: u8 = 3;

/// Runs `augment --config … DATASET` and returns the exit code.
///
/// # Errors
/// When the config, the dataset, the styles, the weights or the device cannot be used, or the run as a whole cannot go
/// on. A frame that fails is no error; it changes the exit code.
pub fn batch(args: args::BatchArgs, compute: args::ComputeArgs) -> Result<u8> {
    let (device, configs) = set_up_all(&args.configs, &compute, args.seed)?;
    let options = batch::RunOptions {
        output: args.output,
        per_frame: args.per_frame,
        limit: args.limit,
        shard: args.shard,
        frames_at_once: args.jobs.map(usize::from),
        force: args.force,
        retry_failed: args.retry_failed,
        weights_given: compute.weights.is_some(),
        ..batch::RunOptions::default()
    };
    let batch = Batch::open(configs, &args.dataset, options)?;
    let engines = batch.engines(compute.weights.as_deref(), &device)?;
    if args.dry_run {
        return dry_run(&batch, &engines, compute.json);
    }
    let stop = Stop::after_failures(args.max_failures.map(|count| count as usize));
    stop_on_signals(&stop)?;
    let mut observer = terminal::observer(args.quiet);
    let summary = batch.run(&engines, &stop, observer.as_mut())?;
    if summary.done > 0
        && may_have_sheet(&batch)
        && let Err(error) = write_sheet(&batch.title(), &summary)
    {
        // The frames are written, so a missing sheet does not fail the run.
        observer.event(Event::Warning(&format!("{} was not written: {error}", sheet::FILE_NAME)));
    }
    drop(observer);
    terminal::print_err(&terminal::summary_lines(&summary));
    if compute.json {
        print_json(&summary);
    }
    Ok(exit_code(&summary))
}

/// Prints the plan and the time that it would take.
fn dry_run(batch: &Batch, engines: &[Engine], json: bool) -> Result<u8> {
    let plans = batch.plans()?;
    batch.check_output(&plans)?;
    let estimate = batch.estimate(&plans, engines)?;
    let warnings = batch.warnings(&plans);
    batch.left_out()?.iter().chain(&warnings).for_each(|text| terminal::print_err(&format!("warning: {text}")));
    let done = batch.done_before(&plans)?;
    match json {
        true => print_json(&summary::outline(&plans, done, estimate, warnings)),
        false => {
            terminal::print_out(&summary::summary(&plans, estimate));
            if done > 0 {
                let text =
                    format!("{} done before, which are left as they are if nothing has changed", counted(done, "job"));
                terminal::print_out(&text);
            }
        }
    }
    Ok(0)
}

/// The exit code for how a run ended.
pub fn exit_code(summary: &Summary) -> u8 {
    match summary.stopped {
        Some(Reason::Interrupted) => INTERRUPTED,
        _ if summary.failed + summary.failed_before > 0 || !summary.annotations_left.is_empty() => SOME_FAILED,
        _ => 0,
    }
}

/// Runs `augment merge INTO PART…` and returns the exit code.
///
/// # Errors
/// See [`merge::merge`].
pub fn merge(args: &args::MergeArgs) -> Result<u8> {
    let merged = merge::merge(&args.into, &args.parts)?;
    terminal::print_err(&format!(
        "merged {} and {} into {}, which had {} already; run augment on the dataset with \
         this --output to check that nothing is missing and to write its data.yaml",
        counted(merged.copied, "picture"),
        counted(merged.failed, "failure"),
        args.into.display(),
        counted(merged.known, "row")
    ));
    if let Some(first) = &merged.first_different {
        terminal::print_err(&format!(
            "warning: left out {} in place of which {} has others, from another frame, config, seed or version of augment, \
             first {}; keep the output of one run or dataset in a folder of its own",
            counted(merged.different, "picture"),
            args.into.display(),
            first.display()
        ));
    }
    if let Some(first) = &merged.first_damaged {
        terminal::print_err(&format!(
            "warning: left out {} whose files, or those of the label, are missing or not those that the part made, first \
             {}; that run makes them anew",
            counted(merged.damaged, "picture"),
            first.display()
        ));
    }
    terminal::warn_of_unreadable(merged.unreadable);
    if args.json {
        print_json(&merged);
    }
    Ok(if merged.different > 0 || merged.damaged > 0 || merged.unreadable > 0 { SOME_FAILED } else { 0 })
}

/// The most frames on the sheet of a run.
const SHEET_ROWS: usize = 6;

/// Whether a sheet may be written to the output folder. In a flat folder, or in one that belongs to the train images,
/// loaders would read the sheet as a frame.
fn may_have_sheet(batch: &Batch) -> bool {
    *batch.layout() != Layout::Flat && !batch.is_trained_on()
}

/// Writes a sheet of up to [`SHEET_ROWS`] frames, evenly spaced among all finished frames of the output.
fn write_sheet(conditions: &str, summary: &Summary) -> Result<()> {
    let done = manifest::done_outputs(&summary.output)?;
    let done: Vec<&str> = done.iter().map(String::as_str).collect();
    let mut rows = manifest::rows_of(&summary.output, &sheet::evenly_spaced(&done, SHEET_ROWS))?;
    // A row stores its path as UTF-8 text. If the path is not UTF-8, the text names no file.
    rows.retain(|row| Path::new(&row.identity.source).exists());
    let title = format!("{conditions}: {} of {} pictures", rows.len(), done.len());
    let facts = [("backbone".to_string(), backbone_text(&summary.backbone, &summary.backbone_digest))];
    sheet::write(&summary.output, &title, &facts, &rows).map(drop)
}
