//! An edge that is told to stop: everybody is told when to leave, leaves, and misses nothing.

use std::time::{Duration, Instant};

use signal_harness::{Issuer, Launch, PubSub, Service, Signal, eventually, require};
use signal_tests::{
    balancer::Balancer,
    figures::{most_within, unevenness},
    healing::{Ended as Left, Population},
    ledger::Ledger,
    sister::Sister,
};
use tokio::time::interval;

use crate::{
    crowd::{Crowd, Ended, MANY_SOON, alone, tokens},
    platform::{Backplane, SOON, edge},
};

const CLIENTS: usize = 1500;
const WINDOW: Duration = Duration::from_secs(8);
const DEADLINE: Duration = Duration::from_secs(25);
const BETWEEN_MESSAGES: Duration = Duration::from_millis(250);

fn draining(edge: Launch) -> Launch {
    edge.env("SIGNAL_DRAIN_WINDOW", format!("{}s", WINDOW.as_secs()))
        .env("SIGNAL_SHUTDOWN_DEADLINE", format!("{}s", DEADLINE.as_secs()))
}

/// Waits for the end of an edge that was told to stop, which must be an orderly one.
async fn drains(edge: &Service, since: Instant) {
    let status = edge.wait_exit(DEADLINE + SOON).await;
    let output = edge.output();
    assert!(status.success(), "{status}\n{output}");
    assert!(output.contains("drained, stopping"), "{output}");
    assert!(!output.contains("deadline reached"), "{output}");
    assert!(since.elapsed() < DEADLINE + Duration::from_secs(5), "{:?}\n{output}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_to_leave_evenly_over_the_window_and_who_stays_is_closed() {
    require!(PubSub);
    let _turn = alone().await;
    let backplane = Backplane::with(draining).await;
    let crowd = Crowd::connect(backplane.edge.http_addr(), &tokens(&backplane.issuer, "user", CLIENTS)).await;

    backplane.edge.signal(Signal::Term);
    let told_to_stop = Instant::now();
    crowd.all("told when to leave", |heard| heard.announced_ms.is_some()).await;
    // These do not know `reconnect`, as clients of old: they are closed when their time is over.
    crowd.all("closed", |heard| heard.ended == Some(Ended::Closed(1001))).await;
    drains(&backplane.edge, told_to_stop).await;

    let delays: Vec<u64> = crowd.ask(|heard| heard.announced_ms).into_iter().flatten().collect();
    let window_ms = WINDOW.as_millis() as u64;
    assert_eq!(crowd.count(|heard| heard.count("reconnect") == 1), CLIENTS);
    assert!(delays.iter().all(|delay| *delay <= window_ms), "{:?}", delays.iter().max());
    let unevenness = unevenness(&delays, window_ms, 20);
    assert!(unevenness <= 1.5, "the fullest twentieth of the window has {unevenness:.2} times its share");
    println!("drain: the fullest twentieth of the window has {unevenness:.2} times its share");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_a_stopped_edge_come_to_another_and_miss_nothing() {
    require!(PubSub);
    let _turn = alone().await;
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let launch = || draining(edge(&pubsub, &issuer)).spawn();
    let (first, second) = (launch(), launch());
    tokio::join!(first.wait_ready(SOON), second.wait_ready(SOON));
    let (balancer, ledger) = (Balancer::default(), Ledger::default());
    balancer.add(first.http_addr());
    balancer.add(second.http_addr());
    let people = Population::gather(tokens(&issuer, "user", CLIENTS), &balancer, &ledger).await.unwrap();
    assert_eq!(first.metrics().await.sum("signal_edge_connections", &[]), CLIENTS as f64);

    let traffic = tokio::spawn({
        let (ledger, sister) = (ledger.clone(), Sister::connect(&pubsub.url()).await.unwrap());
        async move {
            let mut ticks = interval(BETWEEN_MESSAGES);
            loop {
                ticks.tick().await;
                ledger.publish(&sister).await.unwrap();
            }
        }
    });
    let everybody = async |what: &str, holds: &dyn Fn(&signal_tests::healing::Person) -> bool| {
        eventually(MANY_SOON, || async {
            let count = people.count(holds);
            if count == CLIENTS { Ok(()) } else { Err(format!("{what}: {count} of {CLIENTS}")) }
        })
        .await;
    };
    everybody("heard of the first messages", &|person| person.knows_all(2)).await;

    let said_before = ledger.len();
    first.signal(Signal::Term);
    let told_to_stop = Instant::now();
    drains(&first, told_to_stop).await;
    let took = told_to_stop.elapsed();
    everybody("came back", &|person| person.sessions >= 2).await;
    traffic.abort();
    assert!(traffic.await.is_err_and(|error| error.is_cancelled()), "there were messages to the end");
    assert!(ledger.len() > said_before, "there were messages meanwhile");
    everybody("knows everything", &|person| person.knows_all(ledger.len())).await;

    assert_eq!(people.complaints(), [""; 0]);
    let left = |person: &signal_tests::healing::Person| {
        matches!(person.ended.first(), Some(Left::Draining | Left::Closed(1001)))
    };
    assert_eq!(people.count(left), CLIENTS, "left because they were told to");
    assert_eq!(second.metrics().await.sum("signal_edge_connections", &[]), CLIENTS as f64);
    let mut opened = balancer.opened(second.http_addr());
    let most = most_within(&mut opened, Duration::from_secs(1)) as f64;
    let even = CLIENTS as f64 / WINDOW.as_secs_f64();
    println!(
        "drain: {CLIENTS} clients, {} messages meanwhile, exit after {took:?}; most connections in a second {most}, \
         {:.2} times the even rate",
        ledger.len(),
        most / even
    );
}
