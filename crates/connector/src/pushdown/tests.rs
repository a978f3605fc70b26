use pgoutput::{Oid, RelationColumn, Xid};
use postgres::catalog::{ColumnDescription, KeyDescription, TypeDescription, TypeKind};

use super::*;
use crate::settings::fixture;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    fixture::settings(&[&[("tributary.publication.pushdown", "columns")], pairs].concat())
}

fn column(attnum: i16, name: &str) -> ColumnDescription {
    ColumnDescription {
        name: name.to_owned(),
        attnum,
        type_: TypeDescription {
            oid: Oid(23),
            schema: "pg_catalog".to_owned(),
            name: "int4".to_owned(),
            kind: TypeKind::Base,
        },
        type_modifier: -1,
        not_null: false,
        default: None,
        generated: name.starts_with("gen"),
        identity: false,
        written_by: Xid(3),
        default_written_by: None,
    }
}

/// A table `s.t` with these columns, the first of which is its primary key, and a unique index over each of `unique`.
fn table(columns: &[&str], unique: &[i16]) -> TableDescription {
    let key = |attnum: i16| KeyDescription {
        index: Oid(1),
        is_primary: attnum == 1,
        is_immediate: true,
        columns: vec![attnum],
        written_by: Vec::new(),
    };
    let numbered = (1..).zip(columns);
    TableDescription {
        oid: Oid(1),
        schema: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: ReplicaIdentity::Default,
        replica_identity_index_columns: None,
        primary_key: Some(vec![columns[0].to_owned()]),
        unique_key: None,
        columns: numbered.map(|(attnum, name)| column(attnum, name)).collect(),
        kind: TableKind::Ordinary,
        is_partition_of: None,
        created_by: Xid(3),
        keys: [1].iter().chain(unique).copied().map(key).collect(),
    }
}

fn list(shapes: &[TableDescription], settings: &Settings) -> Result<Option<Vec<String>>, Unsafe> {
    column_list(shapes, settings, operations(settings))
}

#[test]
fn a_list_has_what_is_captured_and_whatever_a_row_may_be_recognised_by() {
    let settings =
        settings(&[("column.include.list", "s[.]t[.]note"), ("message.key.columns", "s.t:place")]);
    let columns = ["id", "secret", "email", "note", "place", "generated"];
    let listed = list(&[table(&columns, &[3])], &settings).unwrap().unwrap();
    assert_eq!(listed, ["id", "email", "note", "place"]);
}

#[test]
fn a_table_of_which_nothing_is_left_out_has_no_list() {
    let settings = settings(&[("column.exclude.list", "s[.]t[.](id|other)")]);
    assert_eq!(list(&[table(&["id", "note", "generated"], &[])], &settings), Ok(None));
}

#[test]
fn no_list_where_the_application_could_no_longer_update() {
    let excluding = ("column.exclude.list", "s[.]t[.]secret");
    let mut full = table(&["id", "secret"], &[]);
    full.replica_identity = ReplicaIdentity::Full;
    assert_eq!(list(&[full.clone()], &settings(&[excluding])), Err(Unsafe::FullIdentity));
    let inserts_only = settings(&[excluding, ("skipped.operations", "u,d,t")]);
    assert_eq!(list(&[full], &inserts_only), Ok(Some(vec!["id".to_owned()])));
    let mut generated = table(&["generated_id", "id", "secret"], &[]);
    generated.replica_identity = ReplicaIdentity::Default;
    assert_eq!(list(&[generated], &settings(&[excluding])), Err(Unsafe::GeneratedIdentity));
}

#[test]
fn each_partition_has_an_identity_of_its_own() {
    let settings = settings(&[("column.exclude.list", "s[.]t[.](secret|code)")]);
    let mut root = table(&["id", "secret", "code", "note"], &[]);
    root.kind = TableKind::PartitionedRoot;
    let mut leaf = table(&["id", "secret", "code", "note"], &[3]);
    leaf.name = "t_1".to_owned();
    let listed = list(&[root.clone(), leaf.clone()], &settings).unwrap().unwrap();
    assert_eq!(listed, ["id", "code", "note"]);
    leaf.replica_identity = ReplicaIdentity::Full;
    assert_eq!(list(&[root, leaf], &settings), Err(Unsafe::FullIdentity));
}

#[test]
fn a_captured_column_that_the_stream_lacks_is_named() {
    let settings = settings(&[("column.exclude.list", "s[.]t[.]secret")]);
    let known = |name: &str| RelationColumn {
        name: name.to_owned(),
        type_oid: Oid(23),
        type_modifier: -1,
        is_identity: false,
    };
    let relation = Relation {
        oid: Oid(1),
        namespace: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: ReplicaIdentity::Default,
        columns: vec![known("id"), known("note")],
    };
    let now = table(&["id", "secret", "note", "later", "generated"], &[]);
    assert_eq!(unpublished(&relation, &now, &settings), ["later"]);
}
