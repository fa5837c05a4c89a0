//! Lists about money come in pages: filtered before the cut, with a total, and every item on one page.

use serde_json::{Value, json};

use super::Stage;

/// All pages of a list.
async fn pages(stage: &Stage, port: u16, path: &str, limit: usize) -> Vec<Value> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = stage.get(port, &format!("{path}{joint}limit={limit}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let next = page.body["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
        pages.push(page.body);
        let Some(next) = next else { return pages };
        cursor = next;
    }
}

fn seqs(pages: &[Value]) -> Vec<Vec<u64>> {
    let seq = |receipt: &Value| receipt["metadata"]["seq"].as_u64().unwrap();
    pages.iter().map(|page| page["receipts"].as_array().unwrap().iter().map(seq).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_budgets_come_in_pages_that_say_how_many_there_are() {
    let stage = Stage::open().await;
    for model in ["gpt-4-turbo", "llama3.1:8b", "gpt-4-turbo", "llama3.1:8b", "gpt-4-turbo"] {
        assert_eq!(stage.chat(model, "pages").await.status, 200);
    }
    let all = stage.get(6120, "/receipts/pages").await.body;
    assert_eq!((&all["count"], &all["total"], &all["next_cursor"]), (&json!(5), &json!(5), &Value::Null));
    let of_all = &seqs(std::slice::from_ref(&all))[0];
    for (port, path) in [(6120, "/receipts/pages"), (6101, "/api/costs/receipts/pages")] {
        let two = pages(&stage, port, path, 2).await;
        let split: Vec<Vec<u64>> = of_all.chunks(2).map(<[u64]>::to_vec).collect();
        assert_eq!(seqs(&two), split, "{path}");
        for page in &two {
            assert_eq!((&page["total"], &page["total_cost_usd"]), (&json!(5), &all["total_cost_usd"]));
        }
        // The paid ones are not side by side: a page that was cut first would have one of them.
        let paid = pages(&stage, port, &format!("{path}?model=gpt-4-turbo&status=success"), 2).await;
        assert_eq!(paid.iter().map(|page| page["count"].clone()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(
            (&paid[0]["total"], &paid[0]["total_cost_usd"]),
            (&json!(3), &all["total_cost_usd"]),
            "the others cost nothing"
        );
        assert_eq!(stage.get(port, &format!("{path}?cursor=x")).await.status, 422);
        assert_eq!(stage.get(port, &format!("{path}?status=lost")).await.status, 422);
    }
    for scope in ["run:a", "run:b", "run:c"] {
        stage.put(6120, &format!("/budgets/{scope}"), json!({ "budget_usd": 1 })).await;
    }
    stage.delete(6120, "/budgets/run:a").await;
    let budgets = pages(&stage, 6120, "/budgets", 1).await;
    let scopes: Vec<&Value> = budgets.iter().map(|page| &page["budgets"][0]["scope"]).collect();
    assert_eq!(scopes, ["run:b", "run:c"], "a budget that was lifted takes no place on a page");
    assert!(budgets.iter().all(|page| page["total"] == 2));
    stage.close().await;
}
