//! Keys of signals: how a running connector is asked for something.

use super::{Key, supported};

pub(super) const KEYS: &[Key] = &[
    supported(
        "signal.data.collection",
        "",
        "Table, as `schema.table`, whose inserted rows are signals: `id`, `type`, `data`, by position. It is published even if the lists leave it out; then its rows are no events.",
    ),
    supported(
        "signal.enabled.channels",
        "source",
        "Where signals come from: `source`, the table. `kafka` and `file` are refused; `jmx` needs nothing.",
    ),
];
