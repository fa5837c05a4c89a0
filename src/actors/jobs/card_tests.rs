//! Cards that pass and cards that do not, against a small swarm with every kind of agent.

use serde_json::{Value, json};

use crate::domain::ids::AgentName;
use crate::domain::job::JobCard;
use crate::domain::job::request::{CardFacts, CardRefusal, InputKind, JobRequest};
use crate::domain::roster::Roster;
use crate::domain::task::TaskCatalogue;
use crate::domain::time::Timestamp;

/// A world in which `/docs` can be read and `MIT` is a licence.
struct TestFacts(Roster);

impl CardFacts for TestFacts {
    fn roster(&self) -> &Roster {
        &self.0
    }

    fn tasks(&self) -> &TaskCatalogue {
        crate::actors::tasks::catalogue()
    }

    fn no_model(&self) -> Option<&str> {
        None
    }

    fn trouble_with(&self, kind: InputKind, text: &str) -> Option<String> {
        match kind {
            InputKind::Source => (text != "/docs").then(|| format!("cannot read {text}")),
            InputKind::Licences => (text != "MIT").then(|| format!("names {text}")),
            _ => None,
        }
    }
}

fn facts() -> TestFacts {
    let agent = |(name, parent, capability, behaviour): (&str, &str, &str, &str)| {
        let role = match behaviour {
            "coordinator" => "coord",
            "system" => "system",
            _ => "exec",
        };
        let parent = if parent.is_empty() { String::new() } else { format!("parent: {parent}\n") };
        let text = format!(
            "---\nname: {name}\ndescription: d\nrole: {role}\n{parent}capabilities: [{capability}]\n\
             behaviour: {behaviour}\n---\nprompt"
        );
        crate::domain::agent::parse(&format!("{name}.md"), &text).unwrap()
    };
    let agents = [
        ("architect", "", "planning", "coordinator"),
        ("director-data", "architect", "data_intake", "coordinator"),
        ("manager-data", "director-data", "data_pipeline_coordination", "coordinator"),
        ("director-security", "architect", "security_oversight", "coordinator"),
        ("director-docs", "architect", "documentation_management", "coordinator"),
        ("manager-docs", "director-docs", "report_coordination", "coordinator"),
        ("corpus-auditor", "manager-data", "source_checking", "native\nskill: ingest.audit"),
        ("chunker-mgs", "manager-data", "paragraph_banking", "native\nskill: ingest.chunk"),
        ("accountant", "manager-docs", "cost_tracking", "native\nskill: ingest.metrics"),
        ("security-auditor", "architect", "auditing", "system"),
        ("code-writer", "manager-data", "coding", "llm"),
    ];
    let (roster, refusals) = Roster::build(agents.into_iter().map(agent).collect());
    assert!(refusals.is_empty(), "{refusals:?}");
    TestFacts(roster)
}

fn request(card: Value) -> JobRequest {
    serde_json::from_value(card).unwrap()
}

fn check(card: Value) -> Result<JobCard, CardRefusal> {
    request(card).check(&facts(), Timestamp::from_millis(1000))
}

fn ingest(more: &Value) -> Value {
    let mut card = json!({ "task": "ingest", "inputs": { "source": "/docs" } });
    card.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    card
}

#[test]
fn a_card_that_can_work_passes_with_all_it_says() {
    let card = check(json!({
        "task": "ingest",
        "inputs": { "source": "/docs", "name": "docs", "max_file_bytes": 1, "deny_licences": ["MIT"] },
        "priority": 9, "deadline_s": 1.5, "approvals_required": ["read the folder"],
        "resource_request": { "cpu": 0.5, "ports": [8080] },
    }))
    .unwrap();
    assert_eq!((card.agent.as_str(), card.priority), ("architect", 9));
    assert_eq!(card.deadline_at, Some(Timestamp::from_millis(2500)));
    assert_eq!(card.approvals_required, ["read the folder"]);
    for (card, agent) in [
        (ingest(&json!({ "capability": "planning" })), "architect"),
        (ingest(&json!({ "task": "ingest.audit", "agent": "corpus-auditor" })), "corpus-auditor"),
        (ingest(&json!({ "task": "ingest.audit", "capability": "source_checking" })), "corpus-auditor"),
        (ingest(&json!({ "task": "ingest.data", "agent": "director-data" })), "director-data"),
    ] {
        assert_eq!(check(card.clone()).map(|card| card.agent.to_string()).as_deref(), Ok(agent), "{card}");
    }
}

