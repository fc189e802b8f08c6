//! What `harness` does, seen from outside: the built binary, run on real namespaces.
//!
//! A test that needs namespaces fails with what is missing where the machine has none; none passes
//! by skipping. After every run it is checked that nothing is left of it, and that nothing panicked.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code, which clippy knows of functions marked as tests only"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is unknown to a test belongs in its message, not in a list of variants"
)]

mod capture;
mod causes;
mod classified;
mod exit_codes;
mod hosts;
mod language;
mod left_behind;
mod machine;
mod nats;
mod processes;
mod replay;
mod report;
mod reproducible;
mod shell;
mod standstill;
mod subjects;
mod test_dir;
mod theory;
mod time_server;
mod times;
mod verify;
mod wan;
