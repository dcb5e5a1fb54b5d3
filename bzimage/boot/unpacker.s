# Entered in the kernel's place, at image_start, by setup.s or by loaders of Linux's 32-bit boot protocol
# (Documentation/arch/x86/boot.rst): 32-bit protected mode, flat segments, paging and interrupts off, ESI the address of
# boot_params. Nothing else is known.
#
# It moves itself and the packed kernel to where it is linked to, in the kernel's .bss, enters 64-bit mode, and has
# main.rs unpack the kernel to the place that is free now. Then it goes to the kernel's own entry for this protocol, by
# the kernel's own way back to 32-bit mode.
#
# The constants in braces come from main.rs, the names that are nowhere here from linker.ld.

.section .unpacker, "awx"
.code32
.global unpacker
unpacker:
    cld
    mov ebp, esi
    mov esi, {IMAGE_START}
    mov edi, offset unpacker
    mov ecx, offset unpacker_words
    rep movsd
    mov eax, offset moved
    jmp eax

moved:
    mov esp, offset {stack} + {STACK_SIZE}

    # As much of memory as one page directory of 2 MiB pages maps: 1 GiB.
    mov edi, offset {root_table}
    mov ecx, {TABLES_SIZE} / 4
    xor eax, eax
    rep stosd
    mov edi, offset {root_table}
    lea eax, [edi + 0x1000 + {PRESENT_WRITABLE}]
    mov [edi], eax
    add eax, 0x1000
    mov [edi + 0x1000], eax
    mov eax, {PRESENT_WRITABLE_LARGE}
    mov ecx, 512
1:  mov [edi + 0x2000], eax
    add edi, 8
    add eax, 0x200000
    loop 1b

    jmp enter_long_mode

no_long_mode:
    mov esi, offset no_long_mode_text
    jmp say

.code64
long_mode:
    mov esp, offset {stack} + {STACK_SIZE} - 0x20   # the callee's 32 bytes (Microsoft's convention)
    mov ebp, ebp                    # the upper half is undefined after the switch
    call {unpack}
    mov esi, offset damaged_text
    test al, al
    jz say
    mov esi, ebp
    mov ebp, {IMAGE_START}
    mov eax, {LEAVE_LONG_MODE}
    jmp rax

.balign 8
boot_gdt:
    .quad 0
    .quad {CODE_SEGMENT}
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad boot_gdt                       # in 32-bit mode the lower half is loaded
no_long_mode_text:
    .asciz "netconsole: this CPU has no 64-bit mode, which the kernel needs\r\n"
damaged_text:
    .asciz "netconsole: the packed kernel is damaged\r\n"
