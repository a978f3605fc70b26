//! SCRAM: proves the password without sending it, and checks that the broker knows it too.
//!
//! In: user, password, nonce; the server's two messages. Out: the client's two messages. Never here:
//! randomness in the exchange itself, so that the RFC's own example is a test. Source: RFC 5802 §3,
//! §5; RFC 7677.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::Step;
use crate::config::ScramHash;

/// RFC 7677 §4; Java's client refuses fewer, too.
const ITERATIONS_MIN: u32 = 4096;
/// Guard against a server that would keep us busy.
const ITERATIONS_MAX: u32 = 10_000_000;
const GS2_HEADER: &str = "n,,";

/// One exchange.
pub(crate) struct Scram {
    hash: ScramHash,
    password: String,
    nonce: String,
    first_bare: String,
    state: State,
}

enum State {
    ServerFirst,
    ServerFinal { server_signature: Vec<u8> },
    Done,
}

/// A fresh client nonce: printable, without commas.
pub(crate) fn nonce() -> String {
    BASE64.encode(rand::random::<[u8; 24]>())
}

impl Scram {
    pub(crate) fn new(hash: ScramHash, username: &str, password: &str, nonce: &str) -> Self {
        let user = username.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            password: password.into(),
            nonce: nonce.into(),
            first_bare: format!("n={user},r={nonce}"),
            state: State::ServerFirst,
        }
    }

    pub(crate) fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first_bare)
    }

    pub(crate) fn next(&mut self, challenge: &[u8]) -> Result<Step, String> {
        let challenge =
            std::str::from_utf8(challenge).map_err(|_| "its challenge is not UTF-8".to_owned())?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::ServerFirst => self.prove(challenge),
            State::ServerFinal { server_signature } => verify(challenge, &server_signature),
            State::Done => Err("it goes on after its last message".into()),
        }
    }

    /// `r=<nonce>,s=<salt>,i=<iterations>` -> `c=biws,r=<nonce>,p=<proof>`.
    fn prove(&mut self, server_first: &str) -> Result<Step, String> {
        let nonce = attribute(server_first, 'r')?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its nonce does not extend ours".into());
        }
        let salt =
            BASE64.decode(attribute(server_first, 's')?).map_err(|_| "its salt is not base64")?;
        let iterations = attribute(server_first, 'i')?;
        let iterations: u32 = iterations.parse().map_err(|_| "its iteration count is no number")?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!(
                "it asks for {iterations} iterations, outside {ITERATIONS_MIN}..={ITERATIONS_MAX}"
            ));
        }
        let without_proof = format!("c={},r={nonce}", BASE64.encode(GS2_HEADER));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let salted = salted_password(self.hash, self.password.as_bytes(), &salt, iterations);
        let client_key = hmac(self.hash, &salted, &[b"Client Key"]);
        let stored_key = digest(self.hash, &client_key);
        let client_signature = hmac(self.hash, &stored_key, &[auth_message.as_bytes()]);
        let proof: Vec<u8> = client_key.iter().zip(&client_signature).map(|(a, b)| a ^ b).collect();
        let server_key = hmac(self.hash, &salted, &[b"Server Key"]);
        let server_signature = hmac(self.hash, &server_key, &[auth_message.as_bytes()]);
        self.state = State::ServerFinal { server_signature };
        Ok(Step::Send(format!("{without_proof},p={}", BASE64.encode(proof)).into()))
    }
}

/// `v=<signature>`: only who knows the password can have made it.
fn verify(server_final: &str, expected: &[u8]) -> Result<Step, String> {
    if let Ok(error) = attribute(server_final, 'e') {
        return Err(error.into());
    }
    let signature = BASE64.decode(attribute(server_final, 'v')?);
    if signature.is_ok_and(|signature| signature == expected) {
        Ok(Step::Done)
    } else {
        Err("its signature is wrong: it does not know the password".into())
    }
}

fn attribute(message: &str, name: char) -> Result<&str, String> {
    let mut parts = message.split(',');
    parts
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        .ok_or_else(|| format!("its message has no `{name}=`"))
}

/// PBKDF2 with one block, `Hi` in the RFC.
fn salted_password(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut last = hmac(hash, password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = last.clone();
    for _ in 1..iterations {
        last = hmac(hash, password, &[&last]);
        for (sum, byte) in sum.iter_mut().zip(&last) {
            *sum ^= byte;
        }
    }
    sum
}

fn digest(hash: ScramHash, data: &[u8]) -> Vec<u8> {
    match hash {
        ScramHash::Sha256 => Sha256::digest(data).to_vec(),
        ScramHash::Sha512 => Sha512::digest(data).to_vec(),
    }
}

fn hmac(hash: ScramHash, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    match hash {
        ScramHash::Sha256 => mac::<Hmac<Sha256>>(key, parts),
        ScramHash::Sha512 => mac::<Hmac<Sha512>>(key, parts),
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn example() -> Scram {
        Scram::new(ScramHash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    }

    #[test]
    fn the_example_of_rfc_7677_comes_out_as_printed() {
        let mut scram = example();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(scram.next(SERVER_FIRST), Ok(Step::Send(expected.into())));
        let server_final = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(scram.next(server_final), Ok(Step::Done));
    }

    #[test]
    fn a_broker_that_does_not_know_the_password_is_refused() {
        let mut scram = example();
        scram.next(SERVER_FIRST).unwrap();
        let error = scram.next(b"v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap_err();
        assert!(error.contains("does not know the password"), "{error}");
    }

    #[test]
    fn a_weak_or_replayed_challenge_is_refused() {
        for (challenge, why) in [
            (&b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"[..], "iterations"),
            (b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
            (b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
            (b"nonsense", "no `r=`"),
        ] {
            let error = example().next(challenge).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
