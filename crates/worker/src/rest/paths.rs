//! Files and variables of this machine that configurations may name.
//!
//! In: a configuration of a request, what the worker was started with. Out: nothing, or the first key that names something else.
//! Who may use the API may not therefore read the files of the worker's machine, or have them written.
//! Never: a file looked into; only where a path leads is asked.

use std::path::{Component, Path, PathBuf};

use super::error::ApiError;
use crate::wanted::Config;

/// What `--allow-path` and `--allow-env` say.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Folders; everything below may be named.
    pub paths: Vec<PathBuf>,
    /// Variables of the process; a `*` at the end stands for anything.
    pub variables: Vec<String>,
}

/// Options of URLs and of libpq's keywords that name files.
const FILE_OPTIONS: [&str; 8] = [
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "passfile",
    "servicefile",
    "service",
];

impl Allowed {
    /// Looks at every key. What is `stored` already has been looked at, perhaps by a worker that allows more.
    pub(super) fn expect_all(
        &self,
        config: &Config,
        stored: Option<&Config>,
    ) -> Result<(), ApiError> {
        for (key, value) in config {
            if stored.and_then(|stored| stored.get(key)) != Some(value) {
                self.expect(key, value.trim())?;
            }
        }
        let channels = config.get("signal.enabled.channels").map_or("", String::as_str);
        let has_file_channel = channels.split(',').any(|channel| channel.trim() == "file");
        if has_file_channel && !config.contains_key("signal.file") {
            self.expect_path("signal.file", Path::new("file-signals.txt"))?;
        }
        Ok(())
    }

    fn expect(&self, key: &str, value: &str) -> Result<(), ApiError> {
        for (provider, rest) in references(value) {
            match provider {
                "env" => self.expect_variable(key, rest)?,
                "file" => {
                    let (path, _) = rest.rsplit_once(':').unwrap_or((rest, ""));
                    self.expect_path(key, Path::new(path))?;
                }
                "dir" | "directory" => {
                    let (path, name) = rest.rsplit_once(':').unwrap_or((rest, ""));
                    self.expect_path(key, &Path::new(path).join(name))?;
                }
                // The settings refuse what they do not know.
                _ => {}
            }
        }
        if names_a_path(key) && !value.is_empty() {
            self.expect_path(key, Path::new(value))?;
        }
        if let Some(path) = value.strip_prefix("file:") {
            self.expect_path(key, Path::new(path.trim_start_matches("//")))?;
        }
        for path in paths_in_options(value) {
            self.expect_path(key, Path::new(&path))?;
        }
        Ok(())
    }

    fn expect_path(&self, key: &str, path: &Path) -> Result<(), ApiError> {
        let is_allowed = leads_to(path).is_some_and(|path| {
            self.paths
                .iter()
                .filter_map(|allowed| allowed.canonicalize().ok())
                .any(|allowed| path.starts_with(allowed))
        });
        if is_allowed {
            return Ok(());
        }
        Err(ApiError::NotAllowed {
            key: key.to_owned(),
            what: format!("names the file or folder `{}` of the worker's machine", path.display()),
            fix: "give the content instead of the file, or start the worker with --allow-path and the folder it is in"
                .to_owned(),
        })
    }

    fn expect_variable(&self, key: &str, name: &str) -> Result<(), ApiError> {
        let matches = |allowed: &String| match allowed.strip_suffix('*') {
            Some(head) => name.starts_with(head),
            None => allowed == name,
        };
        if self.variables.iter().any(matches) {
            return Ok(());
        }
        Err(ApiError::NotAllowed {
            key: key.to_owned(),
            what: format!("names the variable `{name}` of the worker's environment"),
            fix: format!("start the worker with --allow-env {name}"),
        })
    }
}

/// Whether the value of a key is a path.
fn names_a_path(key: &str) -> bool {
    let ends = [
        ".location",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "signal.file",
        "tributary.spill.directory",
        ".file.path",
        ".token.file",
        "oauthbearer.token.endpoint.url",
    ];
    ends.iter().any(|end| key.ends_with(end))
}

