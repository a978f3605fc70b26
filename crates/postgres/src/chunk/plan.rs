//! How a table is cut into chunks, and the statements that read them. Pure.
//!
//! In: the description of a table, where the chunk before ended. Out: SQL.
//! By key where it has one without NULLs, so that a row keeps its place however often it is updated; else by `ctid`.
//! Source: PostgreSQL manual, "Row Constructor Comparison", "TID Range Scan".

use std::fmt;
use std::ops::Range;

use pgoutput::{Lsn, Oid};
use serde::{Deserialize, Serialize};

use super::{Chunk, ChunkQuery};
use crate::TableName;
use crate::catalog::{TableDescription, TableKind};
use crate::name::{quote_identifier, quote_literal};
use crate::snapshot::VERSION_NUM_TID_RANGE;

/// No block of 32 kB, the largest there is, has more rows.
const ROWS_PER_BLOCK_MAX: u32 = 1170;

/// The order a table is read in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// By these columns, which no two rows have the same and none has NULL in.
    Key(Vec<String>),
    /// By the place of its rows.
    Ctid,
}

/// Where a chunk ends. It can be kept as text of any format, for the next chunk to be read after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Behind the row with this key, in text form.
    Key {
        /// The columns of the key.
        columns: Vec<String>,
        /// Their values.
        values: Vec<String>,
    },
    /// Before a block of one of the tables that hold the rows.
    Block {
        /// That table's oid.
        leaf: u32,
        /// Its file: another one has its rows in other places.
        filenode: u32,
        /// The next block.
        block: u32,
        /// Blocks it had when its first one was read.
        blocks: u32,
    },
}

impl fmt::Display for Mark {
    /// As an operator reads it: the values of a key, or how many blocks of how many.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { values, .. } => formatter.write_str(&values.join(",")),
            Self::Block { block, blocks, .. } => write!(formatter, "block {block} of {blocks}"),
        }
    }
}

impl Order {
    /// By the primary key, else by the first unique index without NULLs, else by `ctid`. A surrogate key goes before the key's
    /// columns: values may repeat in it, and where it may be NULL it is passed over.
    pub(super) fn of(table: &TableDescription, surrogate_key: Option<&str>) -> Self {
        let columns = table.keys.iter().find_map(|key| {
            let columns = key.columns.iter().map(|attnum| {
                let mut columns = table.columns.iter();
                columns.find(|column| column.attnum == *attnum && column.not_null)
            });
            columns
                .map(|column| column.map(|column| column.name.clone()))
                .collect::<Option<Vec<_>>>()
        });
        let Some(mut columns) = columns.filter(|columns| !columns.is_empty()) else {
            return Self::Ctid;
        };
        let usable = |name: &&str| {
            table.columns.iter().any(|column| column.name == **name && column.not_null)
        };
        if let Some(surrogate) = surrogate_key.filter(usable) {
            columns.retain(|column| column != surrogate);
            columns.insert(0, surrogate.to_owned());
        }
        Self::Key(columns)
    }
}

/// The statement for the last key of a table.
pub(super) fn last_key_query(
    table: &TableDescription,
    key: &[String],
    filter: Option<&str>,
) -> String {
    let columns: Vec<String> = key.iter().map(|name| quote_identifier(name)).collect();
    let descending: Vec<String> = columns.iter().map(|name| format!("{name} DESC")).collect();
    let (columns, descending) = (columns.join(", "), descending.join(", "));
    let conditions = filter.map(|filter| format!(" WHERE ({filter})")).unwrap_or_default();
    format!("SELECT {columns} FROM {}{conditions} ORDER BY {descending} LIMIT 1", source(table))
}

