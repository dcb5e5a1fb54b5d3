.section .text.timer, "ax"
# The timer: nothing but the end of interrupt, no register of the interrupted code changed.
.balign 16
.global timer_entry
timer_entry:
    push rax
    mov al, {END_OF_INTERRUPT}
    out {PIC_COMMAND}, al
    pop rax
    iretq
