# What UEFI firmware enters (UEFI specification 2.10, sections 2.3.4 and 4.1): systemd-boot and its stub, the UEFI shell,
# or the firmware itself. setup.s has the PE header.
#
# At `efi`: 64-bit mode, all memory mapped one to one, interrupts on, RCX the image's handle, RDX the system table,
# a stack of the firmware's; loaded anywhere. It is called as a function (Microsoft's convention: RBX, RBP, RDI and
# RSI are kept, 32 bytes of stack are the callee's), and returns a status where the kernel can't be started.
#
# The kernel runs where it is linked to. The firmware is asked for that memory: where it is in use, by the firmware
# itself, the kernel can't be loaded this way (GRUB can, for it moves the kernel there when the firmware has ended).
#
# The constants in braces come from main.rs, the names that are nowhere here from linker.ld.

.set SYSTEM_TABLE_CON_OUT, 0x40
.set SYSTEM_TABLE_BOOT_SERVICES, 0x60
.set CON_OUT_OUTPUT_STRING, 0x08
.set BOOT_SERVICES_ALLOCATE_PAGES, 0x28
.set BOOT_SERVICES_FREE_PAGES, 0x30
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
    sub rsp, 0x28                   # the callee's 32 bytes and an address; RSP is a multiple of 16 then
    mov rbx, rcx
    mov rbp, rdx

    mov qword ptr [rsp + 0x20], {IMAGE_START}
    mov ecx, ALLOCATE_ADDRESS
    mov edx, LOADER_CODE
    mov r8d, MEMORY_PAGES
    lea r9, [rsp + 0x20]
    mov rax, [rbp + SYSTEM_TABLE_BOOT_SERVICES]
    call [rax + BOOT_SERVICES_ALLOCATE_PAGES]
    lea rdi, [rip + {in_use_text}]
    test rax, rax
    jnz refuse

    cli                             # interrupt handlers use this stack, where leaf functions may have data (the red zone)
    cld
    lea rsi, [rip + unpacker]
    mov edi, offset unpacker
    mov ecx, offset unpacker_words
    rep movsd
    mov eax, offset {unpack}
    call rax
    lea rdi, [rip + {damaged_text}]
    test al, al
    mov rax, {EFI_CRC_ERROR}
    jz give_back

    mov edi, offset unpacker        # the kernel's .bss
    mov ecx, {IMAGE_END}
    sub ecx, edi
    xor eax, eax
    rep stosb
    mov rcx, rbx
    mov rdx, rbp
    mov eax, {ENTRY_EFI}
    call rax                        # comes back where the firmware has refused something
    xor edi, edi

give_back:
    sti
    mov rsi, rax
    mov ecx, {IMAGE_START}
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
    add rsp, 0x28
    pop rsi
    pop rdi
    pop rbp
    pop rbx
    ret
