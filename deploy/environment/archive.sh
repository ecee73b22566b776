# What this machine's own apt is configured with. Sourced, and of use outside private roots only.
# shellcheck shell=bash

# candidate_archives: the archives that this machine's apt takes its own release from, its main one
# first. Third-party repositories and the security archive are left out by release name. Asks for
# the addresses that an update would fetch: unlike the list of index targets these are known before
# the first update.
candidate_archives() {
  local own_release
  own_release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt-get update --print-uris 2>/dev/null | sed -nE "s#^'(.*)/dists/([^/]+)/InRelease'.*#\2 \1#p" |
    awk -v own="$own_release" '
      $1 == own || $1 ~ /^(oldstable|stable|testing|unstable|trixie)$/ {
        if (!seen[$2]++) print $2
      }'
}

# source_line ARCHIVE: the line of sources.list for Debian 13 from that archive, checked with
# Debian's keys where the machine has them and with those that apt trusts otherwise.
readonly suite=trixie
source_line() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=
  if [[ -e $keyring ]]; then options="[signed-by=$keyring] "; fi
  echo "deb $options$1 $suite main"
}

# acquire_settings: proxies, certificates, timeouts and the like, but not apt's folders and hooks.
acquire_settings() {
  apt-config dump | awk '/^Acquire::/ && !/^Acquire::(IndexTargets|Changelogs)/'
}
