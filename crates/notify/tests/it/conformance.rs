//! What every driver owes, whatever the receiver does.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use notify::{Driver, Failure, Then};

use crate::support::{Inbox, Mood, failed, message};
use crate::{http, mail};

const KINDS: [&str; 3] = ["webhook", "slack", "mail"];

async fn driver(kind: &str, mood: Mood) -> (Box<dyn Driver>, Inbox) {
    match kind {
        "webhook" => {
            let (address, inbox) = http::receiver(mood).await;
            (Box::new(http::webhook(address)), inbox)
        }
        "slack" => {
            let (address, inbox) = http::receiver(mood).await;
            (Box::new(http::slack(address)), inbox)
        }
        _ => {
            let (address, inbox) = mail::receiver(mood).await;
            (Box::new(mail::mail(address)), inbox)
        }
    }
}

async fn failure(kind: &str, mood: Mood) -> Failure {
    let (driver, _) = driver(kind, mood).await;
    driver.deliver(&message([failed(7, "npm ended with 1")])).await.unwrap_err()
}

#[tokio::test]
async fn what_is_taken_has_arrived_once_and_whole() {
    for kind in KINDS {
        let (driver, inbox) = driver(kind, Mood::Takes).await;
        let message = message([failed(7, "npm ended with 1")]);
        let receipt = driver.deliver(&message).await.unwrap();
        assert!(matches!(receipt.status, Some(200 | 250)), "{kind}");
        let [arrived] = inbox.all().try_into().unwrap();
        for word in ["shop production: deployment failed in building", "npm ended with 1", "deploy.example.org"] {
            assert!(arrived.contains(word), "{kind}: {arrived}");
        }
    }
}

/// The id is how a receiver knows that it has seen a message.
#[tokio::test]
async fn a_second_attempt_bears_the_same_id() {
    for kind in ["webhook", "mail"] {
        let (driver, inbox) = driver(kind, Mood::Takes).await;
        let message = message([failed(7, "no")]);
        driver.deliver(&message).await.unwrap();
        driver.deliver(&message).await.unwrap();
        let arrived = inbox.all();
        assert_eq!(arrived.iter().filter(|text| text.contains(&message.id)).count(), 2, "{kind}");
    }
}

#[tokio::test]
async fn who_is_busy_is_asked_again_when_it_says() {
    for kind in KINDS {
        let failure = failure(kind, Mood::Busy).await;
        let (status, asked) = if kind == "mail" { (451, None) } else { (429, Some(TimeDelta::seconds(30))) };
        assert_eq!((failure.status, failure.then), (Some(status), Then::Again(asked)), "{kind}: {failure}");
    }
}

#[tokio::test]
async fn who_refuses_for_good_is_not_asked_for_ever() {
    for kind in KINDS {
        let failure = failure(kind, Mood::Gone).await;
        // A mailbox that is unknown is no end of the channel; a receiver that is gone is.
        let then = if kind == "mail" { Then::GiveUp } else { Then::Disable };
        assert_eq!(failure.then, then, "{kind}: {failure}");
    }
}

#[tokio::test]
async fn bad_receivers_cost_a_moment_and_are_tried_again() {
    for kind in KINDS {
        for mood in [Mood::Closes, Mood::Floods, Mood::Babbles] {
            let begun = Instant::now();
            let failure = failure(kind, mood).await;
            assert_eq!(failure.then, Then::Again(None), "{kind} {mood:?}: {failure}");
            assert!(begun.elapsed() < Duration::from_secs(60), "{kind} {mood:?}");
            assert!(failure.why.chars().count() <= 500 && !failure.why.is_empty(), "{kind} {mood:?}: {failure}");
        }
    }
}

#[tokio::test]
async fn who_says_nothing_is_left() {
    for kind in KINDS {
        let failure = failure(kind, Mood::Hangs).await;
        assert_eq!(failure.then, Then::Again(None), "{kind}: {failure}");
        assert!(failure.why.contains("took longer than"), "{kind}: {failure}");
    }
}

#[tokio::test]
async fn failures_hold_no_secret_of_the_address() {
    for mood in [Mood::Busy, Mood::Gone, Mood::Closes, Mood::Floods, Mood::Babbles] {
        let failure = failure("slack", mood).await;
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
    }
}
