//! Keys that say what is read from the source: slot, publication, filters, snapshot.

use super::{Key, needs_nothing, not_yet, supported};

pub(super) const SLOT_AND_PUBLICATION: &[Key] = &[
    supported(
        "plugin.name",
        "pgoutput",
        "Must be `pgoutput`, which every server has (Debezium's default is `decoderbufs`).",
    ),
    supported(
        "slot.name",
        "debezium",
        "Name of the replication slot: lower-case letters, digits and underscores.",
    ),
    not_yet(
        "slot.drop.on.stop",
        "false",
        "drop the slot yourself when the connector is gone for good: `SELECT pg_drop_replication_slot(…)`",
    ),
    supported(
        "slot.failover",
        "false",
        "Create the slot as a failover slot (PostgreSQL 17 and later).",
    ),
    supported(
        "slot.stream.params",
        "",
        "Options for the stream as `key=value;key=value`, for example `origin=none`.",
    ),
    needs_nothing("slot.max.retries", "6", "see `errors.max.retries`"),
    needs_nothing("slot.retry.delay.ms", "10000", "see `retriable.restart.connector.wait.ms`"),
    supported("publication.name", "dbz_publication", "Name of the publication."),
    supported(
        "publication.autocreate.mode",
        "filtered",
        "`filtered`: a publication of exactly the captured tables, kept so (Debezium's default is `all_tables`); `all_tables`: FOR ALL TABLES; `no_tables`: an empty one if there is none; `disabled`: must exist. Publishing a table without replica identity makes PostgreSQL refuse its updates, hence the other default.",
    ),
    supported(
        "publish.via.partition.root",
        "false",
        "Changes of partitions are published as changes of the partitioned table. A new publication gets it; an existing one is left as it is.",
    ),
    supported(
        "replica.identity.autoset.values",
        "",
        "`schema.table:FULL,…`: replica identities that a start sets where they differ: `DEFAULT`, `FULL`, `NOTHING` or `INDEX <name>`; tables are regular expressions. Of a partitioned table the partitions get it too. Needs ownership; `tributary check` prints the statements.",
    ),
    needs_nothing(
        "xmin.fetch.interval.ms",
        "0",
        "`source.xmin` is null, as with Debezium's default",
    ),
    needs_nothing(
        "schema.refresh.mode",
        "columns_diff",
        "a table's shape comes from the stream and is looked up again whenever it changes",
    ),
    needs_nothing(
        "internal.slot.seek.to.known.offset.on.start",
        "false",
        "the stream always starts at the checkpoint",
    ),
    needs_nothing(
        "internal.log.position.check.enable",
        "true",
        "slot and checkpoint are always compared",
    ),
    needs_nothing(
        "internal.create.slot.command.timeout",
        "90",
        "creating a slot waits for older transactions and says whose they are",
    ),
];

pub(super) const FILTERS: &[Key] = &[
    supported(
        "schema.include.list",
        "",
        "Schemas to capture. Comma-separated regular expressions, each matching the whole name, without regard to case.",
    ),
    supported("schema.exclude.list", "", "Schemas not to capture; excludes `schema.include.list`."),
    supported(
        "table.include.list",
        "",
        "Tables to capture, as `schema.table`. Comma-separated regular expressions, each matching the whole name, without regard to case.",
    ),
    supported("table.exclude.list", "", "Tables not to capture; excludes `table.include.list`."),
    supported(
        "column.include.list",
        "",
        "Columns to capture, as `schema.table.column`. Key columns stay in the key.",
    ),
    supported("column.exclude.list", "", "Columns not to capture; excludes `column.include.list`."),
    supported(
        "message.prefix.include.list",
        "",
        "Prefixes of logical messages (`pg_logical_emit_message`) to capture.",
    ),
    supported(
        "message.prefix.exclude.list",
        "",
        "Prefixes not to capture; excludes `message.prefix.include.list`.",
    ),
    supported(
        "message.key.columns",
        "",
        "`schema.table:column,column;…`: columns of the record key in place of the table's own. Table and columns are regular expressions.",
    ),
    needs_nothing(
        "table.ignore.builtin",
        "true",
        "system schemas, `pg_temp*` and `spatial_ref_sys` are never captured",
    ),
    supported(
        "skip.messages.without.change",
        "false",
        "An update that changes none of the captured columns gives no record. Needs `REPLICA IDENTITY FULL`: without the whole old row nothing is skipped.",
    ),
    supported("guardrail.collections.max", "0", "Most tables that may be captured; 0 is no limit."),
    supported(
        "guardrail.collections.limit.action",
        "warn",
        "What more tables lead to at the start: `warn`, or `fail`.",
    ),
];

