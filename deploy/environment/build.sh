# Configures and builds the presets of CMakePresets.json. Sourced by deploy/run, test and attn.
# shellcheck shell=bash

environment_folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
project_folder=${environment_folder%/deploy/environment}
# shellcheck source=messages.sh
source "$environment_folder/messages.sh"

# enter_environment SCRIPT [ARGUMENT...]: starts deploy/SCRIPT again inside deploy/env; does nothing
# the second time.
enter_environment() {
  if [[ ${ATTENTION_ENVIRONMENT_ENTERED:-} == yes ]]; then
    unset ATTENTION_ENVIRONMENT_ENTERED
  else
    export ATTENTION_ENVIRONMENT_ENTERED=yes
    exec "$project_folder/deploy/env" "$project_folder/deploy/$1" "${@:2}"
  fi
}

# How many compilers may run at once: one a core, and 1.5 GB of memory for each.
build_jobs() {
  local cores memory_jobs
  if [[ -n ${CMAKE_BUILD_PARALLEL_LEVEL:-} ]]; then echo "$CMAKE_BUILD_PARALLEL_LEVEL"; return; fi
  cores=$(nproc)
  memory_jobs=$(awk '$1 == "MemAvailable:" { print int($2 / 1500000) }' /proc/meminfo)
  if ((memory_jobs < 1)); then memory_jobs=1; fi
  echo $((memory_jobs < cores ? memory_jobs : cores))
}

# A build folder belongs to one set of packages: that of a private root, by its name, or the host's.
package_set() {
  if [[ -e /.attention-root ]]; then cat /.attention-root; else echo host; fi
}

configure() {  # configure PRESET
  local folder=$project_folder/build/$1 fresh=()
  if [[ -e $folder/build.ninja ]]; then
    [[ $(cat "$folder/package-set" 2>/dev/null) != "$(package_set)" ]] || return 0
    fresh=(--fresh)
  fi
  step "configure $1" \
    cmake -S "$project_folder" --preset "$1" "${fresh[@]}" --log-level=WARNING >&2 </dev/null
  package_set >"$folder/package-set"
}

# build PRESET [TARGET...]: brings the targets (default: all) up to date. A second build waits.
build() {
  local preset=$1 folder=$project_folder/build/$1 lock targets=()
  shift
  if [[ $# -gt 0 ]]; then targets=(--target "$@"); fi
  mkdir -p "$folder"
  exec {lock}>"$folder/lock"
  flock --nonblock "$lock" || { say "waiting for another build in $folder"; flock "$lock"; }
  configure "$preset"
  cmake --build "$folder" --parallel "$(build_jobs)" "${targets[@]}" >&2 </dev/null
  exec {lock}>&-
}

# up_to_date PRESET TARGET...: succeeds where a build would do nothing.
up_to_date() {
  local folder=$project_folder/build/$1
  shift
  [[ -e $folder/build.ninja && $(cat "$folder/package-set" 2>/dev/null) == "$(package_set)" ]] &&
    ninja -C "$folder" -n "$@" 2>/dev/null </dev/null | grep -q 'no work to do'
}

# ensure_built PRESET TARGET...: builds only where needed, so that a finished build says nothing.
ensure_built() {
  up_to_date "$@" || step "build ${*:2}" build "$@"
}
