# From what the loader leaves to Rust at the higher half, on both processors.
#
# `start` is PVH's entry (Xen, docs/misc/pvh.pandoc): 32-bit protected mode, paging and interrupts off, EBX is the
# physical address of hvm_start_info. `trampoline` is where the second processor starts, in real mode, in a copy below
# 1 MiB (cpus.rs). Everything in .boot is linked where it is loaded; all else at KERNEL and above.
#
# The constants in braces come from boot.rs.

.section .note.Xen, "a", @note
.balign 4
    .long 4, 8, 18              # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad start

.section .boot, "awx"
.code32
.global start
start:
    cli
    cld
    # The first GiB of memory, in pages of 2 MiB.
    mov eax, {LARGE_PAGE}
    mov edi, offset directory
    mov ecx, 512
1:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop 1b
    mov eax, offset directory + {TABLE}
    mov [low_pointers], eax
    mov [high_pointers + 510 * 8], eax
    # At ALL_MEMORY (addresses.rs) and at KERNEL, and for as long as a processor starts where it was loaded, too.
    mov eax, offset low_pointers + {TABLE}
    mov [boot_root], eax
    mov [boot_root + 256 * 8], eax
    mov [root + 256 * 8], eax
    mov eax, offset high_pointers + {TABLE}
    mov [boot_root + 511 * 8], eax
    mov [root + 511 * 8], eax

    mov eax, {CR4}
    mov cr4, eax
    mov eax, offset boot_root
    mov cr3, eax
    mov ecx, {EFER}
    rdmsr
    or eax, {LONG_MODE}
    wrmsr
    mov eax, {CR0}
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    .byte 0xea                  # far jump
    .long first_in_long_mode
    .word 8

.code64
first_in_long_mode:
    mov edi, ebx
    movabs rax, offset first_at_higher_half
    jmp rax
second_in_long_mode:
    movabs rax, offset second_at_higher_half
    jmp rax

.balign 8
boot_gdt:
    .quad 0, 0x00209a0000000000 # 64-bit code
boot_gdt_pointer:
    .word 15
    .long boot_gdt

.code16
.global trampoline, trampoline_end
.balign 8
trampoline:
    jmp 1f
.balign 8
    .word 15                    # at 8: boot_gdt_pointer, within what real mode reaches
    .long boot_gdt
1:  cli
    cld
    mov ax, cs
    mov ds, ax
    mov eax, {CR4}
    mov cr4, eax
    mov eax, offset boot_root
    mov cr3, eax
    mov ecx, {EFER}
    rdmsr
    or eax, {LONG_MODE}
    wrmsr
    lgdt [8]
    mov eax, {CR0}
    mov cr0, eax
    .byte 0x66, 0xea            # far jump with a 32-bit offset
    .long second_in_long_mode
    .word 8
trampoline_end:

.section .boot_tables, "aw", @nobits
.balign 4096
boot_root: .skip 4096
root: .skip 4096
low_pointers: .skip 4096
high_pointers: .skip 4096
directory: .skip 4096

.section .text.boot, "ax"
.code64
first_at_higher_half:
    mov eax, offset root        # nothing is mapped one to one any more
    mov cr3, rax
    lea rsp, [rip + {first_stack} + {FIRST_STACK_SIZE}]
    lea rdx, [rip + {first_main}]
    jmp 1f
second_at_higher_half:
    mov eax, offset root
    mov cr3, rax
    mov rsp, [rip + {second_stack}]
    lea rdx, [rip + {second_main}]
1:  xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor ebp, ebp
    call rdx
    ud2                         # neither returns
