//! What a caller says of a registry. In: fields. Out: fields. Never: names of configuration keys.

use std::fmt;
use std::path::PathBuf;

/// Where a registry is, how to get in, and what to ask it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Addresses of one registry, each `http` or `https`; the first that answers counts.
    pub urls: Vec<String>,
    /// Who asks.
    pub credentials: Credentials,
    /// Certificates in PEM form that its certificate must come from; `None` takes those that are known everywhere.
    pub trusted: Option<PathBuf>,
    /// What is asked for.
    pub ask: Ask,
    /// Whether the registry brings schemas into one form before it compares them.
    pub normalize: bool,
}

/// How a schema gets its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// It is registered, unless it is there.
    #[default]
    Register,
    /// It must be there.
    Find,
    /// It is the latest version of its subject, whatever that says beside the layout.
    Latest,
}

/// Who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    None,
    /// `user:password`.
    Basic(String),
    /// A token.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Basic(_) => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}
