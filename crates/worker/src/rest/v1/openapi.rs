//! `GET /openapi.json`: every route, for machines. The document is kept by hand; a test holds it against the table of routes.

use axum::http::header;
use axum::response::IntoResponse;

const DOCUMENT: &str = include_str!("openapi.json");

pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::super::routes::routes;
    use super::*;

    #[test]
    fn the_document_has_every_route_with_its_role_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
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
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let text = DOCUMENT.split("\"#/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for reference in text {
            assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference}");
        }
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
