//! The one reader of a log that is followed.

use std::time::Duration;

use operations::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Log;
use super::frame::Frame;
use super::tail::{End, Ring};
use crate::streams::stopping as stops;

/// Reads until the log is over, nobody follows any more, or the server stops.
pub(super) async fn pump<L: Log>(
    log: L,
    ring: std::sync::Arc<Ring<L>>,
    told: watch::Sender<End>,
    stopping: CancellationToken,
) {
    let end = tokio::select! {
        biased;
        () = stopping.cancelled() => Err(stops()),
        () = told.closed() => return,
        end = run(log, &ring, &told) => end,
    };
    told.send_replace(Some(end));
}

async fn run<L: Log>(mut log: L, ring: &Ring<L>, told: &watch::Sender<End>) -> Result<(), Error> {
    let mut place = log.begin().await?;
    ring.begin(place.clone());
    told.send_modify(|_| ());
    loop {
        let over = log.is_over().await?;
        let before = place.clone();
        let read = log.read(&mut place).await?;
        if read.lines.is_empty() {
            if over {
                return Ok(());
            }
            // An instance is gone, and its log: places that name it are of no use to those who come.
            if place != before {
                ring.begin(place.clone());
                told.send_modify(|_| ());
            }
            log.grown().await;
            continue;
        }
        ring.push(Frame::new(read.lines, place.clone()));
        told.send_modify(|_| ());
        if !read.full {
            tokio::time::sleep(pace(told.receiver_count())).await;
        }
    }
}

/// Between two frames of a log that goes on growing. The more there are who follow, the more lines they get at a
/// time: a frame costs each of them a write, whatever is in it.
fn pace(watchers: usize) -> Duration {
    Duration::from_millis((watchers as u64 / 20).clamp(10, 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_get_lines_at_once_and_many_get_many_at_a_time() {
        let ms = |watchers| pace(watchers).as_millis();
        assert_eq!([1, 200, 1_000, 2_000, 100_000].map(ms), [10, 10, 50, 100, 100]);
    }
}
