//! `harness`: the test bench for TCP hole punching.

mod event;
#[allow(dead_code, unused_imports)]
mod scenario;

fn main() {}
