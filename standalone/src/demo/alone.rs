//! The demo as a process of its own: page, development issuer and payment form, in front of an edge and a worker that
//! are processes, too. A proxy puts them behind one origin.

use std::net::SocketAddr;

use axum::Router;
use signal_service::{
    admin,
    health::Health,
    listen, rest,
    serve::{self, Limits},
    shutdown::Shutdown,
    telemetry,
};

use super::{Demo, Embedded};
use crate::{
    app::{StartError, payments},
    config::Settings,
    embedded::{data_dir::DataDir, issuer::Issuer},
};

/// Starts it; it stops with `shutdown`. Returns where it listens. To be called within a runtime.
///
/// # Errors
/// If it cannot listen, keep the issuer's key, or make a producer.
pub fn start(settings: &Settings, shutdown: &Shutdown) -> Result<SocketAddr, StartError> {
    settings.own.check_reach()?;
    settings.check_stream_path()?;
    if settings.pipeline.kafka_brokers.is_none() {
        return Err(StartError::NoBroker);
    }
    let listener = listen::bind(settings.own.http_addr, "SIGNAL_HTTP_ADDR")?;
    let admin_listener = listen::bind(settings.own.admin_addr, "SIGNAL_ADMIN_ADDR")?;
    let http_addr = listener.local_addr()?;

    let properties = settings.pipeline.kafka_properties.as_ref();
    let demo = Demo {
        stream_path: settings.stream.stream_path.clone(),
        base_path: settings.own.base_path.clone(),
        embedded: Embedded { database: false, backplane: false, broker: false, issuer: true },
        issuer: Some(Issuer::open(&DataDir::open(&settings.own.data_dir)?, &settings.auth)?),
        payments: payments(&settings.pipeline, properties, shutdown.token(), shutdown.tasks().clone())?,
        allow_remote: settings.own.allow_remote,
    };

    let health = Health::new();
    let admin = admin::router(&health, telemetry::metrics());
    tokio::spawn(admin::serve(admin_listener, admin, shutdown.token()));
    let router = super::router(demo, rest::finish(Router::new()));
    tokio::spawn(serve::serve(listener, router, Limits::default(), shutdown.clone()));
    health.component("demo").up();
    Ok(http_addr)
}
