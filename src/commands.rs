//! What each verb of the command line does; returns the exit code.

use crate::bench::{self, Measured};
use crate::cli;
use crate::config::Config;
use crate::device;
use crate::error::{Error, Result};
use crate::nst::conv::Size;
use crate::nst::settings::Settings;
use crate::nst::{Stylizer, loss, schedule};
use crate::run::{Batch, Order};
use crate::stop::{INTERRUPTED, Reason, Stop};
use crate::{backbone, memory, merge, terminal};
use serde::Serialize;

/// Exit code of a run that finished while some frames failed.
const SOME_FAILED: u8 = 3;

/// `augment --config … DATASET`
pub fn batch(args: cli::Batch, common: cli::Engine) -> Result<u8> {
    use_threads(common.threads)?;
    let isa = device::choose(&common.device)?;
    let mut config = Config::load(&common.config, &common.sets)?;
    config.seed = args.seed.unwrap_or(config.seed);
    let order = Order {
        output: args.output,
        limit: args.limit,
        shard: args.shard,
        frames_at_once: args.jobs.map(usize::from),
        force: args.force,
        retry_failed: args.retry_failed,
    };
    let batch = Batch::open(config, &args.dataset, order)?;
    let engine = batch.engine(common.weights.as_deref(), isa)?;
    if args.dry_run {
        let plan = batch.plan()?;
        let estimate = batch.estimate(&plan, &engine)?;
        match common.json {
            true => print_json(&plan.outline(estimate)),
            false => terminal::say(&plan.summary(estimate)),
        }
        return Ok(0);
    }
    let stop = Stop::after_failures(args.max_failures.map(|count| count as usize));
    stop.on_signals()?;
    let summary = batch.run(&engine, &stop, terminal::observer(args.quiet).as_mut())?;
    eprintln!("{}", terminal::summary_lines(&summary));
    if common.json {
        print_json(&summary);
    }
    Ok(match summary.stopped {
        Some(Reason::Interrupted) => INTERRUPTED,
        _ if summary.failed + summary.failed_before > 0 => SOME_FAILED,
        _ => 0,
    })
}

/// `augment bench --config …`
pub fn bench(args: cli::Bench) -> Result<u8> {
    let cli::Bench { engine: common, size, height, evals } = args;
    use_threads(common.threads)?;
    let isa = device::choose(&common.device)?;
    let config = Config::load(&common.config, &common.sets)?;
    let steps = config.stylize.steps;
    let width = size.map_or(config.stylize.size, usize::from);
    let size = Size { height: height.map_or(width, usize::from), width };
    let long = size.height.max(size.width);
    let asked = Settings { size: long, ..config.stylize };
    let per_frame = schedule::cost(&schedule::scales(&asked, asked.working_size(size)));
    let settings = Settings { steps: usize::from(evals) + 1, scales: Some(1), ..asked };
    let deepest = loss::deepest_tap(&settings).map_err(Error::Usage)?;
    let backbone = backbone::open(common.weights.as_deref(), &config.backbone, deepest)?;
    let stylizer = Stylizer::new(&backbone, settings, isa).map_err(Error::Run)?;
    let (seconds, rest) = bench::measure(&stylizer, size).map_err(Error::Run)?;
    let median = bench::median(&seconds);
    let measured = Measured {
        seconds_per_eval_median: median,
        seconds_per_eval_min: seconds.iter().copied().fold(f64::INFINITY, f64::min),
        seconds_per_eval_max: seconds.iter().copied().fold(0.0, f64::max),
        // The rest holds the first of the steps.
        seconds_per_frame: rest + median * (per_frame - 1.0),
        evals: seconds.len(),
        steps,
        size: long,
        height: size.height,
        width: size.width,
        threads: rayon::current_num_threads(),
        device: format!("cpu {isa}"),
        backbone: backbone.name().into(),
        backbone_digest: backbone.digest().into(),
        peak_memory_mb: memory::peak().map(|bytes| bytes as f64 / 1e6),
    };
    if common.json {
        print_json(&measured);
    } else {
        terminal::say(&terminal::bench_lines(&measured));
    }
    Ok(0)
}

/// `augment merge INTO PART…`
pub fn merge(args: &cli::Merge) -> Result<u8> {
    let merged = merge::merge(&args.into, &args.parts)?;
    eprintln!(
        "{} pictures and {} failures came into {}, {} rows were known; run augment on the dataset with this --output to \
         check that nothing is missing and to write its data.yaml",
        merged.copied,
        merged.failed,
        args.into.display(),
        merged.known
    );
    if args.json {
        print_json(&merged);
    }
    Ok(0)
}

fn use_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
    pool.build_global().map_err(|e| Error::Run(format!("--threads {threads}: {e}")))
}

fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => terminal::say(&text),
        Err(error) => unreachable!("plain values always serialize: {error}"),
    }
}
