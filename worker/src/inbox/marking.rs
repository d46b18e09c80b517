//! What has been read.
//!
//! A marking is a task of its own: it is told to the person's windows even if whoever asked hangs up before the answer,
//! and the answer does not wait for the telling. Of two that are told out of order the version says which one is later.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::value::to_raw_value;
use signal_service::{
    doc::responses::{Addressed, Authenticated, WithBody},
    rest::{Body, Path, RestError},
};
use signal_wire::{
    message::event,
    notification::{Notification, Read, Unread},
};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::{
    Notifications, RETRY_AFTER, TAG, away,
    caller::Caller,
    shapes::{MarkedCount, NotificationShape, ReadAll, ReadThese, Wanted},
};
use crate::{
    persist::now,
    publish::stored,
    store::{StoreError, inbox::Marked},
};

/// Marks one notification as read
///
/// One that is read already stays as it is.
#[utoipa::path(
    patch,
    path = "/notifications/{id}/read",
    tag = TAG,
    operation_id = "readNotification",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The notification's id")),
    responses((status = 200, description = "The notification, read", body = NotificationShape), Authenticated, Addressed)
)]
pub(super) async fn read_one(
    Caller { recipient_id }: Caller,
    State(notifications): State<Arc<Notifications>>,
    Path(id): Path<String>,
) -> Result<Json<Notification>, RestError> {
    let find = async || {
        let row = notifications.inbox.find(&recipient_id, &id).await;
        row.map_err(|error| away(&error))?.ok_or_else(RestError::not_found)
    };
    let mut row = find().await?;
    if row.read_at.is_none() {
        match mark(&notifications, recipient_id.clone(), Wanted::These(vec![id.clone()])).await? {
            Some(marked) => (row.read_at, row.modified_at) = (Some(marked.read_at), marked.read_at),
            // Somebody was quicker: with reading it, or with removing it.
            None => row = find().await?,
        }
    }
    Ok(Json(stored(row)))
}

/// Marks some notifications as read
///
/// Ids of what is read already, is not there or is another person's are passed over.
#[utoipa::path(
    patch,
    path = "/notifications/read",
    tag = TAG,
    operation_id = "readNotifications",
    security(("bearer" = [])),
    request_body = ReadThese,
    responses((status = 200, description = "How many were unread", body = MarkedCount), Authenticated, WithBody)
)]
pub(super) async fn read_these(
    Caller { recipient_id }: Caller,
    State(notifications): State<Arc<Notifications>>,
    Body(these): Body<ReadThese>,
) -> Result<Json<MarkedCount>, RestError> {
    let marked = mark(&notifications, recipient_id, these.checked()?).await?;
    Ok(Json(MarkedCount::of(marked.as_ref())))
}

/// Marks all notifications as read
///
/// Or those that were created before a moment: what came since it was shown is then not taken for read.
#[utoipa::path(
    patch,
    path = "/notifications/read-all",
    tag = TAG,
    operation_id = "readAllNotifications",
    security(("bearer" = [])),
    request_body = Option<ReadAll>,
    responses((status = 200, description = "How many were unread", body = MarkedCount), Authenticated, WithBody)
)]
pub(super) async fn read_all(
    Caller { recipient_id }: Caller,
    State(notifications): State<Arc<Notifications>>,
    body: Option<Body<ReadAll>>,
) -> Result<Json<MarkedCount>, RestError> {
    let Body(all) = body.unwrap_or_default();
    let marked = mark(&notifications, recipient_id, all.into()).await?;
    Ok(Json(MarkedCount::of(marked.as_ref())))
}

/// `None` if nothing was unread: then there is nothing to tell either.
async fn mark(
    notifications: &Arc<Notifications>,
    recipient_id: String,
    wanted: Wanted,
) -> Result<Option<Marked>, RestError> {
    let place = Arc::clone(&notifications.markings).try_acquire_owned();
    let place = place.map_err(|_| overloaded())?;
    let (answer, answered) = oneshot::channel();
    let notifications = Arc::clone(notifications);
    let tasks = notifications.tasks.clone();
    let marking = async move {
        let _place = place;
        let marked = notifications.inbox.mark(&recipient_id, wanted.which(), now()).await;
        let news = marked.as_ref().map(Option::as_ref).ok().flatten().map(|marked| news(&wanted, marked));
        // Whoever asked may have hung up.
        let _ = answer.send(marked);
        if let Some((read, unread)) = news {
            let [read, unread] = [to_raw_value(&read), to_raw_value(&unread)]
                .map(|data| data.expect("ids, counts and times have a JSON form"));
            let events = [(event::NOTIFICATION_READ, read), (event::NOTIFICATION_UNREAD, unread)];
            notifications.publisher.say(&recipient_id, &events).await;
        }
    };
    tasks.spawn(marking.in_current_span());
    answered.await.unwrap_or(Err(StoreError::Stopped)).map_err(|error| away(&error))
}

fn news(wanted: &Wanted, marked: &Marked) -> (Read, Unread) {
    let read = match wanted {
        Wanted::These(_) => Read::these(marked.ids.clone(), marked.read_at),
        Wanted::All { before } => Read::all(*before, marked.read_at),
    };
    (read, Unread { unread: marked.unread, version: marked.version })
}

fn overloaded() -> RestError {
    RestError::unavailable("More is being marked than is taken at once").retry_after(RETRY_AFTER)
}
