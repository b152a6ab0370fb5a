//! `plimsoll deployments`: what was deployed, and how it went.

use chrono::Utc;
use domain::deployment::Deployment;
use domain::phase::Phase;
use operations::deployments::{DeploymentRequest, Get, List, ListRequest, Output, OutputRequest};
use operations::logs::LogLine;
use operations::page::MAX_LIMIT;
use operations::{Operation, stream};

use super::Context;
use crate::failure::Failure;
use crate::follow::{self, parse, tag};
use crate::listen::{Heard, listen};
use crate::source;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll deployments list --app shop
  plimsoll deployments list --phase failed --limit 5
  plimsoll deployments list --search 1f2e3d4 --since 2026-11-01T00:00:00Z
  plimsoll deployments list --requested-by ci
  plimsoll deployments show dep_01hf7yat00000000000000002a
  plimsoll deployments show dep_01hf7yat00000000000000002a -f
  plimsoll deployments output dep_01hf7yat00000000000000002a
  plimsoll deployments output dep_01hf7yat00000000000000002a --tail 50 --follow";

/// List, show and follow deployments, and read their output.
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
    #[command(about = Get::SUMMARY, after_help = EXAMPLES)]
    Show(One),
    #[command(about = Output::SUMMARY, after_help = EXAMPLES)]
    Output(OutputArgs),
}

#[derive(Debug, clap::Args)]
struct One {
    #[command(flatten)]
    request: DeploymentRequest,
    /// Go on until its end; the exit code is its outcome.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
struct OutputArgs {
    #[command(flatten)]
    request: DeploymentRequest,
    /// Only the last lines: so many, 1 to 500.
    #[arg(long, short = 'n', value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIMIT)))]
    tail: Option<u32>,
    /// Go on until its end.
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(request) => list(context, request).await,
        Command::Show(one) => show(context, one).await,
        Command::Output(args) => output(context, args).await,
    }
}

async fn list(context: &Context, request: ListRequest) -> Result<(), Failure> {
    let page = context.connect()?.call::<List>(&request).await?;
    if context.out.json {
        return context.out.document(&page);
    }
    if page.items.is_empty() {
        context.out.remark("nothing was deployed yet");
        return Ok(());
    }
    let mut table = Table::new(&context.out, &["deployment", "app", "phase", "release", "when", "took"]);
    let now = Utc::now();
    for deployment in &page.items {
        let took = deployment.finished_at.map(|end| text::took(text::between(deployment.created_at, end)));
        table.row([
            (deployment.id.to_string(), Tone::Plain),
            (format!("{} {}", deployment.app, deployment.environment), Tone::Plain),
            (phase(deployment), tone(deployment)),
            (deployment.release_number.map(|n| format!("v{n}")).unwrap_or_default(), Tone::Plain),
            (format!("{} ago", text::age(deployment.created_at, now)), Tone::Plain),
            (took.unwrap_or_else(|| format!("{}%", deployment.progress)), Tone::Plain),
        ]);
    }
    table.keep_whole(0);
    context.out.line(table.render())?;
    if let Some(next) = page.next {
        context.out.remark(format!("more: --cursor {next}"));
    }
    Ok(())
}

fn phase(deployment: &Deployment) -> String {
    let phase = text::phase(deployment.phase);
    if deployment.stuck.is_some() { format!("{phase}, stuck") } else { phase }
}

pub(super) fn tone(deployment: &Deployment) -> Tone {
    match deployment.phase {
        _ if deployment.stuck.is_some() => Tone::Bad,
        Phase::Active => Tone::Good,
        Phase::Failed | Phase::RolledBack => Tone::Bad,
        Phase::Cancelled => Tone::Plain,
        _ => Tone::Waiting,
    }
}

async fn show(context: &Context, one: One) -> Result<(), Failure> {
    let connection = context.connect()?;
    let deployment = connection.call::<Get>(&one.request).await?;
    if one.follow {
        return match deployment.phase.is_end() {
            true => follow::conclude(context, &connection, &deployment).await,
            false => follow::to_the_end(context, &connection, deployment).await,
        };
    }
    if context.out.json {
        return context.out.document(&deployment);
    }
    details(&deployment).into_iter().try_for_each(|line| context.out.line(line))
}

