//! Tables in full: four statements, prepared once per connection and sent together, whatever the number of tables.
//!
//! Called at every `Relation` message, so it costs one round trip.

use std::collections::HashMap;

use pgoutput::{Oid, Xid};
use tokio::sync::OnceCell;
use tokio_postgres::{Row, Statement};

use super::tables::{replica_identity, table_kind};
use super::{
    AttributeDescription, ColumnDescription, KeyDescription, TableDescription, TypeDescription,
    TypeKind,
};
use crate::{Connection, PostgresError};

const ACTION: &str = "describe a table";

/// Types nest (domain over array over domain …), but not deeper than this.
const TYPE_DEPTH_MAX: usize = 32;

/// Key columns in index order; what `INCLUDE` adds to an index is no part of its key.
///
/// The fallback key is chosen as the JDBC driver lists unique indexes to Debezium: the clustered one, then by name.
const TABLE: &str = "\
SELECT n.nspname::text, c.relname::text, c.relreplident::text, c.relkind::text, c.relispartition, \
       (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid AND c.relispartition), \
       k.primary_key, k.identity_key, k.unique_key, \
       (SELECT a.xmin::text::int8 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = -1), c.oid \
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL ( \
  WITH keys AS ( \
    SELECT i.indisprimary, i.indisreplident, i.indisclustered, x.relname, \
           i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid AND i.indislive AS whole, \
           (SELECT array_agg(a.attname::text ORDER BY u.place) \
            FROM unnest(i.indkey) WITH ORDINALITY u(attnum, place) \
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum \
            WHERE u.place <= i.indnkeyatts) AS columns \
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid) \
  SELECT (SELECT columns FROM keys WHERE indisprimary LIMIT 1) AS primary_key, \
         (SELECT columns FROM keys WHERE indisreplident LIMIT 1) AS identity_key, \
         (SELECT columns FROM keys WHERE whole AND NOT indisprimary ORDER BY indisclustered DESC, relname LIMIT 1) \
           AS unique_key) k \
WHERE c.oid = ANY ($1) AND c.relkind IN ('r', 'p')";

/// A domain that forbids NULL makes its columns `NOT NULL`, as the JDBC driver tells Debezium.
const COLUMNS: &str = "\
SELECT a.attname::text, a.attnum, a.atttypid, a.atttypmod, \
       a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), \
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, \
       a.attgenerated <> '', a.attidentity <> '', a.xmin::text::int8, d.xmin::text::int8, a.attrelid \
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     LEFT JOIN pg_type t ON t.oid = a.atttypid \
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

/// A constraint's row shows its index to be primary as well as the index's own row does, which other commands also write.
const KEYS: &str = "\
SELECT i.indexrelid, i.indisprimary, i.indimmediate, \
       ARRAY(SELECT u.attnum FROM unnest(i.indkey) WITH ORDINALITY u(attnum, place) \
             WHERE u.place <= i.indnkeyatts ORDER BY u.place), \
       ARRAY[i.xmin::text::int8] || CASE WHEN i.indisprimary \
         THEN ARRAY(SELECT k.xmin::text::int8 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'p') \
         ELSE ARRAY(SELECT a.xmin::text::int8 FROM pg_attribute a WHERE a.attrelid = i.indexrelid) END, i.indrelid \
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
WHERE i.indrelid = ANY ($1) AND (i.indisprimary \
  OR (i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid AND i.indislive)) \
ORDER BY i.indrelid, i.indisprimary DESC, i.indisclustered DESC, x.relname";

