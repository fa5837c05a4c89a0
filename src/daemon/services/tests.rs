//! The rows fit together: each port has a contract, each contract a row, and each place an agent.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt as _;

use super::testing::{TestSite, test_site};
use super::*;

#[test]
fn every_contract_has_a_row_and_every_port_a_contract_of_its_number() {
    let mut served = BTreeMap::<&str, BTreeSet<u16>>::new();
    for port in ports() {
        let numbers = served.entry(port.contract).or_default();
        assert!(numbers.insert(port.number), "{port:?} is there twice");
    }
    let contracts = PortContract::names();
    assert_eq!(served.keys().copied().collect::<Vec<_>>(), contracts, "rows and contracts");
    for (name, numbers) in served {
        let contract = PortContract::load(name).unwrap();
        assert!(
            numbers.contains(&contract.port),
            "{name} describes {}, served is {numbers:?}",
            contract.port
        );
    }
}

#[test]
fn names_and_numbers_are_unique_and_every_place_is_an_agent() {
    let names: BTreeSet<_> = SERVICES.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), SERVICES.len());
    let numbers: BTreeSet<_> = ports().iter().map(|port| port.number).collect();
    assert_eq!(numbers.len(), ports().len());
    let (roster, _) = crate::roster::load(None);
    for row in SERVICES {
        if let ServicePlacement::BesideAgent(agent) = row.placement {
            assert!(roster.get(agent).is_some(), "{} is placed beside {agent}", row.name);
        }
    }
}

#[test]
fn a_port_gives_the_name_of_its_contract_or_its_own_where_several_share_one() {
    let wire_name = |number| ports().into_iter().find(|port| port.number == number).unwrap().wire_name();
    assert_eq!(wire_name(6109), "heartbeat_monitor");
    assert_eq!(wire_name(8101), "anthropic-adapter");
}

/// Uses a method that no route has: a served path answers 405 and never runs the handler.
#[tokio::test]
async fn every_port_serves_every_path_of_its_contract() {
    let TestSite { mut site, store, folder } = test_site();
    start_all(&mut site).unwrap();
    let mut asked = 0;
    for row in SERVICES {
        let Some(listener) = row.listener(&site).unwrap() else { continue };
        let contract = PortContract::load(row.port().unwrap().contract).unwrap();
        for endpoint in contract.endpoints {
            let segments =
                endpoint.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let uri = segments.collect::<Vec<_>>().join("/");
            let request = Request::builder().method("TRACE").uri(uri).body(Body::empty()).unwrap();
            let answer = listener.router.clone().oneshot(request).await.unwrap();
            let place = format!("{} {} of {}", endpoint.method, endpoint.path, row.name);
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{place}");
            let allowed = answer.headers()[header::ALLOW].to_str().unwrap();
            assert!(
                allowed.split(',').any(|method| method.trim() == endpoint.method.as_str()),
                "{place}: {allowed}"
            );
            asked += 1;
        }
    }
    assert!(asked > 100, "only {asked} paths were asked");
    store.close().await.unwrap();
    drop(folder);
}

#[tokio::test]
async fn a_handle_that_no_row_above_provides_fails_the_start_by_name() {
    let TestSite { mut site, store, folder } = test_site();
    let error = gateway::GatewayService.start(&mut site).map(drop).unwrap_err().to_string();
    assert!(error.contains("accounts::Accounts"), "{error}");
    agent_status::AgentStatusService.start(&mut site).unwrap();
    event_stream::EventStreamService.start(&mut site).unwrap();
    let error = event_stream::EventStreamService.start(&mut site).map(drop).unwrap_err().to_string();
    assert!(error.contains("two services provide"), "{error}");
    store.close().await.unwrap();
    drop(folder);
}
