# Reads deploy/packages.list. Sourced by the scripts beside it and by deploy/env.

environment_folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
package_list=${ATTENTION_PACKAGE_LIST:-${environment_folder%/*}/packages.list}

# packages ROLE...: the names with one of the roles, one a line.
packages() {
  awk -v roles=" $* " '!/^#/ && NF && index(roles, " " $2 " ") { print $1 }' "$package_list"
}

# The folder of the private root that belongs to the package list.
private_root_folder() {
  local hash
  hash=$(sha256sum "$package_list")
  printf '%s/attention/debian-13-%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}" "${hash:0:16}"
}

# Succeeds where the host's own packages satisfy every line of the list that a build or a test needs.
host_has_every_package() {
  command -v dpkg-query >/dev/null 2>&1 || return 1
  local installed name role minimum version
  installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package} ${Version}\n' |
              awk '$1 == "installed" { print $2, $3 }')
  while read -r name role minimum; do
    version=$(awk -v name="$name" '$1 == name { print $2; exit }' <<<"$installed")
    [[ -n $version ]] || return 1
    [[ -z $minimum ]] || dpkg --compare-versions "$version" ge "$minimum" || return 1
  done < <(awk '!/^#/ && ($2 == "build" || $2 == "test")' "$package_list")
  [[ -e /usr/include/oneapi/dnnl/dnnl_ukernel.hpp ]]
}

say() { printf 'deploy/env: %s\n' "$*" >&2; }

# The one sentence for a machine on which no private root can be made or entered.
give_up() {
  say "$1; use the container instead (docker build -t attention-server . ; see README.md, \"Container\")."
  exit 1
}
