//! A terminal somebody types at: commands, what came of them, and the transcript to look at later.
//!
//! In: lines such as `tributary list --output json | jq .`, with addresses as a reader of the transcript sees them. Out: a transcript per
//! verb: standard output as it is, standard error behind `2| `, `[exit N]` where a command did not end with 0.
//! Never: a shell; words are what stands between spaces, and `| jq .` is the one pipe there is.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Finished, tributary_in};
use crate::{Failure, Result};

const COMMAND_MAX: Duration = Duration::from_secs(90);
const JQ: &str = " | jq .";

/// Somebody at a machine with a folder, an environment, and names for what has another one in each run.
pub struct Terminal {
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// What is there, and what is typed and read for it.
    names: Vec<(String, String)>,
    /// What differs from run to run in the transcript of a verb, or of all, and what is read for it.
    masks: Vec<(Option<String>, Regex, String)>,
    transcripts: BTreeMap<String, String>,
}

impl Terminal {
    /// An empty folder, with these environment variables.
    pub fn new(variables: &[(&str, &str)]) -> Result<Self> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Ok(Self {
            folder: TempDir::new()?,
            variables: variables.iter().map(owned).collect(),
            names: Vec::new(),
            masks: Vec::new(),
            transcripts: BTreeMap::new(),
        })
    }

    /// `shown` is typed and read where `real` is meant.
    #[must_use]
    pub fn call(mut self, real: impl Into<String>, shown: &str) -> Self {
        self.names.push((real.into(), shown.to_owned()));
        self
    }

    /// What matches `pattern` is read as `shown`, which may name its groups as `$1`.
    pub fn mask(mut self, pattern: &str, shown: &str) -> Result<Self> {
        self.masks.push((None, Regex::new(pattern)?, shown.to_owned()));
        Ok(self)
    }

    /// The same, in the transcript of `verb` only.
    pub fn mask_of(mut self, verb: &str, pattern: &str, shown: &str) -> Result<Self> {
        self.masks.push((Some(verb.to_owned()), Regex::new(pattern)?, shown.to_owned()));
        Ok(self)
    }

    /// Writes a file into the folder, and shows it in the transcript of `verb`.
    pub fn file(&mut self, verb: &str, name: &str, content: &str) -> Result<()> {
        std::fs::write(self.folder.path().join(name), self.real(content))?;
        self.add(verb, &format!("$ cat {name}\n{content}"));
        Ok(())
    }

    /// Says in the transcript of `verb` what happens meanwhile.
    pub fn remark(&mut self, verb: &str, text: &str) {
        self.add(verb, &format!("# {text}\n"));
    }

    /// Types a line that begins with `tributary VERB`, waits for its end, and adds it to the transcript of the verb.
    pub async fn run(&mut self, line: &str) -> Result<Finished> {
        let command = line.strip_suffix(JQ).unwrap_or(line);
        let typed = self.real(command);
        let words: Vec<&str> = typed.split_whitespace().collect();
        let Some((&"tributary", arguments @ [verb, ..])) = words.split_first() else {
            return Err(Failure::new(format!("`{line}` does not begin with `tributary VERB`")));
        };
        let folder = self.folder.path();
        let finished = tributary_in(folder, arguments, &self.variables, COMMAND_MAX).await?;
        let verb = (*verb).to_owned();
        let stdout = if command == line {
            finished.stdout.clone()
        } else {
            let value: Value = serde_json::from_str(&finished.stdout)
                .map_err(|error| Failure::from(error).during(format!("{line}: {finished:?}")))?;
            format!("{}\n", serde_json::to_string_pretty(&value)?)
        };
        let mut lines = vec![format!("$ {line}")];
        lines.extend(self.shown(&verb, &stdout).lines().map(str::to_owned));
        let errors = self.shown(&verb, &finished.stderr);
        lines.extend(errors.lines().map(|line| format!("2| {line}").trim_end().to_owned()));
        if finished.exit_code != 0 {
            lines.push(format!("[exit {}]", finished.exit_code));
        }
        let text = lines.join("\n") + "\n";
        self.add(&verb, &text);
        Ok(finished)
    }

    /// The same, for a command that has to succeed.
    pub async fn ok(&mut self, line: &str) -> Result<Finished> {
        let finished = self.run(line).await?;
        if finished.exit_code == 0 {
            return Ok(finished);
        }
        Err(Failure::new(format!("{line}: {finished:?}")))
    }

    /// Verbs with what was typed and read, in order.
    pub fn transcripts(&self) -> &BTreeMap<String, String> {
        &self.transcripts
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn add(&mut self, verb: &str, text: &str) {
        let transcript = self.transcripts.entry(verb.to_owned()).or_default();
        if !transcript.is_empty() {
            transcript.push('\n');
        }
        transcript.push_str(text);
    }

    fn real(&self, text: &str) -> String {
        let replace = |text: String, (real, shown): &(String, String)| text.replace(shown, real);
        self.names.iter().fold(text.to_owned(), replace)
    }

    fn shown(&self, verb: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for (of, pattern, shown) in &self.masks {
            if of.as_deref().is_none_or(|of| of == verb) {
                text = pattern.replace_all(&text, shown.as_str()).into_owned();
            }
        }
        let replace = |text: String, (real, shown): &(String, String)| text.replace(real, shown);
        self.names.iter().fold(text, replace)
    }
}
