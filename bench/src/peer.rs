//! Peers in other languages: where `bench/peers` has installed them, and how they are run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use plimsoll_tests::server::binary;

/// A program of ours around a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    GraphileWorker,
    PgBoss,
    Dbos,
    SocketIo,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::GraphileWorker => "graphile-worker",
            Peer::PgBoss => "pg-boss",
            Peer::Dbos => "dbos",
            Peer::SocketIo => "socket.io",
        }
    }

    /// The command that runs it.
    ///
    /// # Errors
    /// In a word why it can't be run.
    pub(crate) fn command(self) -> Result<Command, String> {
        let dir = folder();
        let (program, installed, file, text) = match self {
            Peer::GraphileWorker => (
                PathBuf::from("node"),
                dir.join("node_modules/graphile-worker"),
                "graphile_worker.mjs",
                include_str!("peer/graphile_worker.mjs"),
            ),
            Peer::PgBoss => (
                PathBuf::from("node"),
                dir.join("node_modules/pg-boss"),
                "pg_boss.mjs",
                include_str!("peer/pg_boss.mjs"),
            ),
            Peer::SocketIo => (
                PathBuf::from("node"),
                dir.join("node_modules/socket.io"),
                "socket_io.mjs",
                include_str!("watchers/socket_io.mjs"),
            ),
            Peer::Dbos => {
                let python = dir.join("venv/bin/python");
                (python.clone(), python, "dbos_steps.py", include_str!("peer/dbos_steps.py"))
            }
        };
        if !installed.exists() {
            return Err(format!("{} is not installed: run bench/peers", self.name()));
        }
        // Beside what it imports, as Node looks for that there.
        let path = dir.join(file);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut command = Command::new(program);
        command.arg(path).stdin(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    /// Runs it to its end and returns what it printed.
    pub(crate) fn output(self, arguments: &[&str], env: &[(&str, &str)]) -> Result<String, String> {
        let mut command = self.command()?;
        let output = command.args(arguments).envs(env.iter().copied()).stderr(Stdio::piped()).output();
        let output = output.map_err(|e| format!("{}: {e}", self.name()))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{}: {}", self.name(), String::from_utf8_lossy(&output.stderr))),
        }
    }
}

fn folder() -> PathBuf {
    binary().with_file_name("../peers")
}
