//! Processes of a lab: started, waited for, ended by their id.

use crate::failure::Failure;
use konsil_node::NodeError;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Freed pages stay with a process for half a second: columns of shares come and go, and getting
/// pages anew from the kernel costs as much as computing on them.
pub(crate) const KEEP_PAGES: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "500");

/// How long a process may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(30);

/// How long a process may take until it has ended.
const END_MAX: Duration = Duration::from_secs(5);

/// A daemon that this command started. It is ended with this value.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Daemon {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets the process live on after this command.
    pub(crate) fn detach(self) {
        std::mem::forget(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // a daemon keeps its state on disk at every moment, so that it may be ended at any
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Which daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Centre,
    Dealer,
}

/// Starts the daemons of several folders, all at once, and waits until each listens.
pub(crate) fn start(folders: &[(Role, PathBuf)], attached: bool) -> Result<Vec<Daemon>, Failure> {
    let (sender, receiver) = mpsc::channel();
    let mut daemons = Vec::with_capacity(folders.len());
    for (at, (role, folder)) in folders.iter().enumerate() {
        let mut child = spawn(*role, folder, attached)?;
        let (sender, out) = (sender.clone(), child.stdout.take());
        daemons.push(Daemon { child, address: String::new() });
        thread::spawn(move || {
            let mut line = String::new();
            if let Some(out) = out {
                let _ended = BufReader::new(out).read_line(&mut line);
            }
            let _gone = sender.send((at, line));
        });
    }
    for _ in 0..daemons.len() {
        let ready = receiver.recv_timeout(READY_MAX);
        let fail = |at: Option<usize>| {
            let folder = at.and_then(|at| folders.get(at)).map(|(_, folder)| folder);
            not_ready(folder)
        };
        let (at, line) = ready.map_err(|_| fail(None))?;
        let address = line.trim().strip_prefix("ready ").ok_or_else(|| fail(Some(at)))?;
        if let Some(daemon) = daemons.get_mut(at) {
            daemon.address = address.to_owned();
        }
    }
    Ok(daemons)
}

fn not_ready(folder: Option<&PathBuf>) -> Failure {
    let Some(folder) = folder else {
        return Failure::process("a process did not become ready within 30 s");
    };
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    // the log began with this process, which said why it ended
    let said: Vec<&str> = log.lines().collect();
    Failure::process(format!("{} did not start:\n  {}", folder.display(), said.join("\n  ")))
}

fn spawn(role: Role, folder: &Path, attached: bool) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::file(folder, &error))?;
    let log_path = folder.join("log");
    let log = File::create(&log_path).map_err(|error| Failure::file(&log_path, &error))?;
    let mut command = Command::new(program);
    command.args([match role {
        Role::Centre => "node",
        Role::Dealer => "dealer",
    }]);
    command.args(["serve", "--dir"]).arg(folder);
    if attached {
        command.arg("--attached").stdin(Stdio::piped());
    } else {
        command.stdin(Stdio::null());
    }
    command.env(KEEP_PAGES.0, KEEP_PAGES.1);
    command.stdout(Stdio::piped()).stderr(log);
    command.spawn().map_err(|error| Failure::file(folder, &error))
}

/// Runs a daemon in this process: says `ready ADDRESS` on standard output, then serves.
pub(crate) fn serve(
    folder: &Path,
    attached: bool,
    daemon: impl FnOnce(&Path, fn(String)) -> Result<(), NodeError>,
) -> Result<(), Failure> {
    if attached {
        thread::spawn(|| {
            let mut rest = Vec::new();
            let _closed = std::io::stdin().read_to_end(&mut rest);
            std::process::exit(0);
        });
    }
    let ready: fn(String) = |address| {
        let mut out = std::io::stdout().lock();
        let _closed = writeln!(out, "ready {address}").and_then(|()| out.flush());
        say_ready();
    };
    Ok(daemon(folder, ready)?)
}

/// Tells systemd, where it has started this process, that it serves.
pub(crate) fn say_ready() {
    // whoever started it otherwise listens on standard output
    let _told = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
}

/// Ends a process that an earlier command started, if it is still the same one.
pub(crate) fn end(id: u32, folder: &Path) -> bool {
    let told = is_running(id, folder)
        && Command::new("kill").arg(id.to_string()).status().is_ok_and(|it| it.success());
    let begin = Instant::now();
    // its folder is free for the next process when it has gone
    while told && is_running(id, folder) && begin.elapsed() < END_MAX {
        thread::sleep(Duration::from_millis(5));
    }
    told
}

/// Whether a process that an earlier command started still runs.
pub(crate) fn is_running(id: u32, folder: &Path) -> bool {
    let command_line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let folder = folder.as_os_str().as_encoded_bytes();
    command_line.split(|byte| *byte == 0).any(|word| word == folder)
}
