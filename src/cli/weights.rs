//! `augment weights`

use crate::cli::args::{self, WeightsVerb};
use crate::cli::setup::print_json;
use crate::cli::{terminal, transfer};
use crate::error::Result;
use crate::units::megabytes;
use crate::weights::check::{State, Verdict, WeightsReport};
use crate::weights::digests::Sums;
use crate::weights::{self, locate};

/// `augment weights …`
pub fn weights(args: args::WeightsArgs) -> Result<u8> {
    match args.verb {
        WeightsVerb::Pull(args) => {
            let order = install_options(&args.install)?;
            let report = weights::pull(&args.repo, args.through, &order, transfer::transfer(args.quiet).as_mut())?;
            tell_weights(&report, &args.install.check, args.quiet);
            tell_if_unused(&report);
            Ok(0)
        }
        WeightsVerb::Import(args) => {
            let report = weights::import(&args.file, &install_options(&args.install)?)?;
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
                terminal::print_out(&path);
                terminal::print_err(&format!("{why}; --weights and `stylize.backbone` of a config come before it"));
            }
            Ok(0)
        }
    }
}

pub fn install_options(install: &args::InstallArgs) -> Result<weights::InstallOptions> {
    Ok(weights::InstallOptions { force: install.force, given: given(&install.check)? })
}

fn tell_weights(report: &WeightsReport, check: &args::WeightsCheckArgs, quiet: bool) {
    if check.json {
        print_json(report);
    } else if !quiet {
        terminal::print_out(&digest_lines(report));
    }
    terminal::print_err(&weights_lines(report));
}

/// Says so where the environment sends runs past what was just installed.
fn tell_if_unused(report: &WeightsReport) {
    let (path, why) = automatic();
    if path != report.path.display().to_string() {
        terminal::print_err(&format!("a run takes {path} all the same: {why}"));
    }
}

/// The file that a run takes by itself, or `builtin`, and why.
fn automatic() -> (String, &'static str) {
    let (path, why) = locate::automatic();
    (path.map_or_else(|| "builtin".into(), |path| path.display().to_string()), why)
}

fn given(check: &args::WeightsCheckArgs) -> Result<Option<Sums>> {
    check.digests.as_deref().map(Sums::read).transpose()
}

/// The digests of all tensors, one a line, for `--digests`.
pub fn digest_lines(report: &WeightsReport) -> String {
    let lines: Vec<String> = report.tensors.iter().map(|row| format!("{}  {}", row.sha256, row.name)).collect();
    lines.join("\n")
}

/// What weights are: their faults, what is known of them, and last one line with the place.
pub fn weights_lines(report: &WeightsReport) -> String {
    let mut lines = report.faults.clone();
    let count = |state: State| report.tensors.iter().filter(|row| row.state == state).count();
    let all = report.tensors.len();
    let source = report.source.as_deref().map_or(String::new(), |source| format!(", {source}"));
    lines.push(match report.verdict {
        Verdict::Known => format!(
            "{} by the {} of {all} digests that are known",
            report.known.unwrap_or_default(),
            count(State::Known)
        ),
        Verdict::Given => format!("all {all} digests are those that were given"),
        Verdict::Unchanged => {
            format!("all {all} tensors are as they were installed; this program knows no digests of these weights")
        }
        Verdict::Unknown => "usable; this program knows no digests of these weights".into(),
        Verdict::Damaged => format!("DAMAGED: {} faults in {all} tensors", report.faults.len()),
    });
    let reach = report.reach.as_deref().unwrap_or("nowhere");
    let place = report.path.display();
    lines.push(format!("{all} tensors, {}, as far as {reach}{source}: {place}", megabytes(report.bytes)));
    lines.join("\n")
}
