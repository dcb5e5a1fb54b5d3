//! What the bytes of x86-64 machine code are: each one's place in its instruction (Intel SDM, volume 2, chapter 2 and
//! appendix A). Which of them are operands the filter ([`branches`](crate::branches)) wants to know, and what an operand
//! or an opcode is likely to be depends on it ([`model`](crate::model)).
//!
//! It follows code of compilers. What else there is, as VEX or data among the code, is taken for some instruction: that
//! costs compression, and both directions take it for the same one.

/// What a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A prefix, REX, or an opcode of one byte.
    Opcode,
    /// Behind 0x0f.
    SecondOpcode,
    /// Behind 0x0f 0x38 and 0x0f 0x3a.
    ThirdOpcode,
    /// Which registers, or which way to memory.
    ModRm,
    /// The registers that memory is addressed by, where ModRM has no room for them.
    Sib,
    /// To a register's address.
    Displacement,
    /// To the instruction's own address: memory.
    Address,
    /// To the instruction's own address: where a CALL, JMP or Jcc leads to.
    Branch,
    /// A constant.
    Immediate,
    /// No instruction at all.
    Data,
}

const OPERAND_SIZE: u8 = 0x66;
const REX: u8 = 0x40;
const REX_W: u8 = 8;
const REX_B: u8 = 1;
/// An opcode of two or three bytes is its last one, with this.
const LONG_OPCODE: u16 = 0x100;

/// The next byte's place, and what its instruction and the one before were so far.
#[derive(Clone)]
pub struct Instructions {
    /// What the next byte belongs to.
    pub field: Field,
    /// How many bytes the field has.
    pub size: u8,
    /// How many of them are to come.
    pub left: u8,
    /// The REX prefix, and in the upper half the last other one; 0 where there is none.
    pub prefixes: u16,
    /// The opcode's last byte, and 0x100 where it has more than one; 0 before it.
    pub opcode: u16,
    /// ModRM; 0 before it and where there is none.
    pub mod_rm: u8,
    /// SIB, likewise.
    pub sib: u8,
    /// The opcode of the instruction before this one.
    pub last_opcode: u16,
    /// And its ModRM.
    pub last_mod_rm: u8,
    /// The size of immediate operands of 4 bytes: 2 behind a prefix.
    full: u8,
    /// The size of the one that comes.
    immediate: u8,
}

impl Instructions {
    /// Code begins.
    pub const CODE: Self = Self {
        field: Field::Opcode,
        size: 1,
        left: 1,
        prefixes: 0,
        opcode: 0,
        mod_rm: 0,
        sib: 0,
        last_opcode: 0,
        last_mod_rm: 0,
        full: 4,
        immediate: 0,
    };
    /// No code comes any more.
    pub const DATA: Self = Self { field: Field::Data, ..Self::CODE };

    /// Whether an operand of 4 bytes begins that is relative to the instruction's own address.
    pub fn is_at_relative(&self) -> bool {
        matches!(self.field, Field::Branch | Field::Address) && self.left == 4
    }

    /// The register that memory is addressed by, as ModRM, SIB and REX name it.
    pub fn base(&self) -> u8 {
        let (mode, register) = (self.mod_rm >> 6, self.mod_rm & 7);
        let register = if register == 4 && mode != 3 { self.sib & 7 | 8 } else { register };
        register | (self.prefixes as u8 & REX_B) << 4 | mode << 5
    }

    /// Goes on behind `byte`.
    pub fn follow(&mut self, byte: u8) {
        match self.field {
            Field::Data => {}
            Field::Opcode => self.opcode(byte),
            Field::SecondOpcode => self.second_opcode(byte),
            Field::ThirdOpcode => self.with_mod_rm(u16::from(byte) | LONG_OPCODE, self.immediate),
            Field::ModRm => self.mod_rm(byte),
            Field::Sib => {
                self.sib = byte;
                self.displacement(self.mod_rm >> 6, byte & 7 == 5, Field::Displacement);
            }
            _ if self.left > 1 => self.left -= 1,
            Field::Displacement | Field::Address => self.immediate(),
            Field::Branch | Field::Immediate => self.end(),
        }
    }

