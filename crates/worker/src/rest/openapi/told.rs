//! What a route says of itself in the document, beside what the table of routes says of it. It stands next to the handler.
//!
//! In: types of requests and answers. Out: plain data, of which `build` makes the document.
//! Never: a method, a path or a role; they are in the table of routes only. A field of an answer; they are in its type only.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};

use super::super::status;

/// One route.
pub(in crate::rest) struct Doc {
    pub(in crate::rest) summary: &'static str,
    /// Besides those of the path.
    pub(in crate::rest) parameters: &'static [Parameter],
    /// What a request has to bring.
    pub(in crate::rest) body: Option<SchemaOf>,
    /// When it does what it is asked for.
    pub(in crate::rest) answers: &'static [Answer],
    /// When it does not, besides what may happen on every route.
    pub(in crate::rest) refusals: &'static [Refusal],
}

impl Doc {
    /// A route of which nothing else is said yet.
    pub(in crate::rest) const fn of(summary: &'static str) -> Self {
        Self { summary, parameters: &[], body: None, answers: &[], refusals: &[] }
    }
}

/// One answer.
pub(in crate::rest) struct Answer {
    pub(in crate::rest) status: StatusCode,
    pub(in crate::rest) description: &'static str,
    /// As `application/json`.
    pub(in crate::rest) json: Option<SchemaOf>,
    /// As `text/event-stream`: names of events with what they carry.
    pub(in crate::rest) events: &'static [(&'static str, SchemaOf)],
    /// As text of this kind.
    pub(in crate::rest) text: Option<&'static str>,
    /// Headers, always texts, with what they are.
    pub(in crate::rest) headers: &'static [(&'static str, &'static str)],
}

impl Answer {
    /// One that says nothing more.
    pub(in crate::rest) const fn empty(status: StatusCode, description: &'static str) -> Self {
        Self { status, description, json: None, events: &[], text: None, headers: &[] }
    }

    /// JSON.
    pub(in crate::rest) const fn json(description: &'static str, json: SchemaOf) -> Self {
        Self { json: Some(json), ..Self::empty(status::OK, description) }
    }

    /// The same with another status.
    pub(in crate::rest) const fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// Why a request may not be carried out. The status of each is in [`status`], its text in `build`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rest) enum Refusal {
    /// The request, or the configuration it leads to.
    Wrong,
    /// The connector, task, plugin or logger is not there.
    NotFound,
    /// Somebody else was there first.
    Conflict,
    /// It is not what the caller has seen.
    Changed,
    /// Nobody knows who asks.
    Unauthenticated,
    /// Whoever asks may not.
    Forbidden,
    /// The body is too large.
    TooLarge,
    /// The body is not JSON.
    NotJson,
    /// Too many requests.
    TooMany,
}

/// A parameter of the query, or a header.
pub(in crate::rest) struct Parameter {
    pub(in crate::rest) name: &'static str,
    pub(in crate::rest) is_header: bool,
    pub(in crate::rest) values: Values,
    pub(in crate::rest) description: &'static str,
}

impl Parameter {
    /// A parameter of the query.
    pub(in crate::rest) const fn query(
        name: &'static str,
        values: Values,
        description: &'static str,
    ) -> Self {
        Self { name, is_header: false, values, description }
    }
}

/// What a parameter may be.
pub(in crate::rest) enum Values {
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// Any texts: the parameter may be given more than once.
    Texts,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Some of these: the parameter may be given more than once.
    SomeOf(&'static [&'static str]),
    /// A number from 0.
    Number { most: u64, default: u64 },
}

/// Schemas that have a name, by it.
pub(in crate::rest) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The schema of a type; adds those it refers to.
pub(in crate::rest) type SchemaOf = fn(&mut Schemas) -> RefOr<Schema>;

/// A type, by its name.
pub(in crate::rest) fn one<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    for (name, schema) in found {
        let other = schemas.get(&name).is_some_and(|known| *known != schema);
        debug_assert!(!other, "two types are called {name} in the document");
        schemas.insert(name, schema);
    }
    Ref::from_schema_name(T::name()).into()
}

/// A list of them.
pub(in crate::rest) fn list<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    ArrayBuilder::new().items(one::<T>(schemas)).into()
}

/// A map of them by name.
pub(in crate::rest) fn map<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let values = AdditionalProperties::RefOr(one::<T>(schemas));
    ObjectBuilder::new().additional_properties(Some(values)).into()
}

/// A list of texts.
pub(in crate::rest) fn texts(_: &mut Schemas) -> RefOr<Schema> {
    ArrayBuilder::new().items(<String as utoipa::PartialSchema>::schema()).into()
}

/// Some object.
pub(in crate::rest) fn object(_: &mut Schemas) -> RefOr<Schema> {
    ObjectBuilder::new().into()
}