/// The types of the columns and whatever those are made of. A true array is one whose element names it as its array type.
const TYPES: &str = "\
WITH RECURSIVE wanted(oid) AS ( \
  SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped \
  UNION SELECT unnest($1::oid[]) \
  UNION \
  SELECT part.oid FROM wanted w JOIN pg_type t ON t.oid = w.oid CROSS JOIN LATERAL ( \
    SELECT t.typbasetype WHERE t.typtype = 'd' \
    UNION ALL SELECT e.oid FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid \
    UNION ALL SELECT a.atttypid FROM pg_attribute a \
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) part(oid)) \
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, e.oid, t.typbasetype, t.typtypmod, \
       CASE WHEN t.typtype = 'e' THEN \
         ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder) END, \
       e.typdelim, c.names, c.types, c.modifiers, \
       ARRAY(SELECT l.xmin::text::int8 FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder) \
FROM wanted w JOIN pg_type t ON t.oid = w.oid JOIN pg_namespace n ON n.oid = t.typnamespace \
     LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid LEFT JOIN LATERAL ( \
       SELECT array_agg(a.attname::text ORDER BY a.attnum), array_agg(a.atttypid ORDER BY a.attnum), \
              array_agg(a.atttypmod ORDER BY a.attnum) \
       FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped \
     ) c(names, types, modifiers) ON t.typtype = 'c'";

/// Describes a table as the catalog has it now; `None` when it does not exist (any more).
pub async fn describe_table(
    connection: &Connection,
    oid: Oid,
) -> Result<Option<TableDescription>, PostgresError> {
    Ok(describe_tables(connection, &[oid]).await?.pop())
}

/// Describes tables as the catalog has them now, without those that do not exist (any more), in any order.
pub async fn describe_tables(
    connection: &Connection,
    oids: &[Oid],
) -> Result<Vec<TableDescription>, PostgresError> {
    let statements = &connection.catalog;
    let (tables, columns, types, keys) = tokio::try_join!(
        rows(connection, &statements.table, TABLE, oids),
        rows(connection, &statements.columns, COLUMNS, oids),
        rows(connection, &statements.types, TYPES, oids),
        rows(connection, &statements.keys, KEYS, oids),
    )?;
    let types: HashMap<Oid, TypeRow> = types.iter().map(TypeRow::read).collect();
    let mut columns = by_table(&columns, 10, |row| column(row, &types));
    let mut keys = by_table(&keys, 5, key);
    Ok(tables.iter().map(|row| table(row, &mut columns, &mut keys)).collect())
}

/// What each row tells, by the table it is of, in the order of the rows.
fn by_table<T>(rows: &[Row], oid: usize, read: impl Fn(&Row) -> T) -> HashMap<Oid, Vec<T>> {
    let mut by_table: HashMap<Oid, Vec<T>> = HashMap::new();
    for row in rows {
        by_table.entry(Oid(row.get(oid))).or_default().push(read(row));
    }
    by_table
}

fn table(
    row: &Row,
    columns: &mut HashMap<Oid, Vec<ColumnDescription>>,
    keys: &mut HashMap<Oid, Vec<KeyDescription>>,
) -> TableDescription {
    let oid = Oid(row.get(10));
    let relkind: &str = row.get(3);
    TableDescription {
        oid,
        schema: row.get(0),
        name: row.get(1),
        replica_identity: replica_identity(row.get(2)),
        kind: table_kind(relkind, row.get(4)),
        is_partition_of: row.get::<_, Option<u32>>(5).map(Oid),
        primary_key: row.get(6),
        replica_identity_index_columns: row.get(7),
        unique_key: row.get(8),
        created_by: xid(row.get::<_, Option<i64>>(9).unwrap_or_default()),
        keys: keys.remove(&oid).unwrap_or_default(),
        columns: columns.remove(&oid).unwrap_or_default(),
    }
}

fn key(row: &Row) -> KeyDescription {
    KeyDescription {
        index: Oid(row.get(0)),
        is_primary: row.get(1),
        is_immediate: row.get(2),
        columns: row.get(3),
        written_by: row.get::<_, Vec<i64>>(4).into_iter().map(xid).collect(),
    }
}

/// A transaction id as the catalog shows it, 32 bits wide.
fn xid(shown: i64) -> Xid {
    Xid(u32::try_from(shown).unwrap_or_default())
}

/// Describes a type; `None` when it does not exist (any more).
pub async fn describe_type(
    connection: &Connection,
    oid: Oid,
) -> Result<Option<TypeDescription>, PostgresError> {
    let rows = rows(connection, &connection.catalog.types, TYPES, &[oid]).await?;
    let types: HashMap<Oid, TypeRow> = rows.iter().map(TypeRow::read).collect();
    Ok(types.contains_key(&oid).then(|| resolve(oid, &types, TYPE_DEPTH_MAX)))
}

