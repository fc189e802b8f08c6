//! Folder in which a test runs the harness, a running harness, and the results of a finished run.

use std::{
    cell::Cell,
    fs::{self, File},
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::processes::{self, Process};

/// The program under test.
pub(crate) const HARNESS: &str = env!("CARGO_BIN_EXE_harness");

/// Environment variable that identifies every process of a run: whatever the harness starts
/// inherits it.
pub(crate) const MARK: &str = "HARNESS_TEST_MARK";

/// Time limit of a run, long enough for a busy machine.
const MAX_RUN: Duration = Duration::from_secs(90);

/// Time limit for the kernel to remove everything of a run that was killed.
pub(crate) const REMOVAL: Duration = Duration::from_secs(20);

/// Lock that lets a test that measures times run alone. `cargo test` runs all tests in one process;
/// nextest has a process for each test, and `.config/nextest.toml` serves the same purpose there.
static TURNS: RwLock<()> = RwLock::new(());

#[expect(dead_code, reason = "held, not read")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Folder for scenarios and results, with a mark for the processes of its runs.
pub(crate) struct TestDir {
    folder: TempDir,
    mark: String,
    runs: Cell<u32>,
    _turn: Turn,
}

impl TestDir {
    pub(crate) fn new() -> Self {
        Self::with(Turn::Shared(TURNS.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Like [`TestDir::new`]; no other test of this process runs until the value is dropped.
    pub(crate) fn alone() -> Self {
        Self::with(Turn::Alone(TURNS.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn with(turn: Turn) -> Self {
        let folder = TempDir::with_prefix("harness-it-").unwrap();
        let mark = folder
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder, mark, runs: Cell::new(0), _turn: turn }
    }

    /// Path in this folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Text that no other process has in its command line or environment.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Command that runs in this folder, with the mark in its environment and a folder of its own
    /// for temporary files.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env(MARK, &self.mark)
            .env("TMPDIR", self.path("tmp"))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY")
            .env_remove("COLUMNS");
        command
    }

    /// Starts a command of [`TestDir::command`] in a process group of its own, as a shell does.
    /// Output goes to files, so that the command never waits for a reader. `out` is the folder
    /// where the command was told to put its results, if any.
    pub(crate) fn spawn(&self, mut command: Command, out: PathBuf) -> RunningHarness<'_> {
        let number = self.runs.replace(self.runs.get() + 1);
        let streams = ["stdout", "stderr"].map(|name| self.path(&format!("{name}-{number}")));
        let [stdout, stderr] = streams.each_ref().map(|path| File::create(path).unwrap());
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        RunningHarness { dir: self, child, streams, out }
    }

    /// Starts the harness; `out` as in [`TestDir::spawn`].
    pub(crate) fn start_harness(&self, arguments: &[&str], out: PathBuf) -> RunningHarness<'_> {
        let mut command = self.command(HARNESS);
        command.args(arguments);
        self.spawn(command, out)
    }

    /// Runs the harness with any arguments.
    pub(crate) fn harness(&self, arguments: &[&str]) -> FinishedRun {
        self.start_harness(arguments, self.path("none")).wait()
    }

    /// Starts a run of one scenario with results in a folder of their own.
    pub(crate) fn start(&self, scenario: &str, options: &[&str]) -> RunningHarness<'_> {
        let number = self.runs.get();
        let file = self.write(&format!("scenario-{number}.toml"), scenario);
        let out = self.path(&format!("run-{number}"));
        let mut arguments = vec![file.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(options);
        self.start_harness(&arguments, out.clone())
    }

    /// Runs one scenario to its end.
    pub(crate) fn run(&self, scenario: &str, options: &[&str]) -> FinishedRun {
        let ran = self.start(scenario, options).wait();
        ran.assert_capable();
        ran
    }

    /// Processes of this folder's runs that are still there.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes::marked(&self.mark)
    }

    fn temporary_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Panics if processes or temporary files of the runs are left.
    pub(crate) fn assert_nothing_left(&self) {
        let processes = self.processes();
        assert!(processes.is_empty(), "still running: {processes:#?}");
        let files = self.temporary_files();
        assert!(files.is_empty(), "temporary files are left: {files:?}");
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        // After a failed test, its processes must not disturb the next one.
        for process in self.processes() {
            let _ = kill(process.id(), Signal::SIGKILL);
        }
    }
}

/// Harness process that was started and not yet waited for.
pub(crate) struct RunningHarness<'a> {
    dir: &'a TestDir,
    child: Child,
    streams: [PathBuf; 2],
    out: PathBuf,
}

impl RunningHarness<'_> {
    /// The process that was started. It becomes the guardian when the harness isolates itself.
    pub(crate) fn guardian(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Process 1 of the PID namespace of the run: the guardian's child.
    pub(crate) fn init(&self) -> Pid {
        self.child_of(self.guardian())
    }

    /// The harness proper: the child of process 1 of its PID namespace.
    pub(crate) fn inner(&self) -> Pid {
        self.child_of(self.init())
    }

    fn child_of(&self, parent: Pid) -> Pid {
        let is_child =
            |process: &Process| process.parent() == Some(parent) && process.runs(HARNESS);
        let found = wait_for("the isolated process", Duration::from_secs(10), || {
            self.dir.processes().into_iter().find(is_child)
        });
        found.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.guardian(), signal).unwrap();
    }

    /// Sends a signal to the whole process group, as a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let group = Pid::from_raw(-self.guardian().as_raw());
        kill(group, signal).unwrap();
    }

    /// Waits until the log has at least this number of whole lines.
    pub(crate) fn wait_for_lines(&mut self, lines: usize) {
        let log = self.out.join("events.jsonl");
        wait_for("lines of the log", MAX_RUN, || {
            let status = self.child.try_wait().unwrap();
            assert!(status.is_none(), "ended early: {status:?}\n{}", self.stderr());
            let text = fs::read_to_string(&log).unwrap_or_default();
            (text.matches('\n').count() >= lines).then_some(())
        });
    }

    fn stderr(&self) -> String {
        fs::read_to_string(&self.streams[1]).unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end, then checks that nothing panicked and nothing is left.
    pub(crate) fn wait(self) -> FinishedRun {
        self.wait_at_most(MAX_RUN)
    }

    pub(crate) fn wait_at_most(self, limit: Duration) -> FinishedRun {
        let dir = self.dir;
        let ran = self.reap(limit);
        dir.assert_nothing_left();
        ran
    }

    /// Waits for the end, without the check that nothing is left.
    pub(crate) fn reap(mut self, limit: Duration) -> FinishedRun {
        let status = wait_for("the end of the harness", limit, || self.child.try_wait().unwrap());
        let [stdout, stderr] = self.streams.map(|path| fs::read_to_string(path).unwrap());
        let ran = FinishedRun { status, stdout, stderr, out: self.out };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }
}

