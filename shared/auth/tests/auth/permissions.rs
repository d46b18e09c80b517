//! Permission checks against policies that answer when and what the test says, on a clock that only it moves.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use clap::Parser;
use serde_json::json;
use signal_auth::{
    Clock, Denied, Permission, PermissionSettings, Permissions, Policies, PolicyError, Principal, Role, RoleList,
    Subject, Unavailable, UserId, permissions::MAX_FLIGHTS,
};
use signal_service::{
    settings::{self, Source},
    telemetry,
};
use tokio::sync::Semaphore;

const READ: Permission = Permission { code: "Thing.read", action: "read" };
const WRITE: Permission = Permission { code: "Thing.write", action: "write" };
const LIFETIME_MS: i64 = 30_000;
const AWAY: Result<(), Denied> = Err(Denied::Unavailable { reason: Unavailable::Away });

#[derive(Debug)]
struct Scripted {
    answer: Mutex<Result<bool, PolicyError>>,
    asked: Mutex<Vec<(Subject, Permission)>>,
    /// A question is answered when it gets a permit.
    gate: Semaphore,
    panics: AtomicUsize,
}

#[async_trait]
impl Policies for Scripted {
    async fn holds(&self, subject: &Subject, permission: Permission) -> Result<bool, PolicyError> {
        self.asked.lock().unwrap().push((subject.clone(), permission));
        self.gate.acquire().await.unwrap().forget();
        let scripted = self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(scripted.is_err(), "a panic that the test asked for");
        self.answer.lock().unwrap().clone()
    }

    async fn close(&self) {}
}

struct Scene {
    policies: Arc<Scripted>,
    permissions: Permissions,
    now_ms: Arc<AtomicI64>,
}

impl Scene {
    fn answering(answer: Result<bool, PolicyError>) -> Self {
        let policies = Arc::new(Scripted {
            answer: Mutex::new(answer),
            asked: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            panics: AtomicUsize::new(0),
        });
        let now_ms = Arc::new(AtomicI64::new(1_795_423_864_000));
        let read = Arc::clone(&now_ms);
        let clock = Clock::from_fn(move || read.load(Ordering::SeqCst));
        let permissions = Permissions::new(Some(Arc::clone(&policies) as _), roles("super-admin"), clock);
        Self { policies, permissions, now_ms }
    }

    /// No question is answered until [`Scene::open`].
    fn shut(self) -> Self {
        self.policies.gate.forget_permits(Semaphore::MAX_PERMITS);
        self
    }

