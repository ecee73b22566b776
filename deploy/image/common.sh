# What image/build and image/check share: names, and the functions of the engine. Sourced with
# ENGINE and WORK-FOLDER as the caller's first two arguments.
# shellcheck shell=bash

engine=$1
work=$2
project_folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../environment/messages.sh
source "$project_folder/deploy/environment/messages.sh"
speak_as deploy/verify-image
# shellcheck disable=SC2034  # The engines' names for what they make.
image=localhost/attention-server:${work##*.} container=attention-${work##*.}
image=${image,,}
# shellcheck source=podman.sh
source "$project_folder/deploy/image/$engine.sh"

# The version is the top CMakeLists.txt's; the Dockerfile has to repeat it.
product_version() {
  sed -n 's/^project(.*VERSION \([0-9.]*\).*/\1/p' "$project_folder/CMakeLists.txt"
}
