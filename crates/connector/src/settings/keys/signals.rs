//! Keys of signals, and of the snapshots that are taken while streaming because one asks for them.

use super::{Key, needs_nothing, supported};

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
    supported(
        "incremental.snapshot.chunk.size",
        "1024",
        "Rows that an incremental snapshot reads at a time. Not given, it begins with this and follows the time a chunk takes, up to 16,384 rows and 4 MB.",
    ),
    supported(
        "incremental.snapshot.watermarking.strategy",
        "insert_insert",
        "What becomes of the marks of a chunk in the signal table: `insert_insert` leaves two rows, `insert_delete` deletes the first again.",
    ),
    needs_nothing(
        "incremental.snapshot.allow.schema.changes",
        "false",
        "a table may change while it is read: the chunk is read again in its new form",
    ),
    supported(
        "read.only",
        "false",
        "`true`: nothing is written to the source. `false`: an incremental snapshot marks its chunks in the table of `signal.data.collection`, as Debezium does for its own use; nothing here needs the marks.",
    ),
];
