# Recipes for people and for CI. `just` alone lists them.

_default:
    @just --list

# What CI runs: format, the sample, tests, pages, lint, documentation, the module for Python, clusters, licences
ci:
    .ci/run

# Format and clippy; warnings are errors
lint:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings

# Clippy on the build for GPUs; works without CUDA
lint-cuda:
    scripts/check_cuda

test:
    cargo test --release

# Check the pages of preview and report in a browser (needs node, npm and Chromium; CHROMIUM names another browser)
check-pages:
    cargo build --release
    npm ci --prefix tests/pages --no-audit --no-fund
    node tests/pages/check.mjs target/release/augment target/pages

# Build the wheel and test the module for Python in a fresh environment: just check-python albumentations "ray[data]"
check-python *PACKAGES:
    scripts/check_python {{ PACKAGES }}

# Run shards as the schedulers of clusters start them (needs Python with pyyaml)
check-cluster:
    cargo build --release
    python3 scripts/check_cluster.py --augment target/release/augment

# Check the licences and sources of all dependencies (needs cargo-deny)
deny:
    cargo deny check bans licenses sources

# The main job on the sample in the repository
demo:
    cargo run --release -- --config configs/fog.yaml tests/fixtures/streets

# Stylize a dataset: just augment configs/night.yaml ~/datasets/drive --limit 20
augment CONFIG DATASET *FLAGS:
    cargo run --release -- --config {{ CONFIG }} {{ DATASET }} {{ FLAGS }}

# Stylize a few frames under every style, onto one page: just preview configs/night.yaml ~/datasets/drive --open
preview CONFIG DATASET *FLAGS:
    cargo run --release -- preview --config {{ CONFIG }} {{ DATASET }} {{ FLAGS }}

# Show outputs on one page: just report ~/datasets/drive-night --open
report *OUTPUTS:
    cargo run --release -- report {{ OUTPUTS }}

# Measure seconds per evaluation and per frame on this computer
bench *FLAGS:
    cargo run --release -- bench --config configs/fog.yaml {{ FLAGS }}

# How far frames moved and what they kept: just evaluate vgg19.safetensors datasets/drive-fog --sheet drive-fog.png
evaluate WEIGHTS *OUTPUTS:
    python3 scripts/evaluate.py --weights {{ WEIGHTS }} {{ OUTPUTS }}

# Let Ultralytics read and train on outputs, or on an output of the sample: just check-ultralytics datasets/drive-fog
check-ultralytics *OUTPUTS:
    test -x target/ultralytics/bin/python || python3 -m venv target/ultralytics
    target/ultralytics/bin/pip install --quiet --requirement scripts/requirements-ultralytics.txt
    cargo build --release
    target/ultralytics/bin/python scripts/check_ultralytics.py {{ OUTPUTS }}

# Draw the styles, the sample and the built-in backbone anew (needs Python with numpy, pillow and safetensors)
draw:
    python3 scripts/draw_styles.py
    python3 scripts/draw_streets.py
    python3 scripts/make_builtin.py
