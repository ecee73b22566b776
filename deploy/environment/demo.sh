# deploy/run --demo: a server on free ports, the worked examples, a few metrics. Sourced.
# shellcheck shell=bash

readonly start_limit_seconds=60

stop_server() {  # Asks it to drain; its exit code is this function's.
  kill -TERM "$server_pid" 2>/dev/null || true
  wait "$server_pid"
}

# The value of a text field in the server's log line that says it is serving; empty before that.
serving_field() { sed -n '/"message":"serving"/s/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$log"; }

wait_until_serving() {
  local limit=$((SECONDS + start_limit_seconds))
  until [[ -n $(serving_field grpc_address) ]]; do
    if ! kill -0 "$server_pid" 2>/dev/null || ((SECONDS > limit)); then
      cat "$log" >&2
      say "the server did not start"
      return 1
    fi
    sleep 0.05
  done
}

show_metrics() {  # show_metrics ADDRESS
  say "some metrics of http://$1/metrics:"
  curl --silent --show-error --fail --noproxy '*' --max-time 10 "http://$1/metrics" |
    grep -E '^attention_(requests_total|compute_seconds_(sum|count)|build_info)' |
    grep -v ' 0$' | sort
}

demo() {  # demo BINARIES-FOLDER [SERVER-ARGUMENT...]
  local programs=$1 status=0
  shift
  log=$(mktemp)
  # Nobody balances loads here, who would need time to see that it drains.
  "$programs/attention_server" --grpc-address=127.0.0.1:0 --http-address=127.0.0.1:0 \
    --drain-grace-ms=0 "$@" 2>"$log" </dev/null &
  server_pid=$!
  trap 'stop_server || true; rm -f "$log"' EXIT
  step "start the server" wait_until_serving
  "$programs/attn" example all --server "$(serving_field grpc_address)" || status=$?
  show_metrics "$(serving_field http_address)" || { say "the metrics cannot be read"; status=1; }
  trap 'rm -f "$log"' EXIT
  stop_server || { say "the server did not stop cleanly (exit code $?)"; status=1; }
  say "worked examples finished with exit code $status"
  return "$status"
}
