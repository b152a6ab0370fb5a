//! Processes that work on one queue, and tell how many jobs are done.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// No run takes so long, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(120);

/// Ended with the value.
#[derive(Default)]
pub(super) struct Crew {
    members: Vec<Member>,
}

struct Member {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    done: Arc<AtomicUsize>,
}

impl Crew {
    /// Starts a process and waits until it says that it is ready.
    pub(super) fn hire(&mut self, mut command: Command) -> Result<(), String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| format!("{command:?}: {e}"))?;
        let mut output = child.stdout.take().map(BufReader::new);
        let mut line = String::new();
        let read = output.as_mut().map(|output| output.read_line(&mut line));
        self.members.push(Member { child, output, done: Arc::default() });
        match (read, line.trim()) {
            (Some(Ok(_)), "ready") => Ok(()),
            _ => Err(format!("a worker did not get ready: {line:?}")),
        }
    }

    /// Gives all the word to begin, and says when that was.
    pub(super) fn go(&mut self) -> Instant {
        let began = Instant::now();
        for member in &mut self.members {
            if let Some(input) = &mut member.child.stdin {
                // Who has ended meanwhile is noticed by what is not done.
                let _ = input.write_all(b"go\n");
            }
            let (output, done) = (member.output.take(), Arc::clone(&member.done));
            std::thread::spawn(move || {
                for line in output.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                    if let Some(count) = line.strip_prefix("done ").and_then(|count| count.parse().ok()) {
                        done.store(count, Ordering::Relaxed);
                    }
                }
            });
        }
        began
    }

    /// Waits until they have done so many in all.
    pub(super) async fn wait_for(&self, jobs: usize) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let done: usize = self.members.iter().map(|member| member.done.load(Ordering::Relaxed)).sum();
            if done >= jobs {
                return Ok(());
            }
            if began.elapsed() > LIMIT {
                return Err(format!("{done} of {jobs} jobs are done after {} s", LIMIT.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}
