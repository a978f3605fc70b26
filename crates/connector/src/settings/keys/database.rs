//! Keys that say where the source is and how to get in.

use super::{Key, needs_nothing, not_yet, supported};

const PGJDBC: &str = "there is no JDBC driver here; use the `database.*` keys of this table or options in `tributary.source.url`";

pub(super) const KEYS: &[Key] = &[
    supported(
        "database.hostname",
        "",
        "Host of the PostgreSQL server. Without it `tributary.source.url` or `DATABASE_URL` says where it is.",
    ),
    supported("database.port", "5432", "Its port."),
    supported(
        "database.user",
        "",
        "Role to connect as; needs REPLICATION and SELECT on the captured tables.",
    ),
    supported("database.password", "", "Its password. Never logged."),
    supported("database.dbname", "", "Database to capture."),
    supported(
        "database.sslmode",
        "prefer",
        "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`. With `database.sslrootcert` the default is `verify-full`.",
    ),
    supported("database.sslcert", "", "File with the client certificate (PEM)."),
    supported("database.sslkey", "", "File with its private key (PEM or PKCS#8 DER)."),
    supported("database.sslpassword", "", "Password of the private key. Never logged."),
    supported("database.sslrootcert", "", "File with the certificate authorities to trust (PEM)."),
    supported(
        "database.tcpKeepAlive",
        "true",
        "TCP keepalive on all connections: after 30 s of silence, each 5 s, given up after 6; `keepalives_idle`, `keepalives_interval` and `keepalives_count` of `tributary.source.url` change it.",
    ),
    supported(
        "database.initial.statements",
        "",
        "SQL run at the start of every ordinary session; `;` separates statements, `;;` is a literal semicolon.",
    ),
    supported(
        "database.ApplicationName",
        "",
        "`application_name` of all sessions; the connector's name without it.",
    ),
    supported("database.connectTimeout", "10", "Seconds to wait for a connection."),
    supported(
        "database.query.timeout.ms",
        "600000",
        "How long the answer to a statement may take; then the session is given up and the connector takes over again. What waits for other sessions (the making of a slot) and the copying of a table may take longer, as long as another session finds the server alive each time this has passed.",
    ),
    needs_nothing(
        "database.autosave",
        "",
        "a JDBC matter; catalog queries here run outside of transactions",
    ),
    needs_nothing(
        "database.socketTimeout",
        "",
        "a silent connection is given up after `tributary.wal.receiver.timeout.ms`, an answer after `database.query.timeout.ms`, and a vanished peer after the `tcp_user_timeout` of `tributary.source.url`",
    ),
    needs_nothing("database.loginTimeout", "", "see `database.connectTimeout`"),
    needs_nothing("database.server.id", "", "a MySQL key; Debezium ignores it too"),
    not_yet(
        "database.sslfactory",
        "",
        "name the certificates with `database.sslrootcert`, `database.sslcert` and `database.sslkey`",
    ),
    not_yet(
        "database.connection.factory.class",
        "",
        "there is no JDBC driver here; put the credentials into `database.user` and `database.password`",
    ),
    not_yet("database.targetServerType", "", "name the primary in `database.hostname`"),
    needs_nothing(
        "query.fetch.size",
        "0",
        "tables are read by COPY, which streams; there is nothing to fetch",
    ),
    not_yet("driver.<property>", "", PGJDBC),
];
