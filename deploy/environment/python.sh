# The Python environment with the packages of deploy/python-packages.list. Sourced inside deploy/env.
# shellcheck shell=bash

# shellcheck source=packages.sh
source "$environment_folder/packages.sh"

readonly python_package_list=$project_folder/deploy/python-packages.list

# python_requirements [ROLE]: the requirements with that role, or all of them.
python_requirements() {
  awk -v role="${1-}" '
    { sub(/#.*/, "") }
    NF { for (i = 2; i <= NF; ++i) if (role == "" || $i == role) { print $1; next } }
  ' "$python_package_list"
}

# python_environment_folder: where the environment of these versions, for this Python, is or will be.
python_environment_folder() {
  local hash
  hash=$({ python3 -c 'import sys; print(sys.version_info[:2])'; python_requirements; } | sha256sum)
  printf '%s/python-%s\n' "$(cache_folder)" "${hash:0:16}"
}

# install_python_packages FOLDER ROLE: a virtual environment with every package of the role that can
# be had. pip takes them from where the machine's own configuration says. What cannot be had is named
# and tried again by the next call, so that a passing failure of the network does not last.
install_python_packages() {
  local folder=$1 requirement requirements
  mapfile -t requirements < <(python_requirements "$2")
  [[ -e $folder/bin/python ]] || python3 -m venv "$folder"
  python_requirements >"$folder/constraints.txt"
  for requirement in "${requirements[@]}"; do
    if [[ -e $folder/installed-$requirement ]]; then continue; fi
    if "$folder/bin/python" -m pip install --quiet --no-cache-dir \
      --constraint "$folder/constraints.txt" "$requirement" </dev/null >&2; then
      : >"$folder/installed-$requirement"
    else
      say "missing: $requirement cannot be installed here"
    fi
  done
}

# ensure_python_packages FOLDER ROLE: makes the environment what the list says. One caller works,
# others wait.
ensure_python_packages() {
  local lock
  mkdir -p "$1"
  exec {lock}>"$1/lock"
  flock "$lock"
  install_python_packages "$@"
  exec {lock}>&-
}

# missing_python_packages FOLDER ROLE: the requirements of the role that are not installed.
missing_python_packages() {
  local requirement
  while read -r requirement; do
    [[ -e $1/installed-$requirement ]] || echo "$requirement"
  done < <(python_requirements "$2")
}
