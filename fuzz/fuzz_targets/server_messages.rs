//! Runs [`fuzzed::server_messages`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::server_messages(bytes));