    fn opcode(&mut self, byte: u8) {
        let full = self.full;
        let opcode = u16::from(byte);
        match byte {
            OPERAND_SIZE => {
                self.full = 2;
                self.prefix(byte);
            }
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x67 | 0xf0 | 0xf2 | 0xf3 => self.prefix(byte),
            REX..0x50 => self.prefixes = self.prefixes & 0xff00 | opcode,
            0x0f => self.enter(Field::SecondOpcode, 1),
            // The eight operations of arithmetic in six forms each.
            ..0x40 if byte & 7 < 4 => self.with_mod_rm(opcode, 0),
            ..0x40 if byte & 7 == 4 => self.without_mod_rm(opcode, 1),
            ..0x40 if byte & 7 == 5 => self.without_mod_rm(opcode, full),
            0x69 | 0x81 | 0xc7 => self.with_mod_rm(opcode, full),
            0x6b | 0x80 | 0x82 | 0x83 | 0xc0 | 0xc1 | 0xc6 => self.with_mod_rm(opcode, 1),
            0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff => {
                self.with_mod_rm(opcode, 0);
            }
            0x70..=0x7f | 0xe0..=0xe3 | 0xeb => self.branch(opcode, 1),
            0xe8 | 0xe9 => self.branch(opcode, 4),
            0x6a | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe4..=0xe7 => self.without_mod_rm(opcode, 1),
            0xc2 | 0xca => self.without_mod_rm(opcode, 2),
            0xb8..=0xbf if self.prefixes as u8 & REX_W != 0 => self.without_mod_rm(opcode, 8),
            0x68 | 0xa9 | 0xb8..=0xbf => self.without_mod_rm(opcode, full),
            0xa0..=0xa3 => self.without_mod_rm(opcode, 8),
            _ => self.without_mod_rm(opcode, 0),
        }
    }

    fn second_opcode(&mut self, byte: u8) {
        let opcode = u16::from(byte) | LONG_OPCODE;
        match byte {
            0x38 => self.enter(Field::ThirdOpcode, 1),
            0x3a => {
                self.immediate = 1;
                self.enter(Field::ThirdOpcode, 1);
            }
            0x80..=0x8f => self.branch(opcode, 4),
            0x05..=0x0b | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => {
                self.without_mod_rm(opcode, 0);
            }
            0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => self.with_mod_rm(opcode, 1),
            _ => self.with_mod_rm(opcode, 0),
        }
    }

    fn mod_rm(&mut self, byte: u8) {
        self.mod_rm = byte;
        // TEST, alone of its group, has an immediate operand.
        match self.opcode {
            0xf6 if byte & 0x30 == 0 => self.immediate = 1,
            0xf7 if byte & 0x30 == 0 => self.immediate = self.full,
            _ => {}
        }
        match (byte >> 6, byte & 7) {
            (..3, 4) => self.enter(Field::Sib, 1),
            (mode, register) => self.displacement(mode, register == 5, Field::Address),
        }
    }

    /// `far` is the field of 4 bytes that there is in mode 0, where the register is what says `special`.
    fn displacement(&mut self, mode: u8, special: bool, far: Field) {
        match mode {
            0 if special => self.enter(far, 4),
            1 => self.enter(Field::Displacement, 1),
            2 => self.enter(Field::Displacement, 4),
            _ => self.immediate(),
        }
    }

    fn immediate(&mut self) {
        match self.immediate {
            0 => self.end(),
            size => self.enter(Field::Immediate, size),
        }
    }

    fn prefix(&mut self, byte: u8) {
        self.prefixes = self.prefixes & 0xff | u16::from(byte) << 8;
    }

    fn with_mod_rm(&mut self, opcode: u16, immediate: u8) {
        (self.opcode, self.immediate) = (opcode, immediate);
        self.enter(Field::ModRm, 1);
    }

    fn without_mod_rm(&mut self, opcode: u16, immediate: u8) {
        (self.opcode, self.immediate) = (opcode, immediate);
        self.immediate();
    }

    fn branch(&mut self, opcode: u16, size: u8) {
        self.opcode = opcode;
        self.enter(Field::Branch, size);
    }

    fn enter(&mut self, field: Field, size: u8) {
        (self.field, self.size, self.left) = (field, size, size);
    }

    fn end(&mut self) {
        *self = Self { last_opcode: self.opcode, last_mod_rm: self.mod_rm, ..Self::CODE };
    }
}
