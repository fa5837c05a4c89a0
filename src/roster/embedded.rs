//! The built-in definitions: `agents/**.md`, compiled into the program.

use rust_embed::Embed;

use pas_domain::agent::{AgentDefinition, DefinitionRefusal, parse_bytes};

/// Below `agents/`, in the order of definition: coordinators, system agents they rely on, execution agents.
const FOLDERS: [&str; 3] = ["coordinator", "system", "execution"];

#[derive(Embed)]
#[folder = "../../agents/"]
#[include = "*.md"]
#[exclude = "README.md"]
struct EmbeddedAgents;

/// The definitions compiled into the program, and the refusals of unparsable ones (a test ensures that there
/// are none).
#[must_use]
pub fn built_in() -> (Vec<AgentDefinition>, Vec<DefinitionRefusal>) {
    let (mut definitions, mut refusals) = (Vec::new(), Vec::new());
    for path in paths() {
        let Some(file) = EmbeddedAgents::get(&path) else { continue };
        match parse_bytes(&format!("agents/{path}"), &file.data) {
            Ok(definition) => definitions.push(definition),
            Err(refusal) => refusals.push(refusal),
        }
    }
    (definitions, refusals)
}

/// By folder, then by name, regardless of the order in which the files were embedded.
fn paths() -> Vec<String> {
    let mut paths: Vec<String> = EmbeddedAgents::iter().map(|path| path.into_owned()).collect();
    let folder = |path: &str| FOLDERS.iter().position(|folder| path.split('/').next() == Some(folder));
    paths.sort_by(|a, b| {
        (folder(a).unwrap_or(FOLDERS.len()), a).cmp(&(folder(b).unwrap_or(FOLDERS.len()), b))
    });
    paths
}
