# What UEFI firmware enters (UEFI specification 2.10, sections 2.3.4 and 4.1): systemd-boot and its stub, the UEFI shell,
# or the firmware itself. setup.s has the PE header.
#
# At `efi`: 64-bit mode, all memory mapped one to one, interrupts on, RCX the image's handle, RDX the system table,
# a stack of the firmware's; loaded anywhere. It is called as a function (Microsoft's convention: RBX, RBP, RDI and
# RSI are kept, 32 bytes of stack are the callee's), and returns a status where the kernel can't be started.
#
# The firmware is asked for memory where the kernel is linked to, so that it finds the log of the boot before where that
# one had it; where that is in use, for other memory below 4 GiB, which every card reaches, and then for any.
#
# The constants in braces come from main.rs, the names that are nowhere here from linker.ld.

.set SYSTEM_TABLE_CON_OUT, 0x40
.set SYSTEM_TABLE_BOOT_SERVICES, 0x60
.set CON_OUT_OUTPUT_STRING, 0x08
.set BOOT_SERVICES_ALLOCATE_PAGES, 0x28
.set BOOT_SERVICES_FREE_PAGES, 0x30
.set ALLOCATE_ANY, 0
.set ALLOCATE_BELOW, 1
.set ALLOCATE_ADDRESS, 2
.set LOADER_CODE, 1                 # memory that may be executed
.set MEMORY_PAGES, {MEMORY_SIZE} / 4096

.section .unpacker, "awx"
.global efi
efi:
    push rbx
    push rbp
    push rdi
    push rsi
    push r12
    sub rsp, 0x30                   # the callee's 32 bytes and an address; RSP is a multiple of 16 then
    mov rbx, rcx
    mov rbp, rdx

    mov esi, ALLOCATE_ADDRESS
    mov qword ptr [rsp + 0x20], {IMAGE_START}
1:  mov ecx, esi
    mov edx, LOADER_CODE
    mov r8d, MEMORY_PAGES
    lea r9, [rsp + 0x20]
    mov rax, [rbp + SYSTEM_TABLE_BOOT_SERVICES]
    call [rax + BOOT_SERVICES_ALLOCATE_PAGES]
    test rax, rax
    jz 2f
    lea rdi, [rip + {no_memory_text}]
    mov ecx, 0xffffffff             # the last address
    mov [rsp + 0x20], rcx
    dec esi
    jns 1b
    jmp refuse

2:  mov r12, [rsp + 0x20]
    cli                             # interrupt handlers use this stack, where leaf functions may have data (the red zone)
    cld
    lea rsi, [rip + unpacker]
    lea rdi, [r12 + {MOVE}]
    lea rax, [rdi + unpack]         # it is linked to 0
    mov ecx, offset unpacker_quads
    rep movsq
    mov rcx, r12
    call rax
    lea rdi, [rip + {damaged_text}]
    test al, al
    mov rax, {EFI_CRC_ERROR}
    jz give_back

    lea rdi, [r12 + {BSS}]          # the kernel's .bss
    mov ecx, {IMAGE_END} - {DATA_END}
    xor eax, eax
    rep stosb
    mov rcx, rbx
    mov rdx, rbp
    lea rax, [r12 + {ENTRY_EFI}]
    call rax                        # comes back where the firmware has refused something
    xor edi, edi

give_back:
    sti
    mov rsi, rax
    mov rcx, r12
    mov edx, MEMORY_PAGES
    mov rax, [rbp + SYSTEM_TABLE_BOOT_SERVICES]
    call [rax + BOOT_SERVICES_FREE_PAGES]
    mov rax, rsi

    # Says what RDI points to, if anything, and returns the status RAX.
refuse:
    mov rsi, rax
    mov rdx, rdi
    test rdx, rdx
    jz 1f
    mov rcx, [rbp + SYSTEM_TABLE_CON_OUT]
    call [rcx + CON_OUT_OUTPUT_STRING]
1:  mov rax, rsi
    add rsp, 0x30
    pop r12
    pop rsi
    pop rdi
    pop rbp
    pop rbx
    ret
