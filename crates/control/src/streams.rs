pub struct CursorLine;
pub struct Messages;
