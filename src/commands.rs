//! What each verb of the command line does; returns the exit code.

use crate::bench::{self, Measured};
use crate::cli::{self, WeightsVerb};
use crate::config::Config;
use crate::device::{self, Choice};
use crate::error::{Error, Result};
use crate::manifest::{self, Row, Status};
use crate::nst::backend::Machine;
use crate::nst::conv::Size;
use crate::nst::settings::Settings;
use crate::nst::{Stylizer, schedule};
use crate::page::{self, Page};
use crate::plan::Rough;
use crate::progress::Summary;
use crate::run::{self, Batch};
use crate::stop::{INTERRUPTED, Reason, Stop};
use crate::weights::check::{Report, Verdict};
use crate::weights::digests::Sums;
use crate::{backbone, config, dataset, doctor, init, memory, merge, output, sheet, terminal, weights, yaml};
use clap::CommandFactory;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Exit code of a run that finished while some frames failed.
const SOME_FAILED: u8 = 3;
/// Pictures on the sheet of a preview at most: more make a picture that few programs open.
const SHEET_ROWS: usize = 40;

/// `augment --config … DATASET`
pub fn batch(args: cli::Batch, machine: cli::Machine) -> Result<u8> {
    let (place, config) = set_up(&args.config, &machine, args.seed)?;
    let order = run::Order {
        output: args.output,
        limit: args.limit,
        shard: args.shard,
        frames_at_once: args.jobs.map(usize::from),
        force: args.force,
        retry_failed: args.retry_failed,
    };
    let batch = Batch::open(config, &args.dataset, order)?;
    let engine = batch.engine(machine.weights.as_deref(), place)?;
    if args.dry_run {
        let plan = batch.plan()?;
        let estimate = batch.estimate(&plan, &engine)?;
        match machine.json {
            true => print_json(&plan.outline(estimate)),
            false => terminal::say(&plan.summary(estimate)),
        }
        return Ok(0);
    }
    let stop = Stop::after_failures(args.max_failures.map(|count| count as usize));
    stop.on_signals()?;
    let summary = batch.run(&engine, &stop, terminal::observer(args.quiet).as_mut())?;
    terminal::tell(&terminal::summary_lines(&summary));
    if machine.json {
        print_json(&summary);
    }
    Ok(exit_code(&summary))
}

fn exit_code(summary: &Summary) -> u8 {
    match summary.stopped {
        Some(Reason::Interrupted) => INTERRUPTED,
        _ if summary.failed + summary.failed_before > 0 => SOME_FAILED,
        _ => 0,
    }
}

/// `augment preview --config … DATASET`
pub fn preview(args: cli::Preview) -> Result<u8> {
    let cli::Preview { config: path, machine, dataset, frames, output, seed, open, quiet } = args;
    let (place, config) = set_up(&path, &machine, seed)?;
    let folder = match output {
        Some(folder) => folder,
        None => output::default_folder(&dataset::root_of(&dataset)?, &format!("{}-preview", config.condition))?,
    };
    let title = format!("{} over {}", config.condition, name_of(&dataset::root_of(&dataset)?));
    let batch = Batch::open(config, &dataset, run::Order { output: Some(folder.clone()), ..run::Order::default() })?;
    let engine = batch.engine(machine.weights.as_deref(), place)?;
    let whole = batch.plan()?;
    let (jobs, estimate) = (whole.jobs.len(), batch.estimate(&whole, &engine)?);
    let batch = batch.preview(frames.into());
    let stop = Stop::after_failures(None);
    stop.on_signals()?;
    let summary = batch.run(&engine, &stop, terminal::observer(quiet).as_mut())?;
    terminal::tell(&terminal::summary_lines(&summary));
    let rows = batch.rows()?;
    let mut facts = vec![
        whole_dataset(jobs, estimate, &summary),
        ("config".into(), path.display().to_string()),
        ("backbone".into(), format!("{} {}", summary.backbone, summary.backbone_digest)),
        ("device".into(), summary.device.clone()),
    ];
    facts.extend(time_per_frame(&summary, &rows));
    if !batch.is_trained_on() {
        draw_sheet(&folder, &title, &facts, &rows)?;
    }
    let rows = page::cards(rows, &folder, &folder, page::Pictures::Inside)?;
    show(&Page { kind: page::Kind::Preview, title, facts, rows }, &folder.join("preview.html"), open)?;
    if machine.json {
        print_json(&summary);
    }
    Ok(exit_code(&summary))
}

/// Draws what of `rows` fits on one picture and says where it is.
fn draw_sheet(folder: &Path, title: &str, facts: &[(String, String)], rows: &[Row]) -> Result<()> {
    let shown = sheet::spread(rows, SHEET_ROWS);
    let title = match shown.len() {
        all if all == rows.len() => title.to_string(),
        some => format!("{title}: {some} of {} pictures; preview.html has all", rows.len()),
    };
    terminal::tell(&sheet::write(folder, &title, facts, &shown)?.display().to_string());
    Ok(())
}

