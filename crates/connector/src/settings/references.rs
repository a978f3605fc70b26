//! Values that stand elsewhere: `${env:NAME}`, `${file:/path/to.properties:key}`, `${dir:/path:file}`.
//!
//! In: the config map as it was typed. Out: the same with every reference replaced, so that no secret has to stand in it. A reference may be
//! a part of a value, and a value may have several.
//! Never: what a reference led to in a problem. It may be a password.
//! Source: Kafka Connect, "Externalizing Secrets" (`EnvVarConfigProvider`, `FileConfigProvider`, `DirectoryConfigProvider`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::problem::Problem;

const BEGIN: &str = "${";
const FIX: &str =
    "write ${env:NAME}, ${file:/path/to.properties:key} or ${dir:/path/to/folder:file}";

/// No file of settings is larger, and some files never end.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A config map without references, and what was in the place of each.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) config: BTreeMap<String, String>,
    problems: Vec<Problem>,
    /// What references led to, the longest first.
    found: Vec<Found>,
}

/// A reference, and what it led to.
struct Found {
    reference: String,
    value: String,
}

impl Resolved {
    /// Looks up every reference. `variable` is the environment.
    pub(super) fn of(
        config: &BTreeMap<String, String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut resolved = Self::default();
        for (key, value) in config {
            let Replaced { text, found, failures } = replaced(value, &variable);
            for why in failures {
                resolved.problems.push(Problem::new("CF012", key, why, FIX));
            }
            resolved.found.extend(found);
            resolved.config.insert(key.clone(), text);
        }
        resolved.found.sort_by_key(|found| std::cmp::Reverse(found.value.len()));
        resolved
    }

    /// Problems of references, and those of the values: none says what a reference led to.
    pub(super) fn with_problems(&self, of_values: Vec<Problem>) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        problems.extend(of_values);
        for problem in &mut problems {
            self.hide(problem);
        }
        problems
    }

    /// A problem says what was typed, not what it led to, whatever key it is of. Where only a part of that shows, as an item of a
    /// list does, nothing of it is said.
    fn hide(&self, problem: &mut Problem) {
        for found in &self.found {
            for text in [&mut problem.key, &mut problem.why, &mut problem.fix] {
                found.hide_in(text);
            }
        }
        for found in &self.found {
            for text in [&mut problem.key, &mut problem.why, &mut problem.fix] {
                if found.shows_in(text) {
                    *text = format!("(what `{}` leads to shows in this text)", found.reference);
                }
            }
            if problem.nearest.as_deref().is_some_and(|nearest| found.shows_in(nearest)) {
                problem.nearest = None;
            }
        }
    }
}

/// Parts of a secret that are shorter are in texts that have nothing to do with it.
const PART_CHARACTERS_MIN: usize = 4;

impl Found {
    /// Puts the reference in the place of what it led to.
    fn hide_in(&self, text: &mut String) {
        let (value, reference) = (self.value.trim(), &self.reference);
        if value.chars().count() >= PART_CHARACTERS_MIN {
            *text = text.replace(value, reference);
        } else if !value.is_empty() {
            *text = text.replace(&format!("`{value}`"), &format!("`{reference}`"));
        }
    }

    /// Whether a part of it can be read, between whatever separates the items of lists and the parts of URLs.
    fn shows_in(&self, text: &str) -> bool {
        let text = text.replace(&self.reference, "").to_lowercase();
        let parts = self.value.split(|character: char| !character.is_alphanumeric());
        let mut parts = parts.filter(|part| part.chars().count() >= PART_CHARACTERS_MIN);
        parts.any(|part| text.contains(&part.to_lowercase()))
    }
}

/// A value with its references replaced.
#[derive(Default)]
struct Replaced {
    text: String,
    found: Vec<Found>,
    /// Why some could not be.
    failures: Vec<String>,
}

/// Looks up the references of a value.
fn replaced(value: &str, variable: &impl Fn(&str) -> Option<String>) -> Replaced {
    let (mut replaced, mut rest) = (Replaced::default(), value);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        replaced.text.push_str(before);
        let reference = after.split_once('}').filter(|(inner, _)| inner.contains(':'));
        let Some((inner, behind)) = reference else {
            replaced.text.push_str(BEGIN);
            rest = after;
            continue;
        };
        let reference = format!("${{{inner}}}");
        match look_up(inner, variable) {
            Ok(value) => {
                replaced.text.push_str(&value);
                replaced.found.push(Found { reference, value });
            }
            Err(why) => replaced.failures.push(format!("`{reference}` {why}")),
        }
        rest = behind;
    }
    replaced.text.push_str(rest);
    replaced
}

/// What a reference leads to; why it does not, to stand behind it.
fn look_up(reference: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (provider, rest) = reference.split_once(':').unwrap_or((reference, ""));
    match provider {
        "env" => {
            variable(rest).ok_or_else(|| "names a variable that is not in the environment".into())
        }
        "file" => {
            let (path, key) = place(rest)?;
            let text = read(Path::new(path))?;
            property(&text, key).ok_or_else(|| format!("names a file that has no `{key}`"))
        }
        "dir" | "directory" => {
            let (path, name) = place(rest)?;
            if name.contains('/') || name == ".." {
                return Err("names a file outside of its folder".to_owned());
            }
            let text = read(&Path::new(path).join(name))?;
            // Editors end a file with one, no password does.
            Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
        }
        _ => Err("names a provider that does not exist".to_owned()),
    }
}

