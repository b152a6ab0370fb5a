//! `plimsoll mcp`: the tools for agents over standard input and output, carried out by a server over its HTTP API.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp::{Call, Contract, Door, Settings, decode};
use operations::server::{Info, InfoRequest};
use operations::{Effect, Error, ErrorKind, Operation};
use serde_json::Value;

use super::Context;
use crate::cli::Globals;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  plimsoll mcp
  plimsoll mcp --read-only
  plimsoll mcp --server https://deploy.example.org --token-file /etc/plimsoll/token

An agent starts it by itself; its configuration names the command, such as
  { \"mcpServers\": { \"plimsoll\": { \"command\": \"plimsoll\", \"args\": [\"mcp\"] } } }
The same tools are at /mcp of every server, for agents that speak HTTP.";

/// How long a list of the tools waits for the server's word about them.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Serve the tools for AI agents (Model Context Protocol) on standard input and output.
///
/// Each operation is a tool. The server is found as by every other command; it need not run yet when this starts.
/// Nothing but the protocol is written to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only tools that change nothing, whatever an agent asks for.
    #[arg(long)]
    read_only: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    // Wrong options are told now; a server that is not there, only to calls.
    if context.globals.server.is_some() {
        Connection::find(&context.globals)?;
    }
    let contract = OverHttp { globals: Arc::new(context.globals.clone()), connection: Arc::default() };
    let door = Door::new(Arc::new(contract), Settings { read_only: args.read_only });
    mcp::stdio::serve(door).await.map_err(|why| {
        let problem = Error::invalid(format!("the client on standard input does not speak the protocol: {why}"));
        Failure::with(Exit::Usage, problem.hint("Let an agent start this command; it is not meant to be typed"))
    })
}

/// The operations, by the API of a server that may come and go.
#[derive(Clone)]
struct OverHttp {
    globals: Arc<Globals>,
    connection: Arc<Mutex<Option<Arc<Connection>>>>,
}

impl Contract for OverHttp {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Value, Error>> {
        let this = self.clone();
        macro_rules! by_name {
            ($($operation:ty),* $(,)?) => {
                match call.operation {
                    $( <$operation as Operation>::NAME => this.one::<$operation>(call).boxed(), )*
                    other => nothing(other).boxed(),
                }
            };
        }
        operations::for_each_operation!(by_name)
    }

    fn read_only(&self) -> BoxFuture<'static, bool> {
        let this = self.clone();
        async move {
            let info = tokio::time::timeout(TOLD_WITHIN, this.ask::<Info>(&InfoRequest {}, None)).await;
            matches!(info, Ok(Ok(info)) if info.mcp_read_only)
        }
        .boxed()
    }
}

impl OverHttp {
    async fn one<O: Operation>(self, call: Call) -> Result<Value, Error> {
        let request = decode::<O>(call.request)?;
        // A header can't carry the others; the server would refuse them anyway.
        if call.key.as_ref().is_some_and(|key| key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::invalid("`idempotency_key` has a character that is not visible ASCII, or none at all")
                .hint("A key has 1 to 128 visible ASCII characters, such as a UUID"));
        }
        // What may be sent twice must be one: an answer that was lost may be that of something done.
        let changes = O::EFFECT != Effect::Read;
        let key = call.key.or_else(|| changes.then(|| format!("mcp-{:032x}", rand::random::<u128>())));
        let response = self.ask::<O>(&request, key.as_deref()).await?;
        serde_json::to_value(response).map_err(|_| Error::internal())
    }

    async fn ask<O: Operation>(&self, request: &O::Request, key: Option<&str>) -> Result<O::Response, Error> {
        let connection = self.connect()?;
        let answer = match connection.call_with_key::<O>(request, key).await {
            // A server of this machine may be at another address since it was found.
            Err(failure) if unavailable(&failure) && connection.is_local() => {
                self.forget();
                self.connect()?.call_with_key::<O>(request, key).await
            }
            other => other,
        };
        answer.map_err(problem)
    }

    /// The server, looked for when it is needed first.
    fn connect(&self) -> Result<Arc<Connection>, Error> {
        let mut known = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = &*known {
            return Ok(connection.clone());
        }
        let found = Arc::new(Connection::find(&self.globals).map_err(problem)?.for_agent());
        *known = Some(found.clone());
        Ok(found)
    }

    fn forget(&self) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn nothing(operation: &'static str) -> Result<Value, Error> {
    Err(Error::not_found(format!("there is no operation `{operation}`")))
}

fn unavailable(failure: &Failure) -> bool {
    matches!(failure, Failure::Problem { problem, .. } if problem.code == ErrorKind::Unavailable)
}

fn problem(failure: Failure) -> Error {
    match failure {
        Failure::Problem { problem, .. } => *problem,
        Failure::Told(_) | Failure::ReaderGone => Error::internal(),
    }
}
