//! `plimsoll version`: this program's version, and the server's if there is one.

use operations::server::{Info, InfoRequest};
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll version
  plimsoll version --json";

/// Show the version of this program, and the server's version, database and addresses.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    let client = env!("CARGO_PKG_VERSION");
    let server = match context.connect() {
        Ok(connection) => connection.call::<Info>(&InfoRequest {}).await,
        Err(failure) => Err(failure),
    };
    let out = &context.out;
    if out.json {
        return out.document(&json!({ "version": client, "server": server.ok() }));
    }
    out.line(format!("plimsoll {client}"))?;
    match server {
        Ok(info) => {
            out.line(format!("server {} since {}", info.version, text::local(info.started_at)))?;
            out.line(format!("  database  {}", info.database))?;
            out.line(format!("  ingress   {}", info.ingress))?;
            out.line(format!("  apps at   {}", info.domain))?;
            if let Some(why) = &info.ingress_degraded {
                out.warn(format!("the ingress is not quite well: {}", text::clean_lines(why)));
            }
        }
        Err(Failure::Problem { problem, .. }) => out.remark(format!("no server: {problem}")),
        Err(_) => {}
    }
    Ok(())
}
