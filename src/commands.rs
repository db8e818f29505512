//! What each verb of the command line does; returns the exit code.

use crate::bench::{self, Measured};
use crate::cli;
use crate::config::Config;
use crate::device;
use crate::error::{Error, Result};
use crate::nst::conv::Size;
use crate::nst::settings::Settings;
use crate::nst::{Stylizer, loss, schedule};
use crate::run::Batch;
use crate::{backbone, terminal};
use serde::Serialize;

/// Exit code of a run that finished while some frames failed.
const SOME_FAILED: u8 = 3;

/// `augment --config … DATASET`
pub fn batch(args: cli::Batch, common: cli::Engine) -> Result<u8> {
    let cli::Batch { dataset, output, limit, shard, jobs, dry_run, seed, quiet } = args;
    use_threads(common.threads)?;
    let isa = device::choose(&common.device)?;
    let mut config = Config::load(&common.config, &common.sets)?;
    config.seed = seed.unwrap_or(config.seed);
    let batch = Batch::open(config, &dataset, output, limit, shard)?.with_frames_at_once(jobs.map(usize::from));
    let engine = batch.engine(common.weights.as_deref(), isa)?;
    if dry_run {
        let plan = batch.plan()?;
        println!("{}", plan.summary(batch.estimate(&plan, &engine)?));
        return Ok(0);
    }
    let summary = batch.run(&engine, terminal::observer(quiet).as_mut())?;
    if common.json {
        print_json(&summary);
    } else {
        eprintln!("{}", terminal::summary_line(&summary));
    }
    Ok(if summary.failed > 0 { SOME_FAILED } else { 0 })
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
        peak_memory_mb: bench::peak_memory_mb(),
    };
    if common.json {
        print_json(&measured);
    } else {
        println!("{}", terminal::bench_lines(&measured));
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
        Ok(text) => println!("{text}"),
        Err(error) => unreachable!("plain values always serialize: {error}"),
    }
}
