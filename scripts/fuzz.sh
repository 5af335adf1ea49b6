#!/bin/sh
# fuzz.sh [SECONDS]: every target of fuzz/ for so many seconds (default 60), one after the other, on the pinned stable
# toolchain. Begins with the seeds; what is found new is kept in target/fuzz, what breaks in fuzz/failures. Ends with 1 if
# anything broke.
set -eu
cd "$(dirname "$0")/.."
seconds="${1:-60}"
target="${CARGO_TARGET_DIR:-target}/fuzz"
command -v c++ >/dev/null 2>&1 || { echo "fuzz: a C++ compiler is missing (libFuzzer is built from source)"; exit 69; }
triple=$(rustc -vV | sed -n 's/^host: //p')
# What libFuzzer needs to see which code ran. Overflows and debug assertions count as findings.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1"
RUSTFLAGS=$(echo "$RUSTFLAGS" | tr '\n' ' ')
export RUSTFLAGS CARGO_PROFILE_RELEASE_LTO=off
cargo build --locked --release --quiet -p cap-schema-fuzz --features libfuzzer --bins --target "$triple" --target-dir "$target"
broken=""
mkdir -p fuzz/failures
for name in parser split geometry time references signature; do
	mkdir -p "$target/found/$name"
	log="$target/$name.log"
	# An input that takes 2 s or 512 MiB is a finding too: inputs have at most 64 KiB.
	if "$target/$triple/release/fuzz_$name" -max_total_time="$seconds" -timeout=2 -rss_limit_mb=512 -max_len=65536 \
		-artifact_prefix="fuzz/failures/$name-" -print_final_stats=1 "$target/found/$name" "fuzz/seeds/$name" >"$log" 2>&1; then
		echo "fuzz: $name held for $seconds s,$(sed -n 's/^stat::number_of_executed_units://p' "$log") inputs"
	else
		broken="$broken $name"
		grep -v '^"' "$log" | tail -n 20
	fi
done
rmdir fuzz/failures 2>/dev/null || true
[ -z "$broken" ] || { echo "fuzz: broken:$broken; the inputs are in fuzz/failures"; exit 1; }
