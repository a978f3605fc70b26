//! Runs [`fuzzed::spill_records`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::spill_records(bytes));
