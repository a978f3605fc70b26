//! Programs that cannot outlive us.
//!
//! In: a command. Out: its process id, its end, a way to signal it. Each program runs under a small shell script that holds
//! the read end of a pipe whose only write end is ours: when we end, by whatever signal, the pipe ends, and the script ends the
//! program and removes its temporary folder. Never here: `unsafe`, process groups killed by name, a program without a watchdog.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;
use tracing::warn;

use crate::{EmbeddedError, user::User};

const SCRIPT: &str = include_str!("watchdog.sh");

/// A command to run under a watchdog.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) folder: PathBuf,
    /// Where the program's output goes; appended to.
    pub(crate) log: PathBuf,
    /// Run as this user instead of ours.
    pub(crate) user: Option<User>,
    pub(crate) ending: Ending,
}

/// What the watchdog does once we are gone.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// Name of the signal that ends the program, without `SIG`.
    pub(crate) signal: &'static str,
    /// SIGKILL follows after so long.
    pub(crate) grace: Duration,
    /// Removed when the program has ended and we are gone.
    pub(crate) remove: Option<PathBuf>,
}

/// A program that runs, or has ended. Dropping it ends the program and waits until it is gone.
#[derive(Debug)]
pub(crate) struct Watched {
    pid: u32,
    /// `None` once closed.
    orders: Option<ChildStdin>,
    exit_code: watch::Receiver<Option<i32>>,
    reaper: Option<JoinHandle<()>>,
}

impl Guarded {
    /// Starts the program. Returns when the operating system has given it a process id.
    pub(crate) fn start(self) -> Result<Watched, EmbeddedError> {
        let program = self.program.clone();
        let failed = |source| EmbeddedError::Spawn { program: program.clone(), source };
        let mut child = self.command().spawn().map_err(failed)?;
        let (Some(orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::Error::other("no pipe to the watchdog")));
        };
        let mut lines = BufReader::new(output).lines();
        let pid = match lines.next() {
            Some(Ok(line)) => line.trim().parse().map_err(std::io::Error::other),
            Some(Err(error)) => Err(error),
            None => Err(std::io::Error::other("the watchdog ended at once")),
        };
        let pid = pid.map_err(failed)?;
        let (sender, exit_code) = watch::channel(None);
        let reaper = std::thread::Builder::new()
            .name(format!("reaper-{pid}"))
            .spawn(move || reap(child, lines, &sender))
            .map_err(failed)?;
        Ok(Watched { pid, orders: Some(orders), exit_code, reaper: Some(reaper) })
    }

    fn command(self) -> Command {
        let remove = self.ending.remove.unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "watchdog", self.ending.signal])
            .arg(self.ending.grace.as_secs().to_string())
            .arg(remove)
            .arg(self.log)
            .arg(self.program)
            .args(self.arguments)
            .envs(self.environment)
            .current_dir(self.folder)
            // Ctrl-C in a terminal goes to the foreground group: the servers must live until we have drained.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

impl Watched {
    /// Process id of the program itself, not of its watchdog.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its exit code, if it has ended; 128 plus the signal if a signal ended it.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        *self.exit_code.borrow()
    }

    /// Sends a signal, named without `SIG`. Does nothing if the program has ended.
    pub(crate) fn signal(&mut self, name: &str) {
        self.order(name);
    }

    /// Waits for the end, at most `deadline`; `None` if it still runs then.
    pub(crate) async fn ended(&mut self, deadline: Duration) -> Option<i32> {
        let wait = self.exit_code.wait_for(Option::is_some);
        match tokio::time::timeout(deadline, wait).await {
            Ok(Ok(code)) => *code,
            // The reaper is gone without a code: the watchdog itself was killed.
            Ok(Err(_)) => Some(-1),
            Err(_elapsed) => None,
        }
    }

    /// Ends the program with a signal, with SIGKILL if that is not enough, and returns its exit code.
    pub(crate) async fn end(&mut self, signal: &str, grace: Duration) -> i32 {
        self.signal(signal);
        if let Some(code) = self.ended(grace).await {
            return code;
        }
        warn!(pid = self.pid, signal, "process {} outlived SIG{signal}, killing it", self.pid);
        self.signal("KILL");
        self.ended(grace).await.unwrap_or(-1)
    }

    /// Lets the watchdog go without removing the folder. The program must have ended.
    pub(crate) fn close_and_keep(mut self) {
        self.order("keep");
    }

    fn order(&mut self, line: &str) {
        if let Some(orders) = &mut self.orders
            && let Err(error) = orders.write_all(format!("{line}\n").as_bytes())
        {
            warn!(pid = self.pid, %error, "watchdog of process {} is gone", self.pid);
            self.orders = None;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(reaper) = self.reaper.take()
            && reaper.join().is_err()
        {
            warn!(pid = self.pid, "the thread waiting for process {} panicked", self.pid);
        }
    }
}

/// Waits for `exit <code>`, then for the watchdog itself, so that no zombie stays.
fn reap(
    mut child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    exit_code: &watch::Sender<Option<i32>>,
) {
    for line in lines.map_while(Result::ok) {
        if let Some(code) = line.strip_prefix("exit ").and_then(|code| code.parse().ok()) {
            exit_code.send_replace(Some(code));
        }
    }
    // Its standard output has ended, so it ends too.
    if let Err(error) = child.wait() {
        warn!(%error, "cannot wait for a watchdog");
    }
    if exit_code.borrow().is_none() {
        exit_code.send_replace(Some(-1));
    }
}

/// Runs a program to its end under a watchdog and gives its exit code.
///
/// A caller that drops the future ends the program.
pub(crate) async fn run(command: Guarded, deadline: Duration) -> Result<i32, EmbeddedError> {
    let mut watched = command.start()?;
    let code = watched.ended(deadline).await;
    let code = if let Some(code) = code { code } else { watched.end("KILL", deadline).await };
    watched.close_and_keep();
    Ok(code)
}
