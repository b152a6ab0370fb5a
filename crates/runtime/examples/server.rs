//! A stand-in for the server, to be killed by this crate's tests.
//!
//! `server start DIR SUPERVISOR SPEC`: start the instance described by the JSON `SPEC`, say `ready`, then do nothing.
//! `server exec DIR MARKER COMMAND`: run the command; its output comes out here.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use runtime::{Command, Executor, InstanceSpec, ProcessRuntime, Supervisor};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start", dir, supervisor, spec] => {
            let supervisor = Supervisor { binary: PathBuf::from(supervisor), args: Vec::new() };
            let spec: InstanceSpec = serde_json::from_str(spec).unwrap();
            ProcessRuntime::new(PathBuf::from(dir), supervisor).unwrap().start(&spec).await.unwrap();
            println!("ready");
            std::future::pending().await
        }
        ["exec", dir, marker, command] => {
            let command = Command {
                command: command.to_owned(),
                directory: PathBuf::from(dir),
                env: BTreeMap::new(),
                limit: Duration::from_secs(600),
                marker: marker.to_owned(),
                sandbox: None,
            };
            let executor = Executor::new(&command.directory);
            executor.run(&command, |line| println!("{}", line.text), &Default::default()).await.unwrap();
        }
        _ => panic!("usage: server start|exec …"),
    }
}
