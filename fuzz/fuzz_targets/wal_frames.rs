//! Runs [`fuzzed::wal_frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::wal_frames(bytes));
