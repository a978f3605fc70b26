//! Which `tributary` is under test, and how it is built.
//!
//! In: a profile. Out: the path of an up-to-date binary. The one of the tests and the one of chaos have failpoints; the release
//! binary, which is measured, has none.
//! Never: two binaries under test in one process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Failure, Result};

static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();

/// The binary under test: the one given to [`use_binary`], else that of this build's profile, brought up to date first.
pub fn binary() -> Result<PathBuf> {
    let release = !cfg!(debug_assertions);
    let found = BINARY.get_or_init(|| build(release).map_err(|failure| failure.to_string()));
    found.clone().map_err(Failure::new)
}

/// Decides which binary is under test. Only the first decision counts, so a second one is an error.
pub fn use_binary(path: PathBuf) -> Result<()> {
    let refused = BINARY.set(Ok(path)).is_err();
    if refused {
        return Err(Failure::new("another binary is under test already"));
    }
    Ok(())
}

/// Builds the binary and returns its path: optimised as users get it, or unoptimised with failpoints. `TRIBUTARY_BIN` names
/// another one and skips the build.
pub fn build(release: bool) -> Result<PathBuf> {
    if release {
        cargo_build("release", &["--release"])
    } else {
        cargo_build("debug", &["--features", "failpoints"])
    }
}

/// Builds an optimised binary with failpoints, in a folder of its own.
pub fn build_for_chaos() -> Result<PathBuf> {
    cargo_build("chaos", &["--profile", "chaos", "--features", "failpoints"])
}

fn cargo_build(folder: &str, arguments: &[&str]) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TRIBUTARY_BIN") {
        return Ok(PathBuf::from(path));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(&workspace).args(["build", "--quiet", "--package", "cli"]).args(arguments);
    let output = command.output()?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "cargo build --package cli failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    Ok(target.join(folder).join("tributary"))
}