/// How long the frames took, of which several are in hand at once, and how soon one followed the other.
fn time_per_frame(summary: &Summary, rows: &[Row]) -> Option<(String, String)> {
    let done = rows.iter().filter(|row| row.status == Status::Done);
    let seconds: Vec<f64> = done.map(|row| row.seconds).collect();
    let median = (!seconds.is_empty()).then(|| terminal::duration(bench::median(&seconds)))?;
    let pace = pace(summary).map_or(String::new(), |pace| format!(", one every {}", terminal::duration(pace)));
    Some(("time per frame".into(), format!("{median} (median){pace}")))
}

/// Seconds from one frame to the next, where any was made.
fn pace(summary: &Summary) -> Option<f64> {
    (summary.done > 0).then(|| summary.seconds / summary.done as f64)
}

/// How many pictures the whole dataset makes and how long they would take here: at the pace of the preview's own, which
/// are spread over it, or else as it was estimated.
fn whole_dataset(jobs: usize, estimate: Option<Duration>, summary: &Summary) -> (String, String) {
    let measured = pace(summary).map(|pace| Duration::from_secs_f64(pace * jobs as f64));
    let time = measured.or(estimate).map_or(String::new(), |time| format!(", about {} here", Rough(time)));
    ("whole dataset".into(), format!("{jobs} pictures{time}"))
}

/// `augment report OUT…`
pub fn report(args: &cli::Report) -> Result<u8> {
    let path = args.output.clone().unwrap_or_else(|| args.outputs[0].join("report.html"));
    let beside = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (mut cards, mut made_by) = (Vec::new(), BTreeSet::new());
    for folder in &args.outputs {
        let rows = manifest::last_rows(folder)?;
        made_by.extend(rows.iter().map(|row| {
            let manifest::Backbone { name, digest } = &row.backbone;
            format!("augment {}, {}, {name} {digest}", row.engine, row.device)
        }));
        cards.append(&mut page::cards(rows, folder, &beside, page::Pictures::Beside)?);
    }
    let names: Vec<String> = args.outputs.iter().map(|folder| name_of(folder)).collect();
    let page = Page {
        kind: page::Kind::Report,
        title: match names.len() {
            0..=3 => names.join(", "),
            many => format!("{} and {} more", names[..3].join(", "), many - 3),
        },
        facts: made_by.into_iter().map(|maker| ("made by".into(), maker)).collect(),
        rows: cards,
    };
    show(&page, &path, args.open)?;
    Ok(0)
}

/// Writes a page, says where it is, and opens it if that is asked for.
fn show(page: &Page, path: &Path, open: bool) -> Result<()> {
    page.write(path)?;
    terminal::tell(&path.display().to_string());
    if open { open::that_detached(path).map_err(Error::io(path, "open it in a browser")) } else { Ok(()) }
}

/// What people call a folder, also where the path says only `.`.
fn name_of(folder: &Path) -> String {
    dataset::real(folder)
        .file_name()
        .map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// `augment bench --config …`
pub fn bench(args: cli::Bench) -> Result<u8> {
    let cli::Bench { config, machine, size, height, evals } = args;
    let (place, config) = set_up(&config, &machine, None)?;
    let steps = config.stylize.steps;
    let width = size.map_or(config.stylize.size, usize::from);
    let size = Size { height: height.map_or(width, usize::from), width };
    let long = size.height.max(size.width);
    let asked = Settings { size: long, ..config.stylize };
    let per_frame = schedule::cost(&schedule::scales(&asked, asked.working_size(size)));
    let settings = Settings { steps: usize::from(evals) + 1, scales: Some(1), ..asked };
    let backbone = backbone::open(machine.weights.as_deref(), &config.backbone, &settings)?;
    let stylizer = Stylizer::new(&backbone, settings, place.clone()).map_err(Error::Run)?;
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
        batch: stylizer.batch(stylizer.working_size(size)).unwrap_or(1),
        device: place.to_string(),
        backbone: backbone.name().into(),
        backbone_digest: backbone.digest().into(),
        peak_memory_mb: memory::peak().map(|bytes| bytes as f64 / 1e6),
    };
    if machine.json {
        print_json(&measured);
    } else {
        terminal::say(&terminal::bench_lines(&measured));
    }
    Ok(0)
}

/// `augment init PRESET`
pub fn init(args: &cli::Init) -> Result<u8> {
    let config = init::write(args.preset, &args.folder)?;
    terminal::tell(&format!("{0}; next: augment preview --config {0} DATASET --open", config.display()));
    Ok(0)
}

