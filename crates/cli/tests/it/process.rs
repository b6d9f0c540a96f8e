//! Commands and daemons that a test starts, with a deadline, and ends by their id.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// No command of these tests takes longer, however busy the computer is.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(2);

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) elapsed: Duration,
}

impl Ran {
    /// Asserts the exit status.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that the messages contain each of these texts, and that nothing panicked.
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        assert!(!self.err.contains("panicked"), "{self:#?}");
        for text in texts {
            assert!(self.err.contains(text), "no `{text}` in {self:#?}");
        }
        self
    }

    /// The JSON result: the last line of standard output.
    pub(crate) fn json(&self) -> Value {
        let last = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

/// A command under way.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: thread::JoinHandle<String>,
    err: thread::JoinHandle<String>,
    begin: Instant,
}

impl Running {
    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, which must come within the time.
    pub(crate) fn wait(mut self, limit: Duration) -> Ran {
        let mut status: Option<ExitStatus> = None;
        let ended = until(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if !ended {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        let (out, err) = (self.out.join().unwrap(), self.err.join().unwrap());
        assert!(ended, "did not end within {limit:?}\n{out}\n{err}");
        Ran { code: status.unwrap().code(), out, err, elapsed: self.begin.elapsed() }
    }
}

/// The `konsil` command in a folder, with nothing of this process' settings.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_konsil"));
    command.current_dir(folder).stdin(Stdio::null());
    command.env_remove("NO_COLOR").env_remove("RUST_BACKTRACE");
    command
}

/// Starts a command and collects what it says.
pub(crate) fn start(command: &mut Command) -> Running {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    Running { out: collect(out), err: collect(err), child, begin }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs `konsil` with arguments in a folder to its end.
pub(crate) fn konsil(folder: &Path, arguments: &[&str]) -> Ran {
    start(command(folder).args(arguments)).wait(COMMAND_MAX)
}

/// Looks at a condition until it holds; `false` when the time is over.
pub(crate) fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if begin.elapsed() > limit {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// A centre's node or the dealer, held by the test; it ends with this value.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: String,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl Daemon {
    /// Starts `konsil node serve` or `konsil dealer serve` and waits until it listens.
    pub(crate) fn serve(kind: &str, folder: &Path) -> Self {
        Self::serve_by(command(folder), kind, folder)
    }

    /// As [`Daemon::serve`], by a command that starts `konsil` in its own way.
    pub(crate) fn serve_by(mut by: Command, kind: &str, folder: &Path) -> Self {
        let arguments = [kind, "serve", "--attached", "--dir", "."].map(str::to_owned).to_vec();
        by.args(&arguments).current_dir(folder);
        let (child, address) = listening(&mut by, folder);
        Self { child, address, arguments, folder: folder.to_owned() }
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Starts it again; it listens at another port then.
    pub(crate) fn restart(&mut self) {
        let (child, address) = listening(command(&self.folder).args(&self.arguments), &self.folder);
        self.child = child;
        self.address = address;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Starts a daemon that ends with this process; gives its address.
fn listening(command: &mut Command, folder: &Path) -> (Child, String) {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.unwrap());
    let mut child = command.spawn().unwrap();
    let (sender, receiver) = mpsc::channel();
    let out = child.stdout.take().unwrap();
    thread::spawn(move || {
        let mut line = String::new();
        let _read = BufReader::new(out).read_line(&mut line);
        let _gone = sender.send(line);
    });
    let line = receiver.recv_timeout(Duration::from_secs(30)).unwrap_or_default();
    let Some(address) = line.trim().strip_prefix("ready ") else {
        child.kill().unwrap();
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        panic!("{} is not ready: {line}{log}", folder.display());
    };
    (child, address.to_owned())
}
