# read_old_memory(to, from, len): copies bytes of a dead kernel's memory, and returns 0. Where the CPU can't read them it
# returns 1, and what was copied means nothing: boot/exceptions.s goes on at `read_old_memory_failed` then.

.section .text.old_memory, "ax"
.balign 16
.global read_old_memory
read_old_memory:
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    mov ecx, edx
    and ecx, 7
    rep movsb
    xor eax, eax
    ret
.global read_old_memory_end
read_old_memory_end:
.global read_old_memory_failed
read_old_memory_failed:
    mov eax, 1
    ret
