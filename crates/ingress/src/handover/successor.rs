//! The old process's side: giving the sockets away, and finishing what is in flight.

use std::io;
use std::sync::Arc;

use tokio::net::UnixStream;

use super::link::{Link, READY, Word, has_ended, inner};
use super::sockets::send_sockets;
use crate::control::Control;
use crate::protocol::{self, Response};

/// One attempt of another process to take this one's place.
pub(crate) async fn hand_over(control: &Arc<Control>, mut io: UnixStream) {
    let Some(_attempt) = control.begin_hand_over() else {
        let reason = "another process is taking over, or this one ends".to_owned();
        let _ = protocol::send(&mut io, Response::Failed(reason)).await;
        return;
    };
    let mut link = match offer(control, io).await {
        Ok(link) => link,
        // Nothing has changed here.
        Err(e) => return tracing::warn!(error = %e, "a process that wanted to take over was not ready"),
    };
    control.give_away().await;
    let serving = async {
        link.say(Word::Yours).await?;
        link.hear_within(READY).await
    };
    match serving.await {
        Ok(Word::Serving) => {
            tracing::info!("another process has taken over; requests in flight are finished here");
            control.leave();
            follow(control, link).await;
        }
        other => {
            tracing::error!("the process that was taking over failed ({other:?}); this one goes on");
            // Unless its end of the connection is closed, it lives and may believe to be the one.
            if !matches!(&other, Err(e) if has_ended(e)) {
                link.end_other().await;
            }
            drop(link);
            control.go_on().await;
        }
    }
}

async fn offer(control: &Arc<Control>, mut io: UnixStream) -> io::Result<Link> {
    let (sockets, lock) = control.belongings()?;
    send_sockets(&mut io, &sockets, Some(&lock)).await?;
    let mut link = Link::new(io);
    match link.hear_within(READY).await? {
        Word::Ready => Ok(link),
        other => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it said {other:?}"))),
    }
}

/// Does what the new process says, until it or this one ends.
async fn follow(control: &Arc<Control>, mut link: Link) {
    loop {
        let answer = match link.hear().await {
            Ok(Word::Follow { table, within }) => {
                control.follow(table, inner(within)).await;
                Word::Followed
            }
            Ok(Word::Leaving { deployment, within }) => {
                Word::InFlight { requests: control.leaving(&deployment, inner(within)).await }
            }
            Ok(Word::CloseTunnels { deployment, within }) => {
                Word::InFlight { requests: control.close_tunnels(&deployment, inner(within)).await }
            }
            Ok(Word::Stop) => {
                control.ending.stop.cancel();
                continue;
            }
            Err(e) if has_ended(&e) => return,
            // It can't be followed any more, so kept connections must not go on here by an old table.
            other => {
                tracing::error!("the process that has taken over is not understood ({other:?}); this one stops");
                return control.ending.stop.cancel();
            }
        };
        if link.say(answer).await.is_err() {
            return;
        }
    }
}
