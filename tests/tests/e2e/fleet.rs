//! Three edges, one answer: what operators see and do through any of them.

use std::{collections::BTreeSet, time::Instant};

use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{Issuer, PubSub, Service, eventually, require};
use signal_tests::operator::Operator;

use crate::{
    crowd::{Crowd, Ended, MANY_SOON, alone, tokens},
    platform::{SOON, edge, policies},
};

const EDGES: usize = 3;
const EACH: usize = 1000;
/// Of each edge's clients.
const AT_THE_TILL: usize = 5;

struct Fleet {
    edges: Vec<Service>,
    operators: Vec<Operator>,
    crowds: Vec<Crowd>,
    _pubsub: PubSub,
    _issuer: Issuer,
}

impl Fleet {
    async fn up() -> Fleet {
        let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
        let policies = policies();
        let launch = |_| {
            edge(&pubsub, &issuer)
                .env("SIGNAL_DATABASE_URL", &policies)
                .env("SIGNAL_JOINABLE_ROOMS", "till")
                // Who says nothing for as long as this test takes is to stay all the same.
                .env("SIGNAL_HEARTBEAT_TIMEOUT", "3600s")
                .spawn()
        };
        let edges: Vec<Service> = (0..EDGES).map(launch).collect();
        let token = Operator::token(&issuer);
        let mut fleet = Fleet { edges, operators: Vec::new(), crowds: Vec::new(), _pubsub: pubsub, _issuer: issuer };
        for (number, edge) in fleet.edges.iter().enumerate() {
            edge.wait_ready(SOON).await;
            fleet.operators.push(Operator::new(edge.http_addr(), Some(token.clone())));
            let mut users = tokens(&fleet._issuer, &format!("at-{number}"), EACH - 1);
            // One person has a window on each edge.
            users.push(fleet._issuer.token("everywhere"));
            let mut crowd = Crowd::connect(edge.http_addr(), &users).await.unwrap();
            crowd.join(AT_THE_TILL, "till").await.unwrap();
            fleet.crowds.push(crowd);
        }
        fleet
    }

    fn ids(&self, edges: &[usize]) -> BTreeSet<String> {
        let members = edges.iter().flat_map(|edge| &self.crowds[*edge].members);
        members.filter(|member| member.ended().is_none()).map(|member| member.id.clone()).collect()
    }

    async fn get(&self, through: usize, path: &str) -> (u16, Value) {
        let answer = self.operators[through].get(path).await.unwrap();
        (answer.status, answer.body)
    }

    /// What an edge's `status` says of all, once it holds.
    async fn cluster_counts(&self, through: usize, edges: usize, clients: usize) {
        eventually(SOON, || async {
            let (status, body) = self.get(through, "/status").await;
            let cluster = &body["cluster"];
            let seen = (status, &cluster["edges"], &cluster["complete"], &cluster["authenticated"]);
            if seen == (200, &json!(edges), &json!(true), &json!(clients)) { Ok(()) } else { Err(body.to_string()) }
        })
        .await;
    }
}

/// Ids in the order in which they were listed, and whether every page says that it is all there is.
async fn listed(operator: &Operator, query: &str) -> (Vec<String>, bool) {
    let pages = operator.pages(query).await.unwrap();
    let complete = pages.iter().all(|page| page["complete"] == true);
    let clients = pages.iter().flat_map(|page| page["data"].as_array().unwrap());
    (clients.map(|client| client["id"].as_str().unwrap().to_owned()).collect(), complete)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_three_edges_answers_for_all_of_them() {
    require!(PubSub);
    let _turn = alone().await;
    let fleet = Fleet::up().await;
    everybody_is_counted_and_listed(&fleet).await;
    filters_hold_on_all_edges(&fleet).await;
    a_client_is_closed_through_a_wrong_edge(&fleet).await;
    a_killed_edge_is_missed_then_forgotten(fleet).await;
}

async fn everybody_is_counted_and_listed(fleet: &Fleet) {
    let everybody = fleet.ids(&[0, 1, 2]);
    assert_eq!(everybody.len(), EDGES * EACH);
    let mut first: Option<Vec<String>> = None;
    for (through, operator) in fleet.operators.iter().enumerate() {
        fleet.cluster_counts(through, EDGES, EDGES * EACH).await;
        let (_, status) = fleet.get(through, "/status").await;
        assert_eq!(status["edge"]["authenticated"], EACH, "{status}");

        let (ids, complete) = listed(operator, "limit=200").await;
        assert!(complete, "through edge {through}");
        assert_eq!(ids.len(), everybody.len(), "through edge {through}: nobody twice");
        assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), everybody, "through edge {through}");
        let first = first.get_or_insert_with(|| ids.clone());
        assert_eq!(ids, *first, "every edge lists in the same order");
    }
}

