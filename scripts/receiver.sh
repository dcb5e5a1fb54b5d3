# shellcheck shell=bash
# The receiver on loopback, for scripts/run and scripts/smoke, which source this file.

# Builds a program for this machine, package $1. Without optimisation: that is fast enough here, and built sooner.
build_program() {
    local quiet=--quiet
    if [ ! -e "${CARGO_TARGET_DIR:-target}/debug/$1" ]; then
        echo "$1: building it, which takes a minute the first time" >&2
        quiet=
    fi
    cargo build ${quiet:+"$quiet"} -p "$1" ||
        { echo "$1: cargo could not build it; above is why" >&2 && exit 1; }
}

build_receiver() {
    build_program netconsole-receiver
    receiver_program=${CARGO_TARGET_DIR:-target}/debug/netconsole-receiver
}

build_screen() {
    build_program netconsole-screen
    # shellcheck disable=SC2034 # for scripts/run
    screen_program=${CARGO_TARGET_DIR:-target}/debug/netconsole-screen
}

# Whether a program listens on UDP port $1.
listening() {
    grep -qi "^ *[0-9]*: [0-9a-f]*:$(printf %04x "$1") " /proc/net/udp /proc/net/udp6
}

# Sets `port` to 6666, or the next one that nobody uses.
choose_port() {
    port=6666
    while listening "$port"; do port=$((port + 1)); done
    [ "$port" -eq 6666 ] || echo "UDP port 6666 is taken; using $port" >&2
}

# Starts receiving on UDP port $1, to standard output, with the receiver's further arguments. Its process is `receiver`,
# for the script to end.
start_receiver() {
    "$receiver_program" --bind 127.0.0.1 --port "$@" &
    receiver=$!
    until listening "$1"; do
        kill -0 "$receiver" 2>/dev/null || { echo "the receiver can't listen on UDP port $1" >&2 && exit 3; }
    done
}

# Ends the receiver once it has taken what came before; its exit status is this function's.
finish_receiver() {
    kill "$receiver" 2>/dev/null || true
    wait "$receiver"
}
