# The entries of the vectors from 32 on, 16 bytes apart: interrupts of devices, of which the timer's is the only one that is
# wanted. Each saves what a call may change, SSE state included, calls the Rust function with the vector, and returns.
#
# They run on a stack of the interrupt stack table, which the CPU has aligned to 16 bytes before it pushed 5 quadwords.

.section .text.interrupts, "ax"
.balign 16
.global interrupt_entries
interrupt_entries:
    .set vector, 32
    .rept 224
        .balign 16
        push vector
        jmp interrupt_common
        .set vector, vector + 1
    .endr

.balign 16
interrupt_common:
    push_caller_saved
    # 15 quadwords so far; with FXSAVE's 512 bytes and one quadword more RSP is a multiple of 16.
    sub rsp, {FXSAVE_SIZE} + 8
    fxsave64 [rsp]
    cld
    mov rdi, [rsp + {FXSAVE_SIZE} + 8 + 9 * 8]
    call {interrupt}
    fxrstor64 [rsp]
    add rsp, {FXSAVE_SIZE} + 8
    pop_caller_saved
    # The vector.
    add rsp, 8
    # Interrupts are off afterwards: one that comes again at once, as a line that nobody answers does, would keep the kernel
    # from ever going on.
    and dword ptr [rsp + 16], {WITHOUT_INTERRUPTS}
    iretq

.purgem push_caller_saved
.purgem pop_caller_saved