    fn open(&self) {
        self.policies.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    fn answers(&self, answer: Result<bool, PolicyError>) {
        *self.policies.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.policies.asked.lock().unwrap().len()
    }

    fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    async fn reads(&self, principal: &Principal) -> Result<(), Denied> {
        self.permissions.check(principal, READ).await
    }

    fn checking<'a>(&'a self, principal: &'a Principal) -> Checking<'a> {
        Box::pin(self.permissions.check(principal, READ))
    }
}

type Checking<'a> = Pin<Box<dyn Future<Output = Result<(), Denied>> + 'a>>;

/// Lets a check begin, and says what it has come to at once, if anything.
fn begin(checking: &mut Checking<'_>) -> Option<Result<(), Denied>> {
    match checking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn roles(text: &str) -> RoleList {
    text.parse().unwrap()
}

fn user(id: &str) -> Principal {
    let user_id = UserId::from_text(id).unwrap();
    Principal { user_id, principal_type: "User".to_owned(), roles: Vec::new(), expires_at: None }
}

fn with_role(identifier: &str) -> Principal {
    let role = Role { id: "1".to_owned(), identifier: identifier.to_owned(), priority: 0 };
    Principal { roles: vec![role], ..user("ann") }
}

fn away() -> Result<bool, PolicyError> {
    Err(PolicyError::Away("connection refused".to_owned()))
}

#[tokio::test]
async fn without_policies_nobody_may_anything() {
    let permissions = Permissions::new(None, roles("super-admin"), Clock::system());
    let denied = Err(Denied::Unavailable { reason: Unavailable::NotConfigured });
    assert_eq!(permissions.check(&user("ann"), READ).await, denied);
    assert_eq!(permissions.check(&with_role("super-admin"), READ).await, denied);
    assert!(!permissions.configured());
}

#[tokio::test]
async fn a_role_that_is_always_allowed_passes_unasked() {
    let scene = Scene::answering(away());
    assert_eq!(scene.reads(&with_role("super-admin")).await, Ok(()));
    assert_eq!(scene.asked(), 0);
    for other in ["Super-Admin", "super-admin ", "admin", ""] {
        assert_eq!(scene.reads(&with_role(other)).await, AWAY, "{other:?}");
    }
}

#[tokio::test]
async fn both_answers_are_good_for_thirty_seconds() {
    for (first, then) in [(true, false), (false, true)] {
        let outcome = |allowed| if allowed { Ok(()) } else { Err(Denied::Forbidden) };
        let scene = Scene::answering(Ok(first));
        assert_eq!(scene.reads(&user("ann")).await, outcome(first));
        scene.answers(Ok(then));
        scene.pass(LIFETIME_MS - 1);
        assert_eq!(scene.reads(&user("ann")).await, outcome(first));
        assert_eq!(scene.asked(), 1);
        scene.pass(1);
        assert_eq!(scene.reads(&user("ann")).await, outcome(then));
        assert_eq!(scene.asked(), 2);
    }
}

#[tokio::test]
async fn an_answer_ages_from_when_it_was_asked_for() {
    let scene = Scene::answering(Ok(true)).shut();
    let ann = user("ann");
    let mut checking = scene.checking(&ann);
    assert_eq!(begin(&mut checking), None);
    tokio::task::yield_now().await;
    assert_eq!(scene.asked(), 1);
    scene.pass(LIFETIME_MS);
    scene.open();
    assert_eq!(checking.await, Ok(()));
    assert_eq!(scene.reads(&ann).await, Ok(()));
    assert_eq!(scene.asked(), 2, "what was true 30 s ago is asked again");
}

#[tokio::test]
async fn a_clock_that_is_set_back_ends_an_answer() {
    let scene = Scene::answering(Ok(true));
    assert_eq!(scene.reads(&user("ann")).await, Ok(()));
    scene.answers(Ok(false));
    scene.pass(-1);
    assert_eq!(scene.reads(&user("ann")).await, Err(Denied::Forbidden));
}

#[tokio::test]
async fn while_policies_are_away_fresh_answers_count_and_failures_are_forgotten() {
    let scene = Scene::answering(Ok(true));
    assert_eq!(scene.reads(&user("ann")).await, Ok(()));
    for error in [away(), Err(PolicyError::TimedOut)] {
        scene.answers(error);
        assert_eq!(scene.reads(&user("ann")).await, Ok(()));
        assert_eq!(scene.reads(&user("bob")).await, AWAY);
    }
    scene.pass(LIFETIME_MS);
    assert_eq!(scene.reads(&user("ann")).await, AWAY);
    scene.answers(Err(PolicyError::Schema("no such table".to_owned())));
    assert_eq!(scene.reads(&user("ann")).await, Err(Denied::Unavailable { reason: Unavailable::Schema }));
    scene.answers(Ok(true));
    assert_eq!(scene.reads(&user("bob")).await, Ok(()));
    assert_eq!(scene.reads(&user("ann")).await, Ok(()));
}

#[tokio::test]
async fn each_subject_and_permission_is_a_question_of_its_own() {
    let scene = Scene::answering(Ok(true));
    let seven = Principal { user_id: UserId::from_json(&json!(7)).unwrap(), ..user("x") };
    let service = Principal { principal_type: "Service".to_owned(), ..user("7") };
    for principal in [&seven, &user("7"), &service] {
        assert_eq!(scene.reads(principal).await, Ok(()));
    }
    assert_eq!(scene.permissions.check(&seven, WRITE).await, Ok(()));
    let subject = |kind: &str| Subject { kind: kind.to_owned(), id: "7".to_owned() };
    let asked = scene.policies.asked.lock().unwrap().clone();
    assert_eq!(asked, [(subject("User"), READ), (subject("Service"), READ), (subject("User"), WRITE)]);
}

#[tokio::test]
async fn however_many_ask_the_question_goes_out_once() {
    let scene = Scene::answering(Ok(true)).shut();
    let ann = user("ann");
    let mut waiting: Vec<_> = (0..50).map(|_| scene.checking(&ann)).collect();
    for checking in &mut waiting {
        assert_eq!(begin(checking), None);
    }
    // Whoever asked first may give up.
    drop(waiting.remove(0));
    scene.open();
    for checking in waiting {
        assert_eq!(checking.await, Ok(()));
    }
    assert_eq!(scene.asked(), 1);
}

#[tokio::test]
async fn questions_under_way_are_bounded() {
    let scene = Scene::answering(Ok(true)).shut();
    let users: Vec<_> = (0..=MAX_FLIGHTS).map(|n| user(&format!("user-{n}"))).collect();
    let (one_more, fitting) = users.split_last().unwrap();
    let mut waiting: Vec<_> = fitting.iter().map(|user| scene.checking(user)).collect();
    for checking in &mut waiting {
        assert_eq!(begin(checking), None);
    }
    let overloaded = Err(Denied::Unavailable { reason: Unavailable::Overloaded });
    assert_eq!(begin(&mut scene.checking(one_more)), Some(overloaded));
    assert_eq!(begin(&mut scene.checking(&fitting[0])), None, "who asks the same as another may wait along");
    scene.open();
    for checking in waiting {
        assert_eq!(checking.await, Ok(()));
    }
    assert_eq!(scene.reads(one_more).await, Ok(()));
    assert_eq!(scene.asked(), MAX_FLIGHTS + 1);
}

#[tokio::test]
async fn a_question_that_dies_is_no_answer_and_may_be_asked_again() {
    let scene = Scene::answering(Ok(true));
    scene.policies.panics.store(1, Ordering::SeqCst);
    assert_eq!(scene.reads(&user("ann")).await, AWAY);
    assert_eq!(scene.reads(&user("ann")).await, Ok(()));
}

#[tokio::test]
async fn every_outcome_is_counted() {
    let rendered = telemetry::metrics();
    let scene = Scene::answering(Ok(true));
    for _ in 0..2 {
        scene.reads(&user("ann")).await.unwrap();
    }
    scene.reads(&with_role("super-admin")).await.unwrap();
    scene.answers(Ok(false));
    scene.reads(&user("bob")).await.unwrap_err();
    scene.answers(away());
    scene.reads(&user("eve")).await.unwrap_err();
    let text = rendered.render();
    for (result, source) in [
        ("allowed", "database"),
        ("allowed", "cache"),
        ("allowed", "role"),
        ("forbidden", "database"),
        ("away", "database"),
    ] {
        let series = format!(r#"signal_permission_checks_total{{result="{result}",source="{source}"}}"#);
        assert!(text.contains(&series), "{series} is missing:\n{text}");
    }
    assert!(text.contains("signal_permission_query_duration_seconds"), "{text}");
}

#[test]
fn roles_are_a_list_with_a_default() {
    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        permissions: PermissionSettings,
    }
    let parse = |value: &str| {
        let source: Source = [("SIGNAL_ALWAYS_ALLOW_ROLES", value)].into_iter().collect();
        settings::parse::<Settings>(["edge"], &source).unwrap().permissions.always_allow_roles
    };
    assert_eq!(parse(""), roles("super-admin"));
    assert_eq!(parse(" root , super-admin,"), roles("root,super-admin"));
    assert_eq!(parse(","), RoleList::default());
    assert!(!parse(",").contains(""));
}
