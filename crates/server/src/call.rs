//! One call of one operation.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use control::{Admitted, Caller, Control, Handle, Via};
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode};
use operations::{Effect, Error, ErrorKind, Operation};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::problem::Problem;
use crate::{Plane, decode, idempotency, mcp_door};

/// What answers an operation's route. A pointer, and what it answers boxed: the libraries around it are compiled once, not for
/// each operation.
pub(crate) type Call = fn(State<Plane>, Extension<Caller>, Request) -> BoxFuture<'static, Result<Response, Problem>>;

/// Reads the request of `O`, carries it out, writes the response.
pub(crate) fn call<O: Operation>(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> BoxFuture<'static, Result<Response, Problem>>
where
    Control: Handle<O>,
{
    Box::pin(async move {
        // The rule of `/mcp` holds for agents that come with `plimsoll mcp`, and as early.
        if caller.via == Via::Mcp {
            mcp_door::rules(&plane.control).allow(&mcp::tools::name_of(O::NAME), O::EFFECT)?;
        }
        // Nothing that only looks has a use for a key.
        let key = if O::EFFECT == Effect::Read { None } else { idempotency::header(request.headers())? };
        let request = decode::request::<O>(request).await?;
        Ok(match carry_out::<O>(plane.control, caller, request, key).await? {
            Answer::New(response) => success::<O>(&response),
            Answer::Recorded(response) => replayed::<O>(&response),
        })
    })
}

/// Carries out one operation for `caller`, whichever door the request came through.
pub(crate) fn carry_out<O: Operation>(
    control: Control,
    mut caller: Caller,
    request: O::Request,
    key: Option<String>,
) -> BoxFuture<'static, Result<Answer<O::Response>, Error>>
where
    Control: Handle<O>,
{
    if O::EFFECT == Effect::Read {
        return Box::pin(async move {
            let who = control.admit::<O>(caller, &request).await?;
            let result = Handle::<O>::handle(&control, &who, request).await;
            told(&control, &who, result).await.map(Answer::New)
        });
    }
    Box::pin(async move {
        caller.key = key.map(|key| idempotency::bind::<O>(key, &request)).transpose()?;
        caller.gone = CancellationToken::new();
        let _waits = caller.gone.clone().drop_guard();
        to_its_end(Box::pin(async move {
            let who = match control.admit::<O>(caller.clone(), &request).await {
                Ok(who) => who,
                // Perhaps this very request has removed it: its answer stays the same for who asked for it.
                Err(missing) if missing.code == ErrorKind::NotFound => {
                    return control.replay::<O>(&caller).await?.map(Answer::Recorded).ok_or(missing);
                }
                Err(error) => return Err(error),
            };
            let replay = || control.replay::<O>(&who);
            let handle = Handle::<O>::handle(&control, &who, request);
            let result = if who.key.is_some() { once(replay, handle).await } else { handle.await.map(Answer::New) };
            told(&control, &who, result).await
        }))
        .await
    })
}

/// Runs `work` in a task of its own: a client that leaves must not stop half-way what it asked for. It is only told.
async fn to_its_end<R: Send + 'static>(work: BoxFuture<'static, Result<R, Error>>) -> Result<R, Error> {
    let (tell, heard) = oneshot::channel();
    let task: BoxFuture<'static, ()> = Box::pin(async move {
        // Nobody hears it who has left.
        let _ = tell.send(work.await);
    });
    match tokio::spawn(task.in_current_span()).await {
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        Ok(()) | Err(_) => heard
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the server is stopping").hint("Try again once it is back"))),
    }
}

/// Whom a handler refuses is recorded, as those are who are not let through to it.
async fn told<R>(control: &Control, who: &Admitted, result: Result<R, Error>) -> Result<R, Error> {
    if let Err(error) = &result
        && error.code == ErrorKind::Forbidden
    {
        control.refused_within(who, error).await;
    }
    result
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer<R> {
    New(R),
    /// That of an earlier request with the same key.
    Recorded(R),
}

/// Carries out what has an idempotency key, or finds the answer that the key has already got.
async fn once<R, F>(replay: impl Fn() -> F, handle: impl Future<Output = Result<R, Error>>) -> Result<Answer<R>, Error>
where
    F: Future<Output = Result<Option<R>, Error>>,
{
    if let Some(response) = replay().await? {
        return Ok(Answer::Recorded(response));
    }
    match handle.await {
        Ok(response) => Ok(Answer::New(response)),
        // Perhaps the twin of this request came first while this one was on its way.
        Err(error) if error.code == ErrorKind::Conflict => match replay().await {
            Ok(Some(response)) => Ok(Answer::Recorded(response)),
            Err(other_request) if other_request.code == ErrorKind::Conflict => Err(other_request),
            Ok(None) | Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn success<O: Operation>(response: &O::Response) -> Response {
    (StatusCode::from_u16(O::STATUS).unwrap_or(StatusCode::OK), Json(response)).into_response()
}

fn replayed<O: Operation>(response: &O::Response) -> Response {
    let mut response = success::<O>(response);
    response.headers_mut().insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Replay = Result<Option<u8>, Error>;

    /// What `once` makes of these answers of `replay`, in order, and this one of the handler,
    /// and whether the handler was asked at all.
    async fn check(replays: &[Replay], handled: Result<u8, Error>) -> (Result<Answer<u8>, Error>, bool) {
        let replays = Mutex::new(replays.iter().cloned());
        let next = || replays.lock().map_or(None, |mut replays| replays.next());
        let asked = Mutex::new(false);
        let handle = async {
            if let Ok(mut asked) = asked.lock() {
                *asked = true;
            }
            handled
        };
        let result = once(|| std::future::ready(next().unwrap_or_else(|| Err(Error::internal()))), handle).await;
        (result, asked.into_inner().unwrap_or_default())
    }

    #[tokio::test]
    async fn a_key_gets_one_answer() {
        let busy = || Error::conflict("the app is there already");
        let other = || Error::conflict("the key was used for another request");
        let away = || Error::unavailable("database away");
        // A recorded answer is repeated, and nothing done.
        assert_eq!(check(&[Ok(Some(1))], Ok(2)).await, (Ok(Answer::Recorded(1)), false));
        assert_eq!(check(&[Err(other())], Ok(2)).await, (Err(other()), false));
        assert_eq!(check(&[Err(away())], Ok(2)).await, (Err(away()), false));
        assert_eq!(check(&[Ok(None)], Ok(2)).await, (Ok(Answer::New(2)), true));
        assert_eq!(check(&[Ok(None)], Err(away())).await, (Err(away()), true));
        // A twin was quicker: its answer is ours, or its refusal.
        assert_eq!(check(&[Ok(None), Ok(Some(1))], Err(busy())).await, (Ok(Answer::Recorded(1)), true));
        assert_eq!(check(&[Ok(None), Err(other())], Err(busy())).await, (Err(other()), true));
        // A conflict that has nothing to do with the key.
        assert_eq!(check(&[Ok(None), Ok(None)], Err(busy())).await, (Err(busy()), true));
        assert_eq!(check(&[Ok(None), Err(away())], Err(busy())).await, (Err(busy()), true));
    }
}