/// `path:key`; a path may have colons, a key has none.
fn place(text: &str) -> Result<(&str, &str), String> {
    text.rsplit_once(':').ok_or_else(|| "names no key".to_owned())
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("names a file of more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The value of a key in a Java properties file: `key=value` or `key: value`, comments with `#` or `!`, `\` before what is meant
/// literally. Lines that go on are not joined.
pub(super) fn property(text: &str, key: &str) -> Option<String> {
    let mut found = None;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with(['#', '!']) {
            continue;
        }
        let end = line.find(['=', ':']).unwrap_or(line.len());
        if line[..end].trim_end() == key {
            // The last of several counts, as in Java.
            found = Some(unescaped(line.get(end + 1..).unwrap_or_default().trim_start()));
        }
    }
    found
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                plain.extend(code.and_then(char::from_u32));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn resolved(pairs: &[(&str, &str)]) -> Resolved {
        let config = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Resolved::of(&config.collect(), |name| (name == "PASSWORD").then(|| "s3cret".to_owned()))
    }

    #[test]
    fn variables_stand_in_a_value_or_for_it() {
        let found = resolved(&[
            ("database.password", "${env:PASSWORD}"),
            ("tributary.source.url", "postgres://u:${env:PASSWORD}@h/${env:PASSWORD}"),
            ("topic.replacement", "$1-${2}"),
        ]);
        assert_eq!(found.problems, []);
        assert_eq!(found.config["database.password"], "s3cret");
        assert_eq!(found.config["tributary.source.url"], "postgres://u:s3cret@h/s3cret");
        assert_eq!(found.config["topic.replacement"], "$1-${2}", "that is no reference");
    }

    #[test]
    fn files_have_keys_and_folders_have_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.properties");
        fs::write(&path, "# password=no\npassword = a\\=b \\u00e4\n port: 5433\npassword2=x")
            .unwrap();
        fs::write(folder.path().join("token"), "t0ken\n").unwrap();
        let (path, folder) = (path.display(), folder.path().display());
        let found = resolved(&[
            ("a", &format!("${{file:{path}:password}}")),
            ("b", &format!("${{file:{path}:port}}")),
            ("c", &format!("${{dir:{folder}:token}}")),
        ]);
        assert_eq!(found.problems, []);
        let values: Vec<&String> = found.config.values().collect();
        assert_eq!(values, ["a=b ä", "5433", "t0ken"]);
    }

    #[test]
    fn what_leads_nowhere_is_a_problem_of_its_key() {
        let found = resolved(&[
            ("a", "${env:NOBODY}"),
            ("b", "${file:/nowhere/at.all:key}"),
            ("c", "${dir:/tmp:../etc/passwd}"),
            ("d", "${vault:secret/db:password}"),
            ("e", "${file:/tmp}"),
            ("f", "${dir:/dev:zero}"),
        ]);
        let keys: Vec<&str> = found.problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c", "d", "e", "f"]);
        assert!(found.problems.iter().all(|problem| problem.code == "CF012"));
        assert!(found.problems[3].why.contains("`${vault:secret/db:password}`"));
    }

    fn hidden(value: &str, key: &str, why: &str) -> Problem {
        let config = [("database.port".to_owned(), "${env:PASSWORD}".to_owned())].into();
        let found = Resolved::of(&config, |_| Some(value.to_owned()));
        let mut problem = Problem::new("CF003", key, why, "write a number");
        found.hide(&mut problem);
        problem
    }

    #[test]
    fn a_problem_does_not_say_what_was_referred_to() {
        let problem = hidden("s3cret", "database.port", "`s3cret` is not a whole number");
        assert_eq!(problem.why, "`${env:PASSWORD}` is not a whole number");
        let problem = hidden("x", "database.port", "`x` is not next");
        assert_eq!(problem.why, "`${env:PASSWORD}` is not next");
    }

    #[test]
    fn nor_do_problems_of_other_keys_and_those_of_a_part_of_it() {
        let problem = hidden("s3cret", "s3cret.type", "post-processor `s3cret` has no class");
        assert_eq!(problem.key, "${env:PASSWORD}.type");
        assert_eq!(problem.why, "post-processor `${env:PASSWORD}` has no class");
        for value in ["a,S3cret(", "postgres://u:s3cret@h"] {
            let problem = hidden(value, "table.include.list", "`s3cret(` is no expression");
            assert!(!problem.to_string().contains("s3cret"), "{problem}");
        }
    }

    /// A secret of one character would otherwise be all over the text.
    #[test]
    fn short_values_do_not_make_texts_unreadable() {
        let problem = hidden("e", "database.port", "the value is not a number");
        assert_eq!(problem.why, "the value is not a number");
    }
}
