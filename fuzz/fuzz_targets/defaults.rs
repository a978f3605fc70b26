//! Runs [`fuzzed::defaults`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::defaults(bytes));
