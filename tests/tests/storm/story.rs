//! What happened, told line by line, and what was wrong about it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

pub(crate) struct Story {
    began: Instant,
    folder: PathBuf,
    file: Mutex<File>,
    wrong: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<String, usize>>,
}

impl Story {
    /// In a folder of its own, which stays.
    pub(crate) fn begin(seed: u64) -> Self {
        let name = format!("storm-{seed}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let file = File::create(folder.join("story.log")).unwrap();
        let (wrong, counts) = (Mutex::default(), Mutex::default());
        Self { began: Instant::now(), folder, file: Mutex::new(file), wrong, counts }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub(crate) fn tell(&self, what: &str) {
        let now = chrono::Utc::now().format("%H:%M:%S%.3f");
        writeln!(self.file.lock().unwrap(), "[{:8.3}] {now} {what}", self.seconds()).unwrap();
    }

    /// Counts one of its kind, for the report.
    pub(crate) fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.lock().unwrap().clone()
    }

    /// A promise was broken.
    pub(crate) fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        self.tell(&format!("WRONG: {what}"));
        self.wrong.lock().unwrap().push(what);
    }

    pub(crate) fn found(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }
}
