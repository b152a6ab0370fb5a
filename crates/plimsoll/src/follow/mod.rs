//! Following a deployment to its end.

mod ending;
mod screen;
mod story;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::deployment::Deployment;
use domain::event::Event;
use operations::deployments::{self, DeploymentRequest};
use operations::environments::{self, EnvironmentRequest};
use operations::logs::LogLine;
use operations::{Error, Operation, stream};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

use crate::commands::Context;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::listen::{Heard, listen};
pub(crate) use ending::tag;
use screen::Screen;
use story::{Note, Story};

/// A stream that hangs without an error must not hide the end: we ask, too.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// For the last lines of output after the end.
const LAST_LINES: Duration = Duration::from_secs(3);

/// Sends a request that makes a deployment, once whatever the connection does.
pub(crate) async fn begin<O>(
    context: &Context,
    connection: &Connection,
    request: &O::Request,
) -> Result<Deployment, Failure>
where
    O: Operation<Response = Deployment>,
{
    let key = format!("cli-{:032x}", rand::random::<u128>());
    let away = || context.out.remark("the server is away, reconnecting…");
    connection.call_patiently::<O>(request, &key, away).await
}

/// Shows the deployment's way to its end, and the end; the exit code is the outcome's.
pub(crate) async fn to_the_end(
    context: &Context,
    connection: &Arc<Connection>,
    first: Deployment,
) -> Result<(), Failure> {
    let ended = watch(context, connection, first).await?;
    conclude(context, connection, &ended).await
}

/// Says how it ended.
pub(crate) async fn conclude(context: &Context, connection: &Connection, ended: &Deployment) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        out.document(ended)?;
    } else {
        let request = EnvironmentRequest { app: ended.app.clone(), environment: ended.environment.clone() };
        // The end is told even if the server goes away right after it.
        let environment = timeout(ASK_EVERY, connection.call::<environments::Get>(&request)).await;
        let serving = environment.ok().and_then(Result::ok).and_then(|e| e.active).map(|active| active.release_number);
        for line in ending::lines(ended, serving, out.paint) {
            out.line(line)?;
        }
    }
    ending::exit(ended).map_or(Ok(()), |exit| Err(Failure::Told(exit)))
}

/// Ctrl-C ends the watching at any point, and nothing else.
async fn watch(context: &Context, connection: &Arc<Connection>, first: Deployment) -> Result<Deployment, Failure> {
    let deaf = |e: io::Error| Failure::from(Error::unavailable(format!("can't hear Ctrl-C: {e}")));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    let id = first.id.clone();
    tokio::select! {
        ended = until_it_ends(context, connection, first) => ended,
        _ = interrupt.recv() => {
            context.out.remark(format!(
                "\nthe deployment goes on without you\n  follow it: plimsoll deployments show {id} -f\n  stop it:   plimsoll cancel {id}"
            ));
            Err(Failure::Told(Exit::Interrupted))
        }
    }
}

async fn until_it_ends(
    context: &Context,
    connection: &Arc<Connection>,
    first: Deployment,
) -> Result<Deployment, Failure> {
    let request = DeploymentRequest { deployment: first.id.clone() };
    let mut story = Story::new(&first);
    let screen = Screen::new(&context.out);
    let mut events = listen(connection.clone(), format!("{}?deployment={}", stream::EVENTS, first.id), None);
    let mut output = listen(connection.clone(), stream::output_path(&first.id), None);
    let mut printing = true;
    let mut give_up: Option<Instant> = None;
    let mut ask = interval(ASK_EVERY);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !story.is_over() {
        tokio::select! {
            heard = events.recv() => match heard {
                Some(Heard::Message(message)) => {
                    if let Some(event) = parse::<Event>(&message.data) {
                        story.event(&event).iter().for_each(|note| screen.show(note));
                    }
                }
                Some(Heard::Away) => screen.show(&Note::Remark("the server is away, reconnecting…".to_owned())),
                Some(Heard::Back) => screen.show(&Note::Remark("the server is back".to_owned())),
                Some(Heard::Lost(error)) => {
                    let hint = format!("The deployment goes on when the server is back: `plimsoll deployments show {} -f`", first.id);
                    return Err(Failure::from(error).hint(hint));
                }
                Some(Heard::End) | None => break,
            },
            heard = output.recv(), if printing => printing = print(heard, &mut story, &screen),
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => break,
            _ = ask.tick() => {
                if let Ok(now) = connection.call::<deployments::Get>(&request).await {
                    if now.phase.is_end() || now.stuck.is_some() {
                        // The events are on their way, unless their stream hangs.
                        give_up.get_or_insert_with(|| Instant::now() + LAST_LINES);
                    }
                    if let Some(what) = &now.metadata.waiting_for {
                        screen.waiting_for(what);
                    }
                }
            }
        }
    }
    let until = Instant::now() + LAST_LINES;
    while printing {
        match timeout_at(until, output.recv()).await {
            Ok(heard) => printing = print(heard, &mut story, &screen),
            Err(_) => break,
        }
    }
    drop(screen);
    // A read needs no key.
    connection.call_patiently::<deployments::Get>(&request, "", || {}).await
}

/// Whether more may come.
fn print(heard: Option<Heard>, story: &mut Story, screen: &Screen) -> bool {
    match heard {
        Some(Heard::Message(message)) => {
            if let Some(note) = parse::<LogLine>(&message.data).and_then(|line| story.output(line)) {
                screen.show(&note);
            }
            true
        }
        // The stream of events says so.
        Some(Heard::Away | Heard::Back) => true,
        Some(Heard::End | Heard::Lost(_)) | None => false,
    }
}

/// A message that we don't understand is from a newer server: leave it out.
pub(crate) fn parse<T: DeserializeOwned>(data: &str) -> Option<T> {
    serde_json::from_str(data).ok()
}
