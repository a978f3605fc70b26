//! What stands before and after each key or value of one schema. In: the schema, and which converter. Out: the schema in full as
//! `JsonConverter` sends it along, nothing, or the id that a registry has given it. Never: what stands between.

use crate::EnvelopeError;
use crate::avro::schema::NoForm;
use crate::avro::{self, AvroSchema, AvroSchemas, Registered, SchemaId, SchemaIds};
use crate::fragment::Fragment;
use crate::schema::Schema;
use crate::settings::{EncoderSettings, Encoding, FormatSettings};

/// Both sides of records that have one schema each, and the topic they go to.
#[derive(Clone, Debug)]
pub struct Frames {
    topic: String,
    pub(crate) key: Frame,
    pub(crate) value: Frame,
}

impl Frames {
    pub(crate) fn of(
        settings: &EncoderSettings,
        topic: String,
        key: &Schema,
        value: &Schema,
    ) -> Result<Self, EnvelopeError> {
        let key = Frame::of(key, settings.key, &topic)?;
        let value = Frame::of(value, settings.value, &topic)?;
        Ok(Self { topic, key, value })
    }

    /// Where the records go.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What is to be registered before anything is encoded.
    pub fn schemas(&self) -> AvroSchemas<'_> {
        AvroSchemas { key: self.key.schema(), value: self.value.schema() }
    }

    /// Takes what a registry has for [`Self::schemas`].
    pub fn identify(&mut self, ids: SchemaIds) {
        self.key.identify(ids.key);
        self.value.identify(ids.value);
    }

    /// Whether there is nothing left to register.
    pub fn is_identified(&self) -> bool {
        self.key.is_ready() && self.value.is_ready()
    }
}

/// Head and end of one side of the records of a plan.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Json { head: Fragment, close: &'static [u8] },
    Avro(Registered),
}

impl Frame {
    /// `owner`: whose schema it is, for errors.
    pub(crate) fn of(
        schema: &Schema,
        format: FormatSettings,
        owner: &str,
    ) -> Result<Self, EnvelopeError> {
        let Encoding::Avro { meta_data } = format.encoding else {
            let (head, close) = schema.framing(format);
            return Ok(Self::Json { head: Fragment::new(head), close });
        };
        let derived = avro::schema::derive(schema, meta_data);
        derived.map(|schema| Self::Avro(Registered::new(schema))).map_err(|reason| {
            let owner = owner.to_owned();
            match reason {
                NoForm::SchemaName(name) => EnvelopeError::AvroName { owner, name },
                NoForm::FieldName(name) => EnvelopeError::AvroFieldName { owner, name },
                NoForm::Redefined(name) => EnvelopeError::AvroRedefined { owner, name },
            }
        })
    }

    /// The same, where JSON begins with these bytes and ends with a brace.
    #[must_use]
    pub(crate) fn around_object(self, first: &[u8]) -> Self {
        match self {
            Self::Json { head, close } => {
                let mut bytes = Vec::new();
                head.write(&mut bytes);
                bytes.extend_from_slice(first);
                let close: &[u8] = if close.is_empty() { b"}" } else { b"}}" };
                Self::Json { head: Fragment::new(bytes), close }
            }
            avro @ Self::Avro(_) => avro,
        }
    }

    #[inline]
    pub(crate) fn is_json(&self) -> bool {
        matches!(self, Self::Json { .. })
    }

    /// Appends what stands before.
    #[inline]
    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        match self {
            Self::Json { head, .. } => head.write(out),
            Self::Avro(registered) => registered.write_head(out),
        }
    }

    /// Appends what stands after.
    #[inline]
    pub(crate) fn end(&self, out: &mut Vec<u8>) {
        if let Self::Json { close, .. } = self {
            out.extend_from_slice(close);
        }
    }

    /// What is to be registered; `None` if nothing is.
    pub(crate) fn schema(&self) -> Option<&AvroSchema> {
        match self {
            Self::Json { .. } => None,
            Self::Avro(registered) => Some(registered.schema()),
        }
    }

    pub(crate) fn identify(&mut self, id: Option<SchemaId>) {
        if let Self::Avro(registered) = self {
            registered.identify(id);
        }
    }

    /// Whether records can be written.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Json { .. } => true,
            Self::Avro(registered) => registered.is_identified(),
        }
    }
}
