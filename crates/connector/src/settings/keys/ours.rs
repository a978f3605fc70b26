//! Keys that only this connector has.

use super::{Key, supported};

pub(super) const KEYS: &[Key] = &[
    supported(
        "tributary.source.url",
        "",
        "Where the source is, as `postgres://user:password@host/database?options` or libpq keywords. `DATABASE_URL` without it.",
    ),
    supported(
        "tributary.store.url",
        "",
        "Where Kafka is, as `kafka://host:port,host:port` or `kafka+ssl://…`. `KAFKA_URL` without it.",
    ),
    supported(
        "tributary.group",
        "tributary",
        "Connectors of one group share an offsets topic; the transactional id is `<group>.<name>`.",
    ),
    supported(
        "tributary.offsets.topic",
        "",
        "Compacted topic with the checkpoints; `<group>-offsets` without it. If it is made by hand, `delete.retention.ms=600000` keeps a take-over short: each commit leaves a marker for so long, which is a day by default.",
    ),
    supported(
        "tributary.offsets.topic.partitions",
        "5",
        "Its partitions, when the connector makes it.",
    ),
    supported(
        "tributary.delivery.guarantee",
        "exactly_once",
        "`exactly_once`, or `at_least_once` for brokers without transactions.",
    ),
    supported(
        "tributary.wal.receiver.timeout.ms",
        "60000",
        "A server that is asked for a sign of life and gives none for so long is given up, like `wal_receiver_timeout` of PostgreSQL's own receivers; the connector then takes over again.",
    ),
    supported(
        "tributary.commit.bytes.max",
        "8388608",
        "A Kafka transaction ends at this size, at the next end of a source transaction; a larger source transaction is cut.",
    ),
    supported(
        "tributary.commit.interval.max.ms",
        "100",
        "A Kafka transaction that is never idle ends after this time.",
    ),
    supported(
        "tributary.commit.interval.min.ms",
        "5",
        "Least time between two Kafka transactions, unless one is full; at most `tributary.commit.interval.max.ms`. The first change after such a time is committed at once; those that follow share a transaction. Each transaction costs the brokers markers and writes of the coordinator: a larger value makes many connectors cheaper, at the price of latency. Without effect where `tributary.delivery.guarantee` is `at_least_once`, which has no transactions.",
    ),
    supported(
        "tributary.checkpoint.idle.interval.ms",
        "5000",
        "Least time between two checkpoints that carry no records.",
    ),
    supported(
        "tributary.read.mode",
        "auto",
        "How the slot is read: `auto` streams it near the end of the log, and reads it in batches by SQL when far behind, which is several times faster and needs one more free replication slot for a temporary copy (without one the connector streams, and says so); `stream` always streams it. The events are the same. See docs/adr/0011-batch-reading.md.",
    ),
    supported(
        "tributary.read.batch.behind.bytes",
        "67108864",
        "Bytes of log between the connector and its end from which on it reads in batches; with a quarter of it left it streams again.",
    ),
    supported(
        "tributary.read.batch.bytes.max",
        "67108864",
        "About as much as one batch brings, which the server has in a temporary file until it is sent (`work_mem` of that session is 4 MB). Here up to two batches wait to be encoded, in files without a name below `tributary.spill.directory`; without a folder that can be written to, 4 MB wait in memory, and the server is kept waiting for the rest.",
    ),
    supported(
        "tributary.read.switch.every.ms",
        "0",
        "Changes between batches and stream in this interval, however far behind the connector is; `0` never. It is for tests of the change itself.",
    ),
    supported(
        "tributary.streaming.transactions",
        "on",
        "Whether PostgreSQL (14 and later) sends a transaction larger than its `logical_decoding_work_mem` before it commits. `on`: it waits on the disk of the connector, in `tributary.spill.directory`, and reaches Kafka at once after its commit; what rolls back is sent and dropped. `off`: it waits on the disk of the database, which sends it after its commit, as Debezium has it. The events are the same. See docs/adr/0016-streamed-transactions.md.",
    ),
    supported(
        "tributary.spill.directory",
        "",
        "Where transactions wait that have not committed, and rows of batches that are not encoded yet; without it, the system's folder for temporary files. For transactions the connector makes in it a folder `tributary-<name>` that only its own user can read, and removes what earlier runs left there. It needs no backup: after a restart everything is sent again. A folder in memory counts as memory.",
    ),
    supported(
        "tributary.spill.max.bytes",
        "17179869184",
        "Bytes on disk, compressed, that transactions may take that have not committed; when more is needed the connector stops (CO050).",
    ),
    supported(
        "tributary.event.id.header.enabled",
        "false",
        "A header `tributary.event.id` that names each change for ever, the same after any replay. Connectors made by flags have `true`.",
    ),
    supported(
        "tributary.publication.future.tables",
        "true",
        "Where the lists admit every table of a schema, whatever its name, the publication takes in the schema as a whole, so that a new table is captured from its first change on, as in Debezium (PostgreSQL 15 and later, and only a superuser may do it; otherwise new tables join at the next start). PostgreSQL then refuses updates of new tables without replica identity, too. Connectors made by flags have `false`.",
    ),
    supported(
        "tributary.publication.pushdown",
        "off",
        "What the publication leaves out, so that it never leaves the database (PostgreSQL 15 and later): `columns`, the columns that are not captured, by column lists, where that is safe; `rows`, the rows that `tributary.row.filter.<table>` does not want; both; or `off`. It needs `publication.autocreate.mode=filtered`. From then on PostgreSQL refuses some statements that change a table's columns, its primary key or its replica identity: read docs/guides/pushdown.md before.",
    ),
    supported(
        "tributary.row.filter.<table>",
        "",
        "A condition, as after WHERE, for the rows of the captured table `schema.table`: columns without the table's name, built-in functions only, and, unless updates and deletes are skipped, only columns of the replica identity. Stream and snapshot both heed it. Needs `rows` in `tributary.publication.pushdown`.",
    ),
    supported(
        "context.message.prefix",
        "",
        "A transactional logical message with this prefix and a JSON object as its content gives headers to every event that follows in its transaction: `traceparent` and `tracestate` as such, the rest in `tributary.context`. Such messages are no events of their own. See docs/guides/context.md. Connectors made by flags have `tributary.context`.",
    ),
    supported(
        "tributary.snapshot.date.era",
        "lost",
        "What a snapshot does with a `date` before Christ: `lost` gives the same year after Christ, as Debezium's snapshot does (its stream does not), and warns; `kept` gives what the stream gives. Connectors made by flags have `kept`.",
    ),
    supported(
        "tributary.snapshot.max.rows.per.second",
        "0",
        "Most rows that a snapshot of any kind reads in a second, all readers together; `0` does not limit.",
    ),
    supported(
        "tributary.snapshot.concurrent",
        "false",
        "`true` reads the tables while the stream runs, from the first start on, as incremental snapshots: no table waits for another, and no snapshot is held for long. A row may come first as a change and then as it is read. Not with `snapshot.select.statement.overrides`, nor with `snapshot.mode=initial_only` or `always`; the rows of inheriting tables go into their own topic alone.",
    ),
    supported(
        "tributary.snapshot.added.tables",
        "true",
        "Tables that join the lists of a connector that has run before are read at the start that finds them, while the others stream; `false` streams them only, as Debezium does. Nothing is read where `snapshot.mode` is `no_data`.",
    ),
    supported(
        "tributary.snapshot.inherited.rows",
        "repeated",
        "Where a snapshot puts the rows of a table that inherits from another captured one: `repeated` puts them into the topics of both, as Debezium's snapshot does (its stream does not); `once` into the topic of their own table. Connectors made by flags have `once`.",
    ),
    supported(
        "tributary.unmapped.types",
        "omit",
        "What becomes of a column whose type Debezium has no form for, like composite types, multiranges and arrays of domains: `omit` leaves it out, as Debezium does, and says so once; `capture` takes it, in the form `docs/reference/types.md` tells. Connectors made by flags have `capture`.",
    ),
    supported(
        "tributary.enum.labels",
        "first_seen",
        "Which labels the schema of an enum lists: `first_seen`, those it had when this run first saw it, as Debezium does; `current`, those it had where the stream last described the table. Connectors made by flags have `current`.",
    ),
    supported(
        "tributary.wal.retention.max.bytes",
        "0",
        "How much of the source's log the slot may keep back; at 50, 80 and 100 % the connector says so and why (docs/guides/retention.md). `0` sets no limit of ours; the server's `max_slot_wal_keep_size` counts in any case.",
    ),
    supported(
        "tributary.wal.retention.policy",
        "warn",
        "What happens at 100 % of `tributary.wal.retention.max.bytes`: `warn` says it; `drop.slot` drops the slot and stops the connector, so that the source does not run out of disk: what comes after is a gap (CO012).",
    ),
    supported(
        "tributary.wal.retention.check.interval.ms",
        "10000",
        "How often the connector looks what the slot keeps.",
    ),
    supported(
        "tributary.oversized.policy",
        "fail",
        "What becomes of a record that is larger than its topic or a request takes: `fail` stops, and names table, key and position; `dead.letter` puts the whole record, in parts, into `tributary.dead.letter.topic`, and a row that cannot be encoded as JSON of its texts; `truncate` cuts long texts and bytes; `claim.check` puts placeholders where long values are, and the whole record into `tributary.claim.check.topic` (docs/guides/oversized.md).",
    ),
    supported(
        "tributary.oversized.columns",
        "",
        "Which values `truncate` and `claim.check` may make shorter: expressions for `schema.table.column`, all that are not part of the key if there are none.",
    ),
    supported(
        "tributary.oversized.keep.bytes",
        "1024",
        "Values up to this length stay as they are with `truncate` and `claim.check`; `truncate` leaves so much of longer ones.",
    ),
    supported(
        "tributary.dead.letter.topic",
        "",
        "Topic for whole records with `tributary.oversized.policy=dead.letter`; `<topic.prefix>.dead-letter` if it is not set.",
    ),
    supported(
        "tributary.claim.check.topic",
        "",
        "Topic for whole records with `tributary.oversized.policy=claim.check`; `<topic.prefix>.claim-check` if it is not set.",
    ),
    supported(
        "tributary.gap.policy",
        "fail",
        "What happens when the source no longer has what the checkpoint needs: `fail` stops and says what is missing; `resnapshot` says it, makes the slot anew and reads the tables again; rows deleted meanwhile get their delete events from the topics (docs/guides/snapshots.md).",
    ),
];
