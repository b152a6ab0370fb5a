//! `plimsoll logout`: gives back what `plimsoll login` has got.

use operations::client::CallError;
use operations::tokens::{Revoke, RevokeRequest};
use operations::{Client, Error, ErrorKind};
use serde_json::json;

use super::Context;
use crate::credentials::Credentials;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  plimsoll logout https://deploy.example.org
  plimsoll logout https://deploy.example.org --forget

The token is revoked at the server, then forgotten here.";

/// Give back the token of `plimsoll login`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of the server; by default that of --server or PLIMSOLL_SERVER, or the only one there is a login for.
    #[arg(value_name = "SERVER")]
    address: Option<String>,
    /// Only forget it here, as the server is away for good: the token stays valid until its time is over.
    #[arg(long)]
    forget: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    let mut credentials = Credentials::open()?;
    let named = args.address.or_else(|| context.globals.server.clone());
    let known: Vec<String> = credentials.servers().map(str::to_owned).collect();
    let server = match (named, known.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => only.clone(),
        (None, []) => return Err(no_login("there is no login")),
        (None, several) => {
            let which = format!("which server? There are logins for {}", several.join(", "));
            return Err(Failure::usage(which).hint("Name it: plimsoll logout SERVER"));
        }
    };
    let Some(credential) = credentials.of(&server).cloned() else {
        return Err(no_login(&format!("there is no login for {server}")));
    };
    if !args.forget {
        let client = Client::new(&server, &credential.secret)?;
        match client.call::<Revoke>(&RevokeRequest { token: credential.token.clone() }).await {
            Ok(_) => {}
            // It has ended in another way.
            Err(CallError::Refused(problem)) if problem.code == ErrorKind::Unauthorized => {}
            Err(error) => {
                return Err(Failure::from(error).hint("Try again later; --forget only forgets it here"));
            }
        }
    }
    credentials.forget(&server)?;
    match out.json {
        true => out.document(&json!({ "server": server, "token": credential.token, "revoked": !args.forget })),
        false => out.line(format!("logged out of {server}")),
    }
}

fn no_login(what: &str) -> Failure {
    Failure::from(Error::not_found(what)).hint("`plimsoll login SERVER` makes one")
}
