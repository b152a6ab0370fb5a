//! Commands that run to an end, or are brought to one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runtime::{Command, ExecError, Executor, Exit, Line, Stream};
use tokio_util::sync::CancellationToken;

use crate::support::{NONE, alive, example, kill, marked, until};

struct Work {
    dir: tempfile::TempDir,
    executor: Executor,
}

impl Work {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let executor = Executor::new(dir.path());
        Self { dir, executor }
    }

    fn command(&self, command: &str) -> Command {
        Command {
            command: command.to_owned(),
            directory: self.dir.path().to_owned(),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            limit: Duration::from_secs(60),
            marker: "work".to_owned(),
            sandbox: None,
        }
    }

    fn processes(&self) -> Vec<i32> {
        scope_processes(self.dir.path())
    }

    async fn run(&self, command: &str) -> (Result<Exit, ExecError>, Vec<Line>) {
        let mut lines = Vec::new();
        let done = self.executor.run(&self.command(command), |l| lines.push(l), &CancellationToken::new()).await;
        (done, lines)
    }
}

fn scope_processes(dir: &Path) -> Vec<i32> {
    marked(&format!("PLIMSOLL_RUNTIME={}", fs::canonicalize(dir).unwrap().display()))
}

impl Drop for Work {
    fn drop(&mut self) {
        self.processes().into_iter().for_each(|pid| kill(pid, 9));
    }
}

const FAMILY: &str = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1000' &); sleep 1001 & sh -c 'sleep 1002 & sleep 1003' & \
                      echo up; while :; do sleep 0.1; done";

