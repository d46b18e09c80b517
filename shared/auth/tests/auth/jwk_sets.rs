//! The JWK set client against an issuer that behaves in every way that issuers do.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use serde_json::Value;
use signal_auth::{Clock, JwkSetClient, JwkSetError, JwkSetOptions, Refusal, Verifier, VerifierSettings, VerifyError};
use signal_service::health::Health;
use tokio::sync::Semaphore;

use crate::issuer::{Key, NOW, claims, set};

#[derive(Clone)]
enum Answer {
    Set(Value),
    Text(StatusCode, String),
    Never,
}

/// An issuer on a free port; it answers once `gate` lets it.
struct Issuer {
    url: String,
    answer: Mutex<Answer>,
    requests: AtomicUsize,
    gate: Semaphore,
}

impl Issuer {
    async fn start(answer: Answer) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:hunter2@{}/jwks", listener.local_addr().unwrap());
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        let issuer = Arc::new(Self { url, answer: Mutex::new(answer), requests: AtomicUsize::new(0), gate });
        let served = Arc::clone(&issuer);
        let app = Router::new().route("/jwks", get(move || Arc::clone(&served).serve()));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        issuer
    }

    async fn serve(self: Arc<Self>) -> (StatusCode, String) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let answer = self.answer.lock().unwrap().clone();
        match answer {
            Answer::Set(set) => (StatusCode::OK, set.to_string()),
            Answer::Text(status, text) => (status, text),
            Answer::Never => std::future::pending().await,
        }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A client and a verifier on a clock that only the test moves.
struct Subject {
    client: Arc<JwkSetClient>,
    verifier: Arc<Verifier>,
    now_ms: Arc<AtomicI64>,
}

impl Subject {
    fn of(issuer: &Issuer) -> Self {
        Self::with_timeout(issuer, Duration::from_secs(30))
    }

    /// For issuers that never answer: long enough for one that does, on a busy machine.
    fn impatient(issuer: &Issuer) -> Self {
        Self::with_timeout(issuer, Duration::from_secs(1))
    }

    fn with_timeout(issuer: &Issuer, timeout: Duration) -> Self {
        let now_ms = Arc::new(AtomicI64::new(NOW * 1000));
        let read = Arc::clone(&now_ms);
        let clock = Clock::from_fn(move || read.load(Ordering::SeqCst));
        let options =
            JwkSetOptions { clock: clock.clone(), timeout, body_limit: 16 * 1024, ..JwkSetOptions::default() };
        let client = Arc::new(JwkSetClient::new(&issuer.url, options).unwrap());
        let settings = VerifierSettings { clock, ..VerifierSettings::default() };
        let verifier = Arc::new(Verifier::new(settings, Arc::clone(&client)));
        Self { client, verifier, now_ms }
    }

    fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    async fn verify(&self, token: &str) -> Result<(), VerifyError> {
        self.verifier.verify(token).await.map(drop)
    }
}

const LIFETIME: Duration = Duration::from_secs(600);
const UNKNOWN: Result<(), VerifyError> = Err(VerifyError::Refused(Refusal::UnknownKey));

fn forever(key: &Key, kid: &str) -> String {
    let mut claims = claims();
    claims["exp"] = (NOW + 1_000_000).into();
    key.token(kid, &claims)
}

