//! The processes of one connector: as a supervisor would run it, and sometimes one too many.
//!
//! In: deaths. Out: at least one process that runs. Never: an end that is neither a death by SIGKILL nor an orderly leave; that is
//! a finding.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::connector::{Connector, ConnectorProcess, SIGKILL};
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// The processes that run.
pub(super) struct Crew {
    pub(super) connector: Connector,
    members: Vec<ConnectorProcess>,
    /// Processes started after a death.
    pub(super) restarts: u32,
    /// Copies that left because another had taken over.
    pub(super) left: u32,
}

impl Crew {
    pub(super) fn start(connector: Connector) -> Result<Self> {
        let members = vec![connector.start()?];
        Ok(Self { connector, members, restarts: 0, left: 0 })
    }

    /// Waits until the newest streams.
    pub(super) async fn streams(&mut self) -> Result<()> {
        let Self { connector, members, .. } = self;
        match members.last_mut() {
            Some(newest) => connector.wait_until_streaming(newest).await,
            None => Ok(()),
        }
    }

    /// The one that was started last.
    pub(super) fn newest(&mut self) -> Result<&mut ConnectorProcess> {
        self.members.last_mut().ok_or_else(|| Failure::new("no process of the connector runs"))
    }

    /// Starts one more.
    pub(super) fn join(&mut self, environment: &[(&str, &str)]) -> Result<()> {
        self.members.push(self.connector.start_with(environment)?);
        Ok(())
    }

    /// Kills all of them.
    pub(super) async fn kill(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.kill().await?;
        }
        self.members.clear();
        Ok(())
    }

    /// Kills all of them, and starts one with this variable of failpoints.
    pub(super) async fn replace(&mut self, failpoint: &str) -> Result<()> {
        self.kill().await?;
        self.restarts += 1;
        self.join(&[(failpoint::FAILPOINT, failpoint)])
    }

    /// Sends a signal to all of them, once they can hear it.
    pub(super) async fn signal(&mut self, name: &str) -> Result<()> {
        self.look_after()?;
        for member in &mut self.members {
            eventually("it has begun to log", DEADLINE, async || {
                let hears = member.exited()?.is_some() || !member.log().is_empty();
                Ok(Seen::when(hears, || "nothing yet".to_owned()))
            })
            .await?;
            member.signal(name).await?;
        }
        Ok(())
    }

    /// Starts one again if none is left.
    ///
    /// Errors: a process that ended by itself in another way than leaving for a successor.
    pub(super) fn look_after(&mut self) -> Result<()> {
        let mut index = 0;
        while index < self.members.len() {
            let Some(status) = self.members[index].exited()? else {
                index += 1;
                continue;
            };
            let ended = self.members.remove(index);
            match (status.code(), status.signal()) {
                (Some(0), _) => self.left += 1,
                (None, Some(SIGKILL)) => {}
                _ => {
                    let log = ended.log_end();
                    return Err(Failure::new(format!("it ended by itself, {status}:\n{log}")));
                }
            }
        }
        if self.members.is_empty() {
            self.restarts += 1;
            self.join(&[])?;
        }
        Ok(())
    }

    /// Ends all of them in order. One that was fenced may leave by itself meanwhile.
    pub(super) async fn end(&mut self) -> Result<()> {
        self.look_after()?;
        for member in &mut self.members {
            if member.exited()?.is_some() {
                continue;
            }
            let code = member.terminate().await?;
            if code != 0 {
                let log = member.log_end();
                return Err(Failure::new(format!("SIGTERM ended it with {code}:\n{log}")));
            }
        }
        Ok(())
    }

    /// The ends of all logs.
    pub(super) fn logs(&self) -> String {
        let logs: Vec<String> = self.members.iter().map(ConnectorProcess::log_end).collect();
        logs.join("\n--\n")
    }

    /// Waits until the newest has died, or has written `line`; whether it did.
    pub(super) async fn reaches(&mut self, line: &str, within: Duration) -> Result<bool> {
        let newest = self.newest()?;
        Ok(newest.log_with(line, within).await.is_ok())
    }
}
