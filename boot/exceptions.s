# Sets of entries, one per vector and 16 bytes apart, so that descriptors.rs computes an entry's
# address: `exception_entries` for normal running, `panic_entries` for while the panic path runs, and `firmware_entries`
# for the CPU's own exceptions while the CPU is the firmware's (boot/gate.s).
#
# Each brings the stack to the same layout, that of `Frame` in exceptions.rs: the vector and an error
# code (0 where the CPU pushes none) under all general registers; then a Rust function that does not
# return. Every vector runs on a stack of the interrupt stack table; the CPU aligns it to 16 bytes.

.macro entries common, count=256
    .set vector, 0
    .rept \count
        .balign 16
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
        .else
        push 0
        .endif
        push vector
        jmp \common
        .set vector, vector + 1
    .endr
.endm

# Where a read of a dead kernel's memory faults (boot/old_memory.s), it fails, and nothing else happens: page faults,
# general protection, and machine checks that the CPU can go on after, of which it must be told that they are over (SDM
# volume 3, section 16.3.1.2, IA32_MCG_STATUS.MCIP), or the next one resets the machine.
.macro fail_old_memory_read
    push rax
    push rcx
    mov rcx, [rsp + 32]         # RIP, above the error code, the vector and these two
    lea rax, [rip + read_old_memory]
    cmp rcx, rax
    jb 9f
    lea rax, [rip + read_old_memory_end]
    cmp rcx, rax
    jae 9f
    cmp qword ptr [rsp + 16], {PAGE_FAULT}
    je 8f
    cmp qword ptr [rsp + 16], {GENERAL_PROTECTION}
    je 8f
    cmp qword ptr [rsp + 16], {MACHINE_CHECK}
    jne 9f
    # 18 quadwords were pushed in all, so RSP is a multiple of 16, as it must be at a call.
    push_caller_saved
    call {pass_over_machine_check}
    test al, al
    pop_caller_saved
    jz 9f
8:  lea rax, [rip + read_old_memory_failed]
    mov [rsp + 32], rax
    pop rcx
    pop rax
    add rsp, 16
    iretq
9:  pop rcx
    pop rax
.endm

.macro save_and_call handler
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    call_with_frame \handler
.endm

.macro call_with_frame handler
    cld
    mov rdi, rsp
    # RBP is the interrupted code's: the backtrace goes on through it. 22 quadwords were pushed in
    # all (5 by the CPU, 2 above, 15 here), so RSP is a multiple of 16, as it must be at a call.
    call \handler
    ud2
.endm

.section .text.exceptions, "ax"
.balign 16
.global exception_entries
exception_entries:
    entries exception_common
.balign 16
.global panic_entries
panic_entries:
    entries panic_common

.balign 16
.global firmware_entries
firmware_entries:
    entries firmware_exception, 32

.balign 16
exception_common:
    fail_old_memory_read
    save_and_call {exception}
panic_common:
    fail_old_memory_read
    save_and_call {exception_in_panic}
# RSP is at a complete frame.
.global exception_saved
exception_saved:
    call_with_frame {exception}

# While the panic path runs an NMI has nothing to add (a watchdog that goes on barking, another press
# of the button): it changes nothing. Nor does one that a Linux has left to its crash kernel, which counts it.
.balign 16
ignore_nmi:
    lock inc qword ptr [rip + {NMIS}]
    iretq

.purgem push_caller_saved
.purgem pop_caller_saved
