//! What a process has used, from `/proc`.
//!
//! In: a process id. Out: processor time, memory, threads and open files. Never: a process of another machine or system.
//! Source: proc(5).

use std::time::Duration;

use crate::stack::Stack;
use crate::{Failure, Result};

/// Clock ticks per second of `/proc/PID/stat`; a constant of the Linux interface.
const TICKS_PER_SECOND: u32 = 100;

/// Fields of `/proc/PID/stat`, counted from after the command's name.
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const WAITED_USER_TICKS: usize = 13;
const WAITED_SYSTEM_TICKS: usize = 14;

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time, of all threads, in user and kernel mode.
    pub processor: Duration,
    /// Resident set now, bytes.
    pub rss_bytes: u64,
    /// Largest resident set so far, bytes.
    pub peak_rss_bytes: u64,
    /// Threads now.
    pub threads: u64,
}

impl Usage {
    /// What was used after `before`; the largest resident set is that of the whole life.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { processor: self.processor.saturating_sub(before.processor), ..self }
    }
}

/// Reads the usage of a running process.
pub fn usage(process_id: u32) -> Result<Usage> {
    let stat = Stat::read(process_id)?;
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let number = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        let number = value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
        number.ok_or_else(|| unexpected(process_id))
    };
    let bytes = |name: &str| number(name).map(|kib: u64| kib * 1024);
    Ok(Usage {
        processor: stat.ticks(&[USER_TICKS, SYSTEM_TICKS])?,
        rss_bytes: bytes("VmRSS:")?,
        peak_rss_bytes: bytes("VmHWM:")?,
        threads: number("Threads:")?,
    })
}

/// How many files and sockets a running process has open.
pub(crate) fn open_files(process_id: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{process_id}/fd"))?.count())
}

/// Processor time of the two servers, which share the machine with whoever is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Servers {
    /// The server, its sessions, and those that have ended.
    pub(crate) postgresql: Duration,
    /// The one broker.
    pub(crate) broker: Duration,
}

impl Servers {
    /// What they have used so far.
    pub(crate) fn read(stack: &Stack) -> Result<Self> {
        let gone = |what: &str| Failure::new(format!("{what} does not run"));
        let postgresql = stack.postgres().pid().ok_or_else(|| gone("PostgreSQL"))?;
        let broker = stack.kafka().pid(1).ok_or_else(|| gone("the broker"))?;
        Ok(Self { postgresql: family_processor(postgresql)?, broker: usage(broker)?.processor })
    }

    /// What they used after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            postgresql: self.postgresql.saturating_sub(before.postgresql),
            broker: self.broker.saturating_sub(before.broker),
        }
    }
}

/// Processor time of a process and its children: of those that run, and of those that have ended and were waited for.
fn family_processor(process_id: u32) -> Result<Duration> {
    loop {
        let before = Stat::read(process_id)?;
        let children = children_processor(process_id)?;
        let after = Stat::read(process_id)?;
        // One that was waited for meanwhile was counted twice or not at all.
        let waited = |parent: &Stat| parent.ticks(&[WAITED_USER_TICKS, WAITED_SYSTEM_TICKS]);
        if waited(&before)? == waited(&after)? {
            return Ok(after.ticks(&[USER_TICKS, SYSTEM_TICKS])? + waited(&after)? + children);
        }
    }
}

fn children_processor(process_id: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has just ended.
        let Ok(stat) = Stat::read(id) else { continue };
        if stat.number(PARENT)? == process_id {
            sum += stat.ticks(&[USER_TICKS, SYSTEM_TICKS])?;
        }
    }
    Ok(sum)
}

/// `/proc/PID/stat` from after the command's name, which is in parentheses and may hold anything.
struct Stat {
    process_id: u32,
    fields: Vec<String>,
}

impl Stat {
    fn read(process_id: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{process_id}/stat"))?;
        let (_, fields) = text.rsplit_once(')').ok_or_else(|| unexpected(process_id))?;
        let fields = fields.split_whitespace().map(str::to_owned).collect();
        Ok(Self { process_id, fields })
    }

    fn number(&self, index: usize) -> Result<u32> {
        let number = self.fields.get(index).and_then(|field| field.parse().ok());
        number.ok_or_else(|| unexpected(self.process_id))
    }

    fn ticks(&self, indexes: &[usize]) -> Result<Duration> {
        let mut ticks = 0;
        for index in indexes {
            ticks += self.number(*index)?;
        }
        Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
    }
}

fn unexpected(process_id: u32) -> Failure {
    Failure::new(format!("/proc/{process_id} is not as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_this_process_is_read() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_rss_bytes > 100_000);
        assert!(usage.threads > 0);
        assert!(open_files(std::process::id()).unwrap() > 2);
    }

    #[test]
    fn a_family_has_used_at_least_what_its_head_has() {
        let head = usage(std::process::id()).unwrap();
        assert!(family_processor(std::process::id()).unwrap() >= head.processor);
    }
}