/// The statement for the rows behind a key.
pub(super) fn key_query(
    chunk: &Chunk,
    key: &[String],
    query: &ChunkQuery,
    after: Option<&Mark>,
) -> String {
    let columns: Vec<String> = key.iter().map(|name| quote_identifier(name)).collect();
    let columns = columns.join(", ");
    let mut conditions = Vec::new();
    for (operator, mark) in [(">", after), ("<=", chunk.until.as_ref())] {
        if let Some(Mark::Key { values, .. }) = mark {
            let values: Vec<String> = values.iter().map(|value| quote_literal(value)).collect();
            conditions.push(format!("({columns}) {operator} ({})", values.join(", ")));
        }
    }
    conditions.extend(query.filter.as_ref().map(|filter| format!("({filter})")));
    let conditions = joined(&conditions);
    let rows_max = query.rows_max;
    let order = format!("ORDER BY {columns} LIMIT {rows_max}");
    let (selected, source) = (selected(&chunk.columns), source(&chunk.description));
    format!("COPY (SELECT {selected} FROM {source}{conditions} {order}) TO STDOUT")
}

/// One table that holds rows.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) oid: Oid,
    pub(super) name: TableName,
    pub(super) filenode: u32,
    pub(super) blocks: u32,
}

impl Leaf {
    /// The statement for the rows of some of its blocks.
    pub(super) fn query(
        &self,
        columns: &[String],
        blocks: Range<u32>,
        filter: Option<&str>,
        server_version_num: u32,
    ) -> String {
        let Range { start, end } = blocks;
        let place = if server_version_num >= VERSION_NUM_TID_RANGE {
            format!("ctid >= '({start},0)'::tid AND ctid < '({end},0)'::tid")
        } else {
            format!(
                "ctid = ANY (ARRAY(SELECT format('(%s,%s)', b, r)::tid \
                 FROM generate_series({start}::int8, {end}::int8 - 1) b, \
                 generate_series(1, {ROWS_PER_BLOCK_MAX}) r))"
            )
        };
        let mut conditions = vec![place];
        conditions.extend(filter.map(|filter| format!("({filter})")));
        let (from, conditions) = (self.name.quoted(), joined(&conditions));
        format!("COPY (SELECT {} FROM ONLY {from}{conditions}) TO STDOUT", selected(columns))
    }
}

fn selected(columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|name| quote_identifier(name)).collect();
    columns.join(", ")
}

/// A root has its rows in its partitions; another table's inheritors are tables of their own.
fn source(table: &TableDescription) -> String {
    let name = table.table_name().quoted();
    match table.kind {
        TableKind::PartitionedRoot => name,
        TableKind::Ordinary | TableKind::Partition => format!("ONLY {name}"),
    }
}

/// Where the last record before `at` ends. The server names the place where the next record would begin, which at the start
/// of a page lies behind the page's header; the stream never comes to a place where nothing is.
pub(super) fn end_of_records(at: Lsn, page_bytes: u64) -> Lsn {
    /// Of the first page of a file; those of the others are shorter.
    const HEADER_BYTES_MAX: u64 = 40;
    match at.as_u64().checked_rem(page_bytes) {
        Some(into_page) if into_page <= HEADER_BYTES_MAX => Lsn::new(at.as_u64() - into_page),
        _ => at,
    }
}

fn joined(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    format!(" WHERE {}", conditions.join(" AND "))
}

#[cfg(test)]
mod tests {
    use pgoutput::{ReplicaIdentity, Xid};

    use super::*;
    use crate::catalog::{
        CatalogHorizon, ColumnDescription, KeyDescription, TypeDescription, TypeKind,
    };

    fn column(attnum: i16, name: &str, not_null: bool) -> ColumnDescription {
        ColumnDescription {
            name: name.to_owned(),
            attnum,
            type_: TypeDescription {
                oid: Oid(25),
                schema: "pg_catalog".to_owned(),
                name: "text".to_owned(),
                kind: TypeKind::Base,
            },
            type_modifier: -1,
            not_null,
            default: None,
            generated: false,
            identity: false,
            written_by: Xid(1),
            default_written_by: None,
        }
    }

