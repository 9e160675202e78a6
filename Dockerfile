# syntax=docker/dockerfile:1
# One image with kassa-api, kassa-worker and kassa. It runs as a user with no rights; its file system can be read-only.
# Not yet tried with Docker.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Queries are checked against .sqlx/: no database is needed.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p api -p worker -p cli \
 && install -D -t /programs target/release/kassa-api target/release/kassa-worker target/release/kassa

FROM debian:bookworm-slim
# The roots by which Stripe's and the mail server's certificates are checked.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /programs/ /usr/local/bin/
# Where images are, unless OBJECT_STORE_URL names a bucket: a volume that API and worker share.
RUN install --directory --owner=65532 --group=65532 /var/lib/kassa/images
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
WORKDIR /tmp
# In a container each program has the network to itself. Publish the first port if you like, never the second.
ENV API_ADDR=0.0.0.0:8080 METRICS_ADDR=0.0.0.0:9464 LOG_FORMAT=json OBJECT_STORE_URL=file:/var/lib/kassa/images
EXPOSE 8080
# The slim image has no curl, but its bash opens connections.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${METRICS_ADDR##*:} && printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '^HTTP/1.[01] 200' <&3"]
CMD ["kassa-api"]