/// `augment doctor`
pub fn doctor(args: cli::Doctor) -> Result<u8> {
    let cli::Doctor { config: path, machine, size } = args;
    use_threads(machine.threads)?;
    let place = choose_device(&machine)?;
    if path.is_none() && !machine.sets.is_empty() {
        return Err(Error::Usage("--set changes a config, and none is given; add --config FILE".into()));
    }
    let config = path.as_ref().map(|path| Config::load(path, &machine.sets)).transpose()?;
    let found = doctor::examine(config.as_ref(), machine.weights.as_deref(), &place, size)?;
    match machine.json {
        true => print_json(&found),
        false => terminal::say(&found.lines(path.as_deref())),
    }
    Ok(0)
}

/// `augment schema`
pub fn schema() -> Result<u8> {
    terminal::say(config::schema::schema_text().trim_end());
    Ok(0)
}

/// `augment completions SHELL`
pub fn completions(args: &cli::Completions) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::Cli::command(), "augment", &mut script);
    terminal::say(String::from_utf8_lossy(&script).trim_end());
    Ok(0)
}

/// `augment man [VERB]`
pub fn man(args: &cli::Man) -> Result<u8> {
    let mut command = cli::Cli::command();
    command.build();
    let page = match &args.verb {
        None => command,
        Some(verb) => command.find_subcommand(verb).cloned().ok_or_else(|| {
            let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            let help = yaml::suggest(verb, verbs);
            Error::Usage(format!("augment man {verb}: there is no such verb; {help}"))
        })?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|error| Error::Run(format!("the manual page: {error}")))?;
    terminal::say(String::from_utf8_lossy(&text).trim_end());
    Ok(0)
}

/// `augment merge INTO PART…`
pub fn merge(args: &cli::Merge) -> Result<u8> {
    let merged = merge::merge(&args.into, &args.parts)?;
    terminal::tell(&format!(
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

/// `augment weights …`
pub fn weights(args: cli::Weights) -> Result<u8> {
    match args.verb {
        WeightsVerb::Pull(args) => {
            let order = order(&args.install)?;
            let report = weights::pull(&args.repo, args.through, &order, terminal::transfer(args.quiet).as_mut())?;
            tell_weights(&report, &args.install.check, args.quiet);
            tell_if_unused(&report);
            Ok(0)
        }
        WeightsVerb::Import(args) => {
            let report = weights::import(&args.file, &order(&args.install)?)?;
            tell_weights(&report, &args.install.check, false);
            tell_if_unused(&report);
            Ok(0)
        }
        WeightsVerb::Verify(args) => {
            let report = weights::verify(args.file.as_deref(), given(&args.check)?.as_ref())?;
            tell_weights(&report, &args.check, false);
            Ok(u8::from(report.verdict == Verdict::Damaged))
        }
        WeightsVerb::Path(args) => {
            let (path, why) = automatic();
            if args.json {
                print_json(&serde_json::json!({ "path": path, "why": why }));
            } else {
                terminal::say(&path);
                terminal::tell(&format!("{why}; --weights and `stylize.backbone` of a config come before it"));
            }
            Ok(0)
        }
    }
}

fn order(install: &cli::Install) -> Result<weights::Order> {
    Ok(weights::Order { force: install.force, given: given(&install.check)? })
}

fn tell_weights(report: &Report, check: &cli::WeightsCheck, quiet: bool) {
    if check.json {
        print_json(report);
    } else if !quiet {
        terminal::say(&terminal::digest_lines(report));
    }
    terminal::tell(&terminal::weights_lines(report));
}

/// Says so where the environment sends runs past what was just installed.
fn tell_if_unused(report: &Report) {
    let (path, why) = automatic();
    if path != report.path.display().to_string() {
        terminal::tell(&format!("a run takes {path} all the same: {why}"));
    }
}

/// The file that a run takes by itself, or `builtin`, and why.
fn automatic() -> (String, &'static str) {
    let (path, why) = backbone::automatic();
    (path.map_or_else(|| "builtin".into(), |path| path.display().to_string()), why)
}

fn given(check: &cli::WeightsCheck) -> Result<Option<Sums>> {
    check.digests.as_deref().map(Sums::read).transpose()
}

/// What every verb that computes begins with: threads, device, and the config with its seed.
fn set_up(path: &Path, machine: &cli::Machine, seed: Option<u64>) -> Result<(Machine, Config)> {
    use_threads(machine.threads)?;
    let place = choose_device(machine)?;
    let mut config = Config::load(path, &machine.sets)?;
    config.seed = seed.unwrap_or(config.seed);
    Ok((place, config))
}

/// What `--device` names; where that is nothing but `auto` and no GPU can be used, it says why.
fn choose_device(machine: &cli::Machine) -> Result<Machine> {
    let Choice { machine, no_gpu } = device::choose(&machine.device, machine.precision)?;
    no_gpu.iter().for_each(|why| terminal::tell(&format!("warning: the processor computes, no GPU: {why}")));
    Ok(machine)
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
