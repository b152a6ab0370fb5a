//! Several topics over one line.

use std::future::ready;
use std::sync::Arc;

use domain::event::Event;
use domain::notice::Notice;
use domain::topics::{Topic, Topics};
use futures::StreamExt;
use futures::stream::{once, select_all};
use operations::page::DEFAULT_LIMIT;
use operations::{Error, Permission, Place, events, logs};

use crate::Control;
use crate::access::Admitted;
use crate::caller::Caller;
use crate::error::store_error;
use crate::streams::{LogsFrame, Messages, OutputFrame};

/// Something that came of one of the topics.
#[derive(Debug)]
pub struct Heard {
    /// Which one, by their order.
    pub topic: usize,
    pub told: Told,
}

#[derive(Debug)]
pub enum Told {
    Event(Event),
    Notice(Notice),
    Output(Arc<OutputFrame>),
    Logs(Arc<LogsFrame>),
    /// Nothing more comes of this topic.
    Over,
}

impl Heard {
    /// Moves the topic behind what was heard of it.
    pub fn note(&self, topics: &mut Topics) {
        match (topics.at(self.topic), &self.told) {
            (Some(Topic::Events { after }), Told::Event(event)) => *after = Some(event.cursor),
            (Some(Topic::Notices { after }), Told::Notice(notice)) => *after = Some(notice.cursor),
            (Some(Topic::Output { after, .. }), Told::Output(frame)) => *after = Some(*frame.place()),
            (Some(Topic::Logs { after, .. }), Told::Logs(frame)) => *after = Some(frame.place().clone()),
            // It stays where it is.
            (_, Told::Over) | (None, _) => {}
            (Some(topic), told) => debug_assert!(false, "{told:?} is not of {topic}"),
        }
    }
}

impl Control {
    /// Follows all of them, if the caller may see each, from its place on; those that begin at what comes next get their place. Ends when all
    /// are over; a failure of one ends all.
    pub async fn follow_topics(&self, caller: &Caller, topics: &mut Topics) -> Result<Messages<Heard>, Error> {
        let mut followed = Vec::new();
        for number in 0..topics.all().len() {
            let Some(topic) = topics.at(number) else { break };
            let place = match &*topic {
                Topic::Events { .. } | Topic::Notices { .. } => Place::Apps(None),
                Topic::Output { deployment, .. } => Place::Deployment(deployment),
                Topic::Logs { app, .. } => Place::App(app),
            };
            let who = self.admit_to(caller.clone(), "stream.topics", Permission::Look, place).await?;
            followed.push(self.follow_topic(&who, number, topic).await?);
        }
        Ok(Box::pin(select_all(followed)))
    }

    async fn follow_topic(&self, who: &Admitted, number: usize, topic: &mut Topic) -> Result<Messages<Heard>, Error> {
        match topic {
            Topic::Events { after } => {
                let begin = match *after {
                    Some(after) => after,
                    None => store::events::latest(self.store()).await.map_err(store_error)?,
                };
                *after = Some(begin);
                let request = events::ListRequest {
                    app: None,
                    environment: None,
                    deployment: None,
                    after: Some(begin),
                    limit: DEFAULT_LIMIT,
                };
                Ok(told(number, self.follow_events(who, request).await?, Told::Event))
            }
            Topic::Notices { after } => {
                let begin = match *after {
                    Some(after) => after,
                    None => store::events::latest(self.store()).await.map_err(store_error)?,
                };
                *after = Some(begin);
                Ok(told(number, self.follow_notices(who, begin), Told::Notice))
            }
            Topic::Output { deployment, after } => {
                Ok(told(number, self.follow_output(who, deployment, *after).await?, Told::Output))
            }
            Topic::Logs { app, environment, after } => {
                let request = logs::ReadRequest {
                    app: app.clone(),
                    environment: environment.clone(),
                    component: None,
                    after: after.as_ref().map(ToString::to_string),
                    limit: DEFAULT_LIMIT,
                };
                Ok(told(number, self.follow_logs(who, request).await?, Told::Logs))
            }
        }
    }
}

fn told<T: 'static>(topic: usize, messages: Messages<T>, tell: fn(T) -> Told) -> Messages<Heard> {
    let messages = messages.map(move |message| message.map(|message| Heard { topic, told: tell(message) }));
    Box::pin(messages.chain(once(ready(Ok(Heard { topic, told: Told::Over })))))
}
