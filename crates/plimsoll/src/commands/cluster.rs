//! `plimsoll cluster`: the servers that share a database.

use chrono::Utc;
use operations::Operation;
use operations::cluster::{Cluster, Show, ShowRequest, Standing};

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean, count};

const EXAMPLES: &str = "\
Examples:
  plimsoll cluster
  plimsoll cluster --json";

#[derive(Debug, clap::Args)]
#[command(about = Show::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    let cluster = context.connect()?.call::<Show>(&ShowRequest {}).await?;
    if context.out.json {
        return context.out.document(&cluster);
    }
    context.out.line(table(context, &cluster))?;
    for host in cluster.hosts.iter().filter(|host| !host.live) {
        context.out.warn(format!("{} has no live server: its deployments wait", clean(&host.name)));
    }
    Ok(())
}

fn table(context: &Context, cluster: &Cluster) -> String {
    let mut table = Table::new(&context.out, &["server", "host", "address", "state", "heartbeat", "started", "drives"]);
    table.keep_whole(0);
    let now = Utc::now();
    for server in &cluster.servers {
        let (state, tone) = match server.standing {
            Standing::Live if server.leader => ("leads", Tone::Good),
            Standing::Live => ("live", Tone::Good),
            Standing::Leaving => ("stops", Tone::Waiting),
            Standing::Expired => ("expired", Tone::Bad),
        };
        let mine = if server.id == cluster.answered_by { " *" } else { "" };
        table.row([
            (format!("{}{mine}", server.id), Tone::Plain),
            (clean(&server.host), Tone::Plain),
            (clean(&server.url), Tone::Plain),
            (state.to_owned(), tone),
            (format!("{} ms of {} s", server.heartbeat_age_ms, server.lease_seconds), Tone::Plain),
            (format!("{} ago", text::age(server.started_at, now)), Tone::Plain),
            (count(server.deployments.len(), "deployment"), Tone::Plain),
        ]);
    }
    table.render()
}
