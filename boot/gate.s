# The gate to the firmware that runs beside this kernel (src/machine/firmware/gate.rs): one side's state of the CPU is put
# away, the other's put in its place. Both sides map this code, its data and the caller's stack one to one.
#
# A side is a `Side` of gate.rs, whose offsets are the constants in braces. SS:RSP excepted, all of it is saved and loaded
# each time: the firmware may have changed its own meanwhile.
#
# An exception on the firmware's side that would end it (gate.rs names them) leads back to this kernel for good, by the copy of
# the firmware's interrupt descriptor table that gate.rs has made.

.section .text.gate, "ax"

# Saves the state of the side that runs to R12, but for its task state: firmware that has none leaves the kernel's in place.
# Overwrites RAX.
.macro save_side
    fxsave64 [r12]
    mov rax, cr0
    mov [r12 + {CR0}], rax
    mov rax, cr3
    mov [r12 + {CR3}], rax
    mov rax, cr4
    mov [r12 + {CR4}], rax
    sgdt [r12 + {GDT}]
    sidt [r12 + {IDT}]
    mov [r12 + {CODE}], cs
    mov [r12 + {STACK}], ss
    mov [r12 + {DATA}], ds
    mov [r12 + {EXTRA}], es
    mov [r12 + {F}], fs
    mov [r12 + {G}], gs
.endm

# Loads the tables, segments and SSE state of the side at R12, whose page tables are in use. Overwrites RAX and RCX.
.macro load_side
    lgdt [r12 + {GDT}]
    lidt [r12 + {IDT}]
    movzx eax, word ptr [r12 + {CODE}]
    push rax
    lea rax, [rip + 9f]
    push rax
    retfq
9:  mov ss, [r12 + {STACK}]
    mov ds, [r12 + {DATA}]
    mov es, [r12 + {EXTRA}]
    mov fs, [r12 + {F}]
    mov gs, [r12 + {G}]
    # A task state that is in use is marked as busy, and only one that is not can be loaded (SDM volume 3, section 8.2.2).
    movzx eax, word ptr [r12 + {TASK}]
    test eax, eax
    jz 9f
    mov rcx, [r12 + {GDT} + 2]
    and byte ptr [rcx + rax + 5], 0xfd
    ltr ax
9:  fxrstor64 [r12]
.endm

# Loads the kernel's side, with `stack` for a stack pointer. Overwrites RAX, RCX and R12.
.macro return_to_kernel stack
    lea r12, [rip + {kernel}]
    mov rax, [r12 + {CR0}]
    mov cr0, rax
    mov rax, [r12 + {CR3}]
    mov cr3, rax
    mov rax, [r12 + {CR4}]
    mov cr4, rax
    # The kernel's stack: the far return takes its place from it.
    mov rsp, \stack
    load_side
.endm

# Saves the firmware's state: called while it still is in force. Its calls will use the stack from here on downwards.
.global firmware_gate_open
firmware_gate_open:
    push r12
    lea r12, [rip + {firmware}]
    save_side
    str [r12 + {TASK}]
    lea rax, [rsp - 128]
    and rax, -16
    mov [r12 + {RSP}], rax
    pop r12
    ret

# firmware_gate(function, arguments): calls the firmware's function with seven arguments by Microsoft's convention, with
# interrupts on, and returns what it returns. With 0 for a function the firmware has its interrupts for a moment; where the
# first argument is not 0, the CPU sleeps until one comes.
.global firmware_gate
firmware_gate:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov r13, rdi
    mov r14, rsi
    lea r12, [rip + {kernel}]
    save_side
    str [r12 + {TASK}]
    mov [r12 + {RSP}], rsp

    # CR4 first: this kernel's may forbid what the firmware's page tables hold.
    lea r12, [rip + {firmware}]
    mov rax, [r12 + {CR4}]
    mov cr4, rax
    mov rax, [r12 + {CR3}]
    mov cr3, rax
    mov rax, [r12 + {CR0}]
    mov cr0, rax
    load_side
    mov rsp, [r12 + {RSP}]
    test r13, r13
    jz 1f
    sub rsp, 0x40                   # the callee's 32 bytes, three arguments, and 8 bytes to a multiple of 16
    mov rax, [r14 + 0x20]
    mov [rsp + 0x20], rax
    mov rax, [r14 + 0x28]
    mov [rsp + 0x28], rax
    mov rax, [r14 + 0x30]
    mov [rsp + 0x30], rax
    mov rcx, [r14]
    mov rdx, [r14 + 8]
    mov r8, [r14 + 0x10]
    mov r9, [r14 + 0x18]
    sti
# tests/qemu/firmware_cards.rs has the call not come back.
firmware_gate_calls:
    call r13
    jmp 2f
1:  cmp qword ptr [r14], 0
    jne 3f
    # What is pending comes behind the instruction that follows STI.
    sti
    nop
    pause
    nop
    jmp 2f
3:  sti
    hlt
# tests/qemu/firmware_cards.rs has an NMI come here, as it wakes the CPU.
firmware_gate_wakes:
2:  cli
    cld
    mov r15, rax

    save_side
    return_to_kernel [r12 + {RSP}]
    mov rax, r15
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

# Where the firmware's exceptions arrive, by `firmware_entries` (boot/exceptions.s): on the firmware's tables and stack, the
# vector and an error code pushed. This completes a `Frame` (exceptions.rs), takes it to the stack that the kernel has for
# the NMI, and leaves the firmware for good.
.global firmware_exception
firmware_exception:
    push rax
    cmp qword ptr [rsp + 8], {NMI}
    jne 1f
    # While the panic path runs an NMI has nothing to add there either (boot/exceptions.s, `ignore_nmi`).
    lea rax, [rip + {panic_table}]
    cmp rax, [rip + {kernel} + {IDT} + 2]
    jne 1f
    lock inc qword ptr [rip + {NMIS}]
    pop rax
    add rsp, 16
    iretq
1:  .irp register, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        push \register
    .endr
    cld
    mov rsi, rsp
    lea rbx, [rip + {nmi_stack} + {NMI_STACK} - {FRAME}]
    mov rdi, rbx
    mov ecx, {FRAME} / 8
    rep movsq
    return_to_kernel rbx
    # The stack's end and the frame's size are multiples of 16, as RSP must be at a call.
    mov rdi, rsp
    call {leave_by_exception}
    jmp exception_saved
