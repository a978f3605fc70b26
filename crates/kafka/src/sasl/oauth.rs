//! OAUTHBEARER tokens: given, read from a file, or unsigned ones for tests.
//!
//! In: an [`OauthToken`]. Out: the token's text and the message that carries it. Never here: an
//! identity provider. Source: RFC 7628 §3.1; KIP-255 (unsecured tokens); KIP-768 (`file://`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};

use crate::{KafkaError, config::OauthToken};

/// The token to send now.
///
/// Errors: [`KafkaError::Certificate`] if its file cannot be read.
pub(super) async fn token(source: &OauthToken) -> Result<String, KafkaError> {
    match source {
        OauthToken::Given(token) => Ok(token.reveal().trim().to_owned()),
        OauthToken::File(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(KafkaError::Certificate {
                what: format!("the OAUTHBEARER token in {path}"),
                reason: error.to_string(),
                fix: "check the path and its permissions".into(),
            }),
        },
        OauthToken::Unsecured { claims, lifetime } => {
            Ok(unsecured(claims, since_1970(), *lifetime))
        }
    }
}

/// `n,,` · `\x01auth=Bearer <token>` · `\x01name=value` for each extension · `\x01\x01`.
pub(super) fn first_message(token: &str, extensions: &[(String, String)]) -> String {
    let mut message = format!("n,,\x01auth=Bearer {token}\x01");
    for (name, value) in extensions {
        message.push_str(name);
        message.push('=');
        message.push_str(value);
        message.push('\x01');
    }
    message.push('\x01');
    message
}

/// A JSON web token with the algorithm `none` and an empty signature.
fn unsecured(claims: &[(String, String)], now: Duration, lifetime: Duration) -> String {
    let mut payload = format!("{{\"iat\":{},\"exp\":{}", now.as_secs(), (now + lifetime).as_secs());
    for (name, value) in claims {
        payload.push(',');
        push_json(&mut payload, name);
        payload.push(':');
        push_json(&mut payload, value);
    }
    payload.push('}');
    format!("{}.{}.", BASE64_URL.encode(r#"{"alg":"none"}"#), BASE64_URL.encode(payload))
}

fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let code = control as usize;
                out.push_str("\\u00");
                out.extend([char::from(HEX[code >> 4]), char::from(HEX[code & 0xf])]);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The wall clock: a token carries the time it was issued.
#[expect(clippy::disallowed_methods, reason = "the edge where a token is dated")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsecured_token_says_who_and_how_long() {
        let claims = [("sub".to_owned(), "al\"ice".to_owned())];
        let token = unsecured(&claims, Duration::from_secs(100), Duration::from_secs(50));
        let payload = BASE64_URL.decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(payload, br#"{"iat":100,"exp":150,"sub":"al\"ice"}"#);
        assert!(token.ends_with('.'));
    }

    #[test]
    fn extensions_follow_the_token() {
        let message = first_message("T", &[("a".into(), "b".into())]);
        assert_eq!(message, "n,,\x01auth=Bearer T\x01a=b\x01\x01");
    }
}
