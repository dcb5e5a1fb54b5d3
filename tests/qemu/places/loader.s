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
    # Where an application processor begins; below what the kernel is given.
    mov esi, offset trampoline
    mov edi, 0x8000
    mov ecx, offset trampoline_end
    sub ecx, esi
    rep movsb
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

    cmp dword ptr [application_processor], 0
    je enter
    # The processor with the APIC id 1 is started (Intel SDM volume 3, section 9.4.4), as often as it takes until it has left
    # its sign in the serial port's scratch register; this one waits for ever.
    mov dx, 0x3ff
    xor eax, eax
    out dx, al
    mov ebx, 0xfee00000
    mov dword ptr [ebx + 0x310], 1 << 24
    mov dword ptr [ebx + 0x300], 0x4500
2:  mov ecx, 1000
1:  pause
    loop 1b
    mov dword ptr [ebx + 0x310], 1 << 24
    mov dword ptr [ebx + 0x300], 0x4608
    in al, dx
    cmp al, 0xa5
    jne 2b
1:  hlt
    jmp 1b

.code16
trampoline:
    cli
    mov dx, 0x3ff
    mov al, 0xa5
    out dx, al
    # lgdt cs:[gdt_pointer], with 32 bits of address.
    .byte 0x66, 0x2e, 0x0f, 0x01, 0x16
    .word low_gdt_pointer - trampoline
    mov eax, 0x11
    mov cr0, eax
    .byte 0x66, 0xea
    .long application
    .word 0x20
low_gdt_pointer: .word 39
    .long gdt
trampoline_end:
.code32
application:
    mov eax, 0x18
    mov ds, eax
    mov es, eax
    mov ss, eax

enter:
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
gdt: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdt_pointer: .word 39
    .quad gdt
no_idt: .word 0
    .quad 0
ready: .asciz "ready\r\n"
.balign 8
parameters:
application_processor: .quad 0  # 1: the second processor enters, not the first
page_tables: .quad 0            # 0: the 32-bit protocol
control_4: .quad 0
kernel: .quad 0
boot_params: .quad 0
end:
