//! What a process has used, from `/proc`.

use std::time::Duration;

use crate::{Failure, Result};

/// Clock ticks per second of `/proc/PID/stat`; a constant of the Linux interface.
const TICKS_PER_SECOND: u32 = 100;

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time, of all threads, in user and kernel mode.
    pub processor: Duration,
    /// Resident set now, bytes.
    pub rss_bytes: u64,
    /// Largest resident set so far, bytes.
    pub peak_rss_bytes: u64,
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
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let bad = || Failure::new(format!("/proc/{process_id} is not as expected"));
    // The command's name is in parentheses and may hold anything; fields 14 and 15 count from after it.
    let (_, fields) = stat.rsplit_once(')').ok_or_else(bad)?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| {
        fields.get(index).and_then(|field| field.parse::<u32>().ok()).ok_or_else(bad)
    };
    let bytes = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = value.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(bad)
    };
    Ok(Usage {
        processor: Duration::from_secs(1) * (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        rss_bytes: bytes("VmRSS:")?,
        peak_rss_bytes: bytes("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_this_process_is_read() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_rss_bytes > 100_000);
    }
}
