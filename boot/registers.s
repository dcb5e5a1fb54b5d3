# The registers that a Rust function may change. Code that returns to what it interrupted pushes them before it calls one,
# and pops them afterwards, which leaves the flags as they are.
#
# It is assembled before each of the files that use it. Such a file gives the names up at its end (.purgem), because all
# assembly of the kernel is one text in the end, where a name may be defined once.

.macro push_caller_saved
    .irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
        push \register
    .endr
.endm

.macro pop_caller_saved
    .irp register, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
        pop \register
    .endr
.endm

