//! A supervisor's life: one phase after another, driven by signals, output and time.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::instance::InstanceState;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::bounds::Bounds;
use super::capture::Capture;
use super::family::{self, Reaped, reap};
use super::restarts::{Next, Restarts};
use super::{Launch, Report};
use crate::environment;
use crate::exit::Exit;
use crate::folder::{Folder, Lock, StatusFile};
use crate::log::LogWriter;
use crate::priority::{self, Priority};
use crate::proc::Process;
use crate::spawn::{self, spawn};
use crate::spec::InstanceSpec;

/// Between two rounds of killing.
const KILL_ROUND: Duration = Duration::from_millis(20);
/// How long to go on killing what doesn't die (it hangs in the kernel).
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// For processes that left the app's group, once the group has ended.
const STRAY_GRACE: Duration = Duration::from_secs(2);
/// Between two tries to write what the disk refused.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Life {
    folder: Folder,
    spec: InstanceSpec,
    env: BTreeMap<String, String>,
    /// The app's niceness.
    normal: i32,
    _lock: Lock,
    signals: SignalFd,
    capture: Capture,
    restarts: Restarts,
    bounds: Bounds,
    phase: Phase,
    status: StatusFile,
    /// The status on disk is not the newest.
    unwritten: bool,
    born: Instant,
}

enum Phase {
    Running {
        app: i32,
        since: Instant,
    },
    /// The app has ended; what it left is killed, then it is started again at `until`.
    Waiting {
        until: Instant,
        left: Option<Left>,
    },
    /// Told to stop. `app` is there until it has been reaped; its number also names the group.
    Stopping {
        app: i32,
        reaped: bool,
        kill_at: Instant,
        give_up: Instant,
    },
    Done,
}

/// Processes that an ended app left behind.
struct Left {
    told: bool,
    next_round: Instant,
    give_up: Instant,
}

impl Life {
    pub(super) fn new(
        folder: Folder,
        spec: InstanceSpec,
        Launch { env, normal }: Launch,
        lock: Lock,
    ) -> io::Result<Self> {
        let mask: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let secrets = environment::redactor(&env, &spec.secrets);
        let user = spec.sandbox.as_ref().and_then(|s| s.user);
        let capture = Capture::new(LogWriter::open(folder.log(), spec.log), secrets, user)?;
        let status = StatusFile {
            supervisor: Process::itself(),
            app: None,
            state: InstanceState::Starting,
            stopping: false,
            restarts: 0,
            last_exit: None,
        };
        let restarts = Restarts::new(spec.restart.clone());
        let bounds = Bounds::new(spec.sandbox.as_ref());
        let born = Instant::now();
        Ok(Self {
            folder,
            spec,
            env,
            normal,
            _lock: lock,
            signals,
            capture,
            restarts,
            bounds,
            phase: Phase::Done,
            status,
            unwritten: false,
            born,
        })
    }

    /// The first start, of which the server is told. Whether there is anything to supervise.
    pub(super) fn begin(&mut self, report: impl Fn(&Report)) -> bool {
        self.write_status(InstanceState::Starting);
        match self.spawn() {
            Ok(()) => {
                report(&Report::Started);
                // The start could wait for requests; from here on the app waits when its output does.
                priority::resume(self.normal);
                true
            }
            Err(why) => {
                self.finish(format!("not executed: {why}"));
                report(&Report::Exec(why.to_string()));
                false
            }
        }
    }

    pub(super) fn run(&mut self) {
        while !matches!(self.phase, Phase::Done) {
            self.wait();
            self.capture.read();
            self.on_signals();
            self.on_time(Instant::now());
        }
    }

