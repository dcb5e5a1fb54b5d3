# shellcheck shell=bash
# The receiver on loopback, for scripts/run and scripts/smoke, which source this file.

# Builds it where that was not done yet. Without optimisation: that is fast enough here, and built sooner.
build_receiver() {
    receiver_program=${CARGO_TARGET_DIR:-target}/debug/netconsole-receiver
    if [ ! -e "$receiver_program" ]; then
        echo "receiver: building netconsole-receiver, which takes a minute the first time" >&2
    fi
    cargo build --quiet -p netconsole-receiver || { echo "receiver: it does not compile" >&2 && exit 1; }
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

# Starts receiving on UDP port $1, to standard output, with the receiver's further arguments; it ends
# with the script.
start_receiver() {
    "$receiver_program" --bind 127.0.0.1 --port "$@" &
    receiver=$!
    trap 'kill "$receiver" 2>/dev/null' EXIT
    until listening "$1"; do
        kill -0 "$receiver" 2>/dev/null || { echo "the receiver can't listen on UDP port $1" >&2 && exit 3; }
    done
}

# Ends the receiver once it has taken what came before; its exit status is this function's.
finish_receiver() {
    kill "$receiver" 2>/dev/null || true
    trap - EXIT
    wait "$receiver"
}
