//! Runs one verb of the command line and reports its error.

use crate::cli::args::{Cli, Verb};
use crate::cli::{batch, bench, doctor, init, learn, manuals, preview, report, terminal, weights};
use crate::memory;
use clap::{CommandFactory, Parser, error::ErrorKind};
use std::ffi::OsString;

/// Runs the command line `args`, whose first word is the program's name, and returns the exit code. A command line that
/// cannot be understood, `--help` and `--version` end the process.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    memory::keep_freed();
    let Cli { verb, batch: args, compute } = Cli::parse_from(args);
    let done = match (verb, args) {
        (Some(Verb::Preview(args)), _) => preview::preview(args),
        (Some(Verb::Report(args)), _) => report::report(&args),
        (Some(Verb::Learn(args)), _) => learn::learn(args),
        (Some(Verb::Bench(args)), _) => bench::bench(args),
        (Some(Verb::Init(args)), _) => init::init(&args),
        (Some(Verb::Doctor(args)), _) => doctor::doctor(args),
        (Some(Verb::Schema), _) => manuals::schema(),
        (Some(Verb::Completions(args)), _) => manuals::completions(&args),
        (Some(Verb::Man(args)), _) => manuals::man(&args),
        (Some(Verb::Merge(args)), _) => batch::merge(&args),
        (Some(Verb::Weights(args)), _) => weights::weights(args),
        (None, Some(args)) => batch::batch(args, compute),
        (None, None) => Cli::command().error(ErrorKind::MissingRequiredArgument, "a dataset is missing").exit(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            terminal::print_err(&format!("error: {error}"));
            error.exit_code()
        }
    }
}