#[tokio::test]
async fn a_set_is_fetched_on_demand_and_kept_for_ten_minutes() {
    let key = Key::es256();
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    let subject = Subject::of(&issuer);
    let token = forever(&key, "k");
    assert_eq!((subject.client.ready(), issuer.requests()), (false, 0));

    for _ in 0..3 {
        assert_eq!(subject.verify(&token).await, Ok(()));
    }
    subject.advance(LIFETIME - Duration::from_secs(1));
    assert_eq!(subject.verify(&token).await, Ok(()));
    assert_eq!((subject.client.ready(), issuer.requests()), (true, 1));

    subject.advance(Duration::from_secs(1));
    assert_eq!(subject.verify(&token).await, Ok(()));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_refused_once_the_set_is_old() {
    let (old, new) = (Key::es256(), Key::es256());
    let issuer = Issuer::start(Answer::Set(set(&[old.jwk("old")]))).await;
    let subject = Subject::of(&issuer);
    let token = forever(&old, "old");
    assert_eq!(subject.verify(&token).await, Ok(()));
    issuer.answers(Answer::Set(set(&[new.jwk("new")])));
    subject.advance(LIFETIME);
    assert_eq!(subject.verify(&token).await, UNKNOWN);
}

/// The issuer's keys change as a careful operator changes them, and no token that it gave is ever refused.
#[tokio::test]
async fn no_token_is_refused_while_the_issuer_changes_its_key() {
    let (old, new) = (Key::es256(), Key::eddsa());
    let issuer = Issuer::start(Answer::Set(set(&[old.jwk("old")]))).await;
    let subject = Subject::of(&issuer);
    let (by_old, by_new) = (forever(&old, "old"), forever(&new, "new"));
    assert_eq!(subject.verify(&by_old).await, Ok(()));

    // Published, and for one lifetime not used: whoever verifies anything has fetched it by then.
    issuer.answers(Answer::Set(set(&[old.jwk("old"), new.jwk("new")])));
    subject.advance(LIFETIME);
    assert_eq!((subject.verify(&by_old).await, subject.verify(&by_new).await), (Ok(()), Ok(())));
    // Nor is one refused at an hour when nothing was verified in between, or when the new key is used at once.
    let late = Subject::of(&issuer);
    assert_eq!((late.verify(&by_new).await, late.verify(&by_old).await), (Ok(()), Ok(())));

    issuer.answers(Answer::Set(set(&[new.jwk("new")])));
    subject.advance(LIFETIME);
    assert_eq!((subject.verify(&by_new).await, subject.verify(&by_old).await), (Ok(()), UNKNOWN));
    // A process that is started fetches before anything: that is how a key is revoked at once.
    assert_eq!(Subject::of(&issuer).verify(&by_old).await, UNKNOWN);
}

#[tokio::test]
async fn nobody_whose_key_is_there_waits_for_an_issuer_that_is_away() {
    let key = Key::es256();
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    let subject = Subject::of(&issuer);
    let token = forever(&key, "k");
    assert_eq!(subject.verify(&token).await, Ok(()));

    // Whether a key was withdrawn only the issuer can say: the first one asks.
    issuer.answers(Answer::Text(StatusCode::BAD_GATEWAY, String::new()));
    subject.advance(LIFETIME);
    assert_eq!(subject.verify(&token).await, Ok(()));
    assert_eq!(issuer.requests(), 2);

    issuer.answers(Answer::Never);
    subject.advance(Duration::from_secs(30));
    let verified = tokio::time::timeout(Duration::from_secs(15), subject.verify(&token)).await;
    assert_eq!(verified.expect("half of what the fetch is given"), Ok(()));
    until(|| issuer.requests() == 3).await;
}

#[tokio::test]
async fn an_unknown_kid_refetches_at_most_once_per_cool_down() {
    let (key, new) = (Key::es256(), Key::es256());
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    let subject = Subject::of(&issuer);
    subject.client.refresh().await.unwrap();

    issuer.answers(Answer::Set(set(&[key.jwk("k"), new.jwk("new")])));
    let token = forever(&new, "new");
    for _ in 0..5 {
        assert_eq!(subject.verify(&token).await, UNKNOWN);
    }
    subject.advance(Duration::from_millis(29_999));
    assert_eq!(subject.verify(&token).await, UNKNOWN);
    assert_eq!(issuer.requests(), 1);

    subject.advance(Duration::from_millis(1));
    assert_eq!(subject.verify(&token).await, Ok(()));
    assert_eq!(issuer.requests(), 2);

    subject.advance(Duration::from_secs(30));
    for kid in ["x", "y", "z"] {
        assert_eq!(subject.verify(&forever(&new, kid)).await, UNKNOWN);
    }
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_stretch_the_cool_down() {
    let (key, new) = (Key::es256(), Key::es256());
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    let subject = Subject::of(&issuer);
    subject.client.refresh().await.unwrap();
    issuer.answers(Answer::Set(set(&[new.jwk("new")])));
    // Less than the token's age, so that it is valid all the same.
    subject.now_ms.fetch_sub(5_000, Ordering::SeqCst);
    assert_eq!(subject.verify(&forever(&new, "new")).await, Ok(()));
}

#[tokio::test]
async fn a_hundred_verifications_share_one_flight() {
    let key = Key::es256();
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    issuer.gate.forget_permits(Semaphore::MAX_PERMITS);
    let subject = Subject::of(&issuer);

    // On this runtime of one thread a task that has counted itself is already waiting in `verify`.
    let waiting = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (waiting, verifier, token) = (Arc::clone(&waiting), Arc::clone(&subject.verifier), forever(&key, "k"));
            tokio::spawn(async move {
                waiting.fetch_add(1, Ordering::SeqCst);
                verifier.verify(&token).await.map(drop)
            })
        })
        .collect();
    until(|| waiting.load(Ordering::SeqCst) == 100 && issuer.requests() == 1).await;
    issuer.gate.add_permits(100);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_take_the_fetch_along() {
    let key = Key::es256();
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    issuer.gate.forget_permits(Semaphore::MAX_PERMITS);
    let subject = Subject::of(&issuer);
    let (verifier, token) = (Arc::clone(&subject.verifier), forever(&key, "k"));
    let caller = tokio::spawn(async move { verifier.verify(&token).await });
    until(|| issuer.requests() == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    issuer.gate.add_permits(1);
    until(|| subject.client.ready()).await;
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn every_failure_is_named_and_leaves_the_last_good_set_in_use() {
    let key = Key::es256();
    let good = Answer::Set(set(&[key.jwk("k")]));
    let failures = [
        (Answer::Text(StatusCode::INTERNAL_SERVER_ERROR, set(&[key.jwk("evil")]).to_string()), "status"),
        (Answer::Text(StatusCode::NOT_FOUND, "{}".into()), "status"),
        (Answer::Text(StatusCode::OK, "<html>maintenance</html>".into()), "malformed"),
        (Answer::Text(StatusCode::OK, String::new()), "malformed"),
        (Answer::Text(StatusCode::OK, "{\"keys\":[]}".into()), "no_usable_key"),
        (Answer::Text(StatusCode::OK, format!("{{\"keys\":[\"{}\"]}}", "x".repeat(20_000))), "too_large"),
        (Answer::Never, "timeout"),
    ];
    let metrics = signal_service::telemetry::metrics();
    for (failure, name) in failures {
        let issuer = Issuer::start(good.clone()).await;
        let subject = Subject::impatient(&issuer);
        subject.client.refresh().await.unwrap();
        issuer.answers(failure);
        assert_eq!(subject.client.refresh().await.unwrap_err().name(), name);
        subject.advance(Duration::from_secs(13 * 3600));
        assert_eq!(subject.verify(&forever(&key, "k")).await, Ok(()), "stale but good after {name}");
        assert!(metrics.render().contains(&format!("signal_jwks_fetches_total{{result=\"{name}\"}}")));

        // While the issuer is away nobody can say that a new key is not the issuer's.
        assert_eq!(subject.verify(&forever(&key, "new")).await, Err(VerifyError::Unavailable));
        issuer.answers(good.clone());
        subject.advance(Duration::from_secs(30));
        assert_eq!(subject.verify(&forever(&key, "new")).await, UNKNOWN);
    }
}

#[tokio::test]
async fn without_any_set_checking_is_unavailable_and_the_issuer_is_not_hammered() {
    let key = Key::es256();
    let issuer = Issuer::start(Answer::Text(StatusCode::BAD_GATEWAY, String::new())).await;
    let subject = Subject::of(&issuer);
    let token = forever(&key, "k");
    for _ in 0..10 {
        assert_eq!(subject.verify(&token).await, Err(VerifyError::Unavailable));
    }
    assert_eq!(issuer.requests(), 1);
    issuer.answers(Answer::Set(set(&[key.jwk("k")])));
    subject.advance(Duration::from_secs(1));
    assert_eq!(subject.verify(&token).await, Ok(()));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn warming_reports_what_is_missing_until_it_is_there() {
    let key = Key::es256();
    let issuer = Issuer::start(Answer::Text(StatusCode::BAD_GATEWAY, String::new())).await;
    let subject = Subject::of(&issuer);
    let health = Health::new();
    let (component, client) = (health.component("jwks"), Arc::clone(&subject.client));
    let warming = tokio::spawn(async move { client.warm(&component).await });
    let reason = || health.status("jwks").and_then(|status| status.reason).unwrap_or_default();
    until(|| reason().contains("502")).await;
    assert!(!health.is_ready());

    issuer.answers(Answer::Set(set(&[key.jwk("k")])));
    warming.await.unwrap();
    assert!(health.is_ready() && subject.client.ready());
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_a_transport_failure() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", gone.local_addr().unwrap());
    drop(gone);
    let client = JwkSetClient::new(&url, JwkSetOptions::default()).unwrap();
    assert!(matches!(client.refresh().await, Err(JwkSetError::Transport(_))));
    for url in ["", "jwks", "/jwks", "file:///etc/passwd", "ftp://x/", "https://"] {
        assert!(matches!(JwkSetClient::new(url, JwkSetOptions::default()), Err(JwkSetError::Address(_))), "{url}");
    }
}

#[tokio::test]
async fn neither_tokens_nor_credentials_are_logged_or_shown() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: a subscriber of one thread misses events whose first emitter was another thread.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let key = Key::es256();
    let issuer = Issuer::start(Answer::Set(set(&[key.jwk("k")]))).await;
    let subject = Subject::impatient(&issuer);
    let token = forever(&key, "k");
    let mut shown = String::new();
    for token in [token.as_str(), &token[..token.len() - 9], &forever(&key, "unknown")] {
        shown += &format!("{:?}", subject.verifier.verify(token).await.map(drop));
    }
    issuer.answers(Answer::Never);
    shown += &format!("{:?} {:?} {:?}", subject.client.refresh().await, subject.client, subject.verifier);
    shown += &String::from_utf8_lossy(&lines.0.lock().unwrap());

    assert!(shown.contains("JWK set cannot be fetched"), "{shown}");
    let secrets = token.split('.').map(|part| &part[..12]).chain(["hunter2"]);
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// Waits for a condition, with a deadline.
async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the condition holds in time");
}
