//! `plimsoll apps`: apps by name and source.

use chrono::Utc;
use domain::Name;
use operations::Operation;
use operations::apps::{
    self, Create, CreateRequest, Delete, Get, GetRequest, List, ListRequest, SetConcurrency, SetConcurrencyRequest,
    SetSource, SetSourceRequest,
};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::source;
use crate::table::Table;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll apps list
  plimsoll apps list --search shop
  plimsoll apps create shop --source https://example.org/team/shop.git --ref main
  plimsoll apps create site --source ./public
  plimsoll apps show shop
  plimsoll apps set-source shop ../shop
  plimsoll apps set-concurrency shop 4
  plimsoll apps delete shop";

/// List, show, create and delete apps.
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
    Show(Named),
    #[command(about = Create::SUMMARY, after_help = EXAMPLES)]
    Create(New),
    #[command(about = SetSource::SUMMARY, after_help = EXAMPLES)]
    SetSource(Sourced),
    #[command(about = SetConcurrency::SUMMARY, after_help = EXAMPLES)]
    SetConcurrency(SetConcurrencyRequest),
    #[command(about = Delete::SUMMARY, after_help = EXAMPLES)]
    Delete(Gone),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Name of the app.
    #[arg(value_name = "APP")]
    name: Name,
}

#[derive(Debug, clap::Args)]
struct New {
    /// Name of the app: a-z, 0-9 and `-`.
    #[arg(value_name = "APP")]
    name: Name,
    /// A git repository (folder or URL), or a folder.
    #[arg(long, value_name = "URL|PATH")]
    source: Option<String>,
    /// Branch, tag or commit; the repository's default branch otherwise.
    #[arg(long = "ref", value_name = "REF", requires = "source")]
    reference: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Sourced {
    /// Name of the app.
    #[arg(value_name = "APP")]
    name: Name,
    /// A git repository (folder or URL), or a folder.
    #[arg(value_name = "URL|PATH")]
    source: String,
    /// Branch, tag or commit; the repository's default branch otherwise.
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Gone {
    /// Name of the app.
    #[arg(value_name = "APP")]
    name: Name,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    match args.command {
        Command::List(request) => list(context, request).await,
        Command::Show(Named { name }) => show(context, name).await,
        Command::Create(New { name, source, reference }) => {
            let source = source.map(|text| source::of_text(&text, reference)).transpose()?;
            let app = context.connect()?.call::<Create>(&CreateRequest { name, source }).await?;
            match out.json {
                true => out.document(&app),
                false => out.line(format!("created {}; deploy it: plimsoll deploy {}", app.name, app.name)),
            }
        }
        Command::SetSource(Sourced { name, source, reference }) => {
            let source = source::of_text(&source, reference)?;
            let app = context.connect()?.call::<SetSource>(&SetSourceRequest { app: name, source }).await?;
            match out.json {
                true => out.document(&app),
                false => out.line(format!("{} comes from {}", app.name, of(&app))),
            }
        }
        Command::SetConcurrency(request) => {
            let app = context.connect()?.call::<SetConcurrency>(&request).await?;
            match out.json {
                true => out.document(&app),
                false => out.line(format!("{} deployments of {} may be at work", app.concurrency, app.name)),
            }
        }
        Command::Delete(Gone { name, yes }) => {
            let connection = context.connect()?;
            confirm(yes, &format!("Deleting {name} with its environments, releases and logs"))?;
            let gone = connection.call::<Delete>(&GetRequest { app: name }).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!(
                    "deleted {} with {} and {}",
                    gone.app,
                    text::count(gone.environments.len(), "environment"),
                    text::count(gone.releases as usize, "release")
                )),
            }
        }
    }
}

async fn list(context: &Context, request: ListRequest) -> Result<(), Failure> {
    let page = context.connect()?.call::<List>(&request).await?;
    if context.out.json {
        return context.out.document(&page);
    }
    if page.items.is_empty() {
        context.out.remark("no apps yet: `plimsoll init` in a repository makes one");
        return Ok(());
    }
    let mut table = Table::new(&context.out, &["app", "source", "created"]);
    let now = Utc::now();
    for app in &page.items {
        table.plain_row([app.name.to_string(), of(app), format!("{} ago", text::age(app.created_at, now))]);
    }
    context.out.line(table.render())?;
    if let Some(next) = page.next {
        context.out.remark(format!("more: --cursor {next}"));
    }
    Ok(())
}

async fn show(context: &Context, name: Name) -> Result<(), Failure> {
    let detail = context.connect()?.call::<Get>(&GetRequest { app: name }).await?;
    if context.out.json {
        return context.out.document(&detail);
    }
    context.out.line(format!("app      {} ({})", detail.app.name, detail.app.id))?;
    context.out.line(format!("source   {}", of(&detail.app)))?;
    context.out.line(format!("created  {}", text::local(detail.app.created_at)))?;
    context.out.line("")?;
    context.out.line(super::status::table(context, &detail.environments))
}

fn of(app: &apps::App) -> String {
    app.source.as_ref().map_or_else(|| "no source yet".to_owned(), |source| clean(&source::describe(source)))
}
