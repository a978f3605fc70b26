//! The page over HTTP, for a process that has no other API.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use tokio::net::TcpListener;

/// `Content-Type` of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `GET /metrics` until it is dropped.
///
/// Errors: those of the socket.
pub async fn serve(
    listener: TcpListener,
    page: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let answer = move || async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], page()) };
    axum::serve(listener, Router::new().route("/metrics", get(answer))).await
}
