# Recipes for people and for CI. `just` alone lists them.

_default:
    @just --list

# What CI runs: format, the main job on the sample, tests, lint, documentation
ci:
    .ci/run

# Format and clippy; warnings are errors
lint:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings

# The same with CUDA, whether this computer has it or not
lint-cuda:
    scripts/check_cuda

test:
    cargo test --release

# The pages of preview and report in a headless Chromium (needs node, npm and chromium; CHROMIUM names another one)
check-pages:
    cargo build --release
    npm ci --prefix tests/pages --no-audit --no-fund
    node tests/pages/check.mjs target/release/augment target/pages

# Licences and sources of all dependencies, where cargo-deny is installed
deny:
    cargo deny check bans licenses sources

# The main job on the sample that the repository holds
demo:
    cargo run --release -- --config configs/fog.yaml tests/fixtures/streets

# Stylize a dataset: just augment configs/night.yaml ~/datasets/drive --limit 20
augment CONFIG DATASET *FLAGS:
    cargo run --release -- --config {{ CONFIG }} {{ DATASET }} {{ FLAGS }}

# A few frames under every style, on one page: just preview configs/night.yaml ~/datasets/drive --open
preview CONFIG DATASET *FLAGS:
    cargo run --release -- preview --config {{ CONFIG }} {{ DATASET }} {{ FLAGS }}

# What outputs hold, on one page: just report ~/datasets/drive-night --open
report *OUTPUTS:
    cargo run --release -- report {{ OUTPUTS }}

# Seconds per evaluation and per frame on this machine
bench *FLAGS:
    cargo run --release -- bench --config configs/fog.yaml {{ FLAGS }}

# How far outputs moved and what they kept: just evaluate vgg19.safetensors datasets/drive-fog --sheet drive-fog.png
evaluate WEIGHTS *OUTPUTS:
    python3 scripts/evaluate.py --weights {{ WEIGHTS }} {{ OUTPUTS }}

# Has Ultralytics read and train on outputs, or on the sample: just check-ultralytics datasets/drive-fog
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
