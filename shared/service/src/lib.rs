//! What both binaries need to be good services: configuration source, telemetry, health, shutdown.
