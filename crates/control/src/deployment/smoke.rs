//! Smoke tests of a release: against its instances before they get traffic, and through the
//! ingress after that.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::redact::Redactor;
use domain::route::{Host, InvalidHost};
use domain::smoke::{Check, HttpCheck, Mismatch, Moment, Outcome, SmokeResult, SmokeTest, excerpt, judge};
use domain::spec::{Component, Serve};
use ingress::Entrance;
use runtime::{Command, ExecError, InstanceSpec, Sandbox};
use tokio_util::sync::CancellationToken;

use super::{State, World, fail};
use crate::environment::Variables;
use crate::output::Sink;

const PHASE: Phase = Phase::HealthCheck;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Lines of a command's output that are kept.
const TAIL: usize = 10;

/// Why a test came to no result.
#[derive(Debug, PartialEq, Eq)]
enum Unproved {
    Cancelled,
    /// What it takes to ask did not answer. That says nothing of the release: it neither passes nor fails.
    Unasked(String),
}

/// Why there is nobody to ask.
enum NoTarget {
    /// The test does not apply at this moment.
    Skipped(String),
    Unasked(String),
}

/// Runs every test of the release that is for `moment`, one after the other, each to its end even if one before failed.
///
/// # Errors
/// That of the first test that did not pass, with all results; else, when one could not be asked, what is worth another attempt
/// of the stage.
pub(crate) async fn prove(
    world: &World,
    state: &State,
    moment: Moment,
    variables: &Variables,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<Vec<SmokeResult>, saga::Failure<Failure>> {
    let (mut results, mut unasked) = (Vec::new(), None);
    for test in tests(state, moment) {
        match run(world, state, test, moment, variables, state.order.deployment.as_str(), cancel).await {
            Ok(result) => {
                sink.say(&result.to_string());
                results.push(result);
            }
            Err(Unproved::Cancelled) => return Err(saga::Failure::cancelled(fail::cancelled(PHASE))),
            // Each of the others would wait as long for the same.
            Err(Unproved::Unasked(reason)) => {
                let message =
                    format!("the smoke test `{}` ({moment} the cutover) could not be run: {reason}", test.name);
                sink.say(&message);
                unasked = Some(message);
                break;
            }
        }
    }
    if let Some(first) = results.iter().find(|r| r.failed()) {
        return Err(saga::Failure::permanent(failure(first, &results)));
    }
    match unasked {
        Some(message) => Err(saga::Failure::retry(Failure { smoke_tests: results, ..fail::internal(PHASE, message) })),
        None => Ok(results),
    }
}

/// Runs every test of the release at each of its moments, as on demand: whoever asks is told at once, so one that could not be
/// asked has failed. `None` when it was cancelled.
pub(crate) async fn run_all(
    world: &World,
    state: &State,
    variables: &Variables,
    marker: &str,
    cancel: &CancellationToken,
) -> Option<Vec<SmokeResult>> {
    let mut results = Vec::new();
    for moment in [Moment::Before, Moment::After] {
        for test in tests(state, moment) {
            results.push(match run(world, state, test, moment, variables, marker, cancel).await {
                Ok(result) => result,
                Err(Unproved::Unasked(reason)) => SmokeResult::unasked(test, moment, &reason),
                Err(Unproved::Cancelled) => return None,
            });
        }
    }
    Some(results)
}

/// The tests that are for `moment`.
pub(crate) fn tests(state: &State, moment: Moment) -> impl Iterator<Item = &SmokeTest> {
    state.spec.iter().flat_map(|spec| &spec.smoke_tests).filter(move |test| test.when.includes(moment))
}

fn failure(first: &SmokeResult, all: &[SmokeResult]) -> Failure {
    let others = all.iter().filter(|r| r.failed()).count() - 1;
    let more = if others > 0 { format!(" (and {others} more failed)") } else { String::new() };
    let excerpt = match &first.outcome {
        Outcome::Failed(Mismatch { excerpt: Some(text), .. }) => text.lines().take(20).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let hint = match first.moment {
        Moment::Before => {
            "the new version got no traffic; try the request against it on your machine, and correct it or the test in plimsoll.toml"
        }
        Moment::After => {
            "the traffic is back with the previous release; what the new one can do alone and not behind its route is in the difference: host, path, other components"
        }
    };
    let failure = fail::failure(PHASE, Cause::SmokeTest, format!("{first}{more}"), hint);
    Failure { smoke_tests: all.to_vec(), ..fail::with_output(failure, excerpt) }
}

/// One test to its end, with its retries. Its commands belong to the piece of work `marker`.
async fn run(
    world: &World,
    state: &State,
    test: &SmokeTest,
    moment: Moment,
    variables: &Variables,
    marker: &str,
    cancel: &CancellationToken,
) -> Result<SmokeResult, Unproved> {
    let targets = match targets(world, state, test, moment, variables, marker).await {
        Ok(targets) => targets,
        Err(NoTarget::Skipped(reason)) => return Ok(SmokeResult::skipped(test, moment, reason)),
        Err(NoTarget::Unasked(reason)) => return Err(Unproved::Unasked(reason)),
    };
    let redactor = Redactor::new(variables.values());
    let mut attempts = 0;
    loop {
        attempts += 1;
        let begun = Instant::now();
        let attempt = async {
            for target in &targets {
                attempt(world, test, moment, target, &redactor, cancel).await?;
            }
            Ok::<_, Mismatch>(())
        };
        // Waited for also when it is cancelled, which each attempt notices: nothing of a command runs on afterwards.
        let outcome = attempt.await;
        if cancel.is_cancelled() {
            return Err(Unproved::Cancelled);
        }
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = match outcome {
            Ok(()) => Outcome::Passed,
            Err(_) if attempts <= test.retries => {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => continue,
                    () = cancel.cancelled() => return Err(Unproved::Cancelled),
                }
            }
            Err(mismatch) => Outcome::Failed(mismatch),
        };
        let (name, component) = (test.name.clone(), test.component.clone());
        return Ok(SmokeResult { name, component, moment, outcome, attempts, took_ms });
    }
}

/// What is asked.
struct Target {
    /// `None` for a component without a port.
    address: Option<(SocketAddr, String)>,
    /// What the address is open for, if it is not open anyway.
    _entrance: Option<Entrance>,
    /// Environment and folder of a command.
    spec: Option<InstanceSpec>,
    /// `instance 1 of 2` where there are several.
    name: Option<String>,
    folder: std::path::PathBuf,
    marker: String,
    /// That of the instance: a test sees what the app sees.
    sandbox: Option<Sandbox>,
}

/// Each new instance before the cutover, the route after it; or why there is none.
async fn targets(
    world: &World,
    state: &State,
    test: &SmokeTest,
    moment: Moment,
    variables: &Variables,
    marker: &str,
) -> Result<Vec<Target>, NoTarget> {
    let component = state.spec.as_ref().and_then(|spec| spec.component(&test.component));
    let (Some(component), Some(release)) = (component, &state.release) else {
        return Err(NoTarget::Skipped(format!("the release has no component `{}`", test.component)));
    };
    let files = world.layout.release(&state.order.app, release.artifact());
    let folder = files.join(&component.root);
    let user = world.user(&state.order.app).await;
    let user = user.map_err(|e| NoTarget::Unasked(format!("the app's user is not known: {e}")))?;
    let marker = marker.to_owned();
    let placements: Vec<_> = state.placements_of(&component.name).collect();
    let spec = |index: usize| {
        let placement = placements.get(index)?;
        world.instance(state, component, &placement.key, placement.port, variables, user)
    };
    if moment == Moment::After {
        let entrance = match public(world, state, component, test).await.map_err(NoTarget::Unasked)? {
            Some(found) => Some(found),
            None if matches!(test.check, Check::Command { .. }) => None,
            None => {
                let reason =
                    format!("no route leads to `{}`, so nobody can ask it through the ingress", component.name);
                return Err(NoTarget::Skipped(reason));
            }
        };
        let (address, entrance) =
            entrance.map(|(entrance, host)| ((entrance.address(), host.to_string()), entrance)).unzip();
        let target = Target { address, _entrance: entrance, spec: spec(0), name: None, folder, marker, sandbox: None };
        // A component without instances has no sandbox of its own.
        let other = || world.host.sandbox(user, component.limits.or(world.most)).reading(&files);
        let sandbox = target.spec.as_ref().map_or_else(|| Some(other()), |spec| world.runtime.sandbox(spec));
        return Ok(vec![Target { sandbox, ..target }]);
    }
    if matches!(component.serve, Serve::Static { .. }) {
        let reason = format!("`{}` is files, which nobody serves before the cutover", component.name);
        return Err(NoTarget::Skipped(reason));
    }
    let host = host(world, state, component, test).map_or_else(|_| "localhost".to_owned(), |host| host.to_string());
    Ok((0..placements.len())
        .map(|index| Target {
            address: placements[index].port.map(|p| (SocketAddr::from((Ipv4Addr::LOCALHOST, p)), host.clone())),
            _entrance: None,
            sandbox: spec(index).and_then(|spec| world.runtime.sandbox(&spec)),
            spec: spec(index),
            name: (placements.len() > 1).then(|| format!("instance {} of {}", index + 1, placements.len())),
            folder: folder.clone(),
            marker: marker.clone(),
        })
        .collect())
}

/// Where the component is reached as visitors reach it, and the host to ask for. The ingress's own redirect to HTTPS says
/// nothing about the release, so it is passed.
async fn public(
    world: &World,
    state: &State,
    component: &Component,
    test: &SmokeTest,
) -> Result<Option<(Entrance, Host)>, String> {
    if component.routes.is_empty() {
        return Ok(None);
    }
    let host = host(world, state, component, test).map_err(|e| e.to_string())?;
    let entrance = world.ingress.entrance(&host).await;
    let entrance = entrance.map_err(|e| format!("the ingress could not be asked where it listens: {e}"))?;
    Ok(Some((entrance, host)))
}

/// The host of the route that leads the test's path to the component.
fn host(world: &World, state: &State, component: &Component, test: &SmokeTest) -> Result<Host, InvalidHost> {
    let path = match &test.check {
        Check::Http(check) => check.path.as_str(),
        Check::Command { .. } => component.routes.first().map_or("/", |r| r.path.as_str()),
    };
    let pattern = state.spec.as_ref().and_then(|spec| spec.route_to(&component.name, path));
    let order = &state.order;
    match pattern.and_then(|p| p.host.clone()) {
        Some(host) => Ok(host),
        None => Host::default_for(&order.app_name, &order.environment_name, &world.domain),
    }
}

async fn attempt(
    world: &World,
    test: &SmokeTest,
    moment: Moment,
    target: &Target,
    redactor: &Redactor,
    cancel: &CancellationToken,
) -> Result<(), Mismatch> {
    let limit = test.timeout.get();
    let of = target.name.as_ref().map(|name| format!(" from {name}")).unwrap_or_default();
    let judged = match (&test.check, &target.address) {
        (Check::Http(check), Some((address, host))) => tokio::select! {
            judged = http(check, *address, host, limit, redactor) => judged,
            () = cancel.cancelled() => Err(nothing("an answer", "it was cancelled".to_owned())),
        },
        (Check::Http(_), None) => Err(nothing("an answer", "it has no port".to_owned())),
        (Check::Command { command }, _) => script(world, command, moment, target, limit, redactor, cancel).await,
    };
    judged.map_err(|mismatch| Mismatch { got: format!("{}{of}", mismatch.got), ..mismatch })
}

async fn http(
    check: &HttpCheck,
    address: SocketAddr,
    host: &str,
    limit: Duration,
    redactor: &Redactor,
) -> Result<(), Mismatch> {
    let wanted = format!("an answer to {} {}", check.method, check.path);
    match tokio::time::timeout(limit, runtime::ask(address, host, check)).await {
        Ok(Ok(answer)) => judge(&check.expect, &answer, |text| redactor.clean(text))
            .map_err(|m| Mismatch { expected: format!("{} from {} {}", m.expected, check.method, check.path), ..m }),
        Ok(Err(why)) => Err(nothing(&wanted, why)),
        Err(_) => Err(nothing(
            &format!("{wanted} within {} s", limit.as_secs_f64()),
            "no whole answer in that time".to_owned(),
        )),
    }
}

fn nothing(expected: &str, got: String) -> Mismatch {
    Mismatch { expected: expected.to_owned(), got, excerpt: None }
}

async fn script(
    world: &World,
    text: &str,
    moment: Moment,
    target: &Target,
    limit: Duration,
    redactor: &Redactor,
    cancel: &CancellationToken,
) -> Result<(), Mismatch> {
    let mut env = target.spec.as_ref().map(|spec| spec.env.clone()).unwrap_or_default();
    crate::environment::complete(&mut env, &target.folder);
    env.insert("PLIMSOLL_SMOKE_TEST".to_owned(), moment.to_string());
    if let Some((address, host)) = &target.address {
        env.insert("PLIMSOLL_URL".to_owned(), format!("http://{address}"));
        env.insert("PLIMSOLL_HOST".to_owned(), host.clone());
    }
    let (directory, marker, sandbox) = (target.folder.clone(), target.marker.clone(), target.sandbox.clone());
    let command = Command { command: text.to_owned(), directory, env, limit, marker, sandbox };
    let mut tail = std::collections::VecDeque::new();
    let keep = |line: runtime::Line| {
        tail.push_back(line.text);
        if tail.len() > TAIL {
            tail.pop_front();
        }
    };
    let ended = world.executor.run(&command, keep, cancel).await;
    let said = redactor.clean(&Vec::from(tail).join("\n"));
    let wrong = |expected: String, got: String| Err(Mismatch { expected, got, excerpt: excerpt(&said) });
    match ended {
        Ok(exit) if exit.success() => Ok(()),
        Ok(exit) => wrong("the command to end with exit status 0".to_owned(), exit.to_string()),
        Err(ExecError::TimedOut(_)) => {
            wrong(format!("the command to end within {} s", limit.as_secs_f64()), "it was still running".to_owned())
        }
        Err(e) => wrong("the command to run".to_owned(), e.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::deployment::DeploymentKind;
    use domain::limit::Span;
    use domain::smoke::When;

    use super::*;
    use crate::deployment::harness;

    /// Processes of a piece of work.
    fn processes(marker: &str) -> usize {
        let mark = format!("PLIMSOLL_WORK={marker}");
        let environs = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("environ"));
        let has = |environ: Vec<u8>| environ.split(|b| *b == 0).any(|pair| pair == mark.as_bytes());
        environs.filter_map(|path| std::fs::read(path).ok()).filter(|environ| has(environ.clone())).count()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cancelled_test_ends_with_its_command_and_not_before_it() {
        let world = harness::world(DeploymentKind::Rollback, 4).await;
        let state = harness::initial(&world);
        let release = state.release.clone().unwrap().id;
        let variables = world.release_variables(&state.order.environment, &release).await.unwrap();
        let test = SmokeTest {
            name: "deaf".to_owned(),
            component: "web".parse().unwrap(),
            when: When::After,
            check: Check::Command { command: "trap '' TERM; sleep 1000 & sleep 1000; true".to_owned() },
            timeout: Span::secs(60),
            retries: 10,
        };
        let (marker, cancel) = ("work-of-a-cancelled-test", CancellationToken::new());
        let running = run(&world, &state, &test, Moment::After, &variables, marker, &cancel);
        let cancelling = async {
            while processes(marker) < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            cancel.cancel();
        };
        let both = async { tokio::join!(running, cancelling) };
        let (result, ()) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
        assert_eq!(result, Err(Unproved::Cancelled));
        assert_eq!(processes(marker), 0);
    }

    /// That nobody could ask is no word for the release, nor against it.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_could_not_be_asked_has_not_passed() {
        let mut world = harness::world(DeploymentKind::Rollback, 5).await;
        let state = harness::initial(&world);
        let release = state.release.clone().unwrap().id;
        let variables = world.release_variables(&state.order.environment, &release).await.unwrap();
        let (cancel, sink) = (CancellationToken::new(), world.sink(&state.order.deployment, PHASE, None));
        let there = world.ingress.clone();
        world.ingress = ingress::Client::new(world.layout.data().join("no-ingress"));

        // A deployment tries again.
        let failure = prove(&world, &state, Moment::After, &variables, &sink, &cancel).await.unwrap_err();
        assert_eq!((failure.verdict, failure.error.cause), (saga::Verdict::Retry, Cause::Internal), "{failure:?}");
        assert!(failure.error.message.contains("`it answers` (after the cutover) could not be run"), "{failure:?}");
        // Whoever asks for them is told that it failed, and why.
        let results = run_all(&world, &state, &variables, "a-round", &cancel).await.unwrap();
        let after = results.iter().find(|r| r.moment == Moment::After).unwrap();
        assert!(after.failed() && after.to_string().contains("the ingress could not be asked"), "{after}");

        world.ingress = there;
        let proved = prove(&world, &state, Moment::After, &variables, &sink, &cancel).await.unwrap();
        assert_eq!(proved.iter().map(|r| &r.outcome).collect::<Vec<_>>(), [&Outcome::Passed]);

        world.store.clone().close().await;
        let failure = prove(&world, &state, Moment::Before, &variables, &sink, &cancel).await.unwrap_err();
        assert_eq!(failure.verdict, saga::Verdict::Retry, "{failure:?}");
        assert!(failure.error.message.contains("the app's user is not known"), "{failure:?}");
    }
}
