//! A disk that is full, with SQLite: what was acknowledged stays, and once there is room the store goes on.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use store::appends::Append;
use store::{DatabaseUrl, Store, sagas};

/// Of 16 MB, in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(dir.path()).status().unwrap();
        assert!(done.success(), "mounting a small disk for this test takes root");
        Self(dir)
    }

    /// Takes all the room there is.
    fn fill(&self) -> std::path::PathBuf {
        let path: &Path = self.0.path();
        let path = path.join("ballast");
        let mut ballast = File::create(&path).unwrap();
        while ballast.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// Each addition is alone, so that it is a transaction of one way to SQLite and back.
#[tokio::test]
async fn additions_to_a_journal_go_on_once_there_is_room() {
    let disk = SmallDisk::mount();
    let store = Store::open(&DatabaseUrl::sqlite(disk.0.path().join("db"))).await.unwrap();
    let tx = store.write().await.unwrap();
    sagas::create(&tx, "one", "test", 1).await.unwrap();
    tx.commit().await.unwrap();
    let append = |seq: u64| {
        let records = vec![json!("x".repeat(100_000))];
        store.append_together(Append { saga: "one".into(), fence: 0, seq, records, end: None, advance: None }, None)
    };
    append(0).await.unwrap();
    let ballast = disk.fill();
    let mut written = 1;
    let error = loop {
        assert!(written < 200, "20 MB on a disk of 16");
        match append(written).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("full"), "{error}");
    append(written).await.unwrap_err();
    std::fs::remove_file(ballast).unwrap();
    // Neither is a transaction still open, nor is one taken for open that is not: others see what is acknowledged.
    for n in written..written + 3 {
        append(n).await.unwrap();
    }
    let tx = store.write().await.unwrap();
    sagas::create(&tx, "two", "test", 1).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let store = Store::open(&DatabaseUrl::sqlite(disk.0.path().join("db"))).await.unwrap();
    assert_eq!(sagas::load(&store, "one").await.unwrap().len() as u64, written + 3);
    assert_eq!(sagas::get(&store, "one").await.unwrap().seq, written + 3);
    assert_eq!(sagas::get(&store, "two").await.unwrap().seq, 0);
}
