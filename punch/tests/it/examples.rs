//! The examples, two of each over the loopback interface.

use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Path of an example, which cargo has built beside this test.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap();
    let program = built.join("examples").join(example);
    assert!(
        program.exists(),
        "{} is not there: cargo build -p punch --examples",
        program.display()
    );
    program
}

/// Starts an example at `own` that connects to `peer` and reads `input`.
fn start(example: &str, peer: &str, own: &str, input: &str) -> Child {
    let mut child = Command::new(program(example))
        .args([peer, own])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // If the example ends without reading anything, the exit status tells why.
    let _ = stdin.write_all(input.as_bytes());
    child
}

/// The output of an example.
fn output(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn chat_and_tokio_pass_text_in_both_directions() {
    let (a, b) = ("127.92.1.1", "127.92.1.2");
    let chat = start("chat", b, a, "from chat\n");
    let tokio = start("tokio", a, b, "from tokio\n");
    assert_eq!(output(chat), "from tokio\n");
    assert_eq!(output(tokio), "from chat\n");
}

#[test]
fn two_own_event_loops_connect() {
    let (a, b) = ("127.92.2.1", "127.92.2.2");
    let [first, second] =
        [start("own_event_loop", b, a, ""), start("own_event_loop", a, b, "")].map(output);
    assert!(first.ends_with(&format!("hello from {b}\n")), "{first}");
    assert!(second.ends_with(&format!("hello from {a}\n")), "{second}");
}
