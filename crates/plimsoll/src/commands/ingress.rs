//! `plimsoll ingress`: the proxy in front of the apps, a process of its own.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use ingress::{Options, RunError};
use operations::{Error, ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Passes requests on to the apps. Started by the server; not for people.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_env("PLIMSOLL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    ingress::run(Options::new(args.dir, args.listen)).await.map_err(|error| {
        let kind = match &error {
            RunError::Folder { .. } => ErrorKind::Invalid,
            RunError::Locked { .. } | RunError::Listen { .. } => ErrorKind::Conflict,
            RunError::Control { .. } | RunError::Signals(_) => ErrorKind::Internal,
        };
        Error::new(kind, error.to_string()).into()
    })
}
