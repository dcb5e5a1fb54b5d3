pub fn compare() -> Result<bool, String> {
    Ok(true)
}
pub fn save() -> Result<bool, String> {
    Ok(true)
}
