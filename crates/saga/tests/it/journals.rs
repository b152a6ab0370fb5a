//! Both journals keep the promises of the trait; the file journal also under damage and a process that dies.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use saga::harness::check_journal;
use saga::{Cancel, Engine, Fence, FileJournal, Journal, JournalError, MemoryJournal};

use crate::scripted::{Act, G, Stand, World, id};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_promises() {
    let journal = MemoryJournal::new();
    check_journal(move || journal.clone(), "suite").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_keep_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    check_journal(move || FileJournal::new(&path).unwrap(), "suite").await.unwrap();
}

/// A finished saga in a file journal; what its file holds.
async fn finished(folder: &tempfile::TempDir) -> (FileJournal, Vec<u8>) {
    let journal = FileJournal::new(folder.path()).unwrap();
    let engine = Engine::<G>::new(Arc::new(journal.clone()), Arc::new(World::default()), vec![]).unwrap();
    engine.start(&id(), Fence(1), Default::default()).await.unwrap();
    engine.run(&id(), Fence(1), &Cancel::new()).await.unwrap();
    let bytes = fs::read(journal.path(&id())).unwrap();
    (journal, bytes)
}

#[tokio::test]
async fn a_file_cut_short_anywhere_reads_as_the_writes_that_are_whole_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, bytes) = finished(&folder).await;
    let path = journal.path(&id());
    let mut ends = vec![0];
    ends.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
    let mut whole = Vec::new();
    for end in &ends {
        fs::write(&path, &bytes[..*end]).unwrap();
        whole.push(Journal::<G>::load(&journal, &id()).await.unwrap());
    }
    assert_eq!(whole.last().unwrap().len(), 10);
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let writes = ends.iter().rposition(|end| *end <= cut).unwrap();
        assert_eq!(Journal::<G>::load(&journal, &id()).await.unwrap(), whole[writes], "cut at {cut}");
    }
    // A torn tail is overwritten by the next write.
    let cut = ends[3] + 20;
    fs::write(&path, &bytes[..cut]).unwrap();
    let engine = Engine::<G>::new(Arc::new(journal.clone()), Arc::new(World::default()), vec![]).unwrap();
    assert!(engine.run(&id(), Fence(2), &Cancel::new()).await.unwrap().is_done());
    assert!(engine.run(&id(), Fence(2), &Cancel::new()).await.unwrap().is_done());
}

#[tokio::test]
async fn a_byte_changed_before_the_last_write_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, bytes) = finished(&folder).await;
    let last_line = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for at in (0..last_line).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(journal.path(&id()), &damaged).unwrap();
        let read = Journal::<G>::load(&journal, &id()).await;
        assert!(matches!(read, Err(JournalError::Corrupt(_))), "byte {at}: {read:?}");
    }
}

#[tokio::test]
async fn ids_become_file_names_that_stay_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::new(folder.path()).unwrap();
    for id in ["../../etc/passwd", "..", "", "a/b", "a%2fb", "ü", "\0"] {
        let path = journal.path(&id.into());
        assert_eq!(path.parent(), Some(folder.path()), "{id:?}");
        assert!(path.file_name().unwrap().to_str().unwrap().ends_with(".journal"));
    }
    assert_ne!(journal.path(&"a/b".into()), journal.path(&"a%2fb".into()));
}

const CHILD: &str = "SAGA_TEST_CHILD_FOLDER";

/// Does nothing in a test run; in the child of the test below, the process that is killed.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let stand = Stand::default();
    stand.world.script("run p", [Act::Hang]);
    let journal = FileJournal::new(std::path::PathBuf::from(&folder).join("journal")).unwrap();
    let engine = stand.engine_over(Arc::new(journal), vec![]);
    engine.start(&id(), Fence(1), Default::default()).await.unwrap();
    let (cancel, name) = (Cancel::new(), id());
    tokio::select! {
        _ = engine.run(&name, Fence(1), &cancel) => {}
        () = stand.seen("run p") => {}
    }
    let mut mark =
        OpenOptions::new().create(true).append(true).open(std::path::Path::new(&folder).join("there")).unwrap();
    mark.write_all(b"in the pivot").unwrap();
    std::process::abort();
}

#[tokio::test]
async fn a_saga_resumes_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journals::child_that_is_killed", "--nocapture"])
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    assert!(!child.status.success());
    assert!(folder.path().join("there").exists(), "{}", String::from_utf8_lossy(&child.stderr));
    let stand = Stand::default();
    let journal = FileJournal::new(folder.path().join("journal")).unwrap();
    let engine = stand.engine_over(Arc::new(journal), vec![]);
    let outcome = engine.run(&id(), Fence(2), &Cancel::new()).await.unwrap();
    assert_eq!(outcome.state().done, ["a", "b", "p", "f"]);
    assert_eq!(stand.world.log(), ["run p", "run f"]);
}
