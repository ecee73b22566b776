#!/usr/bin/env bash
# imports_test.sh BUILD-FOLDER: the programs that `deploy/test oracles` runs find what they import.
# Of those that need the libraries themselves, which this Python lacks, it tries the shared modules.
set -euo pipefail
project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../../deploy/environment/build.sh
source "$project/deploy/environment/build.sh"
# shellcheck source=../../deploy/environment/oracles.sh
source "$environment_folder/oracles.sh"

cd -- "$project"
PYTHONPATH=$(oracles_python_path "$1")
export PYTHONPATH TEST_SERVER_BINARY=unused
python3 -B -c 'import onnx_test, bert_test, server_process, tensors'
echo "ok"
