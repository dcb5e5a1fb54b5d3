# A boot loader for tests/qemu/places.rs, entered by multiboot: says "ready" on the serial port, waits for a key, and enters
# what the test has put into memory, as a loader of Linux does. `parameters` is filled in by the test.

.intel_syntax noprefix
.code32
.globl start
start:
    .balign 4
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long start, start, end, end, entry

entry:
    cli
    mov esi, offset ready
1:  lodsb
    test al, al
    jz 2f
    mov edx, 0x3f8
    out dx, al
    jmp 1b
2:  mov edx, 0x3fd
    in al, dx
    test al, 1
    jz 2b
    mov edx, 0x3f8
    in al, dx

    mov esi, [boot_params]
    cmp dword ptr [page_tables], 0
    jne 3f
    jmp [kernel]                # the 32-bit protocol

3:  mov eax, [control_4]
    mov cr4, eax
    mov eax, [page_tables]
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, 0x80000011
    mov cr0, eax
    lgdt [gdt_pointer]
    lidt [no_idt]
    .byte 0xea
    .long long_mode
    .word 0x10
.code64
long_mode:
    mov rsi, [boot_params]
    mov rax, [kernel]
    # Nothing is promised of these.
    mov rsp, -1
    mov rbp, -1
    jmp rax

.balign 8
gdt: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer: .word 31
    .quad gdt
no_idt: .word 0
    .quad 0
ready: .asciz "ready\r\n"
.balign 8
parameters:
page_tables: .quad 0            # 0: the 32-bit protocol
control_4: .quad 0
kernel: .quad 0
boot_params: .quad 0
end:
