//! The Rust SDK of Signal: an encrypted, self-healing stream of typed events.
//!
//! ```no_run
//! use signal_client::{Client, Event};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::builder("wss://shop.example/stream")
//!     .token(|| async { Ok::<_, std::io::Error>("a token of the issuer".to_owned()) })
//!     .connect()?;
//! client.join(["dashboard"])?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => match message.notification() {
//!             Some(notification) => println!("{}", notification?.title),
//!             None => println!("{}: {:?}", message.event(), message.raw_data()),
//!         },
//!         // Pushes may have been missed: read the list over REST again.
//!         Event::Resync { reason } => println!("resync: {reason}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] outlives sockets, edges and tokens. [`Session`] is the layer below: one socket, authenticated once,
//! never healed, for tests and load generators.
//!
//! # What is spoken
//!
//! Protocol v2 with edges that know it, v1 with others; [`Connected::protocol`] says which. In v2 every frame is binary
//! and has its place: one that was replayed, reordered, dropped, reflected or altered does not open, whereupon the
//! client closes with 4006 ([`Disconnect::Violation`]), comes back with backoff and has the application resync.
//! [`Builder::protocol`] asks for v1 alone.
//!
//! # Whom it is spoken to
//!
//! TLS says that a name belongs to whoever answers, which may be a proxy that ends TLS. [`Builder::pin`] says more: only
//! an edge that has the private part of a pinned key is talked to. Until it has proved that, it is sent nothing but
//! `authenticate`. The token is in there, so an impostor gets to see that much, and no message.
//!
//! ```no_run
//! # async fn example(identity_json: &str) -> Result<(), Box<dyn std::error::Error>> {
//! // What an edge shows at `{base}/identity`, shipped with the application.
//! let (client, mut events) = signal_client::Client::builder("wss://shop.example/stream")
//!     .token(|| async { Ok::<_, std::io::Error>("a token of the issuer".to_owned()) })
//!     .pin(identity_json)
//!     .connect()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Tokens
//!
//! The provider is asked before each connection and, if the token is a JWT with an expiry, about a minute ahead of that;
//! the next token is then handed over without a new connection ([`Event::Refreshed`]). [`Client::refresh`] does so at
//! once. Whatever becomes of it, the session goes on with the token that it has.

mod builder;
mod client;
pub mod dial;
mod disconnect;
mod driver;
mod event;
mod message;
mod refresh;
mod retry;
mod rooms;
mod seen;
pub mod session;
mod token;

pub use builder::{Builder, ConfigError};
pub use client::{Client, SendError, State};
pub use disconnect::{Close, Disconnect};
pub use event::{Closed, Event, Events, Problem};
pub use message::Message;
pub use refresh::RefreshError;
pub use rooms::RoomError;
pub use session::{Connected, Endpoint, Session};
pub use signal_wire::{
    backoff::Backoff,
    close::CloseCode,
    notification::{Notification, Read as NotificationsRead, Unread as NotificationsUnread},
    protocol::Protocol,
    refresh::Refreshed,
};
