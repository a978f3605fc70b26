//! Types that Debezium has no form for. In: such a type, and `tributary.unmapped.types`. Out: with `capture` a form that
//! keeps all of its value; with `omit` none.
//!
//! A row type is a structure of its attributes; everything else is PostgreSQL's own text, which reads back as it was written.

use super::{Context, Form};
use crate::names;
use crate::schema::Schema;
use crate::settings::UnmappedTypes;
use crate::table::{Attribute, DataType, TypeKind};
use crate::value::{Writer, composite, json};

impl Context<'_> {
    /// Our form of a type; `None` leaves its columns out.
    pub(super) fn unmapped(&self, data_type: &DataType) -> Option<Form> {
        match (self.unmapped, &data_type.kind) {
            (UnmappedTypes::Omit, _) => None,
            (UnmappedTypes::Capture, TypeKind::Composite { schema, attributes }) => {
                self.composite(&format!("{schema}.{}", data_type.name), attributes)
            }
            (UnmappedTypes::Capture, _) => {
                let form = Form::new(Writer::Text, Schema::plain("string"), "");
                Some(form.with_unavailable(self.placeholder_json()))
            }
        }
    }

    /// Attributes are optional: a row type has no NOT NULL.
    fn composite(&self, name: &str, attributes: &[Attribute]) -> Option<Form> {
        let mut fields = Vec::with_capacity(attributes.len());
        let mut members = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            let form = self.form(&attribute.data_type, attribute.type_modifier)?;
            let name = names::field(&attribute.name, self.settings.field_names);
            let mut member = Vec::new();
            json::string(name.as_bytes(), &mut member);
            fields.push((name, form.schema.optional()));
            member.push(b':');
            members.push(composite::Attribute { member: member.into(), writer: form.writer });
        }
        let schema = Schema::structure(fields);
        let name = format!("{}.{name}", self.settings.topic_prefix);
        let name = names::schema(&name, self.settings.schema_names);
        // What the text does not have is NULL, so this is a row of NULLs.
        Some(Form::new(Writer::Composite(members.into()), schema.called(name, None), "()"))
    }
}
