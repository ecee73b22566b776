#!/usr/bin/env bash
# A library that cannot be installed is named, and the oracles fail without it. Asks no registry:
# the Python of the environment is one that installs nothing but numpy.
set -euo pipefail
project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../../deploy/environment/build.sh
source "$project/deploy/environment/build.sh"
# shellcheck source=../../deploy/environment/oracles.sh
source "$environment_folder/oracles.sh"

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
mkdir "$scratch/bin"
cat >"$scratch/bin/python" <<'END'
#!/bin/sh
case "$*" in *" numpy=="*) exit 0 ;; esac
echo "asked: $*" >&2
exit 1
END
chmod +x "$scratch/bin/python"
python_environment_folder() { echo "$scratch"; }
ensure_built() { :; }

status=0
said=$(run_oracles --seed 1 2>&1) || status=$?
wanted=("missing: keras==" "missing: torch==" "no verdict without torch==")
for text in "${wanted[@]}"; do
  [[ $said == *"$text"* ]] || { echo "not said: $text; but: $said"; exit 1; }
done
[[ $said != *"missing: numpy=="* ]] || { echo "numpy was installed: $said"; exit 1; }
[[ $status -eq 1 ]] || { echo "exit code $status, want 1"; exit 1; }
[[ -e $scratch/installed-$(python_requirements oracles | grep '^numpy==') ]]
echo "ok"
