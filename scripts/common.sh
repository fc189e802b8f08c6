# Shared by the scripts of this project; to be sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$(basename "$0")

# Debian keeps iptables where the PATH of an ordinary user does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
    printf '%s: %s\n' "$script" "$*" >&2
}

has() {
    command -v "$1" >/dev/null
}

# `sudo scripts/…` on one's own clone: go on as the user who called sudo, whose Rust toolchain and
# files these are. What needs root asks for it where it does. The login shell restores the PATH,
# which sudo has replaced.
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
    # Asked inside the project, where rustup follows rust-toolchain.toml; only asked, not installed.
    found=$(cd "$root" && RUSTUP_AUTO_INSTALL=0 rustc --version 2>/dev/null) || return 1
    IFS=. read -r found_major found_minor _ <<<"${found#rustc }"
    IFS=. read -r needed_major needed_minor _ <<<"$(needed_rust)"
    ((found_major > needed_major ||
        (found_major == needed_major && found_minor >= needed_minor)))
}

# The Rust on the PATH if it can build this project, else that of rustup, whose folder a shell that
# was opened before rustup was installed does not have on its PATH.
find_rust() {
    rust_is_new_enough && return
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    rust_is_new_enough
}

# Whether this user can build a lab: root, or someone whom the kernel allows a user namespace with
# a network of its own, and TUN devices in it.
can_build_lab() {
    [[ $EUID -eq 0 ]] ||
        unshare --user --map-root-user --net bash -c ': <>/dev/net/tun' 2>/dev/null
}
