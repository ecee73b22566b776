# Runs tests/benchmark/compare_peers with the libraries that it measures us against. Sourced by
# deploy/test, inside deploy/env.
# shellcheck shell=bash

# shellcheck source=python.sh
source "$environment_folder/python.sh"

# compare_peers [ARGUMENT...]: becomes tests/benchmark/compare_peers in that environment, after the
# tests of the Python module that these libraries, or this newer NumPy, give more to do. A library
# that cannot be had is left out of the comparison.
compare_peers() {
  local folder test
  folder=$(python_environment_folder)
  ensure_built release attention_python attention_probes onednn_graph_sdpa
  step "install the peers" ensure_python_packages "$folder" peers
  cd -- "$project_folder" || return
  for test in array_test layout_test mask_test multi_head_attention_test operators_test \
    options_test readme_test state_test torch_test; do
    PYTHONPATH=build/release/python:tests/support "$folder/bin/python" -B "tests/kernels/python/$test.py" \
      </dev/null >&2 || [[ $? -eq 77 ]]  # skipped, where PyTorch cannot be had
  done
  # What FlexAttention compiles is kept as well.
  export TORCHINDUCTOR_CACHE_DIR=$folder/compiled
  exec "$folder/bin/python" -B tests/benchmark/compare_peers "$@"
}
