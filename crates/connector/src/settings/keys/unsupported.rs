//! Keys of parts that do not exist here yet, and names that Debezium has given up.

use super::{Key, needs_nothing, not_yet, renamed};

const EMITTED: &str = "signals are read; none is sent that could fail";

pub(super) const KEYS: &[Key] = &[
    needs_nothing("signal.emit.failure.max.retries", "0", EMITTED),
    needs_nothing("signal.emit.failure.backoff.ms", "10000", EMITTED),
    needs_nothing("custom.metric.tags", "", "there is no JMX; figures carry the connector's name"),
    needs_nothing("statistics.metrics.enabled", "true", "there is no JMX"),
    needs_nothing("custom.sanitize.pattern", "", "passwords are never logged, whatever their key"),
    needs_nothing("internal.advanced.metrics.enable", "false", "there is no JMX"),
    needs_nothing(
        "internal.offset.activity.monitor.interval.ms",
        "600000",
        "the checkpoint moves with PostgreSQL's keepalives",
    ),
    needs_nothing(
        "custom.retriable.exception",
        "",
        "errors are sorted by SQLSTATE and Kafka code, not by text",
    ),
    needs_nothing(
        "schema.history.internal.<option>",
        "",
        "the PostgreSQL connector keeps no schema history, in Debezium either",
    ),
    not_yet("openlineage.integration.enabled", "false", "leave it at `false`"),
    needs_nothing(
        "openlineage.integration.<option>",
        "",
        "without effect while `openlineage.integration.enabled` is false",
    ),
    not_yet(
        "offsets.storage.topic",
        "",
        "name the topic of the checkpoints with `tributary.offsets.topic`",
    ),
    not_yet("topics", "", "remove it: a key of sink connectors"),
    not_yet("topics.regex", "", "remove it: a key of sink connectors"),
    not_yet("errors.deadletterqueue.<option>", "", "remove it: a key of sink connectors"),
];

/// Debezium's names of before 2.0. Each is an error that gives the name of today.
pub(super) const RENAMED: &[Key] = &[
    renamed("database.server.name", "topic.prefix"),
    renamed("schema.whitelist", "schema.include.list"),
    renamed("schema.blacklist", "schema.exclude.list"),
    renamed("table.whitelist", "table.include.list"),
    renamed("table.blacklist", "table.exclude.list"),
    renamed("column.whitelist", "column.include.list"),
    renamed("column.blacklist", "column.exclude.list"),
    renamed("heartbeat.topics.prefix", "topic.heartbeat.prefix"),
    renamed("slot.drop_on_stop", "slot.drop.on.stop"),
    renamed("toasted.value.placeholder", "unavailable.value.placeholder"),
    renamed("transaction.topic", "topic.transaction"),
];
