//! Why a request is not carried out, before or after the group is asked.
//!
//! In: what the layers of the API find. Out: one error, which [`super::answer`] writes in the form of the route it was asked on.
//! Never: a status code (they are in [`super::status`]), a value of a configuration.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use crate::error::GroupError;

use super::access::Role;

/// A request that was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The group refuses it.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The body cannot be understood.
    #[error("[WK020] the body of the request cannot be used: {why}")]
    Body {
        /// Where and why.
        why: String,
    },
    /// The body is something else.
    #[error(
        "[WK020] the body of the request has to be JSON: send `Content-Type: application/json`"
    )]
    ContentType,
    /// The caller takes nothing we have.
    #[error(
        "[WK020] the answer is JSON, which the request does not accept: send `Accept: application/json`"
    )]
    Accept,
    /// The body is too large.
    #[error("[WK021] the body of the request is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A hidden value came back beside something it was not shown with.
    #[error(
        "[WK022] `{key}` is `{hidden}`, which stands for a value that is not shown, and there is no such value to keep: give the value itself",
        hidden = super::secrets::HIDDEN
    )]
    Hidden {
        /// The key.
        key: String,
    },
    /// The configuration names something of this machine.
    #[error("[WK023] `{key}` {what}, and this worker does not let requests do that: {fix}")]
    NotAllowed {
        /// The key.
        key: String,
        /// What it names.
        what: String,
        /// What the administrator of the worker can do.
        fix: String,
    },
    /// Nobody knows who asks.
    #[error(
        "[WK024] this worker wants to know who asks: send a bearer token, or a name and a password"
    )]
    Unauthenticated,
    /// Somebody asks who may not.
    #[error("[WK025] `{caller}` has the role `{has}`, and this needs `{needs}`")]
    Forbidden {
        /// Who asks.
        caller: String,
        /// What they may do.
        has: Role,
        /// What they would have to be allowed.
        needs: Role,
    },
    /// A page of another site asks, in the browser of somebody on this machine.
    #[error(
        "[WK034] a page of `{origin}` must not use this worker, which knows nobody's name: ask from a program, or name users with --auth-file"
    )]
    Foreign {
        /// The site.
        origin: String,
    },
    /// Too many requests.
    #[error("[WK026] too many requests from {from}: wait {wait_seconds} s")]
    TooMany {
        /// The address.
        from: String,
        /// When to come again.
        wait_seconds: u64,
    },
    /// There is no such route.
    #[error("[WK027] there is nothing at this address: GET /openapi.json tells what there is")]
    NoRoute,
    /// The route does not know the method.
    #[error("[WK027] this address does not know the method {method}")]
    Method {
        /// The method.
        method: String,
    },
    /// The connector has no such task.
    #[error(
        "[WK028] connector `{name}` has no task {task}: each has one at most, and its number is 0"
    )]
    NoTask {
        /// The connector.
        name: String,
        /// The number asked for.
        task: String,
    },
    /// There is no such plugin.
    #[error("[WK029] there is no plugin `{plugin}`: GET /connector-plugins lists those there are")]
    NoPlugin {
        /// The name asked for.
        plugin: String,
    },
    /// The plugin in the address and the one in the body differ.
    #[error("[WK029] the address says plugin `{plugin}` and `connector.class` says `{class}`")]
    OtherPlugin {
        /// In the address.
        plugin: String,
        /// In the body.
        class: String,
    },
    /// There is no such logger, or no such level.
    #[error("[WK030] {why}")]
    Logger {
        /// What is not there.
        why: String,
    },
}

impl ApiError {
    /// A body that cannot be understood.
    pub(super) fn body(why: impl Into<String>) -> Self {
        Self::Body { why: why.into() }
    }

    /// The stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Group(error) => error.code(),
            Self::Body { .. } | Self::ContentType | Self::Accept => "WK020",
            Self::TooLarge { .. } => "WK021",
            Self::Hidden { .. } => "WK022",
            Self::NotAllowed { .. } => "WK023",
            Self::Unauthenticated => "WK024",
            Self::Forbidden { .. } => "WK025",
            Self::Foreign { .. } => "WK034",
            Self::TooMany { .. } => "WK026",
            Self::NoRoute | Self::Method { .. } => "WK027",
            Self::NoTask { .. } => "WK028",
            Self::NoPlugin { .. } | Self::OtherPlugin { .. } => "WK029",
            Self::Logger { .. } => "WK030",
        }
    }
}

impl IntoResponse for ApiError {
    /// Without a body: [`super::answer::render`] writes it, for it knows which of the two forms the route has.
    fn into_response(self) -> Response {
        let mut response = super::status::of(&self).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
