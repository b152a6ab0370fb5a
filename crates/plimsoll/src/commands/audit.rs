//! `plimsoll audit`: who did what, and whether the log of it is as it was written.

mod file;

use std::path::PathBuf;

use domain::audit::{ActorKind, Outcome, Record};
use futures::StreamExt;
use operations::Operation;
use operations::audit::{ExportRequest, List, ListRequest, Verified, Verify, VerifyRequest};
use tokio::io::AsyncWriteExt;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll audit list
  plimsoll audit list --app shop --operation deployments.deploy
  plimsoll audit list --outcome refused --since 2026-11-21T00:00:00Z --json
  plimsoll audit verify
  plimsoll audit export --output audit.ndjson
  plimsoll audit verify --file audit.ndjson

`plimsoll audit verify --anchor SEQ:HASH` holds the log against a record that was noted elsewhere. With `--file` no server is
asked: the hashes of an export of the whole log are looked at, on any machine.";

/// Who did what: list, verify and export the audit log.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(ListRequest),
    #[command(about = Verify::SUMMARY, after_help = EXAMPLES)]
    Verify(Check),
    /// Write all records out, the oldest first, one JSON document a line
    #[command(after_help = EXAMPLES)]
    Export(Export),
}

#[derive(Debug, clap::Args)]
struct Check {
    #[command(flatten)]
    request: VerifyRequest,
    /// This export of the whole log instead of the server's own; no server is needed.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Export {
    #[command(flatten)]
    request: ExportRequest,
    /// Into this file, which must not be there yet; to stdout by default.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(request) => list(context, request).await,
        Command::Verify(Check { request, file: None }) => {
            let verified = context.connect()?.call::<Verify>(&request).await?;
            told(context, &verified, "they are of another key file")
        }
        Command::Verify(Check { request, file: Some(file) }) => {
            let verified = file::verify(&file, request.anchor.as_deref()).await?;
            told(context, &verified, "that takes the server's key file")
        }
        Command::Export(Export { request, output }) => export(context, request, output).await,
    }
}

async fn list(context: &Context, request: ListRequest) -> Result<(), Failure> {
    let page = context.connect()?.call::<List>(&request).await?;
    if context.out.json {
        return context.out.document(&page);
    }
    let mut table = Table::new(&context.out, &["seq", "when", "who", "what", "of", "outcome"]);
    for record in &page.items {
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(record.seq.to_string()),
            plain(text::local(record.draft.at)),
            plain(who(record)),
            plain(clean(&record.draft.operation)),
            plain(of(record)),
            outcome(record),
        ]);
    }
    context.out.line(table.render())?;
    if let Some(next) = page.next {
        context.out.remark(format!("more: --cursor {next}"));
    }
    Ok(())
}

fn who(record: &Record) -> String {
    let name = clean(&record.draft.actor_name);
    match record.draft.actor_kind {
        ActorKind::Person | ActorKind::Schedule | ActorKind::System => name,
        ActorKind::Token => format!("token {name}"),
        ActorKind::Agent => format!("agent of {name}"),
    }
}

fn of(record: &Record) -> String {
    let draft = &record.draft;
    let place: Vec<&str> = [&draft.app, &draft.environment].into_iter().flatten().map(|name| name.as_str()).collect();
    let target = draft.target.as_deref().map(clean);
    let parts: Vec<String> = [place.join("/")].into_iter().chain(target).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

fn outcome(record: &Record) -> (String, Tone) {
    let text = record.draft.outcome.as_str().to_owned();
    match record.draft.outcome {
        Outcome::Done => (text, Tone::Good),
        Outcome::Begun => (text, Tone::Waiting),
        Outcome::Failed | Outcome::Refused => (text, Tone::Bad),
    }
}

/// `unchecked` says why the MACs of some were not looked at.
fn told(context: &Context, verified: &Verified, unchecked: &str) -> Result<(), Failure> {
    if context.out.json {
        context.out.document(verified)?;
    } else {
        tell(context, verified, unchecked)?;
    }
    if verified.sound { Ok(()) } else { Err(Failure::Told(Exit::Unwell)) }
}

fn tell(context: &Context, verified: &Verified, why: &str) -> Result<(), Failure> {
    let Verified { sound: _, records, anchor, unchecked, fault } = verified;
    let out = &context.out;
    if let Some(fault) = fault {
        return out.line(format!("{}: {}", out.paint.red("not as it was written"), clean(&fault.what)));
    }
    let count = text::count(usize::try_from(*records).unwrap_or(usize::MAX), "record");
    out.line(format!("{}: {count}", out.paint.green("as it was written")))?;
    if *unchecked > 0 {
        out.warn(format!("the MACs of {unchecked} of them were not looked at: {why}"));
    }
    match anchor {
        Some(anchor) => out.line(format!("keep this elsewhere: {anchor}")),
        None => Ok(()),
    }
}

async fn export(context: &Context, request: ExportRequest, output: Option<PathBuf>) -> Result<(), Failure> {
    let client = context.connect()?.client();
    let mut pieces = client.download(&request.path()).await?;
    let Some(path) = output else {
        while let Some(piece) = pieces.next().await {
            context.out.raw(&piece?)?;
        }
        return Ok(());
    };
    let failed = |e: std::io::Error| Failure::file("write", &path, &e);
    let mut file = tokio::fs::File::create_new(&path).await.map_err(failed)?;
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)?;
    context.out.remark(format!("wrote {}", path.display()));
    Ok(())
}
