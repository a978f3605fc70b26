//! Any messages in any order: steps or an error, and what the steps tell is numbered without gaps.
//!
//! In: records of `u8` position step · `u8` length · message, until the bytes end.
//! Run: `cargo +nightly fuzz run assemble`, from the folder above `fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgoutput::{Assembler, Lsn, Step};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let mut assembler = Assembler::new();
    let (mut lsn, mut expected) = (0, 0);
    while let [step, length, tail @ ..] = rest {
        lsn += u64::from(*step);
        let Some((payload, tail)) = tail.split_at_checked(usize::from(*length)) else { return };
        rest = tail;
        let Ok(message) = pgoutput::decode(payload, false) else { return };
        match assembler.push(Lsn::new(lsn), message) {
            Ok(Step::Begin(_)) => expected = 0,
            Ok(Step::Change(change)) if change.xid.is_some() => {
                assert_eq!(change.ordinal, expected);
                expected += 1;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
});
