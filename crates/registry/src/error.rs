//! Why a registry gave no id. In: nothing. Out: errors with a code, each explained in `docs/errors`. Never: a secret.

use thiserror::Error;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Retry.
    Transient,
    /// Stop the connector and tell the operator.
    Definite,
}

/// Why there is no id.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It does not answer, or says that it cannot now.
    #[error(
        "[RG001] the schema registry at {url} does not answer: {reason}\n  fix: none needed if it comes back, it is asked again until then; else see that schema.registry.url is right and that it runs"
    )]
    Away {
        /// The address asked last.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It does not know us, or does not let us.
    #[error(
        "[RG002] the schema registry at {url} refuses: {reason}\n  fix: give the converter credentials that may read and write its subjects (basic.auth.credentials.source=USER_INFO with basic.auth.user.info, or bearer.auth.credentials.source=STATIC_TOKEN with bearer.auth.token)"
    )]
    Refused {
        /// Its address.
        url: String,
        /// Its words.
        reason: String,
    },
    /// The schema breaks the rule of its subject.
    #[error(
        "[RG003] the schema registry does not take the new schema of subject `{subject}`, which is not compatible with the ones before: {reason}\n  fix: change the table so that it is, such as by a default for the new column, or lower the compatibility level of the subject, or delete the subject if nobody reads its records"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// The registry's words.
        reason: String,
    },
    /// It is no schema to the registry.
    #[error(
        "[RG004] the schema registry does not take the schema of subject `{subject}` for one of Avro: {reason}\n  fix: set schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro if it speaks of a name; else report it, with the table"
    )]
    Invalid {
        /// The subject.
        subject: String,
        /// The registry's words.
        reason: String,
    },
    /// It was to be there and is not.
    #[error(
        "[RG005] the schema registry does not have the schema of subject `{subject}`, and auto.register.schemas is false: {reason}\n  fix: register it, or set auto.register.schemas=true"
    )]
    NotRegistered {
        /// The subject.
        subject: String,
        /// The registry's words.
        reason: String,
    },
    /// What answers is no registry.
    #[error(
        "[RG006] the answer of the schema registry at {url} cannot be understood: {reason}\n  fix: see that schema.registry.url leads to a registry with Confluent's API (Apicurio has it under /apis/ccompat/v7)"
    )]
    Strange {
        /// Its address.
        url: String,
        /// What is strange.
        reason: String,
    },
    /// The certificates to trust cannot be read.
    #[error(
        "[RG007] schema.registry.ssl.truststore.location cannot be used: {path}: {reason}\n  fix: name a file with certificates in PEM form that this process may read"
    )]
    Trust {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The latest version is laid out otherwise.
    #[error(
        "[RG008] the latest version of subject `{subject}`, with id {id}, is laid out otherwise than the records, and use.latest.version is true\n  fix: register a version with the fields of the table in its order, or set use.latest.version=false"
    )]
    OtherLatest {
        /// The subject.
        subject: String,
        /// Its latest id.
        id: u32,
    },
}

impl RegistryError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Away { .. } => Class::Transient,
            Self::Refused { .. }
            | Self::Incompatible { .. }
            | Self::Invalid { .. }
            | Self::NotRegistered { .. }
            | Self::Strange { .. }
            | Self::Trust { .. }
            | Self::OtherLatest { .. } => Class::Definite,
        }
    }

    /// The stable code its text begins with.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Away { .. } => "RG001",
            Self::Refused { .. } => "RG002",
            Self::Incompatible { .. } => "RG003",
            Self::Invalid { .. } => "RG004",
            Self::NotRegistered { .. } => "RG005",
            Self::Strange { .. } => "RG006",
            Self::Trust { .. } => "RG007",
            Self::OtherLatest { .. } => "RG008",
        }
    }
}
