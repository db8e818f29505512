# docker build --tag augment .
FROM rust:1-slim-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
# The presets are compiled into the program. Cargo.toml names the benchmark.
COPY configs configs
COPY styles styles
COPY tests/bench tests/bench
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    CARGO_PROFILE_RELEASE_STRIP=true cargo install --locked --path . --root /built

FROM debian:bookworm-slim
COPY --from=build /built/bin/augment /usr/local/bin/augment
COPY configs /presets/configs
COPY styles /presets/styles
# Any user can run it: it needs no home folder and writes only here.
WORKDIR /data
USER 1000:1000
ENTRYPOINT ["augment"]
CMD ["--help"]
