//! The catalogue of all tasks of this build: plans, skills and services' tasks.

use std::sync::LazyLock;

use super::agent::behaviour::system::SERVICE_TASKS;
use super::agent::thinking::tasks::MODEL_TASKS;
use crate::domain::agent::AgentDefinition;
use crate::domain::job::plan;
use crate::domain::task::TaskCatalogue;
use crate::skills::SKILLS;

static CATALOGUE: LazyLock<TaskCatalogue> = LazyLock::new(|| {
    let skills = SKILLS.iter().map(crate::skills::SkillEntry::to_task);
    let services = SERVICE_TASKS.iter().map(super::agent::behaviour::system::ServiceEntry::to_task);
    let models = MODEL_TASKS.iter().map(super::agent::thinking::tasks::ModelTask::to_task);
    TaskCatalogue::new(&plan::BOOK, skills.chain(services).chain(models))
});

#[must_use]
pub fn catalogue() -> &'static TaskCatalogue {
    &CATALOGUE
}

/// Checks that a definition lists only tasks that the agent can take.
///
/// # Errors
/// A sentence for the definition's author.
pub fn check_definition(agent: &AgentDefinition) -> Result<(), String> {
    CATALOGUE.check_definition(agent)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::agent::AgentBehaviour;
    use crate::domain::agent_choice::{self, AgentAvailability, AgentWish};
    use crate::domain::ids::AgentName;
    use crate::domain::registry::ServiceHealth;
    use crate::domain::roster::Roster;
    use crate::domain::task::PLAIN_TASK;

    fn roster() -> Roster {
        crate::roster::load(None).0
    }

    #[test]
    fn every_name_stands_for_one_task() {
        let rows = plan::BOOK.len() + SKILLS.len() + SERVICE_TASKS.len() + MODEL_TASKS.len();
        assert_eq!(
            catalogue().iter().count(),
            rows,
            "a name stands twice in plans, skills, services and model tasks"
        );
    }

    #[test]
    fn every_task_has_an_agent_that_takes_it_and_offers_its_capability() {
        let roster = roster();
        for entry in catalogue().iter() {
            let takers: Vec<_> =
                roster.iter().filter(|agent| catalogue().takes(agent, &entry.task)).collect();
            assert!(!takers.is_empty(), "nobody takes `{}`", entry.task);
            for agent in takers.into_iter().filter(|_| !entry.capability.is_empty()) {
                assert!(
                    agent.can(&entry.capability),
                    "{} takes `{}` without `{}`",
                    agent.name,
                    entry.task,
                    entry.capability
                );
            }
        }
    }

    #[test]
    fn every_definition_lists_tasks_that_exist() {
        for agent in roster().iter() {
            assert_eq!(check_definition(agent), Ok(()), "{}", agent.name);
        }
    }

    #[test]
    fn every_step_of_every_plan_finds_its_agent_from_whoever_takes_the_plan() {
        let roster = roster();
        for plan in plan::BOOK.iter() {
            for coordinator in roster.iter().filter(|agent| catalogue().takes(agent, &plan.task)) {
                for task in plan.steps.iter().flat_map(|step| step.tasks()) {
                    let found = agent_choice::for_step(&roster, catalogue(), task, &coordinator.name, |_| {
                        AgentAvailability::IDLE
                    });
                    assert!(found.is_some(), "{}: nobody takes `{task}`", coordinator.name);
                }
            }
        }
    }

    #[test]
    fn a_plan_takes_the_inputs_of_its_steps_and_knows_which_of_them_it_leads_to() {
        let inputs = |task: &str| -> BTreeSet<&str> {
            catalogue().get(task).unwrap().inputs.iter().map(|input| input.name).collect()
        };
        for step in ["ingest.audit", "ingest.clean", "ingest.compliance.check", "ingest.report.write"] {
            assert!(inputs(step).is_subset(&inputs("ingest")), "{step}");
        }
        assert!(!inputs("ingest").contains("steps"), "the coordinator writes the inputs of the metrics");
        assert!(catalogue().get("ingest").unwrap().reads.is_empty());
        assert_eq!(catalogue().get("ingest.report").unwrap().reads, ["ingest.audit"]);
        assert!(catalogue().get("ingest").unwrap().leads_to.contains("ingest.chunk"));
    }

    fn name(text: &str) -> AgentName {
        AgentName::new(text).unwrap()
    }

    /// The agent for a capability, where `busy` have a job each.
    fn chosen(capability: &str, task: Option<&str>, from: Option<&str>, busy: &[&str]) -> Option<String> {
        let roster = roster();
        let (capabilities, from) = ([capability], from.map(name));
        let wish = AgentWish { capabilities: &capabilities, task, from: from.as_ref() };
        let standing = |agent: &AgentDefinition| AgentAvailability {
            jobs: usize::from(busy.contains(&agent.name.as_str())),
            ..AgentAvailability::IDLE
        };
        let found = agent_choice::ranked(&roster, catalogue(), wish, standing);
        found.first().map(|agent| agent.name.to_string())
    }

    #[test]
    fn of_those_who_share_a_capability_the_one_of_the_lane_is_taken_and_then_a_free_one() {
        for (capability, task, from, busy, expected) in [
            // The caller's own lane's.
            ("task_breakdown", None, Some("director-docs"), &[][..], "manager-docs"),
            ("task_breakdown", None, Some("director-devsecops"), &[], "manager-devsecops"),
            ("qa_management", None, Some("director-data"), &[], "manager-data"),
            ("model_training", None, Some("manager-models"), &[], "qtower-trainer"),
            // Among equals the free one.
            ("model_training", None, Some("manager-models"), &["qtower-trainer"], "reranker-trainer"),
            // The agent that takes the task, though another comes first by name.
            ("task_breakdown", Some("ingest.compliance.lane"), None, &[], "manager-devsecops"),
            ("cost_tracking", Some("ingest.metrics"), None, &[], "metrics-cost-accountant"),
            ("report_generation", Some("ingest.report"), None, &[], "director-docs"),
            // Without any hint, one that can do something, nearest to the work.
            ("report_generation", None, None, &[], "report-leaderboard-writer"),
            ("cost_tracking", None, None, &[], "metrics-cost-accountant"),
            ("deployment_coordination", None, None, &[], "deployment-orchestrator"),
            // The asking agent qualifies, too.
            ("planning", Some("ingest"), Some("architect"), &[], "architect"),
        ] {
            let found = chosen(capability, task, from, busy);
            assert_eq!(
                found.as_deref(),
                Some(expected),
                "{capability} {task:?} from {from:?}, busy {busy:?}"
            );
        }
        assert_eq!(chosen("flying", None, None, &[]), None);
    }

    #[test]
    fn an_agent_that_is_down_comes_last_whatever_its_lane() {
        let (roster, from) = (roster(), name("director-docs"));
        let wish = AgentWish { capabilities: &["task_breakdown"], task: None, from: Some(&from) };
        let standing = |agent: &AgentDefinition| AgentAvailability {
            health: if agent.name.as_str() == "manager-docs" {
                ServiceHealth::Down
            } else {
                ServiceHealth::Healthy
            },
            jobs: 0,
        };
        let found = agent_choice::ranked(&roster, catalogue(), wish, standing);
        assert_eq!(found.last().unwrap().name.as_str(), "manager-docs");
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_step_never_goes_back_up() {
        let roster = roster();
        let step = |task, from: &str| {
            let found =
                agent_choice::for_step(&roster, catalogue(), task, &name(from), |_| AgentAvailability::IDLE);
            found.map(|agent| agent.name.as_str())
        };
        assert_eq!(step("ingest.data.lane", "director-data"), Some("manager-data"));
        assert_eq!(step("ingest.data", "manager-data"), None, "its own director");
        assert_eq!(step("ingest", "architect"), None, "itself");
        assert_eq!(step("ingest.metrics", "architect"), Some("metrics-cost-accountant"));
        assert_eq!(step("flying", "architect"), None);
    }

    #[test]
    fn what_can_never_work_is_refused_with_what_would() {
        let roster = roster();
        let refused = |agent: &str, task: &str| {
            let admitted = catalogue().admit(&roster, roster.get(agent).unwrap(), task, None);
            admitted.map_or_else(|refusal| refusal.to_string(), |_| String::new())
        };
        assert_eq!(refused("architect", "ingest"), "");
        assert_eq!(refused("corpus-auditor", "ingest.audit"), "");
        assert_eq!(refused("experiment-ledger", "runs"), "");
        for (agent, task, words) in [
            ("architect", "ingst", &["did you mean `ingest`?"][..]),
            ("chunker-mgs", "chunk", &["`ingest.chunk`"]),
            ("chunker-mgs", "ingest.chunk", &["outputs of `ingest.clean`", "submit `ingest"]),
            ("director-devsecops", "ingest.compliance", &["submit `ingest`"]),
            ("report-leaderboard-writer", "leaderboard", &["`ingest.report.write`"]),
            ("director-code", "ingest", &["`change.code`", "task of `architect`"]),
            ("security-auditor", "scan", &["takes no task", "answers `status`"]),
        ] {
            let reason = refused(agent, task);
            assert!(words.iter().all(|words| reason.contains(words)), "{agent} {task}: {reason}");
        }
    }

    #[test]
    fn every_agent_with_a_model_takes_a_plain_task_and_says_why_while_no_model_can_be_called() {
        let roster = roster();
        let models: Vec<_> = roster.iter().filter(|agent| agent.behaviour == AgentBehaviour::Llm).collect();
        assert_eq!(models.len(), 12);
        for agent in models {
            let admit = |no_model| catalogue().admit(&roster, agent, PLAIN_TASK, no_model);
            assert!(admit(None).is_ok(), "{}", agent.name);
            let refusal = admit(Some("set OPENAI_API_KEY")).unwrap_err().to_string();
            assert!(refusal.contains("set OPENAI_API_KEY"), "{refusal}");
        }
        let architect = roster.get("architect").unwrap();
        let refusal = catalogue().admit(&roster, architect, plan::CHANGE, Some("no key")).unwrap_err();
        assert!(
            refusal.to_string().contains("no key"),
            "a plan that leads to a model says so before it begins"
        );
        assert!(catalogue().admit(&roster, architect, plan::INGEST, Some("no key")).is_ok());
    }
}