async fn filters_hold_on_all_edges(fleet: &Fleet) {
    let at_the_till: BTreeSet<String> =
        fleet.crowds.iter().flat_map(|crowd| &crowd.members[..AT_THE_TILL]).map(|member| member.id.clone()).collect();
    for (through, operator) in fleet.operators.iter().enumerate() {
        eventually(SOON, || async {
            let (ids, complete) = listed(operator, "room=till&limit=4").await;
            let ids: BTreeSet<String> = ids.into_iter().collect();
            if complete && ids == at_the_till { Ok(()) } else { Err(format!("edge {through}: {ids:?}")) }
        })
        .await;
        for query in ["userId=everywhere", "room=signal/notification/everywhere", "userId=everywhere&room=ws-default"] {
            let (ids, complete) = listed(operator, query).await;
            assert_eq!((ids.len(), complete), (EDGES, true), "{query} through edge {through}");
        }
        assert_eq!(listed(operator, "userId=at-2-7").await.0.len(), 1);
        assert_eq!(listed(operator, "userId=everywhere&room=till").await, (Vec::new(), true));
        assert_eq!(listed(operator, "userId=nobody").await, (Vec::new(), true));
    }
}

async fn a_client_is_closed_through_a_wrong_edge(fleet: &Fleet) {
    let unlucky = &fleet.crowds[1].members[17];
    let path = format!("/{}", unlucky.id);
    let (status, found) = fleet.get(0, &path).await;
    assert_eq!((status, &found["id"]), (200, &json!(unlucky.id)), "{found}");
    let (_, home) = fleet.get(1, "/status").await;
    assert_eq!(found["edge"], home["edge"]["id"], "whoever is asked says where the client is");

    let asked = Instant::now();
    let answer = fleet.operators[2].disconnect(&unlucky.id).await.unwrap();
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    eventually(SOON, || async { unlucky.ended() }).await;
    println!("fleet: closed through a wrong edge after {:?}", asked.elapsed());
    assert_eq!(unlucky.ended(), Some(Ended::Closed(4007)));
    let gone: usize = fleet.crowds.iter().map(|crowd| crowd.count(|heard| heard.ended.is_some())).sum();
    assert_eq!(gone, 1, "and nobody else");
    for through in 0..EDGES {
        eventually(SOON, || async {
            let (status, body) = fleet.get(through, &path).await;
            if status == 404 { Ok(()) } else { Err(format!("{status} {body}")) }
        })
        .await;
        let again = fleet.operators[through].ask(Method::DELETE, &path, &Value::Null).await.unwrap();
        assert_eq!(again.status, 404, "{}", again.body);
    }
}

async fn a_killed_edge_is_missed_then_forgotten(mut fleet: Fleet) {
    let with_the_dead = fleet.ids(&[0, 1, 2]).len();
    let left = fleet.ids(&[0, 1]);
    fleet.edges.pop().unwrap().kill();
    let killed = Instant::now();
    let mut incomplete = 0;
    eventually(MANY_SOON, || {
        let (operator, left) = (&fleet.operators[incomplete % 2], &left);
        let seen = async move {
            let (ids, complete) = listed(operator, "limit=200").await;
            assert!(ids.len() <= with_the_dead);
            // Not a word of the missing ones, and never a wrong word about the others.
            assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), *left, "complete: {complete}");
            if complete { Ok(()) } else { Err("incomplete") }
        };
        incomplete += 1;
        seen
    })
    .await;
    assert!(incomplete > 1, "an answer without the killed edge's says that it is not complete");
    println!("fleet: complete again {:?} after a SIGKILL, {} answers meanwhile", killed.elapsed(), incomplete - 1);
    for through in 0..2 {
        fleet.cluster_counts(through, 2, left.len()).await;
        let (ids, complete) = listed(&fleet.operators[through], "limit=200").await;
        assert_eq!((ids.len(), complete), (left.len(), true));
    }
    fleet.crowds[2].all("lost their edge", |heard| heard.ended.is_some()).await;
    assert_eq!(fleet.crowds[0].count(|heard| heard.ended.is_some()), 0);
}
