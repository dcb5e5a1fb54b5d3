# shellcheck shell=sh
# Sourced by the init that scripts/kexec-linux makes for `kvm`: runs the kernel under KVM in several machines, each with its
# log to a port of its own at 10.0.0.2, and says how each has ended. The way there is QEMU's user network, and this Linux.
export PATH=/bin
exec >/dev/console 2>&1
for module in irqbypass kvm kvm-amd virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci \
    failover net_failover virtio_net; do
    busybox insmod "/modules/$module.ko" || echo "kvm: $module can't be loaded"
done
busybox ip link set lo up
busybox ip address add 10.0.0.1/24 dev eth0
busybox ip link set eth0 up

# In kHz. QEMU tells a guest of it only where it was told itself.
frequency=$(busybox dmesg | busybox sed -n 's/.*tsc: .* \([0-9]*\)[.]\([0-9]*\) MHz.*/\1\2/p' | busybox tail -n 1)

# machine PORT KERNEL PARAMETERS QEMU's arguments…
machine() {
    port=$1 kernel=$2 parameters=$3
    shift 3
    qemu-system-x86_64 -L /firmware -nodefaults -display none -accel kvm -cpu host -m 32 -no-reboot -serial stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -netdev user,id=n0 "$@" -kernel "/netconsole.$kernel" \
        -append "debug netconsole=+@/,$port@10.0.0.2/ after=exit $parameters" </dev/null
    echo "kvm $port: $?"
}
machine 7001 elf '' -M pc -device virtio-net-pci,netdev=n0,romfile=
machine 7002 bzimage '' -M q35 -device e1000e,netdev=n0,romfile=
machine 7003 bzimage '' -M microvm,rtc=off -cpu "host,tsc-frequency=${frequency}000" -device virtio-net-device,netdev=n0
machine 7004 elf 'crash=EXCEPTION' -M q35 -device virtio-net-pci,netdev=n0,romfile=
echo o >/proc/sysrq-trigger
busybox sleep 60
