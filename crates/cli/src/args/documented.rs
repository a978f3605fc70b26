//! Every command, flag and setting that the guides name is one there is.
//!
//! In: README.md, docs/guides, examples. Out: what of them the parser of the command line, or that of the settings, does not know.
//! Never: a command that runs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use connector::settings::{Environment, Settings};
use connector::spec::Spec;

use super::Arguments;

/// Flags of other programs that stand alone in a guide.
const FLAGS_OF_OTHERS: [&str; 6] =
    ["--compaction", "--debug", "--except", "--pause-ms", "--seed", "--writers"];
/// The headers of records in a topic of their own are called like settings; this page names them.
const PAGE_OF_HEADERS: &str = "oversized.md";
/// What settings begin with; other words with dots are tables, files and settings of others.
const FAMILIES: [&str; 14] = [
    "bootstrap",
    "column",
    "database",
    "notification",
    "producer",
    "publication",
    "sasl",
    "security",
    "signal",
    "slot",
    "snapshot",
    "ssl",
    "topic",
    "tributary",
];
const EXTENSIONS: [&str; 8] = ["json", "md", "pem", "properties", "rs", "service", "sh", "yaml"];

fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("README.md")];
    for folder in ["docs/guides", "examples/systemd", "examples/container", "examples/monitoring"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        paths.extend(entries.map(|entry| entry.unwrap().path()));
    }
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The text inside of fences and outside.
fn blocks_and_rest(text: &str) -> (Vec<String>, String) {
    let parts = text.split("```").enumerate();
    let (blocks, rest): (Vec<_>, Vec<_>) = parts.partition(|(index, _)| index % 2 == 1);
    let blocks = blocks.into_iter().map(|(_, block)| block.replace("\\\n", " ")).collect();
    (blocks, rest.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join("\n"))
}

/// Words as a shell splits them, up to what ends a command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_word) = (Vec::new(), String::new(), None, false);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.push(letter),
            (None, '\'' | '"') => (quote, is_word) = (Some(letter), true),
            (None, '|' | '>' | '&' | ';') => break,
            (None, '#') if !is_word => break,
            (None, ' ' | '\t') => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, _) => {
                word.push(letter);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// The commands of a block: what stands behind `tributary` where that is a command and no part of a path or an argument.
fn commands(block: &str) -> Vec<Vec<String>> {
    let is_ours = |word: &String| word == "tributary" || word.ends_with("/bin/tributary");
    // What a shell is given as a text is a command as well.
    let lines = block.lines().flat_map(|line| line.split(" && exec "));
    let pieces = lines.flat_map(|line| line.split(" | "));
    let commands = pieces.filter_map(|line| {
        let words = words(line.trim_end_matches('\''));
        let at = words.iter().position(is_ours)?;
        let before = &words[..at];
        let may_precede = |word: &String| {
            word.contains('=') || word.ends_with(':') || ["heroku", "run"].contains(&word.as_str())
        };
        before.iter().all(may_precede).then(|| words[at..].to_vec())
    });
    commands.collect()
}

/// What the shell or the reader puts in place of a variable or of `…` is of the right form.
fn filled(word: &str) -> String {
    word.replace("$PORT", "8083").replace('…', "x")
}

#[test]
fn every_command_of_the_guides_can_be_typed() {
    let mut count = 0;
    for (path, text) in pages() {
        let unit = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let (mut blocks, _) = blocks_and_rest(&text);
        blocks.extend(unit.map(str::to_owned));
        for command in blocks.iter().flat_map(|block| commands(block)) {
            let words = command.iter().map(|word| filled(word));
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("{}: {}\n{error}", path.display(), command.join(" "));
            }
            count += 1;
        }
    }
    assert!(count > 20, "only {count} commands were found");
}

/// Codes inside of the text: `like this`.
fn spans(rest: &str) -> Vec<&str> {
    rest.split('`').enumerate().filter(|(index, _)| index % 2 == 1).map(|(_, span)| span).collect()
}

fn flags_of(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long());
    let own = own.map(|long| format!("--{long}"));
    own.chain(command.get_subcommands().flat_map(flags_of)).collect()
}

#[test]
fn every_verb_and_flag_of_the_guides_is_there() {
    let program = Arguments::command();
    let all = flags_of(&program);
    let global = ["--output", "--log-format", "--help", "--version"];
    for (path, text) in pages() {
        let (_, rest) = blocks_and_rest(&text);
        for span in spans(&rest) {
            let flags = span.split([' ', '=']).filter(|word| word.starts_with("--"));
            let Some(typed) = span.strip_prefix("tributary ") else {
                for flag in flags.filter(|_| span.starts_with("--")) {
                    let is_known = all.iter().any(|known| known == flag)
                        || global.contains(&flag)
                        || FLAGS_OF_OTHERS.contains(&flag);
                    assert!(is_known, "{}: `{span}`: there is no {flag}", path.display());
                }
                continue;
            };
            let verb = typed.split(' ').next().unwrap_or_default();
            let command = program.find_subcommand(verb);
            let command = command.unwrap_or_else(|| panic!("{}: `{span}`", path.display()));
            let known = flags_of(command);
            for flag in flags {
                let is_known = known.iter().any(|known| known == flag) || global.contains(&flag);
                assert!(is_known, "{}: `{span}`: `{verb}` has no {flag}", path.display());
            }
        }
    }
}

/// Whether somebody would say of a key that it is unknown.
fn is_unknown(key: &str) -> bool {
    let config = [("bootstrap.servers", "h:9092"), (key, "x")];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let resolved = Settings::resolve_store(&Spec { name: None, config }, &Environment::default());
    resolved.is_err_and(|invalid| {
        invalid.problems.iter().any(|problem| problem.code == "CF001" && problem.key == key)
    })
}

/// Names of headers that look like settings.
const HEADERS: [&str; 2] = ["tributary.context", "tributary.event.id"];

#[test]
fn every_setting_of_the_guides_is_known() {
    assert!(
        is_unknown("tributary.nothing") && is_unknown("ssl.nothing") && !is_unknown("slot.name")
    );
    let mut count = 0;
    for (path, text) in pages().into_iter().filter(|(path, _)| !path.ends_with(PAGE_OF_HEADERS)) {
        let (blocks, rest) = blocks_and_rest(&text);
        let set = blocks.iter().flat_map(|block| commands(block)).flatten();
        let keys = spans(&rest).into_iter().map(str::to_owned).chain(set);
        let keys = keys.filter_map(|span| setting(&span));
        for key in keys.filter(|key| !HEADERS.contains(&key.as_str())) {
            assert!(!is_unknown(&key), "{}: there is no setting `{key}`", path.display());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} settings were found");
}

/// The key, if it is one of ours or of Kafka's client: `slot.name`, `slot.name=x`.
fn setting(span: &str) -> Option<String> {
    let key = span.split('=').next()?;
    let (family, _) = key.split_once('.')?;
    let is_key = key
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '.');
    let extension = key.rsplit('.').next()?;
    (is_key && FAMILIES.contains(&family) && !EXTENSIONS.contains(&extension))
        .then(|| key.to_owned())
}
