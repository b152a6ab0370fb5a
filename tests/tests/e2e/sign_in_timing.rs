//! How long it takes to be refused tells nobody whether there is an account. Real attempts against the real server, judged by statistics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use domain::access::Role;
use operations::invitations::{Invite, InviteRequest};
use plimsoll_tests::Server;
use plimsoll_tests::timing::{Verdict, judge};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Accounts, and as many names without one: each is tried so seldom from so many places that no limit speaks.
const NAMES: usize = 10;
/// Attempts in each of the two groups.
const ATTEMPTS: usize = 200;
/// Of one attempt; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Addresses of this machine that were not used before.
struct Addresses(u16);

impl Addresses {
    fn next(&mut self) -> SocketAddr {
        self.0 += 1;
        let [high, low] = self.0.to_be_bytes();
        SocketAddr::from(([127, 9, high, low], 0))
    }
}

/// Both are as long as each other, so that nothing but the account differs.
fn name(has_account: bool, n: usize) -> String {
    format!("{}-{n}@example.org", if has_account { "person" } else { "nobody" })
}

async fn connect(server: &Server, from: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from).unwrap();
    let stream = socket.connect(server.api()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Milliseconds from the request, whose connection is open, to the first byte of the answer; and the status.
async fn attempt(server: &Server, from: SocketAddr, email: &str) -> (f64, u16) {
    let body = json!({ "email": email, "password": "thimble walnut harbour" }).to_string();
    let request = format!(
        "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        server.api(),
        body.len()
    );
    let mut stream = connect(server, from).await;
    let mut answer = [0; 1024];
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).await.unwrap();
    let n = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    let head = String::from_utf8_lossy(&answer[..n]);
    (took, head.split(' ').nth(1).unwrap().parse().unwrap())
}

/// Both groups, mixed at random: what else the machine does hits both alike.
async fn measure(attempts: usize, mut one: impl AsyncFnMut(bool, usize) -> f64) -> [Vec<f64>; 2] {
    let mut order: Vec<(bool, usize)> = (0..attempts).flat_map(|n| [(true, n), (false, n)]).collect();
    order.sort_by_cached_key(|_| rand::random::<u64>());
    let mut groups = [Vec::new(), Vec::new()];
    for (has_account, n) in order {
        groups[usize::from(!has_account)].push(one(has_account, n % NAMES).await);
    }
    groups
}

fn told(what: &str, verdict: Verdict) -> Verdict {
    let ([with, without], [d1, d2]) = (verdict.means, verdict.errors);
    eprintln!(
        "{what}: with an account {with:.2} ms (±{d1:.2}), without one {without:.2} ms (±{d2:.2}), t = {:.2}",
        verdict.t
    );
    verdict
}

/// Once more with new samples before it fails: a machine that stood still for one of the groups is no finding.
async fn is_not_told_apart(what: &str, attempts: usize, mut one: impl AsyncFnMut(bool, usize) -> f64) {
    let mut found = Vec::new();
    for round in ["first", "second"] {
        let [with, without] = measure(attempts, &mut one).await;
        let verdict = told(&format!("{what}, {round} time"), judge(&with, &without));
        if verdict.is_fine() {
            return;
        }
        found.push(verdict);
    }
    panic!("{what}: who is refused learns from the time whether there is an account: {found:#?}");
}

async fn account(server: &Server, n: usize) {
    let email = name(true, n);
    let invite = InviteRequest {
        email: Some(email.parse().unwrap()),
        role: Role::Viewer,
        app: None,
        expires_in: "1h".parse().unwrap(),
    };
    let invitation = server.client().call::<Invite>(&invite).await.unwrap().secret.unwrap();
    let body = json!({ "invitation": invitation, "name": "Zoe", "password": format!("gravel otter teapot {n}") });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = client.post(format!("http://{}/api/v1/auth/accept", server.api())).json(&body);
    assert_eq!(sent.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_takes_as_long_whether_there_is_an_account_or_not() {
    let server = Server::start().await;
    for n in 0..NAMES {
        account(&server, n).await;
    }
    let mut addresses = Addresses(0);
    // The first ones find everything cold.
    for n in 0..NAMES {
        for has_account in [true, false] {
            assert_eq!(attempt(&server, addresses.next(), &name(has_account, n)).await.1, 401);
        }
    }
    is_not_told_apart("a wrong password", ATTEMPTS, async |has_account, n| {
        let (took, status) = attempt(&server, addresses.next(), &name(has_account, n)).await;
        assert_eq!(status, 401, "{}", name(has_account, n));
        took
    })
    .await;

    // Who has to wait is told so without a look at the password, and that is as quick for both.
    let from = addresses.next();
    for n in 0..NAMES {
        for has_account in [true, false] {
            let mut statuses = Vec::new();
            for _ in 0..6 {
                statuses.push(attempt(&server, from, &name(has_account, n)).await.1);
            }
            assert_eq!(statuses, [401, 401, 401, 401, 401, 429], "{}", name(has_account, n));
        }
    }
    is_not_told_apart("has to wait", ATTEMPTS, async |has_account, n| {
        let (took, status) = attempt(&server, from, &name(has_account, n)).await;
        assert_eq!(status, 429, "{}", name(has_account, n));
        took
    })
    .await;
}
