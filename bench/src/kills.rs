//! The server killed at every write to its database's log.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::phase::Phase;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use operations::deployments::{DeploymentRequest, Get, List, ListRequest};
use plimsoll_tests::{RawLoad, Server};

use crate::figure::{Figure, Goal, quantile};
use crate::page::Page;
use crate::{Outcome, site};

/// One deployment after the other; in the nth the server dies with `kill -9` as soon as its database's log was written to for the
/// nth time, until a deployment gets through. Right is: after the restart the deployment comes to an end that is true of what
/// answers, and no request was lost at any time. One commit is several writes, so this is finer than the journal.
pub(crate) async fn run() -> Outcome {
    let mut server = Server::start().await;
    let repo = site::repository();
    server.create_app("site", repo.source()).await;
    site::version(&repo, 0);
    let mut last = server.deploy_well("site").await.id;
    let load = RawLoad::start(server.ingress(), "site.localhost", 50);
    let mut page = Page::of(server.ingress(), "site.localhost");
    let (mut kills, mut right, mut serving, mut times) = (0, 0, 0, Vec::new());
    for n in 1.. {
        site::version(&repo, n);
        let killer = Killer::at_write(n, &server.data().join("plimsoll.db-wal"), server.pid());
        // The answer may be lost with the server.
        let asked = server.try_deploy("site", None).await.ok().map(|deployment| deployment.id);
        if !killer.strikes(&server, asked.as_ref()).await {
            break;
        }
        kills += 1;
        server.kill9();
        let began = Instant::now();
        server.restart().await;
        let ended = server.end(&latest(&server).await.id).await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        let is_of_this_round = ended.id != last;
        // Who was told of a deployment must find it.
        let is_known = asked.is_none_or(|id| id == ended.id);
        if is_of_this_round && ended.phase == Phase::Active {
            serving = n;
        }
        last = ended.id;
        let body = page.get().await;
        let is_true = is_known && body.as_deref() == Some(&*format!("v{serving}"));
        if !is_true {
            println!("killed at write {n}: {:?} answers after {} ended {}", body, last, ended.phase);
        }
        right += u32::from(is_true);
    }
    let lost = load.stop().lost().len() as f64;
    Ok(vec![
        Figure::new(format!("kill -9 at each of {kills} writes: right"), right.into(), "times", Goal::Is(kills.into())),
        Figure::new("the same: requests lost", lost, "requests", Goal::Is(0.0)),
        Figure::new("the same: restart to the end, slowest", quantile(&times, 1.0), "ms", Goal::Below(2000.0)),
    ])
}

/// The newest deployment there is.
async fn latest(server: &Server) -> Deployment {
    let request = ListRequest { limit: 1, ..ListRequest::default() };
    server.client().call::<List>(&request).await.unwrap().items.remove(0)
}

/// Watches a file, and kills a process at one of its writes.
struct Killer {
    over: Arc<AtomicBool>,
    thread: JoinHandle<bool>,
}

impl Killer {
    fn at_write(n: u32, file: &Path, pid: i32) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
        inotify.add_watch(file, AddWatchFlags::IN_MODIFY).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ours = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut seen = 0;
            while !ours.load(Ordering::Relaxed) {
                let mut wait = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
                poll(&mut wait, PollTimeout::from(20_u8)).unwrap();
                seen += inotify.read_events().map_or(0, |events| events.len());
                if seen >= n as usize {
                    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
                    return true;
                }
            }
            false
        });
        Self { over, thread }
    }

    /// Whether it killed before the deployment had ended.
    async fn strikes(self, server: &Server, deployment: Option<&DeploymentId>) -> bool {
        while !self.thread.is_finished() {
            let ended = match deployment {
                Some(id) => server.client().call::<Get>(&DeploymentRequest { deployment: id.clone() }).await.ok(),
                None => None,
            };
            if ended.is_some_and(|deployment| deployment.finished_at.is_some()) {
                // What it writes after its end belongs to nobody.
                self.over.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.thread.join().unwrap()
    }
}
