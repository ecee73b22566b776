# The Python environment with the libraries that tests/benchmark/compare_peers measures us against.
# Sourced by deploy/test, inside deploy/env.
# shellcheck shell=bash

# shellcheck source=packages.sh
source "$environment_folder/packages.sh"

readonly peer_requirements=$project_folder/tests/benchmark/peers/requirements.txt

# peers_folder: where the environment of these versions, for this Python, is or will be.
peers_folder() {
  local hash
  hash=$({ python3 -c 'import sys; print(sys.version_info[:2])'; cat "$peer_requirements"; } |
    sha256sum)
  printf '%s/peers-%s\n' "$(cache_folder)" "${hash:0:16}"
}

# install_peers FOLDER: a virtual environment with every requirement that can be had. pip takes them
# from where the machine's own configuration says. What cannot be had is named and tried again by
# the next call, so that a passing failure of the network does not last.
install_peers() {
  local folder=$1 requirement requirements
  mapfile -t requirements < <(sed 's/#.*//; /^$/d' "$peer_requirements")
  [[ -e $folder/bin/python ]] || python3 -m venv "$folder"
  for requirement in "${requirements[@]}"; do
    if [[ -e $folder/installed-$requirement ]]; then continue; fi
    if "$folder/bin/python" -m pip install --quiet --no-cache-dir \
      --constraint "$peer_requirements" "$requirement" </dev/null >&2; then
      : >"$folder/installed-$requirement"
    else
      say "missing: $requirement cannot be installed here; going on without it"
    fi
  done
}

# ensure_peers FOLDER: makes the environment what the list says. One caller works, others wait.
ensure_peers() {
  local lock
  mkdir -p "$1"
  exec {lock}>"$1/lock"
  flock "$lock"
  install_peers "$1"
  exec {lock}>&-
}

# compare_peers [ARGUMENT...]: becomes tests/benchmark/compare_peers in that environment, after the
# tests of the Python module that these libraries, or this newer NumPy, give more to do.
compare_peers() {
  local folder test
  folder=$(peers_folder)
  ensure_built release attention_python attention_probes onednn_graph_sdpa
  step "install the peers" ensure_peers "$folder"
  cd -- "$project_folder" || return
  for test in array_test layout_test multi_head_attention_test torch_test; do
    PYTHONPATH=build/release/python "$folder/bin/python" -B "tests/kernels/python/$test.py" \
      </dev/null >&2
  done
  # What FlexAttention compiles is kept as well.
  export TORCHINDUCTOR_CACHE_DIR=$folder/compiled
  exec "$folder/bin/python" -B tests/benchmark/compare_peers "$@"
}
