# shellcheck shell=bash
# A receiver for the log on loopback, for scripts/run and scripts/smoke, which source this file.

# Whether a program listens on UDP port $1.
listening() {
    grep -qi "^ *[0-9]*: [0-9a-f]*:$(printf %04x "$1") " /proc/net/udp /proc/net/udp6
}

# Whether datagrams wait to be read on UDP port $1.
unread() {
    awk -v port="$(printf :%04X "$1")" \
        'index($2, port) && substr($5, 10) != "00000000" { found = 1 } END { exit !found }' /proc/net/udp
}

# Sets `port` to 6666, or the next one that nobody uses.
choose_port() {
    port=6666
    while listening "$port"; do port=$((port + 1)); done
    [ "$port" -eq 6666 ] || echo "UDP port 6666 is taken; using $port" >&2
}

# Starts receiving on UDP port $1, to standard output; it ends with the script.
start_receiver() {
    nc -u -l 127.0.0.1 "$1" &
    receiver=$!
    trap stop_receiver EXIT
    until listening "$1"; do
        kill -0 "$receiver" 2>/dev/null || { echo "nc can't listen on UDP port $1" >&2 && exit 3; }
    done
}

# Waits until everything that came to UDP port $1 is written, and ends the receiver.
finish_receiver() {
    while unread "$1"; do sleep 0.01; done
    sleep 0.1 # between nc's read and its write
    stop_receiver
    trap - EXIT
}

stop_receiver() {
    kill "$receiver" 2>/dev/null || true
    wait "$receiver" 2>/dev/null || true
}
