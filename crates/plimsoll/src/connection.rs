//! Finding the server and its token, and finding it again after a restart.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use operations::client::CallError;
use operations::{Client, Error, ErrorKind, Operation, local};
use secrecy::SecretString;

use crate::cli::Globals;
use crate::credentials::Credentials;
use crate::failure::Failure;

/// How long a server may be away before we give up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and how to reach it.
pub(crate) struct Connection {
    /// Of a server on this machine: it makes a new token at each start, so the file is read again when it is away.
    local: Option<PathBuf>,
    /// Given by the user; wins over the local file's.
    token: Option<SecretString>,
    client: Mutex<Client>,
    /// What it asks, an agent asks.
    agent: bool,
}

impl Connection {
    /// `--server` with a token, else the server of the data folder, else the one that started last.
    pub(crate) fn find(globals: &Globals) -> Result<Self, Failure> {
        let token = token(globals)?;
        match &globals.server {
            Some(url) => Self::at(url, token, globals),
            None => {
                let data = data_folder(globals)?;
                let client = local_client(&data, token.as_ref())?;
                Ok(Self { local: Some(data), token, client: Mutex::new(client), agent: false })
            }
        }
    }

    fn at(url: &str, token: Option<SecretString>, globals: &Globals) -> Result<Self, Failure> {
        is_address(url)?;
        let token = match token {
            Some(token) => Some(token),
            None => logged_in(url)?,
        };
        // A server of this machine lets its own user in without a token.
        let data = data_folder(globals).ok();
        let known = data.and_then(|data| Some((local::read(&data).ok()?, data)));
        let known = known.filter(|(found, _)| same_server(&found.url, url));
        let (key, folder) = match (&token, known) {
            (Some(token), known) => (token.clone(), known.map(|(_, data)| data)),
            (None, Some((found, data))) => (found.token, Some(data)),
            (None, None) => {
                return Err(Failure::from(Error::new(ErrorKind::Unauthorized, format!("no token for {url}")))
                    .hint(format!("Run `plimsoll login {url}`, set PLIMSOLL_TOKEN, or give --token-file the name of a file that holds one")));
            }
        };
        let client = Client::new(url, &key)?;
        Ok(Self { local: folder, token, client: Mutex::new(client), agent: false })
    }

    /// The same, for an agent's calls.
    pub(crate) fn for_agent(self) -> Self {
        Self { agent: true, ..self }
    }

    pub(crate) fn client(&self) -> Client {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.agent { client.for_agent() } else { client }
    }

    /// It reads the same disk as we do.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// Looks again where the server is and which token it wants; nothing changes if that can't be told.
    pub(crate) fn refresh(&self) {
        if let Some(data) = &self.local
            && let Ok(client) = local_client(data, self.token.as_ref())
        {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    pub(crate) async fn call<O: Operation>(&self, request: &O::Request) -> Result<O::Response, Failure> {
        self.call_with_key::<O>(request, None).await
    }

    pub(crate) async fn call_with_key<O: Operation>(
        &self,
        request: &O::Request,
        key: Option<&str>,
    ) -> Result<O::Response, Failure> {
        let answer = self.client().call_with_key::<O>(request, key).await;
        match answer {
            // The server may have restarted since its token was read.
            Err(error) if self.local.is_some() && error.kind() == Some(ErrorKind::Unauthorized) => {
                self.refresh();
                Ok(self.client().call_with_key::<O>(request, key).await?)
            }
            other => Ok(other?),
        }
    }

    /// Like [`Connection::call_with_key`], but outlasts a server that is away for up to [`PATIENCE`].
    /// The key makes sure that a request whose answer was lost is not carried out twice.
    pub(crate) async fn call_patiently<O: Operation>(
        &self,
        request: &O::Request,
        key: &str,
        mut away: impl FnMut(),
    ) -> Result<O::Response, Failure> {
        let start = Instant::now();
        let mut wait = Duration::from_millis(200);
        loop {
            match self.client().call_with_key::<O>(request, Some(key)).await {
                Err(error) if self.may_pass(&error) && start.elapsed() < PATIENCE => {
                    if wait == Duration::from_millis(200) {
                        away();
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                    self.refresh();
                }
                other => return Ok(other?),
            }
        }
    }

    /// Waiting can help.
    pub(crate) fn may_pass(&self, error: &CallError) -> bool {
        match error {
            CallError::Unreachable { .. } | CallError::Garbled { .. } => true,
            CallError::Refused(problem) => match problem.code {
                ErrorKind::Unavailable => true,
                // After a restart the token of the local file is another one.
                ErrorKind::Unauthorized => self.local.is_some() && self.token.is_none(),
                _ => false,
            },
        }
    }
}

/// The data folder that is meant: `--data`, else that of the server that started last, else the default.
pub(crate) fn data_folder(globals: &Globals) -> Result<PathBuf, Failure> {
    let var = |name: &str| std::env::var(name).ok();
    let found = globals.data.clone().or_else(|| local::last_started(var)).or_else(|| local::default_data(var));
    found.ok_or_else(|| {
        Failure::usage("no data folder: neither HOME nor XDG_DATA_HOME is set").hint("Give one with --data DIR")
    })
}

fn local_client(data: &Path, token: Option<&SecretString>) -> Result<Client, Failure> {
    let found = local::read(data).map_err(|e| {
        let problem = match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!("no server runs with the data folder {}", data.display())
            }
            _ => format!("can't read {}: {e}", data.join(local::FILE).display()),
        };
        Failure::from(Error::unavailable(problem))
            .hint("Start one with `plimsoll server`, or name another with --server URL")
    })?;
    Ok(Client::new(&found.url, token.unwrap_or(&found.token))?)
}

/// From `--token-file`, else from PLIMSOLL_TOKEN.
fn token(globals: &Globals) -> Result<Option<SecretString>, Failure> {
    let text = match &globals.token_file {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?),
        None => std::env::var("PLIMSOLL_TOKEN").ok(),
    };
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(SecretString::from))
}

/// The token of a login at this server. Without a home there is none.
fn logged_in(url: &str) -> Result<Option<SecretString>, Failure> {
    if !Credentials::have_a_place() {
        return Ok(None);
    }
    let credentials = Credentials::open()?;
    let Some(credential) = credentials.of(url) else { return Ok(None) };
    if credential.expires_at <= Utc::now() {
        return Err(Failure::from(Error::new(ErrorKind::Unauthorized, format!("the login at {url} has expired")))
            .hint(format!("Run `plimsoll login {url}` again")));
    }
    Ok(Some(credential.secret.clone()))
}

/// Whether it can be one at all.
pub(crate) fn is_address(url: &str) -> Result<(), Failure> {
    match url.starts_with("http://") || url.starts_with("https://") {
        true => Ok(()),
        false => Err(Failure::from(Error::invalid(format!("`{url}` is not the address of a server")))
            .hint("Give a URL such as https://deploy.example.org or http://127.0.0.1:7878")),
    }
}

fn same_server(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}
