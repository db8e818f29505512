//! The program: the command line of the library, as a process.

use augment::cli::run::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run(std::env::args_os()).into()
}
