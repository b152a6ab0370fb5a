//! Plans and simulations as people read them.

use std::time::Duration;

use domain::Name;
use domain::deployment::DeploymentKind;
use domain::plan::{
    Action, Changes, Differences, Estimate, Interruption, Plan, PlannedApproval, PlannedStart, Simulated, Simulation,
    Step, StepEnd,
};
use domain::promotion::{Severity, Version};

use crate::source;
use crate::text::{self, clean, count};

/// In one line: what, where, from what to what.
pub(crate) fn headline(plan: &Plan) -> String {
    let to = match plan.kind {
        DeploymentKind::Rollback => format!("roll {} back to {}", plan.app, plan.brings()),
        DeploymentKind::Deploy | DeploymentKind::Promotion => {
            format!("{} {} of {}", verb(plan), plan.brings(), plan.app)
        }
    };
    let live =
        plan.live.as_ref().map_or_else(|| "nothing serves yet".to_owned(), |live| format!("v{} serves", live.number));
    format!("{to} in {}, where {live}", plan.environment)
}

fn verb(plan: &Plan) -> &'static str {
    if plan.release.number.is_some() { "deploy" } else { "make and deploy" }
}

/// The whole plan.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("plan {}", plan.digest), headline(plan), String::new()];
    let mut fact = |name: &str, text: String| lines.push(format!("{name:<10}{text}"));
    if let Some(source) = &plan.source {
        let asked = plan.reference.as_ref().map(|r| format!(" ({})", clean(r))).unwrap_or_default();
        match &plan.commit {
            Some(commit) => fact("commit", format!("{} {}{asked}", commit.short(), clean(&commit.summary))),
            None => fact("source", clean(&source::describe(source))),
        }
    }
    fact("release", format!("{} ({})", plan.brings(), plan.release.digest.short()));
    fact("serves", plan.live.as_ref().map_or_else(|| "nothing yet".to_owned(), version));
    if let Some(approval) = &plan.approval {
        fact("approval", self::approval(approval));
    }
    fact("starts", start(plan));
    fact("takes", plan.duration.map_or_else(|| "unknown: nothing like it was measured here yet".to_owned(), estimate));
    fact(
        "downtime",
        match plan.downtime.expected_ms {
            0 => "none expected".to_owned(),
            ms => format!("{} expected", text::took(Duration::from_millis(ms))),
        },
    );
    if let Some(nothing) = &plan.nothing_to_do {
        lines.push(format!("\nnothing to do: {}", clean(nothing)));
    }
    for finding in &plan.findings {
        let what = match finding.severity {
            Severity::Blocking => "it would fail:",
            Severity::Warning => "warning:",
        };
        lines.push(format!("\n{what} {}", clean(&finding.message)));
        lines.push(format!("  try: {}", clean(&finding.hint)));
    }
    lines.extend(plan.notes.iter().map(|note| format!("note: {}", clean(note))));
    lines.push("\nSteps".to_owned());
    for (number, one) in plan.steps.iter().enumerate() {
        lines.extend(step(number + 1, one));
    }
    lines.push("\nDowntime, by component".to_owned());
    for component in &plan.downtime.components {
        let expected = match component.expected {
            Interruption::None => "none",
            Interruption::Overlap => "none, but an overlap",
            Interruption::Begins => "begins",
            Interruption::Ends => "ends",
        };
        lines.push(format!("  {}: {expected}; {}", component.component, clean(&component.reason)));
    }
    lines.extend(plan.downtime.notes.iter().map(|note| format!("  {}", clean(note))));
    let differences = differences(&plan.differences);
    if !differences.is_empty() {
        lines.push("\nDifferences to what serves".to_owned());
        lines.extend(differences);
    }
    lines.push(String::new());
    lines.push(format!("carry it out, until {}:", text::local(plan.expires_at)));
    lines.push(format!("  plimsoll deploy --plan {}", plan.digest.short()));
    lines.push("what a failure at each step would leave:".to_owned());
    lines.push(format!("  plimsoll simulate --plan {}", plan.digest.short()));
    lines
}

/// Who has to say yes first.
fn approval(approval: &PlannedApproval) -> String {
    let PlannedApproval { required, role, own_counts, expires_in } = approval;
    let people = if *required == 1 { "1 person".to_owned() } else { format!("{required} people") };
    let own = if *own_counts { "counts" } else { "does not count" };
    format!("needed: {people} with the role {role} at least, within {expires_in}; your own vote {own}")
}

