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
        "Where signals come from: some of `source`, the table of `signal.data.collection`; `kafka`, a topic; `file`. `jmx` needs nothing, `in-process` is refused. Connectors made by flags have `source,kafka`.",
    ),
    supported(
        "signal.kafka.topic",
        "",
        "Topic of channel `kafka`, `<topic.prefix>-signal` without it. Partition 0 is read; a record is for this connector if its key is `topic.prefix`; its value is `{\"id\": …, \"type\": …, \"data\": {…}}`. How far it is heeded stands in the checkpoint.",
    ),
    supported(
        "signal.kafka.bootstrap.servers",
        "",
        "Brokers of that topic, as `host:port`, comma-separated. Without it the connector's own Kafka with its login; other brokers get what `signal.consumer.*` says.",
    ),
    supported(
        "signal.kafka.groupId",
        "kafka-signal",
        "Group whose committed offset says where a connector begins that has heeded no signal of the topic, so that one that takes the place of Debezium's goes on where that stopped. It is not joined, and nothing is committed.",
    ),
    needs_nothing(
        "signal.kafka.poll.timeout.ms",
        "0",
        "a signal is delivered as soon as it is in the topic",
    ),
    supported(
        "signal.consumer.<property>",
        "",
        "A property of the Java consumer, for example `security.protocol`. `auto.offset.reset` (default here, as with Debezium: earliest) says where a connector begins without a committed offset; `isolation.level` is read_committed unless given. One that is not known or cannot be honoured is an error.",
    ),
    supported(
        "signal.file",
        "file-signals.txt",
        "File of channel `file`: a signal `{\"id\": …, \"type\": …, \"data\": {…}}` in each line. It is taken by renaming it and left empty.",
    ),
    supported(
        "signal.poll.interval.ms",
        "5000",
        "How often the file is looked at, and how often a topic of signals that does not exist is looked for.",
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
