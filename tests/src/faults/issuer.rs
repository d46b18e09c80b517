//! The issuer hangs, is gone, or serves what is no JWK set: known keys keep working, unknown ones are refused and counted.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use signal_client::{Endpoint, Session};
use signal_harness::{Algorithm, Chaos, Issuer, Service, eventually};

use super::{
    Findings, Size,
    scene::{Scene, holds, nobody_was_dropped, seconds},
};
use crate::launch;

/// Of a token.
const LIFETIME: Duration = Duration::from_secs(600);

/// # Errors
/// If a known key is refused or an unknown one is not, or is not counted.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let at: std::net::SocketAddr =
        scene.issuer.jwks_url().trim_start_matches("http://").trim_end_matches("/jwks").parse()?;
    let chaos = Chaos::before(at);
    let edge =
        launch::edge(&scene.pubsub, &scene.issuer).env("SIGNAL_JWKS_URL", format!("http://{}/jwks", chaos.addr()));
    let edge = edge.spawn();
    edge.wait_ready(size.within).await;
    let people = scene.people(edge.http_addr(), "user", size.clients / 10).await?;
    let stranger = Issuer::reserved();
    let mut findings = Vec::new();

    chaos.silence();
    findings.push(format!("hangs: {}", unknown_is_refused(&edge, &scene.issuer).await?));
    let newcomers = scene.people(edge.http_addr(), "newcomer", size.clients / 10).await?;
    findings.push(format!("{} newcomers with known keys are let in meanwhile", newcomers.len()));
    chaos.clear();
    // It serves something, and nothing of use.
    for (what, set) in [
        ("no JSON object", json!("<html>503</html>")),
        ("no keys", json!({ "keys": [] })),
        ("keys that are none", json!({ "keys": [{ "kty": "EC" }, 7] })),
        ("a megabyte too much", json!({ "keys": [], "padding": "x".repeat(1 << 20) })),
    ] {
        scene.issuer.publish(set);
        let refused = unknown_is_refused(&edge, &scene.issuer).await;
        refused.map_err(|error| error.context(what))?;
        let again = scene.people(edge.http_addr(), "again", 10).await?;
        nobody_was_dropped(&again)?;
    }
    findings.push("serves garbage of four kinds: the same".to_owned());

    // A new key, once it is published, is found within the cool-down.
    let (set, token) = rotated(&scene.issuer, &stranger)?;
    scene.issuer.publish(set);
    let began = Instant::now();
    eventually(size.within, || async { enters(&edge, &token).await }).await;
    findings.push(format!("a new key is taken {} after it is published", seconds(began.elapsed())));
    holds(&edge, people.len() + newcomers.len(), size.within).await;
    nobody_was_dropped(&people)?;
    nobody_was_dropped(&newcomers)?;
    Ok(findings)
}

/// Of a key that no set has that was ever served.
async fn unknown_is_refused(edge: &Service, issuer: &Issuer) -> anyhow::Result<String> {
    let counted = async || {
        let samples = edge.metrics().await;
        let all = samples.sum("signal_token_verifications_total", &[]);
        all - samples.sum("signal_token_verifications_total", &[("result", "accepted")])
    };
    let before = counted().await;
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "nobody-knows" });
    let claims = Issuer::claims("stranger", LIFETIME);
    let token = issuer.mint_with(Algorithm::Es256, &header, &claims);
    let began = Instant::now();
    let refusal = enters(edge, &token).await.err();
    let refusal = refusal.ok_or_else(|| anyhow::anyhow!("an unknown key was let in"))?;
    let took = began.elapsed();
    let now = counted().await;
    ensure!(now == before + 1.0, "{} refusals were counted: {refusal}", now - before);
    Ok(format!("an unknown key is refused after {}, and counted", seconds(took)))
}

/// The issuer's set with one more key, which is the other's and has a name of its own, and a token of that key.
fn rotated(issuer: &Issuer, other: &Issuer) -> anyhow::Result<(Value, String)> {
    const NAME: &str = "another-key";
    let theirs = other.jwk_set();
    let key = theirs["keys"].as_array().into_iter().flatten().find(|key| key["kid"] == Algorithm::Es256.kid());
    let mut key = key.context("no key of that kind")?.clone();
    key["kid"] = NAME.into();
    let mut set = issuer.jwk_set();
    set["keys"].as_array_mut().context("no keys")?.push(key);
    let claims = Issuer::claims("rotated", LIFETIME);
    let token = other.mint_with(Algorithm::Es256, &json!({ "alg": "ES256", "typ": "JWT", "kid": NAME }), &claims);
    Ok((set, token))
}

async fn enters(edge: &Service, token: &str) -> Result<(), String> {
    let endpoint = Endpoint::new(&format!("ws://{}/stream", edge.http_addr())).map_err(|error| error.to_string())?;
    Session::open(&endpoint, token).await.map(drop).map_err(|error| error.to_string())
}
