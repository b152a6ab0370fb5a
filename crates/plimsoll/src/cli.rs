//! The command line: what there is, and what it means without being said.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind as ClapKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use domain::Name;
use operations::Error;

use crate::app_name::{self, Origin};
use crate::commands::*;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::output::{Color, Output};

const EXAMPLES: &str = "\
Examples:
  plimsoll server                     start a server on this machine
  plimsoll init && plimsoll deploy    in a git repository: make an app of it, deploy it
  plimsoll status                     what runs where
  plimsoll logs -f                    what the app prints
  plimsoll rollback                   back to the release before

";

/// Deploys software from a git repository or a folder to this machine, and keeps it running.
///
/// `plimsoll server` is the server; all other commands talk to it over its HTTP API. They find a
/// server on this machine by themselves; for another one give --server and a token.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, propagate_version = false, max_term_width = 100)]
#[command(after_long_help = format!("{EXAMPLES}{}", exit::TABLE), after_help = "Each command has --help with examples; `plimsoll --help` lists the exit codes.")]
#[command(disable_help_subcommand = false, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The app that the surroundings name, for those that did not.
    #[arg(skip)]
    pub(crate) inferred: Option<(Name, Origin)>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Print what the API answers as JSON, streams as one document a line; problems as JSON on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only results and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Address of the server; by default the one of this machine.
    #[arg(long, global = true, value_name = "URL", env = "PLIMSOLL_SERVER", hide_env_values = true)]
    pub(crate) server: Option<String>,
    /// File with the API token; by default PLIMSOLL_TOKEN, a login (`plimsoll login`), or the token that a server on
    /// this machine keeps for you.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Data folder of the server on this machine.
    #[arg(long, global = true, value_name = "DIR", env = "PLIMSOLL_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// When to use colour.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Server(Box<server::Args>),
    Down(down::Args),
    Init(init::Args),
    Deploy(Box<deploy::Args>),
    Status(status::Args),
    Logs(logs::Args),
    Metrics(metrics::Args),
    Analytics(analytics::Args),
    Rollback(rollback::Args),
    Promote(promote::Args),
    Plan(plan::Args),
    Simulate(simulate::Args),
    Plans(plans::Args),
    Cancel(cancel::Args),
    Resume(resume::Args),
    Abandon(abandon::Args),
    #[command(alias = "deployment")]
    Deployments(deployments::Args),
    Queue(queue::Args),
    #[command(alias = "schedule")]
    Schedules(schedules::Args),
    #[command(alias = "window")]
    Windows(windows::Args),
    Cluster(cluster::Args),
    #[command(alias = "release")]
    Releases(releases::Args),
    #[command(alias = "smoke-test")]
    SmokeTests(smoke_tests::Args),
    #[command(alias = "upload")]
    Uploads(uploads::Args),
    Events(events::Args),
    #[command(alias = "guide")]
    Guides(guides::Args),
    Figures(figures::Args),
    Overview(overview::Args),
    Mcp(mcp::Args),
    #[command(alias = "app")]
    Apps(apps::Args),
    Envs(envs::Args),
    Env(env::Args),
    #[command(alias = "certificate")]
    Certificates(certificates::Args),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Keys(keys::Args),
    Retention(retention::Args),
    Stalls(stalls::Args),
    #[command(alias = "token")]
    Tokens(tokens::Args),
    #[command(alias = "user")]
    Users(users::Args),
    #[command(alias = "invitation")]
    Invitations(invitations::Args),
    #[command(alias = "member")]
    Members(members::Args),
    #[command(alias = "session")]
    Sessions(sessions::Args),
    Me(me::Args),
    Login(login::Args),
    Logout(logout::Args),
    SignIn(sign_in::Args),
    Audit(audit::Args),
    #[command(alias = "approval")]
    Approvals(approvals::Args),
    #[command(alias = "approval-policy")]
    ApprovalPolicies(approval_policies::Args),
    #[command(alias = "channel")]
    Channels(channels::Args),
    #[command(alias = "notice")]
    Notices(notices::Args),
    #[command(alias = "mute")]
    Mutes(mutes::Args),
    Mail(mail::Args),
    Version(version::Args),
    Completions(completions::Args),
    Ingress(ingress::Args),
    #[command(hide = true)]
    Supervise(supervise::Args),
}

/// Why there is nothing to run.
pub(crate) enum Refusal {
    /// Help and version are of this kind, too.
    Clap(clap::Error),
    Failure(Failure),
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Cli, Refusal> {
    let here = std::env::current_dir().unwrap_or_default();
    let variable = std::env::var("PLIMSOLL_APP").ok();
    parse_from(std::env::args_os(), app_name::infer(&here, variable.as_deref()))
}

fn parse_from(
    args: impl IntoIterator<Item = OsString>,
    inferred: Result<Option<(Name, Origin)>, Failure>,
) -> Result<Cli, Refusal> {
    let name = inferred.as_ref().ok().and_then(Option::as_ref).map(|(name, _)| name.to_string());
    let args: Vec<OsString> = args.into_iter().collect();
    let matches = listing(&args, command(name.as_deref()));
    match (matches, inferred) {
        (Ok(matches), inferred) => {
            let mut cli = Cli::from_arg_matches(&matches).map_err(Refusal::Clap)?;
            cli.inferred = inferred.ok().flatten();
            Ok(cli)
        }
        // It lacks the app's name as the file that should tell it is wrong: that is what to put right.
        (Err(error), Err(failure)) if error.kind() == ClapKind::MissingRequiredArgument => {
            Err(Refusal::Failure(failure))
        }
        (Err(error), _) => Err(Refusal::Clap(error)),
    }
}

/// A noun without a verb lists: `plimsoll releases` is `plimsoll releases list`.
fn listing(args: &[OsString], command: clap::Command) -> Result<clap::ArgMatches, clap::Error> {
    let first = command.clone().try_get_matches_from(args);
    match first {
        Err(error) if error.kind() == ClapKind::DisplayHelpOnMissingArgumentOrSubcommand && args.len() > 1 => {
            command.try_get_matches_from(args.iter().cloned().chain([OsString::from("list")])).map_err(|_| error)
        }
        other => other,
    }
}

/// The command line with `app` filled in wherever a request needs one.
pub(crate) fn command(app: Option<&str>) -> clap::Command {
    fn fill(mut command: clap::Command, app: &str) -> clap::Command {
        if command.get_arguments().any(|arg| arg.get_id() == "app" && arg.is_required_set() && !arg.is_positional()) {
            let default = app.to_owned();
            command = command.mut_arg("app", |arg| arg.required(false).default_value(default).hide_default_value(true));
        }
        let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for name in names {
            command = command.mut_subcommand(name, |sub| fill(sub, app));
        }
        command
    }
    let command = Cli::command();
    match app {
        Some(app) => fill(command, app),
        None => command,
    }
}

/// Says why nothing is run (or shows the help that was asked for).
pub(crate) fn refuse(refusal: &Refusal) -> ExitCode {
    let args = || std::env::args_os().take_while(|arg| arg != "--");
    let json = args().any(|arg| arg == "--json");
    match refusal {
        Refusal::Failure(failure) => finish(&Output::new(json, false, Color::Auto), failure),
        Refusal::Clap(error) if json && error.use_stderr() => {
            let text = error.render().to_string();
            let detail = text.trim_start_matches("error: ").trim_end();
            Output::new(true, false, Color::Never).problem(&Error::invalid(detail));
            ExitCode::from(Exit::Usage.code())
        }
        Refusal::Clap(error) => {
            // A reader of the help that has gone needs no more of it.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { 0 })
        }
    }
}

/// Tells a failure and turns it into the exit code.
pub(crate) fn finish(out: &Output, failure: &Failure) -> ExitCode {
    match failure {
        Failure::Problem { exit, problem } => {
            out.problem(problem);
            ExitCode::from(exit.code())
        }
        Failure::Told(exit) => ExitCode::from(exit.code()),
        Failure::ReaderGone => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse_line(line: &str, app: Option<&str>) -> Result<Cli, Refusal> {
        let inferred = app.map(|name| (name.parse().unwrap(), Origin::Folder));
        // What stands in quotes is one word, as in a shell.
        let words = line.split('"').enumerate().flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        parse_from(words.map(OsString::from), Ok(inferred))
    }

    #[test]
    fn the_definition_holds_together() {
        command(None).debug_assert();
        command(Some("hello")).debug_assert();
    }

    #[test]
    fn every_command_has_a_line_about_it_and_examples() {
        fn check(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} has no line about it");
            if !command.is_hide_set() && !command.has_subcommands() {
                let help = command.get_after_help().or(command.get_after_long_help()).map(ToString::to_string);
                assert!(help.is_some_and(|h| h.contains("Examples:\n  plimsoll ")), "{path} has no examples");
            }
            for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
                check(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        check(&command(None), "plimsoll");
    }

    /// The examples are tried: a command line in a help text that does not parse is a lie.
    #[test]
    fn every_example_parses() {
        fn examples(command: &clap::Command, found: &mut Vec<String>) {
            let help =
                command.get_after_help().or(command.get_after_long_help()).map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter_map(|l| l.strip_prefix("  ")).filter(|l| l.contains("plimsoll ")) {
                let line = line.split("  ").next().unwrap_or_default();
                let parts = line.split(['|', '&', ';']).map(str::trim).filter(|p| p.starts_with("plimsoll "));
                found.extend(
                    parts.map(|p| p.split(" <").next().unwrap_or(p).split(" >").next().unwrap_or(p).to_owned()),
                );
            }
            command.get_subcommands().for_each(|sub| examples(sub, found));
        }
        let mut found = Vec::new();
        examples(&command(None), &mut found);
        assert!(found.len() > 40, "only {} examples", found.len());
        for example in found {
            if let Err(Refusal::Clap(error)) = parse_line(&example, Some("hello")) {
                panic!("{example}\n{error}");
            }
        }
    }

    #[test]
    fn the_app_is_filled_in_where_it_is_needed_and_only_there() {
        let app = |line: &str| match parse_line(line, Some("hello")).unwrap_or_else(|_| panic!("{line}")).command {
            Command::Logs(args) => args.request.app.to_string(),
            Command::Rollback(args) => args.request.app.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(app("plimsoll logs -f"), "hello");
        assert_eq!(app("plimsoll logs --app other"), "other");
        assert_eq!(app("plimsoll rollback v3"), "hello");
        assert!(parse_line("plimsoll logs", None).is_err());
        assert!(parse_line("plimsoll apps delete", Some("hello")).is_err(), "what is deleted must be named");
    }

    #[test]
    fn a_wrong_file_is_named_only_by_commands_that_need_it() {
        let wrong = || Err(Failure::from(Error::unprocessable("wrong file")));
        let parse = |line: &str| parse_from(line.split_whitespace().map(OsString::from), wrong());
        assert!(matches!(parse("plimsoll logs"), Err(Refusal::Failure(_))));
        assert!(parse("plimsoll status").is_ok());
        assert!(parse("plimsoll logs --app x").is_ok());
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for line in [
            "plimsoll",
            "plimsoll nonsense",
            "plimsoll deploy --ref",
            "plimsoll deploy --dir . --git https://x/y",
            "plimsoll deploy --archive a.tar --dir .",
            "plimsoll deploy --archive a.tar --git https://x/y",
            "plimsoll deploy --archive a.tar --ref main",
            "plimsoll uploads remove not-an-id",
            "plimsoll server --max-upload lots",
            "plimsoll server --max-unpacked-files 0",
            "plimsoll logs -n many",
            "plimsoll server --listen nowhere",
            "plimsoll server --workers 0",
            "plimsoll apps show Not_A_Name",
            "plimsoll cancel not-an-id",
            "plimsoll rollback latest",
            "plimsoll rollback v3 --to v1.2",
            "plimsoll deploy --meta ticket",
            "plimsoll deploy --plan latest",
            "plimsoll deploy --plan 0123abcd --ref main",
            "plimsoll deploy --plan 0123abcd --env staging",
            "plimsoll plan --rollback latest",
            "plimsoll plan --rollback 3 --ref main",
            "plimsoll plan --dir . --git https://x/y",
            "plimsoll simulate --plan 0123abcd --ref main",
            "plimsoll plans show",
            "plimsoll promote staging",
            "plimsoll --token secret status",
            "plimsoll channels create pigeon x",
            "plimsoll channels create webhook x --topic test",
            "plimsoll channels create webhook x --url https://a --url-file b",
            "plimsoll channels update chn_01hf7yat00000000000000002a --enable --disable",
            "plimsoll mail set --host a --from b@c --user x",
            "plimsoll server --allow-outgoing everything",
        ] {
            assert!(parse_line(line, Some("hello")).is_err(), "{line}");
        }
    }
}
