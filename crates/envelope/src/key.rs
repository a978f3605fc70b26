//! The key of a table's records. In: the key columns of a row. Out: the record key, and the key as a header shows it.
//! Never: a key for a table without one, unless the topic's naming adds a field to it; a masked value: what identifies a row
//! must differ from row to row.
//!
//! Source: Debezium documentation, "Change event keys"; Kafka Connect, `SimpleHeaderConverter`.

use crate::EnvelopeError;
use crate::avro::{AvroSchema, SchemaId, binary};
use crate::fragment::Fragment;
use crate::frame::Frame;
use crate::room::Room;
use crate::row::{Row, RowError, RowPlan};
use crate::schema::{Parts, Schema};
use crate::table::{Column, Table};
use crate::types::Context;
use crate::value::json;

/// What all keys of one table version have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyForm {
    /// What stands before the object of the key's fields.
    pub head: Vec<u8>,
    /// What stands after it.
    pub close: &'static [u8],
    /// Names and types of the fields, in order; a type by its name in Kafka Connect, like `int32`.
    pub fields: Vec<(String, &'static str)>,
}

/// How the key of one table version is written.
#[derive(Debug)]
pub(crate) struct KeyPlan {
    form: KeyForm,
    /// Around the payload.
    frame: Frame,
    columns: RowPlan,
    /// Takes the place of the brace that closes the columns of JSON, where the naming of topics adds a field.
    table_field: Option<Fragment>,
    header: RowPlan,
    /// The same in headers, which are JSON always.
    header_table_field: Option<Fragment>,
}

impl KeyPlan {
    /// `None` for a table without key.
    pub(crate) fn compile(
        table: &Table,
        schema_prefix: &str,
        context: &Context<'_>,
    ) -> Result<Option<Self>, EnvelopeError> {
        if let Some(&index) = table.key.iter().find(|&&index| index >= table.columns.len()) {
            return Err(EnvelopeError::KeyColumn {
                table: format!("{}.{}", table.schema, table.name),
                index,
                columns: table.columns.len(),
            });
        }
        let table_field = context.settings.key_field_of(&table.schema, &table.name);
        if table.key.is_empty() && table_field.is_none() {
            return Ok(None);
        }
        let in_keys = table.columns.iter().map(Column::in_key).collect();
        let table = Table { columns: in_keys, ..table.clone() };
        let (columns, mut schema) = RowPlan::compile(&table, &table.key, &context.capturing())?;
        if let Some((name, _)) = &table_field {
            append_field(name, &mut schema, &table)?;
        }
        let schema = schema.called(format!("{schema_prefix}.Key"), None);
        let frame = Frame::of(&schema, context.format, &table.full_name())?;
        let (head, close) = schema.framing(context.format);
        let form = KeyForm { head, close, fields: schema.field_types() };
        let header = columns.for_header();
        let header_table_field = table_field
            .as_ref()
            .map(|(name, value)| Fragment::new(last_member(name, value, columns.is_empty())));
        let (columns, table_field) = if frame.is_json() {
            (columns, header_table_field.clone())
        } else {
            let field = table_field.map(|(_, value)| {
                let mut field = Vec::new();
                binary::bytes(value.as_bytes(), &mut field);
                Fragment::new(field)
            });
            (columns.for_avro(&schema).map_err(|error| error.of_table(&table))?, field)
        };
        Ok(Some(Self { form, frame, columns, table_field, header, header_table_field }))
    }

    /// What is to be registered; `None` if nothing is.
    pub(crate) fn schema(&self) -> Option<&AvroSchema> {
        self.frame.schema()
    }

    pub(crate) fn identify(&mut self, id: Option<SchemaId>) {
        self.frame.identify(id);
    }

    /// What all keys have in common.
    pub(crate) fn form(&self) -> &KeyForm {
        &self.form
    }

    /// Appends the record key.
    pub(crate) fn write(&self, row: Row<'_>, out: &mut Vec<u8>) -> Result<(), RowError> {
        self.frame.begin(out);
        write_payload(&self.columns, self.table_field.as_ref(), row, out)?;
        self.frame.end(out);
        Ok(())
    }

    /// Appends the key as the value of a header.
    pub(crate) fn write_header(&self, row: Row<'_>, out: &mut Vec<u8>) -> Result<(), RowError> {
        write_payload(&self.header, self.header_table_field.as_ref(), row, out)
    }

    /// False only if the keys of both rows are the same for sure.
    pub(crate) fn may_differ(&self, new: Row<'_>, old: Row<'_>) -> bool {
        self.columns.may_differ(new, old)
    }
}

#[inline]
fn write_payload(
    columns: &RowPlan,
    table_field: Option<&Fragment>,
    row: Row<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RowError> {
    columns.write(row, out, &mut Room::default(), &mut |_, _| {})?;
    if let Some(field) = table_field {
        if !columns.is_avro() {
            out.pop();
        }
        field.write(out);
    }
    Ok(())
}

/// Adds the field that names the table to the schema of a key.
fn append_field(name: &str, schema: &mut Schema, table: &Table) -> Result<(), EnvelopeError> {
    let Parts::Fields(fields) = &mut schema.parts else { return Ok(()) };
    if fields.iter().any(|(other, _)| other == name) {
        return Err(EnvelopeError::KeyFieldCollision {
            table: format!("{}.{}", table.schema, table.name),
            field: name.to_owned(),
        });
    }
    fields.push(Schema::plain("string").field(name));
    Ok(())
}

/// `,"name":"value"}`, without the comma if it is the only member.
fn last_member(name: &str, value: &str, is_only: bool) -> Vec<u8> {
    let mut member = if is_only { Vec::new() } else { vec![b','] };
    json::string(name.as_bytes(), &mut member);
    member.push(b':');
    json::string(value.as_bytes(), &mut member);
    member.push(b'}');
    member
}
