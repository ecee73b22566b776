# How the scripts of deploy/ speak: on standard error, each under its own name. Sourced.
# shellcheck shell=bash

speaker=deploy/env
speak_as() { speaker=$1; }

say() { printf '%s: %s\n' "$speaker" "$*" >&2; }

# step TEXT COMMAND...: runs COMMAND and says how long it took. $doing names the step that runs.
doing=start
step() {
  local text=$1 start=${EPOCHREALTIME/[.,]/}
  # shellcheck disable=SC2034  # Read by those who explain a failure.
  doing=$text
  shift
  "$@"
  local took=$(((${EPOCHREALTIME/[.,]/} - start) / 100000))
  say "$text: $((took / 10)).$((took % 10)) s"
}

# print_header FILE: the comment at the top of a script, which is its help.
print_header() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$1"; }
