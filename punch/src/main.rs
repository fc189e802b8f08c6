//! The command `punch`; see [`punch::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    punch::cli::main(std::env::args_os())
}
