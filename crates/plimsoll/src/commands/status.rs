//! `plimsoll status`: what runs where, and what went wrong last.

use chrono::Utc;
use domain::Name;
use domain::deployment::Deployment;
use domain::instance::InstanceState;
use domain::phase::Phase;
use operations::environments::{self, Environment};
use operations::page::MAX_LIMIT;
use operations::server::{Info, InfoRequest};
use operations::{apps, deployments};

use super::Context;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean, clean_lines};

const EXAMPLES: &str = "\
Examples:
  plimsoll status                        all apps and environments
  plimsoll status shop
  plimsoll status shop --env staging --json";

/// Show what runs where: version, health, address, and what went wrong last.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this app.
    #[arg(value_name = "APP")]
    name: Option<Name>,
    /// Only this environment.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    environment: Option<Name>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let names = match args.name {
        Some(name) => vec![name],
        None => all_apps(&connection).await?,
    };
    let mut found = Vec::new();
    for app in names {
        found.extend(connection.call::<environments::List>(&apps::GetRequest { app }).await?);
    }
    if let Some(wanted) = &args.environment {
        found.retain(|environment| &environment.name == wanted);
    }
    let out = &context.out;
    if out.json {
        return out.document(&found);
    }
    if let Some(why) = connection.call::<Info>(&InfoRequest {}).await?.ingress_degraded {
        out.warn(format!("the ingress is not quite well: {}", clean_lines(&why)));
    }
    if found.is_empty() {
        out.remark("nothing here yet: `plimsoll init` in a repository, then `plimsoll deploy`");
        return Ok(());
    }
    out.line(table(context, &found))?;
    for environment in &found {
        if let Some(last) = last_deployment(&connection, environment).await? {
            for line in trouble(environment, &last) {
                out.line(line)?;
            }
        }
    }
    Ok(())
}

async fn all_apps(connection: &Connection) -> Result<Vec<Name>, Failure> {
    let mut names = Vec::new();
    let mut request = apps::ListRequest { limit: MAX_LIMIT, ..Default::default() };
    loop {
        let page = connection.call::<apps::List>(&request).await?;
        names.extend(page.items.into_iter().map(|app| app.name));
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => return Ok(names),
        }
    }
}

async fn last_deployment(connection: &Connection, environment: &Environment) -> Result<Option<Deployment>, Failure> {
    let request = deployments::ListRequest {
        app: Some(environment.app.clone()),
        environment: Some(environment.name.clone()),
        limit: 1,
        ..Default::default()
    };
    Ok(connection.call::<deployments::List>(&request).await?.items.into_iter().next())
}

/// One row for each environment.
pub(super) fn table(context: &Context, environments: &[Environment]) -> String {
    let mut table = Table::new(&context.out, &["app", "env", "release", "health", "for", "address"]);
    let now = Utc::now();
    for environment in environments {
        let (release, since) = match &environment.active {
            Some(active) => {
                let commit = active.commit.as_ref().map(|c| format!(" {}", clean(c))).unwrap_or_default();
                (format!("v{}{commit}", active.release_number), text::age(active.since, now))
            }
            None => ("—".to_owned(), String::new()),
        };
        table.row([
            (environment.app.to_string(), Tone::Plain),
            (environment.name.to_string(), Tone::Plain),
            (release, Tone::Plain),
            health(environment),
            (since, Tone::Plain),
            (address(environment), Tone::Plain),
        ]);
    }
    table.keep_whole(5);
    table.render()
}

/// The shortest one; `envs show` has them all.
fn address(environment: &Environment) -> String {
    let shortest = environment.urls.iter().min_by_key(|url| url.len()).cloned().unwrap_or_default();
    match environment.urls.len() {
        0 | 1 => shortest,
        more => format!("{shortest} (+{})", more - 1),
    }
}

