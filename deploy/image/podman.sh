# The container engine of deploy/verify-image where no Docker engine answers: buildah and podman, as
# root, inside deploy/env --image. Sourced by common.sh, which sets $work, $image and $container;
# start_container sets $grpc_address and $http_address.
#
# What each choice works around:
#   --format docker      the OCI image format has no HEALTHCHECK; buildah would drop it
#   --isolation chroot   RUN steps need no container runtime and no cgroup
#   --network host       no bridge, no firewall rules; the checks are given a network of their own
#   --ulimit             default limits above what this machine grants would be refused
#   tmpfs on /var/cache  short image names need a file there, and the private root is read-only
#   cgroupfs, file       podman would ask systemd to make the cgroup and to keep the events
# shellcheck shell=bash disable=SC2034,SC2154

readonly base_image=docker.io/library/debian:trixie-slim  # In full, the name in the Dockerfile.
export PODMAN_IGNORE_CGROUPSV1_WARNING=1
mount -t tmpfs tmpfs /var/cache
storage=(--root "$work/storage" --runroot "$work/run" --storage-driver "$(<"$work/storage-driver")")

limits=(--ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" --ulimit "nproc=$(ulimit -Hu):$(ulimit -Hu)")

run_podman() {
  podman "${storage[@]}" --tmpdir "$work/podman" --cgroup-manager cgroupfs --runtime runc \
    --events-backend file "$@"
}

# make_base_tree SOURCE-LINE: as slim as the published image, which keeps no documentation but
# licences, and nothing of this machine.
make_base_tree() {
  local share=/usr/share
  local private='etc/apt/sources.list etc/apt/apt.conf.d/99mmdebstrap etc/resolv.conf etc/hostname'
  mmdebstrap --quiet --mode=root --variant=minbase --aptopt="$work/apt.conf" \
    --dpkgopt="path-exclude=$share/doc/*" --dpkgopt="path-include=$share/doc/*/copyright" \
    --dpkgopt="path-exclude=$share/man/*" --dpkgopt="path-exclude=$share/info/*" \
    --dpkgopt="path-exclude=$share/locale/*" --customize-hook="cd \"\$1\" && rm -f $private" \
    trixie "$work/base.tar" "$1" </dev/null
}

make_base_image() {
  local source
  while read -r source; do
    if make_base_tree "$source"; then break; fi
    source=
  done <"$work/candidates"
  if [[ -z $source ]]; then
    say "no archive of this machine's apt configuration gives a Debian 13 base"
    return 1
  fi
  echo "$source" >"$work/sources.list"
  run_podman import --quiet "$work/base.tar" "$base_image" >"$work/imported"
  rm "$work/base.tar"
}

build_image() {
  step "make the base image" make_base_image
  # The machine's package archive is there while the image is built, and not in the image.
  buildah "${storage[@]}" build --format docker --isolation chroot --pull=never --tag "$image" \
    --volume "$work/sources.list:/etc/apt/sources.list:ro" \
    --volume "$work/apt.conf:/etc/apt/apt.conf.d/99machine:ro" "${limits[@]}" "$project_folder" >&2
}

image_field() { run_podman image inspect --format "$1" "$image"; }
image_user() { image_field '{{.Config.User}}'; }
image_health_command() { image_field '{{join .HealthCheck.Test " "}}'; }
image_stop_signal() { image_field '{{.Config.StopSignal}}'; }
image_ports() { image_field '{{range $port, $_ := .Config.ExposedPorts}}{{$port}} {{end}}'; }
image_label() { image_field "{{index .Config.Labels \"$1\"}}"; }
image_size_bytes() { image_field '{{.Size}}'; }

container_flags=(--read-only --read-only-tmpfs=false --network host "${limits[@]}" --cap-drop ALL)
run_once() { run_podman run --rm "${container_flags[@]}" --entrypoint "$1" "$image" "${@:2}"; }

start_container() {
  ip link set lo up &&
    run_podman run --detach --name "$container" "${container_flags[@]}" --log-driver k8s-file \
      --security-opt no-new-privileges "$image" >"$work/container" || return
  grpc_address=127.0.0.1:8001
  http_address=127.0.0.1:8002
}

in_container() { run_podman exec "$container" "$@"; }
container_is_healthy() { run_podman healthcheck run "$container" >/dev/null 2>&1; }
container_log() { run_podman logs "$container" 2>&1; }

# Asks the container to stop; prints its exit code.
stop_container() {
  run_podman kill --signal TERM "$container" >"$work/stopped" && run_podman wait "$container"
}

remove_everything() {
  run_podman rm --force --time 1 "$container"
  run_podman image rm --all --force
  find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} +  # If unused.
} >/dev/null 2>&1
