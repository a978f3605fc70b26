//! A row as a JSON object, or as a record of Avro. In: values in PostgreSQL's text form. Out: the object of some of its columns. Never: an
//! allocation; every name and every stand-in is rendered when the plan is made.

mod error;

use std::collections::HashMap;

use pgoutput::TupleValue;

use crate::avro::writer::AvroWriter;
use crate::avro::{binary, stand_in};
use crate::default_value;
use crate::fragment::Fragment;
use crate::notice::NoticeKind;
use crate::room::{Room, STEP_BYTES};
use crate::schema::{Parts, Schema};
use crate::settings::FormatSettings;
use crate::table::{Column, Table};
use crate::types::{Context, Form, source_type};
use crate::value::masked::Masked;
use crate::value::{Outcome, Writer};
use crate::{EnvelopeError, names};

pub(crate) use error::{RowError, RowErrorCause};

/// How some columns of a table become a JSON object.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowPlan {
    /// Fields follow one another without names, and nothing stands around them.
    is_avro: bool,
    fields: Vec<Field>,
    /// Columns without a form: their types have none, and the settings leave them out.
    omitted: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Field {
    /// Index into the values of a row.
    column: usize,
    /// `{"name":` or `,"name":`.
    prefix: Fragment,
    writer: Writer,
    /// For NULL, and in an old row for a column that is not there.
    null: Fragment,
    /// For an unchanged value stored out of line; `None` for a type that has nothing to show for it.
    unavailable: Option<Fragment>,
    /// A value its form cannot hold may be shown as NULL.
    nullable: bool,
    /// NULL looks like any other value.
    hides_null: bool,
}

/// Values of a row, beside the old row its unchanged parts may be taken from.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) values: &'a [TupleValue<'a>],
    pub(crate) old: Option<&'a [TupleValue<'a>]>,
}

impl<'a> Row<'a> {
    /// A value stored out of line that did not change comes from the old row if it is there.
    #[inline]
    fn value(self, column: usize) -> TupleValue<'a> {
        match (self.values[column], self.old) {
            // In a key tuple NULL only says that the column is not part of the replica identity.
            (TupleValue::UnchangedToast, Some(old))
                if matches!(old[column], TupleValue::Text(_)) =>
            {
                old[column]
            }
            (value, _) => value,
        }
    }
}

impl RowPlan {
    /// Plan and schema of some columns.
    pub(crate) fn compile(
        table: &Table,
        columns: &[usize],
        context: &Context<'_>,
    ) -> Result<(Self, Schema), EnvelopeError> {
        let mut plan = Self::default();
        let mut fields = Vec::with_capacity(columns.len());
        for &index in columns {
            match plan.add(index, &table.columns[index], context) {
                Some(field) => fields.push(field),
                None => plan.omitted.push(index),
            }
        }
        plan.refuse_collisions(table, &fields)?;
        Ok((plan, Schema::structure(fields)))
    }

