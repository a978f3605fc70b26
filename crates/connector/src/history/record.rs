//! The record of a [`Version`] in the offsets topic.
//!
//! In: a version. Out: the JSON of its record, and back. Readers of Connect's offsets see a source partition with the
//! number of a table, and an offset they have no use for.
//! Never: a record that is half read. One that is not understood is an error, as with the checkpoint.

use pgoutput::{Oid, Xid};
use postgres::catalog::{AttributeDescription, TypeDescription, TypeKind};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Version, VersionColumn, VersionKey};
use crate::error::ConnectorError;

/// Version of the layout below. A reader refuses a newer one.
const LAYOUT_VERSION: u32 = 1;

/// Key of a table's record: `["<connector>",{"server":"<topic.prefix>","table":<oid>}]`.
pub(super) fn key(connector: &str, topic_prefix: &str, table: Oid) -> Vec<u8> {
    json!([connector, { "server": topic_prefix, "table": table.0 }]).to_string().into_bytes()
}

/// The table a key speaks of, if it is one of this connector.
pub(super) fn table_of(key: &[u8], connector: &str, topic_prefix: &str) -> Option<Oid> {
    let (name, partition): (String, Partition) = serde_json::from_slice(key).ok()?;
    (name == connector && partition.server == topic_prefix).then_some(Oid(partition.table))
}

#[derive(Deserialize)]
struct Partition {
    server: String,
    table: u32,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    tributary: OurLayout,
}

#[derive(Serialize, Deserialize)]
struct OurLayout {
    version: u32,
    schema: String,
    table: String,
    columns: Vec<ColumnLayout>,
    key: KeyLayout,
}

#[derive(Serialize, Deserialize)]
struct KeyLayout {
    columns: Vec<usize>,
    #[serde(default)]
    index: Option<u32>,
    told: bool,
}

#[derive(Serialize, Deserialize)]
struct ColumnLayout {
    #[serde(default)]
    number: Option<i16>,
    name: String,
    #[serde(rename = "type")]
    type_: TypeLayout,
    modifier: i32,
    not_null: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    generated: bool,
}

