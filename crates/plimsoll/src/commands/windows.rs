//! `plimsoll windows`: when deployments may begin.

use domain::Name;
use domain::schedule::Zone;
use domain::window::{Days, Rule, TimeOfDay};
use operations::Operation;
use operations::windows::{
    Bypass, Bypasses, BypassesRequest, Create, CreateRequest, Delete, DeleteRequest, List, ListRequest, NewFreeze,
    NewRule, NewWeekly, Window,
};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll windows list
  plimsoll windows deploy --env production --days mon-fri --from 09:00 --to 17:00 --zone Europe/Berlin
  plimsoll windows freeze --env production --from \"2026-12-20 18:00 Europe/Berlin\" --reason \"end of the year\"
  plimsoll windows freeze --app shop --until \"in 2h\" --reason \"incident 4711\"
  plimsoll windows delete win_01hf7yat00000000000000002a --yes
  plimsoll windows bypasses
  plimsoll deploy shop --priority critical --bypass-window \"outage of the cart\"

An environment with a deploy window is closed outside of its windows. A freeze closes it whatever the windows say.
Rollbacks are never held.";

/// Say when deployments may begin: deploy windows and freezes.
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
    /// Let deployments begin only at certain times of the week.
    #[command(after_help = EXAMPLES)]
    Deploy(NewWindow),
    /// Let no deployment begin for a time.
    #[command(after_help = EXAMPLES)]
    Freeze(Frozen),
    #[command(about = Delete::SUMMARY, after_help = EXAMPLES)]
    Delete(Gone),
    #[command(about = Bypasses::SUMMARY, after_help = EXAMPLES)]
    Bypasses(BypassesRequest),
}

#[derive(Debug, clap::Args)]
struct Scope {
    /// For this app alone; for all without it.
    #[arg(long, short)]
    app: Option<Name>,
    /// For environments of this name alone; for all without it.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    environment: Option<Name>,
}

#[derive(Debug, clap::Args)]
struct NewWindow {
    #[command(flatten)]
    scope: Scope,
    /// Days of the week, such as mon-fri, sat,sun or daily.
    #[arg(long, value_name = "DAYS")]
    days: Days,
    /// From this time of day.
    #[arg(long, value_name = "HH:MM")]
    from: TimeOfDay,
    /// To this time of day; the next day's when it is not after the begin.
    #[arg(long, value_name = "HH:MM")]
    to: TimeOfDay,
    /// Time zone, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    zone: Zone,
}

#[derive(Debug, clap::Args)]
struct Frozen {
    #[command(flatten)]
    scope: Scope,
    /// Such as "2026-12-20 18:00 Europe/Berlin" or "in 2h"; from now on without it.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The same; until the freeze is deleted without it.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why; it is told to those who wait.
    #[arg(long, value_name = "REASON")]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: DeleteRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    let connection = context.connect()?;
    let (scope, rule) = match args.command {
        Command::List(request) => {
            let all = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark("there are no windows and no freezes: deployments begin at any time");
                return Ok(());
            }
            return out.line(table(context, &all));
        }
        Command::Delete(Gone { request, yes }) => {
            confirm(yes, &format!("Deleting {}, after which deployments it holds may begin", request.window))?;
            let gone = connection.call::<Delete>(&request).await?;
            return match out.json {
                true => out.document(&gone),
                false => out.line(format!("deleted {}: {}", gone.id, told(&gone.rule))),
            };
        }
        Command::Bypasses(request) => {
            let page = connection.call::<Bypasses>(&request).await?;
            if out.json {
                return out.document(&page);
            }
            if page.items.is_empty() {
                out.remark("no deployment went past a closed window");
                return Ok(());
            }
            out.line(bypasses(context, &page.items))?;
            if let Some(next) = page.next {
                out.remark(format!("more: --cursor {next}"));
            }
            return Ok(());
        }
        Command::Deploy(NewWindow { scope, days, from, to, zone }) => {
            (scope, NewRule::Deploy(NewWeekly { days, from, to, zone: zone.to_string() }))
        }
        Command::Freeze(Frozen { scope, from, until, reason }) => {
            (scope, NewRule::Freeze(NewFreeze { from, until, reason }))
        }
    };
    let request = CreateRequest { app: scope.app, environment: scope.environment, rule };
    let made = connection.call::<Create>(&request).await?;
    match out.json {
        true => out.document(&made),
        false => out.line(format!("{} holds for {}: {}", made.id, place(&made), told(&made.rule))),
    }
}

fn table(context: &Context, all: &[Window]) -> String {
    let mut table = Table::new(&context.out, &["id", "holds for", "rule", "now", "until"]);
    for window in all {
        let (now, tone) = match (&window.rule, window.now) {
            (Rule::Deploy(_), true) => ("open", Tone::Good),
            (Rule::Deploy(_), false) => ("closed", Tone::Waiting),
            (Rule::Freeze(_), true) => ("frozen", Tone::Bad),
            (Rule::Freeze(freeze), false) if freeze.until.is_some_and(|until| until <= chrono::Utc::now()) => {
                ("ended", Tone::Plain)
            }
            (Rule::Freeze(_), false) => ("to come", Tone::Plain),
        };
        table.row([
            (window.id.to_string(), Tone::Plain),
            (place(window), Tone::Plain),
            (told(&window.rule), Tone::Plain),
            (now.to_owned(), tone),
            (window.changes_at.map(text::local).unwrap_or_default(), Tone::Plain),
        ]);
    }
    table.keep_whole(0);
    table.render()
}

fn bypasses(context: &Context, all: &[Bypass]) -> String {
    let mut table = Table::new(&context.out, &["deployment", "app", "environment", "when", "by", "reason", "past"]);
    for bypass in all {
        table.plain_row([
            bypass.deployment.to_string(),
            bypass.app.to_string(),
            bypass.environment.to_string(),
            text::local(bypass.at),
            clean(&bypass.requested_by),
            clean(&bypass.reason),
            bypass.rule.as_deref().map(clean).unwrap_or_else(|| "nothing just then".to_owned()),
        ]);
    }
    table.keep_whole(0);
    table.render()
}

fn place(window: &Window) -> String {
    match (&window.app, &window.environment) {
        (Some(app), Some(environment)) => format!("{environment} of {app}"),
        (Some(app), None) => format!("all of {app}"),
        (None, Some(environment)) => format!("{environment} of all apps"),
        (None, None) => "everything".to_owned(),
    }
}

pub(super) fn told(rule: &Rule) -> String {
    match rule {
        Rule::Deploy(weekly) => format!("deploy {weekly}"),
        Rule::Freeze(freeze) => {
            let until = freeze.until.map(|until| format!(" to {}", text::local(until))).unwrap_or_default();
            format!("freeze from {}{until}: {}", text::local(freeze.from), clean(&freeze.reason))
        }
    }
}
