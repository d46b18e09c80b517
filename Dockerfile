# syntax=docker/dockerfile:1.9
# check=error=true
#
# Signal's images, each with one binary, no shell and no root:
#
#   docker build --target edge   -t signal-edge   .
#   docker build --target worker -t signal-worker .
#   docker build --target demo   -t signal-demo   .     # the all-in-one, which signs anybody in as anybody: development only
#
# How they are versioned and labelled is in docs/releasing.md.

# The channel of rust-toolchain.toml; a test holds the two together.
ARG RUST_VERSION=1.95.0
# Builder and runtime are of one Debian: a binary needs the glibc that it was linked to, or a newer one.
ARG DEBIAN_CODENAME=bookworm
ARG DEBIAN_VERSION=12

FROM rust:${RUST_VERSION}-slim-${DEBIAN_CODENAME} AS toolchain
ARG RUST_VERSION
ARG CARGO_CHEF_VERSION=0.1.78
# The toolchain that is here; rust-toolchain.toml would fetch it once more, with formatter and linter.
ENV RUSTUP_TOOLCHAIN=${RUST_VERSION} \
    CARGO_INCREMENTAL=0 \
    # Else the linker takes a zlib of the builder's, if there is one, and the runtime image has none.
    LIBZ_SYS_STATIC=1
# librdkafka, SQLite, aws-lc, jemalloc, zlib and zstd are compiled from sources in their crates: neither perl nor cmake.
# OpenSSL, which librdkafka has TLS and SCRAM from, is the system's, here and in the runtime image.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libssl-dev make pkg-config \
 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo install --locked cargo-chef@${CARGO_CHEF_VERSION}
WORKDIR /src

# What the dependencies are: the same bytes as long as no manifest and no lock file changes.
FROM toolchain AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

# The dependencies of both binaries: a layer that a change to Signal's own code leaves as it is.
FROM toolchain AS dependencies
COPY --from=plan /recipe.json /recipe.json
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo chef cook --locked --release --package signal-edge --package signal-worker \
      --features signal-worker/kafka-tls --recipe-path /recipe.json

FROM dependencies AS build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo build --locked --release --package signal-edge --package signal-worker --bins \
      --features signal-worker/kafka-tls \
 && mkdir /out \
 && strip --strip-all -o /out/signal-edge target/release/signal-edge \
 && strip --strip-all -o /out/signal-worker target/release/signal-worker

# Behind a stage of its own, so that no image of a deployment waits for it.
FROM dependencies AS build-demo
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo build --locked --release --package signal-standalone --bin signal --features kafka-tls \
 && mkdir -p /out/state/signal \
 && strip --strip-all -o /out/signal target/release/signal

# glibc, libgcc, OpenSSL 3 and the system's root certificates. 65532 is its user "nonroot".
FROM gcr.io/distroless/cc-debian${DEBIAN_VERSION}:nonroot AS runtime
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
WORKDIR /
# SIGNAL_HTTP_ADDR, SIGNAL_ADMIN_ADDR
EXPOSE 3000 9090
STOPSIGNAL SIGTERM

FROM runtime AS edge
LABEL org.opencontainers.image.title="signal-edge" \
      org.opencontainers.image.description="Encrypted WebSockets for people's screens, fed by the backplane"
COPY --from=build /out/signal-edge /usr/local/bin/signal-edge
ENTRYPOINT ["/usr/local/bin/signal-edge"]

FROM runtime AS worker
LABEL org.opencontainers.image.title="signal-worker" \
      org.opencontainers.image.description="Activity events from Kafka become rows and pushes, which people read over REST"
COPY --from=build /out/signal-worker /usr/local/bin/signal-worker
ENTRYPOINT ["/usr/local/bin/signal-worker"]

FROM runtime AS demo
LABEL org.opencontainers.image.title="signal" \
      org.opencontainers.image.description="The all-in-one with embedded parts and the demo page; for development only"
# A volume that is mounted here takes its owner over.
COPY --from=build-demo --chown=65532:65532 /out/state/ /var/lib/
COPY --from=build-demo /out/signal /usr/local/bin/signal
ENV SIGNAL_HTTP_ADDR=0.0.0.0:3000 \
    SIGNAL_ADMIN_ADDR=0.0.0.0:9090 \
    SIGNAL_DATA_DIR=/var/lib/signal
ENTRYPOINT ["/usr/local/bin/signal"]
