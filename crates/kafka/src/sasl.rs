//! Logging in: the messages of PLAIN, SCRAM and OAUTHBEARER.
//!
//! In: a [`SaslConfig`] and the broker's challenges. Out: our messages, and whether the broker proved
//! itself. Never here: sockets and frames. Source: RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM),
//! RFC 7628 and KIP-255 (OAUTHBEARER).

mod oauth;
pub(crate) mod scram;

use bytes::Bytes;

use crate::{
    KafkaError,
    config::{SaslConfig, ScramHash},
};
use scram::Scram;

/// What to do after a challenge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Answer with this.
    Send(Bytes),
    /// We are in.
    Done,
}

/// One login in progress.
pub(crate) enum Login {
    Plain { first: Bytes },
    Scram { scram: Scram, hash: ScramHash },
    OauthBearer { first: Bytes },
}

impl Login {
    /// Prepares a login; an OAUTHBEARER token is read here.
    pub(crate) async fn new(config: &SaslConfig) -> Result<Self, KafkaError> {
        Ok(match config {
            SaslConfig::Plain { username, password } => {
                Self::Plain { first: format!("\0{username}\0{}", password.reveal()).into() }
            }
            SaslConfig::Scram { hash, username, password } => {
                let nonce = scram::nonce();
                Self::Scram {
                    scram: Scram::new(*hash, username, password.reveal(), &nonce),
                    hash: *hash,
                }
            }
            SaslConfig::OauthBearer { token, extensions } => {
                let token = oauth::token(token).await?;
                Self::OauthBearer { first: oauth::first_message(&token, extensions).into() }
            }
        })
    }

    /// The mechanism's registered name.
    pub(crate) fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::Scram { hash: ScramHash::Sha256, .. } => "SCRAM-SHA-256",
            Self::Scram { hash: ScramHash::Sha512, .. } => "SCRAM-SHA-512",
            Self::OauthBearer { .. } => "OAUTHBEARER",
        }
    }

    /// The message that opens the login.
    pub(crate) fn first(&self) -> Bytes {
        match self {
            Self::Plain { first } | Self::OauthBearer { first } => first.clone(),
            Self::Scram { scram, .. } => scram.first().into(),
        }
    }

    /// Reads a challenge. The error is what was wrong with it.
    pub(crate) fn next(&mut self, challenge: &[u8]) -> Result<Step, String> {
        match self {
            Self::Plain { .. } => Ok(Step::Done),
            Self::Scram { scram, .. } => scram.next(challenge),
            Self::OauthBearer { .. } if challenge.is_empty() => Ok(Step::Done),
            // The challenge is the refusal as JSON; a \x01 makes the broker end the exchange.
            Self::OauthBearer { .. } => Ok(Step::Send(Bytes::from_static(b"\x01"))),
        }
    }
}
