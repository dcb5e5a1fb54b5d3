//! What `help` shows.

pub(super) const HELP: &[&str] = &[
    "dmesg [-T] [-w]              the log; -T by date and time of day, -w and what comes, until Enter",
    "dmesg -n LEVEL, dmesg -h     shows records up to LEVEL from now on; lists the levels",
    "cd ls cat mkdir rmdir        in /sys/kernel/config/netconsole: targets, their attributes and items",
    "echo VALUE > ATTRIBUTE       changes an attribute of a target; 'echo 1 > enabled' starts it",
    "echo TEXT > /dev/kmsg        logs a record; '<3>TEXT', in quotes, with level 3",
    "netconsole=PARAMETER         adds targets, as on the kernel's command line",
    "modprobe netconsole netconsole=PARAMETER   does so too; modprobe -r netconsole removes all targets",
    "arping [-f] [-I DEVICE] ADDRESS   asks for an ethernet address",
    "ping [-c N] ADDRESS          sends echo requests",
    "ip                           interfaces and their addresses",
    "lspci                        PCI functions",
    "uptime, uname -a             time since the boot; release and build id",
    "cat /proc/cmdline            the kernel's command line",
    "crash KIND                   brings the kernel down",
    "reboot, poweroff             ends it",
    "... | head | tail | grep     the first lines, the last lines, matching lines; -n N, -o, -v, -i",
    "`COMMAND`                    what COMMAND shows becomes part of the line",
    "# TEXT                       is ignored",
];