fn details(deployment: &Deployment) -> Vec<String> {
    let mut lines = vec![
        format!("deployment {}", deployment.id),
        format!("app        {} in {}", deployment.app, deployment.environment),
        format!("kind       {} by {}", tag(&deployment.kind), clean(&deployment.requested_by)),
        format!("phase      {} ({}%)", text::phase(deployment.phase), deployment.progress),
    ];
    if let Some(source) = &deployment.source {
        lines.push(format!("source     {}", clean(&source::describe(source))));
    }
    if let Some(commit) = &deployment.metadata.commit {
        lines.push(format!("commit     {} {}", commit.short(), clean(&commit.summary)));
    }
    if let Some(number) = deployment.release_number {
        lines.push(format!("release    v{number}"));
    }
    if let Some(stack) = &deployment.metadata.detected_type {
        lines.push(format!("stack      {}", clean(stack)));
    }
    lines.push(format!("asked for  {}", text::local(deployment.created_at)));
    lines.extend(deployment.metadata.waiting_for.iter().map(|what| format!("waits for  {}", clean(what))));
    lines.extend(deployment.metadata.urls.iter().map(|url| format!("address    {}", clean(url))));
    for times in &deployment.phases {
        let took = times.finished_at.map(|end| text::took(text::between(times.started_at, end)));
        lines.push(format!("  {:<18} {}", text::phase(times.phase), took.unwrap_or_default()).trim_end().to_owned());
    }
    if let Some(promotion) = &deployment.metadata.promotion {
        lines.push(format!("promotes   v{} of {}", promotion.number, promotion.from));
        lines.extend(promotion.findings.iter().map(|f| format!("  {}: {}", tag(&f.severity), clean(&f.message))));
        lines.extend(promotion.forced.iter().map(|reason| format!("  forced: {}", clean(reason))));
    }
    lines.extend(deployment.metadata.smoke_tests.iter().flat_map(super::smoke_tests::lines));
    if let (Some(abandoned), Phase::Active) = (&deployment.metadata.abandoned, deployment.phase) {
        lines.push(format!("abandoned by {}", clean(&abandoned.by)));
        lines.extend(abandoned.left.iter().map(|step| format!("  not done: {}", clean(step))));
    }
    if let Some(failure) = &deployment.failure {
        lines.push(format!("failed in {} ({})", text::phase(failure.phase), tag(&failure.cause)));
        lines.extend(failure.message.lines().map(|line| format!("  {}", clean(line))));
        lines.extend(failure.output.iter().map(|line| format!("  │ {}", clean(line))));
        lines.push(format!("  try: {}", text::clean_lines(&failure.hint)));
    }
    if let Some(reason) = &deployment.stuck {
        lines.push(format!("stuck: {}", text::clean_lines(reason)));
        lines.push(format!("  try: `plimsoll resume {0}`, once that is put right", deployment.id));
        lines.push(format!("  or: `plimsoll abandon {0}` ends it as it is", deployment.id));
    }
    lines
}

async fn output(context: &Context, args: OutputArgs) -> Result<(), Failure> {
    let connection = context.connect()?;
    let OutputArgs { request: DeploymentRequest { deployment }, tail, follow } = args;
    let mut told = None;
    loop {
        // Who follows everything gets it from the stream.
        if follow && tail.is_none() {
            break;
        }
        let of = OutputRequest::of(deployment.clone());
        let request = match tail {
            Some(limit) => OutputRequest { tail: true, limit, ..of },
            None => OutputRequest { after: told, limit: MAX_LIMIT, ..of },
        };
        let page = connection.call::<Output>(&request).await?;
        for line in &page.lines {
            super::logs::show(context, line)?;
        }
        told = page.lines.last().map(|line| line.seq).or(told);
        if tail.is_some() || page.lines.len() < MAX_LIMIT as usize {
            break;
        }
    }
    if !follow {
        return Ok(());
    }
    let mut heard = listen(connection, stream::output_path(&deployment), told.map(|told| told.to_string()));
    let mut told = told.unwrap_or(0);
    while let Some(heard) = heard.recv().await {
        match heard {
            Heard::Message(message) => {
                if let Some(line) = parse::<LogLine>(&message.data).filter(|line| line.seq > told) {
                    told = line.seq;
                    super::logs::show(context, &line)?;
                }
            }
            Heard::Away => context.out.remark("the server is away, reconnecting…"),
            Heard::Back => context.out.remark("the server is back"),
            Heard::End => break,
            Heard::Lost(error) => return Err(error.into()),
        }
    }
    Ok(())
}