    /// Until there is output, a signal, or something to do at this time.
    fn wait(&mut self) {
        let mut due = match &self.phase {
            Phase::Running { .. } => self.bounds.due(),
            Phase::Done => None,
            Phase::Waiting { until, left } => Some(left.as_ref().map_or(*until, |left| left.next_round)),
            Phase::Stopping { kill_at, .. } => Some(*kill_at),
        };
        if self.unwritten || self.capture.has_losses() {
            let retry = Instant::now() + RETRY;
            due = Some(due.map_or(retry, |due| due.min(retry)));
        }
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(Instant::now());
            // Rounded up: a timer that is nearly due must not spin.
            if left.is_zero() {
                PollTimeout::ZERO
            } else {
                (left + Duration::from_millis(1)).try_into().unwrap_or(PollTimeout::MAX)
            }
        });
        let [out, err] = self.capture.sources();
        let fds = [self.signals.as_fd(), out, err];
        // Interrupted or not: whatever there is gets looked at.
        poll(&mut fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)), timeout).ok();
    }

    fn on_signals(&mut self) {
        let mut stop = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            stop |= matches!(info.ssi_signo.cast_signed(), libc::SIGTERM | libc::SIGINT);
        }
        if stop {
            self.on_stop(Instant::now());
        }
        // Always, not only on SIGCHLD: it is cheap, and nothing then depends on how signals merge.
        self.reap_all();
    }

    fn on_stop(&mut self, now: Instant) {
        match self.phase {
            Phase::Running { app, .. } => {
                family::terminate(app);
                let kill_at = now + self.spec.stop_timeout;
                self.phase = Phase::Stopping { app, reaped: false, kill_at, give_up: kill_at + KILL_PATIENCE };
                self.status.stopping = true;
                self.write_status(self.status.state.clone());
            }
            Phase::Waiting { left: Some(_), .. } => {
                self.phase = Phase::Stopping { app: 0, reaped: true, kill_at: now, give_up: now + KILL_PATIENCE };
                self.status.stopping = true;
                self.write_status(self.status.state.clone());
            }
            Phase::Waiting { left: None, .. } => self.finish_as_before(),
            Phase::Stopping { .. } | Phase::Done => {}
        }
    }

    fn reap_all(&mut self) {
        let mut reaped_any = false;
        let nobody = loop {
            match reap() {
                Reaped::One(pid, exit) => {
                    reaped_any = true;
                    self.on_exit(pid, exit);
                }
                Reaped::Alive => break false,
                Reaped::Nobody => break true,
            }
        };
        match &mut self.phase {
            Phase::Waiting { left, .. } if nobody => *left = None,
            Phase::Stopping { reaped: true, .. } if nobody => self.finish_as_before(),
            // The group has ended, so what is left has left the group: a daemon, or a child in a session of its own.
            Phase::Stopping { app, reaped: true, kill_at, .. } if reaped_any && !family::group_lives(*app) => {
                *kill_at = (*kill_at).min(Instant::now() + STRAY_GRACE);
            }
            _ => {}
        }
    }

    fn on_exit(&mut self, pid: i32, exit: Exit) {
        match &mut self.phase {
            Phase::Running { app, since } if *app == pid => {
                let ran = since.elapsed();
                self.capture.drain();
                let how = self.bounds.tell(exit);
                self.bounds.clear(&self.folder);
                self.app_ended(how, ran);
            }
            Phase::Stopping { app, reaped, .. } if *app == pid => {
                *reaped = true;
                self.status.last_exit = Some(self.bounds.tell(exit));
            }
            _ => {}
        }
    }

    /// The app has ended of itself, or could not be started again.
    fn app_ended(&mut self, how: String, ran: Duration) {
        let now = Instant::now();
        let left = Some(Left { told: false, next_round: now, give_up: now + KILL_PATIENCE });
        self.status.last_exit = Some(how.clone());
        self.status.app = None;
        let next = self.restarts.exited(ran, self.born.elapsed());
        match next {
            Next::Stop => {
                self.capture.remark(&format!("the app has ended: {how}"));
                self.phase = Phase::Stopping { app: 0, reaped: true, kill_at: now, give_up: now + KILL_PATIENCE };
                self.status.stopping = true;
                self.write_status(self.status.state.clone());
            }
            Next::Backoff(wait) => {
                self.capture.remark(&format!("the app has ended: {how}; starting it again in {}s", wait.as_secs_f64()));
                self.phase = Phase::Waiting { until: now + wait, left };
                self.write_status(InstanceState::Backoff { until: from_now(wait), last_exit: how });
            }
            Next::CrashLoop(wait) => {
                let every = wait.as_secs_f64();
                self.capture
                    .remark(&format!("the app has ended: {how}; it keeps ending, so it is tried every {every}s only"));
                self.phase = Phase::Waiting { until: now + wait, left };
                self.write_status(InstanceState::CrashLoop { until: from_now(wait), last_exit: how });
            }
        }
    }

    fn on_time(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Running { .. }) {
            self.look_at_bounds(now);
        }
        match &mut self.phase {
            Phase::Waiting { left: Some(left), .. } if now >= left.next_round => {
                // They hold the app's port and files; a second app beside them is worth less than none.
                kill_all(&self.bounds);
                left.next_round = now + KILL_ROUND;
                let given_up = now >= left.give_up;
                if !std::mem::replace(&mut left.told, true) {
                    self.capture.remark(
                        "processes that the app had started still ran and were killed; run it in the foreground",
                    );
                }
                if given_up {
                    self.capture.remark("processes of the app that has ended cannot be killed; starting beside them");
                    if let Phase::Waiting { left, .. } = &mut self.phase {
                        *left = None;
                    }
                }
            }
            Phase::Waiting { until, left: None } if now >= *until => self.start_again(),
            Phase::Stopping { kill_at, give_up, .. } if now >= *kill_at => {
                kill_all(&self.bounds);
                *kill_at = now + KILL_ROUND;
                if now >= *give_up {
                    self.capture.remark("processes of the app cannot be killed");
                    self.finish_as_before();
                }
            }
            _ => {}
        }
        if self.unwritten {
            self.write_status(self.status.state.clone());
        }
        if self.capture.has_losses() {
            self.capture.retry();
        }
    }

    fn look_at_bounds(&mut self, now: Instant) {
        if let Some(refused) = self.bounds.forks_refused() {
            self.capture.remark(&format!("the app {refused}, and gets no more"));
        }
        if let Err(exceeded) = self.bounds.look(now) {
            self.capture.remark(&format!("the app {exceeded}, and is killed"));
            // Its end comes as any other.
            kill_all(&self.bounds);
        }
    }

    fn start_again(&mut self) {
        self.status.restarts += 1;
        if let Err(why) = self.spawn() {
            self.app_ended(format!("not executed: {why}"), Duration::ZERO);
        }
    }

    fn spawn(&mut self) -> io::Result<()> {
        let (stdout, stderr) = self.capture.ends()?;
        let InstanceSpec { command, directory, key, sandbox, .. } = &self.spec;
        let sandbox = sandbox.as_ref();
        let group = self.bounds.begin(sandbox, &key.name())?;
        let priority = Priority::of(sandbox, self.normal);
        let child =
            spawn(spawn::Launch { command, directory, env: &self.env, stdout, stderr, sandbox, group, priority })?;
        let app = child.id().cast_signed();
        self.phase = Phase::Running { app, since: Instant::now() };
        self.status.app = Process::of(app);
        self.write_status(InstanceState::Running { pid: app, since: Utc::now() });
        Ok(())
    }

    fn finish_as_before(&mut self) {
        self.finish(self.status.last_exit.clone().unwrap_or_else(|| "never ended by itself".to_owned()));
    }

    fn finish(&mut self, last_exit: String) {
        self.capture.drain();
        self.capture.remark(&format!("stopped: {last_exit}"));
        self.phase = Phase::Done;
        self.bounds.end();
        self.status.app = None;
        self.status.stopping = false;
        self.status.last_exit = Some(last_exit.clone());
        self.write_status(InstanceState::Stopped { last_exit });
    }

    /// Tried again later if the disk is full; the app comes first.
    fn write_status(&mut self, state: InstanceState) {
        self.status.state = state;
        self.unwritten = self.folder.write_status(&self.status).is_err();
    }
}

/// Whatever the app has started: what is in its group, and what is ours by descent.
fn kill_all(bounds: &Bounds) {
    bounds.kill_round();
    family::signal_all(libc::SIGKILL);
}

fn from_now(wait: Duration) -> DateTime<Utc> {
    let wait = chrono::TimeDelta::from_std(wait).unwrap_or(chrono::TimeDelta::MAX);
    Utc::now().checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
