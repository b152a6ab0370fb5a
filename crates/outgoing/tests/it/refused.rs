//! Nobody gets the server to call what only the server can reach.

use std::sync::atomic::Ordering;

use outgoing::OutgoingError;

use crate::support::{Receiver, get, ok, outgoing, resolver};

/// Every way to write an address of this machine or of a network behind it.
#[tokio::test]
async fn inner_addresses_are_refused_in_any_form() {
    let inner = Receiver::answering("127.0.0.1", ok("inner")).await;
    let port = inner.port();
    let outgoing = outgoing(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "1２7.0.0.1",
        "127。0。0。1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.1.1",
    ] {
        for scheme in ["http", "https"] {
            let error = get(&outgoing, &format!("{scheme}://{host}:{port}/")).await.unwrap_err();
            assert!(matches!(error, OutgoingError::Refused { .. }), "{scheme}://{host}: {error}");
        }
    }
    assert_eq!(inner.connections(), 0);
}

/// Of programs that are given a host, not a URL.
#[tokio::test]
async fn hosts_are_judged_as_addresses_are() {
    let outgoing = outgoing(&[]);
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "::1", "::ffff:10.0.0.1", "fe80::1"] {
        let error = outgoing.resolve(host, 25).await.unwrap_err();
        assert!(matches!(error, OutgoingError::Refused { .. }), "{host}: {error}");
    }
    for host in ["", "a b", "fe80::1%eth0", "example.org/", "user@example.org"] {
        let error = outgoing.resolve(host, 25).await.unwrap_err();
        assert!(matches!(error, OutgoingError::Malformed { .. }), "{host}: {error}");
    }
}

#[tokio::test]
async fn one_bad_address_refuses_the_whole_name() {
    let (lookup, _) = resolver(vec![vec!["1.1.1.1", "10.0.0.7"]]);
    let outgoing = outgoing(&[]).with_lookup(lookup);
    let error = get(&outgoing, "https://two.example.org/").await.unwrap_err();
    let text = "two.example.org leads to 10.0.0.7, a private address, and is not called; the operator can allow it with \
                `--allow-outgoing 10.0.0.7`";
    assert_eq!(error.to_string(), text);
}

/// The name is public when it is looked at, and leads inside a moment later.
#[tokio::test]
async fn a_name_that_changes_its_mind_is_called_where_it_was_judged() {
    let judged = Receiver::answering("127.0.0.2", ok("judged")).await;
    let inner = Receiver::answering("127.0.0.1", ok("inner")).await;
    let (lookup, asked) = resolver(vec![vec!["127.0.0.2"], vec!["127.0.0.1"]]);
    let outgoing = outgoing(&["127.0.0.2"]).with_lookup(lookup);

    let answer = get(&outgoing, &format!("http://rebinding.example.org:{}/", judged.port())).await.unwrap();
    assert_eq!((answer.body.as_ref(), asked.load(Ordering::SeqCst)), (&b"judged"[..], 1));

    let error = get(&outgoing, &format!("http://rebinding.example.org:{}/", inner.port())).await.unwrap_err();
    assert!(matches!(error, OutgoingError::Refused { .. }), "{error}");
    assert_eq!((asked.load(Ordering::SeqCst), inner.connections()), (2, 0));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_leads_nowhere() {
    let inner = Receiver::answering("127.0.0.1", ok("inner")).await;
    let to = format!("http://{}/", inner.address);
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let redirect = format!("HTTP/1.1 {status}\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let receiver = Receiver::answering("127.0.0.2", redirect).await;
        let answer = get(&outgoing(&["127.0.0.2"]), &format!("http://{}/", receiver.address)).await.unwrap();
        assert!(answer.status.is_redirection());
        assert_eq!(answer.headers["location"], to.as_str());
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn without_encryption_only_to_where_the_operator_allows_it() {
    let (lookup, _) = resolver(vec![vec!["1.1.1.1"]]);
    let error = get(&outgoing(&["127.0.0.0/8"]).with_lookup(lookup), "http://public.example.org/").await.unwrap_err();
    assert!(matches!(error, OutgoingError::Plain { .. }), "{error}");

    let (lookup, _) = resolver(vec![vec!["1.1.1.1"]]);
    let error = outgoing(&[]).with_lookup(lookup).connect_plain("public.example.org", 25).await.unwrap_err();
    assert!(matches!(error, OutgoingError::Plain { .. }), "{error}");
}
