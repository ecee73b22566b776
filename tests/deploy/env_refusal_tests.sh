# Tests of what deploy/env says where it cannot help: exit code 125 and one sentence, which names the
# container where that helps.
# Sourced after test_support.sh, which sets $work and $env_under_test.
# shellcheck shell=bash disable=SC2154

# refuses_with LINE COMMAND...: COMMAND writes nothing to standard output, ends with a line that
# matches, and exits with 125.
refuses_with() {
  local line=$1 status=0
  shift
  "$@" >"$work/out" 2>"$work/errors" || status=$?
  [[ $status -eq 125 && ! -s $work/out ]] && tail -n 1 "$work/errors" | grep -q "$line"
}

# refuses TEXT COMMAND...: the same, and the line names the container.
refuses() { refuses_with "^deploy/env: .*$1.*; use the container instead" "${@:2}"; }

# run_with_program NAME BODY: deploy/env where the program NAME is a script with this body.
run_with_program() {
  replace_program "$@"
  XDG_CACHE_HOME=$work/refused PATH=$work/programs:$PATH run_env hello
}

# run_without_apt: deploy/env with every program of this machine except apt's.
run_without_apt() {
  rm -rf "$work/programs"
  mkdir "$work/programs"
  ln -sf -t "$work/programs" /usr/bin/* /usr/sbin/*
  rm "$work"/programs/apt*
  XDG_CACHE_HOME=$work/refused PATH=$work/programs run_env hello
}

run_on_a_full_disk() {
  local outer=(unshare --user --map-root-user --mount)
  [[ $EUID -ne 0 ]] || outer=(unshare --mount)
  mkdir -p "$work/full"
  XDG_CACHE_HOME=$work/full "${outer[@]}" bash -c \
    'mount -t tmpfs -o size=24m none "$1" && exec "$2" hello' _ "$work/full" "$env_under_test"
}

explains_itself_on_request() { run_env --help | grep -q '^deploy/env .*COMMAND'; }

refuses_an_empty_command_line() {
  local status=0
  run_env >"$work/out" 2>"$work/errors" || status=$?
  [[ $status -eq 2 && ! -s $work/out ]] && grep -q '^deploy/env .*COMMAND' "$work/errors"
}

refuses_a_machine_without_apt() { refuses 'no apt-get' run_without_apt; }
refuses_another_processor() {
  refuses_with '^deploy/env: only x86-64 .* the container too$' \
    run_with_program uname 'echo aarch64'
}
refuses_a_machine_without_namespaces() { refuses 'namespaces' run_with_program unshare 'exit 1'; }
refuses_an_archive_it_cannot_reach() { refuses 'no archive' run_with_program apt-get 'exit 100'; }
refuses_a_full_disk() { refuses 'MB are free in' run_on_a_full_disk; }

refuses_a_cache_folder_it_cannot_write() {
  : >"$work/a-file"
  refuses 'cannot write to' env XDG_CACHE_HOME="$work/a-file" "$env_under_test" hello
}
