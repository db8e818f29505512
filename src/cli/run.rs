//! Runs one verb of the command line and reports its error.

use crate::cli::args::{Cli, Verb};
use crate::cli::{batch, bench, doctor, init, learn, manuals, preview, report, terminal, weights};
use crate::{memory, yaml};
use clap::{CommandFactory, Parser, error::ErrorKind};
use std::ffi::OsString;
use std::path::Path;

/// Runs the command line `args`, whose first word is the program's name, and returns the exit code. A command line that
/// cannot be understood, `--help` and `--version` end the process.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    memory::keep_freed();
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = Cli::try_parse_from(&args);
    let Cli { verb, batch: args, compute } =
        parsed.unwrap_or_else(|error| misspelt_verb(&args).unwrap_or(error).exit());
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

/// What to say of a first word that is close to a verb and leads to nothing on disk. Else it would be taken for a dataset
/// without a config.
fn misspelt_verb(args: &[OsString]) -> Option<clap::Error> {
    let word = args.get(1)?.to_str().filter(|word| !word.starts_with('-') && !Path::new(word).exists())?;
    let mut command = Cli::command();
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_string()).collect();
    let near = yaml::nearest(word, verbs.iter().map(String::as_str)).filter(|near| *near != word)?;
    Some(command.error(ErrorKind::InvalidSubcommand, format!("`{word}` is no verb; did you mean `{near}`?")))
}
