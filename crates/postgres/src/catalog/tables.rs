//! All tables in short, and the leaves of partitioned ones.

use pgoutput::{Oid, ReplicaIdentity};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Persistence, TableKind, TableSummary};
use crate::{Connection, PostgresError, TableName};

/// A deferrable primary key is no replica identity.
const LIST: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition, c.relreplident::text, \
       CASE c.relreplident \
         WHEN 'f' THEN true \
         WHEN 'd' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate) \
         WHEN 'i' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident) \
         ELSE false END, \
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), \
       pg_get_userbyid(c.relowner)::text, c.relpersistence::text, c.reltuples::float8, \
       (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid AND c.relispartition) \
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
      AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%' \
ORDER BY 2, 3";

/// Lists every table of the database that is not the system's own, by schema and name.
pub async fn list_tables(connection: &Connection) -> Result<Vec<TableSummary>, PostgresError> {
    let rows = connection.query("list the tables", LIST, &[]).await?;
    Ok(rows.iter().map(summary).collect())
}

fn summary(row: &Row) -> TableSummary {
    let relkind: &str = row.get(3);
    let persistence: &str = row.get(9);
    let estimated_rows: f64 = row.get(10);
    TableSummary {
        oid: Oid(row.get(0)),
        schema: row.get(1),
        name: row.get(2),
        kind: table_kind(relkind, row.get(4)),
        replica_identity: replica_identity(row.get(5)),
        has_usable_identity: row.get(6),
        has_primary_key: row.get(7),
        owner: row.get(8),
        persistence: match persistence {
            "t" => Persistence::Temporary,
            "u" => Persistence::Unlogged,
            _ => Persistence::Permanent,
        },
        estimated_rows: estimate(estimated_rows),
        is_partition_of: row.get::<_, Option<u32>>(11).map(Oid),
    }
}

/// `reltuples` is -1 before the first `ANALYZE` (0 before PostgreSQL 14).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, checked to be positive; the cast saturates"
)]
fn estimate(reltuples: f64) -> Option<u64> {
    (reltuples >= 0.0).then_some(reltuples as u64)
}

pub(super) fn table_kind(relkind: &str, is_partition: bool) -> TableKind {
    match (relkind, is_partition) {
        ("p", _) => TableKind::PartitionedRoot,
        (_, true) => TableKind::Partition,
        (_, false) => TableKind::Ordinary,
    }
}

pub(super) fn replica_identity(relreplident: &str) -> ReplicaIdentity {
    match relreplident {
        "f" => ReplicaIdentity::Full,
        "i" => ReplicaIdentity::Index,
        "n" => ReplicaIdentity::Nothing,
        _ => ReplicaIdentity::Default,
    }
}

const LEAVES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text \
FROM (SELECT $1::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::oid)) leaf \
JOIN pg_class c ON c.oid = leaf.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind = 'r' ORDER BY 2, 3";

/// The tables that hold the rows of `oid`: its leaf partitions, or itself when it is not partitioned.
///
/// Foreign tables among the partitions are left out: neither the stream nor COPY has their rows.
pub async fn partition_leaves(
    connection: &Connection,
    oid: Oid,
) -> Result<Vec<(Oid, TableName)>, PostgresError> {
    let rows = connection.query("list the partitions", LEAVES, &[&oid.0]).await?;
    let leaf = |row: &Row| {
        let name = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        (Oid(row.get(0)), name)
    };
    Ok(rows.iter().map(leaf).collect())
}

const FILES: &str = "\
WITH RECURSIVE holder (oid) AS (\
  SELECT $1::oid UNION SELECT i.inhrelid FROM holder JOIN pg_inherits i ON i.inhparent = holder.oid) \
SELECT oid, file FROM (SELECT oid, pg_relation_filenode(oid) AS file FROM holder) files \
WHERE file IS NOT NULL ORDER BY oid";

/// The files that hold the rows of `oid`: of itself, of its partitions, and of the tables that inherit from it, each with
/// the table it belongs to. TRUNCATE, VACUUM FULL and whatever else rewrites a table gives it another.
pub async fn files(connection: &Connection, oid: Oid) -> Result<Vec<(Oid, Oid)>, PostgresError> {
    let rows = connection.query("look for the files of a table", FILES, &[&oid.0]).await?;
    Ok(rows.iter().map(|row| (Oid(row.get(0)), Oid(row.get(1)))).collect())
}

/// Whether other tables inherit from `oid`; partitions do not count.
pub async fn has_inheritors(connection: &Connection, oid: Oid) -> Result<bool, PostgresError> {
    const INHERITORS: &str = "SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                              WHERE i.inhparent = $1 AND NOT c.relispartition LIMIT 1";
    let rows = connection.query("look for inheriting tables", INHERITORS, &[&oid.0]).await?;
    Ok(!rows.is_empty())
}

/// The table of this name; `None` if there is none.
pub async fn table_oid(
    connection: &Connection,
    table: &TableName,
) -> Result<Option<Oid>, PostgresError> {
    const BY_NAME: &str = "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                           WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";
    let parameters: [&(dyn ToSql + Sync); 2] = [&table.schema, &table.name];
    let rows = connection.query("look for a table", BY_NAME, &parameters).await?;
    Ok(rows.first().map(|row| Oid(row.get(0))))
}
