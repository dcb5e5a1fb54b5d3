# The kernel's first instructions: the headers that boot loaders look for, and the way from 32-bit
# protected mode, in which every one of them enters, to 64-bit Rust.
#
# What the first two promise at their entries: 32-bit protected mode, flat CS and data segments, A20 open, paging and
# interrupts off. Nothing else is known: no stack, no GDT of ours. The kernel lies where it is linked to, and only this
# code relies on that.
#
# - `entry`: multiboot 1 (specification 0.6.96, section 3.2) and 2 (2.0, section 3.3). EAX holds the
#   loader's magic, EBX the address of its information.
# - `entry_pvh`: PVH (Xen, docs/misc/pvh.pandoc). EBX holds the address of hvm_start_info.
#
# The others enter in 64-bit mode, by way of bzimage/boot/, with the kernel anywhere in memory, moved there by
# bzimage/src/relocations.rs. All page tables are taken that map the kernel's memory one to one, of four levels or five;
# what else they map, and what descriptor tables there are, does not matter.
#
# - `entry_unpacked`: Linux's protocol (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). RSI holds the address of
#   boot_params. Nobody has cleared the .bss.
# - `entry_efi`: UEFI. RCX holds the image's handle, RDX the system table, the stack is the firmware's. machine/efi.rs
#   takes from the firmware what is needed, and goes on at `entry_64`, with EDI the magic and RSI the address of what it
#   has taken.
#
# At `kernel_main(magic, info, tsc)`: 64-bit mode, 4 GiB mapped one to one and writable (paging.rs
# takes rights away soon after), SSE on, interrupts off, RSP on the main stack, RBP zero so that a
# backtrace ends here.
#
# The constants in braces come from machine/boot.rs.

.section .headers, "ax"
.code32
.balign 4
multiboot_header:
    .long {HEADER_MAGIC}
    .long {HEADER_FLAGS}
    .long -({HEADER_MAGIC} + {HEADER_FLAGS})
    .long multiboot_header      # where this header is loaded
    .long image_start           # load from here …
    .long data_end              # … to here from the file,
    .long image_end             # and clear up to here
    .long entry

# Multiboot 2, section 3.1. The address tag, and not the ELF header, says what is loaded, so that the
# loader clears no more than in multiboot 1.
.balign 8
multiboot2_header:
    .long {HEADER2_MAGIC}
    .long 0                     # i386, protected mode
    .long multiboot2_header_end - multiboot2_header
    .long -({HEADER2_MAGIC} + multiboot2_header_end - multiboot2_header)

    .word {TAG_ADDRESS}, 0
    .long 24
    .long multiboot2_header
    .long image_start
    .long data_end
    .long image_end

    .word {TAG_ENTRY}, 0
    .long 12
    .long entry

.balign 8
    .word {TAG_END}, 0
    .long 8
multiboot2_header_end:

# PVH's entry, in an ELF note. Its address has the ELF file's 64 bits, as Linux's has.
.section .note.Xen, "a", @note
.balign 4
    .long 4, 8, {XEN_ELFNOTE_PHYS32_ENTRY}
    .asciz "Xen"
    .quad entry_pvh

.section .text.boot, "ax"
.code32
entry_pvh:
    mov eax, {PVH_MAGIC}
    jmp entry

.global entry
entry:
    cli
    cld
    mov edi, eax                # magic and info go to kernel_main in EDI, ESI
    mov esi, ebx
    rdtsc                       # the start of the log's time
    mov ebp, eax
    mov ebx, edx
    mov esp, offset {main_stack} + {MAIN_STACK_END}

    # 4 GiB in 2 MiB pages: four page directories behind one pointer table.
    mov eax, offset {page_directories} + {PRESENT_WRITABLE}
    mov ecx, offset {pointer_table}
    mov edx, 4
1:  mov [ecx], eax
    add eax, 4096
    add ecx, 8
    dec edx
    jnz 1b
    mov eax, offset {pointer_table} + {PRESENT_WRITABLE}
    mov [{root_table}], eax
    mov eax, {PRESENT_WRITABLE_LARGE}
    mov ecx, offset {page_directories}
    mov edx, 4 * 512
1:  mov [ecx], eax
    add eax, 0x200000
    add ecx, 8
    dec edx
    jnz 1b

    mov eax, offset {root_table}
    xor edx, edx
    jmp enter_long_mode

# Neither a log nor a NIC can be had without long mode.
no_long_mode:
    mov esi, offset no_long_mode_text
    jmp say

.code64
long_mode:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    mov edi, edi                # clear the upper halves, which are undefined after the switch
    mov esi, esi
    mov edx, ebx
    shl rdx, 32
    mov eax, ebp
    or rdx, rax
    lea rsp, [rip + {main_stack} + {MAIN_STACK_END}]
    xor ebp, ebp
    call {kernel_main}
    ud2                         # it does not return

.section .text.boot64, "ax"
.global entry_efi
entry_efi:
    cli
    jmp {efi_enter}

.global entry_unpacked
entry_unpacked:
    cli
    cld
    rdtsc                       # the start of the log's time
    mov r14d, eax
    mov r15d, edx
    lea rdi, [rip + data_end]
    lea rcx, [rip + image_end]
    sub rcx, rdi                # a multiple of 8: both are aligned to pages
    shr rcx, 3
    xor eax, eax
    rep stosq
    mov r12d, {LINUX_MAGIC}
    mov r13, rsi
    jmp enter_kernel

.global entry_64
entry_64:
    cli
    cld
    rdtsc
    mov r14d, eax
    mov r15d, edx
    mov r12d, edi
    mov r13, rsi

enter_kernel:
    shl r15, 32
    or r14, r15
    lea rsp, [rip + {main_stack} + {MAIN_STACK_END}]
    allow_no_execute
    mov eax, 0x80000001
    cpuid
    and edx, {CPUID_NEEDED}
    cmp edx, {CPUID_NEEDED}
    jne no_execute_missing
    mov ecx, {EFER}
    rdmsr
    or eax, {EFER_FLAGS}
    wrmsr
    mov eax, {CR0_FLAGS}
    mov cr0, rax
    mov rax, cr4
    and eax, {CR4_FIVE_LEVELS}  # can't be changed without leaving 64-bit mode, for which all would have to lie below 4 GiB
    or eax, {CR4_FLAGS}
    mov cr4, rax
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    call {map_machine}
    mov edi, r12d
    mov rsi, r13
    mov rdx, r14
    xor ebp, ebp
    call {kernel_main}
    ud2

no_execute_missing:
    lea rsi, [rip + no_long_mode_text]
    jmp say

.section .rodata.boot, "a"
.balign 8
boot_gdt:
    .quad 0
    .quad {CODE_SEGMENT}
no_long_mode_text:
    .asciz "netconsole: this CPU has no 64-bit mode with no-execute pages, which the kernel needs\r\n"
