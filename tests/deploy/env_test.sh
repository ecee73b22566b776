#!/usr/bin/env bash
# Tests deploy/env on this machine, with a small package list and a cache folder of its own.
#
# Prints one line a test and a closing count; exits with 1 if a test failed. Tests that need the
# archive, a namespace or another user are skipped, with the reason, where there is none.
set -euo pipefail
tests_folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test_support.sh
source "$tests_folder/test_support.sh"
# shellcheck source=env_refusal_tests.sh
source "$tests_folder/env_refusal_tests.sh"

run_env() { timeout 120 "$env_under_test" "$@"; }

uses_the_host_where_it_has_every_package() {
  printf 'bash build 1\ncoreutils test\n' >"$work/host.list"
  ATTENTION_PACKAGE_LIST=$work/host.list XDG_CACHE_HOME=$work/unused \
    run_env readlink /proc/self/ns/mnt >"$work/out" 2>"$work/errors" &&
    [[ $(<"$work/out") == "$(readlink /proc/self/ns/mnt)" && ! -e $work/unused ]]
}

survives_being_killed_while_it_downloads() {
  start_and_kill_when 'compgen -G "$cache/*.partial/apt/cache/archives/*.deb" >/dev/null' &&
    no_root_is_there
}

survives_being_killed_while_it_unpacks() {
  start_and_kill_when 'compgen -G "$cache/*.partial/root/usr/bin" >/dev/null' && no_root_is_there
}

# A slow disk gives the time to hit the moment between the finished root and its final name. What an
# earlier try downloaded and the archive has replaced since (here: a file that cannot be unpacked) is
# not used.
survives_being_killed_while_it_writes_to_disk() {
  : >"$(echo "$cache"/*.partial/apt/cache/archives)/hello_0.1-1_amd64.deb"
  replace_program sync ': >"$WRITING"; sleep 30'
  WRITING=$work/writing PATH=$work/programs:$PATH start_and_kill_when '[[ -e $work/writing ]]' &&
    no_root_is_there
}

# The download that the killed run left is kept; apt trusts it, so a damaged one shows when it is
# unpacked.
refuses_and_drops_a_damaged_download() {
  local package
  package=$(compgen -G "$cache/*.partial/apt/cache/archives/hello_*.deb")
  dd if=/dev/zero of="$package" bs=1 seek=200 count=4000 conv=notrunc status=none
  refuses 'failed to unpack' run_env hello && no_root_is_there && [[ ! -e $package ]]
}

makes_one_root_for_two_callers_at_once_after_all_that() {
  local first second
  run_env hello >"$work/out1" 2>"$work/errors1" & first=$!
  run_env hello >"$work/out2" 2>"$work/errors2" & second=$!
  wait "$first" && wait "$second" &&
    [[ $(cat "$work"/out[12]) == $'Hello, world!\nHello, world!' && $(roots) -eq 1 ]] &&
    [[ $(cat "$work"/errors[12] | grep -c 'make the private root:') -eq 1 ]] &&
    [[ $(cat "$work"/errors[12] | grep -c 'waiting for it') -eq 1 ]]
}

needs_no_network_once_the_root_is_made() {
  local outer=(unshare --user --map-root-user --net)
  [[ $EUID -ne 0 ]] || outer=(unshare --net)
  [[ $("${outer[@]}" timeout 60 "$env_under_test" hello 2>&1) == 'Hello, world!' ]]
}

gives_the_exit_code_of_the_command() {
  local status=0
  run_env bash -c 'exit 37' || status=$?
  [[ $status -eq 37 ]]
}

becomes_the_command_under_the_same_process_id() {
  local started
  "$env_under_test" bash -c 'echo $$' >"$work/out" & started=$!
  wait "$started" && [[ $(<"$work/out") == "$started" ]]
}

delivers_signals_to_the_command() {
  local started status=0 wait_for_it='for ((i = 0; i < 1500; i++)); do sleep 0.02; done'
  rm -f "$work/ready"
  "$env_under_test" bash -c "trap 'exit 41' TERM; : >'$work/ready'; $wait_for_it" &
  started=$!
  wait_until '[[ -e $work/ready ]]' && kill -TERM "$started" && { wait "$started" || status=$?; }
  [[ $status -eq 41 ]]
}

passes_bytes_through_and_writes_none_itself() {
  head -c 300000 /dev/urandom >"$work/bytes"
  run_env cat <"$work/bytes" >"$work/copy" 2>"$work/errors" &&
    cmp -s "$work/bytes" "$work/copy" && [[ ! -s $work/errors ]]
}

