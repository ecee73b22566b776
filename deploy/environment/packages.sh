# Reads deploy/packages.list. Sourced by the scripts beside it and by deploy/env.
# shellcheck shell=bash

environment_folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
project_folder=${environment_folder%/deploy/environment}
# shellcheck source=messages.sh
source "$environment_folder/messages.sh"
package_list=${ATTENTION_PACKAGE_LIST:-$project_folder/deploy/packages.list}

# What deploy/env exits with when it cannot run the command at all; env(1) and docker use the same.
readonly cannot_run=125

# Raised whenever make-root makes something else of the same list; older roots are then not used.
readonly root_layout=2

# The one sentence for a machine on which no private root can be made or entered.
give_up() {
  local route="docker build -t attention-server . ; see README.md, \"Container\""
  say "$1; use the container instead ($route)."
  exit "$cannot_run"
}

# package_lines ROLE...: the lines of the list with one of the roles, without comments.
package_lines() {
  awk -v roles=" $* " '
    !/^#/ && NF && index(roles, " " $2 " ") { print $1, $2, $3, $4 }' "$package_list"
}

# packages ROLE...: the names alone.
packages() { package_lines "$@" | cut -d' ' -f1; }

# The folder that holds the private roots of this user.
cache_folder() {
  local base=${XDG_CACHE_HOME:-}
  if [[ $base != /* ]]; then  # The XDG specification has relative paths ignored.
    local home=${HOME:-}
    [[ $home == /* ]] || home=$(getent passwd "$EUID" | cut -d: -f6)
    [[ $home == /* ]] || give_up "neither HOME nor XDG_CACHE_HOME names a folder for the root"
    base=$home/.cache
  fi
  printf '%s/attention\n' "$base"
}

# private_root_folder ROLE...: where the root with these packages is or will be.
private_root_folder() {
  local folder hash
  folder=$(cache_folder)
  hash=$({ echo "layout $root_layout"; package_lines "$@"; } | sha256sum)
  printf '%s/debian-13-%s\n' "$folder" "${hash:0:16}"
}

# inside_root FOLDER: succeeds in a process that runs in that root already.
inside_root() {
  local name
  [[ -e /.attention-root ]] && name=$(</.attention-root) && [[ $name == "${1##*/}" ]]
}

# host_has ROLE...: succeeds where the host's own packages satisfy every line with these roles.
host_has() {
  command -v dpkg-query >/dev/null 2>&1 || return 1
  local name minimum file version
  local -A installed=()
  while read -r name version; do installed[$name]=$version; done < <(
    packages "$@" | xargs dpkg-query --show \
      --showformat '${db:Status-Status} ${Package} ${Version}\n' 2>/dev/null |
      awk '$1 == "installed" { print $2, $3 }')
  while read -r name _ minimum file; do
    version=${installed[$name]:-}
    [[ -n $version ]] || return 1
    [[ -z $minimum ]] || dpkg --compare-versions "$version" ge "$minimum" || return 1
    [[ -z $file || -e $file ]] || return 1
  done < <(package_lines "$@")
}
