//! Versions of what the NATs of a lab are made of: the kernel, and the programs that load rules.

use std::{
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{event::Machine, lab, nat::rules::Tool};

/// Time that a program gets to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest version that is kept, in characters.
const MAX_VERSION: usize = 80;

/// Versions on this machine; what is not installed or does not answer has none.
pub(crate) fn machine() -> Machine {
    let kernel = nix::sys::utsname::uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| {
            let [system, release] = [name.sysname(), name.release()];
            format!("{} {}", system.to_string_lossy(), release.to_string_lossy())
        },
    );
    Machine { kernel, iptables: version(Tool::Iptables), nft: version(Tool::Nft) }
}

/// First line that a program prints about its version.
fn version(tool: Tool) -> Option<String> {
    let program = lab::find_program(tool.program())?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let output = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        // Nobody waits any more if it took too long.
        let _ = sender.send(output);
    });
    let output = receiver.recv_timeout(VERSION_TIMEOUT).ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(MAX_VERSION).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_named_with_its_release() {
        let machine = machine();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(machine.kernel, format!("Linux {}", release.trim()));
    }
}
