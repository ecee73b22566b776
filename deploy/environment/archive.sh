# What this machine's own apt is configured with. Sourced; runs on the host, outside any private root.
# shellcheck shell=bash

# candidate_archives: the archives that this machine's apt takes its own release from, its main one first,
# each with the keys that apt is told to trust for it. Third-party repositories and the security archive are
# left out by release name and component.
candidate_archives() {
  local own_release keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  own_release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  [[ -e $keyring ]] || keyring=
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI) $(SIGNED_BY)' 'Created-By: Packages' |
    awk -v own="$own_release" -v keyring="$keyring" '
      $2 == "main" && ($1 == own || $1 ~ /^(oldstable|stable|testing|unstable|trixie)$/) && !seen[$3]++ {
        print $3, ($4 ~ /^\// ? $4 : keyring)
      }'
}

# source_line ARCHIVE [KEYRING]: the line of sources.list for Debian 13 from that archive.
readonly suite=trixie
source_line() { echo "deb ${2:+[signed-by=$2] }$1 $suite main"; }

# acquire_settings: proxies, certificates, timeouts and the like, but not apt's folders and hooks.
acquire_settings() { apt-config dump | grep '^Acquire::' | grep -vE '^Acquire::(IndexTargets|Changelogs)' || true; }