/// As it was when the plan was made.
fn start(plan: &Plan) -> String {
    match plan.approval {
        Some(_) => format!("when it is approved of; then {}", start_then(plan)),
        None => start_then(plan),
    }
}

fn start_then(plan: &Plan) -> String {
    let PlannedStart { waiting_for, ahead, estimate, .. } = &plan.start;
    let Some(waiting_for) = waiting_for else { return "at once".to_owned() };
    let after = |at| text::took(text::between(plan.created_at, at));
    let when = match estimate {
        None => "nobody can say when".to_owned(),
        Some(start) if start.early == start.late => format!("after about {}", after(start.at)),
        Some(start) => format!("after about {} ({} to {})", after(start.at), after(start.early), after(start.late)),
    };
    let ahead = match ahead {
        0 => String::new(),
        n => format!("; {} before it in the queue", count(*n as usize, "deployment")),
    };
    format!("{when}: it waits for {}{ahead}", clean(waiting_for))
}

fn step(number: usize, step: &Step) -> Vec<String> {
    let Step { stage, action, reason, touches, duration, .. } = step;
    let (skipped, time) = match action {
        Action::Skip => ("nothing to do: ", String::new()),
        Action::Run => ("", duration.map_or_else(|| " [unknown]".to_owned(), |d| format!(" [{}]", short(d)))),
    };
    let mut lines = vec![format!("{number:>3}. {stage}: {skipped}{}{time}", clean(reason))];
    for touch in touches {
        let verb = touch.change().map_or("runs", |change| change.as_str());
        lines.push(format!("       {verb} {}", clean(&touch.to_string())));
    }
    lines
}

fn differences(differences: &Differences) -> Vec<String> {
    let mut lines = Vec::new();
    let commits = &differences.commits;
    for (what, all) in [("brings", &commits.added), ("takes away", &commits.removed)] {
        if !all.is_empty() {
            lines.push(format!("  {what} {}:", count(all.len(), "commit")));
            lines.extend(all.iter().map(|c| format!("    {} {}", c.short(), clean(&c.summary))));
        }
    }
    lines.extend(commits.unknown.iter().map(|why| format!("  commits are not known: {}", clean(why))));
    lines.extend(changes("variables", &differences.variables));
    lines.extend(changes("components", &differences.components));
    for route in &differences.routes {
        let shown = |name: &Option<Name>| name.as_ref().map_or("nothing", Name::as_str).to_owned();
        lines.push(format!("  route {}: {} becomes {}", route.route, shown(&route.live), shown(&route.promoted)));
    }
    for setting in &differences.configuration {
        let shown = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), |value| clean(&value.to_string()))
        };
        let name = clean(&setting.setting);
        lines.push(format!("  {name}: {} becomes {}", shown(&setting.live), shown(&setting.promoted)));
    }
    lines
}

fn changes(what: &str, changes: &Changes) -> Option<String> {
    let Changes { added, removed, changed } = changes;
    let parts: Vec<String> = [("added", added), ("removed", removed), ("changed", changed)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(how, names)| format!("{how} {}", names.iter().map(|n| clean(n)).collect::<Vec<_>>().join(", ")))
        .collect();
    (!parts.is_empty()).then(|| format!("  {what}: {}", parts.join("; ")))
}

fn estimate(estimate: Estimate) -> String {
    let of = count(estimate.samples as usize, "deployment");
    format!("{} until it serves, measured in {of}", short(estimate))
}

/// `about 1.0 s, 9 of 10 within 2.0 s`.
fn short(estimate: Estimate) -> String {
    let time = |ms| text::took(Duration::from_millis(ms));
    format!("about {}, 9 of 10 within {}", time(estimate.median_ms), time(estimate.p90_ms))
}

fn version(version: &Version) -> String {
    match &version.commit {
        Some(commit) => format!("v{} ({} {})", version.number, commit.short(), clean(&commit.summary)),
        None => format!("v{} ({})", version.number, version.artifact.short()),
    }
}

