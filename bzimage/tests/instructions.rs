//! Where the fields of instructions are, beside what an assembler makes of each.

use netconsole_bzimage::instructions::{Field, Instructions};

/// A letter for each byte.
fn fields(code: &[u8]) -> String {
    let mut instructions = Instructions::CODE;
    let letter = |&byte: &u8| {
        let letter = match instructions.field {
            Field::Opcode | Field::SecondOpcode | Field::ThirdOpcode => 'o',
            Field::ModRm => 'm',
            Field::Sib => 's',
            Field::Displacement => 'd',
            Field::Address => 'a',
            Field::Branch => 'b',
            Field::Immediate => 'i',
            Field::Data => '-',
        };
        instructions.follow(byte);
        letter
    };
    let letters = code.iter().map(letter).collect();
    assert!(instructions.field == Field::Opcode && instructions.opcode == 0, "{code:x?} is one instruction");
    letters
}

/// As GNU as assembles them; the instruction is in the comment.
#[test]
fn fields_are_where_the_assembler_has_put_them() {
    let table: &[(&[u8], &str)] = &[
        (&[0x90], "o"),                                                // nop
        (&[0x41, 0x57], "oo"),                                         // push r15
        (&[0x01, 0xd8], "om"),                                         // add eax, ebx
        (&[0x04, 7], "oi"),                                            // add al, 7
        (&[0x05, 1, 2, 3, 4], "oiiii"),                                // add eax, 0x4030201
        (&[0x66, 0x05, 1, 2], "ooii"),                                 // add ax, 0x201
        (&[0x48, 0x8b, 0x05, 1, 2, 3, 4], "oomaaaa"),                  // mov rax, [rip + 0x4030201]
        (&[0x48, 0x8b, 0x44, 0x24, 8], "oomsd"),                       // mov rax, [rsp + 8]
        (&[0x48, 0x8b, 0x84, 0x24, 1, 2, 3, 4], "oomsdddd"),           // mov rax, [rsp + 0x4030201]
        (&[0x8b, 0x04, 0x25, 1, 2, 3, 4], "omsdddd"),                  // mov eax, [0x4030201]
        (&[0x8b, 0x04, 0x88], "oms"),                                  // mov eax, [rax + rcx * 4]
        (&[0x8b, 0x45, 0xf8], "omd"),                                  // mov eax, [rbp - 8]
        (&[0xc7, 0x05, 1, 2, 3, 4, 5, 6, 7, 8], "omaaaaiiii"),         // mov dword ptr [rip + …], 0x8070605
        (&[0x66, 0xc7, 0x00, 5, 6], "oomii"),                          // mov word ptr [rax], 0x605
        (&[0xc6, 0x40, 1, 2], "omdi"),                                 // mov byte ptr [rax + 1], 2
        (&[0x48, 0x83, 0xec, 0x28], "oomi"),                           // sub rsp, 0x28
        (&[0x48, 0x81, 0xec, 1, 2, 3, 4], "oomiiii"),                  // sub rsp, 0x4030201
        (&[0x69, 0xc0, 1, 2, 3, 4], "omiiii"),                         // imul eax, eax, 0x4030201
        (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], "ooiiiiiiii"),         // movabs rax, …
        (&[0xb8, 1, 2, 3, 4], "oiiii"),                                // mov eax, 0x4030201
        (&[0x48, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8], "ooiiiiiiii"),         // movabs rax, [0x807060504030201]
        (&[0xf6, 0xc1, 1], "omi"),                                     // test cl, 1
        (&[0xf7, 0xc1, 1, 2, 3, 4], "omiiii"),                         // test ecx, 0x4030201
        (&[0xf7, 0xd9], "om"),                                         // neg ecx
        (&[0x75, 5], "ob"),                                            // jne
        (&[0xe8, 1, 2, 3, 4], "obbbb"),                                // call
        (&[0x0f, 0x84, 1, 2, 3, 4], "oobbbb"),                         // je
        (&[0xff, 0x15, 1, 2, 3, 4], "omaaaa"),                         // call [rip + 0x4030201]
        (&[0xc2, 8, 0], "oii"),                                        // ret 8
        (&[0x0f, 0x0b], "oo"),                                         // ud2
        (&[0x0f, 0xb6, 0xc0], "oom"),                                  // movzx eax, al
        (&[0x0f, 0xba, 0xe0, 3], "oomi"),                              // bt eax, 3
        (&[0xf3, 0x0f, 0x6f, 0x05, 1, 2, 3, 4], "ooomaaaa"),           // movdqu xmm0, [rip + 0x4030201]
        (&[0x66, 0x0f, 0x70, 0xc0, 0x4e], "ooomi"),                    // pshufd xmm0, xmm0, 0x4e
        (&[0x66, 0x0f, 0x38, 0x00, 0xc1], "oooom"),                    // pshufb xmm0, xmm1
        (&[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8], "oooomi"),                // palignr xmm0, xmm1, 8
        (&[0xf3, 0x48, 0xa5], "ooo"),                                  // rep movsq
        (&[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0], "ooomsdddd"), // mov rax, fs:[0x28]
        (&[0xf0, 0x48, 0x0f, 0xb1, 0x0d, 1, 2, 3, 4], "oooomaaaa"),    // lock cmpxchg [rip + 0x4030201], rcx
        (&[0xe6, 0x80], "oi"),                                         // out 0x80, al
    ];
    for (code, expected) in table {
        assert_eq!(fields(code), *expected, "{code:x?}");
    }
}

#[test]
fn data_stays_data() {
    let mut data = Instructions::DATA;
    for byte in [0x48, 0xe8, 0x0f, 0] {
        data.follow(byte);
        assert_eq!(data.field, Field::Data);
    }
}
