//! The server's settings. In: the caller's. Out: the text of a configuration file. Never here: I/O.
//!
//! They go into a file and not on the command line, so that `ALTER SYSTEM` wins over them as users expect.

/// Name of the file that `postgresql.conf` includes.
pub(super) const FILE: &str = "tributary.conf";

/// Settings for change data capture, with a plain server's rest.
const DEFAULTS: [(&str, &str); 9] = [
    ("listen_addresses", "127.0.0.1"),
    ("wal_level", "logical"),
    ("max_replication_slots", "20"),
    ("max_wal_senders", "20"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("lc_messages", "C"),
    ("logging_collector", "off"),
];

/// A crash of the machine may ruin these; a crash of the server does not.
const TEMPORARY: [(&str, &str); 2] = [("fsync", "off"), ("full_page_writes", "off")];

/// The configuration file's text; of two settings with one name the server takes the later.
pub(super) fn settings(temporary: bool, of_caller: &[(String, String)]) -> String {
    let of_folder = if temporary { TEMPORARY.as_slice() } else { &[] };
    let ours = DEFAULTS.iter().chain(of_folder).map(|(name, value)| line(name, value));
    let theirs = of_caller.iter().map(|(name, value)| line(name, value));
    ours.chain(theirs).collect()
}

fn line(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_settings_come_last_and_are_quoted() {
        let of_caller = [("application_name".to_owned(), "it's".to_owned())];
        let text = settings(false, &of_caller);
        assert!(text.ends_with("application_name = 'it''s'\n"), "{text}");
        assert!(!text.contains("fsync"), "{text}");
        assert!(settings(true, &[]).contains("fsync = 'off'"));
    }
}
