//! Runs [`fuzzed::assemble`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::assemble(bytes));
