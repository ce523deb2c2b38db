# Sourced by tools/quickstart and tools/test: packages and build. Expects `set -euo pipefail` and the repository's root
# as the working directory.

step() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

package_installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# install_packages required|optional NAME...: as root if that is possible without a password.
install_packages() {
  local kind=$1 names=() name runner=()
  shift
  for name in "$@"; do
    package_installed "$name" || names+=("$name")
  done
  ((${#names[@]} > 0)) || return 0
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      [[ $kind == optional ]] && return 0
      fail "these Debian packages are missing, and installing them needs root:
  ${names[*]}
Install them with
  sudo apt-get install ${names[*]}
and run ${0##*/} again."
    fi
    runner=(sudo -n)
  fi
  step "Installing ${names[*]}"
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${names[@]}")
  "${runner[@]}" "${install[@]}" </dev/null >/dev/null 2>&1 && return 0
  # The package lists may be out of date or missing.
  "${runner[@]}" apt-get update -q </dev/null >/dev/null || true
  if [[ $kind == optional ]]; then
    "${runner[@]}" "${install[@]}" </dev/null >/dev/null 2>&1 || echo "cannot install ${names[*]}; continuing without"
  else
    "${runner[@]}" "${install[@]}" </dev/null >/dev/null || fail "apt-get cannot install ${names[*]} (see above)"
  fi
}

# install_build_packages [KIND]: also installs the optional packages of this kind.
install_build_packages() {
  command -v dpkg-query >/dev/null || {
    echo "This is not a Debian system: equivalents of the packages in tools/packages.txt must be installed."
    return 0
  }
  local name kind required=() optional=()
  while read -r name kind; do
    [[ -z $name || $name == \#* ]] && continue
    case $kind in
      "") required+=("$name") ;;
      optional | "${1:-}") optional+=("$name") ;;
    esac
  done <tools/packages.txt
  install_packages required "${required[@]}"
  install_packages optional "${optional[@]}"
}

# A compiler uses up to 1 GiB for files that include the schema.
build_jobs() {
  local cores free_gib jobs
  cores=$(nproc)
  free_gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  jobs=$((free_gib < cores ? free_gib : cores))
  echo $((jobs < 1 ? 1 : jobs))
}

# configure PRESET [OPTION...]
configure() {
  local log=build/configure.log
  mkdir -p build
  if ! cmake --preset "$@" >"$log" 2>&1; then
    cat "$log" >&2
    fail "configuring failed"
  fi
}

# build TARGET...: builds in build/, configured with $configure_options if it is set.
build() {
  # shellcheck disable=SC2086
  configure release ${configure_options:-}
  cmake --build build --target "$@" -j "$(build_jobs)"
}
