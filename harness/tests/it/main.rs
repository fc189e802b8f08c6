//! Tests of the built `harness` binary from outside, on real namespaces.
//!
//! On a machine without namespaces, a test that needs them fails and says what is missing; no test
//! passes by skipping. After every run, [`test_dir`] checks that nothing is left of the run and
//! that nothing panicked.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code; clippy recognises only functions marked as tests"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test prints the variant that it does not expect; a list of variants adds nothing"
)]

mod capture;
mod causes;
mod classified;
mod documents;
mod exit_codes;
mod field;
mod hosts;
mod language;
mod layers;
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