/// Card, field at fault, and the remedy in the message.
#[test]
fn a_card_that_can_never_work_is_refused_with_what_would() {
    let long = "x".repeat(101);
    for (card, field, words) in [
        (json!({ "task": "", "inputs": {} }), "task", "must not be empty"),
        (ingest(&json!({ "task": "no-such-task" })), "task", "known: `change`"),
        (ingest(&json!({ "task": "chunk", "agent": "chunker-mgs" })), "task", "`ingest.chunk`"),
        (ingest(&json!({ "task": "ingest.chunk", "agent": "chunker-mgs" })), "task", "submit `ingest`"),
        (ingest(&json!({ "task": "ingest.report", "agent": "director-docs" })), "task", "submit `ingest`"),
        (ingest(&json!({ "task": "ingest.audit" })), "task", "task of `corpus-auditor`"),
        (ingest(&json!({ "agent": "security-auditor" })), "task", "takes no task"),
        (ingest(&json!({ "agent": "code-writer" })), "task", "known: `task`"),
        (ingest(&json!({ "capability": "cooking" })), "capability", "no agent offers `cooking`"),
        (
            ingest(&json!({ "agent": "architect", "capability": "source_checking" })),
            "capability",
            "`corpus-auditor` does",
        ),
        (json!({ "task": "ingest" }), "inputs.source", "needs `source`"),
        (ingest(&json!({ "inputs": { "source": "docs" } })), "inputs.source", "absolute path"),
        (ingest(&json!({ "inputs": { "source": 7 } })), "inputs.source", "absolute path"),
        (ingest(&json!({ "inputs": { "source": "/gone" } })), "inputs.source", "cannot read /gone"),
        (
            ingest(&json!({ "inputs": { "source": "/docs", "max_file_byte": 1 } })),
            "inputs.max_file_byte",
            "did you mean `max_file_bytes`",
        ),
        (
            ingest(&json!({ "inputs": { "source": "/docs", "max_file_bytes": 0 } })),
            "inputs.max_file_bytes",
            "positive",
        ),
        (
            ingest(&json!({ "inputs": { "source": "/docs", "deny_licences": ["X"] } })),
            "inputs.deny_licences",
            "X",
        ),
        (ingest(&json!({ "priority": 10 })), "priority", "at most 9"),
        (ingest(&json!({ "deadline_s": -1 })), "deadline_s", "positive"),
        (ingest(&json!({ "approvals_required": [""] })), "approvals_required.0", "must not be empty"),
        (ingest(&json!({ "approvals_required": ["ok", long] })), "approvals_required.1", "at most 100"),
        (ingest(&json!({ "approvals_required": vec!["x"; 33] })), "approvals_required", "at most 32"),
        (
            ingest(&json!({ "resource_request": { "cpuu": 1 } })),
            "resource_request.cpuu",
            "did you mean `cpu`",
        ),
        (ingest(&json!({ "resource_request": { "cpu": "many" } })), "resource_request", ""),
        (ingest(&json!({ "idempotency_key": "" })), "idempotency_key", "must not be empty"),
    ] {
        let Err(CardRefusal::Invalid(faults)) = check(card.clone()) else { panic!("{card} passes") };
        let fault = faults.iter().find(|fault| fault.field == field);
        let fault = fault.unwrap_or_else(|| panic!("{card}: no fault of {field} in {faults:?}"));
        assert!(fault.msg.contains(words), "{card}: {fault}");
        assert_eq!(faults.len(), 1, "{card}: {faults:?}");
    }
}

#[test]
fn an_agent_that_does_not_exist_is_a_refusal_of_its_own() {
    let refusal = check(ingest(&json!({ "agent": "architekt" }))).unwrap_err();
    assert!(matches!(&refusal, CardRefusal::NoSuchAgent(text) if text.contains("did you mean `architect`")));
}

#[test]
fn all_faults_are_found_at_once() {
    let refusal =
        check(json!({ "task": "ingest", "inputs": { "sauce": "/docs" }, "priority": 10 })).unwrap_err();
    let text = refusal.to_string();
    for field in ["priority:", "inputs.source:", "inputs.sauce:"] {
        assert!(text.contains(field), "{text}");
    }
}

#[test]
fn the_fingerprint_covers_the_whole_card_and_nothing_else() {
    let agent = AgentName::new("architect").unwrap();
    let print = |card: Value| request(card).fingerprint(&agent);
    let card = || json!({ "task": "ingest", "inputs": { "source": "/docs", "name": "a" } });
    let with = |more: Value| {
        let mut card = card();
        card.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        print(card)
    };
    let same = print(card());
    assert_eq!(same, with(json!({ "priority": 5, "agent": "architect", "idempotency_key": "k" })));
    assert_eq!(same, with(json!({ "inputs": { "name": "a", "source": "/docs" } })), "order is nothing");
    for change in [
        json!({ "approvals_required": ["git_push"] }),
        json!({ "deadline_s": 1 }),
        json!({ "resource_request": { "cpu": 1 } }),
        json!({ "priority": 6 }),
        json!({ "capability": "planning" }),
        json!({ "inputs": { "source": "/docs" } }),
        json!({ "task": "ingest.data" }),
    ] {
        assert_ne!(same, with(change.clone()), "{change}");
    }
    assert_ne!(same, request(card()).fingerprint(&AgentName::new("director-data").unwrap()));
}

#[test]
fn an_invocation_is_a_card_or_its_inputs() {
    let me = AgentName::new("corpus-auditor").unwrap();
    let of =
        |payload: Value| JobRequest::of_invocation(&me, "ingest.audit".into(), payload.as_object().unwrap());
    let bare = of(json!({ "action": "task", "source": "/docs" })).unwrap();
    assert_eq!(bare.inputs, json!({ "source": "/docs" }).as_object().cloned());
    let whole =
        of(json!({ "task": "ingest.audit", "inputs": { "source": "/docs" }, "priority": 9 })).unwrap();
    assert_eq!((whole.inputs, whole.priority, whole.agent.as_ref()), (bare.inputs, Some(9), Some(&me)));
    let misspelt = of(json!({ "inputs": {}, "prioritty": 9 })).unwrap_err().to_string();
    assert!(misspelt.contains("prioritty"), "{misspelt}");
}
