//! `GET /openapi.json`: every route, for machines.
//!
//! In: the table of routes, what each says of itself (`told`), and the types that requests are read into and answers written from. Out: an `OpenAPI` document,
//! and `docs/reference/openapi.json`, which a test holds against it; after a change run `UPDATE_OPENAPI=1 cargo test -p worker --lib openapi`.
//! Never: a shape that is written down twice.
//! Source: `OpenAPI` Specification 3.1.0.

mod build;
#[cfg(test)]
mod fit;
mod told;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;

#[cfg(test)]
pub(super) use fit::expect_fit;
pub(super) use told::{Answer, Doc, Parameter, Refusal, Values, list, map, object, one, texts};

use super::routes::routes;

/// Made when it is asked for first, and not read from the checked-in file: what a worker serves is what it was built of, whether or not somebody
/// wrote that file anew.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = build::document(&routes()).to_pretty_json();
    // All of it is texts and maps by text, of which there is nothing that cannot be JSON; a test makes it.
    document.unwrap_or_default() + "\n"
});

pub(super) const DOC: Doc =
    Doc { answers: &[Answer::json("OpenAPI 3.1", object)], ..Doc::of("This document") };

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::routes::routes;
    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(&DOCUMENT).unwrap()
    }

    #[test]
    fn the_page_of_the_document_is_the_document() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, DOCUMENT.as_str()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == *DOCUMENT,
            "docs/reference/openapi.json is not what is served; run UPDATE_OPENAPI=1 cargo test -p worker --lib openapi"
        );
    }

    #[test]
    fn the_document_has_every_route_with_its_role_and_no_other() {
        let document = parsed();
        let mut documented = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                let role = operation["x-role"].as_str().unwrap_or("none").to_owned();
                documented.insert((path.clone(), method.to_uppercase(), role));
            }
        }
        let there: BTreeSet<_> = routes()
            .iter()
            .map(|route| {
                let role = route.role.map_or_else(|| "none".to_owned(), |role| role.to_string());
                (route.path.to_owned(), route.method.to_owned(), role)
            })
            .collect();
        assert_eq!(documented, there);
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = parsed();
        let text = DOCUMENT.split("\"#/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for reference in text {
            assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = parsed();
        let items = document["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        let names: Vec<_> =
            operations.filter_map(|operation| operation["operationId"].as_str()).collect();
        assert_eq!(names.len(), routes().len());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn the_page_of_the_api_names_every_route() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/rest.md");
        let page = std::fs::read_to_string(path).unwrap();
        for route in routes() {
            let row = format!("| `{} {}` |", route.method, route.path);
            assert!(page.contains(&row), "docs/reference/rest.md has no row {row}");
        }
    }
}