    /// Two columns whose fields have the same name cannot both be in a record.
    fn refuse_collisions(
        &self,
        table: &Table,
        fields: &[(String, Schema)],
    ) -> Result<(), EnvelopeError> {
        let mut first: HashMap<&str, usize> = HashMap::with_capacity(fields.len());
        for ((name, _), field) in fields.iter().zip(&self.fields) {
            if let Some(other) = first.insert(name, field.column) {
                return Err(EnvelopeError::FieldCollision {
                    table: format!("{}.{}", table.schema, table.name),
                    one: table.columns[other].name.clone(),
                    other: table.columns[field.column].name.clone(),
                    field: name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether it is written in Avro's binary form.
    #[inline]
    pub(crate) fn is_avro(&self) -> bool {
        self.is_avro
    }

    /// What stands for a row that is not there.
    #[inline]
    pub(crate) fn absent(&self) -> &'static [u8] {
        if self.is_avro { &[binary::FIRST] } else { b"null" }
    }

    /// What stands before one that is there, where it may not be.
    #[inline]
    pub(crate) fn present(&self) -> &'static [u8] {
        if self.is_avro { &[binary::SECOND] } else { b"" }
    }

    /// Whether the object has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Columns that were asked for and are not in it.
    pub(crate) fn omitted(&self) -> &[usize] {
        &self.omitted
    }

    /// Adds a column and returns its field of the schema; `None` if its type has no form.
    fn add(
        &mut self,
        index: usize,
        column: &Column,
        context: &Context<'_>,
    ) -> Option<(String, Schema)> {
        let mut form = context.form(&column.data_type, column.type_modifier)?;
        let name = names::field(&column.name, context.settings.field_names);
        let default = default_value::json(column, &form);
        let mut null = null_json(column, &form, default.as_deref(), context.format);
        treat(column, &mut form, &mut null);
        let mut prefix = vec![if self.fields.is_empty() { b'{' } else { b',' }];
        crate::value::json::string(name.as_bytes(), &mut prefix);
        prefix.push(b':');
        let hides_null = matches!(&form.writer, Writer::Masked(masked) if masked.hides_null());
        self.fields.push(Field {
            hides_null,
            column: index,
            prefix: Fragment::new(prefix),
            unavailable: form.unavailable.map(Fragment::new),
            null: Fragment::new(null),
            writer: form.writer,
            nullable: !column.not_null,
        });
        let schema = Schema { optional: !column.not_null, default, ..form.schema };
        Some((name, schema))
    }

    /// The same columns in Avro's binary form. `schema` is that of the object.
    pub(crate) fn for_avro(&self, schema: &Schema) -> Result<Self, RowError> {
        let Parts::Fields(schemas) = &schema.parts else { return Ok(Self::default()) };
        let pairs = self.fields.iter().zip(schemas);
        let fields = pairs.map(|(field, (_, schema))| field.for_avro(schema));
        let fields = fields.collect::<Result<_, _>>()?;
        Ok(Self { is_avro: true, fields, omitted: self.omitted.clone() })
    }

    /// The same columns as Connect's `SimpleHeaderConverter` would write them.
    pub(crate) fn for_header(&self) -> Self {
        let fields = self.fields.iter().cloned();
        Self {
            is_avro: false,
            fields: fields
                .map(|field| Field { writer: field.writer.for_header(), ..field })
                .collect(),
            omitted: Vec::new(),
        }
    }

    /// Appends the object, and tells `note` of each value that is not in it as it is.
    #[inline]
    pub(crate) fn write(
        &self,
        row: Row<'_>,
        out: &mut Vec<u8>,
        room: &mut Room,
        note: &mut impl FnMut(NoticeKind, usize),
    ) -> Result<(), RowError> {
        if self.fields.is_empty() && !self.is_avro {
            out.push(b'{');
        }
        for field in &self.fields {
            field.prefix.write(out);
            match row.value(field.column) {
                TupleValue::Text(text) if text.len() > STEP_BYTES => {
                    field.write_long(text, out, room, &mut || {
                        note(NoticeKind::Altered, field.column);
                    })?;
                }
                value => {
                    if let Some(kind) = field.write_any(value, out)? {
                        note(kind, field.column);
                    }
                }
            }
            room.look(out);
        }
        if !self.is_avro {
            out.push(b'}');
        }
        Ok(())
    }

    /// True if no event could tell the rows apart. `buffer` is used and left behind.
    pub(crate) fn looks_same(
        &self,
        new: Row<'_>,
        old: Row<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, RowError> {
        for field in &self.fields {
            let (new, old) = (new.value(field.column), old.value(field.column));
            if new != old && !field.looks_same(new, old, buffer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if one of the columns may differ between the rows. An old row without the column differs.
    pub(crate) fn may_differ(&self, new: Row<'_>, old: Row<'_>) -> bool {
        self.fields.iter().any(|field| new.value(field.column) != old.value(field.column))
    }
}

impl Field {
    /// The same field in Avro's binary form.
    fn for_avro(&self, schema: &Schema) -> Result<Self, RowError> {
        let malformed = |malformed| self.error(RowErrorCause::Malformed(malformed));
        let stand_in = |json: &Fragment| {
            let mut text = Vec::new();
            json.write(&mut text);
            stand_in::of_json(&text, schema).map(Fragment::new).map_err(malformed)
        };
        let writer = AvroWriter::compile(&self.writer, schema).map_err(malformed)?;
        Ok(Self {
            column: self.column,
            prefix: Fragment::new(Vec::new()),
            writer: Writer::Avro(Box::new(writer)),
            null: stand_in(&self.null)?,
            unavailable: self.unavailable.as_ref().map(stand_in).transpose()?,
            nullable: self.nullable,
            hides_null: self.hides_null,
        })
    }

    /// Appends a value; `Some` says what the event does not show of it.
    #[inline]
    fn write_any(
        &self,
        value: TupleValue<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<NoticeKind>, RowError> {
        match value {
            TupleValue::Text(text) => {
                let whole = self.write(text, out)? == Outcome::Written;
                return Ok((!whole).then_some(NoticeKind::Altered));
            }
            TupleValue::Null => self.null.write(out),
            TupleValue::UnchangedToast => match &self.unavailable {
                Some(placeholder) => placeholder.write(out),
                None if self.nullable => {
                    self.null.write(out);
                    return Ok(Some(NoticeKind::Unavailable));
                }
                None => return Err(self.error(RowErrorCause::Unavailable)),
            },
            TupleValue::Binary(_) => return Err(self.error(RowErrorCause::Binary)),
        }
        Ok(None)
    }

    /// Appends a long text, with a look at the room in between where its form can be written step by step.
    #[cold]
    fn write_long(
        &self,
        text: &[u8],
        out: &mut Vec<u8>,
        room: &mut Room,
        note: &mut impl FnMut(),
    ) -> Result<(), RowError> {
        let stepped = self.writer.write_in_steps(text, STEP_BYTES, out, &mut |out| room.look(out));
        match stepped {
            Some(Ok(())) => Ok(()),
            Some(Err(malformed)) => Err(self.error(RowErrorCause::Malformed(malformed))),
            None => {
                if self.write(text, out)? != Outcome::Written {
                    note();
                }
                Ok(())
            }
        }
    }

    /// Compares two values that differ as they look in the event. NULL differs from all else, even where the default that
    /// is shown for it is the same, unless a mask hides it.
    fn looks_same(
        &self,
        new: TupleValue<'_>,
        old: TupleValue<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, RowError> {
        if !self.hides_null && [new, old].contains(&TupleValue::Null) {
            return Ok(false);
        }
        buffer.clear();
        self.write_any(new, buffer)?;
        let end = buffer.len();
        self.write_any(old, buffer)?;
        Ok(buffer[..end] == buffer[end..])
    }

    #[inline]
    fn write(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, RowError> {
        let start = out.len();
        match self.writer.write(text, out) {
            Ok(Outcome::Inexpressible | Outcome::Beyond) if self.nullable => {
                out.truncate(start);
                self.null.write(out);
                Ok(Outcome::Altered)
            }
            Ok(Outcome::Inexpressible) => Err(self.error(RowErrorCause::Inexpressible)),
            Ok(outcome) => Ok(outcome),
            Err(malformed) => Err(self.error(RowErrorCause::Malformed(malformed))),
        }
    }

    fn error(&self, cause: RowErrorCause) -> RowError {
        RowError { column: self.column, cause }
    }
}

/// Does to a column's form what the settings say. `null` stands for NULL and for what an old row does not carry.
///
/// Source: Debezium converts a value first, stand-ins included, and masks what comes out; a default that stands for NULL is
/// put in after that, by the converter.
fn treat(column: &Column, form: &mut Form, null: &mut Vec<u8>) {
    if let Some(mask) = &column.treatment.mask {
        let is_character = source_type::is_character(&column.data_type);
        let length = source_type::length(column);
        form.schema.parameters.extend(mask.parameter(length));
        if let Some(masked) = Masked::compile(mask, &form.writer, is_character, length) {
            form.unavailable = form.unavailable.as_deref().map(|json| masked.stand_in(json));
            if masked.hides_null() {
                form.unavailable.get_or_insert_with(|| masked.stand_in(null));
            }
            if column.not_null || masked.hides_null() {
                *null = masked.stand_in(null);
            }
            form.writer = Writer::Masked(Box::new(masked));
        }
    }
    if column.treatment.source_type {
        form.schema.parameters.extend(source_type::parameters(column));
    }
}

fn null_json(
    column: &Column,
    form: &Form,
    default: Option<&[u8]>,
    format: FormatSettings,
) -> Vec<u8> {
    match default {
        Some(default) if column.not_null || format.replace_null_with_default => default.to_vec(),
        None if column.not_null => form.missing.clone(),
        _ => b"null".to_vec(),
    }
}
