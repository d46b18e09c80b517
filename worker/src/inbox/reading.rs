//! What there is to read.

use std::sync::Arc;

use axum::{Json, extract::State};
use signal_service::{
    doc::responses::{Authenticated, WithQuery},
    rest::{Query, RestError},
};

use super::{
    Notifications, TAG, away,
    caller::Caller,
    shapes::{NotificationCount, NotificationFilter, NotificationPage, NotificationQuery, bad_cursor},
};
use crate::store::StoreError;

/// One's own notifications
///
/// Newest first. What comes meanwhile makes none of the others come twice or be left out. A page may have fewer than
/// `limit`, where they are large: `nextCursor` alone says whether there are more.
#[utoipa::path(
    get,
    path = "/notifications",
    tag = TAG,
    operation_id = "listNotifications",
    security(("bearer" = [])),
    params(NotificationQuery),
    responses((status = 200, description = "A page", body = NotificationPage), Authenticated, WithQuery)
)]
pub(super) async fn list(
    caller: Caller,
    State(notifications): State<Arc<Notifications>>,
    Query(query): Query<NotificationQuery>,
) -> Result<Json<NotificationPage>, RestError> {
    let wish = query.checked()?;
    let scope = wish.filter.scope(&caller.recipient_id);
    let page = notifications.inbox.page(scope, wish.after.as_ref(), wish.limit).await;
    page.map(|page| Json(page.into())).map_err(|error| match error {
        StoreError::Refused { .. } if wish.after.is_some() => bad_cursor(),
        error => away(&error),
    })
}

/// How many notifications one has
#[utoipa::path(
    get,
    path = "/notifications/count",
    tag = TAG,
    operation_id = "countNotifications",
    security(("bearer" = [])),
    params(NotificationFilter),
    responses((status = 200, description = "The number", body = NotificationCount), Authenticated, WithQuery)
)]
pub(super) async fn count(
    caller: Caller,
    State(notifications): State<Arc<Notifications>>,
    Query(filter): Query<NotificationFilter>,
) -> Result<Json<NotificationCount>, RestError> {
    let filter = filter.checked()?;
    let count = notifications.inbox.count(filter.scope(&caller.recipient_id)).await.map_err(|error| away(&error))?;
    Ok(Json(NotificationCount { count }))
}
