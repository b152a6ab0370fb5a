//! From notices to messages of one channel. Pure but for new ids.

use chrono::{DateTime, Utc};
use domain::channel::DeliveryState;
use domain::notice::{Notice, Placing, Recent, place};
use domain::{ChannelId, DeliveryId};
use store::deliveries::{Delivery, Group};
use ulid::Ulid;

/// The messages of a channel, as notices come in.
pub(super) struct Stack {
    channel: ChannelId,
    now: DateTime<Utc>,
    recent: Recent,
    /// The one that takes notices in.
    open: Option<Delivery>,
    /// That one is in the database, and has more in it now.
    extended: bool,
    made: Vec<Delivery>,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) made: Vec<Delivery>,
    pub(super) extended: Option<Delivery>,
}

impl Stack {
    /// `alone` and `many` are how many messages of each group the channel was made lately, `open` the one that still takes notices in.
    pub(super) fn new(
        channel: ChannelId,
        (alone, many): (u32, u32),
        open: Option<Delivery>,
        now: DateTime<Utc>,
    ) -> Self {
        let many = many.saturating_sub(u32::from(open.is_some()));
        let recent = Recent { alone, many, open_until: open.as_ref().map(|open| open.due_at) };
        Self { channel, now, recent, open, extended: false, made: Vec::new() }
    }

    pub(super) fn put(&mut self, notice: &Notice) {
        match (place(self.recent, self.now), &mut self.open) {
            (Placing::Join, Some(open)) => {
                open.count = open.count.saturating_add(1);
                open.last_event = notice.cursor;
                open.title = format!("{} notices", open.count);
                self.extended = true;
            }
            (Placing::Open(until), _) => {
                self.recent.open_until = Some(until);
                let message = Delivery { due_at: until, ..self.message(notice, Group::Many) };
                self.open = Some(message.clone());
                self.made.push(message);
            }
            (Placing::Alone | Placing::Join, _) => {
                self.recent.alone = self.recent.alone.saturating_add(1);
                let message = self.message(notice, Group::Alone);
                self.made.push(message);
            }
        }
    }

    pub(super) fn done(mut self) -> Changes {
        let Some(open) = self.open.filter(|_| self.extended) else {
            return Changes { made: self.made, extended: None };
        };
        // One that was made just now is written as it has become.
        match self.made.iter_mut().find(|made| made.id == open.id) {
            Some(made) => {
                *made = open;
                Changes { made: self.made, extended: None }
            }
            None => Changes { made: self.made, extended: Some(open) },
        }
    }

    fn message(&self, notice: &Notice, group: Group) -> Delivery {
        Delivery {
            id: DeliveryId::from_ulid(Ulid::generate()),
            channel: self.channel.clone(),
            first_event: notice.cursor,
            last_event: notice.cursor,
            count: 1,
            group,
            title: notice.title.clone(),
            state: DeliveryState::Waiting,
            attempts: 0,
            due_at: self.now,
            status: None,
            error: None,
            created_at: self.now,
            done_at: None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use domain::notice::{ALONE, Topic};

    use super::*;

    fn notice(cursor: i64) -> Notice {
        Notice { cursor, topic: Topic::DeploymentFailed, ..domain::notice::test("ops", DateTime::UNIX_EPOCH) }
    }

    fn channel() -> ChannelId {
        ChannelId::from_ulid(Ulid::from_parts(1, 1))
    }

    #[test]
    fn five_hundred_at_once_are_six_messages_and_the_next_ones_join_the_last() {
        let now = DateTime::UNIX_EPOCH;
        let mut stack = Stack::new(channel(), (0, 0), None, now);
        (1..=500).for_each(|cursor| stack.put(&notice(cursor)));
        let Changes { made, extended } = stack.done();
        assert_eq!((made.len(), extended), (ALONE as usize + 1, None));
        assert!(made[..5].iter().all(|m| (m.group, m.count, m.due_at) == (Group::Alone, 1, now)));
        let many = &made[5];
        assert_eq!((many.group, many.count, many.first_event, many.last_event), (Group::Many, 495, 6, 500));
        assert!(many.due_at > now && many.title == "495 notices");

        // A moment later, from what the database says by then.
        let later = now + TimeDelta::seconds(5);
        let mut stack = Stack::new(channel(), (5, 1), Some(many.clone()), later);
        stack.put(&notice(501));
        let Changes { made, extended } = stack.done();
        assert!(made.is_empty());
        let extended = extended.unwrap();
        assert_eq!((&extended.id, extended.count, extended.last_event), (&many.id, 496, 501));
    }

    #[test]
    fn a_quiet_channel_tells_at_once() {
        let mut stack = Stack::new(channel(), (0, 0), None, DateTime::UNIX_EPOCH);
        stack.put(&notice(7));
        let Changes { made, extended } = stack.done();
        assert_eq!(
            (made.len(), made[0].group, made[0].title.as_str(), extended),
            (1, Group::Alone, notice(7).title.as_str(), None)
        );
        assert_eq!(Stack::new(channel(), (0, 0), None, DateTime::UNIX_EPOCH).done(), Changes::default());
    }
}