pub(super) const SNAPSHOT: &[Key] = &[
    supported(
        "snapshot.mode",
        "initial",
        "`initial`: copy the tables once, then stream; `initial_only`: copy and end; `no_data` (older: `never`): stream only; `always`: copy at every start, after what the slot has; `when_needed`: as `initial`, and again when the source no longer has what the checkpoint needs (`tributary.gap.policy=resnapshot`); `configuration_based`: as its flags say.",
    ),
    supported(
        "snapshot.max.threads",
        "1",
        "How many readers copy at the same time, all within one exported snapshot.",
    ),
    needs_nothing("snapshot.max.threads.multiplier", "1", "tables are cut into chunks by size"),
    needs_nothing("legacy.snapshot.max.threads", "false", "tables are cut into chunks by size"),
    supported(
        "snapshot.tables.order.by.row.count",
        "disabled",
        "`descending` reads the tables with most rows first, `ascending` those with fewest, by the planner's estimate; `disabled` in the order of their names.",
    ),
    needs_nothing(
        "snapshot.fetch.size",
        "10240",
        "tables are read by COPY, which streams; there is nothing to fetch",
    ),
    needs_nothing("snapshot.locking.mode", "none", "the exported snapshot needs no locks"),
    needs_nothing("snapshot.lock.timeout.ms", "10000", "the exported snapshot needs no locks"),
    needs_nothing(
        "snapshot.isolation.mode",
        "serializable",
        "all readers share the snapshot that the slot exported; no weaker or stronger one joins the stream without a gap",
    ),
    supported(
        "snapshot.delay.ms",
        "0",
        "How long a start waits before it reads tables. The slot of a new connector is made afterwards.",
    ),
    supported(
        "snapshot.include.collection.list",
        "",
        "Captured tables to copy, as `schema.table`: comma-separated regular expressions. The others are only streamed.",
    ),
    supported(
        "snapshot.select.statement.overrides",
        "",
        "Tables, as `schema.table`, whose rows come from a statement of their own.",
    ),
    supported(
        "snapshot.select.statement.overrides.<table>",
        "",
        "The SELECT for one of them; it must have the table's columns.",
    ),
    not_yet("snapshot.query.mode", "select_all", "leave it at `select_all`"),
    not_yet("snapshot.query.mode.custom.name", "", "leave `snapshot.query.mode` at `select_all`"),
    not_yet(
        "snapshot.locking.mode.custom.name",
        "",
        "leave it out: the exported snapshot needs no locks",
    ),
    not_yet("snapshot.mode.custom.name", "", "use one of the named snapshot modes"),
    supported(
        "snapshot.mode.configuration.based.snapshot.data",
        "false",
        "With `snapshot.mode=configuration_based`: tables are read at every start; once, if the connector does not stream.",
    ),
    supported(
        "snapshot.mode.configuration.based.start.stream",
        "false",
        "With `snapshot.mode=configuration_based`: the connector streams.",
    ),
    supported(
        "snapshot.mode.configuration.based.snapshot.on.data.error",
        "false",
        "With `snapshot.mode=configuration_based`: a gap is closed by a new snapshot, as with `when_needed`; it needs `snapshot.data` too.",
    ),
    needs_nothing(
        "snapshot.mode.configuration.based.snapshot.schema",
        "false",
        "the structure of a table comes with the stream",
    ),
    needs_nothing(
        "snapshot.mode.configuration.based.snapshot.on.schema.error",
        "false",
        "there is no history of schemas that could be broken",
    ),
    needs_nothing(
        "internal.snapshot.scan.all.columns.force",
        "false",
        "only the captured tables are looked up in the catalog",
    ),
];
