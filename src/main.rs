use augment::cli::{Cli, Verb};
use augment::{commands, terminal};
use clap::{CommandFactory, Parser, error::ErrorKind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Cli { verb, batch, engine } = Cli::parse();
    let done = match (verb, batch.zip(engine)) {
        (Some(Verb::Preview(args)), _) => commands::preview(args),
        (Some(Verb::Report(args)), _) => commands::report(&args),
        (Some(Verb::Bench(args)), _) => commands::bench(args),
        (Some(Verb::Merge(args)), _) => commands::merge(&args),
        (Some(Verb::Weights(args)), _) => commands::weights(args),
        (None, Some((batch, engine))) => commands::batch(batch, engine),
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