/// Exit status, output and results of a run.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Folder with the results.
    pub(crate) out: PathBuf,
}

impl FinishedRun {
    /// Exit code, or 128 plus the signal, as in shells.
    pub(crate) fn code(&self) -> i32 {
        let signal = || 128 + self.status.signal().unwrap();
        self.status.code().unwrap_or_else(signal)
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code(), code, "{self:#?}");
    }

    #[track_caller]
    fn assert_capable(&self) {
        assert_ne!(
            self.code(),
            5,
            "THIS MACHINE CANNOT RUN THE TESTS THAT NEED NAMESPACES:\n{}",
            self.stderr
        );
    }

    /// All events of the log.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.out.join("events.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The `trial-finished` events, sorted by scenario, cell and index.
    pub(crate) fn trials(&self) -> Vec<Value> {
        let mut trials = self.events();
        trials.retain(|event| event["event"] == "trial-finished");
        trials.sort_by_key(|trial| {
            ["scenario", "cell", "trial"].map(|index| trial[index].as_u64().unwrap())
        });
        trials
    }

    pub(crate) fn summary(&self) -> Value {
        read_json(&self.out.join("summary.json"))
    }
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Path of the Python interpreter. The `python3` on the `PATH` may be a slow wrapper of it.
pub(crate) fn python() -> String {
    let print = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3")
        .args(print)
        .output()
        .unwrap_or_else(|error| {
            panic!("python3, which the subjects of these tests are written in: {error}")
        });
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Command that runs a Python program of `tests/it/programs`, as a TOML array.
pub(crate) fn python_command(name: &str, arguments: &[&str]) -> String {
    let mut command = vec![python(), program(name)];
    command.extend(arguments.iter().map(ToString::to_string));
    // JSON strings of printable ASCII are TOML strings.
    serde_json::to_string(&command).unwrap()
}

/// Path of a file in `tests/it/programs`.
pub(crate) fn program(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/programs")
        .join(name);
    assert!(path.is_file(), "{}", path.display());
    path.to_str().unwrap().to_owned()
}

/// Polls `done` every 5 ms until it returns a value.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = now();
    loop {
        if let Some(result) = done() {
            return result;
        }
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}");
        pause(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test measures the harness from outside")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "another process cannot be waited for otherwise")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Names of the network interfaces in this process's namespace.
pub(crate) fn interfaces() -> io::Result<Vec<String>> {
    let entries = fs::read_dir("/sys/class/net")?;
    let mut names: Vec<String> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}
