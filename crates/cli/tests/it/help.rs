//! What `--help` says is what people build on.

use insta::assert_snapshot;

use crate::{stdout, tributary};

#[test]
fn help_of_the_program() {
    assert_snapshot!(stdout(&tributary(&["--help"])));
}

#[test]
fn help_of_each_command() {
    for command in ["run", "check", "tail", "dev", "explain"] {
        assert_snapshot!(format!("help_{command}"), stdout(&tributary(&[command, "--help"])));
    }
}

#[test]
fn the_version_is_one_line() {
    let version = stdout(&tributary(&["--version"]));
    assert_eq!(version, format!("tributary {}\n", env!("CARGO_PKG_VERSION")));
}
