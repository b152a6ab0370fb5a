//! Kill -9 of the server, of the supervisor, of the app.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use domain::instance::InstanceState;
use runtime::Started;

use crate::support::{Machine, NONE, alive, example, kill, until};

fn server(machine: &Machine, spec: &runtime::InstanceSpec) -> std::process::Child {
    Command::new(example("server"))
        .arg("start")
        .arg(machine.instances())
        .arg(example("supervise"))
        .arg(serde_json::to_string(spec).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_goes_on_without_the_server_and_is_adopted() {
    let machine = Machine::new();
    let spec = machine.spec("while :; do echo tick; sleep 0.05; done");
    let name = spec.key.name();
    let mut server = server(&machine, &spec);
    let mut ready = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let pid = machine.running_pid(&name).unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    let children: String =
        tasks.flatten().filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok()).collect();
    assert_eq!(children.trim(), "", "no child, not even a zombie, stays under the server");
    server.kill().unwrap();
    server.wait().unwrap();

    let last = || machine.runtime.logs().tail(&name, 1).unwrap().last().map_or(0, |l| l.seq);
    let seen = last();
    until(|| last() > seen + 3, "output after the server's death");
    assert_eq!(machine.runtime.start(&spec).await.unwrap(), Started::Adopted);
    assert_eq!(machine.running_pid(&name), Some(pid));
    machine.runtime.stop(&name).await.unwrap();
    assert_eq!(machine.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_any_moment_of_a_start_is_no_obstacle() {
    let machine = Machine::new();
    let spec = machine.spec("echo run >> runs; sleep 1000");
    for step in 0..40 {
        let mut server = server(&machine, &spec);
        std::thread::sleep(Duration::from_millis(step));
        server.kill().unwrap();
        let mut said = String::new();
        server.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        server.wait().unwrap();
        machine.runtime.start(&spec).await.unwrap();
        let running = machine.running_pid(&spec.key.name());
        assert!(running.is_some(), "killed after {step}");
        // The supervisor and the shell and its sleep, once each.
        let supervisors = machine.processes().into_iter().filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default().contains("PLIMSOLL_SUPERVISOR")
        });
        assert_eq!(supervisors.count(), 1, "killed after {step}");
        machine.runtime.remove(&spec.key.name()).await.unwrap();
        assert_eq!(machine.processes(), NONE, "killed after {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_supervisor_takes_the_app_along_and_is_replaced() {
    let machine = Machine::new();
    let spec = machine.spec("(setsid sh -c 'echo daemon $$; exec sleep 1000' &); echo main $$; echo up; sleep 1000");
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "up");
    let (daemon, main) = (machine.pid_line(&name, "daemon "), machine.pid_line(&name, "main "));
    let lines = machine.text(&name).len() as u64;
    kill(machine.supervisor_pid(&name), 9);
    until(|| !alive(main), "the app to die with its supervisor");
    until(|| machine.runtime.status(&name).unwrap().state == InstanceState::Lost, "the loss to be seen");
    assert_eq!(machine.runtime.last_exit(&name).as_deref(), Some("its supervisor was killed"));

    assert_eq!(machine.runtime.start(&spec).await.unwrap(), Started::New);
    assert!(!alive(daemon), "what the dead supervisor left is killed before the new one starts");
    until(|| machine.text(&name).len() as u64 >= lines * 2, "output of the new run");
    let log = machine.runtime.logs().read(&name, None, 100).unwrap();
    assert!(log.windows(2).all(|w| w[0].seq + 1 == w[1].seq), "numbers go on");
    machine.runtime.stop(&name).await.unwrap();
    assert_eq!(machine.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_works_without_a_supervisor() {
    let machine = Machine::new();
    let spec = machine.spec("setsid sleep 1000 & setsid sleep 1001 & echo up; sleep 1002");
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "up");
    kill(machine.supervisor_pid(&name), 9);
    let exit = machine.runtime.stop(&name).await.unwrap();
    assert_eq!(exit.as_deref(), Some("killed with its supervisor"));
    assert_eq!(machine.processes(), NONE);
    assert!(matches!(machine.runtime.status(&name).unwrap().state, InstanceState::Stopped { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_hangs_is_killed() {
    let machine = Machine::new();
    let mut spec = machine.spec("sleep 1000");
    spec.stop_timeout = Duration::from_millis(100);
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    kill(machine.supervisor_pid(&name), nix::libc::SIGSTOP);
    machine.runtime.stop(&name).await.unwrap();
    assert_eq!(machine.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_app_is_started_again() {
    let machine = Machine::new();
    let spec = machine.spec("sleep 1000");
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    let first = machine.running_pid(&name).unwrap();
    kill(first, 9);
    until(|| machine.running_pid(&name).is_some_and(|pid| pid != first), "the restart");
    assert_eq!(machine.runtime.status(&name).unwrap().restarts, 1);
    assert_eq!(machine.runtime.last_exit(&name).as_deref(), Some("killed by signal 9 (SIGKILL)"));
}
