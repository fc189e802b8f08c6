# Functions that the scripts of this project share. Sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$(basename "$0")

# Debian installs iptables in a folder that is not on the PATH of an ordinary user.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
    printf '%s: %s\n' "$script" "$*" >&2
}

has() {
    command -v "$1" >/dev/null
}

# After `sudo scripts/…` in the clone of an ordinary user, continues as that user, who owns the files
# and the Rust toolchain. Steps that need root call sudo themselves. The login shell restores the
# PATH, which sudo has replaced.
drop_sudo() {
    if [[ $EUID -eq 0 && -n ${SUDO_USER:-} && $(stat -c %U "$root") == "$SUDO_USER" &&
        $SUDO_USER != root ]]; then
        exec sudo -H -u "$SUDO_USER" -- bash -lc 'exec "$0" "$@"' "$0" "$@"
    fi
}

needed_rust() {
    sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml"
}

rust_is_new_enough() {
    local found needed_major needed_minor found_major found_minor
    has cargo || return 1
    # Inside the project, where rustup follows rust-toolchain.toml, and without an installation.
    found=$(cd "$root" && RUSTUP_AUTO_INSTALL=0 rustc --version 2>/dev/null) || return 1
    IFS=. read -r found_major found_minor _ <<<"${found#rustc }"
    IFS=. read -r needed_major needed_minor _ <<<"$(needed_rust)"
    ((found_major > needed_major ||
        (found_major == needed_major && found_minor >= needed_minor)))
}

# Uses the Rust on the PATH if it can build this project, else the one of rustup. A shell that was
# opened before rustup was installed does not have the folder of rustup on its PATH.
find_rust() {
    rust_is_new_enough && return
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    rust_is_new_enough
}

# Succeeds if this user can build a lab: root, or a user whom the kernel allows a user namespace with
# a network namespace, and TUN devices in it.
can_build_lab() {
    [[ $EUID -eq 0 ]] ||
        unshare --user --map-root-user --net bash -c ': <>/dev/net/tun' 2>/dev/null
}
