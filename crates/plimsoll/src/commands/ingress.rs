//! `plimsoll ingress`: the proxy in front of the apps, a process of its own.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use ingress::{Options, RunError, Settings, Start};
use operations::ingress::{Restart, RestartRequest};
use operations::{Error, ErrorKind, Operation};

use super::Context;
use crate::failure::Failure;
use crate::logging;
use crate::text::clean;

const EXAMPLES: &str = "\
Examples:
  plimsoll ingress restart";

/// Restart the proxy in front of the apps. (The server runs it.)
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    process: Process,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = Restart::SUMMARY, after_help = EXAMPLES)]
    Restart,
}

/// How the server starts the process.
#[derive(Debug, clap::Args)]
struct Process {
    /// Its folder.
    #[arg(long, value_name = "DIR", required = true, hide = true)]
    dir: Option<PathBuf>,
    /// Address to listen on for HTTP.
    #[arg(long, value_name = "ADDR", required = true, hide = true)]
    listen: Option<SocketAddr>,
    /// Address to listen on for HTTPS.
    #[arg(long, value_name = "ADDR", hide = true)]
    https_listen: Option<SocketAddr>,
    /// Send plain requests for hosts with a certificate to HTTPS.
    #[arg(long, hide = true)]
    https_redirect: bool,
    #[arg(long, value_name = "N", hide = true)]
    max_connections: Option<NonZeroUsize>,
    #[arg(long, value_name = "N", hide = true)]
    max_connections_per_client: Option<NonZeroUsize>,
    /// Take the place of the process that runs with the folder.
    #[arg(long, conflicts_with = "sockets_on_stdin", hide = true)]
    take_over: bool,
    /// Get the listening sockets through the standard input.
    #[arg(long, hide = true)]
    sockets_on_stdin: bool,
}

impl Args {
    /// Whether this is the process itself, not a client that asks for something.
    pub(crate) fn is_process(&self) -> bool {
        self.command.is_none()
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.command {
        Some(Command::Restart) => restart(context).await,
        None => serve(args.process).await,
    }
}

async fn restart(context: &Context) -> Result<(), Failure> {
    let restarted = context.connect()?.call::<Restart>(&RestartRequest {}).await?;
    let out = &context.out;
    if out.json {
        return out.document(&restarted);
    }
    let https = restarted.https.map(|address| format!(" and, for HTTPS, on {address}")).unwrap_or_default();
    out.line(format!(
        "the ingress (process {}, version {}) listens on {}{https}",
        restarted.pid,
        clean(&restarted.version),
        restarted.listen
    ))?;
    if let Some(before) = restarted.before {
        out.remark(format!("process {before} finishes its requests and ends"));
    }
    Ok(())
}

async fn serve(process: Process) -> Result<(), Failure> {
    let (Some(dir), Some(listen)) = (process.dir, process.listen) else {
        return Err(Failure::usage("--dir and --listen are needed"));
    };
    logging::start_from_environment();
    let settings = Settings {
        listen,
        https_listen: process.https_listen,
        https_redirect: process.https_redirect,
        max_connections: process.max_connections.map(NonZeroUsize::get),
        max_connections_per_client: process.max_connections_per_client.map(NonZeroUsize::get),
    };
    let start = match (process.take_over, process.sockets_on_stdin) {
        (true, _) => Start::TakeOver,
        (_, true) => Start::Given,
        _ => Start::Fresh,
    };
    ingress::run(Options { start, ..Options::new(dir, settings) }).await.map_err(|error| {
        let kind = match &error {
            RunError::Folder { .. } => ErrorKind::Invalid,
            RunError::Locked { .. } | RunError::Listen { .. } | RunError::HandOver { .. } => ErrorKind::Conflict,
            RunError::Control { .. } | RunError::Signals(_) | RunError::Tls(_) | RunError::Sockets(_) => {
                ErrorKind::Internal
            }
        };
        Error::new(kind, error.to_string()).into()
    })
}
