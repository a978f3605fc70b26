//! The document, made of the table of routes and of what each route says of itself.
//!
//! In: routes. Out: an `OpenAPI` document. What follows from a route is said here once: its name, the parameters of its path, who may use it, and what may
//! be refused on every route, in the form its path has (`application/problem+json` below `/v1`).
//! Never: what one route alone does; that stands next to its handler.
//! Source: `OpenAPI` Specification 3.1.0.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::content::Content;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, KnownFormat, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, Response, ResponseBuilder, ResponsesBuilder, Schema,
};

use super::super::answer::{ConnectError, PROBLEM, Problem};
use super::super::routes::Route;
use super::super::status;
use super::told::{self, Answer, Refusal, Schemas, Values};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const OTHER: &str = "any other refusal or failure: `tributary explain CODE` tells of it";
const DESCRIPTION: &str =
    "Kafka Connect's REST API and `/v1`. docs/reference/rest.md says where the two differ.";

/// What routes refer to, by name.
#[derive(Default)]
struct Parts {
    schemas: Schemas,
    refusals: BTreeMap<String, Response>,
}

/// The document of these routes.
pub(super) fn document(routes: &[Route]) -> OpenApi {
    let mut parts = Parts::default();
    let mut paths: Vec<(&str, PathItem)> = Vec::new();
    for route in routes {
        let operation = operation(route, &mut parts);
        if paths.last().is_none_or(|(path, _)| *path != route.path) {
            paths.push((route.path, item(route.path)));
        }
        if let Some((_, item)) = paths.last_mut() {
            put(item, route.method, operation);
        }
    }
    let paths =
        paths.into_iter().fold(PathsBuilder::new(), |all, (path, item)| all.path(path, item));
    let components = ComponentsBuilder::new()
        .security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .schemas_from_iter(parts.schemas)
        .responses_from_iter(parts.refusals);
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Tributary").version("1").description(Some(DESCRIPTION)))
        .paths(paths)
        .components(Some(components.build()))
        .security(Some(
            ["basic", "bearer"].map(|way| SecurityRequirement::new::<_, _, &str>(way, [])),
        ))
        .build()
}

/// How refusals are written on a route.
#[derive(Clone, Copy)]
enum Form {
    Connect,
    Problem,
}

impl Form {
    fn of(path: &str) -> Self {
        if path.starts_with("/v1/") { Self::Problem } else { Self::Connect }
    }

    fn schema(self, schemas: &mut Schemas) -> RefOr<Schema> {
        match self {
            Self::Connect => told::one::<ConnectError>(schemas),
            Self::Problem => told::one::<Problem>(schemas),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Connect => JSON,
            Self::Problem => PROBLEM,
        }
    }

    /// What a refusal is called among the parts of the document.
    fn name(self, refusal: &str) -> String {
        match self {
            Self::Connect => refusal.to_owned(),
            Self::Problem => format!("{refusal}Problem"),
        }
    }
}

fn description(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Wrong => "the request or the configuration is wrong",
        Refusal::NotFound => "there is no such thing",
        Refusal::Conflict => "it exists, or others change it at the same time",
        Refusal::Changed => "it was changed meanwhile",
        Refusal::Unauthenticated => "nobody knows who asks",
        Refusal::Forbidden => {
            "the caller's role is not enough, the configuration names something of this machine, or a page of another site asks"
        }
        Refusal::TooLarge => "the body is too large",
        Refusal::NotJson => "the body is not JSON",
        Refusal::TooMany => {
            "too many requests from one address, or too many of the kind are under way"
        }
    }
}

impl Parts {
    /// A refusal of a route, to be referred to.
    fn refused(&mut self, refusal: Refusal, form: Form) -> Ref {
        let name = form.name(&format!("{refusal:?}"));
        let response = response(description(refusal), form, &mut self.schemas);
        self.refusals.insert(name.clone(), with_headers(response, refusal).build());
        Ref::from_response_name(name)
    }

    /// Whatever else may happen.
    fn other(&mut self, form: Form) -> Ref {
        let name = form.name("Other");
        let response = response(OTHER, form, &mut self.schemas);
        self.refusals.insert(name.clone(), response.build());
        Ref::from_response_name(name)
    }
}

fn response(description: &str, form: Form, schemas: &mut Schemas) -> ResponseBuilder {
    let content = Content::new(Some(form.schema(schemas)));
    ResponseBuilder::new().description(description).content(form.media_type(), content)
}

