//! The process itself, by the names every Prometheus client uses. Read from `/proc`; elsewhere than on Linux they are left out.

use std::fs;

use super::exposition::{Family, Kind, of_instance};
use super::number;

pub(super) const FAMILIES: &[Family] = &[
    of_instance(
        "process_resident_memory_bytes",
        Kind::Gauge,
        &[],
        "Memory of the process.",
        |_, samples| {
            if let Some(pages) = field("/proc/self/statm", 1) {
                samples.count(&[], pages * rustix::param::page_size() as u64);
            }
        },
    ),
    of_instance(
        "process_cpu_seconds_total",
        Kind::Counter,
        &[],
        "CPU time of the process, in user and in system mode.",
        |_, samples| {
            // Behind the name of the program, which may contain anything: user and system time are fields 14 and 15 of the whole.
            let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
            let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
            let ticks = |index| fields.split_whitespace().nth(index)?.parse::<u64>().ok();
            if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
                let per_second = rustix::param::clock_ticks_per_second();
                samples.add(&[], number(user + system) / number(per_second));
            }
        },
    ),
    of_instance(
        "process_open_fds",
        Kind::Gauge,
        &[],
        "Open file descriptors of the process.",
        |_, samples| {
            if let Ok(open) = fs::read_dir("/proc/self/fd") {
                samples.count(&[], open.count() as u64);
            }
        },
    ),
];

fn field(file: &str, index: usize) -> Option<u64> {
    fs::read_to_string(file).ok()?.split_whitespace().nth(index)?.parse().ok()
}
