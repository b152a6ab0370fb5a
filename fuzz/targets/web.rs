//! What browsers and proxies send, or somebody in their name: topics to follow and cursors of them, who a request comes from, addresses
//! by which people sign in, their cookies, and where they want to go next.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use domain::cookies;
use domain::email::Email;
use domain::forwarded::{Claims, Client};
use domain::own_page;
use domain::topics::Topics;
use libfuzzer_sys::fuzz_target;
use url::Url;

/// Some topic of each kind, so that what a cursor says counts.
const ALL: &str = "events,env:a/b:log,dep:dep_01hf7yat00000000000000002a:log";

/// The proxy, and who it was called by.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fuzz_target!(|text: &str| {
    // What is accepted is written as one text only.
    if let Ok(topics) = text.parse::<Topics>() {
        assert!(topics.to_string().parse::<Topics>().is_ok_and(|again| again == topics), "{text}");
        resumed(&topics);
    }
    if let Ok(mut topics) = ALL.parse::<Topics>()
        && topics.go_to(text).is_ok()
    {
        resumed(&topics);
    }
    if let Ok(email) = text.parse::<Email>() {
        assert!(email.as_str().parse::<Email>().is_ok_and(|again| again == email), "{email:?}");
    }
    let lines: Vec<&str> = text.lines().collect();
    forwarded(&lines);
    cookie(&lines);
    next(text);
    lines.iter().for_each(|line| next(line));
});

/// The cookie of a session, and the most bytes of it.
const NAME: &str = "__Host-plimsoll";
const LONGEST: usize = 1024;

/// Whatever stands around ours: it is found as we gave it, or not at all.
fn cookie(written: &[&str]) {
    let find = |lines: &[&str]| cookies::find(lines.iter().copied(), NAME, LONGEST).map(str::to_owned);
    let found = find(written);
    if let Some(value) = &found {
        assert!((1..=LONGEST).contains(&value.len()) && !value.contains(';'), "{value:?}");
        // A proxy may join the lines.
        assert_eq!(find(&[&written.join("; ")]), found, "{written:?}");
    }
    let (ours, planted) = (format!("{NAME}=ours"), format!("{NAME}=planted"));
    for lines in [[written, &[&ours]].concat(), [&[ours.as_str()], written].concat()] {
        assert!(find(&lines).is_none_or(|value| value == "ours"), "{written:?}");
        assert_eq!(find(&[lines.as_slice(), &[&planted]].concat()), None, "{written:?}");
    }
}

/// A browser that is sent to a page of ours stays here.
fn next(text: &str) {
    if !own_page::is_own(text) {
        return;
    }
    for address in ["http://127.0.0.1:7878/auth/oidc/callback?code=x", "https://deploy.example.org/sign-in"] {
        let base = Url::parse(address).expect("it is an address");
        let there = base.join(text).expect("browsers take it");
        assert_eq!((there.origin(), there.username(), there.password()), (base.origin(), "", None), "{text}");
    }
}

/// Whoever comes back with the cursor is where he was.
fn resumed(topics: &Topics) {
    let cursor = topics.cursor();
    let mut again = topics.clone();
    assert!(cursor.is_empty() || again.go_to(&cursor).is_ok(), "{cursor}");
    assert_eq!(&again, topics);
}

/// Whatever a client writes into the headers: nobody but a trusted proxy is believed, and it is believed the last word.
fn forwarded(written: &[&str]) {
    let claimed = Claims { addresses: written, schemes: written, forwarded: written };
    assert_eq!(Client::of(PROXY, false, &[], claimed), Client { ip: PROXY, secure: false });

    let trusted = ["127.0.0.0/8".parse().expect("it is a network")];
    Client::of(PROXY, false, &trusted, claimed);
    let seen = Client { ip: CALLER, secure: true };
    let addresses = [written, &["192.0.2.7"]].concat();
    let by_list = Claims { addresses: &addresses, schemes: &["https"], forwarded: &[] };
    assert_eq!(Client::of(PROXY, false, &trusted, by_list), seen, "{written:?}");
    let elements = [written, &["for=192.0.2.7;proto=https"]].concat();
    let by_standard = Claims { forwarded: &elements, ..Claims::default() };
    assert_eq!(Client::of(PROXY, false, &trusted, by_standard), seen, "{written:?}");
}