fn with_headers(response: ResponseBuilder, refusal: Refusal) -> ResponseBuilder {
    let header = |kind, description| {
        let schema = ObjectBuilder::new().schema_type(kind);
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    };
    match refusal {
        Refusal::Unauthenticated => {
            response.header("WWW-Authenticate", header(Type::String, "the ways to say who asks"))
        }
        Refusal::TooMany => {
            response.header("Retry-After", header(Type::Integer, "seconds to wait"))
        }
        _ => response,
    }
}

fn operation(route: &Route, parts: &mut Parts) -> Operation {
    let doc = &route.doc;
    let mut operation = OperationBuilder::new()
        .summary(Some(doc.summary))
        .operation_id(Some(operation_id(route.method, route.path)))
        .responses(responses(route, parts).build());
    for parameter in doc.parameters {
        operation = operation.parameter(of_parameter(parameter));
    }
    if let Some(body) = doc.body {
        let content = Content::new(Some(body(&mut parts.schemas)));
        let body = RequestBodyBuilder::new().content(JSON, content);
        operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
    }
    match route.role {
        Some(role) => operation
            .extensions(Some(Extensions::builder().add("x-role", role.to_string()).build())),
        None => operation.securities(Some(Vec::<SecurityRequirement>::new())),
    }
    .build()
}

fn responses(route: &Route, parts: &mut Parts) -> ResponsesBuilder {
    let mut responses = ResponsesBuilder::new();
    for answer in route.doc.answers {
        responses =
            responses.response(answer.status.as_str(), answered(answer, &mut parts.schemas));
    }
    let mut refusals = route.doc.refusals.to_vec();
    if route.role.is_some() {
        refusals.extend([Refusal::Unauthenticated, Refusal::Forbidden]);
    }
    if route.doc.body.is_some() {
        refusals.extend([Refusal::TooLarge, Refusal::NotJson]);
    }
    refusals.push(Refusal::TooMany);
    let form = Form::of(route.path);
    for refusal in refusals {
        let status = status::of_refusal(refusal);
        responses = responses.response(status.as_str(), parts.refused(refusal, form));
    }
    responses.response("default", parts.other(form))
}

fn answered(answer: &Answer, schemas: &mut Schemas) -> Response {
    let mut response = ResponseBuilder::new().description(answer.description);
    let text = || Content::new(Some(ObjectBuilder::new().schema_type(Type::String)));
    if let Some(json) = answer.json {
        response = response.content(JSON, Content::new(Some(json(schemas))));
    }
    if let Some(kind) = answer.text {
        response = response.content(kind, text());
    }
    if !answer.events.is_empty() {
        let events =
            answer.events.iter().map(|(event, body)| ((*event).to_owned(), json!(body(schemas))));
        // OpenAPI 3.1 has no word for what the events of a stream carry; 3.2 will (`itemSchema`).
        let events = Extensions::builder().add("x-events", events.collect::<Value>()).build();
        let mut content = text();
        content.extensions = Some(events);
        response = response.content(EVENTS, content);
    }
    for (name, what) in answer.headers {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(*what));
        response = response.header(*name, header.build());
    }
    response.build()
}

/// `get_connectors_name` of `GET /connectors/{name}`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let method = method.to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn item(path: &str) -> PathItem {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Vec<_> = names.map(|name| RefOr::T(of_path(name))).collect();
    let mut item = PathItem::default();
    item.parameters = Some(parameters).filter(|parameters| !parameters.is_empty());
    item
}

fn of_path(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn of_parameter(parameter: &told::Parameter) -> Parameter {
    let place = if parameter.is_header { ParameterIn::Header } else { ParameterIn::Query };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(parameter.description))
        .schema(Some(of_values(&parameter.values)))
        .build()
}

fn of_values(values: &Values) -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    match values {
        Values::Flag => ObjectBuilder::new().schema_type(Type::Boolean).into(),
        Values::Text => text().into(),
        Values::Texts => ArrayBuilder::new().items(text()).into(),
        Values::OneOf(words) => text().enum_values(Some(words.iter().copied())).into(),
        Values::SomeOf(words) => {
            ArrayBuilder::new().items(text().enum_values(Some(words.iter().copied()))).into()
        }
        Values::Number { most, default } => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0))
            .maximum(Some(*most))
            .default(Some(json!(default)))
            .into(),
    }
}

fn put(item: &mut PathItem, method: &str, operation: Operation) {
    let place = match method {
        "PUT" => &mut item.put,
        "POST" => &mut item.post,
        "PATCH" => &mut item.patch,
        "DELETE" => &mut item.delete,
        _ => &mut item.get,
    };
    *place = Some(operation);
}