/// Each run of a simulation.
pub(crate) fn simulation(simulation: &Simulation) -> Vec<String> {
    let mut lines = vec![format!(
        "plan {} of {} in {}; nothing was touched",
        simulation.plan.short(),
        simulation.app,
        simulation.environment
    )];
    if let Some(approval) = &simulation.approval {
        lines.push(format!("approval is {}", self::approval(approval)));
    }
    for one in &simulation.runs {
        lines.push(String::new());
        lines.extend(run(one));
    }
    lines.push("\nA cancel before the point of no return takes back the same as a failure there.".to_owned());
    lines
}

fn run(run: &Simulated) -> Vec<String> {
    let ends = if run.stuck { "stuck".to_owned() } else { text::phase(run.ends) };
    let when = run.fails_at.as_ref().map_or_else(|| "if all goes well".to_owned(), |stage| format!("if {stage} fails"));
    let mut lines = vec![format!("{when}: {ends}; {}", clean(&run.serves))];
    if run.fails_at.is_none() {
        let path = run.steps.iter().map(|step| match step.end {
            StepEnd::Skipped => format!("({})", step.stage),
            _ => step.stage.clone(),
        });
        lines.push(format!("  steps: {}", path.collect::<Vec<_>>().join(", ")));
    }
    for step in &run.steps {
        lines.extend(step.text.as_ref().map(|text| format!("  {}: {}", step.stage, clean(text))));
    }
    if !run.left.is_empty() {
        lines.push(format!("  left: {}", clean(&run.left.join("; "))));
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::access::Role;

    use super::*;

    /// As an API answers, with text from outside that tries to steer the terminal.
    fn plan() -> Plan {
        serde_json::from_str(include_str!("plan_text/plan.json")).unwrap()
    }

    /// The last lines name a local time.
    fn shown(plan: &Plan) -> String {
        let lines = lines(plan);
        lines.into_iter().filter(|line| !line.starts_with("carry it out")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_plan_reads_from_top_to_bottom() {
        insta::assert_snapshot!("plan", shown(&plan()));
        assert!(!shown(&plan()).contains('\x1b'));
    }

    #[test]
    fn whose_yes_it_takes_is_said_before_when_it_starts() {
        let needed =
            PlannedApproval { required: 2, role: Role::Admin, own_counts: false, expires_in: "4h".parse().unwrap() };
        let words = "needed: 2 people with the role admin at least, within 4h; your own vote does not count";
        let plan = Plan { approval: Some(needed.clone()), ..plan() };
        let shown = shown(&plan);
        assert!(shown.contains(&format!("\napproval  {words}\nstarts    when it is approved of; then ")), "{shown}");
        let parsed: Simulation = serde_json::from_str(include_str!("plan_text/simulation.json")).unwrap();
        let lines = simulation(&Simulation { approval: Some(needed), ..parsed });
        assert_eq!(lines[1], format!("approval is {words}"));
    }

    #[test]
    fn what_blocks_it_and_what_is_unknown_is_said() {
        let mut plan = plan();
        plan.duration = None;
        plan.steps.iter_mut().for_each(|step| step.duration = None);
        plan.live = None;
        plan.kind = DeploymentKind::Rollback;
        plan.release.number = Some(3);
        plan.nothing_to_do = Some("v3 serves already".to_owned());
        plan.findings[0].severity = Severity::Blocking;
        insta::assert_snapshot!("blocked_plan", shown(&plan).lines().take(18).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn what_it_would_wait_for_is_said() {
        let mut plan = plan();
        let line = |plan: &Plan| lines(plan).into_iter().find(|line| line.starts_with("starts")).unwrap();
        let behind = "starts    after about 1 min 30 s (30.0 s to 2 min 00 s): it waits for dep_01hf7yat00000000000000002a to finish; \
                      2 deployments before it in the queue";
        assert_eq!(line(&plan), behind);
        plan.start.estimate = None;
        plan.start.ahead = 0;
        plan.start.waiting_for = Some("frozen: sale".to_owned());
        assert_eq!(line(&plan), "starts    nobody can say when: it waits for frozen: sale");
        plan.start.waiting_for = None;
        assert_eq!(line(&plan), "starts    at once");
    }

    #[test]
    fn a_simulation_says_what_is_left() {
        let parsed: Simulation = serde_json::from_str(include_str!("plan_text/simulation.json")).unwrap();
        insta::assert_snapshot!("simulation", simulation(&parsed).join("\n"));
    }
}