    fn table(kind: TableKind, keys: &[&[i16]]) -> TableDescription {
        let key = |columns: &&[i16]| KeyDescription {
            index: Oid(9),
            is_primary: false,
            is_immediate: true,
            columns: columns.to_vec(),
            written_by: Vec::new(),
        };
        TableDescription {
            oid: Oid(1),
            schema: "s".to_owned(),
            name: "T".to_owned(),
            replica_identity: ReplicaIdentity::Default,
            replica_identity_index_columns: None,
            primary_key: None,
            unique_key: None,
            columns: vec![column(1, "a", true), column(3, "b\"", true), column(4, "n", false)],
            kind,
            is_partition_of: None,
            created_by: Xid(1),
            keys: keys.iter().map(key).collect(),
        }
    }

    fn key(names: &[&str]) -> Order {
        Order::Key(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_key_with_nulls_is_no_order() {
        let of =
            |keys: &[&[i16]], surrogate| Order::of(&table(TableKind::Ordinary, keys), surrogate);
        assert_eq!(of(&[&[3, 1]], None), key(&["b\"", "a"]));
        assert_eq!(of(&[&[4], &[1, 4], &[1]], None), key(&["a"]));
        assert_eq!(of(&[&[4]], None), Order::Ctid);
        assert_eq!(of(&[], Some("a")), Order::Ctid, "values of a surrogate may repeat");
        assert_eq!(of(&[&[1]], Some("b\"")), key(&["b\"", "a"]));
        assert_eq!(of(&[&[1, 3]], Some("b\"")), key(&["b\"", "a"]));
        assert_eq!(of(&[&[1]], Some("n")), key(&["a"]), "rows with NULL would be passed over");
    }

    #[test]
    fn a_chunk_lies_between_two_keys() {
        let columns = vec!["a".to_owned(), "b\"".to_owned()];
        let mark = |values: &[&str]| Mark::Key {
            columns: columns.clone(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let query = ChunkQuery {
            table: Oid(1),
            surrogate_key: None,
            filter: Some("n = 1 OR a = 'x'".to_owned()),
            after: None,
            until: None,
            rows_max: 7,
            blocks_max: 1,
            bytes_max: 1,
        };
        let (after, until) = (mark(&["1", "it's"]), mark(&["9", "\\"]));
        let chunk = Chunk {
            description: table(TableKind::PartitionedRoot, &[]),
            columns: vec!["a".to_owned(), "b\"".to_owned(), "n".to_owned()],
            seen: CatalogHorizon {
                settled_before: None,
                next_xid: 1,
                in_progress: Vec::new(),
                read_at: Lsn::ZERO,
            },
            order: Order::Key(columns.clone()),
            lines: Vec::new(),
            is_last: false,
            block_mark: None,
            until: Some(until),
            began_again: false,
        };
        assert_eq!(
            key_query(&chunk, &columns, &query, Some(&after)),
            "COPY (SELECT \"a\", \"b\"\"\", \"n\" FROM \"s\".\"T\" WHERE (\"a\", \"b\"\"\") > ('1', 'it''s') \
             AND (\"a\", \"b\"\"\") <= ('9', E'\\\\') AND (n = 1 OR a = 'x') ORDER BY \"a\", \"b\"\"\" LIMIT 7) TO STDOUT"
        );
        assert_eq!(
            last_key_query(&table(TableKind::Ordinary, &[]), &columns[..1], None),
            "SELECT \"a\" FROM ONLY \"s\".\"T\" ORDER BY \"a\" DESC LIMIT 1"
        );
    }

    #[test]
    fn the_end_of_the_log_lies_before_the_header_of_an_empty_page() {
        let page = 3 * 8192;
        for (at, end) in
            [(page + 24, page), (page + 40, page), (page, page), (page + 48, page + 48)]
        {
            assert_eq!(end_of_records(Lsn::new(at), 8192), Lsn::new(end));
        }
    }
}
