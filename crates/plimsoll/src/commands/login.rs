//! `plimsoll login`: a token for a server elsewhere, by way of a browser.

use std::fs;
use std::time::{Duration, Instant};

use operations::sign_in::{
    BeginDevice, CollectDevice, DEVICE, DEVICE_PAGE, DEVICE_TOKEN, DeviceAnswer, DeviceBegun, LONGEST_NAME, Login,
};
use operations::{Client, Error, ErrorKind};
use serde_json::json;

use super::Context;
use crate::connection::is_address;
use crate::credentials::{Credential, Credentials};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll login https://deploy.example.org
  plimsoll login https://deploy.example.org --name \"build box\"
  plimsoll --server https://deploy.example.org status

It shows a code and an address. Whoever opens the address in a browser, is signed in there and types the code lets this program
act in their name, with the roles that they have then, for 90 days. The token is kept in ~/.config/plimsoll/credentials.toml,
which you alone can read; `plimsoll logout` gives it back. On the server's own machine, as the server's user, no login is needed.";

/// Let this program act for you at a server.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of the server; by default that of --server or PLIMSOLL_SERVER.
    #[arg(value_name = "SERVER")]
    address: Option<String>,
    /// What its token is called there; by default after this machine.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    let server = server(context, args.address)?;
    // A login that could not be kept would be one for nobody: looked at first.
    let mut credentials = Credentials::open()?;
    let client = Client::anonymous(&server)?;
    let begun: DeviceBegun = client.ask(DEVICE, &BeginDevice { name: args.name.unwrap_or_else(name) }).await?;
    let page = begun.address.clone().unwrap_or_else(|| format!("{}{DEVICE_PAGE}", client.base()));
    let link = format!("{page}?code={}", begun.user_code);
    if out.json {
        out.record(&json!({ "address": link, "user_code": begun.user_code, "expires_in": begun.expires_in }))?;
    } else {
        out.line(format!("Open  {}", out.paint.cyan(&link)))?;
        out.line(format!("and see that it shows the code  {}", out.paint.bold(begun.user_code.as_str())))?;
        out.remark("waiting for you to let this program in …");
    }
    let login = wait(&client, &begun).await?;
    let Login { secret, token, person, expires_at } = login;
    let kept = Credential { secret: secret.into(), token: token.clone(), person: person.clone(), expires_at };
    credentials.keep(&server, kept)?;
    if out.json {
        return out.record(
            &json!({ "server": client.base(), "person": person, "token": token, "expires_at": expires_at, "file": credentials.path() }),
        );
    }
    out.line(format!("logged in to {} as {} until {}", client.base(), clean(&person), text::local(expires_at)))?;
    if context.globals.server.is_none() {
        out.remark(format!("for all commands: export PLIMSOLL_SERVER={}", client.base()));
    }
    Ok(())
}

/// The server that is meant.
fn server(context: &Context, named: Option<String>) -> Result<String, Failure> {
    let server = named.or_else(|| context.globals.server.clone()).ok_or_else(|| {
        Failure::usage("which server?").hint("Name it, such as: plimsoll login https://deploy.example.org")
    })?;
    is_address(&server)?;
    Ok(server)
}

/// Asks until a person has answered, or it is over.
async fn wait(client: &Client, begun: &DeviceBegun) -> Result<Login, Failure> {
    let interval = Duration::from_secs(begun.interval.clamp(1, 60).into());
    let end = Instant::now() + Duration::from_secs(begun.expires_in.into());
    let question = CollectDevice { device_code: begun.device_code.clone() };
    loop {
        match client.ask(DEVICE_TOKEN, &question).await {
            Ok(DeviceAnswer::Approved(login)) => return Ok(login),
            Ok(DeviceAnswer::Refused) => {
                let refused = Error::new(ErrorKind::Forbidden, "this program was not let in");
                return Err(Failure::from(refused).hint("Run `plimsoll login` again, and approve it"));
            }
            Ok(DeviceAnswer::Waiting) if Instant::now() < end => {}
            Ok(DeviceAnswer::Waiting) => {
                let late = Error::conflict("nobody has let this program in, and the time is over");
                return Err(Failure::with(Exit::Cancelled, late).hint("Run `plimsoll login` again"));
            }
            // It may be away for a moment; what it has counted as an answer is over then, and said so.
            Err(error) if Instant::now() < end && passes(&error) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(interval).await;
    }
}

fn passes(error: &operations::client::CallError) -> bool {
    use operations::client::CallError;
    match error {
        CallError::Unreachable { .. } => true,
        CallError::Refused(problem) => matches!(problem.code, ErrorKind::Unavailable | ErrorKind::RateLimited),
        CallError::Garbled { .. } => false,
    }
}

/// After this machine.
fn name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| !c.is_control()).collect();
    let name = if host.is_empty() { "plimsoll".to_owned() } else { format!("plimsoll on {host}") };
    name.chars().take(LONGEST_NAME).collect()
}
