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
    supported("database.tcpKeepAlive", "true", "TCP keepalive on all connections."),
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
    needs_nothing(
        "database.query.timeout.ms",
        "600000",
        "catalog queries carry their own deadline; copying a table may take as long as it takes",
    ),
    needs_nothing(
        "database.autosave",
        "",
        "a JDBC matter; catalog queries here run outside of transactions",
    ),
    needs_nothing(
        "database.socketTimeout",
        "",
        "a connection that is silent for longer than the server's keepalive interval is given up",
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
