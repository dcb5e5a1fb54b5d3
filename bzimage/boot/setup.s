# The first part of target/netconsole.bzimage: the header of Linux's boot protocol 2.15
# (Documentation/arch/x86/boot.rst), and the real-mode code that QEMU, Syslinux and iPXE start. unpacker.s and the packed
# kernel follow. Loaders that enter in 32-bit mode (GRUB's `linux`) or 64-bit mode (kexec, Firecracker) take the header
# alone and go to `unpacker` or `unpacker_64`, wherever they have put it.
#
# At `start`: DS is the segment that this file's first byte is loaded to, SS:SP a stack of the loader's, CS anything.
# At `unpacker`: as described there. The page behind this code becomes boot_params: with the header as the loader has
# filled it in, and the memory map.
#
# The constants in braces come from main.rs, the names that are nowhere here from linker.ld.

.set HEADER, 0x1f1                  # in this file and in boot_params
.set CODE32_START, 0x214
.set BOOT_PARAMS_SIZE, 4096
.set BOOT_PARAMS_E820_ENTRIES, 0x1e8
.set BOOT_PARAMS_E820_TABLE, 0x2d0
.set E820_ENTRY_SIZE, 20
.set E820_MAX_ENTRIES, 128
.set E820_SIGNATURE, 0x534d4150     # "SMAP"
.set COMMAND_LINE_SIZE, 65535       # as far as bootinfo looks for the zero at the end

.section .setup, "ax"
.code16
file:
    # PE32+ (Microsoft's PE format), for UEFI: one section, loaded anywhere.
    .ascii "MZ"
.org 0x3c
    .long pe - file
pe: .ascii "PE\0\0"
    .word 0x8664                    # machine: x86-64
    .word 1                         # number of sections
    .long 0, 0, 0                   # time, symbols
    .word optional_end - optional
    .word 0x22                      # executable; may lie above 2 GiB
optional:
    .word 0x20b                     # PE32+
    .byte 0, 0
    .long unpacker_size             # size of code
    .long 0, 0                      # of data
    .long pe_entry                  # efi.s
    .long pe_section                # base of code
    .quad 0                         # image base: any
    .long 0x1000, 512               # alignment of sections in memory, in the file
    .word 0, 0                      # version of the operating system
    .word 1, 0                      # of the image: systemd's stub takes 1 for a kernel that it need not prepare
    .word 0, 0                      # of the subsystem
    .long 0
    .long pe_image_size
    .long setup_size                # size of headers
    .long 0                         # checksum
    .word 10, 0                     # subsystem: EFI application; no characteristics
    .quad 0, 0, 0, 0                # stack and heap
    .long 0
    .long 6                         # data directories, all empty
    .quad 0, 0, 0, 0, 0, 0
optional_end:
    .ascii ".text\0\0\0"
    .long unpacker_size, pe_section # in memory: size, address
    .long unpacker_size, setup_size # in the file
    .long 0, 0, 0
    .long 0x60000020                # code, executable, readable

.org HEADER
    .byte setup_sects               # without the first
    .word 0                         # root_flags
    .long syssize
    .word 0, 0, 0                   # ram_size, vid_mode, root_dev
    .word 0xaa55                    # boot_flag
    .byte 0xeb, header_end - 0x202  # jump: its second byte tells the header's end, too
    .ascii "HdrS"
    .word 0x020f                    # version
    .long 0                         # realmode_swtch
    .word 0                         # start_sys_seg
    .word name - 0x200              # kernel_version
    .byte 0                         # type_of_loader
    .byte 1                         # loadflags: LOADED_HIGH
    .word 0                         # setup_move_size
    .long {IMAGE_START}             # code32_start
    .long 0, 0, 0                   # ramdisk_image, ramdisk_size, bootsect_kludge
    .word 0                         # heap_end_ptr
    .byte 0, 0                      # ext_loader_ver, ext_loader_type
    .long 0                         # cmd_line_ptr
    .long 0x7fffffff                # initrd_addr_max
    .long 0x1000                    # kernel_alignment
    .byte 1, 12                     # relocatable_kernel, min_alignment (2^12)
    .word {XLOADFLAGS}
    .long COMMAND_LINE_SIZE
    .long 0                         # hardware_subarch: PC
    .quad 0                         # hardware_subarch_data
    .long {payload}, {PAYLOAD_SIZE}  # from what the loader puts into memory on
    .quad 0                         # setup_data
    .quad {IMAGE_START}             # pref_address
    .long {MEMORY_SIZE}             # init_size
    .long 0                         # handover_offset
    .long kernel_info               # kernel_info_offset, from what the loader puts into memory on
header_end:
    mov ax, ds
    mov es, ax
    cld
    mov di, offset boot_params
    xor ax, ax
    mov cx, BOOT_PARAMS_SIZE / 2
    rep stosw
    mov si, HEADER
    mov di, offset boot_params + HEADER
    mov cx, offset header_end - HEADER
    rep movsb

    # ACPI 6.5, section 15.1: the memory map.
    xor ebx, ebx
    mov di, offset boot_params + BOOT_PARAMS_E820_TABLE
1:  mov eax, 0xe820
    mov edx, E820_SIGNATURE
    mov ecx, E820_ENTRY_SIZE
    int 0x15
    jc 2f                           # none, or behind the last one
    cmp eax, E820_SIGNATURE
    jne 2f
    add di, E820_ENTRY_SIZE
    inc byte ptr [boot_params + BOOT_PARAMS_E820_ENTRIES]
    cmp byte ptr [boot_params + BOOT_PARAMS_E820_ENTRIES], E820_MAX_ENTRIES
    je 2f
    test ebx, ebx
    jnz 1b

    # A20: by the BIOS, and by system control port A, which does no harm where it is open.
2:  mov ax, 0x2401
    int 0x15
    in al, 0x92
    or al, 2
    and al, 0xfe                    # bit 0 would reset the machine
    out 0x92, al

    cli
    xor esi, esi
    mov si, ds
    shl esi, 4
    mov eax, [CODE32_START]         # a loader that has put the kernel elsewhere says so there
    mov [to_kernel + 2], eax
    lea eax, [esi + setup_gdt]
    mov [setup_gdt_pointer + 2], eax
    lgdt [setup_gdt_pointer]
    add esi, offset boot_params
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov ax, 0x18
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    # A far jump from 16-bit code to 32-bit code: JMP ptr16:32, spelled out for every assembler.
to_kernel:
    .byte 0x66, 0xea
    .long 0
    .word 0x10

.balign 8
setup_gdt:
    .quad 0, 0
    .quad 0x00cf9a000000ffff        # 0x10: code, flat, 32 bits
    .quad 0x00cf92000000ffff        # 0x18: data, flat
setup_gdt_pointer:
    .word setup_gdt_pointer - setup_gdt - 1
    .long 0
name:
    .asciz "netconsole"
.balign 512
.global boot_params
boot_params:
.code64
