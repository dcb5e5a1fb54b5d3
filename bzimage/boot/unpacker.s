# Entered where the loader has put it, at any multiple of 4 KiB, by loaders of Linux's boot protocol
# (Documentation/arch/x86/boot.rst). The kernel will run there. Nothing outside of the header's `init_size` bytes from
# there on is written to, but the stack of a single call in boot_params.
#
# - `unpacker`, the 32-bit protocol, and setup.s: 32-bit protected mode, flat segments, paging and interrupts off, ESI the
#   address of boot_params. Nothing else is known.
# - `unpacker_64`, 0x200 behind it, the 64-bit protocol: 64-bit mode, page tables of four levels or five that map this
#   memory one to one, interrupts off, RSI the address of boot_params. Other memory may be mapped or not.
#
# It moves itself and the packed kernel out of the way, behind all that the kernel has, has main.rs unpack the kernel to the
# place that is free now, and goes to the kernel's own entry. A stored kernel lies at the end of the kernel's .bss, out of the
# way already.
#
# The constants in braces come from main.rs, the names that are nowhere here from linker.ld.

.set BOOT_PARAMS_SCRATCH, 0x1e4     # four bytes for this purpose

.section .unpacker, "awx"
.code32
.global unpacker
unpacker:
    cli
    cld
    lea esp, [esi + BOOT_PARAMS_SCRATCH + 4]
    call here
here:
    pop ebp
    sub ebp, offset here             # where this lies: it is linked to 0
    lea esp, [ebp + {MOVE} + {stack} + {STACK_SIZE}]

    # The 2 GiB that this memory begins in: one table for each level, and another one for 2 MiB pages. They lie behind the
    # kernel's .bss, which is cleared while they are in use.
    lea ebx, [ebp + {TABLES}]
    mov edi, ebx
    mov ecx, 4 * 4096 / 4
    xor eax, eax
    rep stosd
    lea eax, [ebx + 0x1000 + {PRESENT_WRITABLE}]
    mov [ebx], eax
    mov edx, ebp
    shr edx, 30
    lea eax, [ebx + 0x2000 + {PRESENT_WRITABLE}]
    mov [ebx + 0x1000 + edx * 8], eax
    add eax, 0x1000
    mov [ebx + 0x1000 + edx * 8 + 8], eax
    mov eax, edx
    shl eax, 30
    add eax, {PRESENT_WRITABLE_LARGE}
    xor edx, edx
    lea edi, [ebx + 0x2000]
    mov ecx, 1024
2:  mov [edi], eax
    mov [edi + 4], edx
    add edi, 8
    add eax, 0x200000
    adc edx, 0
    loop 2b
    mov eax, ebx
    mov edx, ebp
    jmp enter_long_mode

no_long_mode:
    lea esi, [ebp + no_long_mode_text]
    jmp say

.org 0x200
.code64
unpacker_64:
    cli
    cld
    mov r12, rsi
    jmp move_away

long_mode:
    mov r12d, esi                   # the upper half is undefined after the switch

move_away:
    lea rsi, [rip + unpacker]
    lea rdi, [rsi + {MOVE}]
    lea rax, [rdi + moved]
    mov ecx, offset unpacker_quads
    rep movsq
    jmp rax

moved:
    lea rsp, [rip + {stack} + {STACK_SIZE} - 0x20]  # the callee's 32 bytes (Microsoft's convention)
    # SSE, for Rust's code.
    mov rax, cr0
    and eax, {CR0_WITHOUT_EMULATION}
    or eax, {CR0_FLAGS}
    mov cr0, rax
    mov rax, cr4
    or eax, {CR4_FLAGS}
    mov cr4, rax
    lea rcx, [rip + unpacker - {MOVE}]
    call unpack
    lea rsi, [rip + damaged_text]
    test al, al
    jz say
    lea rax, [rip + unpacker - {MOVE} + {ENTRY_UNPACKED}]
    mov rsi, r12
    jmp rax

# Called as main.rs's function of this name is, but for the payload, which it adds, once: puts the program's own place into
# its global offset table, the only part of it that holds addresses.
unpack:
    lea rax, [rip + unpacker]       # which is linked to 0
    lea rdx, [rip + got_start]
    lea r8, [rip + got_end]
1:  cmp rdx, r8
    jae 2f
    add [rdx], rax
    add rdx, 8
    jmp 1b
2:  lea rdx, [rip + {payload}]
    jmp {unpack}

# Of the header (setup.s): "kernel_info", without anything optional.
kernel_info:
    .ascii "LToP"
    .long kernel_info_end - kernel_info, kernel_info_end - kernel_info
    .long 0                         # no type of setup_data is known here
kernel_info_end:

.balign 8
boot_gdt:
    .quad 0
    .quad {CODE_SEGMENT}
no_long_mode_text:
    .asciz "netconsole: this CPU has no 64-bit mode, which the kernel needs\r\n"
damaged_text:
    .asciz "netconsole: the packed kernel is damaged\r\n"