#[tokio::test(flavor = "multi_thread")]
async fn output_and_exit_status_come_back() {
    let work = Work::new();
    let (done, lines) = work.run("echo $GREETING; echo oops >&2; pwd; cat; printf end; exit 3").await;
    assert_eq!(done.unwrap(), Exit::Code(3));
    assert_eq!(Exit::Code(3).to_string(), "exit status 3");
    let texts = |stream| lines.iter().filter(|l| l.stream == stream).map(|l| l.text.clone()).collect::<Vec<_>>();
    let dir = fs::canonicalize(work.dir.path()).unwrap().display().to_string();
    assert_eq!(texts(Stream::Stdout), ["hello".to_owned(), dir, "end".to_owned()]);
    assert_eq!(texts(Stream::Stderr), ["oops"]);

    let (done, _) = work.run("kill -KILL $$").await;
    assert_eq!(done.unwrap().to_string(), "killed by signal 9 (SIGKILL)");
    let (done, lines) = work.run("no-such-program --help").await;
    assert_eq!(done.unwrap(), Exit::Code(127));
    assert!(lines[0].text.contains("not found"));
    let (done, lines) = work.run("seq 200000").await;
    assert!(done.unwrap().success());
    assert!(lines.len() == 200_000 && lines.iter().enumerate().all(|(i, l)| l.text == (i + 1).to_string()));

    let mut command = work.command("true");
    command.directory = work.dir.path().join("missing");
    let error = work.executor.run(&command, |_| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error, ExecError::Spawn { .. }) && error.to_string().contains("missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_child_that_holds_the_output_open_does_not_hang_us() {
    let work = Work::new();
    let begin = Instant::now();
    let (done, lines) = work.run("sleep 1000 & setsid sleep 1001 & (setsid sh -c 'sleep 1002' &); echo done").await;
    assert!(done.unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert_eq!(lines.len(), 1);
    assert_eq!(work.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_ends_the_whole_family() {
    let work = Work::new();
    let mut command = work.command(FAMILY);
    command.limit = Duration::from_secs(3);
    let mut lines = Vec::new();
    let begin = Instant::now();
    let error = work.executor.run(&command, |l| lines.push(l.text), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ExecError::TimedOut(limit) if limit == command.limit));
    assert!(begin.elapsed() >= Duration::from_secs(5) && begin.elapsed() < Duration::from_secs(60));
    assert_eq!(lines, ["up"]);
    assert_eq!(work.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_it_gracefully_and_its_last_words_are_heard() {
    let work = Work::new();
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    let mut lines = Vec::new();
    let command = work.command("trap 'seq 100000; echo bye; exit' TERM; echo up; while :; do sleep 0.05; done");
    let output = |line: Line| {
        if line.text == "up" {
            trigger.cancel();
        }
        lines.push(line.text);
    };
    let error = work.executor.run(&command, output, &cancel).await.unwrap_err();
    assert!(matches!(error, ExecError::Cancelled));
    assert_eq!(lines.last().unwrap(), "bye");
    assert_eq!(work.processes(), NONE);
    let error = work.executor.run(&work.command("touch never"), |_| {}, &cancel).await.unwrap_err();
    assert!(matches!(error, ExecError::Cancelled) && !work.dir.path().join("never").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_ends_the_whole_family() {
    let work = Work::new();
    let up = Arc::new(Mutex::new(false));
    let (executor, command, seen) = (work.executor.clone(), work.command(FAMILY), up.clone());
    let task = tokio::spawn(async move {
        executor.run(&command, |_| *seen.lock().unwrap() = true, &CancellationToken::new()).await
    });
    until(|| *up.lock().unwrap(), "the command");
    until(|| work.processes().len() >= 5, "the family");
    task.abort();
    until(|| work.processes().is_empty(), "all of it to go");

    // Dropped at once, again and again: at every point of its beginning.
    for micros in (0..4000).step_by(200) {
        let command = work.command("sleep 1000 & sleep 1001");
        let cancel = CancellationToken::new();
        let run = work.executor.run(&command, |_| {}, &cancel);
        tokio::time::timeout(Duration::from_micros(micros), run).await.unwrap_err();
    }
    until(|| work.processes().is_empty(), "all of them to go");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_piece_of_work_do_not_end_each_other() {
    let work = Work::new();
    let long = work.command("sleep 1; echo whole");
    let short = work.command("true");
    let mut lines = Vec::new();
    let cancel = CancellationToken::new();
    let (long, ()) = tokio::join!(work.executor.run(&long, |l| lines.push(l.text), &cancel), async {
        for _ in 0..10 {
            work.executor.run(&short, |_| {}, &CancellationToken::new()).await.unwrap();
        }
    });
    assert!(long.unwrap().success());
    assert_eq!(lines, ["whole"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_leaves_is_swept() {
    let work = Work::new();
    let start = |marker: &str| {
        let mut server = std::process::Command::new(example("server"))
            .arg("exec")
            .arg(work.dir.path())
            .args([marker, "setsid sleep 1000 & sh -c 'echo child $$; exec sleep 1001' & echo main $$; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Vec<String> =
            BufReader::new(server.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
        let pid = |word| lines.iter().find_map(|l| l.strip_prefix(word)?.trim().parse::<i32>().ok()).unwrap();
        let (main, child) = (pid("main"), pid("child"));
        server.kill().unwrap();
        server.wait().unwrap();
        (main, child)
    };
    let (main_a, child_a) = start("a");
    let (_, child_b) = start("b");
    until(|| !alive(main_a), "the command itself to die with the server");
    assert!(alive(child_a) && alive(child_b));

    assert!(work.executor.sweep("a").await >= 2);
    assert!(!alive(child_a) && alive(child_b));
    assert_eq!(work.executor.sweep_all_except(&BTreeSet::from(["b".to_owned()])).await, 0);
    assert_eq!(Executor::new(Path::new("/")).sweep_all_except(&BTreeSet::new()).await, 0, "another server's");
    assert!(alive(child_b));
    assert!(work.executor.sweep_all_except(&BTreeSet::new()).await >= 2);
    assert!(!alive(child_b));
    assert_eq!(work.processes(), NONE);
}
