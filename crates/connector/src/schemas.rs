//! The ids of the schemas that records are written with: asked for once for each version of a table.
//!
//! In: the schemas of a plan, and the topic its records go to. Out: ids. A side that is not in Avro needs none, and nobody is
//! asked. Never: a question for a record.
//! Source: Confluent documentation, "Schema Registry: Subject name strategy".

use envelope::{AvroSchema, AvroSchemas, Frames, SchemaId, SchemaIds};
use registry::Registry;

use crate::error::ConnectorError;
use crate::settings::{SchemaRegistries, SideRegistry, SubjectStrategy};

/// Whom to ask for the ids of keys and of values.
#[derive(Debug)]
pub(crate) struct Schemas {
    key: Option<Side>,
    value: Option<Side>,
}

#[derive(Debug)]
struct Side {
    registry: Registry,
    subjects: SubjectStrategy,
    /// What a subject named for a topic ends with.
    suffix: &'static str,
}

impl Schemas {
    /// Asks nobody yet.
    pub(crate) fn new(settings: &SchemaRegistries) -> Result<Self, ConnectorError> {
        let side = |side: &Option<SideRegistry>, suffix| match side {
            None => Ok::<_, ConnectorError>(None),
            Some(side) => {
                let registry = Registry::new(&side.registry)?;
                Ok(Some(Side { registry, subjects: side.subjects, suffix }))
            }
        };
        Ok(Self { key: side(&settings.key, "key")?, value: side(&settings.value, "value")? })
    }

    /// Has the schemas of these records registered, the first time.
    pub(crate) async fn identify(&mut self, frames: &mut Frames) -> Result<(), ConnectorError> {
        if !frames.is_identified() {
            let ids = self.ids(frames.topic(), frames.schemas()).await?;
            frames.identify(ids);
        }
        Ok(())
    }

    /// The ids of a plan's schemas.
    pub(crate) async fn ids(
        &mut self,
        topic: &str,
        schemas: AvroSchemas<'_>,
    ) -> Result<SchemaIds, ConnectorError> {
        Ok(SchemaIds {
            key: id(self.key.as_mut(), topic, schemas.key).await?,
            value: id(self.value.as_mut(), topic, schemas.value).await?,
        })
    }
}

async fn id(
    side: Option<&mut Side>,
    topic: &str,
    schema: Option<&AvroSchema>,
) -> Result<Option<SchemaId>, ConnectorError> {
    let (Some(side), Some(schema)) = (side, schema) else { return Ok(None) };
    let subject = match side.subjects {
        SubjectStrategy::Topic => format!("{topic}-{}", side.suffix),
        SubjectStrategy::Record => schema.record_name.clone(),
        SubjectStrategy::TopicAndRecord => format!("{topic}-{}", schema.record_name),
    };
    Ok(Some(SchemaId(side.registry.id_of(&subject, &schema.text).await?)))
}
