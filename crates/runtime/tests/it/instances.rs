//! Start, adopt, stop, remove, clean.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use domain::instance::InstanceState;
use runtime::{RestartPolicy, StartError, Started};

use crate::support::{Machine, NONE, alive, key, kill, runtime_in, until};

#[tokio::test(flavor = "multi_thread")]
async fn starts_is_adopted_and_stops() {
    let machine = Machine::new();
    let mut spec =
        machine.spec("sh -c 'trap \"echo bye; exit 3\" TERM; echo port $PORT; while :; do sleep 0.05; done'");
    spec.port = Some(20_001);
    let name = spec.key.name();
    assert_eq!(machine.runtime.start(&spec).await.unwrap(), Started::New);
    machine.wait_for_line(&name, "port 20001");
    let pid = machine.running_pid(&name).unwrap();

    assert_eq!(machine.runtime.start(&spec).await.unwrap(), Started::Adopted);
    let new_server = runtime_in(machine.dir.path());
    assert_eq!(new_server.start(&spec).await.unwrap(), Started::Adopted);
    let status = new_server.status(&name).unwrap();
    assert!(matches!(status.state, InstanceState::Running { pid: same, .. } if same == pid));
    assert_eq!((status.key.clone(), status.port, status.restarts), (spec.key.clone(), Some(20_001), 0));
    assert_eq!(new_server.list(), [status]);
    assert_eq!(new_server.last_exit(&name), None);

    assert_eq!(new_server.stop(&name).await.unwrap().as_deref(), Some("exit status 3"));
    assert_eq!(machine.processes(), NONE);
    let stopped = InstanceState::Stopped { last_exit: "exit status 3".into() };
    assert_eq!(machine.runtime.status(&name).unwrap().state, stopped);
    assert!(machine.text(&name).contains(&"bye".to_owned()));
    assert_eq!(machine.runtime.stop(&name).await.unwrap().as_deref(), Some("exit status 3"), "idempotent");

    assert_eq!(machine.runtime.start(&spec).await.unwrap(), Started::New, "what is stopped can be started again");
    machine.runtime.remove(&name).await.unwrap();
    machine.runtime.remove(&name).await.unwrap();
    assert_eq!((machine.runtime.status(&name), machine.runtime.stop(&name).await.unwrap()), (None, None));
    assert_eq!(machine.processes(), NONE);
    assert!(!machine.instances().join(&name).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ignores_term_is_killed_in_time() {
    let machine = Machine::new();
    let mut spec = machine.spec("trap '' TERM; echo up; while :; do sleep 0.05; done");
    spec.stop_timeout = Duration::from_millis(500);
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "up");
    let begin = Instant::now();
    let exit = machine.runtime.stop(&name).await.unwrap().unwrap();
    assert_eq!(exit, "killed by signal 9 (SIGKILL)");
    assert!(begin.elapsed() >= Duration::from_millis(500) && begin.elapsed() < Duration::from_secs(5));
    assert_eq!(machine.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_app_under_a_shell_keeps_its_time() {
    let machine = Machine::new();
    // The shell is the supervisor's child and dies at TERM at once; the app needs longer.
    let app = "sh -c 'trap \"sleep 0.5; touch graceful; exit\" TERM; echo up; while :; do sleep 0.05; done'; true";
    let spec = machine.spec(app);
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "up");
    machine.runtime.stop(&name).await.unwrap();
    assert!(machine.app().join("graceful").exists(), "it was not given its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_an_app_that_daemonises() {
    let machine = Machine::new();
    let app = "(setsid sh -c 'echo daemon $$; trap \"\" TERM; while :; do sleep 0.1; done' &) ; \
               setsid sleep 1000 & sh -c 'sleep 1001 & exec sleep 1002' & \
               python3 -c 'import os,time,sys\nif os.fork(): sys.exit()\nos.setsid()\nif os.fork(): sys.exit()\ntime.sleep(1000)'; \
               echo main $$; wait; sleep 1003";
    let spec = machine.spec(app);
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    let daemon = machine.pid_line(&name, "daemon ");
    let main = machine.pid_line(&name, "main ");
    assert!(alive(daemon) && alive(main) && machine.processes().len() >= 7, "{:?}", machine.processes());
    let begin = Instant::now();
    machine.runtime.stop(&name).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(9), "strays get less than the whole stop timeout");
    assert_eq!(machine.processes(), NONE);
    assert!(!alive(daemon) && !alive(main));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forking_app_that_hides_its_environment_is_found() {
    let machine = Machine::new();
    // No mark in its environment: only descent tells.
    let spec = machine.spec(
        "setsid env -i /bin/sh -c 'trap \"\" TERM; while :; do /bin/sleep 0.1; done' & echo hidden $!; sleep 1000",
    );
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    let hidden = machine.pid_line(&name, "hidden ");
    until(|| fs::read_to_string(format!("/proc/{hidden}/environ")).is_ok_and(|e| !e.contains("PLIMSOLL")), "env -i");
    machine.runtime.stop(&name).await.unwrap();
    assert!(!alive(hidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_executed_is_an_error_and_leaves_nothing() {
    let machine = Machine::new();
    let mut spec = machine.spec("sleep 1000");
    spec.directory = machine.app().join("missing");
    let error = machine.runtime.start(&spec).await.unwrap_err();
    assert!(matches!(&error, StartError::Exec { reason, .. } if reason.contains("missing does not exist")), "{error}");
    until(|| machine.processes().is_empty(), "the supervisor to go");
    assert!(matches!(machine.runtime.status(&spec.key.name()).unwrap().state, InstanceState::Stopped { .. }));

    spec.directory = machine.app();
    spec.env.insert("A=B".into(), "x".into());
    assert!(matches!(machine.runtime.start(&spec).await, Err(StartError::Exec { .. })));
    spec.env.clear();
    spec.env.insert("BIG".into(), "x".repeat(1 << 20));
    assert!(matches!(machine.runtime.start(&spec).await, Err(StartError::Exec { .. })), "too big for the kernel");
    spec.env.clear();
    assert_eq!(machine.runtime.start(&spec).await.unwrap(), Started::New, "the same name works once the cause is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_supervisor_is_an_error() {
    let machine = Machine::new();
    for binary in ["/does/not/exist", "/bin/true", "/bin/false"] {
        let supervisor = runtime::Supervisor { binary: binary.into(), args: vec![] };
        let broken = runtime::ProcessRuntime::new(machine.instances(), supervisor).unwrap();
        let error = broken.start(&machine.spec("sleep 1")).await.unwrap_err();
        assert!(matches!(error, StartError::Supervisor { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_generation_is_refused() {
    let machine = Machine::new();
    let newer = runtime::InstanceSpec { key: key("web", 0, 7), ..machine.spec("sleep 1000") };
    let older = runtime::InstanceSpec { key: key("worker", 0, 6), ..machine.spec("sleep 1000") };
    machine.runtime.start(&newer).await.unwrap();
    let error = runtime_in(machine.dir.path()).start(&older).await.unwrap_err();
    assert!(matches!(error, StartError::OlderGeneration { generation: 6, current: 7, .. }));
    assert_eq!(machine.runtime.status(&older.key.name()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_starts_at_once_exactly_one_runs() {
    let machine = Machine::new();
    let spec = machine.spec("echo run >> runs; sleep 1000");
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let (runtime, spec) = (runtime_in(machine.dir.path()), spec.clone());
            tokio::spawn(async move { runtime.start(&spec).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for start in starts {
        new += usize::from(start.await.unwrap() == Started::New);
    }
    assert_eq!(new, 1);
    until(|| machine.app().join("runs").exists(), "the app");
    assert_eq!(fs::read_to_string(machine.app().join("runs")).unwrap(), "run\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn cleaning_keeps_what_is_wanted_only() {
    let machine = Machine::new();
    let mut names = Vec::new();
    for index in 0..4 {
        let spec = runtime::InstanceSpec { key: key("web", index, 1), ..machine.spec("sleep 1000") };
        machine.runtime.start(&spec).await.unwrap();
        names.push(spec.key.name());
    }
    // One without a folder, one without a supervisor, rubbish of an interrupted start and of an interrupted removal.
    let orphan = machine.running_pid(&names[1]).unwrap();
    fs::remove_dir_all(machine.instances().join(&names[1])).unwrap();
    kill(machine.supervisor_pid(&names[2]), 9);
    fs::create_dir(machine.instances().join("dep_half-web-0")).unwrap();
    fs::create_dir(machine.instances().join(".gone-x-0")).unwrap();

    let other = Machine::new();
    other.runtime.start(&other.spec("sleep 1000")).await.unwrap();

    let mut removed = machine.runtime.clean(&BTreeSet::from([names[0].clone()])).await;
    removed.sort();
    assert_eq!(removed, [names[1].clone(), names[2].clone(), names[3].clone(), "dep_half-web-0".to_owned()]);
    assert!(!alive(orphan));
    assert_eq!(machine.processes().len(), 2, "the supervisor and the app of the one that is kept");
    assert!(machine.running_pid(&names[0]).is_some());
    assert!(!machine.instances().join(".gone-x-0").exists());
    assert_eq!(machine.runtime.clean(&BTreeSet::from([names[0].clone()])).await, Vec::<String>::new());
    assert_eq!(other.processes().len(), 2, "another server's instances are not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_in_memory() {
    let machine = Machine::new();
    let mut spec = machine.spec("echo got $SECRET; env > seen; sleep 1000");
    spec.env.insert("SECRET".into(), "hunter2hunter2".into());
    let name = spec.key.name();
    assert!(!format!("{spec:?}").contains("hunter2"));
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "got hunter2hunter2");
    for file in ["spec.json", "status.json", "supervisor.err", "lock"] {
        let text = fs::read_to_string(machine.instances().join(&name).join(file)).unwrap();
        assert!(!text.contains("hunter2"), "{file}: {text}");
    }
    let supervisor = machine.supervisor_pid(&name);
    for file in [format!("/proc/{supervisor}/cmdline"), format!("/proc/{supervisor}/environ")] {
        assert!(!fs::read_to_string(file).unwrap().contains("hunter2"));
    }
    let app = machine.running_pid(&name).unwrap();
    assert!(!fs::read_to_string(format!("/proc/{app}/cmdline")).unwrap().contains("hunter2"));

    // And the app has nothing of the server's environment but the search path.
    until(|| fs::read_to_string(machine.app().join("seen")).is_ok_and(|t| t.contains("TMPDIR")), "env");
    let seen = fs::read_to_string(machine.app().join("seen")).unwrap();
    let names: BTreeSet<&str> = seen.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    let want =
        ["HOME", "LANG", "OLDPWD", "PATH", "PLIMSOLL_INSTANCE", "PLIMSOLL_RUNTIME", "PWD", "SECRET", "TMPDIR", "_"];
    assert!(names.is_subset(&BTreeSet::from(want)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_may_end_is_stopped_by_its_end() {
    let machine = Machine::new();
    let mut spec = machine.spec("echo once; exit 4");
    spec.restart = RestartPolicy::Never;
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    until(|| matches!(machine.runtime.status(&name).unwrap().state, InstanceState::Stopped { .. }), "its end");
    assert_eq!(machine.runtime.last_exit(&name).as_deref(), Some("exit status 4"));
    until(|| machine.processes().is_empty(), "the supervisor to go");
    assert_eq!(machine.text(&name), ["once", "the app has ended: exit status 4", "stopped: exit status 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_from_outside_lead_nowhere() {
    let machine = Machine::new();
    fs::create_dir(machine.dir.path().join("precious")).unwrap();
    for bad in ["../precious", "", ".", "..", "/etc", ".locks"] {
        assert_eq!(machine.runtime.status(bad), None);
        assert_eq!(machine.runtime.remove(bad).await.unwrap(), None, "{bad}");
        assert!(machine.runtime.logs().tail(bad, 5).unwrap().is_empty());
    }
    assert!(machine.dir.path().join("precious").exists());
}
