//! Channel `file`: signals in a file, one a line.
//!
//! In: the file, whenever it has something. Out: its signals, in order.
//! Debezium reads the file and empties it at once. Here a death must neither forget what was read nor read it twice, and what
//! somebody appends meanwhile must stay:
//! 1. The file is taken: renamed to a name of its own, `<file>.taken-<uuid>`, with an empty file left in its place.
//! 2. Its lines are delivered, each with the bytes up to its end as its mark, which goes into the checkpoint.
//! 3. Once Kafka holds the checkpoint with the last mark, and the file has grown no further, it is removed.
//!
//! A later run finds the taken file, and its name in the checkpoint says how much of it is heeded.
//! Never: a file that is changed while it may be written to; a line that is delivered before the rename is on the disk.
//! Source: Debezium documentation, "File channel"; `FileSignalChannel` of Debezium 3.6.

use std::ffi::OsString;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::info;
use uuid::Uuid;

use super::record::{self, Unheedable};
use super::{Delivery, FromOutside, Mark};
use crate::settings::SignalFileSettings;
use crate::signal::heeded::HeededFile;
use crate::status::Notice;

/// Bytes of the file that are read at once; no line may be longer.
const READ_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the file.
pub(super) struct FileChannel {
    wanted: SignalFileSettings,
    /// What is delivered.
    delivered: Option<HeededFile>,
    /// What the checkpoint in Kafka says.
    committed: watch::Receiver<Option<HeededFile>>,
}

/// Why reading stopped for now.
enum Stop {
    /// The pipeline has ended.
    Over,
    Failed {
        path: PathBuf,
        error: io::Error,
    },
}

/// A file that was taken, and the part of its name that no other has.
struct TakenFile {
    path: PathBuf,
    id: String,
}

impl FileChannel {
    pub(super) fn new(
        wanted: &SignalFileSettings,
        heeded: Option<HeededFile>,
        committed: watch::Receiver<Option<HeededFile>>,
    ) -> Self {
        Self { wanted: wanted.clone(), delivered: heeded, committed }
    }

    /// Delivers what is in the file and what will be, until the pipeline ends.
    pub(super) async fn read(mut self, out: Sender<FromOutside>) {
        info!("reads signals from file `{}`", self.wanted.path.display());
        loop {
            match self.turn(&out).await {
                Ok(()) => {}
                Err(Stop::Over) => return,
                Err(Stop::Failed { path, error }) => {
                    // The status holds it once, and the log too.
                    if out.send(FromOutside::Trouble(self.trouble(&path, &error))).await.is_err() {
                        return;
                    }
                }
            }
            sleep(self.wanted.poll_interval).await;
        }
    }

    /// Delivers everything that is in the file now.
    async fn turn(&mut self, out: &Sender<FromOutside>) -> Result<(), Stop> {
        let path = self.wanted.path.clone();
        let failed = |error| Stop::Failed { path: path.clone(), error };
        let taken = match left_over(&path).await.map_err(failed)? {
            Some(taken) => Some(taken),
            None => take(&path).await.map_err(failed)?,
        };
        let Some(taken) = taken else { return Ok(()) };
        leave_empty(&path, &taken).await.map_err(failed)?;
        self.deliver(&taken, out).await
    }

    /// Delivers the lines of a taken file that are not heeded, and removes it once all are.
    async fn deliver(&mut self, taken: &TakenFile, out: &Sender<FromOutside>) -> Result<(), Stop> {
        let failed = |error| Stop::Failed { path: taken.path.clone(), error };
        let known = self.delivered.as_ref().filter(|delivered| delivered.taken == taken.id);
        let mut at = known.map_or(0, |delivered| delivered.bytes);
        let mut patient = true;
        loop {
            let bytes = read_from(&taken.path, at).await.map_err(failed)?;
            if bytes.is_empty() {
                break;
            }
            let lines = Lines::of(&bytes);
            if lines.is_cut() && patient {
                // Whoever writes it has perhaps not come to its end.
                patient = false;
                sleep(self.wanted.poll_interval).await;
                continue;
            }
            for line in lines {
                let place = format!("{}@{at}", self.wanted.path.display());
                at += line.len() as u64;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let signal = if line.len() as u64 == READ_BYTES_MAX && !line.ends_with(b"\n") {
                    let reason = format!("its line has more than {READ_BYTES_MAX} bytes");
                    Err(Unheedable { id: place, reason })
                } else {
                    record::read(line, &place)
                };
                let mark = HeededFile { taken: taken.id.clone(), bytes: at };
                self.delivered = Some(mark.clone());
                let delivery = Delivery { mark: Mark::File(mark), signal: Some(signal) };
                out.send(FromOutside::Delivery(delivery)).await.map_err(|_| Stop::Over)?;
            }
            self.await_checkpoint(taken).await?;
        }
        self.await_checkpoint(taken).await?;
        fs::remove_file(&taken.path).await.map_err(failed)
    }