/// Where a path leads, with links followed as far as there is something; `None` if that cannot be said for sure.
fn leads_to(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let mut there = path.to_path_buf();
    let mut missing = Vec::new();
    loop {
        match there.canonicalize() {
            Ok(found) => {
                return Some(missing.iter().rev().fold(found, |path, name| path.join(name)));
            }
            // A link that leads nowhere yet could lead anywhere later.
            Err(_) if there.symlink_metadata().is_ok() => return None,
            Err(_) => {
                missing.push(there.file_name()?.to_owned());
                there = there.parent()?.to_path_buf();
            }
        }
    }
}

/// `${provider:rest}`, as the settings read them.
fn references(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.match_indices("${").filter_map(|(at, begin)| {
        let (inner, _) = value[at + begin.len()..].split_once('}')?;
        inner.split_once(':')
    })
}

/// `postgres://h/d?sslkey=/path`, `host=h sslkey='/path'`.
fn paths_in_options(value: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let spaced = value.replace(" =", "=").replace("= ", "=");
    for option in spaced.split(['?', '&', ' ', '\t', '\n']) {
        if let Some((name, path)) = option.split_once('=')
            && FILE_OPTIONS.contains(&decoded(name).to_ascii_lowercase().as_str())
            && !path.is_empty()
        {
            paths.push(decoded(path.trim_matches('\'')));
        }
    }
    paths
}

/// `%2F` -> `/`.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(key: &str, value: &str) -> Config {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn what_is_of_this_machine_is_refused() {
        let nothing = Allowed::default();
        for (key, value) in [
            ("database.sslkey", "/etc/hostname"),
            ("database.sslcert", "/etc/hostname"),
            ("database.sslrootcert", "relative.pem"),
            ("ssl.truststore.location", "/etc/hostname"),
            ("producer.override.ssl.keystore.location", "/etc/hostname"),
            ("signal.file", "/tmp/signals"),
            ("signal.enabled.channels", "source,file"),
            ("tributary.spill.directory", "/tmp"),
            ("topic.prefix", "${file:/etc/passwd:root}"),
            ("topic.prefix", "a${dir:/etc:hostname}b"),
            ("database.password", "${env:HOME}"),
            ("sasl.oauthbearer.token.endpoint.url", "file:///etc/hostname"),
            ("tributary.source.url", "postgres://h/d?sslkey=/etc/hostname"),
            ("tributary.source.url", "postgres://h/d?ssl%6Bey=%2Fetc%2Fhostname"),
            ("tributary.source.url", "host=h sslrootcert = '/etc/hostname'"),
            ("tributary.source.url", "host=h passfile=/root/.pgpass"),
        ] {
            let refused = nothing.expect_all(&config(key, value), None);
            assert!(matches!(refused, Err(ApiError::NotAllowed { .. })), "{key}={value}");
        }
    }

    #[test]
    fn what_is_allowed_passes_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("in");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("key.pem"), "").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", inside.join("link")).unwrap();
        let allowed = Allowed {
            paths: vec![inside.clone()],
            variables: vec!["DB_*".to_owned(), "ONE".to_owned()],
        };
        let passes = |key: &str, value: &str| allowed.expect_all(&config(key, value), None).is_ok();
        let at = |name: &str| inside.join(name).display().to_string();
        assert!(passes("database.sslkey", &at("key.pem")));
        assert!(passes("signal.file", &at("not-yet")));
        assert!(passes("topic.prefix", &format!("${{file:{}:key}}", at("key.pem"))));
        assert!(passes("database.password", "${env:DB_PASSWORD}"));
        assert!(passes("database.password", "${env:ONE}"));
        assert!(!passes("database.password", "${env:ONES}"));
        assert!(!passes("database.sslkey", &at("link")));
        assert!(!passes("database.sslkey", &at("../key.pem")));
        assert!(!passes("database.sslkey", &at("../../etc/hostname")));
        assert!(!passes("database.sslkey", &format!("{}x/key", inside.display())));
    }

    #[test]
    fn ordinary_values_pass() {
        let nothing = Allowed::default();
        for (key, value) in [
            ("table.include.list", "public.a,public.b"),
            ("tributary.source.url", "postgres://u:p@h/d?sslmode=require"),
            ("database.password", "$x{y}"),
            ("slot.name", "a"),
        ] {
            assert!(nothing.expect_all(&config(key, value), None).is_ok(), "{key}={value}");
        }
    }
}
