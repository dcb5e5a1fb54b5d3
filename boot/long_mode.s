# The last steps from 32-bit protected mode, paging off, to 64-bit mode: for entry.s and bzimage/boot/unpacker.s. Both have
# the labels `long_mode`, where it goes on in 64-bit mode, `no_long_mode`, where the CPU has not all that is needed, and
# `boot_gdt`, two descriptors: none, and a 64-bit code segment.
#
# At `enter_long_mode`: a stack, EAX the address of the root of the page tables, EDX by how much the program lies above
# where it is linked to. EAX, ECX and EDX are overwritten; segment registers but CS, and the upper halves of all
# others, are undefined at `long_mode`.
#
# The constants in braces come from the program's own global_asm!.

# Intel's firmware can turn no-execute off, and with it what CPUID says of it: IA32_MISC_ENABLE, bit 34 (SDM volume 4, table
# 2-2). All of its CPUs with long mode have that register. CPUID's leaf 0x80000001 must exist. Overwrites EAX to EDX. The
# instructions are the same in 32-bit and 64-bit mode.
.macro allow_no_execute
    mov eax, 0x80000001
    cpuid
    and edx, 1 << 29 | 1 << 20  # long mode, no-execute
    cmp edx, 1 << 29
    jne 1f
    xor eax, eax
    cpuid
    cmp ebx, 0x756e6547         # "Genu"
    jne 1f
    cmp edx, 0x49656e69         # "ineI"
    jne 1f
    cmp ecx, 0x6c65746e         # "ntel"
    jne 1f
    mov ecx, 0x1a0
    rdmsr
    btr edx, 34 - 32
    jnc 1f
    wrmsr
1:
.endm

.section .text.long_mode, "ax"
.code32
enter_long_mode:
    push ebx                    # CPUID overwrites EBX
    push edx
    push eax
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb no_long_mode
    allow_no_execute
    mov eax, 0x80000001
    cpuid
    and edx, {CPUID_NEEDED}
    cmp edx, {CPUID_NEEDED}
    jne no_long_mode
    pop eax
    mov cr3, eax
    mov eax, {CR4_FLAGS}
    mov cr4, eax
    mov ecx, {EFER}
    rdmsr
    or eax, {EFER_FLAGS}
    wrmsr
    mov eax, {CR0_FLAGS}
    mov cr0, eax
    pop edx
    pop ebx
    lea eax, [edx + boot_gdt]
    push eax
    push 15 << 16               # two descriptors
    lgdt [esp + 2]              # the limit's 16 bits, then the address
    add esp, 8
    push 8                      # a far return loads CS with the 64-bit segment
    lea eax, [edx + long_mode]
    push eax
    retf
.code64
