# Shared by every bats file: where the build is, and waiting without sleeping blindly.
bats_require_minimum_version 1.5.0
ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
export ROOT BUILD PATH="$BUILD/bin:$BUILD/bench:$PATH"
export LC_ALL=C.UTF-8
# shellcheck source=tests/lib/wait.bash
source "$ROOT/tests/lib/wait.bash"
