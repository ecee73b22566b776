# The container engine of deploy/verify-image: Docker. Sourced by common.sh, which sets $work,
# $image and $container; start_container sets $grpc_address and $http_address.
# shellcheck shell=bash disable=SC2034,SC2154

build_image() { docker build --tag "$image" "$project_folder" >&2; }

image_field() { docker image inspect --format "$1" "$image"; }
image_user() { image_field '{{.Config.User}}'; }
image_health_command() { image_field '{{join .Config.Healthcheck.Test " "}}'; }
image_stop_signal() { image_field '{{.Config.StopSignal}}'; }
image_ports() { image_field '{{range $port, $_ := .Config.ExposedPorts}}{{$port}} {{end}}'; }
image_label() { image_field "{{index .Config.Labels \"$1\"}}"; }
image_size_bytes() { image_field '{{.Size}}'; }

run_once() { docker run --rm --read-only --network none --entrypoint "$1" "$image" "${@:2}"; }

start_container() {
  docker run --detach --name "$container" --read-only --cap-drop ALL \
    --security-opt no-new-privileges --publish 127.0.0.1::8001 --publish 127.0.0.1::8002 \
    "$image" >"$work/container" || return
  grpc_address=$(docker port "$container" 8001/tcp | head -n 1)
  http_address=$(docker port "$container" 8002/tcp | head -n 1)
}

in_container() { docker exec "$container" "$@"; }
container_is_healthy() {
  [[ $(docker inspect --format '{{.State.Health.Status}}' "$container") == healthy ]]
}
container_log() { docker logs "$container" 2>&1; }

# Asks the container to stop; prints its exit code.
stop_container() {
  docker kill --signal TERM "$container" >"$work/stopped" && docker wait "$container"
}

remove_everything() {
  docker rm --force "$container"
  docker image rm --force "$image"
} >/dev/null 2>&1
