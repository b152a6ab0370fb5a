//! From the event log to messages.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::notice::{KINDS, Notice, SPAN, notice};
use operations::Error;
use store::channels::Channel;
use store::deliveries::{self, Group};
use store::events::{Stretch, first_of};
use store::{Tx, leases};

use super::group::Stack;
use crate::Control;
use crate::error::store_error;

/// Events that are read at once.
const BATCH: u64 = 500;
/// The cursor is written when it has moved so far, or after so long: each time would be a write for each burst of events that tell
/// people nothing. What was passed over is only passed over again.
const FAR: i64 = 5_000;
const LONG: Duration = Duration::from_secs(600);

/// Where the leader is in the event log.
pub(super) struct Reader {
    /// All events up to it were looked at.
    cursor: i64,
    /// What of that the database knows.
    written: i64,
    written_at: Instant,
}

impl Reader {
    /// Goes on where the leader before was. The very first one begins with what comes next.
    pub(super) async fn begin(control: &Control, epoch: u64) -> Result<Self, Error> {
        let store = control.store();
        let cursor = match store::notice_cursor::find(store).await.map_err(store_error)? {
            Some(cursor) => cursor,
            None => {
                let tx = store.write().await.map_err(store_error)?;
                leases::check(&tx, leases::LEADER, epoch).await.map_err(store_error)?;
                let cursor = store::notice_cursor::begin(&tx).await.map_err(store_error)?;
                tx.commit().await.map_err(store_error)?;
                cursor
            }
        };
        Ok(Self { cursor, written: cursor, written_at: Instant::now() })
    }

    /// Makes messages of all that has happened by now.
    pub(super) async fn read(&mut self, control: &Control, epoch: u64) -> Result<(), Error> {
        loop {
            // First the end, then what is before it: events get their numbers in the order of commits, so all of that is there.
            let latest = store::events::latest(control.store()).await.map_err(store_error)?;
            if latest <= self.cursor {
                return Ok(());
            }
            let stretch = Stretch { kinds: &KINDS, sees: &Sees::All, after: self.cursor, until: latest };
            let events = first_of(control.store(), &stretch, BATCH).await.map_err(store_error)?;
            let all = (events.len() as u64) < BATCH;
            let until = events.last().filter(|_| !all).map_or(latest, |event| event.cursor);
            let notices: Vec<Notice> = events.iter().filter_map(notice).collect();
            self.tell(control, epoch, &notices, until).await?;
            self.cursor = until;
            if all {
                return Ok(());
            }
        }
    }

    /// In one transaction: the messages of these notices, and how far the log was read for them.
    async fn tell(&mut self, control: &Control, epoch: u64, notices: &[Notice], until: i64) -> Result<(), Error> {
        let far = until - self.written >= FAR || self.written_at.elapsed() >= LONG;
        if notices.is_empty() && !far {
            return Ok(());
        }
        let channels = store::channels::enabled(control.store()).await.map_err(store_error)?;
        let is_wanted = |channel: &Channel| {
            let wants = channel.wants();
            notices.iter().any(|notice| wants.includes(notice))
        };
        if !far && !channels.iter().any(is_wanted) {
            return Ok(());
        }
        let written = async {
            let tx = control.store().write().await?;
            leases::check(&tx, leases::LEADER, epoch).await?;
            let now = store::time::micros(store::clock::now());
            // Anew, as nothing changes any more from here to the commit.
            for channel in store::channels::enabled(&tx).await? {
                make(&tx, &channel, notices, now).await?;
            }
            store::notice_cursor::set(&tx, until).await?;
            tx.commit().await
        };
        written.await.map_err(store_error)?;
        (self.written, self.written_at) = (until, Instant::now());
        Ok(())
    }
}

async fn make(tx: &Tx, channel: &Channel, notices: &[Notice], now: DateTime<Utc>) -> Result<(), store::StoreError> {
    let wants = channel.wants();
    let notices: Vec<&Notice> = notices.iter().filter(|notice| wants.includes(notice)).collect();
    if notices.is_empty() {
        return Ok(());
    }
    let since = now - SPAN;
    let alone = deliveries::recent(tx, &channel.id, Group::Alone, since).await?;
    let many = deliveries::recent(tx, &channel.id, Group::Many, since).await?;
    let open = deliveries::open(tx, &channel.id, now).await?;
    let mut stack = Stack::new(channel.id.clone(), (alone, many), open, now);
    notices.into_iter().for_each(|notice| stack.put(notice));
    let changes = stack.done();
    for message in &changes.made {
        deliveries::insert(tx, message).await?;
    }
    if let Some(message) = &changes.extended {
        deliveries::extend(tx, message).await?;
    }
    Ok(())
}
