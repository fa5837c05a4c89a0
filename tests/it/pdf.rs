//! PDFs are read in processes of their own: a hostile one costs its row, and nothing else.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::Place;

/// The body of a file whose one page draws `content`; readers make up the table of objects that it lacks.
fn pdf(content: &str) -> String {
    format!(
        "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 4 0 R>>>>/Contents 5 0 R>>\nendobj\n\
         4 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\n\
         5 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\ntrailer\n<</Size 6/Root 1 0 R>>\n%%EOF\n",
        content.len()
    )
}

fn drawn(text: &str) -> String {
    pdf(&format!("BT /F 12 Tf 72 700 Td ({text}) Tj ET"))
}

fn rows(place: &Place, run: &str) -> Vec<Value> {
    let file = place.dir.path().join("artifacts/runs").join(run).join("audit/documents.jsonl");
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pdf_is_read_and_a_hostile_one_costs_its_row_alone() {
    let place = Place::with_documents(2);
    let corpus = Path::new(&place.corpus()).to_owned();
    fs::write(corpus.join("good.pdf"), drawn("This work is dedicated to the river Elbe and its tides."))
        .unwrap();
    fs::write(corpus.join("deep.pdf"), pdf(&"[".repeat(2_000_000))).unwrap();
    fs::write(corpus.join("self.pdf"), drawn("x").replace("/Kids[3 0 R]", "/Kids[2 0 R]")).unwrap();
    fs::write(corpus.join("cut.pdf"), "%PDF-1.7\n\u{1}\u{2} nothing of one").unwrap();
    let swarm = place.start().await;
    let run = swarm.api.ingest(json!({})).await;
    swarm.api.is(&run, "done").await;
    let rows = rows(&place, &run);
    let row = |name: &str| rows.iter().find(|row| row["path"] == name).unwrap();
    let good = row("good.pdf");
    assert!(good["status"] == "ok" && good["format"] == "pdf" && good["kind"] == "document", "{good}");
    for name in ["deep.pdf", "self.pdf", "cut.pdf"] {
        let row = row(name);
        assert!(row["status"] == "broken" || row["status"] == "empty", "{row}");
        assert!(!row["reason"].as_str().unwrap().is_empty(), "{row}");
    }
    let found = swarm.api.get(&format!("/search?q=tides&run_id={run}")).await;
    assert_eq!(found["hits"][0]["path"], "good.pdf", "{found}");
    swarm.stop().await;
}

/// The bounds are the process's own: they hold whatever the reader does.
#[test]
fn a_reader_has_no_environment_and_ends_on_what_it_cannot_take() {
    let read = |limit: &str, bytes: &[u8]| {
        let mut reader = Command::new(env!("CARGO_BIN_EXE_pas"))
            .args(["read-pdf", limit])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut reader.stdin.take().unwrap(), bytes).unwrap();
        let said = reader.wait_with_output().unwrap();
        (said.status.success(), String::from_utf8(said.stdout).unwrap())
    };
    let (ended, said) = read("100", drawn("Words.").as_bytes());
    assert!(
        ended
            && said.starts_with("{\"Words\":{\"title\":\"\",\"left_out\":\"\"}}\n")
            && said.contains("Words."),
        "{said}"
    );
    let (ended, said) = read("3", drawn("Words.").as_bytes());
    assert!(ended && said.contains("too_large"), "{said}");
}