    /// Waits until Kafka holds the mark of what was delivered of this file.
    async fn await_checkpoint(&mut self, taken: &TakenFile) -> Result<(), Stop> {
        let Some(delivered) = self.delivered.as_ref().filter(|known| known.taken == taken.id)
        else {
            return Ok(());
        };
        let holds = |committed: &Option<HeededFile>| committed.as_ref() == Some(delivered);
        self.committed.wait_for(holds).await.map(drop).map_err(|_| Stop::Over)
    }

    fn trouble(&self, path: &Path, error: &io::Error) -> Notice {
        let file = self.wanted.path.display();
        Notice {
            code: "NT009",
            subject: format!("signals of file {file}"),
            text: format!(
                "[NT009] signals of file `{file}` cannot be read, it is tried again and again: {}: {error}\n  fix: let the connector read and rename the file and write into its folder; or take `file` out of signal.enabled.channels",
                path.display()
            ),
        }
    }
}

/// Lines with their ends; the last may have none.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The lines of what was read: if as much was read as may be, without the last one, which goes on.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let is_full = bytes.len() as u64 == READ_BYTES_MAX;
        let last_end = memchr::memrchr(b'\n', bytes);
        match last_end {
            Some(end) if is_full => Self { rest: &bytes[..=end] },
            _ => Self { rest: bytes },
        }
    }

    /// The last line has no end and is no whole signal.
    pub(super) fn is_cut(&self) -> bool {
        let start = memchr::memrchr(b'\n', self.rest).map_or(0, |end| end + 1);
        let last = self.rest[start..].trim_ascii();
        !last.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(last).is_err()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!line.is_empty()).then_some(line)
    }
}

/// What the name of a taken file begins with.
fn taken_prefix(path: &Path) -> OsString {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".taken-");
    prefix
}

/// The folder of a path; that of the process for a name alone.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that an earlier run has taken and not removed.
async fn left_over(path: &Path) -> io::Result<Option<TakenFile>> {
    let prefix = taken_prefix(path);
    let mut entries = match fs::read_dir(folder(path)).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        let id = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        if let Some(id) = id {
            let id = String::from_utf8_lossy(id).into_owned();
            return Ok(Some(TakenFile { path: entry.path(), id }));
        }
    }
    Ok(None)
}

/// Takes the file, if it has anything.
async fn take(path: &Path) -> io::Result<Option<TakenFile>> {
    match fs::metadata(path).await {
        Ok(found) if found.is_file() && found.len() > 0 => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let id = Uuid::new_v4().to_string();
    let mut name = taken_prefix(path);
    name.push(&id);
    let taken = TakenFile { path: path.with_file_name(name), id };
    fs::rename(path, &taken.path).await?;
    File::open(folder(path)).await?.sync_all().await?;
    Ok(Some(taken))
}

/// Leaves an empty file in the place of a taken one, which whoever may write to that may write to; also where a run before
/// died in between.
async fn leave_empty(path: &Path, taken: &TakenFile) -> io::Result<()> {
    match File::create_new(path).await {
        Ok(empty) => empty.set_permissions(fs::metadata(&taken.path).await?.permissions()).await,
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a file has from a place on, as far as it is read at once.
async fn read_from(path: &Path, at: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(at)).await?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_ends_and_the_last_may_have_none() {
        let lines: Vec<_> = Lines::of(b"{}\r\n\n{\"a\":1}").collect();
        assert_eq!(lines, [&b"{}\r\n"[..], b"\n", b"{\"a\":1}"]);
        assert!(Lines::of(b"").next().is_none());
    }

    #[test]
    fn a_last_line_that_is_half_a_signal_is_cut() {
        assert!(Lines::of(b"{}\n{\"a\":").is_cut());
        assert!(!Lines::of(b"{}\n{\"a\":1}").is_cut());
        assert!(!Lines::of(b"{\"a\":\n").is_cut(), "its end is there");
        assert!(!Lines::of(b"{}\n  ").is_cut());
    }

    #[test]
    fn of_more_than_is_read_at_once_the_last_line_waits() {
        let mut bytes = b"{}\n".to_vec();
        bytes.resize(usize::try_from(READ_BYTES_MAX).unwrap(), b' ');
        assert_eq!(Lines::of(&bytes).collect::<Vec<_>>(), [&b"{}\n"[..]]);
    }

    #[tokio::test]
    async fn a_file_is_taken_once_and_found_again() {
        let folder = std::env::temp_dir().join(format!("signals-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("s.txt");
        assert!(take(&path).await.unwrap().is_none(), "there is no file");
        std::fs::write(&path, "").unwrap();
        assert!(take(&path).await.unwrap().is_none(), "there is nothing in it");
        std::fs::write(&path, "{}\n").unwrap();
        let taken = take(&path).await.unwrap().unwrap();
        assert!(!path.exists(), "a death comes here");
        let found = left_over(&path).await.unwrap().unwrap();
        assert_eq!((&found.id, &found.path), (&taken.id, &taken.path));
        leave_empty(&path, &found).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"", "an empty file is left");
        std::fs::write(&path, "{}").unwrap();
        leave_empty(&path, &found).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}", "what came meanwhile stays");
        assert_eq!(read_from(&found.path, 1).await.unwrap(), b"}\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
