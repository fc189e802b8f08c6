//! The command `punch`; see [`punch_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    punch_cli::main(std::env::args_os())
}
