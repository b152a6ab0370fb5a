//! `plimsoll doctor`: what on this machine keeps Plimsoll from working well.

use std::net::SocketAddr;

use serde_json::json;

use super::Context;
use crate::connection::data_folder;
use crate::database::DatabaseArgs;
use crate::doctor::{self, Finding, Listen, Status, Surroundings};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::clean_lines;

const EXAMPLES: &str = "\
Examples:
  plimsoll doctor
  plimsoll doctor --json
  plimsoll doctor --data /var/lib/plimsoll --ingress-listen 0.0.0.0:80

It looks at this machine and the data folder, with or without a server, and changes nothing. The exit code is 10 when
something must be put right.";

/// Look for what keeps Plimsoll from working well on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address that the API is to have, when no server runs.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// Address that apps are to answer at, when no ingress runs.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    ingress_listen: SocketAddr,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let data = data_folder(&context.globals)?;
    let database = args.database.find(&context.out)?;
    let listen = Listen { api: args.listen, ingress: args.ingress_listen };
    let around = Surroundings::look(data, database, listen).await;
    let findings = doctor::examine(&around).await;
    let worst = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
    if context.out.json {
        context.out.document(&json!({ "data": around.data, "worst": worst, "findings": findings }))?;
    } else {
        tell(context, &findings)?;
    }
    match worst {
        Status::Failed => Err(Failure::Told(Exit::Unwell)),
        Status::Ok | Status::Skipped | Status::Warning => Ok(()),
    }
}

fn tell(context: &Context, findings: &[Finding]) -> Result<(), Failure> {
    let paint = context.out.paint;
    for finding in findings {
        let mark = match finding.status {
            Status::Ok => paint.green("ok     "),
            Status::Skipped => paint.dim("-      "),
            Status::Warning => paint.yellow("warning"),
            Status::Failed => paint.red("failed "),
        };
        let found = clean_lines(&finding.found).replace('\n', &format!("\n{:31}", ""));
        context.out.line(format!("{mark} {:<22} {found}", finding.check))?;
        if let Some(advice) = &finding.advice {
            context.out.line(format!("        {:<22} {}", "", paint.bold(format!("-> {advice}"))))?;
        }
    }
    let count = |status: Status| findings.iter().filter(|finding| finding.status == status).count();
    let (failed, warnings) = (count(Status::Failed), count(Status::Warning));
    context.out.line("")?;
    context.out.line(match (failed, warnings) {
        (0, 0) => "all is well".to_owned(),
        _ => format!("{failed} to put right, {warnings} to know of"),
    })
}
