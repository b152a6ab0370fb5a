//! Starting an instance.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use domain::instance::InstanceState;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Inner, Started, observe};
use crate::error::{FileError, StartError};
use crate::folder::Folder;
use crate::marker::{self, Unkillable};
use crate::spec::InstanceSpec;
use crate::supervise::{Launch, Report};
use crate::{environment, generation, priority};

/// For a supervisor to come up, or to make up its mind.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is there under a name before a start.
enum Found {
    Running,
    Nothing,
}

impl Inner {
    pub(super) fn start(&self, spec: &InstanceSpec) -> Result<Started, StartError> {
        let name = spec.key.name();
        generation::admit(&self.generations(), &spec.key.environment, spec.key.generation, &name)?;
        let turn = self.take_turn(&name)?;
        let folder = Folder::new(self.dir.join(&name));
        match find(&folder, &name)? {
            Found::Running => return Ok(Started::Adopted),
            Found::Nothing => {}
        }
        // Nothing can be left of what has never been here.
        if !turn.is_first() || folder.exists() {
            self.clear(&name)?;
        }
        let spec = &self.in_its_folders(spec);
        folder.create(spec.sandbox.as_ref())?;
        folder.forget_status()?;
        folder.write_spec(spec)?;
        let launched = self.launch(spec, &folder, &name);
        if launched.is_err() {
            // A supervisor that said nothing may be there all the same.
            self.clear(&name)?;
        }
        launched.map(|()| Started::New)
    }

    /// With the folders that an instance has for itself.
    pub(super) fn in_its_folders(&self, spec: &InstanceSpec) -> InstanceSpec {
        let folder = Folder::new(self.dir.join(spec.key.name()));
        let sandbox = spec.sandbox.clone().map(|sandbox| sandbox.writing(folder.home()).with_temp(folder.temp()));
        InstanceSpec { sandbox, ..spec.clone() }
    }

    /// Kills what an earlier run under this name left, its supervisor as well: what that starts meanwhile is found, too.
    fn clear(&self, name: &str) -> Result<(), StartError> {
        let unkillable = |Unkillable(left)| StartError::Supervisor {
            name: name.to_owned(),
            reason: format!("{left} processes of an earlier run do not end, not even when killed"),
        };
        self.scope.kill(&[marker::SUPERVISOR, marker::INSTANCE], name).map_err(unkillable)?;
        self.end_group(name);
        Ok(())
    }

    fn launch(&self, spec: &InstanceSpec, folder: &Folder, name: &str) -> Result<(), StartError> {
        let failed = |reason: String| StartError::Supervisor { name: name.to_owned(), reason };
        let errors = folder.errors();
        let stderr = File::create(&errors).map_err(FileError::new("create", &errors))?;
        let mut env = std::collections::BTreeMap::new();
        self.scope.mark(&mut env, marker::SUPERVISOR, name);
        let mut child = Command::new(&self.supervisor.binary)
            .args(&self.supervisor.args)
            .arg(&folder.path)
            .env_clear()
            .envs(env)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // Out of the terminal's group: Ctrl-C in it is for the server.
            .process_group(0)
            .spawn()
            .map_err(|e| failed(format!("cannot run {}: {e}", self.supervisor.binary.display())))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let launch = Launch { env: self.environment(spec, folder, name), normal: priority::normal() };
        let packet = serde_json::to_vec(&launch).map_err(|e| failed(format!("cannot encode the environment: {e}")))?;
        // Failing to write means that it is gone; its report says more. Dropping the pipe ends the packet.
        let sent = stdin.ok_or_else(|| failed("no pipe to it".to_owned()))?.write_all(&packet);
        let line = stdout.map(|out| read_report(out, Instant::now() + PATIENCE)).unwrap_or_default();
        // This is the first process of two: it ends as soon as it has forked.
        child.wait().map_err(|e| failed(format!("cannot wait for it: {e}")))?;
        match serde_json::from_slice(&line) {
            Ok(Report::Started) => Ok(()),
            Ok(Report::Exec(reason)) => Err(StartError::Exec { name: name.to_owned(), reason }),
            Ok(Report::Failed(reason)) => Err(failed(reason)),
            Err(_) => Err(failed(silence(&errors, sent.err()))),
        }
    }

    /// The app's whole environment. Variables of ours can't be overridden.
    fn environment(
        &self,
        spec: &InstanceSpec,
        folder: &Folder,
        name: &str,
    ) -> std::collections::BTreeMap<String, String> {
        let mut env =
            environment::complete(spec.env.clone(), environment::own_path(), &folder.home(), Some(&folder.temp()));
        if let Some(port) = spec.port {
            env.insert("PORT".to_owned(), port.to_string());
        }
        self.scope.mark(&mut env, marker::INSTANCE, name);
        env
    }
}

/// Waits while a supervisor is coming up or going away, as an interrupted server may have left it.
fn find(folder: &Folder, name: &str) -> Result<Found, StartError> {
    let stop_timeout = folder.spec().map_or(Duration::ZERO, |spec| spec.stop_timeout);
    let deadline = Instant::now() + stop_timeout + PATIENCE;
    while folder.is_supervised() {
        let (state, file) = observe(folder);
        let stopping = file.is_some_and(|file| file.stopping);
        match state {
            InstanceState::Running { .. } | InstanceState::Backoff { .. } | InstanceState::CrashLoop { .. }
                if !stopping =>
            {
                return Ok(Found::Running);
            }
            _ => {}
        }
        if Instant::now() >= deadline {
            let reason = "the one that is there neither starts nor stops the app; kill it and try again".to_owned();
            return Err(StartError::Supervisor { name: name.to_owned(), reason });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(Found::Nothing)
}

/// One line, or what there was of it at the end or the deadline.
fn read_report(mut out: ChildStdout, deadline: Instant) -> Vec<u8> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while !line.ends_with(b"\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(out.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            Ok(0) | Err(_) => break,
            Ok(_) => match out.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(read) => line.extend_from_slice(&chunk[..read]),
            },
        }
    }
    line
}

/// Why a supervisor might have said nothing, from what it left in its error file.
fn silence(errors: &Path, sent: Option<std::io::Error>) -> String {
    let said = std::fs::read(errors).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    match (said.trim().lines().next_back(), sent) {
        (Some(last), _) => format!("it ended without an answer: {last}"),
        (None, Some(error)) => format!("it does not take the environment: {error}"),
        (None, None) => format!("no answer within {}s", PATIENCE.as_secs()),
    }
}
