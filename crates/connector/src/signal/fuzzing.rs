//! Signals of arbitrary bytes. For fuzzers.

use super::outside;
use super::{Action, Signal};

/// See [`crate::fuzzing::signal`].
pub(crate) fn signal(bytes: &[u8]) {
    for signal in outside::fuzzing::signals(bytes) {
        understand(&signal);
    }
    let text = String::from_utf8_lossy(bytes);
    for kind in ["log", "execute-snapshot", "stop-snapshot", "pause-snapshot"] {
        let (id, data) = ("1".to_owned(), text.clone().into_owned());
        understand(&Signal { id, kind: kind.to_owned(), data });
    }
}

fn understand(signal: &Signal) {
    let mut unknown = Vec::new();
    match Action::parse(signal, &mut unknown) {
        Ok(Action::Execute(execute)) => assert!(!execute.tables.is_empty()),
        Ok(_) => {}
        Err(why) => assert!(!why.is_empty()),
    }
}
