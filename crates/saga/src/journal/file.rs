//! A journal in files: one per saga, appended to and flushed to the disk at each write.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Fence, HistoryOf, Journal, JournalError, Record, RecordOf, Saga, SagaId};

/// One file per saga in one folder. A line holds one write: a checksum, a blank, the fence and the records as JSON.
///
/// A last line that a crash cut short is not there: its write never returned. Any other damage is
/// [`JournalError::Corrupt`]. Writers lock the file, so that two processes can't both append. Each write reads the file, which suits
/// sagas of tens of records; a platform with many sagas wants a database instead.
#[derive(Debug, Clone)]
pub struct FileJournal {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize, E: Serialize", deserialize = "S: DeserializeOwned, E: DeserializeOwned"))]
struct Batch<S, E> {
    fence: Fence,
    records: Vec<Record<S, E>>,
}

impl FileJournal {
    /// A journal in `folder`, which is made if need be.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| unavailable(&folder, &error))?;
        Ok(Self { folder })
    }

    /// The file of a saga. Characters of the id other than letters, digits, `-` and `_` are written as `%` and their bytes in hex.
    pub fn path(&self, id: &SagaId) -> PathBuf {
        let mut name = String::new();
        for byte in id.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                other => name.push_str(&format!("%{other:02x}")),
            }
        }
        self.folder.join(format!("{name}.journal"))
    }
}

#[async_trait]
impl<G: Saga> Journal<G> for FileJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        let path = self.path(id);
        blocking(move || match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(unavailable(&path, &error)),
            Ok(mut file) => {
                file.lock_shared().map_err(|error| unavailable(&path, &error))?;
                Ok(Contents::<G>::read(&mut file, &path)?.records)
            }
        })
        .await
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        _after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        let path = self.path(id);
        let folder = self.folder.clone();
        let batch = Batch { fence, records: records.to_vec() };
        blocking(move || write::<G>(&path, &folder, seq, &batch)).await
    }
}

fn write<G: Saga>(path: &Path, folder: &Path, seq: u64, batch: &Batch<G::State, G::Error>) -> Result<(), JournalError> {
    let failed = |error: io::Error| unavailable(path, &error);
    let json = serde_json::to_string(batch)
        .map_err(|error| JournalError::Unavailable(format!("a record can't be written as JSON: {error}")))?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    file.lock().map_err(failed)?;
    let contents = Contents::<G>::read(&mut file, path)?;
    if batch.fence < contents.fence {
        return Err(JournalError::Fenced { held: batch.fence, current: contents.fence });
    }
    let found = contents.records.len() as u64;
    if found != seq {
        return Err(JournalError::Conflict { expected: seq, found });
    }
    file.set_len(contents.sound_bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(contents.sound_bytes)).map_err(failed)?;
    file.write_all(format!("{} {json}\n", checksum(json.as_bytes())).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    if contents.sound_bytes == 0 {
        // The first write makes the file's name durable too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}

struct Contents<G: Saga> {
    records: Vec<RecordOf<G>>,
    fence: Fence,
    /// The length of the file without a line that was cut short.
    sound_bytes: u64,
}

impl<G: Saga> Contents<G> {
    fn read(file: &mut File, path: &Path) -> Result<Self, JournalError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| unavailable(path, &error))?;
        let mut contents = Self { records: Vec::new(), fence: Fence(0), sound_bytes: 0 };
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let last = contents.sound_bytes + line.len() as u64 == bytes.len() as u64;
            let damaged = |what: &str| JournalError::Corrupt(format!("{}, line {}: {what}", path.display(), index + 1));
            let Some(json) = verified(line) else {
                // A crash leaves any part of the last write behind, a line break without the bytes before it included.
                if last {
                    break;
                }
                return Err(damaged("wrong checksum"));
            };
            let batch: Batch<G::State, G::Error> =
                serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
            contents.fence = contents.fence.max(batch.fence);
            contents.records.extend(batch.records);
            contents.sound_bytes += line.len() as u64;
        }
        Ok(contents)
    }
}

/// The JSON of a whole line whose checksum is right.
fn verified(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let split = line.iter().position(|byte| *byte == b' ')?;
    let json = &line[split + 1..];
    (line[..split] == *checksum(json).as_bytes()).then_some(json)
}

fn checksum(json: &[u8]) -> String {
    blake3::hash(json).to_hex()[..16].to_owned()
}

fn unavailable(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Unavailable(format!("{}: {error}", path.display()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(JournalError::Unavailable(format!("the write was interrupted: {error}"))),
    }
}
