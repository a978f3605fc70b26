//! What `--help` says is what people build on.

use insta::assert_snapshot;

use crate::{stdout, tributary};

#[test]
fn help_of_the_program() {
    assert_snapshot!(stdout(&tributary(&["--help"])));
}

#[test]
fn help_of_each_command() {
    let commands = [
        "run",
        "worker",
        "create",
        "list",
        "info",
        "wait",
        "update",
        "pause",
        "resume",
        "stop",
        "restart",
        "destroy",
        "offsets",
        "logs",
        "topics",
        "plan",
        "apply",
        "alter-key",
        "completions",
        "check",
        "verify",
        "snapshot",
        "tail",
        "dev",
        "explain",
    ];
    for command in commands {
        assert_snapshot!(format!("help_{command}"), stdout(&tributary(&[command, "--help"])));
    }
}

#[test]
fn the_version_is_one_line() {
    let version = stdout(&tributary(&["--version"]));
    assert_eq!(version, format!("tributary {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_are_of_the_commands_there_are() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&tributary(&["completions", shell]));
        assert!(script.contains("alter-key") && script.contains("tributary"), "{shell}: {script}");
    }
}
