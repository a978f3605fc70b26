//! The disk on which large transactions wait is full, until somebody makes room.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::connector::{ConnectorProcess, binary};
use testkit::faults::{ITEM, expect_each_once, silence};
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Failure, Result};

const ROWS: i64 = 6000;

/// How room is short, and how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Short {
    /// A file system of its own, of a megabyte: `ENOSPC`. It takes namespaces, which not every system gives.
    Disk,
    /// No file may have more than a megabyte: `EFBIG`.
    FileSize,
}

impl Short {
    /// What starts the connector, without another process in front of it.
    fn starter(self, folder: &Path, spill: &Path) -> Result<PathBuf> {
        let (binary, spill) = (binary()?, spill.display());
        let binary = binary.display();
        let script = match self {
            Self::Disk => format!(
                "exec unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=1m tmpfs \"{spill}\" && exec \"{binary}\" \"$@\"' sh \"$@\""
            ),
            // In units of 512 bytes, and without the signal that ends a process at the limit.
            Self::FileSize => format!("trap '' XFSZ\nulimit -S -f 2048\nexec \"{binary}\" \"$@\""),
        };
        let path = folder.join("start");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
        Ok(path)
    }

    fn make_room(self, process: &ConnectorProcess, spill: &Path) -> Result<()> {
        let id = process.id().map(|id| id.to_string()).unwrap_or_default();
        let spill = spill.to_string_lossy();
        match self {
            Self::Disk => run(
                "nsenter",
                &["--target", &id, "--user", "--mount", "mount", "-o", "remount,size=64m", &spill],
            ),
            Self::FileSize => run("prlimit", &["--pid", &id, "--fsize=unlimited"]),
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{program} {}: {text}", arguments.join(" "))))
}

/// Says so, tries again, loses nothing: once there is room, each row arrives once, in order.
async fn goes_on_once_there_is_room(short: Short, label: &str) -> Result<()> {
    let database = Stack::shared()?.database(label).await?;
    let name = database.name();
    let session = database.with(ITEM).await?;
    session
        .run(&format!("alter database \"{name}\" set logical_decoding_work_mem = '64kB'"))
        .await?;
    let (starter, spill) = (TempDir::new()?, TempDir::new()?);
    let connector = database
        .connector()?
        .started_by(short.starter(starter.path(), spill.path())?)
        .set("tributary.spill.directory", &spill.path().to_string_lossy());
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1, 'before')").await?;
    database.sync().await?;
    // Hexadecimal digits at random do not get smaller than half.
    session
        .run(&format!(
            "insert into item select i, (select string_agg(md5(i || '-' || j), '') from generate_series(1, 20) j) from generate_series(2, {ROWS}) i"
        ))
        .await?;
    eventually("it tries again and again", DEADLINE, async || {
        process.expect_running()?;
        let told = process.log().matches("[CO052]").count();
        Ok(Seen::when(told >= 2, || process.log_end()))
    })
    .await?;
    let log = process.log();
    assert!(log.contains(&*spill.path().to_string_lossy()) && log.contains("make room"), "{log}");
    let arrived = database.tail("public.item")?.to_end(DEADLINE).await?;
    assert_eq!(arrived.len(), 1, "a transaction is there whole or not at all");
    short.make_room(&process, spill.path())?;
    silence(&database, &format!("spill folder full ({short:?})")).await?;
    expect_each_once(&database, ROWS).await?;
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_limit_on_files_ends_in_attempts_until_there_is_room() -> Result<()> {
    goes_on_once_there_is_room(Short::FileSize, "spilllimit").await
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "what could not be tested has to be seen")]
async fn a_full_disk_ends_in_attempts_until_there_is_room() -> Result<()> {
    if let Err(refused) = run("unshare", &["--user", "--map-root-user", "--mount", "true"]) {
        eprintln!("skipped, this system gives no namespaces: {refused}");
        return Ok(());
    }
    goes_on_once_there_is_room(Short::Disk, "spilldisk").await
}
