//! Finding the network cards: the library brings up each that is claimed here.

use crate::buses::Buses;
use crate::describe;
use crate::machine::clock::Clock;
use crate::machine::firmware;
use crate::machine::paging::AddressSpace;
use crate::machine::pci::{ConfigurationSpace, Mechanism, root_buses};
use crate::platform::ThisKernel;
use bootinfo::BootInfo;
use bootinfo::parameters::Parameters;
use netconsole::Netconsole;
use netconsole::nic::Model;
use netconsole::nic::pci::{self, PciDevice};

/// Brings up the network cards: those on the PCI buses, those of `virtio_mmio.device=`, and
/// where there are none of these, what ACPI says is virtio over MMIO.
pub fn find_cards(
    netconsole: &mut Netconsole<ThisKernel>,
    clock: &mut Clock,
    parameters: &Parameters,
    boot: &BootInfo,
    buses: &Buses,
    mut address_space: AddressSpace,
) {
    if firmware::stays() {
        firmware::network::map();
        let count = firmware::network::count();
        let plural = if count == 1 { "" } else { "s" };
        let drives = "firmware: its boot services go on: it drives";
        match firmware::network::connected() {
            0 => log::info!("{drives} {count} network card{plural} of this machine"),
            late => log::info!(
                "{drives} {count} network card{plural} of this machine, {late} of which it had left unconnected"
            ),
        }
    }
    let mut look = |netconsole: &mut Netconsole<ThisKernel>| {
        pci::for_each_function(&ConfigurationSpace, root_buses(), |function| {
            // Each look lets the clock learn how fast it is, before the first record is shown.
            clock.now();
            // Where the firmware goes on, bus numbers and addresses are its own to give.
            if !firmware::stays() {
                buses.number(function);
                if Model::of(pci::ids(&ConfigurationSpace, function)).is_some() {
                    buses.place(function, boot);
                }
            }
            let Some(device) = netconsole.look_at(function) else { return };
            if firmware::stays() && firmware::network::is_kept(function) {
                return log::error!(
                    "pci {function}: the firmware's driver keeps this card: it is left alone"
                );
            }
            let is_the_firmwares = firmware::stays() && firmware::network::find(function).is_some();
            let is_mapped = map(&device, &mut address_space);
            let is_up = (is_mapped || is_the_firmwares) && netconsole.claim(&device);
            if is_up && firmware::network::find(function).is_none() {
                buses.tell_of_iommu(function);
            }
            if !is_up && device.class.is_network() && !firmware::stays() {
                // The firmware may have left it running, and writing what it receives to memory.
                pci::disable(&mut ConfigurationSpace, function);
            }
        });
    };
    look(netconsole);
    if netconsole.claimed_cards() == 0 && Mechanism::leave_memory_if_ports_show_more() {
        log::warn!(
            "pci: ports 0xcf8 and 0xcfc show what configuration space in memory does not: they are used"
        );
        look(netconsole);
    }
    for &address in parameters.virtio_mmio.as_slice() {
        netconsole.claim_mmio(address);
    }
    if netconsole.claimed_cards() == 0 {
        describe::virtio_mmio(boot, |address| _ = netconsole.claim_mmio(address));
    }
    if netconsole.claimed_cards() == 0 && buses.are_unknown(boot) {
        log::error!(
            "neither PCI nor ACPI nor virtio_mmio.device= here: a microvm without ACPI tells only Linux of its cards: boot \
             netconsole.bzimage in place of netconsole.elf"
        );
    }
    clock.now();
    netconsole.know_cards();
}

/// Maps the registers of a card that there is a driver for; false where that can't be.
fn map(device: &PciDevice, address_space: &mut AddressSpace) -> bool {
    if Model::of((device.vendor_id, device.device_id)).is_none() {
        return true;
    }
    for (address, length) in device.memory_ranges() {
        if let Err(error) = address_space.map_device(address, length) {
            log::error!("{}: can't map its registers at {address:#x}: {error}", device.function);
            return false;
        }
    }
    true
}
