//! `augment schema`, `completions` and `man`

use crate::cli::{args, terminal};
use crate::error::{Error, Result};
use crate::{config, yaml};
use clap::CommandFactory;

/// Runs `augment schema` and returns the exit code.
///
/// # Errors
/// Never; all verbs share this return type.
pub fn schema() -> Result<u8> {
    terminal::print_out(config::schema::schema_text().trim_end());
    Ok(0)
}

/// Runs `augment completions SHELL` and returns the exit code.
///
/// # Errors
/// Never; all verbs share this return type.
pub fn completions(args: &args::CompletionsArgs) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::Cli::command(), "augment", &mut script);
    terminal::print_out(String::from_utf8_lossy(&script).trim_end());
    Ok(0)
}

/// Runs `augment man [VERB]` and returns the exit code.
///
/// # Errors
/// [`Error::Usage`] for a verb that does not exist.
pub fn man(args: &args::ManArgs) -> Result<u8> {
    let mut command = args::Cli::command();
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
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Error::Run(format!("could not write the manual page: {error}")))?;
    terminal::print_out(String::from_utf8_lossy(&text).trim_end());
    Ok(0)
}
