//! The users of a worker, from a file with one line each.
//!
//! Shape of a line: `NAME ROLE SECRET`. The secret is a password as argon2 writes it (`$argon2id$…`), for basic authentication, or
//! `sha256:HEX`, the digest of a bearer token. `#` begins a comment. A name may have several lines.
//! In: the file, headers of requests. Out: who asks. Never: a password or token kept, or compared in a time that tells something of it.
//! Source: RFC 7617 (basic), RFC 6750 (bearer), PHC string format.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordVerifier};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{Caller, Role};

/// Passwords that are looked at side by side: each takes 19 MiB and a core for some ten milliseconds.
const PASSWORDS_AT_ONCE: usize = 2;
/// Passwords that were right and need not be looked at again.
const KNOWN_MAX: usize = 1000;
/// A token is compared by a digest that is fast to try: it has to be too long to be guessed.
const TOKEN_MIN: usize = 32;

/// The users of a worker.
#[derive(Clone)]
pub struct Users(Arc<Known>);

struct Known {
    lines: Vec<Line>,
    passwords: Arc<Semaphore>,
    /// Digests of credentials that were right, with a key of this process's own.
    right: Mutex<HashMap<[u8; 32], Caller>>,
    key: [u8; 32],
}

#[derive(Clone)]
struct Line {
    name: String,
    role: Role,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Password(String),
    Token([u8; 32]),
}

/// Why the file of users cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read.
    #[error("[WK031] the users in `{path}` cannot be read: name a file that this process may read with --auth-file", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A line is none.
    #[error("[WK031] line {line} of `{path}` {why}: write `NAME read|operate|admin $argon2id$…` or `NAME ROLE sha256:HEX`", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody could get in.
    #[error("[WK031] `{path}` names no user: write one line at least, `NAME admin sha256:HEX`", path = path.display())]
    Nobody {
        /// The file.
        path: PathBuf,
    },
}

impl Users {
    /// Reads the file.
    ///
    /// Errors: [`UsersError`].
    pub fn read(path: &Path) -> Result<Self, UsersError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| UsersError::Read { path: path.to_owned(), cause })?;
        let mut lines = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let refuse = |why| UsersError::Line { path: path.to_owned(), line: index + 1, why };
            lines.push(line(text).map_err(refuse)?);
        }
        if lines.is_empty() {
            return Err(UsersError::Nobody { path: path.to_owned() });
        }
        Ok(Self(Arc::new(Known {
            lines,
            passwords: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
            right: Mutex::default(),
            key: rand::random(),
        })))
    }

    /// Who a request comes from.
    pub(super) async fn find(&self, headers: &HeaderMap) -> Option<Caller> {
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
        let (scheme, rest) = given.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.of_token(rest);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        // Tools that only know basic authentication may send a token as the password.
        if let Some(caller) = self.of_token(password).filter(|caller| caller.name == name) {
            return Some(caller);
        }
        self.of_password(name, password).await
    }

    fn of_token(&self, token: &str) -> Option<Caller> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for line in &self.0.lines {
            // Every line is compared, and each in the same time.
            if let Secret::Token(known) = &line.secret
                && is_same(known, &digest)
                && token.len() >= TOKEN_MIN
            {
                found = Some(line.caller());
            }
        }
        found
    }

    async fn of_password(&self, name: &str, password: &str) -> Option<Caller> {
        let digest = self.digest(name, password);
        let right =
            self.0.right.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if right.is_some() {
            return right;
        }
        let of_name = |line: &&Line| line.name == name;
        let lines: Vec<Line> = self.0.lines.iter().filter(of_name).cloned().collect();
        let password = password.to_owned();
        let _turn = Arc::clone(&self.0.passwords).acquire_owned().await.ok()?;
        let looked = tokio::task::spawn_blocking(move || verified(&lines, &password)).await;
        let caller = looked.ok().flatten()?;
        let mut right = self.0.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= KNOWN_MAX {
            right.clear();
        }
        right.insert(digest, caller.clone());
        Some(caller)
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.0.key);
        digest.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(name);
        digest.update(password);
        digest.finalize().into()
    }
}

