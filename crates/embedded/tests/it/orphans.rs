//! No server outlives the process that started it, however that process ends.

use crate::{
    child::{Act, Running},
    wait,
};

/// Method: a child starts both servers with its own folder for temporary files, then gets SIGKILL.
#[test]
fn servers_and_their_folders_are_gone_after_sigkill_of_the_process_that_holds_them() {
    let temporary = tempfile::Builder::new().prefix("orphans-").tempdir_in("/tmp").unwrap();
    make_enterable(temporary.path());
    let folder = temporary.path().to_str().unwrap();
    let mut holder = Running::start(Act::HoldBoth, &[("TMPDIR", Some(folder))]);
    let said = holder.said();
    let mut words = said.split(' ');
    let pids = [words.next().unwrap(), words.next().unwrap()].map(|pid| pid.parse().unwrap());
    assert!(pids.into_iter().all(wait::is_alive), "{said}");
    assert!(words.next().unwrap().starts_with(folder), "{said}");

    holder.process.kill().unwrap();
    holder.process.wait().unwrap();

    wait::until("both servers have ended", || !pids.into_iter().any(wait::is_alive));
    wait::until("their folders are gone", || wait::entries(temporary.path()) == 0);
}

fn make_enterable(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o1777)).unwrap();
}
