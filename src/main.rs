use augment::cli::{Cli, Verb};
use augment::{commands, terminal};
use clap::{CommandFactory, Parser, error::ErrorKind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Cli { verb, batch, machine } = Cli::parse();
    let done = match (verb, batch) {
        (Some(Verb::Preview(args)), _) => commands::preview(args),
        (Some(Verb::Report(args)), _) => commands::report(&args),
        (Some(Verb::Bench(args)), _) => commands::bench(args),
        (Some(Verb::Init(args)), _) => commands::init(&args),
        (Some(Verb::Doctor(args)), _) => commands::doctor(args),
        (Some(Verb::Schema), _) => commands::schema(),
        (Some(Verb::Completions(args)), _) => commands::completions(&args),
        (Some(Verb::Man(args)), _) => commands::man(&args),
        (Some(Verb::Merge(args)), _) => commands::merge(&args),
        (Some(Verb::Weights(args)), _) => commands::weights(args),
        (None, Some(batch)) => commands::batch(batch, machine),
        (None, None) => Cli::command().error(ErrorKind::MissingRequiredArgument, "a dataset is missing").exit(),
    };
    match done {
        Ok(code) => code.into(),
        Err(error) => {
            terminal::tell(&format!("error: {error}"));
            error.exit_code().into()
        }
    }
}
