//! `augment weights`: `pull`, `import`, `verify` and `path`.

use crate::cli::args::{self, WeightsVerb};
use crate::cli::setup::print_json;
use crate::cli::{terminal, transfer};
use crate::error::Result;
use crate::units::megabytes;
use crate::weights::check::{TensorState, Verdict, WeightsReport};
use crate::weights::digests::Checksums;
use crate::weights::{InstallOptions, import_file, locate, pull, verify};

/// Runs one of the verbs of `augment weights` and returns the exit code.
///
/// # Errors
/// See [`pull`], [`import_file`] and [`verify`]; and those of [`Checksums::read`] for the file of `--digests`.
pub fn weights(args: args::WeightsArgs) -> Result<u8> {
    match args.verb {
        WeightsVerb::Pull(args) => {
            let options = install_options(&args.install)?;
            let report = pull(&args.repo, args.through, &options, transfer::observer(args.quiet).as_mut())?;
            print_report(&report, &args.install.check, args.quiet);
            print_if_unused(&report);
            Ok(0)
        }
        WeightsVerb::Import(args) => {
            let report = import_file(&args.file, &install_options(&args.install)?)?;
            print_report(&report, &args.install.check, false);
            print_if_unused(&report);
            Ok(0)
        }
        WeightsVerb::Verify(args) => {
            let report = verify(args.file.as_deref(), given(&args.check)?.as_ref())?;
            print_report(&report, &args.check, false);
            Ok(u8::from(report.verdict == Verdict::Damaged))
        }
        WeightsVerb::Path(args) => {
            let (path, why) = automatic();
            if args.json {
                print_json(&serde_json::json!({ "path": path, "why": why }));
            } else {
                terminal::print_out(&path);
                terminal::print_err(&format!("{why}; --weights and `stylize.backbone` in a config take precedence"));
            }
            Ok(0)
        }
    }
}

fn install_options(install: &args::InstallArgs) -> Result<InstallOptions> {
    Ok(InstallOptions { force: install.force, given: given(&install.check)? })
}

/// The digests in the file of `--digests`.
fn given(check: &args::WeightsCheckArgs) -> Result<Option<Checksums>> {
    check.digests.as_deref().map(Checksums::read).transpose()
}

fn print_report(report: &WeightsReport, check: &args::WeightsCheckArgs, quiet: bool) {
    if check.json {
        print_json(report);
    } else if !quiet {
        terminal::print_out(&digest_lines(report));
    }
    terminal::print_err(&summary(report));
}

/// Warns if runs would not use the weights that were just installed, because the environment names others.
fn print_if_unused(report: &WeightsReport) {
    let (path, why) = automatic();
    if path != report.path.display().to_string() {
        terminal::print_err(&format!("a run still uses {path}: {why}"));
    }
}

/// The path of the weights that a run uses by default, or `builtin`, and the reason.
fn automatic() -> (String, &'static str) {
    let (path, why) = locate::automatic();
    (path.map_or_else(|| "builtin".into(), |path| path.display().to_string()), why)
}

/// The digests of all tensors, one per line, in the format that `--digests` reads.
fn digest_lines(report: &WeightsReport) -> String {
    let lines: Vec<String> = report.tensors.iter().map(|row| format!("{}  {}", row.sha256, row.name)).collect();
    lines.join("\n")
}

/// The faults, the verdict, and a line with size, source and path.
fn summary(report: &WeightsReport) -> String {
    let mut lines = report.faults.clone();
    let all = report.tensors.len();
    let known = report.tensors.iter().filter(|row| row.state == TensorState::Known).count();
    lines.push(match report.verdict {
        Verdict::Known => {
            format!("{}: {known} of {all} digests are known, and they match", report.known.unwrap_or_default())
        }
        Verdict::Given => format!("all {all} digests are those that were given"),
        Verdict::Unchanged => {
            format!("all {all} tensors are as they were installed; this program has no digests of these weights")
        }
        Verdict::Unknown => "usable; this program has no digests of these weights".into(),
        Verdict::Damaged => format!("DAMAGED: {} faults in {all} tensors", report.faults.len()),
    });
    let reach = report.reach.as_deref().unwrap_or("no layer");
    let source = report.source.as_deref().map_or(String::new(), |source| format!(", {source}"));
    let path = report.path.display();
    lines.push(format!("{all} tensors, {}, as far as {reach}{source}: {path}", megabytes(report.bytes)));
    lines.join("\n")
}
