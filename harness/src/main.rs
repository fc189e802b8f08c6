//! `harness`: the test bench for TCP hole punching.

mod event;

fn main() {}