/// Of the release that serves; instances of a deployment in progress don't count.
fn health(environment: &Environment) -> (String, Tone) {
    let Some(active) = &environment.active else {
        return match environment.in_progress.is_empty() {
            true => ("not deployed".to_owned(), Tone::Plain),
            false => ("deploying".to_owned(), Tone::Waiting),
        };
    };
    let mine: Vec<_> = environment.instances.iter().filter(|i| i.key.release == active.release).collect();
    let running = mine.iter().filter(|i| matches!(i.state, InstanceState::Running { .. })).count();
    let (text, tone) = if mine.iter().any(|i| matches!(i.state, InstanceState::CrashLoop { .. })) {
        ("crashing".to_owned(), Tone::Bad)
    } else if running < mine.len() {
        (format!("{running} of {} running", mine.len()), Tone::Bad)
    } else {
        ("healthy".to_owned(), Tone::Good)
    };
    match environment.in_progress.is_empty() {
        true => (text, tone),
        false => (format!("{text}, deploying"), tone),
    }
}

/// What somebody should know of the last deployment; all of it, however long.
fn trouble(environment: &Environment, last: &Deployment) -> Vec<String> {
    let place = format!("{} {}", environment.app, environment.name);
    let mut lines = Vec::new();
    if let Some(reason) = &last.stuck {
        lines.push(format!("\n{place}: {} is stuck: {}", last.id, clean_lines(reason)));
        lines.push(format!("  try: `plimsoll resume {0}`, once that is put right", last.id));
        lines.push(format!("  or: `plimsoll abandon {0}` ends it as it is", last.id));
    } else if matches!(last.phase, Phase::Failed | Phase::RolledBack) {
        let what = last.failure.as_ref().map_or_else(|| text::phase(last.phase), ToString::to_string);
        lines.push(format!("\n{place}: the last deployment did not become active ({})", last.id));
        lines.push(format!("  {}", clean_lines(&what).replace('\n', "\n  ")));
        lines.extend(last.failure.iter().map(|failure| format!("  try: {}", clean_lines(&failure.hint))));
    }
    for instance in &environment.instances {
        if let InstanceState::CrashLoop { last_exit, .. } | InstanceState::Backoff { last_exit, .. } = &instance.state {
            lines.push(format!(
                "\n{place}: {} {} ended: {}",
                instance.key.component,
                instance.key.index,
                clean(last_exit)
            ));
            lines.push(format!("  see: plimsoll logs --app {} --env {}", environment.app, environment.name));
        }
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(active: bool, states: &[serde_json::Value], in_progress: usize) -> Environment {
        let release = "rel_01hf7yat00000000000000002a";
        let deployment = "dep_01hf7yat00000000000000002a";
        let now = Utc::now();
        let instances: Vec<_> = states
            .iter()
            .map(|state| {
                let mut instance = json!({
                    "environment": "env_01hf7yat00000000000000002a", "deployment": deployment, "release": release,
                    "generation": 1, "component": "web", "index": 0, "port": 20000, "restarts": 0,
                });
                instance.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
                instance
            })
            .collect();
        let active = active.then(|| json!({ "deployment": deployment, "release": release, "release_number": 4, "commit": "3f2a9c1", "since": now }));
        serde_json::from_value(json!({
            "id": "env_01hf7yat00000000000000002a", "app": "shop", "name": "production", "created_at": now, "active": active,
            "host": "here", "supersede": "run_all",
            "in_progress": vec![deployment; in_progress], "urls": ["http://shop.localhost:8080"], "instances": instances, "traffic": [],
        }))
        .unwrap()
    }

    #[test]
    fn health_is_that_of_what_serves() {
        let now = Utc::now();
        let running = json!({ "state": "running", "pid": 7, "since": now });
        let backoff = json!({ "state": "backoff", "until": now, "last_exit": "exit status 1" });
        let looping = json!({ "state": "crash_loop", "until": now, "last_exit": "exit status 1" });
        let check = |active, states: &[serde_json::Value], in_progress, expected: &str| {
            assert_eq!(health(&environment(active, states, in_progress)).0, expected);
        };
        check(false, &[], 0, "not deployed");
        check(false, &[], 1, "deploying");
        check(true, &[], 0, "healthy");
        check(true, std::slice::from_ref(&running), 1, "healthy, deploying");
        check(true, &[running.clone(), backoff], 0, "1 of 2 running");
        check(true, &[running, looping], 0, "crashing");
    }
}
