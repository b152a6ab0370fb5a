//! Deployments that have not ended: what is stuck or stalled, what waits, and what helps.

use chrono::{DateTime, Utc};
use domain::phase::Phase;
use operations::diagnosis::{DeploymentState, Diagnoses, Diagnosis};

use super::{Finding, Surroundings};
use crate::text::{age, clean, phase};

const CHECK: &str = "deployment";

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    match &around.diagnoses {
        None => Vec::new(),
        Some(diagnoses) => findings(diagnoses, Utc::now()),
    }
}

fn findings(diagnoses: &Diagnoses, now: DateTime<Utc>) -> Vec<Finding> {
    if diagnoses.items.is_empty() {
        return vec![Finding::ok(CHECK, "none is at work, none waits")];
    }
    let mut findings: Vec<Finding> = diagnoses.items.iter().map(|item| finding(item, now)).collect();
    if diagnoses.left_out > 0 {
        findings.push(Finding::ok(CHECK, format!("{} more wait in the queue", diagnoses.left_out)));
    }
    findings
}

fn finding(item: &Diagnosis, now: DateTime<Utc>) -> Finding {
    let text = describe(item, now);
    match (&item.command, item.state) {
        (Some(command), DeploymentState::Stuck) => {
            let serves = if item.phase.is_end() { "it" } else { "what served before" };
            let advice = format!(
                "See to the reason, then `{command}`: the step is tried again. \
                 Or `plimsoll abandon {}`: it ends as it is, and {serves} serves on",
                item.deployment
            );
            Finding::failed(CHECK, text, advice)
        }
        (Some(command), _) => Finding::warning(CHECK, text, format!("`{command}`")),
        (None, _) => Finding::ok(CHECK, text),
    }
}

fn describe(item: &Diagnosis, now: DateTime<Utc>) -> String {
    let state = match item.state {
        DeploymentState::Stuck => "stuck",
        DeploymentState::Stalled => "stalled",
        DeploymentState::Working => "at work",
        DeploymentState::Waiting => "waiting",
    };
    let Diagnosis { deployment, app, environment, .. } = item;
    let since = age(item.since, now);
    let state = match (item.phase, item.state) {
        (Phase::Active, DeploymentState::Working) => "active, cleaning up".to_owned(),
        (Phase::Active, _) => format!("active, {state} in cleaning up"),
        _ => format!("{state} in {}", phase(item.phase)),
    };
    let mut lines = vec![format!("{deployment} of {app}/{environment}: {state} for {since}")];
    lines.extend(item.reason.iter().map(|reason| format!("  {}", clean(reason))));
    lines.extend(item.waits_for.iter().map(|what| format!("  waits for {}", clean(what))));
    if item.state != DeploymentState::Waiting {
        lines.extend(item.last_step.iter().map(|step| {
            let stage = step.stage.as_deref().map(|stage| format!(" of {stage}")).unwrap_or_default();
            format!("  last step: {}{stage}, {} ago", step.event.replace('_', " "), age(step.at, now))
        }));
        lines.extend(
            item.last_output
                .iter()
                .map(|line| format!("  last output, {} ago: {}", age(line.at, now), clean(&line.text))),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::deployment::DeploymentKind;
    use operations::diagnosis::{LastOutput, LastStep};

    use super::super::Status;
    use super::*;

    #[test]
    fn what_is_stuck_comes_with_one_command() {
        let now = Utc::now();
        let ago = |minutes| now - chrono::TimeDelta::minutes(minutes);
        let item = Diagnosis {
            deployment: "dep_01hf7yat00000000000000002a".parse().unwrap(),
            app: "shop".parse().unwrap(),
            environment: "production".parse().unwrap(),
            kind: DeploymentKind::Deploy,
            phase: Phase::Migrating,
            since: ago(9),
            state: DeploymentState::Stalled,
            reason: Some("no step and no output for 5m in migrating".into()),
            waits_for: None,
            last_step: Some(LastStep {
                at: ago(8),
                event: "stage_started".into(),
                stage: Some("release_command".into()),
            }),
            last_output: Some(LastOutput { at: ago(7), text: "\x1b[2Jmigrating 7 of 9".into() }),
            heard_of_at: None,
            command: Some("plimsoll cancel dep_1".into()),
        };
        let found = finding(&item, now);
        assert_eq!((found.status, found.advice.as_deref()), (Status::Warning, Some("`plimsoll cancel dep_1`")));
        for part in
            ["stalled in migrating for 9 min", "stage started of release_command, 8 min ago", "migrating 7 of 9"]
        {
            assert!(found.found.contains(part), "{}", found.found);
        }
        assert!(!found.found.contains('\x1b'));
        let stuck = Diagnosis { state: DeploymentState::Stuck, command: Some("plimsoll resume dep_1".into()), ..item };
        let advice = finding(&stuck, now).advice.unwrap();
        for command in ["`plimsoll resume dep_1`", "`plimsoll abandon dep_01hf7yat00000000000000002a`"] {
            assert!(advice.contains(command), "{advice}");
        }
        let active = Diagnosis { phase: Phase::Active, ..stuck };
        let found = finding(&active, now);
        assert_eq!(found.status, Status::Failed);
        assert!(found.found.contains("active, stuck in cleaning up for 9 min"), "{}", found.found);
        assert!(found.advice.unwrap().ends_with("and it serves on"));
        let healthy = Diagnosis { state: DeploymentState::Working, reason: None, command: None, ..active };
        let found = finding(&healthy, now);
        assert!(found.status == Status::Ok && found.found.contains("active, cleaning up for 9 min"), "{}", found.found);
        assert_eq!(findings(&Diagnoses { items: Vec::new(), left_out: 0 }, now)[0].status, Status::Ok);
    }
}
