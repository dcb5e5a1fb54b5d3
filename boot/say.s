# Says on the first serial port what ESI points to, up to a zero byte, and stops: for what can't be said in any other way.
# The instructions are the same in 32-bit and 64-bit mode.

.section .text.say, "ax"
.code32
.global say
say:
    lodsb
    test al, al
    jz 2f
    mov ah, al
    mov ecx, 100000             # a port that is absent or stuck does not hang us
    mov dx, 0x3fd
1:  in al, dx
    test al, 0x20               # transmitter empty
    loopz 1b
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    jmp say
2:  hlt
    jmp 2b
.code64