impl Line {
    fn caller(&self) -> Caller {
        Caller { name: self.name.clone(), role: self.role }
    }
}

fn verified(lines: &[Line], password: &str) -> Option<Caller> {
    let mut found = None;
    let mut looked = false;
    for line in lines {
        if let Secret::Password(hash) = &line.secret
            && let Ok(hash) = PasswordHash::new(hash)
        {
            looked = true;
            if Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() {
                found = Some(line.caller());
            }
        }
    }
    if !looked {
        // A name nobody has takes as long, so that names cannot be found out.
        let mut nothing = [0; 32];
        let _ = Argon2::default().hash_password_into(
            password.as_bytes(),
            b"nobody's salt",
            &mut nothing,
        );
    }
    found
}

fn line(text: &str) -> Result<Line, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [name, role, secret] = fields[..] else {
        return Err(format!("has {} fields and not three", fields.len()));
    };
    if name.contains(':') {
        return Err("has a name with a colon, which basic authentication cannot send".to_owned());
    }
    let role = match role {
        "read" => Role::Read,
        "operate" => Role::Operate,
        "admin" => Role::Admin,
        other => return Err(format!("has the role `{other}`")),
    };
    let secret = if let Some(digest) = secret.strip_prefix("sha256:") {
        let digest = hex::decode(digest).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Secret::Token(digest.ok_or("has a digest that is not 64 hexadecimal digits")?)
    } else if secret.starts_with("$argon2") && PasswordHash::new(secret).is_ok() {
        Secret::Password(secret.to_owned())
    } else {
        // What stands there may be a password in clear.
        return Err("has a secret that is neither `$argon2id$…` nor `sha256:…`".to_owned());
    };
    Ok(Line { name: name.to_owned(), role, secret })
}

/// Whether two digests are the same, in a time that does not tell where they differ.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn users(text: &str) -> Result<Users, UsersError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Users::read(file.path())
    }

    fn headers(value: &str) -> HeaderMap {
        [(header::AUTHORIZATION, value.parse().unwrap())].into_iter().collect()
    }

    fn basic(name: &str, password: &str) -> HeaderMap {
        headers(&format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    fn hash(password: &str) -> String {
        use argon2::password_hash::{PasswordHasher, SaltString};
        let salt = SaltString::encode_b64(b"0123456789abcdef").unwrap();
        Argon2::default().hash_password(password.as_bytes(), &salt).unwrap().to_string()
    }

    #[tokio::test]
    async fn tokens_and_passwords_are_known_and_nothing_else_is() {
        let digest = hex::encode(Sha256::digest(TOKEN));
        let text =
            format!("# people\nann admin {}\n\nrobot read sha256:{digest}\n", hash("pass word:1"));
        let users = users(&text).unwrap();
        let name = async |headers: HeaderMap| users.find(&headers).await.map(|caller| caller.name);
        assert_eq!(name(basic("ann", "pass word:1")).await.as_deref(), Some("ann"));
        assert_eq!(name(basic("ann", "pass word:1")).await.as_deref(), Some("ann"), "again");
        assert_eq!(name(headers(&format!("Bearer {TOKEN}"))).await.as_deref(), Some("robot"));
        assert_eq!(name(basic("robot", TOKEN)).await.as_deref(), Some("robot"));
        for wrong in [
            basic("ann", "pass word:2"),
            basic("ann", ""),
            basic("bob", "pass word:1"),
            basic("ann", TOKEN),
            headers("Bearer pass word:1"),
            headers("Bearer"),
            headers("Digest x"),
            headers("Basic %%%"),
            HeaderMap::new(),
        ] {
            assert_eq!(name(wrong.clone()).await, None, "{wrong:?}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_refused_without_its_secret() {
        for text in [
            "ann admin password-in-clear",
            "ann boss sha256:00",
            "ann admin sha256:00",
            "ann admin",
            "a:b admin sha256:00",
            "# nobody",
        ] {
            let refused = users(text).err().unwrap().to_string();
            assert!(refused.starts_with("[WK031]"), "{refused}");
            assert!(!refused.contains("password-in-clear"), "{refused}");
        }
    }
}
