//! Secrets of configurations, sealed on their way into the config topic.
//!
//! In: a configuration, the group's key. Out: the same with each value that would be hidden in an answer as `sealed:v1:…`, and back.
//! A value is bound to its connector and its key: it cannot be put elsewhere. Without a key values stay as they are, as with Kafka Connect.
//! Never: a sealed value taken for the value.
//! Source: NIST SP 800-38D (AES-GCM, 96-bit random nonces; a group makes far fewer than 2^32 of them).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connector::settings::{InvalidSettings, Problem};
use rand::RngCore;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::rest::is_hidden;
use crate::wanted::Config;

const PREFIX: &str = "sealed:v1:";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The key of a group: every worker of it has the same. It cannot be printed.
#[derive(Clone)]
pub struct SealKey(Arc<LessSafeKey>);

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// The file is not there.
    #[error("[WK040] the key in {} cannot be read\n  fix: make one with `openssl rand -base64 32 > FILE`, the same for all workers of the group", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// It is no key.
    #[error(
        "[WK040] {place} holds no key: {KEY_BYTES} bytes in base64 are wanted\n  fix: make one with `openssl rand -base64 32`, the same for all workers of the group"
    )]
    NoKey {
        /// Where it was looked for.
        place: String,
    },
}

impl SealKeyError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "WK040"
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealKey")
    }
}

impl SealKey {
    /// Reads a key of 32 bytes in base64 from a file.
    pub fn from_file(path: &Path) -> Result<Self, SealKeyError> {
        let unreadable = |cause| SealKeyError::Unreadable { path: path.to_owned(), cause };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, &path.display().to_string())
    }

    /// A key of 32 bytes in base64; `place` is where it stands, for errors.
    pub fn parse(text: &str, place: &str) -> Result<Self, SealKeyError> {
        let no_key = || SealKeyError::NoKey { place: place.to_owned() };
        let bytes = STANDARD.decode(text.trim()).map_err(|_| no_key())?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| no_key())?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    fn seal(&self, connector: &str, key: &str, value: &str) -> Option<String> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let mut bytes = value.as_bytes().to_vec();
        let bound = Aad::from(bound(connector, key));
        let nonce_of = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(nonce_of, bound, &mut bytes).ok()?;
        let sealed = [nonce.as_slice(), &bytes].concat();
        Some(format!("{PREFIX}{}", STANDARD.encode(sealed)))
    }

    fn open(&self, connector: &str, key: &str, sealed: &str) -> Option<String> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, bytes) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = bytes.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(bound(connector, key)), &mut bytes);
        String::from_utf8(opened.ok()?.to_vec()).ok()
    }
}

/// The configuration as it is kept: secrets sealed, if there is a key.
pub(crate) fn sealed(key: Option<&SealKey>, connector: &str, config: &Config) -> Config {
    let seal = |(name, value): (&String, &String)| {
        let is_secret = !value.starts_with(PREFIX) && is_hidden(name, value);
        let kept = key.filter(|_| is_secret).and_then(|key| key.seal(connector, name, value));
        (name.clone(), kept.unwrap_or_else(|| value.clone()))
    };
    config.iter().map(seal).collect()
}

/// The configuration as it was given. What cannot be opened stays sealed; [`expect_opened`] says so before it is used.
pub(crate) fn opened(key: Option<&SealKey>, connector: &str, config: Config) -> Config {
    let open = |(name, value): (String, String)| {
        let opened = value
            .strip_prefix(PREFIX)
            .and_then(|sealed| key.and_then(|key| key.open(connector, &name, sealed)));
        (name, opened.unwrap_or(value))
    };
    config.into_iter().map(open).collect()
}

/// Refuses a configuration with values that could not be opened.
pub(crate) fn expect_opened(config: &Config) -> Result<(), InvalidSettings> {
    let sealed = config.iter().filter(|(_, value)| value.starts_with(PREFIX)).map(|(key, _)| {
        let why = "its value is sealed in the config topic, and this worker has not the key it was sealed with";
        let fix = "start all workers of the group with the same --secret-key-file, or set the value again";
        Problem::new("WK041", key, why, fix)
    });
    InvalidSettings::unless_empty(sealed.collect())
}

/// What a sealed value belongs to.
fn bound(connector: &str, key: &str) -> Vec<u8> {
    [connector.as_bytes(), b"\0", key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::parse(&STANDARD.encode([byte; KEY_BYTES]), "a test").unwrap()
    }

    fn config() -> Config {
        let pairs = [
            ("database.password", "s3cret"),
            ("database.user", "cdc"),
            ("tributary.source.url", "postgres://cdc:s3cret@db/shop"),
            ("sasl.jaas.config", "${env:JAAS}"),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn secrets_are_sealed_and_come_back() {
        let sealed = sealed(Some(&key(1)), "a", &config());
        assert!(!format!("{sealed:?}").contains("s3cret"));
        assert_eq!(sealed["database.user"], "cdc");
        assert_eq!(sealed["sasl.jaas.config"], "${env:JAAS}");
        assert_eq!(opened(Some(&key(1)), "a", sealed.clone()), config());
        // Sealed again it is the same, and not sealed twice.
        assert_eq!(super::sealed(Some(&key(1)), "a", &sealed), sealed);
    }

    #[test]
    fn a_sealed_value_is_of_no_use_elsewhere() {
        let sealed = sealed(Some(&key(1)), "a", &config());
        for (key_byte, connector) in [(2, "a"), (1, "b")] {
            let other = opened(Some(&key(key_byte)), connector, sealed.clone());
            assert!(expect_opened(&other).is_err());
        }
        let mut moved = Config::new();
        moved.insert("database.user".to_owned(), sealed["database.password"].clone());
        assert!(expect_opened(&opened(Some(&key(1)), "a", moved)).is_err());
        assert!(expect_opened(&opened(None, "a", sealed)).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(SealKey::parse("c2hvcnQ=", "a test").is_err());
        assert!(SealKey::parse("?", "a test").is_err());
    }
}
