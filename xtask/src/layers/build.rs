//! The benchmarks of a tree, built and run; the tree of another commit beside ours.
//!
//! In: a repository, a commit. Out: what each benchmark printed, as times. The other tree is below `target` and goes when it is no
//! longer needed; what was built of it stays, because its dependencies are built for minutes.
//! Never: a change of the working tree.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use testkit::{Failure, Result};
use tokio::process::Command;

use super::printed::{Timed, leaves};
use crate::output::narrate;

/// The full name of a commit.
pub(crate) async fn resolve(root: &Path, commit: &str) -> Result<String> {
    let named = format!("{commit}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--end-of-options", &named];
    let resolved = output(Command::new("git").args(arguments).current_dir(root)).await;
    let resolved = resolved.map_err(|failure| failure.during(format!("commit `{commit}`")))?;
    Ok(resolved.trim().to_owned())
}

/// Another commit, checked out beside ours as long as this is there.
pub(crate) struct Worktree {
    root: PathBuf,
    folder: PathBuf,
    target: PathBuf,
}

impl Worktree {
    pub(crate) async fn add(root: &Path, commit: &str) -> Result<Self> {
        let below = root.join("target/layers");
        let worktree = Self {
            root: root.to_owned(),
            folder: below.join("base"),
            target: below.join("target"),
        };
        // What a call left that was killed.
        worktree.remove();
        let mut add = Command::new("git");
        add.args(["worktree", "add", "--detach", "--force", "--quiet"]);
        output(add.arg(&worktree.folder).arg(commit).current_dir(root)).await?;
        Ok(worktree)
    }

    /// In a folder of its own: crates of both trees have the same names, and cargo would take one for the other.
    pub(crate) async fn build(&self) -> Result<Benches> {
        Benches::build(&self.folder, &self.target).await
    }

    fn remove(&self) {
        let mut remove = std::process::Command::new("git");
        remove.args(["worktree", "remove", "--force"]).arg(&self.folder).current_dir(&self.root);
        // It is not there most of the time.
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The programs of one tree, by name.
pub(crate) struct Benches {
    programs: Vec<PathBuf>,
}

impl Benches {
    /// Builds every benchmark that the tree has.
    pub(crate) async fn build(tree: &Path, target: &Path) -> Result<Self> {
        let mut metadata = cargo(tree, target);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let targets = bench_targets(&serde_json::from_str(&output(&mut metadata).await?)?);
        if targets.is_empty() {
            return Ok(Self { programs: Vec::new() });
        }
        narrate(&format!("builds the benchmarks of {}", tree.display()));
        let mut build = cargo(tree, target);
        build.args(["bench", "--no-run", "--message-format", "json-render-diagnostics"]);
        for (package, bench) in &targets {
            build.args(["--package", package, "--bench", bench]);
        }
        let mut programs = programs(&output(build.stderr(Stdio::inherit())).await?)?;
        programs.sort();
        if programs.len() == targets.len() {
            return Ok(Self { programs });
        }
        Err(Failure::new(format!(
            "{} benchmarks came to {} programs",
            targets.len(),
            programs.len()
        )))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Runs all of them once.
    pub(crate) async fn run(&self) -> Result<Vec<Timed>> {
        let mut timed = Vec::new();
        for program in &self.programs {
            let printed =
                output(Command::new(program).args(["--bench", "--color", "never"])).await?;
            let leaves = leaves(&printed).map_err(Failure::new);
            timed.extend(leaves.map_err(|failure| failure.during(program.display()))?);
        }
        Ok(timed)
    }
}

fn cargo(tree: &Path, target: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(tree).env("CARGO_TARGET_DIR", target);
    command
}

/// Package and name of each benchmark.
fn bench_targets(metadata: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten() {
            if is_bench(target)
                && let (Some(package), Some(bench)) =
                    (package["name"].as_str(), target["name"].as_str())
            {
                found.push((package.to_owned(), bench.to_owned()));
            }
        }
    }
    found
}

/// What cargo built, of what it says of its work.
fn programs(messages: &str) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for message in messages.lines() {
        let message: Value = serde_json::from_str(message)?;
        if is_bench(&message["target"]) {
            programs.extend(message["executable"].as_str().map(PathBuf::from));
        }
    }
    Ok(programs)
}

fn is_bench(target: &Value) -> bool {
    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bench"))
}

/// Standard output of a command that has to succeed.
async fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    Err(Failure::new(format!("{program}: {}: {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn benchmarks_are_found_among_other_targets() {
        let metadata = json!({ "packages": [
            { "name": "envelope", "targets": [
                { "name": "envelope", "kind": ["lib"] },
                { "name": "encode", "kind": ["bench"] },
            ] },
            { "name": "cli", "targets": [{ "name": "tributary", "kind": ["bin"] }] },
        ] });
        assert_eq!(bench_targets(&metadata), [("envelope".to_owned(), "encode".to_owned())]);
        assert!(bench_targets(&json!({})).is_empty());
    }

    #[test]
    fn the_programs_are_those_of_benchmarks() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bench"]},"executable":"/t/encode-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(programs(messages).unwrap(), [PathBuf::from("/t/encode-1")]);
    }
}
