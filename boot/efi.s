# The part of target/netconsole.bzimage that UEFI firmware enters (UEFI specification 2.10, sections 2.3.4 and 4.1):
# systemd-boot and its stub, the UEFI shell, or the firmware itself. setup.s has the PE header. scripts/build puts
# this behind setup.s, and the kernel's flat image behind this.
#
# At `efi`: 64-bit mode, all memory mapped one to one, interrupts on, RCX the image's handle, RDX the system table,
# a stack of the firmware's; loaded anywhere. It is called as a function (Microsoft's convention: RBX, RBP, RDI and
# RSI are kept, 32 bytes of stack are the callee's), and returns a status where the kernel can't be started.
#
# The kernel runs where it is linked to. The firmware is asked for that memory: where it is in use, by the firmware
# itself, the kernel can't be loaded this way (GRUB can, for it moves the kernel there when the firmware has ended).
#
# scripts/build defines image_start, image_size, image_end, memory_pages (up to the end of all that the kernel has)
# and entry_efi.

.intel_syntax noprefix
.code64

.set SYSTEM_TABLE_CON_OUT, 0x40
.set SYSTEM_TABLE_BOOT_SERVICES, 0x60
.set CON_OUT_OUTPUT_STRING, 0x08
.set BOOT_SERVICES_ALLOCATE_PAGES, 0x28
.set ALLOCATE_ADDRESS, 2
.set LOADER_CODE, 1                 # memory that may be executed

.section .text
efi:
    push rbx
    push rbp
    push rdi
    push rsi
    sub rsp, 0x28                   # the callee's 32 bytes and an address; RSP is a multiple of 16 then
    mov rbx, rcx
    mov rbp, rdx

    mov qword ptr [rsp + 0x20], image_start
    mov ecx, ALLOCATE_ADDRESS
    mov edx, LOADER_CODE
    mov r8d, memory_pages
    lea r9, [rsp + 0x20]
    mov rax, [rbp + SYSTEM_TABLE_BOOT_SERVICES]
    call [rax + BOOT_SERVICES_ALLOCATE_PAGES]
    test rax, rax
    jnz in_use

    cld
    lea rsi, [rip + image]
    mov edi, image_start
    mov ecx, image_size
    rep movsb
    mov ecx, image_end
    sub ecx, edi
    xor eax, eax
    rep stosb                       # the .bss
    mov rcx, rbx
    mov rdx, rbp
    mov eax, entry_efi
    call rax                        # comes back where the firmware has refused something
    jmp done

in_use:
    mov rbx, rax
    mov rcx, [rbp + SYSTEM_TABLE_CON_OUT]
    lea rdx, [rip + in_use_text]
    call [rcx + CON_OUT_OUTPUT_STRING]
    mov rax, rbx
done:
    add rsp, 0x28
    pop rsi
    pop rdi
    pop rbp
    pop rbx
    ret

.balign 2
in_use_text:
    .string16 "netconsole: the firmware uses the memory at 1 MiB; load the kernel by GRUB\r\n"
.balign 512
image:
