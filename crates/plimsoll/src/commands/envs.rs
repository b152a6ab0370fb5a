//! `plimsoll envs`: the environments of an app.

use domain::Name;
use domain::instance::InstanceState;
use operations::Operation;
use operations::apps::GetRequest;
use operations::environments::{
    Create, CreateRequest, Delete, Environment, EnvironmentRequest, Get, List, SetSupersede, SetSupersedeRequest,
};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::Table;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll envs list
  plimsoll envs create staging
  plimsoll envs create staging --host rack-7
  plimsoll envs set-supersede staging skip_queued
  plimsoll envs show production --app shop
  plimsoll envs delete staging --app shop";

/// List, show, create and delete the environments of an app.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(GetRequest),
    #[command(about = Get::SUMMARY, after_help = EXAMPLES)]
    Show(EnvironmentRequest),
    #[command(about = Create::SUMMARY, after_help = EXAMPLES)]
    Create(CreateRequest),
    #[command(about = SetSupersede::SUMMARY, after_help = EXAMPLES)]
    SetSupersede(SetSupersedeRequest),
    #[command(about = Delete::SUMMARY, after_help = EXAMPLES)]
    Delete(Gone),
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: EnvironmentRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    let connection = context.connect()?;
    match args.command {
        Command::List(request) => {
            let all = connection.call::<List>(&request).await?;
            match out.json {
                true => out.document(&all),
                false => out.line(super::status::table(context, &all)),
            }
        }
        Command::Show(request) => {
            let environment = connection.call::<Get>(&request).await?;
            match out.json {
                true => out.document(&environment),
                false => show(context, &environment),
            }
        }
        Command::Create(request) => {
            let made = connection.call::<Create>(&request).await?;
            match out.json {
                true => out.document(&made),
                false => out.line(format!(
                    "created {0} of {1}; deploy to it: plimsoll deploy {1} --env {0}",
                    made.name, made.app
                )),
            }
        }
        Command::SetSupersede(request) => {
            let set = connection.call::<SetSupersede>(&request).await?;
            match out.json {
                true => out.document(&set),
                false => out.line(format!("{} of {}: {}", set.name, set.app, set.supersede.as_str())),
            }
        }
        Command::Delete(Gone { request, yes }) => {
            confirm(yes, &format!("Deleting {} of {} with its variables", request.environment, request.app))?;
            let gone = connection.call::<Delete>(&request).await?;
            let names: Vec<&str> = gone.environments.iter().map(Name::as_str).collect();
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("deleted {} of {}", names.join(", "), gone.app)),
            }
        }
    }
}

fn show(context: &Context, environment: &Environment) -> Result<(), Failure> {
    let out = &context.out;
    out.line(super::status::table(context, std::slice::from_ref(environment)))?;
    if !environment.instances.is_empty() {
        let mut table = Table::new(out, &["component", "state", "port", "restarts", "deployment"]);
        for instance in &environment.instances {
            table.plain_row([
                format!("{} {}", instance.key.component, instance.key.index),
                state(&instance.state),
                instance.port.map(|port| port.to_string()).unwrap_or_default(),
                instance.restarts.to_string(),
                instance.key.deployment.to_string(),
            ]);
        }
        table.keep_whole(4);
        out.line("")?;
        out.line(table.render())?;
    }
    if !environment.traffic.is_empty() {
        let mut table = Table::new(out, &["release", "requests", "errors", "in flight", "p50", "p95", "p99"]);
        for traffic in &environment.traffic {
            let release = match &environment.active {
                Some(active) if active.release == traffic.release => {
                    format!("v{}", active.release_number)
                }
                _ => traffic.release.to_string(),
            };
            let ms = |value: f64| format!("{value:.1} ms");
            table.plain_row([
                release,
                traffic.requests.to_string(),
                traffic.errors.to_string(),
                traffic.in_flight.to_string(),
                ms(traffic.p50_ms),
                ms(traffic.p95_ms),
                ms(traffic.p99_ms),
            ]);
        }
        out.line("")?;
        out.line(table.render())?;
    }
    Ok(())
}

fn state(state: &InstanceState) -> String {
    match state {
        InstanceState::Starting => "starting".to_owned(),
        InstanceState::Running { pid, since } => {
            format!("running since {}, pid {pid}", text::local(*since))
        }
        InstanceState::Backoff { last_exit, .. } => {
            format!("starting again after {}", clean(last_exit))
        }
        InstanceState::CrashLoop { last_exit, .. } => {
            format!("ends again and again: {}", clean(last_exit))
        }
        InstanceState::Stopped { last_exit } => format!("stopped: {}", clean(last_exit)),
        InstanceState::Lost => "its supervisor is gone".to_owned(),
    }
}
