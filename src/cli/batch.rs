//! `augment --config … DATASET` and `augment merge`

use crate::batch::progress::{Header, Summary};
use crate::batch::stop::{Reason, Stop};
use crate::batch::{self, Batch};
use crate::cli::setup::{print_json, set_up};
use crate::cli::signals::INTERRUPTED;
use crate::cli::{args, terminal};
use crate::error::Result;
use crate::output::manifest::Manifest;
use crate::output::merge;
use crate::view::sheet;
use std::path::Path;

/// Exit code of a run that finished while some frames failed.
const SOME_FAILED: u8 = 3;

/// `augment --config … DATASET`
pub fn batch(args: args::BatchArgs, compute: args::ComputeArgs) -> Result<u8> {
    let (device, config) = set_up(&args.config, &compute, args.seed)?;
    let order = batch::RunOptions {
        output: args.output,
        limit: args.limit,
        shard: args.shard,
        frames_at_once: args.jobs.map(usize::from),
        force: args.force,
        retry_failed: args.retry_failed,
    };
    let batch = Batch::open(config, &args.dataset, order)?;
    let engine = batch.engine(compute.weights.as_deref(), device)?;
    if args.dry_run {
        let plan = batch.plan()?;
        let estimate = batch.estimate(&plan, &engine)?;
        match compute.json {
            true => print_json(&plan.outline(estimate)),
            false => terminal::print_out(&plan.summary(estimate)),
        }
        return Ok(0);
    }
    let stop = Stop::after_failures(args.max_failures.map(|count| count as usize));
    stop.on_signals()?;
    let summary = batch.run(&engine, &stop, terminal::observer(args.quiet).as_mut())?;
    terminal::print_err(&terminal::summary_lines(&summary));
    if compute.json {
        print_json(&summary);
    }
    Ok(exit_code(&summary))
}

pub fn exit_code(summary: &Summary) -> u8 {
    match summary.stopped {
        Some(Reason::Interrupted) => INTERRUPTED,
        _ if summary.failed + summary.failed_before > 0 => SOME_FAILED,
        _ => 0,
    }
}

/// `augment merge INTO PART…`
pub fn merge(args: &args::MergeArgs) -> Result<u8> {
    let merged = merge::merge(&args.into, &args.parts)?;
    terminal::print_err(&format!(
        "{} pictures and {} failures came into {}, {} rows were known; run augment on the dataset with this --output to \
         check that nothing is missing and to write its data.yaml",
        merged.copied,
        merged.failed,
        args.into.display(),
        merged.known
    ));
    if args.json {
        print_json(&merged);
    }
    Ok(0)
}

/// Frames on the sheet of a run.
const SHEET_ROWS: usize = 6;

impl Batch {
    /// Writes the sheet of a few frames, spread over what is done.
    pub(crate) fn write_sheet(&self, header: &Header, condition: &str, manifest: &Manifest) -> Result<()> {
        let mut done: Vec<&str> = manifest.done().map(|(_, output)| output).collect();
        done.sort_unstable();
        let mut rows = manifest.rows(&sheet::evenly_spaced(&done, SHEET_ROWS))?;
        // A row names its frame as text; a name that is none leads nowhere.
        rows.retain(|row| Path::new(&row.source).exists());
        let title = format!("{condition}: {} of {} pictures", rows.len(), done.len());
        let facts = [("backbone".to_string(), format!("{} {}", header.backbone, header.backbone_digest))];
        sheet::write(&self.output, &title, &facts, &rows).map(drop)
    }
}
