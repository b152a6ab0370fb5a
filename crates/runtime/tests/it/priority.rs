//! Who stands back when the processors are busy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use domain::limits::Limits;
use runtime::{Command, Executor, Host, Sandbox, priority};
use tokio_util::sync::CancellationToken;

use crate::support::{Machine, until};

/// Field 19 of `stat`.
fn nice(stat: &Path) -> i32 {
    let stat = fs::read_to_string(stat).unwrap();
    stat[stat.rfind(')').unwrap()..].split(' ').nth(17).unwrap().parse().unwrap()
}

fn own() -> i32 {
    nice(Path::new("/proc/thread-self/stat"))
}

fn of(pid: i32) -> i32 {
    nice(Path::new(&format!("/proc/{pid}/stat")))
}

/// A server that stands back starts apps where it was before, and builds further back than itself.
#[test]
fn apps_do_not_stand_back_with_the_server() {
    // Niceness is a thread's own: other tests don't notice.
    std::thread::spawn(|| {
        let normal = own();
        let stood_back = priority::stand_back();
        let server = if stood_back { (normal + 5).min(19) } else { normal };
        assert_eq!(own(), server);
        plimsoll_tests::can_test(stood_back, "a server that stands back without the right to come forward again");

        let machine = Machine::new();
        let spec = machine.spec("exec sleep 1000");
        let name = spec.key.name();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(machine.runtime.start(&spec)).unwrap();
        assert_eq!(of(machine.running_pid(&name).unwrap()), normal);
        let supervisor = machine.supervisor_pid(&name);
        until(|| of(supervisor) == normal, "the supervisor to come forward again");

        let executor = Executor::new(machine.dir.path());
        let host = Host::new(machine.dir.path(), None, &[]);
        let sandbox = host.sandbox(host.user(0).unwrap(), Limits::default());
        for (background, expected) in [(false, normal), (true, (normal + 10).min(19))] {
            let command = Command {
                command: "nice".to_owned(),
                directory: machine.app(),
                env: BTreeMap::new(),
                limit: Duration::from_secs(60),
                marker: "work".to_owned(),
                sandbox: Some(Sandbox { background, view: false, ..sandbox.clone() }),
            };
            let mut said = Vec::new();
            let cancel = CancellationToken::new();
            runtime.block_on(executor.run(&command, |line| said.push(line.text), &cancel)).unwrap();
            assert_eq!(said, [expected.to_string()], "background: {background}");
        }
        runtime.block_on(machine.runtime.stop(&name)).unwrap();
    })
    .join()
    .unwrap();
}
