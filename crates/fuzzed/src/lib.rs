//! What is done with arbitrary bytes to find out whether a parser holds: one function for each parser of bytes we did not write.
//!
//! In: any bytes. Out: nothing, or a panic when the parser breaks its promise: it is total, it ends, what it writes is whole.
//! The fuzzers in `fuzz/` call these functions, and so does the test that replays everything they have found.
//! Never: a server, a file that the input names, anything that depends on more than the input.
//! Source: `docs/guides/fuzzing.md`.

mod config;
mod stream;
mod values;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the fuzzer, and of the folder below `fuzz/corpus`.
    pub name: &'static str,
    /// Does with the bytes what the product would.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident => $run:path;)*) => {
        /// Every parser.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $run }),*];

        $(
            #[doc = concat!("`", stringify!($run), "`, with these bytes.")]
            pub fn $name(bytes: &[u8]) {
                $run(bytes);
            }
        )*
    };
}

targets! {
    decode => stream::decode;
    assemble => stream::assemble;
    streams => stream::streams;
    wal_frames => postgres::fuzzing::frames;
    batch_rows => postgres::fuzzing::batch;
    server_messages => postgres::fuzzing::messages;
    spill_blocks => connector::fuzzing::spill_blocks;
    spill_records => connector::fuzzing::spill_records;
    copy_text => values::copy_text;
    types => values::types;
    defaults => values::defaults;
    connector_json => config::connector_json;
    setting => config::setting;
    pattern => connector::fuzzing::pattern;
    properties_file => connector::fuzzing::properties_file;
    postgres_url => config::postgres_url;
    kafka_properties => config::kafka_properties;
    checkpoint => connector::fuzzing::checkpoint;
    signal => connector::fuzzing::signal;
    event => connector::fuzzing::event;
    record_batches => kafka::fuzzing::batches;
    answers => kafka::fuzzing::answers;
    scram => kafka::fuzzing::scram;
}
