//! Records in Avro's binary form, as Confluent's `AvroConverter` writes them.
//!
//! In: the schemas and writers of the JSON form, once per version of a table; text of PostgreSQL for each row. Out: the schema
//! as Avro has it, and bytes: a zero, the id that a registry gave the schema in four bytes, big endian, and the value.
//! Never: a request to a registry, which gives the ids; a tree of values; an allocation that the JSON form has not.
//! Source: Avro specification, "Binary encoding"; Confluent documentation, "Wire format"; what Debezium with the converters of
//! Apicurio and Confluent registers and writes.

pub(crate) mod binary;
pub(crate) mod schema;
mod shapes;
pub(crate) mod source;
pub(crate) mod stand_in;
pub(crate) mod writer;

/// How a registry knows a schema; what each record begins with, after a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SchemaId(pub u32);

/// A schema as Avro writes it, to be registered before anything is encoded with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvroSchema {
    /// Full name of its record, by which some strategies name subjects.
    pub record_name: String,
    /// JSON.
    pub text: String,
}

/// The schemas of a plan's records; a side that is not written in Avro has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvroSchemas<'a> {
    /// Of the keys.
    pub key: Option<&'a AvroSchema>,
    /// Of the values.
    pub value: Option<&'a AvroSchema>,
}

/// The ids of such schemas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaIds {
    /// Of the keys.
    pub key: Option<SchemaId>,
    /// Of the values.
    pub value: Option<SchemaId>,
}

impl SchemaId {
    /// What a record of this schema begins with.
    pub(crate) fn head(self) -> [u8; 5] {
        let [a, b, c, d] = self.0.to_be_bytes();
        [0, a, b, c, d]
    }
}

/// What stands before each key or value of one schema.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    schema: AvroSchema,
    head: Option<[u8; 5]>,
}

impl Registered {
    /// A schema that has no id yet.
    pub(crate) fn new(schema: AvroSchema) -> Self {
        Self { schema, head: None }
    }

    pub(crate) fn schema(&self) -> &AvroSchema {
        &self.schema
    }

    pub(crate) fn identify(&mut self, id: Option<SchemaId>) {
        self.head = id.map(SchemaId::head);
    }

    /// Whether records can be written.
    pub(crate) fn is_identified(&self) -> bool {
        self.head.is_some()
    }

    /// Appends what a record begins with.
    ///
    /// Without an id no reader could read the record: that must not get anywhere.
    #[inline]
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        let head = self.head.as_ref();
        assert!(head.is_some(), "schema {} was not registered", self.schema.record_name);
        out.extend_from_slice(head.map_or(&[][..], |head| &head[..]));
    }
}
