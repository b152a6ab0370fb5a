//! `plimsoll releases`: what was built.

use chrono::Utc;
use domain::Name;
use domain::labels::Tag;
use domain::release::Release;
use domain::spec::Serve;
use operations::Operation;
use operations::releases::{Get, GetRequest, List, ListRequest, ReleaseStatus};

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll releases list
  plimsoll releases list --app shop --json
  plimsoll releases show v3";

/// List and show an app's releases.
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
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Number of the release: 3 or v3.
    #[arg(value_name = "RELEASE", value_parser = number)]
    number: u32,
    /// Name of the app.
    #[arg(long, short)]
    app: Name,
}

pub(super) fn number(text: &str) -> Result<u32, String> {
    text.strip_prefix('v').unwrap_or(text).parse().map_err(|_| "expected a release number such as 3 or v3".to_owned())
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    match args.command {
        Command::List(request) => {
            let page = connection.call::<List>(&request).await?;
            if context.out.json {
                return context.out.document(&page);
            }
            if page.items.is_empty() {
                context.out.remark(format!("{} has no release yet: `plimsoll deploy` makes one", request.app));
                return Ok(());
            }
            context.out.line(table(context, &page.items))?;
            if let Some(next) = page.next {
                context.out.remark(format!("more: --cursor {next}"));
            }
            Ok(())
        }
        Command::Show(Show { number, app }) => {
            let release = connection.call::<Get>(&GetRequest { app, number }).await?;
            match context.out.json {
                true => context.out.document(&release),
                false => details(&release).into_iter().try_for_each(|line| context.out.line(line)),
            }
        }
    }
}

fn table(context: &Context, items: &[ReleaseStatus]) -> String {
    let mut table = Table::new(&context.out, &["release", "tags", "commit", "summary", "made", "active in"]);
    let now = Utc::now();
    for ReleaseStatus { release, active_in, .. } in items {
        let (commit, summary) = match &release.commit {
            Some(commit) => (commit.short().to_owned(), commit.summary.clone()),
            None => (String::new(), format!("files, digest {}", release.digest.short())),
        };
        let active: Vec<&str> = active_in.iter().map(Name::as_str).collect();
        let tone = if active.is_empty() { Tone::Plain } else { Tone::Good };
        let made = format!("{} ago", text::age(release.created_at, now));
        let summary = match release.files_gone_at {
            Some(_) => format!("{summary} (files not kept any more)"),
            None => summary,
        };
        table.row([
            (format!("v{}", release.number), tone),
            (tags(release), Tone::Plain),
            (commit, Tone::Plain),
            (summary, Tone::Plain),
            (made, Tone::Plain),
            (active.join(" "), tone),
        ]);
    }
    table.render()
}

fn tags(release: &Release) -> String {
    release.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
}

fn details(status: &ReleaseStatus) -> Vec<String> {
    let release = &status.release;
    let mut lines = vec![format!("release   v{} ({})", release.number, release.id)];
    if let Some(commit) = &release.commit {
        lines.push(format!("commit    {} {}", commit.short(), clean(&commit.summary)));
        lines.push(format!("author    {}", clean(&commit.author)));
    }
    if !release.tags.is_empty() {
        lines.push(format!("tags      {}", tags(release)));
    }
    lines.extend(release.metadata.iter().map(|(key, value)| format!("metadata  {key}={}", clean(value.as_str()))));
    lines.push(format!("made      {}", text::local(release.created_at)));
    if let Some(from) = &release.promoted_from {
        lines.push(format!("promoted  from v{} of {}", from.number, from.environment));
    }
    lines.push(format!("digest    {}", release.digest));
    lines.push(format!("size      {} in {}", text::bytes(release.size), text::count(release.files as usize, "file")));
    if let Some(at) = release.files_gone_at {
        lines.push(format!("files     not kept any more, since {}", text::local(at)));
    }
    let active: Vec<&str> = status.active_in.iter().map(Name::as_str).collect();
    lines.push(format!("active in {}", if active.is_empty() { "nowhere".to_owned() } else { active.join(", ") }));
    if !status.variables.is_empty() {
        lines.push(format!("variables {}", clean(&status.variables.join(", "))));
    }
    for component in &release.spec.components {
        lines.push(match &component.serve {
            Serve::Process { command, instances, .. } => {
                format!("{:<9} {} × {}", component.name.as_str(), instances, clean(command))
            }
            Serve::Static { publish, .. } => {
                format!("{:<9} files of {}", component.name.as_str(), super::init::folder(publish))
            }
        });
    }
    lines
}
