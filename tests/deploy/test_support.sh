# The harness of the shell tests: runs test functions, counts them, cleans up. Sourced.
# shellcheck shell=bash

project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0 failed=0 skipped=0
env_under_test=$project/deploy/env
skip_reason=  # Set by whoever finds out that this machine cannot run the tests that follow.

# run_test FUNCTION: one line for the test; FUNCTION fails by returning other than 0.
run_test() {
  local start=${EPOCHREALTIME/[.,]/} status=0
  if [[ -z $skip_reason ]]; then "$1" || status=$?; fi
  if [[ -n $skip_reason ]]; then
    echo "skip: $1 ($skip_reason)"
    skipped=$((skipped + 1))
  elif [[ $status -eq 0 ]]; then
    echo "ok:   $1 ($(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms)"
    passed=$((passed + 1))
  else
    echo "FAIL: $1"
    failed=$((failed + 1))
    show_evidence
  fi
}

show_evidence() {  # What the last command wrote.
  local file
  for file in "$work"/out* "$work"/errors*; do
    if [[ -s $file ]]; then
      printf '      %s:\n' "${file##*/}"
      head -n 20 "$file" | tr -cd '\11\12\40-\176' | sed 's/^/        /'
    fi
  done
}

finish_tests() {  # Prints the count; its exit code is the run's.
  echo "$passed passed, $failed failed, $skipped skipped"
  [[ $failed -eq 0 ]]
}

# wait_until CONDITION: evaluates CONDITION until it holds, for 60 s at most.
wait_until() {
  local limit=$((SECONDS + 60))
  until eval "$1"; do
    ((SECONDS < limit)) || return 1
    sleep 0.02
  done
}

# prepare: a work folder, a cache folder of its own and a small package list that no host satisfies.
prepare() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/attention-env-test.XXXXXX")
  trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
  chmod 755 "$work"
  export XDG_CACHE_HOME=$work/cache ATTENTION_PACKAGE_LIST=$work/small.list
  cache=$XDG_CACHE_HOME/attention
  {
    printf '%s base\n' base-files bash coreutils gawk libc-bin mount sed util-linux
    echo 'hello build 1 /a-file-that-no-host-has'
  } >"$ATTENTION_PACKAGE_LIST"
}

host_package_state() {
  stat -c '%n %Y %s' /var/lib/dpkg/status /var/lib/apt/lists /var/cache/apt 2>/dev/null || true
}

# The tests of a real root need namespaces and an archive; this asks for the former.
skip_without_namespaces() {
  "$project/deploy/environment/enter-root" --probe 2>/dev/null ||
    skip_reason="this user may not make namespaces"
}

roots() { find "$cache" -mindepth 2 -maxdepth 2 -name .attention-root | wc -l; }
no_root_is_there() { [[ $(roots) -eq 0 ]]; }

# start_and_kill_when CONDITION: starts deploy/env and kills it with all its children once CONDITION
# holds.
start_and_kill_when() {
  setsid "$env_under_test" hello >"$work/out" 2>"$work/errors" &
  local group=$! held=0
  wait_until "{ $1; } || ! kill -0 $group 2>/dev/null" && eval "$1" || held=1
  kill -KILL -- "-$group" 2>/dev/null || held=1
  wait "$group" 2>/dev/null || true
  if grep -q 'no archive' "$work/errors"; then
    skip_reason="apt reaches no archive with Debian 13"
  fi
  return "$held"
}

# replace_program NAME BODY: $work/programs holds this one script, for the front of a path.
replace_program() {
  rm -rf "$work/programs"
  mkdir "$work/programs"
  printf '#!/bin/sh\n%s\n' "$2" >"$work/programs/$1"
  chmod +x "$work/programs/$1"
}

# as_other_user COMMAND...: as user 65534, with a copy of deploy/ and a cache folder that it can
# read. Skips the test where that user cannot come to the work folder.
as_other_user() {
  local become=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
  if ! "${become[@]}" test -x "$work"; then
    skip_reason="user 65534 may not enter ${work%/*}"
    return
  fi
  mkdir -p "$work/other"
  cp -r "$project/deploy" "$work/other/"
  chmod -R a+rX "$work/other" "$ATTENTION_PACKAGE_LIST"  # Whatever this user's umask is.
  chown 65534:65534 "$work/other"
  (cd "$work/other" && XDG_CACHE_HOME=$work/other "${become[@]}" "$@")
}