leaves_standard_input_alone_while_it_makes_a_root_and_keeps_the_others() {
  { cat "$ATTENTION_PACKAGE_LIST" && echo 'grep build'; } >"$work/longer.list"
  mkdir "$cache/debian-13-0123456789abcdef.partial"  # What another list's interrupted run left.
  echo 'one line' |
    ATTENTION_PACKAGE_LIST=$work/longer.list run_env cat >"$work/out" 2>"$work/errors" &&
    [[ $(<"$work/out") == 'one line' && $(roots) -eq 2 ]] &&
    ! compgen -G "$cache/*.partial" >/dev/null
}

keeps_the_working_folder_wherever_it_is() {
  local folder
  for folder in "$work/a folder  with spaces" "$(mktemp -d /var/tmp/attention-env-test.XXXXXX)"; do
    mkdir -p "$folder"
    (cd "$folder" && run_env bash -c 'pwd >here') &&
      [[ $(<"$folder/here") == "$folder" ]] || return 1
    rm -rf "$folder"
  done
}

changes_neither_the_root_nor_the_host() {
  ! run_env bash -c ': >/usr/new' 2>/dev/null && [[ ! -e /usr/new ]] &&
    [[ $(host_package_state) == "$host_packages_before" ]]
}

brings_what_the_host_has_of_java_and_node() {
  local tool own="$work/own tools"
  mkdir -p "$own"/{jdk,maven,node}/bin
  for tool in jdk/bin/{java,javac} maven/bin/mvn node/bin/{node,npm-cli.js}; do
    printf '#!/bin/bash\necho own\n' >"$own/$tool"
    chmod +x "$own/$tool"
  done
  ln -s npm-cli.js "$own/node/bin/npm"
  for tool in java javac mvn node npm; do
    [[ $(PATH=$own/jdk/bin:$own/maven/bin:$own/node/bin:$PATH JAVA_HOME=/nowhere \
      run_env "$tool") == own ]] || return 1
  done
}

keeps_its_own_system_whatever_java_home_is() {
  [[ $(JAVA_HOME=/usr run_env hello) == 'Hello, world!' ]]
}

shows_what_this_machine_has_configured_for_pip_and_npm() {
  local file
  for file in /etc/pip.conf {/etc,/usr/etc,/usr/local/etc}/npmrc; do
    [[ ! -e $file || $(run_env cat "$file") == "$(<"$file")" ]] || return 1
  done
}

leaves_out_the_users_own_python_packages() {
  [[ $(run_env printenv PYTHONNOUSERSITE) == 1 ]]
}

runs_inside_itself() {
  [[ $(run_env "$env_under_test" "$env_under_test" hello) == 'Hello, world!' ]]
}

works_for_an_ordinary_user_under_that_users_id() {
  as_other_user deploy/env bash -c 'hello && id -u && echo x >mine' >"$work/out" 2>"$work/errors" &&
    [[ $(<"$work/out") == $'Hello, world!\n65534' && $(stat -c %u "$work/other/mine") == 65534 ]]
}

prepare
host_packages_before=$(host_package_state)
readonly tests_without_a_root=(
  explains_itself_on_request
  refuses_an_empty_command_line
  uses_the_host_where_it_has_every_package
  refuses_a_machine_without_apt
  refuses_another_processor
  refuses_a_machine_without_namespaces
  refuses_an_archive_it_cannot_reach
  refuses_a_cache_folder_it_cannot_write)
# In this order: each goes on from what the one before left.
readonly tests_of_a_root=(
  survives_being_killed_while_it_downloads
  survives_being_killed_while_it_unpacks
  survives_being_killed_while_it_writes_to_disk
  refuses_and_drops_a_damaged_download
  makes_one_root_for_two_callers_at_once_after_all_that
  needs_no_network_once_the_root_is_made
  gives_the_exit_code_of_the_command
  becomes_the_command_under_the_same_process_id
  delivers_signals_to_the_command
  passes_bytes_through_and_writes_none_itself
  leaves_standard_input_alone_while_it_makes_a_root_and_keeps_the_others
  keeps_the_working_folder_wherever_it_is
  changes_neither_the_root_nor_the_host
  brings_what_the_host_has_of_java_and_node
  keeps_its_own_system_whatever_java_home_is
  shows_what_this_machine_has_configured_for_pip_and_npm
  leaves_out_the_users_own_python_packages
  runs_inside_itself
  refuses_a_full_disk)
for test in "${tests_without_a_root[@]}"; do run_test "$test"; done
skip_without_namespaces
for test in "${tests_of_a_root[@]}"; do run_test "$test"; done
[[ $EUID -eq 0 ]] || skip_reason=${skip_reason:-"every test above ran as an ordinary user"}
run_test works_for_an_ordinary_user_under_that_users_id
finish_tests
