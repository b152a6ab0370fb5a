//! A saga that outlives its process: it keeps its journal in files and goes on where it was.
//!
//!     cargo run -p plimsoll-saga --example resume -- --die    # aborts in the middle of the second stage
//!     cargo run -p plimsoll-saga --example resume             # goes on and finishes
//!     cargo run -p plimsoll-saga --example resume             # finds it finished
//!
//! Journal and world are in the folder `saga-resume-example` beside the system's temporary files, or in `SAGA_EXAMPLE_DIR`.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use saga::{Cancel, Engine, EngineError, Failure, Fence, FileJournal, Saga, SagaId, Stage, Step};

/// The world is a folder; each stage writes a file into it.
struct Folder {
    path: PathBuf,
    /// Abort the process in the middle of this stage.
    die_in: Option<&'static str>,
}

struct Baking;

impl Saga for Baking {
    type World = Folder;
    type State = Vec<String>;
    type Error = String;
    const NAME: &'static str = "baking";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        ["mix", "prove", "bake"].into_iter().map(|name| Box::new(Make { name }) as Box<dyn Stage<Self>>).collect()
    }

    fn timed_out(stage: &str, limit: Duration) -> String {
        format!("{stage} took longer than {limit:?}")
    }

    fn panicked(stage: &str, message: String) -> String {
        format!("{stage} panicked: {message}")
    }
}

struct Make {
    name: &'static str,
}

impl Make {
    fn file(&self, folder: &Folder) -> PathBuf {
        folder.path.join(format!("{}.txt", self.name))
    }
}

#[async_trait]
impl Stage<Baking> for Make {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn run(&self, folder: &Folder, mut state: Vec<String>, step: &Step) -> Result<Vec<String>, Failure<String>> {
        println!("{} (attempt {})", self.name, step.attempt);
        tokio::fs::write(self.file(folder), "done\n").await.map_err(|error| Failure::retry(error.to_string()))?;
        if folder.die_in == Some(self.name) {
            println!("… and the process dies before the journal knows of it");
            std::process::abort();
        }
        state.push(self.name.to_owned());
        Ok(state)
    }

    async fn undo(&self, folder: &Folder, _state: &Vec<String>) -> Result<(), Failure<String>> {
        match tokio::fs::remove_file(self.file(folder)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::retry(error.to_string())),
            _ => Ok(()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = match std::env::var_os("SAGA_EXAMPLE_DIR") {
        Some(path) => PathBuf::from(path),
        None => std::env::temp_dir().join("saga-resume-example"),
    };
    let die_in = std::env::args().any(|argument| argument == "--die").then_some("prove");
    let journal = FileJournal::new(path.join("journal"))?;
    let id = SagaId::new("loaf");
    println!("journal: {}", journal.path(&id).display());

    let engine = Engine::<Baking>::new(Arc::new(journal), Arc::new(Folder { path, die_in }), vec![])?;
    match engine.start(&id, Fence(0), Vec::new()).await {
        Ok(_) => println!("begun"),
        Err(EngineError::AlreadyStarted { .. }) => {
            println!("found {}", engine.history(&id).await?.progress().name())
        }
        Err(error) => return Err(error.into()),
    }
    let outcome = engine.run(&id, Fence(0), &Cancel::new()).await?;
    println!("{}: {}", outcome.name(), outcome.state().join(", "));
    Ok(())
}