#[derive(Serialize, Deserialize)]
struct TypeLayout {
    oid: u32,
    schema: String,
    name: String,
    kind: KindLayout,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindLayout {
    Base,
    Enum { labels: Vec<String>, written_by: Vec<u32> },
    Domain { base: Box<TypeLayout>, modifier: i32 },
    Array { element: Box<TypeLayout>, delimiter: u8 },
    Composite { attributes: Vec<AttributeLayout> },
    Range,
    Multirange,
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct AttributeLayout {
    name: String,
    #[serde(rename = "type")]
    type_: TypeLayout,
    modifier: i32,
}

/// Encodes the value of a table's record.
pub(super) fn to_json(version: &Version) -> Result<Vec<u8>, ConnectorError> {
    let key = &version.key;
    let layout = Layout {
        tributary: OurLayout {
            version: LAYOUT_VERSION,
            schema: version.schema.clone(),
            table: version.name.clone(),
            columns: version.columns.iter().map(ColumnLayout::of).collect(),
            key: KeyLayout {
                columns: key.columns.clone(),
                index: key.index.map(|oid| oid.0),
                told: key.is_told,
            },
        },
    };
    serde_json::to_vec(&layout).map_err(|error| ConnectorError::unreadable(&error))
}

/// Reads the value of a table's record.
///
/// Errors: [`ConnectorError::CheckpointUnreadable`] for anything this version did not write.
pub(super) fn from_json(value: &[u8]) -> Result<Version, ConnectorError> {
    let layout: Layout =
        serde_json::from_slice(value).map_err(|error| ConnectorError::unreadable(&error))?;
    let ours = layout.tributary;
    let what = "the layout version of a table is";
    ConnectorError::refuse_newer(what, ours.version, LAYOUT_VERSION)?;
    Ok(Version {
        schema: ours.schema,
        name: ours.table,
        columns: ours.columns.into_iter().map(ColumnLayout::column).collect(),
        key: VersionKey {
            columns: ours.key.columns,
            index: ours.key.index.map(Oid),
            is_told: ours.key.told,
        },
    })
}

impl ColumnLayout {
    fn of(column: &VersionColumn) -> Self {
        Self {
            number: column.attnum,
            name: column.name.clone(),
            type_: TypeLayout::of(&column.type_),
            modifier: column.type_modifier,
            not_null: column.not_null,
            default: column.default.clone(),
            generated: column.generated,
        }
    }

    fn column(self) -> VersionColumn {
        VersionColumn {
            attnum: self.number,
            name: self.name,
            type_: self.type_.type_(),
            type_modifier: self.modifier,
            not_null: self.not_null,
            default: self.default,
            generated: self.generated,
        }
    }
}

impl TypeLayout {
    fn of(type_: &TypeDescription) -> Self {
        let kind = match &type_.kind {
            TypeKind::Base => KindLayout::Base,
            TypeKind::Enum { labels, written_by } => KindLayout::Enum {
                labels: labels.clone(),
                written_by: written_by.iter().map(|xid| xid.0).collect(),
            },
            TypeKind::Domain { base, type_modifier } => {
                KindLayout::Domain { base: Box::new(Self::of(base)), modifier: *type_modifier }
            }
            TypeKind::Array { element, delimiter } => {
                KindLayout::Array { element: Box::new(Self::of(element)), delimiter: *delimiter }
            }
            TypeKind::Composite { attributes } => {
                let attributes = attributes.iter().map(|attribute| AttributeLayout {
                    name: attribute.name.clone(),
                    type_: Self::of(&attribute.type_),
                    modifier: attribute.type_modifier,
                });
                KindLayout::Composite { attributes: attributes.collect() }
            }
            TypeKind::Range => KindLayout::Range,
            TypeKind::Multirange => KindLayout::Multirange,
            TypeKind::Unknown => KindLayout::Unknown,
        };
        Self { oid: type_.oid.0, schema: type_.schema.clone(), name: type_.name.clone(), kind }
    }

    fn type_(self) -> TypeDescription {
        let kind = match self.kind {
            KindLayout::Base => TypeKind::Base,
            KindLayout::Enum { labels, written_by } => {
                TypeKind::Enum { labels, written_by: written_by.into_iter().map(Xid).collect() }
            }
            KindLayout::Domain { base, modifier } => {
                TypeKind::Domain { base: Box::new(base.type_()), type_modifier: modifier }
            }
            KindLayout::Array { element, delimiter } => {
                TypeKind::Array { element: Box::new(element.type_()), delimiter }
            }
            KindLayout::Composite { attributes } => {
                let attributes = attributes.into_iter().map(|attribute| AttributeDescription {
                    name: attribute.name,
                    type_: attribute.type_.type_(),
                    type_modifier: attribute.modifier,
                });
                TypeKind::Composite { attributes: attributes.collect() }
            }
            KindLayout::Range => TypeKind::Range,
            KindLayout::Multirange => TypeKind::Multirange,
            KindLayout::Unknown => TypeKind::Unknown,
        };
        TypeDescription { oid: Oid(self.oid), schema: self.schema, name: self.name, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_(name: &str, kind: TypeKind) -> TypeDescription {
        TypeDescription { oid: Oid(7), schema: "s".to_owned(), name: name.to_owned(), kind }
    }

    #[test]
    fn a_version_survives_its_record() {
        let mood = type_(
            "mood",
            TypeKind::Enum { labels: vec!["sad".to_owned()], written_by: vec![Xid(700)] },
        );
        let domain =
            type_("d", TypeKind::Domain { base: Box::new(mood.clone()), type_modifier: -1 });
        let array = type_("_d", TypeKind::Array { element: Box::new(domain), delimiter: b';' });
        let column = |name: &str, type_: TypeDescription| VersionColumn {
            attnum: Some(3),
            name: name.to_owned(),
            type_,
            type_modifier: 12,
            not_null: true,
            default: Some("'x'::text".to_owned()),
            generated: false,
        };
        let version = Version {
            schema: "My \"schema".to_owned(),
            name: "テスト".to_owned(),
            columns: vec![column("a", mood), column("b", array)],
            key: VersionKey { columns: vec![1, 0], index: Some(Oid(5)), is_told: true },
        };
        assert_eq!(from_json(&to_json(&version).unwrap()).unwrap(), version);
    }

    #[test]
    fn keys_of_other_connectors_and_of_checkpoints_are_told_apart() {
        let ours = key("shop", "eu", Oid(16_400));
        assert_eq!(ours, br#"["shop",{"server":"eu","table":16400}]"#);
        assert_eq!(table_of(&ours, "shop", "eu"), Some(Oid(16_400)));
        assert_eq!(table_of(&ours, "shop", "us"), None);
        assert_eq!(table_of(&ours, "mail", "eu"), None);
        assert_eq!(table_of(&crate::position::checkpoint_key("shop", "eu"), "shop", "eu"), None);
    }
}
