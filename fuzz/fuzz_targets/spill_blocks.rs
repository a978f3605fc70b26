//! Runs [`fuzzed::spill_blocks`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::spill_blocks(bytes));
