# Runs tests/oracles with the libraries that judge the server there. Sourced by deploy/test, inside
# deploy/env.
# shellcheck shell=bash

# shellcheck source=python.sh
source "$environment_folder/python.sh"

# run_oracles [ARGUMENT...]: becomes tests/oracles/run in that environment; without arguments, after
# the node tests of the ONNX that is installed there and the comparison of a BERT layer with PyTorch.
# Fails where a library cannot be had: an oracle that is not asked says nothing.
run_oracles() {
  local folder missing
  folder=$(python_environment_folder)
  ensure_built release attention_server attention_conformance_stubs
  step "install the oracles" ensure_python_packages "$folder" oracles
  mapfile -t missing < <(missing_python_packages "$folder" oracles)
  if [[ ${#missing[@]} -gt 0 ]]; then
    say "no verdict without ${missing[*]}; see above why it cannot be installed"
    exit 1
  fi
  cd -- "$project_folder" || return
  export KERAS_BACKEND=torch KERAS_HOME=$folder/keras
  export HYPOTHESIS_STORAGE_DIRECTORY=$folder/hypothesis
  export TEST_SERVER_BINARY=$project_folder/build/release/bin/attention_server
  PYTHONPATH=$(oracles_python_path build/release)
  export PYTHONPATH
  if [[ $# -eq 0 ]]; then
    run_onnx_node_cases "$folder/bin/python"
    "$folder/bin/python" -B tests/integration/bert_test.py
  fi
  exec "$folder/bin/python" -B -W ignore tests/oracles/run "$@"
}

# oracles_python_path BUILD-FOLDER: where Python finds what the programs above import, seen from the
# project's folder.
oracles_python_path() {
  printf '%s' "$1/tests/integration/stubs:tests/integration" \
    ":$1/tests/conformance/stubs:tests/conformance:tests/support"
}

# run_onnx_node_cases PYTHON: runs the conformance test on the cases that the onnx package brings.
run_onnx_node_cases() {
  local cases status=0
  cases=$(mktemp -d)
  "$1" -B -W ignore tests/oracles/onnx_node_cases.py "$cases" &&
    ATTENTION_CONFORMANCE_DIR=$cases "$1" -B tests/conformance/onnx_test.py || status=$?
  rm -r "$cases"
  return "$status"
}
