use crate::machine::{exceptions::Frame, power};
use core::fmt::Write;
pub extern "C" fn exception(frame: &Frame) -> ! {
    let _ = writeln!(crate::P, "{}\n{}", frame.cause(), frame.registers());
    power::exit(power::ExitCode::Panic)
}
#[panic_handler]
fn panic(i: &core::panic::PanicInfo<'_>) -> ! { let _ = writeln!(crate::P, "{i}"); power::exit(power::ExitCode::Panic) }
