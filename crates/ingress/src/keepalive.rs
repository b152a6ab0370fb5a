//! Signs of life that the kernel asks for where nothing is said. Tunnels and streams have no limit of time, so that without
//! them a peer that is gone without a word, such as a phone without a network, would be waited for without end.

use tokio::net::TcpStream;

/// Seconds of silence before the first is asked for.
const IDLE: u32 = 30;
/// Seconds to the next, while none is answered.
const INTERVAL: u32 = 10;
/// So many without an answer, and the peer is gone. For clients the kernel goes by `TCP_USER_TIMEOUT` in place of the number,
/// counted from the last that was heard: it ends them when a probe was sent and so much time is over. That is 60 s as well, so
/// it takes three lost probes there, too; with a longer silence before the first it would take one.
const PROBES: u32 = 3;

/// Has the kernel end `stream` when nothing is heard of its peer for a minute.
pub(crate) fn ask(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt};
        // Only a socket that is closed already takes none of them.
        let _ = setsockopt(stream, sockopt::TcpKeepIdle, &IDLE);
        let _ = setsockopt(stream, sockopt::TcpKeepInterval, &INTERVAL);
        let _ = setsockopt(stream, sockopt::TcpKeepCount, &PROBES);
        let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use nix::sys::socket::{getsockopt, sockopt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::connection;
    use crate::options::Limits;
    use crate::upstream::Upstream;

    fn assert_asked(stream: &TcpStream) {
        assert!(getsockopt(stream, sockopt::KeepAlive).unwrap());
        assert_eq!(getsockopt(stream, sockopt::TcpKeepIdle).unwrap(), IDLE);
        assert_eq!(getsockopt(stream, sockopt::TcpKeepInterval).unwrap(), INTERVAL);
        assert_eq!(getsockopt(stream, sockopt::TcpKeepCount).unwrap(), PROBES);
    }

    #[tokio::test]
    async fn clients_and_upstreams_are_asked_for_signs_of_life() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::new(listener.local_addr().unwrap());
        let link = upstream.connect(Duration::from_secs(60)).await.unwrap();
        assert_asked(&link.stream);
        let (client, _) = listener.accept().await.unwrap();
        let stall = Limits::default().write_stall;
        connection::prepare(&client, stall);
        assert_asked(&client);
        let user_timeout = getsockopt(&client, sockopt::TcpUserTimeout).unwrap();
        assert_eq!(u128::from(user_timeout), stall.as_millis());
    }

    #[test]
    fn the_limit_of_a_write_that_stalls_ends_nobody_after_fewer_probes() {
        let stall = Limits::default().write_stall;
        assert_eq!(stall, Duration::from_secs((IDLE + INTERVAL * PROBES).into()));
    }
}