async fn rows(
    connection: &Connection,
    cached: &OnceCell<Statement>,
    sql: &str,
    oids: &[Oid],
) -> Result<Vec<Row>, PostgresError> {
    let client = connection.client();
    let oids: Vec<u32> = oids.iter().map(|oid| oid.0).collect();
    let run = async {
        let statement = cached.get_or_try_init(|| client.prepare(sql)).await?;
        client.query(statement, &[&oids]).await
    };
    connection.answered(ACTION, run).await
}

fn column(row: &Row, types: &HashMap<Oid, TypeRow>) -> ColumnDescription {
    ColumnDescription {
        name: row.get(0),
        attnum: row.get(1),
        type_: resolve(Oid(row.get(2)), types, TYPE_DEPTH_MAX),
        type_modifier: row.get(3),
        not_null: row.get(4),
        default: row.get(5),
        generated: row.get(6),
        identity: row.get(7),
        written_by: xid(row.get(8)),
        default_written_by: row.get::<_, Option<i64>>(9).map(xid),
    }
}

/// One row of `pg_type`.
struct TypeRow {
    schema: String,
    name: String,
    typtype: String,
    element: Option<Oid>,
    delimiter: u8,
    base: Oid,
    type_modifier: i32,
    labels: Option<Vec<String>>,
    attributes: Vec<(String, Oid, i32)>,
    labels_written_by: Vec<i64>,
}

impl TypeRow {
    fn read(row: &Row) -> (Oid, Self) {
        let names: Vec<String> = row.get::<_, Option<_>>(9).unwrap_or_default();
        let types: Vec<u32> = row.get::<_, Option<_>>(10).unwrap_or_default();
        let modifiers: Vec<i32> = row.get::<_, Option<_>>(11).unwrap_or_default();
        let attributes = names.into_iter().zip(types).zip(modifiers);
        let type_row = Self {
            schema: row.get(1),
            name: row.get(2),
            typtype: row.get(3),
            element: row.get::<_, Option<u32>>(4).map(Oid),
            delimiter: row.get::<_, Option<i8>>(8).map_or(b',', i8::cast_unsigned),
            base: Oid(row.get(5)),
            type_modifier: row.get(6),
            labels: row.get(7),
            attributes: attributes
                .map(|((name, type_oid), modifier)| (name, Oid(type_oid), modifier))
                .collect(),
            labels_written_by: row.get(12),
        };
        (Oid(row.get(0)), type_row)
    }
}

fn resolve(oid: Oid, types: &HashMap<Oid, TypeRow>, depth: usize) -> TypeDescription {
    let (Some(found), Some(below)) = (types.get(&oid), depth.checked_sub(1)) else {
        return TypeDescription {
            oid,
            schema: String::new(),
            name: String::new(),
            kind: TypeKind::Unknown,
        };
    };
    let kind = match (found.typtype.as_str(), found.element) {
        ("b", Some(element)) => {
            let element = Box::new(resolve(element, types, below));
            TypeKind::Array { element, delimiter: found.delimiter }
        }
        ("b", None) => TypeKind::Base,
        ("e", _) => TypeKind::Enum {
            labels: found.labels.clone().unwrap_or_default(),
            written_by: found.labels_written_by.iter().copied().map(xid).collect(),
        },
        ("d", _) => TypeKind::Domain {
            base: Box::new(resolve(found.base, types, below)),
            type_modifier: found.type_modifier,
        },
        ("c", _) => TypeKind::Composite {
            attributes: found
                .attributes
                .iter()
                .map(|(name, type_oid, type_modifier)| AttributeDescription {
                    name: name.clone(),
                    type_: resolve(*type_oid, types, below),
                    type_modifier: *type_modifier,
                })
                .collect(),
        },
        ("r", _) => TypeKind::Range,
        ("m", _) => TypeKind::Multirange,
        _ => TypeKind::Unknown,
    };
    TypeDescription { oid, schema: found.schema.clone(), name: found.name.clone(), kind }
}
