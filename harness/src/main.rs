//! `harness`: the test bench for TCP hole punching.

mod event;
#[allow(dead_code, reason = "the run dispatcher and the command line are its users")]
mod report;
#[allow(dead_code, reason = "only the criterion is used so far")]
mod scenario;

fn main() {}
